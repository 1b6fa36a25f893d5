"""Elementwise functions in the standard's meaning: promotion, Python numbers, special values."""

from __future__ import annotations

import cresset
from cresset import Tensor
from cresset.array_api.types import as_array, promoted

_AS_THEY_ARE = (
    "add", "atan2", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "copysign", "divide", "greater", "greater_equal", "hypot", "less", "less_equal",
    "logaddexp", "logical_and", "logical_or", "logical_xor", "maximum", "minimum", "multiply",
    "nextafter", "not_equal", "pow", "remainder", "subtract",
)
"""Functions of two arrays that differ in promotion alone."""

__all__ = [*_AS_THEY_ARE, "clip", "equal", "expm1", "floor_divide", "sign", "tanh"]
globals().update({name: promoted(getattr(cresset, name)) for name in _AS_THEY_ARE})


def _equal(x1, x2, /):
    """Where elements are equal; `cresset.equal` tells whether all are, in one truth.

    >>> from cresset import array_api
    >>> array_api.equal(array_api.asarray([1, 2]), 2)
    tensor([False,  True])
    """
    return cresset.eq(x1, x2)


equal = promoted(_equal)


def _floor_divide(x1, x2, /):
    """The quotient rounded down.

    Where an operand is infinite it is that of the rounded quotient: infinity // 2 is infinity and
    -2 // infinity is -0, where PyTorch has NaN and -1.

    >>> from cresset import array_api
    >>> array_api.floor_divide(array_api.asarray([float("inf"), -5.0]), 2.0)
    tensor([inf, -3.])
    """
    found = cresset.floor_divide(x1, x2)
    if not x1.is_floating_point():
        return found
    return cresset.where(x1.isinf() | x2.isinf(), (x1 / x2).floor(), found)


floor_divide = promoted(_floor_divide)


def sign(x, /):
    """-1, 0 or 1; x / |x| for complex numbers; NaN for NaN, where PyTorch has 0."""
    if x.is_complex():
        return cresset.where(x == 0, 0, x.sgn())
    return cresset.where(x.isnan(), x, x.sign()) if x.is_floating_point() else x.sign()


def expm1(x, /):
    """exp(x) - 1, exact near zero; a complex result's real zero is not negative."""
    found = cresset.expm1(x)
    return cresset.complex(found.real + 0.0, found.imag) if x.is_complex() else found


def tanh(x, /):
    """The hyperbolic tangent; beside a real part of 1 or -1 for an infinite one, the imaginary zero
    has the sign of x's, where C99 has that of sin(2 y).
    """
    found = cresset.tanh(x)
    if not x.is_complex():
        return found
    limit = cresset.complex(found.real, cresset.zeros_like(x.imag).copysign(x.imag))
    return cresset.where(x.real.isinf() & x.imag.isfinite(), limit, found)


def clip(x, /, min=None, max=None):
    """x within bounds that are numbers, arrays or None, in the type of x; a copy without bounds."""
    if min is None and max is None:
        return x.clone()
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        min, max = (None if bound is None else as_array(bound, x.dtype, x.device)
                    for bound in (min, max))
    return cresset.clip(x, min, max)
