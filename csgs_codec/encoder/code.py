"""Code the groups of a scene one after the other: fit, predict, quantise, reconstruct.

Each group is finished over all tiles and layers before the next is fitted, so that networks see
exactly the values that the decoder will have for what was coded before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from csgs_codec.attributes.labels import encode_labels, fit_labels
from csgs_codec.attributes.positions import encode_keys
from csgs_codec.attributes.steps import LARGEST_CLASS, STEP_Q6
from csgs_codec.container.kinds import LABEL_KINDS, GroupKind
from csgs_codec.decoder.chunk import Tools, silent_rows
from csgs_codec.encoder.angular import directions, turn_symbols
from csgs_codec.encoder.blend import fit_blend
from csgs_codec.encoder.classes import ClassErrors
from csgs_codec.encoder.fit import Effort, NetworkFit, static_mlp
from csgs_codec.encoder.options import Inputs
from csgs_codec.encoder.quantise import choose_symbols, scale_offsets
from csgs_codec.errors import CorruptError
from csgs_codec.hyperprior.contexts import ContextChannels, ContextLayout, LayerContext
from csgs_codec.hyperprior.network import GroupNetwork, reconstruct
from csgs_codec.hyperprior.tile import Tile
from csgs_codec.numerics.bits import BitWriter
from csgs_codec.numerics.rans import RansEncoder
from csgs_codec.numerics.residuals import encode_residuals

I32 = NDArray[np.int32]

OCTAVES = 4
NEARBY_CHANNELS = 12
NEARBY = 4
OWN_CHANNELS = 6
_OWN_KINDS = (
    GroupKind.SENSITIVITY,
    GroupKind.OPACITY,
    GroupKind.SCALE,
    GroupKind.ROTATION,
    GroupKind.DC,
    GroupKind.SH,
    GroupKind.FEATURE,
)
_CONTEXT_SPREAD = 32.0
# Of the steps and the rate of training, when networks learn what is left of optimised symbols.
AGAIN_SHARE = 0.3
AGAIN_RATE = 0.5
_LEAST_ROWS_FOR_TRAINING = 1500


@dataclass
class Residuals:
    """Symbols of one group in one round of a tile layer."""

    k: I32
    scale_index: NDArray[np.uint8]


@dataclass
class CodedScene:
    """Everything that goes into data chunks."""

    tools: Tools
    tiles: list[Tile]
    residuals: dict[tuple[int, int, int], list[Residuals]] = field(default_factory=dict)
    group_bits: dict[int, float] = field(default_factory=dict)

    def places(self) -> Iterator[tuple[Tile, int]]:
        """Every tile and layer that has Gaussians, earlier layers first."""
        for layer in range(self.tools.header.layers):
            for tile in self.tiles:
                if tile.rows(layer).start < tile.rows(layer).stop:
                    yield tile, layer


@dataclass(frozen=True)
class Costs:
    """What errors of a group cost.

    Attributes
    ----------
    weights : list of ndarray, one per tile, shape (rows,) or (rows, channels, channels), optional
        What a squared error of one base step costs the picture, relative to the target.
    angular : bool
        Whether values are vectors that are compared by angle; needs weights.
    class_errors : list of ClassErrors, one per tile, optional
        What errors do to classes of vectors, instead of the above; needs a constant step.
    """

    weights: list[NDArray[np.float64]] | None = None
    angular: bool = False
    class_errors: list[ClassErrors] | None = None

    def times(self, factors: list[NDArray[np.float64]]) -> Costs:
        """The same with errors that cost more, one factor per Gaussian and array per tile."""
        weights, errors = factors, None
        if self.weights is not None:
            weights = [(w.T * f).T for w, f in zip(self.weights, factors, strict=True)]
        if self.class_errors is not None:
            errors = [e.times(f) for e, f in zip(self.class_errors, factors, strict=True)]
        return Costs(weights, self.angular, errors)


class GroupCoder:
    """Codes a residual group: once, and then again under what its symbols turned out to be.

    Parameters
    ----------
    scene : CodedScene
        Holds the coding of the group and the decoded values of all groups before.
    group : int
    inputs : Inputs
        What the network may see.
    effort : Effort
    seed : int
    costs : Costs
    """

    def __init__(
        self,
        scene: CodedScene,
        group: int,
        inputs: Inputs,
        effort: Effort,
        seed: int,
        costs: Costs = Costs(),
    ) -> None:
        self._scene, self._group = scene, group
        self._inputs, self._effort, self._seed = inputs, effort, seed
        self._costs = costs
        self._fit: _Fit

    def code(self, latents: list[NDArray[np.float64]]) -> None:
        """Fit the network to values and quantise them under it.

        Parameters
        ----------
        latents : list of ndarray, one per tile, shape (rows, channels)
        """
        scene, group = self._scene, self._group
        for tile, values in zip(scene.tiles, latents, strict=True):
            tile.values(group)[:] = np.rint(np.clip(values * 64.0, -(2**29), 2**29))
        self._fit = _Fit(scene, group, self._inputs, self._effort, self._seed)
        self._quantise(self._fit.network(), latents)

    def settle(self, latents: list[NDArray[np.float64]]) -> None:
        """Fit the network to the decoded values, and quantise perhaps others under it for good.

        What was coded before may have changed meanwhile.
        """
        scene, group = self._scene, self._group
        network = scene.tools.networks[group]
        if network.layout.width:
            network = self._fit.network(AGAIN_SHARE, AGAIN_RATE)
            self._quantise(network, latents)
            network = _sharpened(scene, group, network)
        self._quantise(network, latents)

    def nonzero(self) -> list[NDArray[np.bool_]]:
        """Which symbols are not 0, one array per tile, shape (rows, channels)."""
        scene, group = self._scene, self._group
        found = [np.zeros(tile.values(group).shape, np.bool_) for tile in scene.tiles]
        for tile, layer in scene.places():
            coded = scene.residuals[group, layer, tile.index]
            found[tile.index][tile.rows(layer)] = np.concatenate([part.k for part in coded]) != 0
        return found

    def _quantise(self, network: GroupNetwork, latents: list[NDArray[np.float64]]) -> None:
        _quantise(self._scene, self._group, network, latents, self._costs)
        self._scene.tools.networks[self._group] = network


def _sharpened(scene: CodedScene, group: int, network: GroupNetwork) -> GroupNetwork:
    """Lower predicted scales to what is left of the residuals once symbols are optimised."""
    places = scene.places()
    coded = [r for tile, layer in places for r in scene.residuals[group, layer, tile.index]]
    k = np.concatenate([r.k for r in coded])
    index = np.concatenate([r.scale_index for r in coded])
    return network.with_scale_offsets(scale_offsets(k, index))


def _quantise(
    scene: CodedScene,
    group: int,
    network: GroupNetwork,
    latents: list[NDArray[np.float64]],
    costs: Costs,
) -> None:
    """Choose the symbols of a group layer by layer, each under what is decoded by then."""
    coding = scene.tools.codings[group]
    for tile, layer in scene.places():
        rows = tile.rows(layer)
        classes = tile.step_classes(group, coding.rule, layer)
        context = LayerContext(network.layout, tile, layer, classes)
        silent = silent_rows(scene.tools.sentinels, tile, layer, group)
        step = STEP_Q6[classes.astype(np.intp) + LARGEST_CLASS, None] / 64.0
        wanted = latents[tile.index][rows]
        weight = None
        if costs.weights is not None:
            per_base_step = costs.weights[tile.index][rows]
            squared = (step[:, 0] ** 2).reshape(-1, *[1] * (per_base_step.ndim - 1))
            weight = per_base_step * squared
        toward = directions(coding, wanted) if costs.angular else None
        judged = None if costs.class_errors is None else costs.class_errors[tile.index].at(rows)
        values = tile.values(group)[rows]
        coded = []
        for part in tile.rounds(layer):
            own = np.ascontiguousarray(classes[part])
            mu_q6, scale_index = network.predict(context.inputs(part), own)
            mu_q6 += network.blended(tile, layer, part)
            if silent is not None:
                mu_q6[silent[part]] = 0
                scale_index[silent[part]] = 0
            residual = (wanted[part] - mu_q6 / 64.0) / step[part]
            heavy = None if weight is None else weight[part]
            if judged is not None:
                k = judged.at(part).choose(residual, scale_index)
            else:
                k = choose_symbols(residual, scale_index, heavy)
            if toward is not None and heavy is not None:
                k = turn_symbols(k, residual, scale_index, heavy, toward[part])
            values[part] = reconstruct(mu_q6, k, own)
            coded.append(Residuals(k, scale_index))
        scene.residuals[group, layer, tile.index] = coded


class _Fit:
    """Fits the network of a group to the values that its tiles hold."""

    def __init__(
        self, scene: CodedScene, group: int, inputs: Inputs, effort: Effort, seed: int
    ) -> None:
        self._scene, self._group = scene, group
        self._effort, self._seed = effort, seed
        self._layout = context_layout(scene, group, inputs)
        self._blend = fit_blend(scene, group) if inputs.neighbours else None
        self._training: NetworkFit | None = None

    def network(self, share: float = 1.0, rate: float = 1.0) -> GroupNetwork:
        """Train, or go on training with the values that tiles hold now."""
        group, blend = self._group, self._blend
        seen, target, classes = self._rows()
        if self._layout.width == 0 or len(target) < _LEAST_ROWS_FOR_TRAINING:
            return GroupNetwork(group, ContextLayout(), static_mlp(target, classes), blend)
        if self._training is None:
            self._training = NetworkFit(target, seen.shape[1], self._effort, self._seed)
        try:
            mlp = self._training.train(seen, target, classes, share, rate)
        except CorruptError:  # steps so fine that predictions leave the range of networks
            return GroupNetwork(group, ContextLayout(), static_mlp(target, classes), blend)
        return GroupNetwork(group, self._layout, mlp, blend)

    def _rows(self) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int8]]:
        """Contexts, values beyond what neighbours foretell, and step classes."""
        scene, group, blend = self._scene, self._group, self._blend
        coding = scene.tools.codings[group]
        seen = [np.zeros((0, self._layout.width), np.uint8)]
        wanted = [np.zeros((0, coding.channels), np.float32)]
        classes = [np.zeros(0, np.int8)]
        everything = slice(None)
        for tile, layer in scene.places():
            step_classes = tile.step_classes(group, coding.rule, layer)
            rows = LayerContext(self._layout, tile, layer, step_classes).inputs(everything)
            target = tile.values(group)[tile.rows(layer)].astype(np.float32) / np.float32(64)
            if blend is not None:
                near = tile.neighbours(layer)
                target -= blend.predict(tile.values(group), near) / np.float32(64)
            silent = silent_rows(scene.tools.sentinels, tile, layer, group)
            heard = everything if silent is None else ~silent
            seen.append(rows[heard])
            wanted.append(target[heard])
            classes.append(step_classes[heard])
        if sum(map(len, classes)) == 0:
            wanted.append(np.zeros((1, coding.channels), np.float32))
            classes.append(np.zeros(1, np.int8))
        return np.concatenate(seen), np.concatenate(wanted), np.concatenate(classes)


def context_layout(scene: CodedScene, group: int, inputs: Inputs) -> ContextLayout:
    """Inputs of a group's network: the earlier groups of the same Gaussian, and neighbours."""
    if inputs.none:
        return ContextLayout()
    declared = scene.tools.header.groups
    own = tuple(
        _normalised(scene, earlier, OWN_CHANNELS)
        for earlier in range(group)
        if inputs.own and _is_context(declared[earlier].kind, declared[group].kind)
    )
    return ContextLayout(
        octaves=OCTAVES if inputs.position else 0,
        layer_inputs=scene.tools.header.layers,
        neighbours=NEARBY if inputs.neighbours else 0,
        nearby=_normalised(scene, group, NEARBY_CHANNELS) if inputs.neighbours else None,
        own=own,
        step_class=inputs.own and not scene.tools.codings[group].rule.constant,
    )


def _is_context(earlier: GroupKind, kind: GroupKind) -> bool:
    """Semantics look at everything but SH, so that they can be decoded without."""
    return earlier in _OWN_KINDS and not (earlier is GroupKind.SH and kind is GroupKind.SEMANTIC)


def _normalised(scene: CodedScene, group: int, most: int) -> ContextChannels:
    width = min(most, scene.tools.header.groups[group].channels)
    values = np.concatenate([tile.values(group)[:, :width] for tile in scene.tiles])
    spread = np.maximum(values.std(axis=0) / _CONTEXT_SPREAD, 1.0)
    shift = np.clip(np.rint(np.log2(spread)), 0, 30).astype(np.uint8)
    return ContextChannels(group, np.rint(values.mean(axis=0)).astype(np.int32), shift)


def code_labels(
    scene: CodedScene, group: int, labels: list[NDArray[np.int64]], always: tuple[int, ...] = ()
) -> None:
    """Turn labels into palette indices and fit their tables.

    Parameters
    ----------
    scene : CodedScene
    group : int
    labels : list of ndarray, one per tile, shape (rows,)
    always : tuple of int
        Values that the palette holds even where no row has them.
    """
    palette = np.unique(np.concatenate([*labels, np.array(always, np.int64)]))
    for tile, values in zip(scene.tiles, labels, strict=True):
        tile.values(group)[:, 0] = np.searchsorted(palette, values)
    layers = [
        (
            tile.values(group)[tile.rows(layer), 0],
            tile.values(group)[:, 0],
            tile.neighbours(layer),
        )
        for tile, layer in scene.places()
    ]
    scene.tools.labels[group] = fit_labels(palette, layers)


def encode_chunk(scene: CodedScene, tile: Tile, layer: int, groups: tuple[int, ...]) -> bytes:
    """Entropy-code the groups of a pass in one tile; returns rANS blob and plain bits."""
    rans, bits = RansEncoder(), BitWriter()
    for group in groups:
        before = rans.cost + bits.size
        _encode_group(scene, tile, layer, group, rans, bits)
        spent = rans.cost + bits.size - before
        scene.group_bits[group] = scene.group_bits.get(group, 0.0) + spent
    stream = rans.finish()
    return np.array(len(stream), "<u4").tobytes() + stream + bits.finish()


def _encode_group(
    scene: CodedScene, tile: Tile, layer: int, group: int, rans: RansEncoder, bits: BitWriter
) -> None:
    tools = scene.tools
    kind = tools.header.groups[group].kind
    rows = tile.rows(layer)
    if kind is GroupKind.POSITION:
        earlier = tile.earlier_keys(layer)
        encode_keys(tile.keys[rows], earlier, tile.depth, tools.position_tables, rans, bits)
    elif kind is GroupKind.POSITION_FINE:
        widths = tile.step_classes(group, tools.fine_rules[group], layer).astype(np.uint8)
        fine = tile.values(group)[rows].reshape(-1).astype(np.uint64)
        bits.put(fine, np.repeat(widths, 3))
    elif kind in LABEL_KINDS:
        labels, found = tile.values(group)[:, 0], tile.neighbours(layer)
        for part in tile.rounds(layer):
            target = labels[rows][part]
            encode_labels(tools.labels[group], target, labels, found.part(part), rans, bits)
    else:
        for coded in scene.residuals[group, layer, tile.index]:
            encode_residuals(coded.k, coded.scale_index, rans, bits)
