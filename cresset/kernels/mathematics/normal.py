"""The normal distribution: ndtr, its cumulative, and ndtri, the inverse of that."""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    at_least,
    at_most,
    choice,
    exact_product,
    format_of,
    in_double,
    in_registers,
    polynomial,
    with_sign,
)
from cresset.kernels.mathematics.error import (
    ERF_SMALL,
    ERFINV_TAIL,
    erfinv,
    falling,
    scaled_erfc,
)
from cresset.kernels.mathematics.logarithm import log
from cresset.runtime import ir

ROOT_HALF, ROOT_TWO = math.sqrt(0.5), math.sqrt(2.0)

# With w = -log(4 p (1 - p)), as in erfinv, and s = sqrt w: -ndtri p / sqrt 2 - s in
# (s - 12.25) / (s + 12.25), for 30 <= w <= 747; the error of ndtri is 2^-59 of it.
FAR_CENTRE = 12.25
FAR = (
    -0.09753552582203935, 0.11385788688938796, -0.03299964054637668, 0.0064656614007957015,
    0.019951590584870685, -0.03505365531233415, 0.04946716137423323, -0.058311566337896414,
    0.0660937006122018, -0.0701174810085685, 0.07292598147045126, -0.0728753087424158,
    0.0716665216557164, -0.06821772968070003, 0.06382302681630833, -0.05821963324263662,
    0.05209911822309544, -0.041946727894991036, 0.03177244197018375, -0.035426423502954156,
    0.035920371346561966, 0.0022747389103794633, -0.02421570943592483,
)  # fmt: skip


@in_registers
def ndtr(f: ir.Function, x: ir.Value) -> ir.Value:
    """The integral of the normal density from -infinity to x: erfc(-x / sqrt 2) / 2."""
    if format_of(x).name == "float":
        return in_double(f, ndtr, x)
    size = at_most(f, absolute(f, x), 38.6)
    # The exponent x^2 / 2 is exact, so only what varies slowly sees the rounded quotient.
    scaled = at_least(f, size * ROOT_HALF, 0.5)
    square, rest = exact_product(f, size, size)
    below = falling(f, scaled_erfc(f, scaled), square * -0.5, rest * -0.5) * 0.5
    far = f.select(x < 0, below, 1.0 - below)
    argument = x * ROOT_HALF
    near = f.fma(polynomial(f, argument * argument, ERF_SMALL["double"]), argument, argument)
    result = f.select(size * ROOT_HALF < 0.5, f.fma(near, 0.5, 0.5), far)
    return f.select(x.unordered(x), x, result)


@in_registers
def ndtri(f: ir.Function, p: ir.Value) -> ir.Value:
    """The x of which p = ndtr x; infinite at 0 and 1, NaN beyond (Giles 2012)."""
    if format_of(p).name == "float":
        return in_double(f, ndtri, p)
    centred = f.fma(p, 2.0, -1.0)
    other = 1.0 - p
    low = f.select(p < other, p, other)
    w = -log(f, 4.0 * low * (1.0 - low))
    s = f.intrinsic("sqrt", w)
    tail = s + polynomial(f, 8.0 / s - 2.5, ERFINV_TAIL["double"])
    far = s + polynomial(f, (s - FAR_CENTRE) / (s + FAR_CENTRE), FAR)
    tail = with_sign(f, f.select(w < 30.0, tail, far) * ROOT_TWO, centred)
    result = f.select(w <= 5.0, erfinv(f, centred) * ROOT_TWO, tail)
    beyond = choice(f, low.eq(0), p.type, math.inf, math.nan)
    return f.select(low > 0, result, with_sign(f, beyond, centred))
