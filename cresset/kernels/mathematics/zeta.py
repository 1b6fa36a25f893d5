"""The Hurwitz zeta function: zeta(x, q), the sum of (q + k)^-x over all k >= 0.

The first terms are added up as they are, the others are Euler and Maclaurin's formula (Johansson
2015, "Rigorous high-precision computation of the Hurwitz zeta function"). All is done in double,
for floats, too.
"""

from __future__ import annotations

import math
from functools import cache

from cresset.kernels.mathematics.arithmetic import any_lane, format_of, in_double, in_registers
from cresset.kernels.mathematics.power import pow
from cresset.runtime import ir

TERMS = 10  # terms added up before the formula
CORRECTIONS = 12  # terms of the formula


@cache
def weights() -> tuple[float, ...]:
    """B(2k) / (2k)! for k = 1, 2, ..., with Bernoulli's numbers by their recurrence."""
    from fractions import Fraction

    numbers = [Fraction(1)]
    for m in range(1, 2 * CORRECTIONS + 1):
        total = sum((math.comb(m + 1, k) * b for k, b in enumerate(numbers)), Fraction(0))
        numbers.append(-total / (m + 1))
    return tuple(float(b / math.factorial(2 * k)) for k, b in enumerate(numbers[2::2], start=1))


@in_registers
def zeta(f: ir.Function, x: ir.Value, q: ir.Value) -> ir.Value:
    """The sum of (q + k)^-x over k >= 0; NaN for x < 1, and for q < 0 unless x is an integer.

    Infinite for x = 1 and where a term is. For q > 0 within 5 units in the last place.
    """
    if format_of(x).name == "float":
        return in_double(f, zeta, x, q)
    whole = f.intrinsic("floor", q)
    below = q < 0
    result = f.either(
        any_lane(f, below),
        lambda: _reflected(f, x, q, whole, below),
        lambda: _of_positive(f, x, q),
    )
    refused = below & f.intrinsic("floor", x).ne(x)
    result = f.select(refused, math.nan, result)
    result = f.select((q <= 0) & q.eq(whole), math.inf, result)
    result = f.select(x.unordered(q), x + q, result)
    return f.select(x.eq(1), math.inf, f.select(x < 1, math.nan, result))


@in_registers
def _of_positive(f, x, q):
    """zeta for x > 1 and q > 0; up to three places call it."""
    with f.loop(0, TERMS, carry=(f.constant(x.type, 0), q)) as loop:
        total, at = loop.values
        loop.next(total + pow(f, at, -x), at + 1.0)
    total, at = loop.results
    inverse = 1.0 / at
    power = pow(f, at, -x)
    tail = at / (x - 1.0) + 0.5
    factor = x * inverse
    for k, weight in enumerate(weights()):
        tail = f.fma(factor, weight, tail)
        factor = factor * ((x + (2 * k + 1)) * inverse) * ((x + (2 * k + 2)) * inverse)
    # The formula diverges where x is far greater than q; but there the first terms are all.
    matters = (x < at * 8.0) & (power > 0)
    return total + f.select(matters, tail * power, 0.0)


def _reflected(f, x, q, whole, below):
    """zeta with the terms of negative q + k, of which there are n, added up backwards.

    They are (-1)^x times those of zeta(x, g) less zeta(x, g + n), with g = 1 - n - q.
    """
    n = f.select(below, -whole, 0.0)
    g = f.select(below, 1.0 - (q + n), 1.0)
    positive = f.select(below, q + n, q)
    half = x * 0.5
    odd = f.intrinsic("floor", half).ne(half)
    found = _of_positive(f, x, positive)
    backward = _of_positive(f, x, g) - _of_positive(f, x, g + n)
    return found + f.select(below, f.select(odd, -backward, backward), 0.0)
