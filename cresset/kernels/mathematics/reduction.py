"""Reduction of angles: x = n h + r for h = pi or pi / 2 and |r| <= h / 2, exact for every x.

Moderate angles take three fused steps with h in three parts (Cody and Waite 1980); as n times the
first part is exact inside the fma, so is the first difference. Huge angles, rare, take a branch to
a scalar function that multiplies by the 192 bits of 1 / 2 pi that matter (Payne and Hanek 1983).
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    any_lane,
    bits,
    exact_product,
    exact_sum,
    exact_sum_of_any,
    format_of,
    nearest,
)
from cresset.runtime import ir

# pi in three parts, each rounded to the format.
PI = {
    "float": (3.1415927410125732, -8.742277657347586e-08, -3.4302490200117637e-15),
    "double": (3.141592653589793, 1.2246467991473532e-16, -2.9947698097183397e-33),
}
# From here on angles are huge. Below, n h is known far better than x is near to a multiple of h.
HUGE = {"float": 2.0**16, "double": 2.0**30}
# The table of 1 / 2 pi: bytes in all, and those below the point. The greatest angle needs 145.
BYTES, ONES, SCALE = 160, 152, 1280


class Angle(NamedTuple):
    """What reduces an angle: h = pi / `divisor`, and the n allowed: integers less `offset`."""

    divisor: int
    offset: float


def reduced(f: ir.Function, x: ir.Value, angle: Angle) -> tuple[ir.Value, ir.Value]:
    """r, and an integer whose lowest bit is that of n + offset, with x = n h + r."""
    n, n_bits = _nearest_turn(f, x, angle)
    first, second, third = (-part / angle.divisor for part in PI[format_of(x).name])
    r = f.fma(n, third, f.fma(n, second, f.fma(n, first, x)))
    r, n_bits = _with_huge(f, x, angle, (r, n_bits))
    return r, n_bits


def reduced_in_two(
    f: ir.Function, x: ir.Value, angle: Angle
) -> tuple[ir.Value, ir.Value, ir.Value]:
    """r as the sum of two numbers, the second below a unit of the first; and n as in `reduced`."""
    n, n_bits = _nearest_turn(f, x, angle)
    first, second, third = (-part / angle.divisor for part in PI[format_of(x).name])
    product, lost = exact_product(f, n, f.value(x.type, second))
    high, low = exact_sum_of_any(f, f.fma(n, first, x), product)
    return _with_huge(f, x, angle, (high, low + f.fma(n, third, lost), n_bits))


def _nearest_turn(f, x, angle):
    scale = angle.divisor / math.pi
    if not angle.offset:
        return nearest(f, x, scale)
    n, n_bits = nearest(f, f.fma(x, scale, angle.offset), 1.0)
    return n - angle.offset, n_bits


def _with_huge(f, x, angle, moderate):
    """The values `moderate`, or where any lane is huge, in a branch, those of `_by_lane` there."""
    huge = absolute(f, x) >= HUGE[format_of(x).name]

    def by_lane():
        high, low, n_bits = _by_lane(f, x, angle, huge)
        exact = (high, low, n_bits) if len(moderate) == 3 else (high, n_bits)
        return tuple(f.select(huge, new, old) for new, old in zip(exact, moderate))

    return f.either(any_lane(f, huge), by_lane, lambda: moderate)


def _by_lane(f, x, angle, huge):
    """r in two parts and n of the huge lanes, by the scalar function and through memory."""
    form, count = format_of(x), ir.lanes(x.type)
    n_type = ir.vector(form.integer, count)
    types = (x.type, x.type, x.type, n_type)
    angles, high, low, turns = (f.alloca(ir.element(type), count) for type in types)
    f.store(f.select(huge, x, HUGE[form.name]), angles)  # it expects no small angle
    shift = angle.divisor.bit_length()
    words = (count, int(angle.offset * 2 ** (64 - shift)), shift)
    numbers = [f.constant("i64", number) for number in words]
    f.call(_scalar_function(f.module, form), "void", angles, high, low, turns, *numbers)
    # x - x is NaN for an infinite angle.
    return f.load(x.type, high) + (x - x), f.load(x.type, low), f.load(n_type, turns)


def _scalar_function(module, form):
    """The name of the function that reduces `lanes` angles, none small; written when first needed.

    The fraction of a turn is computed to 128 bits; `offset`, in units of 2^-64 turn, is added to
    it, and the n counted there are of turns / 2^shift.
    """
    name = f"reduce_{form.name}_angles"
    if name in module.functions:
        return name
    table = f"@inverse_turn = internal constant [{BYTES // 8} x i64] {_inverse_turn()}"
    if table not in module.globals:
        module.globals.append(table)
    pointers = [("ptr", name) for name in ("angles", "highs", "lows", "turns")]
    numbers = [("i64", name) for name in ("lanes", "offset", "shift")]
    f = module.function(name, pointers + numbers, internal=True, attributes="cold noinline")
    angles, highs, lows, turns, lanes, offset, shift = f.arguments
    with f.loop(0, lanes) as lane:
        angle = f.convert(f.load(form.name, f.offset(angles, lane, form.name)), "double")
        fraction = _fraction_of_turn(f, angle)
        fraction = fraction + (f.convert(offset, "i128") << 64)
        top = f.convert(fraction.lshr(64), "i64")
        n = (top + (f.constant("i64", 1 << 63).lshr(shift))).lshr(64 - shift)
        f.store(f.convert(n, form.integer), f.offset(turns, lane, form.integer))
        radians, rest = _radians(f, fraction << f.convert(shift, "i128"), shift)
        high = f.convert(radians, form.name)
        rest = rest + (radians - f.convert(high, "double"))
        f.store(high, f.offset(highs, lane, form.name))
        f.store(f.convert(rest, form.name), f.offset(lows, lane, form.name))
    f.ret()
    return name


def _fraction_of_turn(f, angle):
    """The 128 bits below the point of angle / 2 pi, in two's complement."""
    word = bits(f, absolute(f, angle))
    significand = (word & ((1 << 52) - 1)) | (1 << 52)
    # |angle| = significand 2^exponent; of 1 / 2 pi the bits from 2^-exponent down matter. They are
    # taken from the nearest byte on.
    exponent = word.lshr(52) - (1023 + 52)
    significand = significand << (exponent & 7)
    start = f.emit("ptr", f"getelementptr i8, ptr @inverse_turn, {ONES - 24 - (exponent >> 3)}")
    low, middle, high = (f.load("i64", f.offset(start, k, "i64"), align=1) for k in range(3))
    wide = f.convert(significand, "i128", signed=False)
    fraction = (wide * f.convert(low, "i128", signed=False)).lshr(64)
    fraction = fraction + wide * f.convert(middle, "i128", signed=False)
    fraction = fraction + (f.convert(significand * high, "i128", signed=False) << 64)
    return f.select(angle < 0, 0 - fraction, fraction)


def _radians(f, fraction, shift):
    """2 pi fraction / 2^(128 + shift) in two parts."""
    size = f.select(fraction < 0, 0 - fraction, fraction)
    zeros = f.intrinsic("ctlz", size, f.constant("i1", 0))
    top = f.convert((size << zeros).lshr(64), "i64")
    # 64 bits as a number of 53 and one of 11.
    high = f.convert(top.lshr(11), "double")
    low = f.convert(top & 0x7FF, "double")
    first, second, _ = PI["double"]
    product, lost = exact_product(f, high, f.constant("double", first))
    product, lost = exact_sum(f, product, f.fma(high, second, lost) + low * (first * 2.0**-11))
    power = (1023 - 52 - shift - f.convert(zeros, "i64")) << 52
    sign = f.convert(fraction.lshr(127), "i64") << 63
    scale = f.bitcast(power | sign, "double")
    return product * scale, lost * scale


@cache
def _inverse_turn() -> str:
    """1 / 2 pi as words, least significant first, with zeros above the point."""
    number = (1 << 2 * SCALE - 1) // _pi(SCALE) >> SCALE - 8 * ONES
    words = (number >> 64 * k & (1 << 64) - 1 for k in range(BYTES // 8))
    return "[" + ", ".join(f"i64 {word}" for word in words) + "]"


def _pi(scale: int) -> int:
    """pi 2^scale, by Machin's formula 16 arctan 1/5 - 4 arctan 1/239, to a few units."""

    def arctan_inverse(n):
        power = total = (1 << scale) // n
        for k in range(3, scale, 2):
            power //= -n * n
            total += power // k
        return total

    return 16 * arctan_inverse(5) - 4 * arctan_inverse(239)
