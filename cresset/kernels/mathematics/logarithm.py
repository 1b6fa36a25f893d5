"""Logarithms: log, log2, log10, log1p.

All write x = 2^k m with m in [sqrt 1/2, sqrt 2), d = m - 1 and s = d / (m + 1), so that
log m = 2 artanh s = 2 s + s R(s^2). As 2 s = d - s d this is d - s (d - R), where the exact d
leads and what is rounded is small.
"""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    Format,
    bits,
    choice,
    exact_sum,
    format_of,
    number,
    polynomial,
)
from cresset.runtime import ir

LOG2_E = 1.4426950408889634
LOG10_E = 0.4342944819032518
LOG10_2 = 0.3010299956639812

# ln 2 in two parts: the first rounded to the format, or short enough to be multiplied by any k.
LN2 = {
    "float": (0.6931471824645996, -1.904654299957768e-09),
    "double": (0.6931471805599453, 2.3190468138462996e-17),
}
LN2_SHORT = {
    "float": (0.693145751953125, 1.4286068203094172e-06),
    "double": (0.693147180559663, 2.8235290563031577e-13),
}

# R(z) / z = (2 artanh(s) / s - 2) / z in z = s^2, |s| <= 0.1716; the error of log m is 2^-30.2
# and 2^-59.5 of it.
LOG = {
    "float": (0.66666776, 0.39977586, 0.2987069),
    "double": (
        0.6666666666666734, 0.39999999999416963, 0.285714287419247, 0.22222198617158745,
        0.18183562191261785, 0.15314101877668926, 0.1479546510368015,
    ),
}  # fmt: skip

ROOT_HALF = {"float": 0x3F3504F3, "double": 0x3FE6A09E667F3BCD}  # the bits of sqrt 1/2


def log(f: ir.Function, x: ir.Value) -> ir.Value:
    """The natural logarithm."""
    k, d, s, g = log_parts(f, x)
    return _at_ends(f, x, f.fma(k, LN2[format_of(x).name][0], f.fma(-s, g, d)))


def log_of_normal(f: ir.Function, x: ir.Value) -> ir.Value:
    """The natural logarithm of positive normal numbers."""
    form = format_of(x)
    k, fraction, _ = split(f, x, exponent_bias(form))
    d = fraction - 1.0
    s, g = quotient_parts(f, d)
    return f.fma(k, LN2[form.name][0], f.fma(-s, g, d))


def log2(f: ir.Function, x: ir.Value) -> ir.Value:
    """The logarithm to base 2."""
    k, d, s, g = log_parts(f, x)
    return _at_ends(f, x, k + f.fma(d, LOG2_E, s * g * -LOG2_E))


def log10(f: ir.Function, x: ir.Value) -> ir.Value:
    """The logarithm to base 10."""
    k, d, s, g = log_parts(f, x)
    return _at_ends(f, x, f.fma(k, LOG10_2, f.fma(d, LOG10_E, s * g * -LOG10_E)))


def log1p(f: ir.Function, x: ir.Value) -> ir.Value:
    """log(1 + x), accurate for small x."""
    sum = x + 1.0
    result = log_of_sum(f, sum, x - (sum - 1.0))
    return f.select(x.eq(0), x, result)  # the zero keeps its sign


def log_of_sum(f: ir.Function, sum: ir.Value, rest: ir.Value) -> ir.Value:
    """log(sum + rest), for a sum that is not subnormal and a rest below a unit of it."""
    form = format_of(sum)
    k, fraction, power = split(f, sum, exponent_bias(form), signed=True)
    # 2^-k; zero where that is no normal number, as then no rest matters.
    inverse = form.power(form.bias) - power
    rest = rest * number(f, f.select(inverse < 0, 0, inverse))
    d, d_rest = exact_sum(f, fraction - 1.0, rest)
    s, g = quotient_parts(f, d)
    high, low = LN2[form.name]
    result = f.fma(k, high, d + f.fma(-s, g, f.fma(k, low, d_rest)))
    return _at_ends(f, sum, result)


def log_in_two(f: ir.Function, x: ir.Value) -> tuple[ir.Value, ir.Value]:
    """log x for positive numbers as the sum of two, the second less than a quarter of the first."""
    k, d, s, g = log_parts(f, x)
    first, second = LN2_SHORT[format_of(x).name]
    high, rest = exact_sum(f, k * first, d)
    return high, f.fma(-s, g, f.fma(k, second, rest))


def log_parts(f: ir.Function, x: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value, ir.Value]:
    """k, d, s and g with log x = k ln 2 + d - s g for positive x; k is NaN for negative ones."""
    k, fraction, _ = split(f, *scaled(f, x), signed=True)
    d = fraction - 1.0
    return k, d, *quotient_parts(f, d)


def quotient_parts(f: ir.Function, d: ir.Value) -> tuple[ir.Value, ir.Value]:
    """s and g with log(1 + d) = d - s g."""
    s = d / (d + 2.0)
    square = s * s
    return s, f.fma(-square, polynomial(f, square, LOG[format_of(d).name]), d)


def scaled(f: ir.Function, x: ir.Value) -> tuple[ir.Value, ir.Value]:
    """x with subnormal numbers made normal, and the bias that `split` then needs."""
    form = format_of(x)
    shift = form.mantissa + 1
    small = x < form.smallest
    bias = choice(f, small, x.type, exponent_bias(form) + shift, exponent_bias(form))
    return f.select(small, x * 2.0**shift, x), bias


def exponent_bias(form: Format) -> float:
    """What `split` subtracts from the field of a number that was not scaled."""
    return 2.0**form.mantissa + form.bias


def split(
    f: ir.Function, x: ir.Value, bias, signed: bool = False
) -> tuple[ir.Value, ir.Value, ir.Value]:
    """k, m and the bits of 2^k, with x = 2^k m and m in [sqrt 1/2, sqrt 2), for positive normal x.

    k is the exponent's field in the low bits of 2^mantissa, as a number, less `bias`; of a negative
    x it is NaN where `signed`.
    """
    form = format_of(x)
    root = ROOT_HALF[form.name]
    moved = bits(f, x) + (form.power(0) - root)
    low = (1 << form.mantissa) - 1
    # With its sign spread over it, the exponent is that of a NaN.
    field = moved >> form.mantissa if signed else moved.lshr(form.mantissa)
    k = number(f, field | form.power(form.mantissa)) - bias
    return k, number(f, (moved & low) + root), moved & ~low


def _at_ends(f, x, result):
    """`result`, but minus infinity where x is 0, and x where that is infinite or NaN."""
    result = f.select(x < math.inf, result, x)
    return f.select(x.eq(0), -math.inf, result)
