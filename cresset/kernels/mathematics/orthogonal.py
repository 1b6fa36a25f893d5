"""Orthogonal polynomials of degree n: Chebyshev's, Hermite's, Laguerre's and Legendre's.

They follow their three-term recurrences (Abramowitz and Stegun 1964, 22.7), which take as many
steps as the greatest degree of a vector; those of Chebyshev of high degree within [-1, 1] are
quotients of sines and cosines instead (22.3.15, 22.3.16). The degree is truncated; below zero the
result is 0. All is done in double, for floats, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    any_lane,
    format_of,
    in_double,
    in_registers,
)
from cresset.kernels.mathematics.inverse import acos
from cresset.kernels.mathematics.trigonometric import cos, sin
from cresset.runtime import ir

HIGH = 64.0  # the degree from which on Chebyshev's polynomials are sines and cosines
HIGHEST = 2.0**20  # a greater degree gives NaN where it would take as many steps
GREATEST = 512.0  # the same of Hermite's, which overflow long before, but for zeros

Step = Callable[..., ir.Value]


def _by_recurrence(f, n, zeroth, first, step: Step):
    """P(n), from P(0) and P(1), where P(k + 1) = step(k, P(k - 1), P(k))."""
    one = f.constant(n.type, 1)
    with f.repeat(one, zeroth, first) as loop:
        k, before, last = loop.values
        more = k < n
        after = f.select(more, step(k, before, last), last)
        before = f.select(more, last, before)
        loop.again(any_lane(f, (k + 1.0) < n), k + 1.0, before, after)
    _, _, result = loop.results
    result = f.select(n < 1.0, zeroth, result)
    return f.select(n < 0, 0.0, result)


def _bounded(f, n, most, by_steps):
    """by_steps(n) for degrees up to `most`, else NaN."""
    beyond = n > most
    return f.select(beyond, math.nan, by_steps(f.select(beyond, 0.0, n)))


def _degree(f, n):
    return f.intrinsic("trunc", n)


def _t_high(f, n, angle):
    return cos(f, n * angle)


def _u_high(f, n, angle):
    return sin(f, (n + 1.0) * angle) / sin(f, angle)


def _v_high(f, n, angle):
    return cos(f, (n + 0.5) * angle) / cos(f, angle * 0.5)


def _w_high(f, n, angle):
    return sin(f, (n + 0.5) * angle) / sin(f, angle * 0.5)


class Chebyshev(NamedTuple):
    """A kind: slope and constant of P(1), P(n) of the angle whose cosine is x, and at x = 1, -1.

    There it is 1 + n times the one or the other slope, at -1 with the sign of (-1)^n.
    """

    slope: float
    constant: float
    high: Callable[..., ir.Value]
    at_one: float
    at_minus_one: float


CHEBYSHEV = {
    "t": Chebyshev(1.0, 0.0, _t_high, 0.0, 0.0),
    "u": Chebyshev(2.0, 0.0, _u_high, 1.0, 1.0),
    "v": Chebyshev(2.0, -1.0, _v_high, 0.0, 2.0),
    "w": Chebyshev(2.0, 1.0, _w_high, 2.0, 0.0),
}


def _of_high_degree(f, kind, n, x):
    """P(n) for |x| <= 1."""
    inside = kind.high(f, n, acos(f, x))
    half = n * 0.5
    one = f.constant(n.type, 1)
    sign = f.select(f.intrinsic("floor", half).ne(half), -one, one)
    below = sign * f.fma(n, kind.at_minus_one, 1.0)
    inside = f.select(x.eq(-1), below, inside)
    return f.select(x.eq(1), f.fma(n, kind.at_one, 1.0), inside)


def _chebyshev(name, shifted):
    kind = CHEBYSHEV[name]

    def function(f: ir.Function, x: ir.Value, n: ir.Value) -> ir.Value:
        if format_of(x).name == "float":
            return in_double(f, function, x, n)
        n = _degree(f, n)
        argument = f.fma(x, 2.0, -1.0) if shifted else x
        twice = argument * 2.0
        inside = (absolute(f, argument) <= 1.0) & (n > HIGH)

        def step(k, before, last):
            return f.fma(twice, last, -before)

        def by_steps(n):
            first = f.fma(argument, kind.slope, kind.constant)
            return _by_recurrence(f, n, f.constant(x.type, 1), first, step)

        steps = f.select(inside, 0.0, n)
        result = _bounded(f, steps, HIGHEST, by_steps)
        bounded = f.select(inside, argument, 0.0)
        result = f.either(
            any_lane(f, inside),
            lambda: f.select(inside, _of_high_degree(f, kind, n, bounded), result),
            lambda: result,
        )
        return f.select(x.unordered(n), x + n, result)

    function.__name__ = f"{'shifted_' if shifted else ''}chebyshev_polynomial_{name}"
    function.__doc__ = f"Chebyshev's polynomial {name.upper()}{' of 2 x - 1' if shifted else ''}."
    return in_registers(function)


chebyshev_polynomials = tuple(
    _chebyshev(name, shifted) for shifted in (False, True) for name in CHEBYSHEV
)


def _three_terms(f, function, x, n, most, first, step):
    if format_of(x).name == "float":
        return in_double(f, function, x, n)
    n = _degree(f, n)
    one = f.constant(x.type, 1)
    result = _bounded(f, n, most, lambda n: _by_recurrence(f, n, one, first(), step))
    return f.select(x.unordered(n), x + n, result)


@in_registers
def hermite_polynomial_h(f: ir.Function, x: ir.Value, n: ir.Value) -> ir.Value:
    """Hermite's polynomial H(n), the physicist's; NaN for n > 512."""

    def step(k, before, last):
        return (x * last - k * before) * 2.0

    return _three_terms(f, hermite_polynomial_h, x, n, GREATEST, lambda: x * 2.0, step)


@in_registers
def hermite_polynomial_he(f: ir.Function, x: ir.Value, n: ir.Value) -> ir.Value:
    """Hermite's polynomial He(n), the probabilist's; NaN for n > 512."""

    def step(k, before, last):
        return x * last - k * before

    return _three_terms(f, hermite_polynomial_he, x, n, GREATEST, lambda: x, step)


@in_registers
def laguerre_polynomial_l(f: ir.Function, x: ir.Value, n: ir.Value) -> ir.Value:
    """Laguerre's polynomial L(n); NaN for n > 2^20."""

    def step(k, before, last):
        return (((k + k) + (1.0 - x)) * last - k * before) / (k + 1.0)

    return _three_terms(f, laguerre_polynomial_l, x, n, HIGHEST, lambda: 1.0 - x, step)


@in_registers
def legendre_polynomial_p(f: ir.Function, x: ir.Value, n: ir.Value) -> ir.Value:
    """Legendre's polynomial P(n); NaN for n > 2^20."""

    def step(k, before, last):
        return (((k + k) + 1.0) * (x * last) - k * before) / (k + 1.0)

    return _three_terms(f, legendre_polynomial_p, x, n, HIGHEST, lambda: x, step)
