"""The normal distribution: ndtr, its cumulative; ndtri, the inverse of that; normal_weight."""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    at_least,
    at_most,
    by_side,
    choice,
    exact_product,
    format_of,
    in_double,
    in_registers,
    polynomial,
    power_of_two,
    with_sign,
)
from cresset.kernels.mathematics.error import (
    ERF_SMALL,
    ERFC_SHIFT,
    ERFINV_TAIL,
    erf,
    erfinv,
    falling,
    scaled_erfc,
)
from cresset.kernels.mathematics.exponential import reduced_exp
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

# (s + 9/16) e^(s^2) erfc s in (s - K) / (s + K), for 0 <= s <= 10.1, in double for floats; its
# error is 2^-37.5 of it.
ERFC_FOR_FLOAT_CENTRE = 3.75
ERFC_FOR_FLOAT = (
    0.6278556730015983, -0.08720916999206121, 0.015918211288504017, 0.03091512414875267,
    -0.04798917436072058, 0.04272706226148119, -0.027837990414639517, 0.013666750787679014,
    -0.004759564594884387, 0.0008796828269883306, 0.00013674149341063997, -0.00015033888925857598,
    2.088338209779045e-05, 1.566865459816099e-05,
)  # fmt: skip

# ((2 ndtr(-x))^(1/8) - 1) / x for 0 <= x <= WEIGHT_END, where x times it reaches -1; the error of
# ndtr is 2^-27.7.
WEIGHT = (
    -0.09973553, -0.034815654, -7.368968e-04, 0.0016445908, 3.5210658e-05, -6.507861e-05,
    8.066752e-06, -3.1801781e-07,
)  # fmt: skip
WEIGHT_END = 8.2


@in_registers
def ndtr(f: ir.Function, x: ir.Value) -> ir.Value:
    """The integral of the normal density from -infinity to x: erfc(-x / sqrt 2) / 2."""
    if format_of(x).name == "float":
        return in_double(f, _ndtr_for_float, x)
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


def _ndtr_for_float(f, x):
    """ndtr of doubles that stand for floats, of which it is 0 from -14.2 down."""
    size = at_most(f, absolute(f, x), 14.2)
    scaled = size * ROOT_HALF
    divisor, further = scaled + ERFC_SHIFT, scaled + ERFC_FOR_FLOAT_CENTRE
    both = 1.0 / (divisor * further)
    t = (scaled - ERFC_FOR_FLOAT_CENTRE) * (both * divisor)
    part, n_bits = reduced_exp(f, size * size * -0.5)
    decay = part * power_of_two(f, n_bits) * 0.5
    below = polynomial(f, t, ERFC_FOR_FLOAT) * (both * further) * decay
    return f.select(x < 0, below, 1.0 - below)


def normal_weight(f: ir.Function, x: ir.Value) -> ir.Value:
    """ndtr to within 2 units of the last place of 1, in half the time of erf; 0 and 1 far out."""
    if format_of(x).name == "double":
        return f.fma(erf(f, x * ROOT_HALF), 0.5, 0.5)
    size = at_most(f, absolute(f, x), WEIGHT_END)
    # (1 + less)^8 - 1 by three squarings, each of which keeps the small difference from 1.
    less = at_least(f, polynomial(f, size, WEIGHT) * size, -1.0)
    for _ in range(3):
        less = f.fma(less, less, less + less)
    half = with_sign(f, f.value(x.type, 0.5), x)
    return f.fma(-half, less, 0.5)


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

    def tail():
        rest = by_side(
            f, w < 30.0, p.type,
            lambda: polynomial(f, 8.0 / s - 2.5, ERFINV_TAIL["double"]),
            lambda: polynomial(f, (s - FAR_CENTRE) / (s + FAR_CENTRE), FAR),
        )
        return with_sign(f, s + rest, centred)

    result = by_side(f, w <= 5.0, p.type, lambda: erfinv(f, centred), tail) * ROOT_TWO
    beyond = choice(f, low.eq(0), p.type, math.inf, math.nan)
    return f.select(low > 0, result, with_sign(f, beyond, centred))
