"""Hyperbolic functions and their inverses: sinh, cosh, asinh, acosh, atanh."""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    at_most,
    choice,
    exact_sum,
    format_of,
    nearest,
    number,
    polynomial,
    with_sign,
)
from cresset.kernels.mathematics.logarithm import LN2, LOG2_E, log_of_sum
from cresset.runtime import ir

# (sinh r / r - 1) / r^2 in r^2, for |r| <= ln 2 / 2; the error of sinh r is 2^-26.2 and 2^-61.7.
SINH = {
    "float": (0.16666543, 0.008366542),
    "double": (
        0.16666666666666677, 0.008333333333321376, 0.00019841269886867007, 2.755724337690127e-06,
        2.5109354771532388e-08,
    ),
}  # fmt: skip

# (cosh r - 1) / r^2 in r^2, for |r| <= ln 2 / 2; the error of cosh r is 2^-29.9 and 2^-58.
COSH = {
    "float": (0.5, 0.041666266, 0.0013946273),
    "double": (
        0.5000000000000013, 0.041666666666510456, 0.0013888888948361139, 2.4801488499505856e-05,
        2.763181280712578e-07,
    ),
}  # fmt: skip


def sinh(f: ir.Function, x: ir.Value) -> ir.Value:
    """(e^x - e^-x) / 2"""
    sines, cosines, r, sine, cosine, factor = _parts(f, x)
    rest = f.fma(cosines, sine, sines * cosine)
    return with_sign(f, (sines + f.fma(cosines, r, rest)) * factor, x)


def cosh(f: ir.Function, x: ir.Value) -> ir.Value:
    """(e^x + e^-x) / 2"""
    sines, cosines, r, sine, cosine, factor = _parts(f, x)
    rest = f.fma(sines, sine, cosines * cosine)
    return (cosines + f.fma(sines, r, rest)) * factor


def _parts(f, x):
    """For |x| = n ln 2 + r: sinh and cosh of n ln 2, to be scaled by the last of all; r, and what
    sinh r and cosh r are more than r and 1.
    """
    form = format_of(x)
    high, low = LN2[form.name]
    # At the bound the result has overflowed already.
    size = at_most(f, absolute(f, x), {"float": 89.5, "double": 710.6}[form.name])
    n, n_bits = nearest(f, size, LOG2_E)
    r = f.fma(n, -low, f.fma(n, -high, size))
    square = r * r
    sine = polynomial(f, square, SINH[form.name]) * square * r
    cosine = polynomial(f, square, COSH[form.name]) * square
    # 2^(n - 1) and 2^(-n - 1), or zero. The last binades are reached by doubling.
    large = size > 64.0
    shifted = n_bits << form.mantissa
    one = choice(f, large, shifted.type, form.power(-2), form.power(-1))
    grown = number(f, shifted + one)
    shrunk = form.power(-1) - shifted
    shrunk = number(f, f.select(shrunk < 0, 0, shrunk))
    factor = choice(f, large, x.type, 2.0, 1.0)
    return grown - shrunk, grown + shrunk, r, sine, cosine, factor


def asinh(f: ir.Function, x: ir.Value) -> ir.Value:
    """The inverse of sinh: log(x + sqrt(x^2 + 1))."""
    size = absolute(f, x)
    # 1 + w for w = |x| + x^2 / (1 + sqrt(x^2 + 1)), where x^2 does not overflow.
    root = f.intrinsic("sqrt", f.fma(size, size, 1.0))
    above, above_rest = exact_sum(f, size, size * size / (root + 1.0))
    sum, rest = _one_more(f, above, above_rest)
    return with_sign(f, _log_or_of_double(f, size, sum, rest), x)


def acosh(f: ir.Function, x: ir.Value) -> ir.Value:
    """The inverse of cosh: log(x + sqrt(x^2 - 1)); NaN below 1."""
    sum, rest = exact_sum(f, x, f.intrinsic("sqrt", f.fma(x, x, -1.0)))
    return f.select(x < 1.0, math.nan, _log_or_of_double(f, x, sum, rest))


def atanh(f: ir.Function, x: ir.Value) -> ir.Value:
    """The inverse of tanh: log((1 + x) / (1 - x)) / 2; NaN beyond -1 and 1."""
    # 1 + w for w = 2 |x| / (1 - |x|), with what the division lost.
    size = absolute(f, x)
    double = size + size
    divisor, divisor_rest = exact_sum(f, f.value(x.type, 1.0), -size)
    inverse = 1.0 / divisor
    above = double * inverse
    lost = f.fma(-above, divisor_rest, f.fma(-above, divisor, double)) * inverse
    sum, rest = _one_more(f, above, lost)
    return with_sign(f, log_of_sum(f, sum, rest) * 0.5, x)


def _one_more(f, x, rest):
    """1 + x + rest as a sum and what it lost, for x >= 0."""
    sum = x + 1.0
    return sum, (x - (sum - 1.0)) + rest


def _log_or_of_double(f, x, sum, rest):
    """log(sum + rest), but log(2 x) where x is so large that x^2 overflows."""
    large = x > {"float": 2.0**60, "double": 2.0**500}[format_of(x).name]
    sum = f.select(large, x, sum)
    rest = f.select(large, 0.0, rest)
    return log_of_sum(f, sum, rest) + choice(f, large, x.type, math.log(2), 0.0)
