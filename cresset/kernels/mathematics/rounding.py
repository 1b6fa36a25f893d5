"""Roots, roundings and the remainder: sqrt, rsqrt, floor, ceil, trunc, round, fmod."""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    any_lane,
    format_of,
    in_double,
    in_registers,
    with_sign,
)
from cresset.runtime import ir


def sqrt(f: ir.Function, x: ir.Value) -> ir.Value:
    """The square root, rounded correctly; NaN for negative numbers."""
    return f.intrinsic("sqrt", x)


def rsqrt(f: ir.Function, x: ir.Value) -> ir.Value:
    """1 / sqrt x"""
    return 1.0 / f.intrinsic("sqrt", x)


def floor(f: ir.Function, x: ir.Value) -> ir.Value:
    """The greatest integer that is not above x."""
    return f.intrinsic("floor", x)


def ceil(f: ir.Function, x: ir.Value) -> ir.Value:
    """The least integer that is not below x."""
    return f.intrinsic("ceil", x)


def trunc(f: ir.Function, x: ir.Value) -> ir.Value:
    """The integer next to x in the direction of zero."""
    return f.intrinsic("trunc", x)


def round(f: ir.Function, x: ir.Value) -> ir.Value:
    """The integer nearest to x, the even one of two as near."""
    return f.intrinsic("roundeven", x)


def fmod(f: ir.Function, x: ir.Value, y: ir.Value) -> ir.Value:
    """x - n y with n = trunc(x / y), exact whatever the quotient, with the sign of x: C's fmod.

    NaN for infinite x and for y = 0.
    """
    size, divisor = absolute(f, x), absolute(f, y)
    quotient = size / divisor
    rest = f.fma(-f.intrinsic("trunc", quotient), divisor, size)
    # The fma is exact as long as the quotient is.
    form = format_of(x)
    large = quotient >= 2.0 ** (form.mantissa + 1)
    exactly = {"float": _by_double, "double": _long_division}[form.name]
    rest = f.either(
        any_lane(f, large),
        lambda: exactly(f, f.select(large, size, rest), divisor),
        lambda: rest,
    )
    # The quotient may have been rounded up, to the integer above it.
    rest = f.select(rest < 0, rest + divisor, rest)
    return with_sign(f, f.select(size < divisor, size, rest), x)


@in_registers
def _by_double(f: ir.Function, x: ir.Value, y: ir.Value) -> ir.Value:
    """fmod of floats by way of doubles, whose quotients are larger."""
    return in_double(f, fmod, x, y)


def _long_division(f, x, y):
    """x less a multiple of y > 0, below y in size: exactly, 52 bits of the quotient at a time."""
    exponents = 2 * 1023 + 52 + 1
    with f.loop(0, exponents // 52 + 1, carry=(x,)) as loop:
        (rest,) = loop.values
        multiple = y
        for power in (1023, 52):  # where the quotient overflows, that by a multiple
            infinite = absolute(f, rest / multiple).eq(math.inf)
            multiple = f.select(infinite, multiple * 2.0**power, multiple)
        less = f.fma(-f.intrinsic("trunc", rest / multiple), multiple, rest)
        loop.next(f.select(absolute(f, rest) >= y, less, rest))
    return loop.results[0]
