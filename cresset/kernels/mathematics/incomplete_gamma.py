"""The regularised incomplete gamma functions: gammainc, called P here, and gammaincc, Q = 1 - P.

Where a > 20 and x is near it they follow Temme's uniform expansion (1979; DLMF 8.12), where
x <= max(a, 1.1) the power series of P, or of Q where that is small (DLMF 8.7), and else Legendre's
continued fraction of Q (DLMF 8.9.2) by the method of Lentz (Thompson and Barnett 1986). All is done
in double, for floats, too.
"""

from __future__ import annotations

import math
from functools import cache

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    any_lane,
    format_of,
    in_double,
    in_registers,
    polynomial,
)
from cresset.kernels.mathematics.error import erfc
from cresset.kernels.mathematics.exponential import exp, expm1
from cresset.kernels.mathematics.gamma import LGAMMA, LGAMMA_CENTRE, LGAMMA_SERIES, lgamma
from cresset.kernels.mathematics.logarithm import log, log1p, quotient_parts
from cresset.runtime import ir

SMALL = 1.1  # up to this x there are series
UNIFORM = (20.0, 0.28)  # the least a, and the greatest |x - a| / a, of the uniform expansion
ORDERS, POWERS = 12, 24  # its terms in 1 / a, and in eta
STEPS = 2000.0  # the most steps of the continued fraction; about 100 are usual
EPSILON = 2.0**-53


@in_registers
def gammainc(f: ir.Function, a: ir.Value, x: ir.Value) -> ir.Value:
    """The integral of t^(a-1) e^-t from 0 to x, by that to infinity; NaN for negative a or x.

    Within 32 units in the last place of the result, times 1 + x - a + a log(a/x), its exponent;
    commonly a few.
    """
    return _either_of(f, gammainc, a, x, lower=True)


@in_registers
def gammaincc(f: ir.Function, a: ir.Value, x: ir.Value) -> ir.Value:
    """1 - gammainc(a, x), exact where it is small; as exact as that."""
    return _either_of(f, gammaincc, a, x, lower=False)


def _either_of(f, function, a, x, lower):
    if format_of(a).name == "float":
        return in_double(f, function, a, x)
    regular = (a > 0) & (x > 0) & (a < math.inf) & (x < math.inf)
    p, q = _both(f, f.select(regular, a, 1.0), f.select(regular, x, 1.0))
    result = p if lower else q
    # At the bounds: all of the integral, or nothing of it.
    nothing, everything = (0.0, 1.0) if lower else (1.0, 0.0)
    edge = f.select(x.eq(0) | a.eq(math.inf), f.constant(x.type, nothing), everything)
    refused = (a < 0) | (x < 0) | (a.eq(0) & x.eq(0)) | (a.eq(math.inf) & x.eq(math.inf))
    result = f.select(regular, result, f.select(refused, math.nan, edge))
    return f.select(a.unordered(x), a + x, result)


def _both(f, a, x):
    """P and Q, for positive finite a and x."""
    least, width = UNIFORM
    distance = absolute(f, x - a)
    uniform = (a > least) & (distance < a * width)
    # Where P is not near 1; for small x it is about x^a.
    logarithm = log(f, x)
    low = f.select(x <= 0.5, a * logarithm < -0.4, x * SMALL < a)
    small = x <= SMALL
    by_series = ((small & low) | ((x > SMALL) & (x <= a))) & _not(f, uniform)
    by_small = small & _not(f, low) & _not(f, uniform)
    by_fraction = (x > SMALL) & (x > a) & _not(f, uniform)

    zero = f.constant(x.type, 0)
    density = _density(f, a, x, logarithm)
    p = f.either(
        any_lane(f, by_series), lambda: density * _series(f, a, x, by_series), lambda: zero
    )
    q = f.either(
        any_lane(f, by_fraction),
        lambda: density * a * _fraction(f, a, x, by_fraction),
        lambda: zero,
    )
    q_small = f.either(
        any_lane(f, by_small), lambda: _small_complement(f, a, x, logarithm), lambda: zero
    )
    q = f.select(by_small, q_small, q)
    p_near, q_near = f.either(
        any_lane(f, uniform),
        lambda: _uniform(f, f.select(uniform, a, 100.0), f.select(uniform, x, 100.0)),
        lambda: (zero, zero),
    )
    p, q = f.select(by_series, p, 1.0 - q), f.select(by_series, 1.0 - p, q)
    return f.select(uniform, p_near, p), f.select(uniform, q_near, q)


def _not(f, condition):
    return condition ^ f.constant(condition.type, 1)


def _density(f, a, x, logarithm):
    """x^a e^-x / gamma(a + 1)."""
    direct = exp(f, a * logarithm - x - lgamma(f, a + 1.0))
    # From 5/2 on by Stirling's series: e^(-a (m - log(1 + m))) / sqrt(2 pi a), with m = x/a - 1.
    inverse = 1.0 / a
    m = (x - a) * inverse
    exponent = a * (m - log1p(f, m)) + polynomial(f, inverse * inverse, LGAMMA_SERIES) * inverse
    by_stirling = exp(f, -exponent) / f.intrinsic("sqrt", a * (2 * math.pi))
    return f.select(a < 2.5, direct, by_stirling)


def _series(f, a, x, wanted):
    """1 + x / (a + 1) + x^2 / (a + 1) (a + 2) + ..."""
    one = f.constant(x.type, 1)
    with f.repeat(one, one, one) as loop:
        k, term, total = loop.values
        term = term * (x / (a + k))
        total = total + term
        loop.again(any_lane(f, wanted & (term > total * EPSILON)), k + 1.0, term, total)
    return loop.results[2]


def _fraction(f, a, x, wanted):
    """1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / (x + 5 - a - ...)))."""
    b = x + 1.0 - a
    d = 1.0 / b
    huge = f.constant(x.type, 2.0**600)
    with f.repeat(f.constant(x.type, 1), b, huge, d, d) as loop:
        k, b, c, d, result = loop.values
        numerator = k * (a - k)
        b = b + 2.0
        d = 1.0 / f.fma(numerator, d, b)
        c = b + numerator / c
        change = c * d
        result = result * change
        more = wanted & (absolute(f, change - 1.0) > EPSILON * 2) & (k < STEPS)
        loop.again(any_lane(f, more), k + 1.0, b, c, d, result)
    return loop.results[4]


def _small_complement(f, a, x, logarithm):
    """Q by the series of P, x <= 1.1: -(e^L - 1) - e^L a S, with L = a log x - lgamma(1 + a)."""
    near = a <= 0.5
    part = polynomial(f, a + (2.0 - LGAMMA_CENTRE), LGAMMA) * (a * (a + 1.0)) - log1p(f, a)
    # Lanes that are not small have any a.
    exponent = a * logarithm - f.select(near, part, lgamma(f, a + 1.0))
    one, zero = f.constant(x.type, 1), f.constant(x.type, 0)
    with f.loop(0, 20, carry=(one, -x, zero)) as loop:
        k, term, total = loop.values
        loop.next(k + 1.0, term * (-x) / (k + 1.0), total + term / (a + k))
    power = expm1(f, exponent)
    return -power - (power + 1.0) * (a * loop.results[2])


def _uniform(f, a, x):
    """P and Q for x near a: erfc(-+eta sqrt(a/2)) / 2 -+ e^(-a eta^2 / 2) S / sqrt(2 pi a)."""
    m = (x - a) / a
    s, g = quotient_parts(f, m)  # s g = m - log(1 + m) = eta^2 / 2
    half = s * g
    eta = f.intrinsic("sqrt", half * 2.0)
    eta = f.select(m < 0, -eta, eta)
    inverse = 1.0 / a
    total = None
    for coefficients in reversed(expansion()):
        order = polynomial(f, eta, coefficients)
        total = order if total is None else f.fma(total, inverse, order)
    rest = exp(f, -(a * half)) * total / f.intrinsic("sqrt", a * (2 * math.pi))
    z = eta * f.intrinsic("sqrt", a * 0.5)
    return erfc(f, -z) * 0.5 - rest, erfc(f, z) * 0.5 + rest


@cache
def expansion() -> tuple[tuple[float, ...], ...]:
    """The Taylor coefficients of Temme's C_0, C_1, ... in eta, exactly (DLMF 8.12.9 to 8.12.11).

    C_0 = 1/m - 1/eta and C_k = C'_(k-1) / eta + (-1)^k g_k / m, with Stirling's coefficients g_k.
    """
    from fractions import Fraction

    count = POWERS + 2 * ORDERS + 2
    # m = eta + eta^2 / 3 + ..., from m m' = eta (1 + m).
    m = [Fraction(0), Fraction(1)]
    for n in range(2, count + 2):
        products = sum((m[i] * m[n + 1 - i] for i in range(2, n)), Fraction(0))
        m.append((m[n - 1] - Fraction(n + 1, 2) * products) / (n + 1))
    # eta / m
    inverse = [Fraction(1)]
    for n in range(1, count + 1):
        products = sum((m[j + 1] * inverse[n - j] for j in range(1, n + 1)), Fraction(0))
        inverse.append(-products)
    # gamma(z) is Stirling's formula times the sum of g_k / z^k; g_k = (2k + 1)!! m[2k + 1].
    order = inverse[1:]
    orders = [order]
    for k in range(1, ORDERS):
        stirling = m[2 * k + 1] * math.prod(range(1, 2 * k + 2, 2))
        # The poles of both terms cancel.
        derived = [(n + 2) * order[n + 2] for n in range(len(order) - 2)]
        order = [d + (-1) ** k * stirling * i for d, i in zip(derived, inverse[1:])]
        orders.append(order)
    return tuple(tuple(map(float, order[: POWERS - k])) for k, order in enumerate(orders))
