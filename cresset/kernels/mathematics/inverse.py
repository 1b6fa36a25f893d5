"""Inverse trigonometric functions: asin, acos, atan, atan2."""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    bits,
    choice,
    exact_sum,
    format_of,
    polynomial,
    with_sign,
)
from cresset.kernels.mathematics.reduction import PI
from cresset.runtime import ir

# (asin t / t - 1) / t^2 in t^2, for |t| <= 1/2; the error of asin t is 2^-27.6 and 2^-55.9 of it.
ASIN = {
    "float": (0.16666752, 0.074953094, 0.04546917, 0.024184568, 0.04215888),
    "double": (
        0.16666666666665408, 0.07500000000337158, 0.044642856828189574, 0.030381959143486455,
        0.022371757876061472, 0.01735970764713843, 0.013885204658592673, 0.012169427970666525,
        0.006526983584668872, 0.019531120937841925, -0.01622893998514096, 0.03191561344979561,
    ),
}  # fmt: skip

# (atan t / t - 1) / t^2 in t^2, for |t| <= 1; the error of atan t is 2^-25.8 and 2^-56.4 of it.
ATAN = {
    "float": (
        -0.33333153, 0.19993767, -0.14211002, 0.10665769, -0.075516604, 0.043204732, -0.016363192,
        0.0029194227,
    ),
    "double": (
        -0.3333333333333307, 0.19999999999951748, -0.14285714282587966, 0.11111111007337461,
        -0.09090907007704158, 0.07692279887695205, -0.06666404412836913, 0.05880529744496749,
        -0.052535265012803964, 0.04722347444673718, -0.04219241301214573, 0.036643116755670356,
        -0.029905684217405422, 0.021987006376207967, -0.013902515116002758, 0.00719784268779684,
        -0.002885587853043932, 0.0008315519793907709, -0.0001522095057124929,
        1.3229838568930098e-05,
    ),
}  # fmt: skip


def asin(f: ir.Function, x: ir.Value) -> ir.Value:
    """The inverse sine, in [-pi / 2, pi / 2]; NaN beyond -1 and 1."""
    large, t, rest = _asin_parts(f, x)
    high, low = (0.5 * part for part in PI[format_of(x).name][:2])
    # From 1/2 upward pi / 2 - 2 asin sqrt((1 - x) / 2).
    double = t + t
    folded, lost = exact_sum(f, f.value(x.type, high), -double)
    folded = folded - f.fma(rest, 2.0, -low - lost)
    return with_sign(f, f.select(large, folded, t + rest), x)


def acos(f: ir.Function, x: ir.Value) -> ir.Value:
    """The inverse cosine, in [0, pi]; NaN beyond -1 and 1."""
    large, t, rest = _asin_parts(f, x)
    high, low = PI[format_of(x).name][:2]
    # pi / 2 - asin x; from 1/2 upward 2 asin sqrt((1 - x) / 2), and pi less that for negative x.
    angle = t + rest
    double = angle + angle
    folded = f.select(x < 0, high - (double - low), double)
    signed = with_sign(f, angle, x)
    return f.select(large, folded, 0.5 * high - (signed - 0.5 * low))


def _asin_parts(f, x):
    """Whether |x| > 1/2; asin t = t + rest for t = |x|, or sqrt((1 - |x|) / 2) where so."""
    size = absolute(f, x)
    large = size > 0.5
    square = f.select(large, f.fma(size, -0.5, 0.5), x * x)
    t = f.select(large, f.intrinsic("sqrt", square), size)
    return large, t, polynomial(f, square, ASIN[format_of(x).name]) * square * t


def atan(f: ir.Function, x: ir.Value) -> ir.Value:
    """The inverse tangent, in [-pi / 2, pi / 2]."""
    size = absolute(f, x)
    large = size > 1.0
    slope = f.select(large, 1.0, size) / f.select(large, size, 1.0)
    high, low = (0.5 * part for part in PI[format_of(x).name][:2])
    # pi / 2 - atan(1 / x) from 1 upward.
    angle = _atan(f, slope, choice(f, large, x.type, -low, 0.0))
    return with_sign(f, f.select(large, high - angle, angle), x)


def atan2(f: ir.Function, y: ir.Value, x: ir.Value) -> ir.Value:
    """The angle of the point (x, y), in [-pi, pi], with C's special cases."""
    height, width = absolute(f, y), absolute(f, x)
    steep = height > width
    above, below = f.select(steep, width, height), f.select(steep, height, width)
    slope = f.select(height.eq(width), 1.0, above / below)  # both may be infinite
    slope = f.select(above.eq(0), 0.0, slope)  # both may be zero
    # From the nearest axis: back from it, or onward where it is x > 0, or y and x < 0.
    left = bits(f, x) < 0
    high, low = PI[format_of(x).name][:2]
    axis = f.select(steep, 0.5 * high, choice(f, left, x.type, high, 0.0))
    rest = axis * (low / high)
    back = steep ^ left
    angle = _atan(f, slope, f.select(back, -rest, rest))
    result = axis + f.select(back, -angle, angle)
    return f.select(x.unordered(y), math.nan, with_sign(f, result, y))


def _atan(f, t, rest):
    """The inverse tangent of 0 <= t <= 1, and a small rest added to it."""
    square = t * t
    return t + f.fma(polynomial(f, square, ATAN[format_of(t).name]), square * t, rest)
