"""Sixteen pixels as one value inside numba kernels: LLVM vectors with Python operators.

A row of a tile is 16 neighbouring pixels. Kernels load such a row, compute with ``+ - * /``,
comparisons and :func:`select`, and store it; scalars spread over all lanes. LLVM splits the vectors
into the widest registers that the machine has. ``contract`` lets it fuse multiply and add.
"""

from __future__ import annotations

import operator

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
_FLAGS = ("contract", "nsz")
_F32 = ir.VectorType(ir.FloatType(), LANES)
_I32 = ir.VectorType(ir.IntType(32), LANES)
_I1 = ir.VectorType(ir.IntType(1), LANES)


class Lanes(types.Type):
    """Type of 16 values side by side; ``element`` is float32, int32 or boolean."""

    def __init__(self, element):
        self.element = element
        super().__init__(name=f"lanes({element})")


floats, ints, mask = Lanes(types.float32), Lanes(types.int32), Lanes(types.boolean)
_LLVM = {floats: _F32, ints: _I32, mask: _I1}


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        super().__init__(manager, lanes, _LLVM[lanes])


def _spread(builder, scalar):
    """All lanes hold the scalar."""
    vector = ir.VectorType(scalar.type, LANES)
    first = builder.insert_element(ir.Constant(vector, None), scalar, ir.IntType(32)(0))
    order = ir.Constant(_I32, [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(vector, None), order)


def _constant(builder, value):
    return _spread(builder, ir.FloatType()(value))


def _operator(function, accepted, emit, result=None):
    """Give an operator of Python a meaning for lanes, and for lanes with a scalar."""

    class Template(AbstractTemplate):
        key = function

        def generic(self, args, kws):
            lanes = [a for a in args if isinstance(a, Lanes)]
            if kws or not lanes or lanes[0] not in accepted or any(a != lanes[0] for a in lanes):
                return None
            wide, element = lanes[0], lanes[0].element
            wanted = [wide if isinstance(a, Lanes) else element for a in args]
            return signature(result or wide, *wanted)

    infer_global(function)(Template)

    def lower(context, builder, sig, args):
        wide = [
            value if isinstance(kind, Lanes) else _spread(builder, value)
            for kind, value in zip(sig.args, args, strict=True)
        ]
        kind = next(a for a in sig.args if isinstance(a, Lanes))
        return emit(builder, kind, *wide)

    for element in {kind.element for kind in accepted}:
        lower_builtin(function, Lanes, element)(lower)
        lower_builtin(function, element, Lanes)(lower)
    lower_builtin(function, Lanes, Lanes)(lower)
    lower_builtin(function, Lanes)(lower)


def _arithmetic(name):
    return lambda builder, _, a, b: getattr(builder, name)(a, b, flags=_FLAGS)


def _comparison(symbol):
    def emit(builder, kind, a, b):
        if kind is floats or kind.element == types.float32:
            return builder.fcmp_ordered(symbol, a, b, flags=_FLAGS)
        return builder.icmp_signed(symbol, a, b)

    return emit


for _function, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_function, (floats,), _arithmetic(_name))
for _function, _name in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
):
    _operator(_function, (floats, ints), _comparison(_name), mask)
_operator(operator.and_, (mask,), lambda builder, _, a, b: builder.and_(a, b))
_operator(operator.invert, (mask,), lambda builder, _, a: builder.not_(a))
_operator(operator.neg, (floats,), lambda builder, _, a: builder.fneg(a, flags=_FLAGS))


def _address(context, builder, array_type, array, at):
    view = context.make_array(array_type)(context, builder, array)
    kind = ir.VectorType(context.get_data_type(array_type.dtype), LANES)
    return builder.bitcast(builder.gep(view.data, [at]), kind.as_pointer())


@intrinsic
def load(typingctx, array, at):
    """Lanes at ``at .. at + 15`` of a contiguous one-dimensional float32 or int32 array.

    Those of a uint16 array become floats.
    """
    result = {types.float32: floats, types.int32: ints, types.uint16: floats}[array.dtype]

    def emit(context, builder, sig, args):
        address = _address(context, builder, sig.args[0], *args)
        if array.dtype == types.uint16:
            return builder.uitofp(builder.load(address, align=2), _F32)
        return builder.load(address, align=4)

    return signature(result, array, types.intp), emit


@intrinsic
def store(typingctx, array, at, value):
    """Write lanes to ``at .. at + 15`` of a contiguous one-dimensional array.

    Floats, 0 to 65535, lose their fraction in a uint16 array.
    """

    def emit(context, builder, sig, args):
        address = _address(context, builder, sig.args[0], *args[:2])
        if array.dtype == types.uint16:
            whole = builder.fptoui(args[2], ir.VectorType(ir.IntType(16), LANES))
            builder.store(whole, address, align=2)
        else:
            builder.store(args[2], address, align=4)
        return context.get_dummy_value()

    return signature(types.void, array, types.intp, value), emit


@intrinsic
def spread(typingctx, scalar):
    """All lanes hold a float32 scalar."""
    return signature(floats, types.float32), lambda c, builder, sig, args: _spread(builder, args[0])


@intrinsic
def lane_numbers(typingctx):
    """Return 0, 1, .. 15 as floats."""
    numbers = ir.Constant(_F32, [float(i) for i in range(LANES)])
    return signature(floats), lambda context, builder, sig, args: numbers


@intrinsic
def select(typingctx, condition, yes, no):
    """``yes`` in lanes where the condition holds, ``no`` elsewhere; either may be a scalar."""
    wide = yes if isinstance(yes, Lanes) else no if isinstance(no, Lanes) else floats
    kinds = [k if isinstance(k, Lanes) else wide.element for k in (yes, no)]

    def emit(context, builder, sig, args):
        values = [
            value if isinstance(kind, Lanes) else _spread(builder, value)
            for kind, value in zip(sig.args[1:], args[1:], strict=True)
        ]
        return builder.select(args[0], *values)

    return signature(wide, mask, *kinds), emit


@intrinsic
def some(typingctx, condition):
    """Whether the condition holds in any lane."""

    def emit(context, builder, sig, args):
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], ir.IntType(16)), _zero16)

    _zero16 = ir.IntType(16)(0)
    return signature(types.boolean, mask), emit


@intrinsic
def to_bits(typingctx, condition):
    """Lanes of a condition as the bits of a uint16."""
    return signature(types.uint16, mask), lambda context, builder, sig, args: builder.bitcast(
        args[0], ir.IntType(16)
    )


@intrinsic
def from_bits(typingctx, bits):
    """Undo :func:`to_bits`."""
    return signature(mask, types.uint16), lambda context, builder, sig, args: builder.bitcast(
        args[0], _I1
    )


@intrinsic
def total(typingctx, value):
    """Sum over the lanes."""

    def emit(context, builder, sig, args):
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), _F32])
        function = cgutils.get_or_insert_function(
            builder.module, kind, "llvm.vector.reduce.fadd.v16f32"
        )
        return builder.call(function, [ir.FloatType()(-0.0), args[0]], fastmath=("reassoc", "nsz"))

    return signature(types.float32, floats), emit


@intrinsic
def _floor(typingctx, value):
    def emit(context, builder, sig, args):
        kind = ir.FunctionType(_F32, [_F32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.floor.v16f32")
        return builder.call(function, [args[0]])

    return signature(floats, floats), emit


@intrinsic
def _power_of_two(typingctx, exponent):
    """2 to the power of whole numbers from -126 to 127, built from the bits of a float."""

    def emit(context, builder, sig, args):
        whole = builder.fptosi(args[0], _I32)
        biased = builder.add(whole, ir.Constant(_I32, [127] * LANES))
        return builder.bitcast(builder.shl(biased, ir.Constant(_I32, [23] * LANES)), _F32)

    return signature(floats, floats), emit


_LOWEST, _LOG2_E, _HALF, _ONE = (np.float32(v) for v in (-87, 1.4426950408889634, 0.5, 1))
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_P5, _P4, _P3, _P2, _P1, _P0 = (
    np.float32(v)
    for v in (
        1.9875691500e-4,
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        5.0000001201e-1,
    )
)


@njit(inline="always")
def exp(x):
    """Exponential for x <= 0, at least exp(-87); relative error about 1e-7."""
    x = select(x < _LOWEST, _LOWEST, x)
    n = _floor(x * _LOG2_E + _HALF)
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    p = ((((_P5 * r + _P4) * r + _P3) * r + _P2) * r + _P1) * r + _P0
    return (p * (r * r) + r + _ONE) * _power_of_two(n)
