"""Compiled kernels of the integer network, and the decoding of a whole residual group with it.

Rows are taken in blocks and stand side by side, so that every loop runs along them, whatever the
widths of the network. Weights come packed by :class:`csgs_codec.numerics.mlp.IntegerMlp`. Numbers
are integers below ``2**24`` in float32: neither the order of sums nor fused multiplication matters.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from csgs_codec.numerics.numba_entropy import decode_symbol
from csgs_codec.numerics.numba_options import OPTIONS

BLOCK = 64
VECTOR = 16
OUTPUTS = 4
_TOP = np.float32(255.0)


@intrinsic
def _products(typing, x, inputs, lane, weights, at, bias, y, first):
    """``y[first:first+4, lane:lane+16] = bias + weights . x``; the sums stay in registers."""
    lanes, number = ir.VectorType(ir.FloatType(), VECTOR), ir.IntType(64)

    def generate(context, builder, signature, values):
        arrays = {
            place: context.make_array(signature.args[place])(context, builder, values[place])
            for place in (0, 3, 5, 6)
        }
        inputs, lane, at, first = (values[place] for place in (1, 2, 4, 7))
        block = ir.Constant(number, BLOCK)

        def pointer(place, offset):
            return builder.gep(arrays[place].data, [offset])

        def vector(scalar):
            empty = ir.Constant(lanes, ir.Undefined)
            one = builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
            same = ir.Constant(ir.VectorType(ir.IntType(32), VECTOR), [0] * VECTOR)
            return builder.shuffle_vector(one, empty, same)

        def wide(place, offset):
            return builder.bitcast(pointer(place, offset), lanes.as_pointer())

        multiply_add = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(lanes, [lanes] * 3), f"llvm.fmuladd.v{VECTOR}f32"
        )
        places = [builder.add(first, ir.Constant(number, j)) for j in range(OUTPUTS)]
        begin = [vector(builder.load(pointer(5, place))) for place in places]
        before = builder.block
        head = builder.append_basic_block("head")
        body = builder.append_basic_block("body")
        done = builder.append_basic_block("done")
        builder.branch(head)
        builder.position_at_end(head)
        k = builder.phi(number)
        k.add_incoming(ir.Constant(number, 0), before)
        sums = [builder.phi(lanes) for _ in range(OUTPUTS)]
        for total, value in zip(sums, begin, strict=True):
            total.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed("<", k, inputs), body, done)
        builder.position_at_end(body)
        row = builder.load(wide(0, builder.add(builder.mul(k, block), lane)), align=4)
        column = builder.add(at, builder.mul(k, ir.Constant(number, OUTPUTS)))
        for j, total in enumerate(sums):
            weight = builder.load(pointer(3, builder.add(column, ir.Constant(number, j))))
            total.add_incoming(builder.call(multiply_add, [row, vector(weight), total]), body)
        k.add_incoming(builder.add(k, ir.Constant(number, 1)), body)
        builder.branch(head)
        builder.position_at_end(done)
        for place, total in zip(places, sums, strict=True):
            builder.store(total, wide(6, builder.add(builder.mul(place, block), lane)), align=4)
        return context.get_dummy_value()

    return types.void(x, types.int64, types.int64, weights, types.int64, bias, y, types.int64), (
        generate
    )


@njit(**OPTIONS)
def buffers(widths):
    """Two buffers of activations for :func:`forward`."""
    widest = 0
    for layer in range(widths.shape[0]):
        widest = max(widest, widths[layer])
    return np.zeros((widest + 3, 64), np.float32), np.zeros((widest + 3, 64), np.float32)


@njit(**OPTIONS)
def load(columns, begin, rows, x):
    """Take the inputs of one block of rows."""
    for k in range(columns.shape[0]):
        for r in range(rows):
            x[k, r] = columns[k, np.uint64(begin + r)]


@njit(**OPTIONS)
def forward(widths, weights, bias, scale, x, y):
    """All layers for one block; return the buffer with the outputs, which are not yet floored."""
    weight_at = 0
    bias_at = 0
    layers = scale.shape[0]
    for layer in range(layers):
        inputs, outputs = widths[layer], widths[layer + 1]
        padded = (outputs + 3) & ~3
        own = bias[bias_at : bias_at + padded]
        for first in range(0, padded, 4):
            for lane in range(0, 64, VECTOR):
                _products(x, inputs, lane, weights, weight_at, own, y, first)
            weight_at += 4 * inputs
        bias_at += padded
        factor = scale[layer]
        if layer < layers - 1:
            for j in range(outputs):
                for r in range(64):
                    value = np.floor(y[j, r] * factor)
                    y[j, r] = min(max(value, np.float32(0.0)), _TOP)
        else:
            for j in range(outputs):
                for r in range(64):
                    y[j, r] = np.floor(y[j, r] * factor)
        x, y = y, x
    return x


@njit(
    "void(uint8[:,::1], int64[::1], float32[::1], float32[::1], float32[::1], int8[::1],"
    " boolean[::1], int64, int32[::1], int64, uint16[::1], uint32[::1], uint8[:,::1],"
    " uint32[:,::1], uint32[:,::1], int32[::1], int32[:,::1], int32[::1], uint8[::1], int64[::1])",
    **OPTIONS,
)
def group_decode(
    columns,
    widths,
    weights,
    bias,
    scale,
    classes,
    silent,
    per_class,
    step_q6,
    zero_class,
    words,
    states,
    symbol_of_group,
    cdf,
    start_and_frequency,
    half_width,
    v_q6,
    escaped,
    escaped_index,
    counts,
):
    """Predict, read and reconstruct one group; an escape counts as residual 0 and is listed.

    ``v_q6`` comes with the blend of the neighbours and leaves with the values. ``silent`` is empty
    where no row is silent. ``counts`` holds the index of the next word, and receives it, the number
    of escapes and the largest magnitude of a value.
    """
    channels = v_q6.shape[1]
    x, y = buffers(widths)
    index = np.zeros((channels, 64), np.uint8)
    at = counts[0]
    last = words.shape[0] - 1
    escapes = 0
    largest = np.int32(0)
    lane = 0
    for begin in range(0, v_q6.shape[0], 64):
        rows = min(64, v_q6.shape[0] - begin)
        load(columns, begin, rows, x)
        out = forward(widths, weights, bias, scale, x, y)
        for c in range(channels):
            for r in range(rows):
                shifted = (np.int32(out[channels + c, r]) + np.int32(32)) >> np.int32(6)
                shifted -= np.int32(per_class) * np.int32(classes[begin + r])
                index[c, r] = min(max(shifted, np.int32(0)), np.int32(63))
        for r in range(rows):
            row = begin + r
            if silent.shape[0] > 0 and silent[row]:
                for c in range(channels):
                    v_q6[row, c] = 0
                continue
            step = step_q6[classes[row] + zero_class]
            for c in range(channels):
                value = np.int32(out[c, r]) + v_q6[row, c]
                table = index[c, r]
                if table > 0:
                    symbol, at = decode_symbol(
                        words, at, last, states, lane, table, symbol_of_group, cdf,
                        start_and_frequency,
                    )  # fmt: skip
                    lane = (lane + 1) & 31
                    h = half_width[table]
                    k = symbol - h
                    if k > h:
                        escaped[escapes] = row * channels + c
                        escaped_index[escapes] = table
                        escapes += 1
                    else:
                        value += np.int32(k) * step
                largest = max(largest, abs(value))
                v_q6[row, c] = value
    counts[0] = at
    counts[1] = escapes
    counts[2] = largest
