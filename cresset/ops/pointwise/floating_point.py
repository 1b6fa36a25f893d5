"""Numbers as the machine holds them: signs, neighbours, exponents, infinities and NaN."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core import return_types, scalar
from cresset.core.tensor import Number, Tensor
from cresset.ops.kinds import elementwise
from cresset.ops.operation import method, real_only
from cresset.ops.out import with_out

__all__ = ["copysign", "fmax", "fmin", "frexp", "heaviside", "isneginf", "isposinf", "isreal",
           "ldexp", "ldexp_", "nan_to_num", "nextafter", "signbit"]

INFINITY = float("inf")


def floating(operation: str, *operands) -> None:
    """Refuse scalar operands that are no real floating-point numbers, as PyTorch does."""
    for x in operands:
        if x.dtype.is_complex:
            raise scalar.NotComplexError(operation, x.dtype)
        if not x.dtype.is_floating_point:
            raise NotImplementedError(
                f"{operation}: is of floating-point numbers alone; got {x.dtype}; need a floating "
                "type; convert with .to(cresset.float32)"
            )


@method()
@elementwise
def signbit(x):
    """Where the sign is negative, that of -0.0 included.

    >>> import cresset
    >>> cresset.signbit(cresset.tensor([-0.0, 0.0, -3.0]))
    tensor([ True, False,  True])
    """
    return scalar.signbit(x) if x.dtype.is_floating_point else x < scalar.constant(0, x.dtype)


@method()
@elementwise(promote="float")
def copysign(x, y):
    """|x| with the sign of y, that of -0.0 too; integers become floats.

    >>> import cresset
    >>> cresset.copysign(cresset.tensor([1.0, -2.0]), -0.0)
    tensor([-1., -2.])
    """
    return scalar.copysign(x, y)


@copysign.gradient
def _copysign_gradient(g, x, y):
    return scalar.where(scalar.eq(x, 0.0), 0.0, g * scalar.copysign(scalar.sign(x), x * y)), g * 0.0


@method()
@elementwise
def nextafter(x, y: Tensor):
    """The number next to x in the direction of y; y where they are equal.

    >>> import cresset
    >>> cresset.nextafter(cresset.tensor([1.0]), cresset.tensor([2.0])) - 1
    tensor([1.1921e-07])
    """
    floating("nextafter", x, y)
    return scalar.nextafter(x, y)


@nextafter.gradient
def _nextafter_gradient(g, x, y):
    same = scalar.eq(x, y)
    return scalar.where(same, 0.0, g), scalar.where(same, g, 0.0)


@elementwise
def exponents(x):
    """The e of x = m * 2**e with 1/2 <= |m| < 1, as int32; 0 for zeros, infinities and NaN."""
    return scalar.cast(scalar.exponent(x), types.int32)


@elementwise
def significands(x):
    """The m of x = m * 2**e with 1/2 <= |m| < 1; zeros, infinities and NaN themselves."""
    return scalar.significand(x)


@with_out
def frexp(input):
    """(mantissa, exponent) with input = mantissa * 2**exponent and 1/2 <= |mantissa| < 1.

    The exponent is int32. Zeros, infinities and NaN are their own mantissa, with exponent 0.

    >>> import cresset
    >>> cresset.frexp(cresset.tensor([12.0, 0.0]))
    torch.return_types.frexp(
    mantissa=tensor([0.7500, 0.0000]),
    exponent=tensor([4, 0], dtype=torch.int32))
    """
    if not input.dtype.is_floating_point:
        raise RuntimeError(
            f"frexp: is of floating-point numbers alone; got {input.dtype}; "
            "convert with .to(cresset.float32)"
        )
    return return_types.frexp((significands(input), exponents(input)))


Tensor.frexp = frexp


@method()
@elementwise(promote="float")
def ldexp(x, y: Tensor):
    """x * 2**y, without overflow on the way but for complex numbers; integers become floats.

    >>> import cresset
    >>> cresset.ldexp(cresset.tensor([1.0, 3.0]), cresset.tensor([3, -1]))
    tensor([8.0000, 1.5000])
    """
    if x.dtype.is_complex:
        return x * scalar.exp2(y)
    half = scalar.floor(scalar.maximum(scalar.minimum(y, 4000.0), -4000.0) * 0.5)
    return x * scalar.exp2(half) * scalar.exp2(y - half)


ldexp_ = ldexp.in_place


def _greatest(d):
    """The greatest finite number of a floating type."""
    digits, exponent = {types.float16: (11, 15), types.bfloat16: (8, 127),
                        types.float32: (24, 127)}.get(d, (53, 1023))
    return (2.0 - 2.0 ** (1 - digits)) * 2.0**exponent


@method()
@elementwise
def nan_to_num(x, nan: Number | None = None, posinf: Number | None = None,
               neginf: Number | None = None):
    """x with NaN replaced by `nan` (0 by default) and the infinities by `posinf` and `neginf`.

    The infinities become the greatest and the least number of the type where nothing else is given.

    >>> import cresset
    >>> inf = float("inf")
    >>> cresset.nan_to_num(cresset.tensor([float("nan"), inf, 1.0]), posinf=9)
    tensor([0., 9., 1.])
    """
    # Numbers come in the type of x.
    nan, posinf, neginf = (
        None if number is None else scalar.real(number) for number in (nan, posinf, neginf)
    )
    if x.dtype.is_complex:
        return scalar.join(_replaced(scalar.real(x), nan, posinf, neginf),
                           _replaced(scalar.imaginary(x), nan, posinf, neginf))
    return _replaced(x, nan, posinf, neginf)


def _replaced(x, nan, posinf, neginf):
    if not x.dtype.is_floating_point:
        return x
    high = _greatest(x.dtype) if posinf is None else posinf
    low = -_greatest(x.dtype) if neginf is None else neginf
    finite = scalar.where(scalar.eq(x, INFINITY), high,
                          scalar.where(scalar.eq(x, -INFINITY), low, x))
    return scalar.where(scalar.isnan(x), 0.0 if nan is None else nan, finite)


@method()
@real_only
@elementwise
def isposinf(x):
    """Where x is plus infinity."""
    return scalar.eq(x, INFINITY) if x.dtype.is_floating_point else scalar.ne(x, x)


@method()
@real_only
@elementwise
def isneginf(x):
    """Where x is minus infinity."""
    return scalar.eq(x, -INFINITY) if x.dtype.is_floating_point else scalar.ne(x, x)


@method()
@elementwise
def isreal(x):
    """Where x has no imaginary part."""
    return scalar.eq(scalar.imaginary(x), 0)


@method()
@elementwise(promote="same")
def heaviside(x, values: Tensor):
    """The step function: 0 below zero, 1 above, `values` at zero; both tensors of one type.

    >>> import cresset
    >>> cresset.heaviside(cresset.tensor([-2.0, 0.0, 2.0]), cresset.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    zero = scalar.constant(0, x.dtype)
    return scalar.where(scalar.eq(x, zero), values, scalar.cast(zero < x, x.dtype))


@heaviside.gradient
def _heaviside_gradient(g):
    return NotImplemented, NotImplemented


@method()
@elementwise
def fmax(x, y: Tensor):
    """The greater of both; where one of them is NaN, the other.

    >>> import cresset
    >>> cresset.fmax(cresset.tensor([1.0, float("nan")]), cresset.tensor([0.0, 2.0]))
    tensor([1., 2.])
    """
    greater = scalar.where(scalar.le(y, x), x, y)
    return scalar.where(scalar.isnan(y), x, greater)


@method()
@elementwise
def fmin(x, y: Tensor):
    """The lesser of both; where one of them is NaN, the other."""
    lesser = scalar.where(scalar.le(x, y), x, y)
    return scalar.where(scalar.isnan(y), x, lesser)
