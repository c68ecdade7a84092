"""Explain a CSGS file byte by byte: ``python explain.py FILE.csgs > FILE.md``.

The syntax is walked here, field by field; what DATA chunks hold is shown by watching the
educational decoder read them. Standard library only.
"""

from __future__ import annotations

import importlib.util
import struct
import sys
import zlib
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import Any

SHOWN_BYTES = 24
KINDS = [
    *("POSITION", "OPACITY", "SCALE", "POSITION_FINE", "ROTATION", "DC", "SH", "FEATURE"),
    *("SEMANTIC", "ID", "SENTINEL", "SENSITIVITY"),
]
TRANSFORMED = range(5, 9)
LABELS = (9, 10)
FORMS = {
    "u8": "B",
    "i8": "b",
    "u16": "H",
    "u32": "I",
    "i32": "i",
    "u64": "Q",
    "f32": "f",
    "f64": "d",
}


def load_decoder() -> ModuleType:
    """Return the educational decoder as a module."""
    path = Path(__file__).resolve().parents[1] / "educational_decoder" / "csgs_decode.py"
    spec = importlib.util.spec_from_file_location("csgs_decode", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Sheet:
    """Fields of a file, in order, as rows of a table."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.lines: list[str] = []

    def row(self, size: int, meaning: str) -> bytes:
        """Take bytes and say what they are."""
        raw = self.data[self.at : self.at + size]
        shown = raw.hex() if size <= SHOWN_BYTES else f"{raw[:SHOWN_BYTES].hex()}…"
        self.lines.append(f"| {self.at} | {size} | `{shown}` | {meaning} |")
        self.at += size
        return raw

    def field(self, name: str, type_: str, count: int = 1) -> list[Any]:
        """Take numbers of one type, with their values."""
        form = f"<{count}{FORMS[type_]}"
        size = struct.calcsize(form)
        values = list(struct.unpack_from(form, self.data, self.at))
        if size:
            said = ", ".join(f"{v:.9g}" if isinstance(v, float) else str(v) for v in values)
            self.row(size, f"{name}: {said}")
        return values

    def one(self, name: str, type_: str) -> Any:
        """Take one number."""
        return self.field(name, type_)[0]


class Explainer:
    """Walks a file by the syntax of the specification."""

    def __init__(self, data: bytes, decoder: ModuleType) -> None:
        self.sheet, self.decoder = Sheet(data), decoder
        self.groups: list[tuple[int, int, int]] = []
        self.text = ""

    def table(self) -> str:
        """Every byte of the file."""
        self.sheet.row(8, "signature")
        while self.sheet.at < len(self.sheet.data):
            self._chunk()
        head = "| offset | size | bytes | meaning |\n|---:|---:|---|---|\n"
        return head + "\n".join(self.sheet.lines) + "\n"

    def _chunk(self) -> None:
        sheet = self.sheet
        type_, length = sheet.data[sheet.at : sheet.at + 4].decode(), sheet.at + 4
        (size,) = struct.unpack_from("<I", sheet.data, length)
        sheet.row(4, f"**{type_}**")
        sheet.row(4, f"length: {size}")
        end = sheet.at + size
        known = getattr(self, f"_{type_.lower()}", None)
        if known is not None:
            known(end)
        if sheet.at < end:
            sheet.row(end - sheet.at, "payload")
        sheet.row(4, "CRC-32")

    def _head(self, end: int) -> None:
        s = self.sheet
        s.field("major, minor", "u16", 2)
        s.one("gaussians", "u64")
        self.layers, self.tiles = s.one("layers", "u8"), s.one("tiles", "u32")
        s.field("origin", "f64", 3)
        s.one("grid_step", "f64")
        s.field("unit_offset", "u32", 3)
        s.one("unit_shift", "u8")
        s.field("rounds", "u8", self.layers)
        for number in range(s.one("groups", "u8")):
            kind = s.one(f"group {number}: kind", "u8")
            s.lines[-1] = s.lines[-1].replace(f"kind: {kind}", f"kind: {kind}, {KINDS[kind]}")
            self.groups.append((kind, *s.field("channels, columns", "u16", 2)))
        for number in range(s.one("passes", "u16")):
            _, listed = s.field(f"pass {number}: layer, listed", "u8", 2)
            s.field("list of groups", "u8", listed)

    def _levs(self, end: int) -> None:
        s = self.sheet
        for number in range(s.one("levels", "u8")):
            s.one(f"level {number + 1}: end", "u64")
            s.one("gaussians", "u64")
            s.one("passes", "u16")
            s.field("scale_offset, spacing_pull, depth_gain, depth_exponent", "f32", 4)
            s.row(32, "digest")

    def _schm(self, end: int) -> None:
        self.sheet.one("size", "u32")
        block = self.sheet.row(end - self.sheet.at, "text: zlib block, below")
        self.text = zlib.decompress(block).decode()

    def _tile(self, end: int) -> None:
        s = self.sheet
        for number in range(self.tiles):
            s.field(f"tile {number}: origin", "u32", 3)
        for number in range(self.tiles):
            s.field(f"tile {number}: bits", "u8", 3)
        for number in range(self.tiles):
            s.field(f"tile {number}: counts", "u32", self.layers)

    def _kdtb(self, end: int) -> None:
        flags = "104 flags: no table is sent" if end - self.sheet.at == 13 else "position tables"
        self.sheet.row(end - self.sheet.at, flags)

    def _grup(self, end: int) -> None:
        s = self.sheet
        kind, channels, columns = self.groups[s.one("group", "u8")]
        if kind in LABELS:
            self._label_coding()
            return
        if KINDS[kind] == "POSITION_FINE":
            self._rule()
            return
        s.one("sentinel", "u8")
        s.one("step", "f64")
        s.field("centre", "f32", channels)
        self._rule()
        if kind in TRANSFORMED:
            s.field("components, columns", "u16", 2)
            s.one("bits", "u8")
            index = s.one("scale_index", "u8")
            s.field("mean", "f32", columns)
            self._side("basis", [index] * (channels * columns))

    def _rule(self) -> None:
        s = self.sheet
        s.one("step rule: bias", "i32")
        s.field("coefficients", "i32", 6)
        s.one("shift", "u8")
        s.field("low, high", "i8", 2)

    def _label_coding(self) -> None:
        s = self.sheet
        size = s.one("palette size", "u32")
        block = s.row(s.one("palette: blob of", "u32"), "zlib block: palette")
        steps = struct.unpack(f"<{size}q", zlib.decompress(block))
        s.lines[-1] = s.lines[-1].replace(": palette |", f": {list(accumulate(steps))} |")
        for agree in range(1, 9):
            s.field(f"{agree} agree: SAME, OTHER, EXPLICIT", "u16", 3)
        s.field("explicit", "u16", s.one("listed", "u16"))

    def _netw(self, end: int) -> None:
        s = self.sheet
        channels = self.groups[s.one("group", "u8")][1]
        octaves, layer_inputs = s.one("octaves", "u8"), s.one("layer_inputs", "u8")
        neighbours, step_class = s.one("neighbours", "u8"), s.one("step_class", "u8")
        inputs = 6 * octaves + layer_inputs + step_class
        if neighbours:
            inputs += neighbours * (self._channel_list("nearby") + 1)
        for number in range(s.one("own", "u8")):
            inputs += self._channel_list(f"own list {number}")
        if s.one("blended", "u8"):
            s.one("decay", "u8")
            s.field("gain_q8", "u8", channels)
        widths = s.field("widths", "u16", s.one("hidden", "u8"))
        for columns in (*widths, 2 * channels):
            s.one(f"layer of {inputs} inputs and {columns} columns: shift", "u8")
            bias_index = s.one("bias_index", "u8")
            steps = self._side("row steps", [30] * inputs)
            rows = [30 + step for step in accumulate(steps)]
            self._side("weights", [t for t in rows for _ in range(columns)])
            self._side("bias, times 256", [bias_index] * columns)
            inputs = columns

    def _channel_list(self, name: str) -> int:
        s = self.sheet
        s.one(f"{name}: group", "u8")
        width = s.one("width", "u16")
        s.field("centre_q6", "i32", width)
        s.field("shift", "u8", width)
        return int(width)

    def _side(self, name: str, indices: list[int]) -> list[int]:
        s = self.sheet
        size = s.one(f"{name}: blob of", "u32")
        values = self.decoder.side_stream(s.data[s.at : s.at + size], indices)
        s.row(size, f"side stream: {', '.join(map(str, values))}" if values else "side stream")
        return list(values)

    def _data(self, end: int) -> None:
        s = self.sheet
        s.one("pass", "u16")
        s.one("tile", "u32")
        size = s.one("symbols: blob of", "u32")
        if size:
            states = struct.unpack_from("<32I", s.data, s.at)
            busy = [f"lane {i}: {x:#x}" for i, x in enumerate(states) if x != 1 << 16]
            s.row(128, f"rANS states: {', '.join(busy)}; the others 0x10000")
            if size > 128:
                s.field("words", "u16", (size - 128) // 2)
        if s.at < end:
            s.row(end - s.at, f"plain bits: {s.data[s.at : end].hex()}")

    def _xdat(self, end: int) -> None:
        s = self.sheet
        if s.one("kind", "u8") == 0:
            s.one("COLUMN of property", "u16")
            s.one("code", "u8")


class Watcher:
    """Writes down what the educational decoder does while it decodes DATA chunks."""

    def __init__(self, decoder: ModuleType) -> None:
        self.decoder, self.lines, self.active = decoder, list[str](), False
        contexts, layer = decoder.Contexts, decoder.NetworkLayer
        self._follow(decoder.Rans, "stage", self._stage)
        self._follow(decoder.Bits, "field", self._field)
        self._follow(decoder, "find_neighbours", self._neighbours)
        self._follow(contexts, "inputs", lambda x, _, row, *__: f"- row {row}: inputs {x}")
        self._follow(contexts, "blend", lambda made, *_: f"  - blend {made}")
        self._remember_weights(layer)
        self._follow(layer, "outputs", self._outputs)
        self._follow(decoder, "residuals", self._residuals)
        self._follow(decoder, "step_class", lambda g, *_: f"  - step class {g}" if g else "")

    def watch(self, data: bytes) -> str:
        """Decode a file and return the story."""
        decode = self.decoder.DataDecoder.decode

        def watched(chunk: Any, listed: list[int]) -> Any:
            self.active = True
            self.lines.append(f"\n**DATA: layer {chunk.layer}, groups {list(listed)}**\n")
            digest = decode(chunk, listed)
            tile, first = chunk.tile, chunk.first
            self.lines.append(f"- keys {tile.keys[first:]}, cells {tile.cells[first:]}")
            for group in listed:
                if group in tile.ints:
                    self.lines.append(f"- integers of group {group}: {tile.ints[group][first:]}")
            self.lines.append(f"- digest of the chunk `{digest.hex()}`")
            self.active = False
            return digest

        self.decoder.DataDecoder.decode = watched
        self.decoder.Decoder(data).decode()
        return "\n".join(self.lines) + "\n"

    def _follow(self, owner: Any, name: str, tell: Callable[..., str]) -> None:
        """Let a function of the decoder add a line each time it is called."""
        function = getattr(owner, name)

        def followed(*given: Any) -> Any:
            result = function(*given)
            line = tell(result, *given) if self.active else ""
            if line:
                self.lines.append(line)
            return result

        setattr(owner, name, followed)

    @staticmethod
    def _remember_weights(layer: Any) -> None:
        make = layer.__init__

        def remembering(made: Any, weights: list[list[int]], bias: list[int], shift: int) -> None:
            make(made, weights, bias, shift)
            made.columns_of_weights = list(zip(*weights, strict=True)) or [()] * len(bias)
            made.summands = bias

        layer.__init__ = remembering

    @staticmethod
    def _stage(symbols: list[int], _: Any, tables: list[Any]) -> str:
        frequencies = [table.f[s] for table, s in zip(tables, symbols, strict=True)]
        return f"- rANS stage: symbols {symbols}, of frequencies {frequencies}" if symbols else ""

    @staticmethod
    def _field(value: int, _: Any, width: int) -> str:
        return f"- plain bits: `{value:0{width}b}`" if width else ""

    @staticmethod
    def _neighbours(found: Any, tile: Any, layer: int, rounds: Any, j: int, rows: Any) -> str:
        said = "; ".join(f"{row}: {near} at {codes}" for row, (near, codes) in found.items())
        return f"- round {j}: neighbours and distance codes of rows {said}" if rows else ""

    @staticmethod
    def _outputs(y: list[int], layer: Any, x: list[int]) -> str:
        acc = [
            sum(a * w for a, w in zip(x, weights, strict=True)) + bias
            for weights, bias in zip(layer.columns_of_weights, layer.summands, strict=True)
        ]
        return f"  - layer: x {x}, acc {acc}, y {y}"

    @staticmethod
    def _residuals(k: list[int], t: list[int], *_: Any) -> str:
        return f"- scale indices {t}, residuals {k}" if t else ""


def explain(path: Path) -> str:
    """Explain a file as Markdown."""
    data = path.read_bytes()
    explainer = Explainer(data, load_decoder())
    table = explainer.table()
    story = Watcher(load_decoder()).watch(data)
    return (
        f"# {path.name}\n\n{len(data)} bytes. Made by `explain.py`; tests make it again.\n\n"
        f"{table}\nSchema:\n\n```json\n{explainer.text}\n```\n"
        + (f"\n## What the DATA chunks hold\n{story}" if story.strip() else "")
    )


if __name__ == "__main__":
    sys.stdout.write(explain(Path(sys.argv[1])))
