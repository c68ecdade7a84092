"""Violations of GRUP (section 5) and of side streams (numerics 10)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from conformance.maker import payloads
from conformance.maker.coder import Coded, code
from conformance.maker.pieces import FilePieces, patched
from conformance.maker.plan import Group, Labels, Plan, Transform
from conformance.maker.range_decoder import verdict
from conformance.maker.vector import Vector
from conformance.recipes.bad import bad, edited, field, with_payload
from conformance.recipes.shapes import Builder, one_tile, plain
from csgs_codec.attributes.steps import StepRule
from csgs_codec.container.kinds import GroupKind
from csgs_codec.numerics.bits import BitWriter
from csgs_codec.numerics.side import encode_integers

LARGEST = 1 << 30
NAN = float("nan")


def vectors() -> Iterator[Vector]:
    """Return these vectors."""
    for make in (_which, _codings, _rules, _transforms, _labels, _side_streams, _sentinels):
        yield from make()


def _full() -> Plan:
    builder = Builder(700).position().fine().opacity().transformed(GroupKind.DC, 3, 3, bits=6).ids()
    return builder.plan(one_tile(6))


def _with_group(number: int, **changes: object) -> FilePieces:
    """The full file with a GRUP chunk of other contents."""
    plan = _full()
    group: Group = replace(plan.groups[number], **changes)  # type: ignore[arg-type]
    return with_payload(plan, "GRUP", payloads.group_payload(number, group), number)


def _which() -> Iterator[Vector]:
    plan = plain()
    file = edited(plan, lambda c: _patch(c, 1, 0, "B", 3))
    yield bad("grup-number", "GRUP describes a group that is not there", "5.1", file)
    file = edited(plan, lambda c: _patch(c, 1, 0, "B", 0))
    yield bad("grup-position", "GRUP describes the positions", "5.1", file)


def _patch(coded: Coded, group: int, offset: int, form: str, *values: float) -> None:
    piece = coded.file.find("GRUP", group)
    piece.payload = patched(piece.payload, offset, form, *values)


def _codings() -> Iterator[Vector]:
    for name, step in (("0", 0.0), ("negative", -1.0), ("nan", NAN), ("infinite", float("inf"))):
        yield bad(f"step-{name}", f"the base step is {step}", "5.1 3.1", _with_group(2, step=step))
    yield bad("centre-nan", "a centre is not finite", "5.1 3.1", _with_group(2, centre=[NAN]))
    yield bad(
        "centre-infinite",
        "a centre is not finite",
        "5.1 3.1",
        _with_group(3, centre=[0.0, 0.0, -float("inf")]),
    )


def _rules() -> Iterator[Vector]:
    rule = "a field of a step rule is outside its range"
    zero = (0,) * 6
    for name, values in (
        ("bias-high", (LARGEST + 1, zero, 0, 0, 0)),
        ("bias-low", (-LARGEST - 1, zero, 0, 0, 0)),
        ("coefficient-high", (0, (0, 0, LARGEST + 1, 0, 0, 0), 0, 0, 0)),
        ("coefficient-low", (0, (0, 0, 0, 0, 0, -LARGEST - 1), 0, 0, 0)),
        ("shift-41", (0, zero, 41, 0, 0)),
        ("low-9", (0, zero, 0, -9, 0)),
        ("high-9", (0, zero, 0, 0, 9)),
        ("high-below-low", (0, zero, 0, 2, 1)),
    ):
        yield bad(
            f"rule-{name}",
            f"{rule}: {name.replace('-', ' ')}",
            "5.4",
            _with_group(2, rule=StepRule(*values)),
        )
    for name, low, high in (("low", -1, 3), ("high", 0, 9)):
        yield bad(
            f"fine-rule-{name}",
            f"{rule}: bits of fine positions from {low} to {high}",
            "5.4 5.1",
            _with_group(1, rule=StepRule(0, zero, 0, low, high)),
        )


def _transforms() -> Iterator[Vector]:
    rule = "a field of a transform is outside its range"
    good = _full().groups[3].transform
    assert good is not None
    wrong = {
        "components": Transform(good.mean, good.basis[:2]),
        "columns": Transform(good.mean[:2], good.basis),
        "bits-15": replace(good, bits=15),
        "mean-nan": replace(good, mean=[NAN, 0.0, 0.0]),
    }
    for name, transform in wrong.items():
        yield bad(
            f"transform-{name}",
            f"{rule}: {name.replace('-', ' ')}",
            "5.3",
            _with_group(3, transform=transform),
        )
    # group, sentinel, step, centres, rule, components, columns, bits: then the scale index
    at = 1 + 1 + 8 + 12 + 31 + 5
    for index in (0, 64):
        file = edited(_full(), lambda c, i=index: _patch(c, 3, at, "B", i))
        yield bad(f"transform-scale-index-{index}", f"{rule}: scale index {index}", "5.3", file)


def _labels() -> Iterator[Vector]:
    number = 4
    ok = [-3, 0, 4, 100]

    def labels(**changes: object) -> FilePieces:
        return _with_group(number, labels=Labels(ok, **changes))  # type: ignore[arg-type]

    def palette(values: list[int]) -> FilePieces:
        return _with_group(number, labels=Labels(values))

    yield bad(
        "palette-large",
        "the palette has more entries than max(N, 256)",
        "5.6",
        palette(list(range(257))),
    )
    yield bad("palette-empty", "the palette is empty while N > 0", "5.6", palette([]))
    yield bad(
        "palette-same",
        "the palette's values do not increase strictly",
        "5.6",
        palette([1, 2, 2, 5]),
    )
    yield bad(
        "palette-down",
        "the palette's values do not increase strictly",
        "5.6",
        palette([1, 5, 2, 9]),
    )
    yield bad(
        "palette-wraps",
        "the palette's values do not increase strictly, read as i64",
        "5.6",
        palette([1, 2, (1 << 63) - 1, 1 << 63]),
    )
    yield bad("listed-fewer", "listed is neither 0 nor P", "5.6", labels(explicit=[1, 2, 3]))
    yield bad("listed-more", "listed is neither 0 nor P", "5.6", labels(explicit=[1, 2, 3, 4, 5]))
    many = Builder(701).position().ids("label", "i4", list(range(300)))
    plan = many.plan(one_tile(300))
    group = replace(plan.groups[1], labels=Labels(list(range(300)), explicit=[1] * 300))
    yield bad(
        "listed-300",
        "listed is above 256",
        "5.6",
        with_payload(plan, "GRUP", payloads.group_payload(1, group), 1),
    )
    for type_, values in (
        ("u1", [-1, 5]),
        ("u1", [0, 256]),
        ("i2", [0, 32768]),
        ("u4", [0, 1 << 32]),
        ("i4", [-(1 << 31) - 1]),
        ("f4", [1, (1 << 24) + 1]),
        ("f8", [1, (1 << 53) + 1]),
    ):
        builder = Builder(702).position()
        builder.ids("label", type_, values)
        yield bad(
            f"palette-{type_}-{values[-1]}",
            f"a value of an ID group does not fit {type_}: {values}",
            "5.6",
            _as_is(builder.plan(one_tile(6))),
        )
    for name, damage in (
        ("adler", lambda b: b[:-1] + bytes([b[-1] ^ 1])),
        ("behind", lambda b: b + b"\0"),
    ):
        good = payloads.label_coding(Labels(ok))
        size = struct.unpack_from("<I", good, 4)[0]
        block = damage(good[8 : 8 + size])
        payload = (
            bytes([number]) + good[:4] + struct.pack("<I", len(block)) + block + good[8 + size :]
        )
        yield bad(
            f"palette-{name}",
            f"the zlib block of a palette is damaged: {name}",
            "5.6 3.1",
            with_payload(_full(), "GRUP", payload, number),
        )
    payload = patched(bytes([number]) + payloads.label_coding(Labels(ok)), 1, "I", 3)
    yield bad(
        "palette-size",
        "a palette inflates to more entries than announced",
        "5.6 3.1",
        with_payload(_full(), "GRUP", payload, number),
    )


def _as_is(plan: Plan) -> FilePieces:
    return code(plan).file


def _side_streams() -> Iterator[Vector]:
    plan = _full()
    transform = plan.groups[3].transform
    assert transform is not None
    values = np.array([v for row in transform.basis for v in row], np.int64)
    index = np.full(len(values), transform.scale_index, np.uint8)
    good = encode_integers(values, index)
    words = list(
        struct.unpack(
            f"<{(struct.unpack_from('<I', good)[0]) // 4}I",
            good[4 : 4 + struct.unpack_from("<I", good)[0]],
        )
    )

    def file(stream: bytes) -> FilePieces:
        payload = code(plan).file.find("GRUP", 3).payload
        fixed = payload[: -len(good) - 4]
        return with_payload(plan, "GRUP", fixed + struct.pack("<I", len(stream)) + stream, 3)

    def packed(found: list[int]) -> bytes:
        return struct.pack(f"<I{len(found)}I", 4 * len(found), *found)

    rule = "a side stream is malformed"
    yield bad("side-3-bytes", f"{rule}: fewer than 4 bytes", "N10.1", file(b"\0\0\0"))
    yield bad(
        "side-size-odd",
        f"{rule}: its size is no multiple of 4",
        "N10.1",
        file(patched(good, 0, "I", 4 * len(words) - 2)),
    )
    yield bad(
        "side-size-large",
        f"{rule}: its size exceeds what is left",
        "N10.1",
        file(patched(good, 0, "I", len(good))),
    )
    yield bad("side-bits-left", f"{rule}: bits are left over", "N10.1 N5.3", file(good + b"\0"))
    t = [transform.scale_index] * len(values)
    assert verdict(words, t) == "fine"
    long = [*words, 0, 0, 0]
    assert verdict(long, t) == "unread"
    yield bad("side-unread", f"{rule}: words are left unread", "N10.2", file(packed(long)))
    end = next(
        w
        for d in range(1, 200)
        if verdict(w := [*words[:-1], (words[-1] + (d << 24)) & 0xFFFFFFFF], t) == "end"
    )
    yield bad(
        "side-end",
        f"{rule}: the final interval does not hold the point",
        "N10.2",
        file(packed(end)),
    )
    yield (
        bad(
            "side-empty",
            f"{rule}: it ends early and the zeros do not pass the final check",
            "N10.2",
            file(packed([])),
        )
        if verdict([], t) == "end"
        else bad("side-short", f"{rule}: it ends early", "N10.2", file(packed(_short(words, t))))
    )
    top = next(
        ([0xFFFFFFFF] * n for n in range(2, 40) if verdict([0xFFFFFFFF] * n, t) == "symbol"), None
    )
    if top:
        yield bad("side-symbol", f"{rule}: no symbol is at the point", "N10.2", file(packed(top)))
    yield from _escapes(file, len(values), transform.scale_index)


def _short(words: list[int], index: list[int]) -> list[int]:
    """Leave out last words until a check fails."""
    return next(
        words[:n] for n in range(len(words) - 1, -1, -1) if verdict(words[:n], index) != "fine"
    )


def _escapes(file: object, count: int, index: int) -> Iterator[Vector]:
    assert callable(file)
    values = np.zeros(count, np.int64)
    values[0] = 1000
    good = encode_integers(values, np.full(count, index, np.uint8))
    size = 4 + struct.unpack_from("<I", good)[0]
    order = (index - 21) // 6
    for name, rule, number, prefix in (
        ("value", "an integer of a side stream reaches 2^31", 1 << 31, None),
        ("prefix", "an Exp-Golomb code has a prefix of more than 30 zeros (side stream)", 0, 31),
    ):
        bits = BitWriter()
        shifted = number + (1 << order)
        zeros = shifted.bit_length() - 1 - order if prefix is None else prefix
        field(bits, 0, zeros)
        field(bits, shifted if prefix is None else 1, zeros + order + 1 if prefix is None else 40)
        field(bits, 0, 1)
        yield bad(f"side-{name}", rule, "N10.1 N5.2", file(good[:size] + bits.finish()))
    yield bad(
        "side-bits-none", "the bits of a side stream end early", "N10.1 N5.1", file(good[:size])
    )


def _sentinels() -> Iterator[Vector]:
    builder = Builder(710).position().opacity().sentinel().scale().fine()
    plan = builder.plan(one_tile(5))
    for name, number, sentinel in (
        ("itself", 1, 1),
        ("later", 1, 2),
        ("residual", 3, 1),
        ("position", 3, 0),
        ("missing", 3, 9),
    ):
        group = replace(plan.groups[number], sentinel=sentinel)
        file = with_payload(plan, "GRUP", payloads.group_payload(number, group), number)
        yield bad(
            f"sentinel-{name}",
            f"the sentinel group is not below its group and read: {name}",
            "6.4",
            file,
        )
