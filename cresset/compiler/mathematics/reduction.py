"""Reduction of angles: x = n h + r for h = pi or pi / 2 and |r| <= h / 2, exact for every x.

Moderate angles take three fused steps with h in three parts (Cody and Waite 1980); as n times the
first part is exact inside the fma, so is the first difference. Huge angles, rare, take a branch to
a scalar function that multiplies by the 192 bits of 1 / 2 pi that matter (Payne and Hanek 1983).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from cresset.compiler.mathematics.arithmetic import absolute, bits, format_of, nearest
from cresset.runtime import ir

# pi in three parts, each rounded to the format.
PI = {
    "float": (3.1415927410125732, -8.742277657347586e-08, -3.4302490200117637e-15),
    "double": (3.141592653589793, 1.2246467991473532e-16, -2.9947698097183397e-33),
}
# From here on angles are huge. Below, n h is known far better than x is near to a multiple of h.
HUGE = {"float": 2.0**16, "double": 2.0**30}


class Angle(NamedTuple):
    """What an angle is reduced by: h = pi / `divisor`, and the n allowed: integers less `offset`."""

    divisor: int
    offset: float


def reduced(f: ir.Function, x: ir.Value, angle: Angle) -> tuple[ir.Value, ir.Value]:
    """r, and an integer whose lowest bit is that of n + offset, with x = n h + r."""
    form = format_of(x)
    first, second, third = (part / angle.divisor for part in PI[form.name])
    if angle.offset:
        turns = f.fma(x, angle.divisor / math.pi, angle.offset)
        n, n_bits = nearest(f, turns, 1.0)
        n = n - angle.offset
    else:
        n, n_bits = nearest(f, x, angle.divisor / math.pi)
    r = f.fma(n, -third, f.fma(n, -second, f.fma(n, -first, x)))
    huge = absolute(f, x) >= HUGE[form.name]
    return f.either(
        f.intrinsic("vector.reduce.or", huge, returns="i1") if ir.lanes(x.type) > 1 else huge,
        lambda: _by_lane(f, x, angle, huge, r, n_bits),
        lambda: (r, n_bits),
    )


def _by_lane(f, x, angle, huge, r, n_bits):
    """The huge lanes by the scalar function, through memory; the others as given."""
    form, count = format_of(x), ir.lanes(x.type)
    memory = [f.alloca(ir.element(v.type), count) for v in (x, r, n_bits)]
    # The scalar function needs angles that are not small.
    f.store(f.select(huge, x, HUGE[form.name]), memory[0])
    name = _lanes_function(f.module, form)
    f.call(name, "void", *memory, *(f.constant("i64", v) for v in _words(angle, count)))
    # An infinite angle has no remainder: x - x is NaN.
    far = f.load(r.type, memory[1]) + (x - x)
    return f.select(huge, far, r), f.select(huge, f.load(n_bits.type, memory[2]), n_bits)
