"""Quotients and rests of integers, of which processors divide no vectors: by way of floats.

A quotient of integers that float or double holds exactly, rounded to the format and then down, is
that of the integers: it lies further below the next integer than half a unit. So 8 and 16 bits go
through float, 32 through double, and 64 where all lanes are small enough, which a block looks at.
"""

from __future__ import annotations

from cresset.kernels.mathematics.arithmetic import FORMATS, any_lane, bits, in_registers, number
from cresset.runtime import ir

SMALL = 51  # bits, with those of its sign, of what double divides: x and y are below 2^51
ROUNDER = FORMATS["double"].rounder


def quotient(
    f: ir.Function, x: ir.Value, y: ir.Value, rounding: str, signed: bool = True
) -> ir.Value:
    """x / y with `rounding` "trunc" or "floor". No y is 0, nor -1 under the least integer."""
    return _divided(f, x, y, rounding, signed, lambda quotient, rest: quotient())


def rest(f: ir.Function, x: ir.Value, y: ir.Value, rounding: str, signed: bool = True) -> ir.Value:
    """x - y quotient(x, y)."""
    return _divided(f, x, y, rounding, signed, lambda quotient, rest: rest())


def _divided(f, x, y, rounding, signed, wanted):
    """What is `wanted` of the functions that give quotient and rest."""
    if ir.lanes(x.type) == 1:
        return _by_processor(f, x, y, rounding, signed, wanted)
    size = ir.size(ir.element(x.type))
    if size < 8:
        format = "double" if size == 4 else "float"
        wide = ir.vector(format, ir.lanes(x.type))

        def narrow(value):
            middle = value.type if size == 4 else ir.vector("i32", ir.lanes(x.type))
            return f.convert(f.convert(value, middle, signed), x.type, signed)

        return _by_float(
            f, f.convert(x, wide, signed), f.convert(y, wide, signed), rounding, narrow, wanted
        )
    shift = 1 << SMALL if signed else 0
    large = ((x + shift) | (y + shift)).lshr(SMALL + signed).ne(0)
    rounder = FORMATS["double"].power(52) | 1 << SMALL

    def in_double():
        a, b = (number(f, value + rounder) - ROUNDER for value in (x, y))
        return _by_float(
            f, a, b, rounding, lambda value: bits(f, value + ROUNDER) - rounder, wanted
        )

    return f.either(
        any_lane(f, large), lambda: _by_processor(f, x, y, rounding, signed, wanted), in_double
    )


def _by_float(f, x, y, rounding, narrow, wanted):
    found = f.intrinsic(rounding, x / y)
    return wanted(lambda: narrow(found), lambda: narrow(f.fma(-found, y, x)))


def _by_processor(f, x, y, rounding, signed, wanted):
    found = (_signed if signed else _unsigned)(f, x, y)
    left = x - found * y
    if signed and rounding == "floor":
        wrong = left.ne(0) & ((left < 0) ^ (y < 0))
        found, left = f.select(wrong, found - 1, found), f.select(wrong, left + y, left)
    return wanted(lambda: found, lambda: left)


@in_registers
def _signed(f, x, y):
    return x / y


@in_registers
def _unsigned(f, x, y):
    return x.udiv(y)
