"""lgamma and digamma between -30 and 0, where they have zeros: in two numbers, to meet those.

By gamma(x + 1) = x gamma(x) they come to 1 <= v < 2, where a polynomial serves whose leading
coefficients are sums of two numbers. What is left off is about 2^-65 of the terms, so that the
result keeps its digits where they cancel.
"""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    exact_product,
    exact_sum_of_any,
    polynomial,
)
from cresset.kernels.mathematics.power import precise_log
from cresset.runtime import ir

LEAST = -30.0  # from here up they are computed so
CENTRE = 1.5

# log gamma(v) / ((v - 1) (v - 2)) in v - 3/2, for 1 <= v <= 2; the error is 2^-70.
LGAMMA = (
    0.4831289505409809, -0.14595989591430608, 0.06291140107456494, -0.031308487501011,
    0.016797098631187012, -0.009425622448470087, 0.0054464578445389995, -0.003212074077176364,
    0.0019229161408122683, -0.0011644144747713298, 0.0007115222441627689, -0.000437995105378476,
    0.0002712773395082535, -0.0001688945653055452, 0.00010562087472760045, -6.63110226398198e-05,
    4.179868081715948e-05, -2.6418077202919178e-05, 1.6611914218817227e-05,
    -1.0533868247935722e-05, 7.180372369726157e-06, -4.626678325496879e-06, 1.8241382398936654e-06,
    -1.1008343354353735e-06, 2.2820730269262753e-06, -1.5083842241563271e-06,
)  # fmt: skip
LGAMMA_LOW = (
    1.671925050024903e-17, -7.8522178610025935e-19, -5.123667350235607e-18, 2.7911217450894968e-18,
    -7.555609829395744e-19, -5.821366854044545e-19, -3.803895856958421e-19, 2.631279085865317e-22,
    -8.042727420302226e-20,
)  # fmt: skip

# digamma(v) / (v - its root) in v - 3/2, for 1 <= v <= 2; the error is 2^-69.
DIGAMMA = (
    0.9510558760318328, -0.42362742128146047, 0.24054248424078692, -0.1484049230539173,
    0.09498872445291451, -0.06192213327171318, 0.040760833938343725, -0.026975796840101776,
    0.017907248436753835, -0.011908215332541479, 0.00792701863920564, -0.0052800142150573335,
    0.0035181573599337456, -0.0023447013977757683, 0.001562847913283878, -0.0010417837312950726,
    0.0006944054134027884, -0.0004629018425174499, 0.0003090791562251708, -0.00020613432006719612,
    0.00013507137753194303, -8.975084336814226e-05, 6.764772244328222e-05, -4.577290538978895e-05,
    1.3528245033348197e-05, -8.119484652235565e-06, 2.715633822084974e-05, -1.8637161374776797e-05,
)  # fmt: skip
DIGAMMA_LOW = (
    4.330708592976442e-17, -2.6176825177133015e-17, -4.499974459105946e-18,
    -1.3528190689399247e-17, 4.849711047324121e-18, 4.897526241340864e-19, -1.2547049430025877e-18,
    1.5112777824562145e-18, -8.975536475393523e-19,
)  # fmt: skip
ROOT = (1.4616321449683622, 9.549995429965697e-17)


def lgamma_below(f: ir.Function, x: ir.Value) -> ir.Value:
    """log |gamma(x)| = log |gamma(v)| - log |x (x + 1) ... (v - 1)|, for -30 <= x < -1/2."""
    n, v, v_rest = _shifted(f, x)
    one, zero = f.constant(x.type, 1), f.constant(x.type, 0)
    with f.loop(0, _steps(), carry=(zero, one, zero)) as loop:
        k, high, low = loop.values
        factor = f.select(k < n, x + k, 1.0)
        loop.next(k + 1.0, *_times(f, (high, low), factor))
    _, high, low = loop.results
    size = absolute(f, high)
    pole = size.eq(0)
    logarithm, rest = precise_log(f, f.select(pole, 1.0, size))
    rest = rest + low / f.select(pole, 1.0, high)
    value = _polynomial_in_two(f, (v - CENTRE) + v_rest, LGAMMA, LGAMMA_LOW)
    first, second = v - 1.0, v - 2.0
    value, value_rest = _times(f, _times(f, value, first), second)
    # What v lost moves both factors.
    value_rest = f.fma(v_rest * (first + second), LGAMMA[0], value_rest)
    sum, lost = exact_sum_of_any(f, value, -logarithm)
    return f.select(pole, math.inf, sum + (lost + (value_rest - rest)))


def digamma_below(f: ir.Function, x: ir.Value) -> ir.Value:
    """digamma(v) - 1 / x - 1 / (x + 1) - ... - 1 / (v - 1), for -30 <= x < 0."""
    n, v, v_rest = _shifted(f, x)
    zero = f.constant(x.type, 0)
    with f.loop(0, _steps(), carry=(zero, zero, zero)) as loop:
        k, high, low = loop.values
        term, rest = exact_sum_of_any(f, k, x)
        inverse = 1.0 / term
        inverse_rest = f.fma(-inverse, term, 1.0) * inverse - rest * inverse * inverse
        total, lost = exact_sum_of_any(f, high, inverse)
        more = k < n
        loop.next(k + 1.0, f.select(more, total, high),
                  f.select(more, low + (lost + inverse_rest), low))
    _, high, low = loop.results
    value = _polynomial_in_two(f, (v - CENTRE) + v_rest, DIGAMMA, DIGAMMA_LOW)
    factor = v - ROOT[0]
    part, part_rest = _times(f, value, factor)
    part_rest = f.fma(value[0], v_rest - ROOT[1], part_rest)
    sum, lost = exact_sum_of_any(f, part, -high)
    return sum + (lost + (part_rest - low))


def _steps() -> int:
    return int(2 - LEAST)


def _shifted(f, x):
    """n, and v = x + n in two numbers, with 1 <= v < 2."""
    n = 1.0 - f.intrinsic("floor", x)
    return n, *exact_sum_of_any(f, n, x)


def _times(f, pair, factor):
    """The product of a number in two and one, in two."""
    high, low = exact_product(f, pair[0], factor)
    return high, f.fma(pair[1], factor, low)


def _polynomial_in_two(f, u, coefficients, lows):
    """The polynomial as the sum of two numbers; `lows` are the rests of the first coefficients."""
    count = len(lows)
    pair = polynomial(f, u, coefficients[count:]), f.constant(u.type, 0)
    for coefficient, low in zip(reversed(coefficients[:count]), reversed(lows)):
        product, rest = _times(f, pair, u)
        sum, lost = exact_sum_of_any(f, f.value(u.type, coefficient), product)
        pair = sum, lost + (rest + low)
    return pair
