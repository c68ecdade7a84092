"""From a scene to a verified file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes import positions
from csgs_codec.attributes.coding import GroupCoding
from csgs_codec.attributes.exact import Exceptions
from csgs_codec.container.fields import FieldReader
from csgs_codec.container.header import Header, Tiles
from csgs_codec.container.kinds import GroupKind
from csgs_codec.container.manifest import Manifest, NamedGroup
from csgs_codec.decoder import decode, parse
from csgs_codec.decoder.chunk import Tools
from csgs_codec.decoder.scene_decoder import SceneDecoder
from csgs_codec.encoder.appearance import Appearance
from csgs_codec.encoder.bounded import Bounds
from csgs_codec.encoder.closed_loop import ClosedLoop
from csgs_codec.encoder.code import CodedScene, Costs, GroupCoder, code_labels
from csgs_codec.encoder.compensation import CompensationLaw
from csgs_codec.encoder.decoded import decoded_columns, decoded_parts
from csgs_codec.encoder.exact_pass import exact_names, has_exact_pass, make_exact_pass
from csgs_codec.encoder.fit import Effort
from csgs_codec.encoder.importance import LAYER_ENDS, MORE_LAYER_ENDS, choose_layers
from csgs_codec.encoder.layer_refinement import LayerRefinement
from csgs_codec.encoder.look import Look, look_at
from csgs_codec.encoder.objects import size_note
from csgs_codec.encoder.options import EncodeOptions
from csgs_codec.encoder.partition import Partition, make_partition, place_order
from csgs_codec.encoder.plan import Grid, fine_rule
from csgs_codec.encoder.prepare import ORDINARY, Prepared, prepare
from csgs_codec.encoder.propagation import importances
from csgs_codec.encoder.prune import Pruned, prune
from csgs_codec.encoder.script import Planned, plan_script
from csgs_codec.encoder.target import SIZE_TOLERANCE, at_quality, search_psnr, search_size
from csgs_codec.encoder.write import assemble
from csgs_codec.errors import CorruptError, UnsupportedError
from csgs_codec.hyperprior.tile import Tile
from csgs_codec.metrics.features import FeatureScore, compare_blocks, head_for
from csgs_codec.numerics.morton import encode_keys
from csgs_codec.scene import Column, Scene
from csgs_codec.schema import Role
from csgs_codec.semantics.heads import Head
from csgs_codec.version import __version__

Progress = Callable[[str, float], None]

# Groups of which much is as foretold, so that errors are inherited.
_INHERITED = (GroupKind.DC, GroupKind.SEMANTIC)
_UNIT_SHARE = 0.98
_PRUNING_SHARE = 0.75
FIRST_ROUNDS = 5
LATER_ROUNDS = 2


@dataclass
class EncodeResult:
    """An encoded file.

    Attributes
    ----------
    data : bytes
    notes : list of str
        What the user should be told (dropped rows, suspicious statistics, cost of row order).
    group_bits : dict of str to float
        Bits spent on each group in data chunks.
    quality : float
        The quality that was used, found where a size or a PSNR was the target.
    exact_bits : dict of str to float
        Bits spent on what the last level keeps exactly: groups, extras and the rest.
    semantics : dict of str to FeatureScore
        How the features of each semantic group decode.
    pruned : Pruned, optional
        Which Gaussians were removed.
    """

    data: bytes
    notes: list[str] = field(default_factory=list)
    group_bits: dict[str, float] = field(default_factory=dict)
    quality: float = 0.0
    exact_bits: dict[str, float] = field(default_factory=dict)
    semantics: dict[str, FeatureScore] = field(default_factory=dict)
    pruned: Pruned | None = None


def encode(
    scene: Scene, options: EncodeOptions = EncodeOptions(), progress: Progress | None = None
) -> EncodeResult:
    """Encode a scene and check the result by decoding it.

    Parameters
    ----------
    scene : Scene
    options : EncodeOptions
    progress : callable, optional
        Called with a description and the share done, 0 to 1.

    Raises
    ------
    PlyError
        The scene cannot be encoded as it is.
    CameraError
        The given cameras see nothing of it.
    UnsupportedError
        The wanted size or PSNR cannot be reached, or no pictures can be taken to prune by.
    """
    tell = progress or (lambda text, share: None)
    tell("reading", 0.0)
    prepared = prepare(scene, options)
    pruned, shown = None, None
    if options.prune is not None:
        shown, whole = prepared.scene, tell
        prepared, pruned = prune(
            prepared, options, lambda share: whole("pruning", _PRUNING_SHARE * share)
        )
        tell = _rest_of(whole, _PRUNING_SHARE)
    tell("looking", 0.01)
    look = look_at(
        prepared.scene, options, lambda share: tell("looking", 0.01 + 0.19 * share), shown
    )
    if options.psnr is not None and not look.views:
        raise UnsupportedError("a PSNR can only be aimed at where pictures can be taken")

    def attempt(quality: float) -> EncodeResult:
        return _encode_once(prepared, look, at_quality(options, quality), tell)

    if options.size is not None:
        result = search_size(attempt, lambda made: len(made.data), options.size, options.quality)
        if len(result.data) < (1 - SIZE_TOLERANCE) * options.size:
            result.notes.append(f"no quality comes nearer to {options.size} bytes")
    elif options.psnr is not None:
        result = search_psnr(attempt, lambda made: decode(made.data), look.views, options)
    else:
        result = attempt(options.quality)
    tell("done", 1.0)
    return replace(result, pruned=pruned)


def _rest_of(tell: Progress, done: float) -> Progress:
    """Progress of what follows when a share is done."""
    return lambda text, share: tell(text, done + (1 - done) * share)


def _encode_once(
    prepared: Prepared, look: Look, options: EncodeOptions, tell: Progress
) -> EncodeResult:
    encoder = _Encoder(prepared, look, options, tell)
    data, extra_notes = encoder.run()
    tell("verifying", 0.95)
    _verify(data, encoder.coded)
    encoder.verify_bounds(data)
    notes = prepared.notes + look.notes + extra_notes
    spent, exact = encoder.group_bits, encoder.exact_bits
    return EncodeResult(data, notes, spent, options.quality, exact, encoder.semantics())


class _Encoder:
    def __init__(
        self, prepared: Prepared, look: Look, options: EncodeOptions, tell: Progress
    ) -> None:
        self._prepared, self._options, self._tell = prepared, options, tell
        self._scene = prepared.scene
        self._bounds = Bounds.of(options.max_error, prepared)
        self._appearance = Appearance(prepared.scene, prepared.groups, look.sensitivity)
        self._views, self._law = look.views, CompensationLaw()
        self._script = plan_script(prepared, self._appearance, options, self._bounds)
        faithful = options.lossless or self._bounds.colours
        self._loop = None
        if look.views and not faithful:
            self._loop = ClosedLoop(prepared.groups, look.views)
        self._unsettled: dict[int, GroupCoder] = {}
        self.coded: CodedScene
        self.exact_bits: dict[str, float] = {}
        self._partition: Partition

    def run(self) -> tuple[bytes, list[str]]:
        """Encode and return the file with notes."""
        grid = Grid.of(self._scene, self._appearance, self._options.fineness)
        fine = any(p.kind is GroupKind.POSITION_FINE for p in self._script.groups)
        grid = self._bounds.refine_grid(grid, self._scene, fine)
        if self._scene.count:
            by_place = place_order(grid.cells)
            layer = self._choose_layers(by_place)
            partition = make_partition(grid.cells, by_place, layer)
        else:
            nothing = np.zeros((0, 3), np.int64)
            empty = Tiles(nothing, np.zeros((0, 3), np.uint8), np.zeros((0, 1), np.int64))
            partition = Partition(nothing, np.zeros(0, np.int64), empty)
        self._partition = partition
        exact_pass = has_exact_pass(self._prepared, self._options)
        header, level_ends = self._header(partition, grid, exact_pass)
        rows = [partition.tile_rows(t) for t in range(header.tiles)]
        table_payload = self._start(header, partition, rows)
        for index, planned in enumerate(self._script.groups):
            self._tell(planned.name, 0.2 + 0.7 * index / len(self._script.groups))
            self._code(index, planned, rows, grid)
        self._tell("exact data", 0.85)
        exact = make_exact_pass(
            self._prepared,
            self._options,
            self._script.groups,
            self.coded,
            partition.order,
            self._exceptions(rows),
            self._exact_names,
        )
        self.exact_bits = exact.bits
        self._tell("entropy coding", 0.9)
        manifest = self._manifest()
        objects = self._prepared.objects
        data = assemble(
            self.coded,
            manifest,
            table_payload,
            level_ends,
            exact.payloads,
            self._law,
            objects.write() if objects else None,
            self._prepared.attachments,
        )
        large = size_note(objects, len(data)) if objects else None
        return data, exact.notes + ([large] if large else [])

    def _choose_layers(self, by_place: NDArray[np.int64]) -> NDArray[np.int64]:
        ends = self._options.layer_ends
        ends = ends or (LAYER_ENDS if self._script.early or self._script.late else MORE_LAYER_ENDS)
        seen = self._appearance.sensitivity
        effect = None if seen is None else seen.by_kind[GroupKind.DC]
        groups = self._prepared.groups
        if not self._views or len(ends) == 1:
            return choose_layers(self._scene, groups, by_place, ends, effect)
        self._tell("layers", 0.2)
        refinement = LayerRefinement(self._scene, by_place, self._views)
        layer = choose_layers(self._scene, groups, by_place, ends, effect, refinement.refine)
        self._law = refinement.law
        return layer

    @property
    def _exact_names(self) -> tuple[str, ...]:
        """Columns of lossy groups that the last level replaces by exact ones."""
        exact = None if self._options.lossless else self._bounds.exact
        return exact_names(self._script.groups, exact)

    def _exceptions(self, rows: list[NDArray[np.int64]]) -> Exceptions:
        """Values that are kept exactly: what is not finite, and what misses a bound."""
        if not self._bounds.by_name or not self._scene.count:
            return self._prepared.exceptions
        decoded = decoded_columns(self.coded, self._script.groups, self._scene, rows)
        silent = {p.name: p.silent for p in self._script.groups if p.silent is not None}
        return self._bounds.patch(self._prepared, decoded, silent)

    def verify_bounds(self, data: bytes) -> None:
        """Check the bounds on the decoded file."""
        if self._bounds.by_name and self._scene.count:
            kept = self._options.order == "keep"
            order = np.arange(self._scene.count) if kept else self._partition.order
            self._bounds.verify(self._prepared, decode(data), order)

    @property
    def group_bits(self) -> dict[str, float]:
        """Bits spent on each group in data chunks."""
        spent = self.coded.group_bits
        return {p.name: spent[i] for i, p in enumerate(self._script.groups) if i in spent}

    def semantics(self) -> dict[str, FeatureScore]:
        """How the features of each semantic group decode."""
        groups = [group for group in self._prepared.groups if group.role is Role.SEMANTIC]
        metric = self._options.semantic_metric
        heads = metric if isinstance(metric, Head) else None
        rows = [self._partition.tile_rows(tile.index) for tile in self.coded.tiles]
        number = {planned.columns: n for n, planned in enumerate(self._script.groups)}
        found = {}
        for group in groups if self._scene.count else ():
            names = group.columns
            parts = decoded_parts(self.coded, self._script.groups, number[names], rows)
            pairs = ((self._prepared.scene.part(r, names), values) for r, values in parts)
            found[group.name] = compare_blocks(pairs, head_for(group, heads))
        return found

    def _header(self, partition: Partition, grid: Grid, exact: bool) -> tuple[Header, list[int]]:
        layers = max(partition.tiles.counts.shape[1], 1)
        passes, level_ends = self._script.passes(layers, exact)
        offset, shift = _unit_box(partition.cells)
        header = Header(
            gaussians=self._scene.count,
            layers=layers,
            tiles=len(partition.tiles.counts),
            origin=grid.origin,
            grid_step=grid.step,
            unit_offset=offset,
            unit_shift=shift,
            rounds=(FIRST_ROUNDS,) + (LATER_ROUNDS,) * (layers - 1),
            groups=tuple(planned.declaration for planned in self._script.groups),
            passes=tuple(passes),
        )
        return header, level_ends

    def _start(self, header: Header, partition: Partition, rows: list[NDArray[np.int64]]) -> bytes:
        """Place the Gaussians in their tiles and fit the position tables."""
        tiles = partition.tiles
        places = [Tile(header, tiles, index) for index in range(header.tiles)]
        counts = np.zeros((positions.TABLE_COUNT, positions.COUNT_BINS), np.int64)
        for tile, members in zip(places, rows, strict=True):
            local = partition.cells[members] - tiles.origin[tile.index]
            tile.set_all_keys(encode_keys(local, tile.bits))
            for layer in range(header.layers):
                own = tile.keys[tile.rows(layer)]
                counts += positions.count_symbols(own, tile.earlier_keys(layer), tile.depth)
        payload = positions.write_tables(counts)
        tables = positions.read_tables(FieldReader(payload, "KDTB"))
        self.coded = CodedScene(Tools(header, tiles, tables), places)
        return payload

    def _code(
        self, index: int, planned: Planned, rows: list[NDArray[np.int64]], grid: Grid
    ) -> None:
        tools = self.coded.tools
        if planned.kind is GroupKind.POSITION:
            return
        if planned.kind is GroupKind.POSITION_FINE:
            self._place_in_cells(index, rows, grid)
        elif planned.labels is not None:
            always = (ORDINARY,) if planned.kind is GroupKind.SENTINEL else ()
            code_labels(self.coded, index, [planned.labels[r] for r in rows], always)
        elif planned.coding is not None:
            tools.codings[index] = planned.coding
            self._refit(planned.kind, rows)
            if planned.silent is not None:
                tools.sentinels[index] = self._sentinels_of(index)
            coder = self._coder(index, planned, planned.coding, rows)
            coder.code(self._latents(index, rows))
            self._unsettled[index] = coder
            if not self._colours_go_on(index):
                self._settle(rows)

    def _coder(
        self, index: int, planned: Planned, coding: GroupCoding, rows: list[NDArray[np.int64]]
    ) -> GroupCoder:
        effort = Effort.for_group(planned.kind, self._scene.count)
        cost = planned.weights
        if cost is None:
            error = self._options.fineness.error
            cost = self._appearance.cost(planned.kind, coding.step, error)
        weights = None if cost is None else [cost[r] for r in rows]
        weights = self._bounds.weights(planned.name, weights, rows)
        judged = planned.class_errors
        by_tile = None if judged is None else [judged.at(r) for r in rows]
        costs = Costs(weights, planned.angular, by_tile)
        if planned.kind in _INHERITED and self._options.inputs.neighbours:
            costs = costs.times(self._importances)
        seed = self._options.seed + index
        return GroupCoder(self.coded, index, self._options.inputs, effort, seed, costs)

    @cached_property
    def _importances(self) -> list[NDArray[np.float64]]:
        """What errors of Gaussians count, by tile, for all those foretold from them."""
        return importances(self.coded.tiles, self.coded.tools.header.layers)

    def _colours_go_on(self, index: int) -> bool:
        """Whether a group stands between DC and SH, which are settled together."""
        kinds = [planned.kind for planned in self._script.groups]
        together = self._loop is not None and {GroupKind.DC, GroupKind.SH} <= set(kinds)
        return together and kinds.index(GroupKind.DC) <= index < kinds.index(GroupKind.SH)

    def _settle(self, rows: list[NDArray[np.int64]]) -> None:
        """Code again, for good, what is coded once: colours after a last fit of both."""
        kinds = {self._script.groups[index].kind: index for index in self._unsettled}
        replaced: dict[int, list[NDArray[np.float64]]] = {}
        if self._loop is not None and {GroupKind.DC, GroupKind.SH} <= set(kinds):
            dc, sh = kinds[GroupKind.DC], kinds[GroupKind.SH]
            replaced[sh] = self._fit_together(dc, sh, rows)
        for index, coder in self._unsettled.items():
            latents = replaced.pop(index, None)
            coder.settle(self._latents(index, rows) if latents is None else latents)
        self._unsettled.clear()

    def _fit_together(
        self, dc: int, sh: int, rows: list[NDArray[np.int64]]
    ) -> list[NDArray[np.float64]]:
        """Fit DC, and components of SH that cost bits; returns the latents of SH by tile."""
        assert self._loop is not None
        codings = [self.coded.tools.codings[index] for index in (dc, sh)]
        spent, wanted = self._unsettled[sh].nonzero(), self._latents(sh, rows)
        free = np.zeros((self._scene.count, codings[1].channels), np.bool_)
        for members, nonzero in zip(rows, spent, strict=True):
            free[members] = nonzero
        self._scene = self._loop.fit_together(self._scene, self._decoded(rows), codings, free)
        fitted = self._latents(sh, rows)
        return [np.where(*three) for three in zip(spent, fitted, wanted, strict=True)]

    def _latents(self, index: int, rows: list[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
        """Latents of a group by tile, 0 where a sentinel says all."""
        planned, coding = self._script.groups[index], self.coded.tools.codings[index]
        if planned.signal is not None:
            latents = coding.latents(planned.signal)
        elif planned.kind is GroupKind.SENSITIVITY:
            latents = coding.latents(self._appearance.features[:, 4:])
        else:
            blocks = self._scene.blocks(planned.columns)
            latents = np.concatenate([coding.latents(block) for block in blocks])
        if planned.silent is not None:
            latents[planned.silent] = 0.0
        return [latents[r] for r in rows]

    def _sentinels_of(self, index: int) -> int:
        """The last sentinel group before a group."""
        kinds = [planned.kind for planned in self._script.groups[:index]]
        return max(place for place, kind in enumerate(kinds) if kind is GroupKind.SENTINEL)

    def _refit(self, kind: GroupKind, rows: list[NDArray[np.int64]]) -> None:
        """Let colours that are coded next make up for what is lost so far."""
        if self._loop is None:
            return
        if kind is GroupKind.DC:
            columns = {**self._scene.columns, **self._decoded(rows)}
            self._scene = self._loop.fit_colours(replace(self._scene, columns=columns))
        elif kind is GroupKind.SH:
            self._scene = self._loop.fit_beyond_dc(self._scene, self._decoded(rows))

    def _decoded(self, rows: list[NDArray[np.int64]]) -> dict[str, Column]:
        """Columns of everything but semantics that is coded by now."""
        unseen = (GroupKind.SEMANTIC,)
        return decoded_columns(self.coded, self._script.groups, self._scene, rows, unseen)

    def _place_in_cells(self, index: int, rows: list[NDArray[np.int64]], grid: Grid) -> None:
        """Fine positions: as many bits of the place within the cell as the step class asks for."""
        tools = self.coded.tools
        codings = {coding.kind: coding for coding in tools.codings.values()}
        rule = fine_rule(self._appearance, codings, grid.base, grid.step)
        rule = self._bounds.refine_fine_rule(rule, grid)
        tools.fine_rules[index] = rule
        for tile, layer in self.coded.places():
            bits = tile.step_classes(index, rule, layer)[:, None].astype(np.float64)
            inside = grid.inside[rows[tile.index][tile.rows(layer)]]
            tile.values(index)[tile.rows(layer)] = np.floor(inside * np.exp2(bits))

    def _manifest(self) -> Manifest:
        prepared, scene = self._prepared, self._scene
        extras = tuple(scene.columns) if not scene.count else prepared.extras
        return Manifest(
            layout=scene.layout.to_json(),
            properties=tuple((n, c.dtype.str[1:]) for n, c in scene.columns.items()),
            groups=tuple(NamedGroup(p.name, p.columns) for p in self._script.groups),
            constants=prepared.constants if scene.count else {},
            extras=extras,
            elements=bool(scene.elements),
            original_order=self._options.order == "keep" and scene.count > 0,
            encoder=f"csgs_codec {__version__}",
            exact=self._exact_names,
        )


def _unit_box(cells: NDArray[np.int64]) -> tuple[tuple[int, int, int], int]:
    """Offset and shift that bring most Gaussians into the 16-bit grid of the encoding."""
    if not len(cells):
        return (0, 0, 0), 0
    tail = (1.0 - _UNIT_SHARE) / 2
    low, high = np.quantile(cells, [tail, 1.0 - tail], axis=0).astype(np.int64)
    span = int((high - low).max()) << 4
    x, y, z = (int(v) for v in low)
    return (x, y, z), max(0, span.bit_length() - 16)


def _verify(data: bytes, coded: CodedScene) -> None:
    """Decode what was written and compare every integer with what was meant.

    Raises
    ------
    CorruptError
        They differ; the file must not be used.
    """
    parser = parse(data)
    parser.require_end(len(data))
    decoder = SceneDecoder(parser)
    decoder.decode_to(len(parser.levels), verify=True)
    for tile in coded.tiles:
        decoded = decoder.tile(tile.index)
        same = np.array_equal(tile.keys, decoded.keys) and all(
            np.array_equal(tile.values(g), decoded.values(g))
            for g, declared in enumerate(coded.tools.header.groups)
            if declared.kind is not GroupKind.POSITION
        )
        if not same:
            raise CorruptError("the encoded file does not decode to what was encoded")
