"""Error functions: erf, erfc, erfcx, erfinv."""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    any_lane,
    at_most,
    choice,
    exact_product,
    format_of,
    in_double,
    in_registers,
    polynomial,
    with_sign,
)
from cresset.kernels.mathematics.exponential import reduced_exp, reduced_expm1, times_power
from cresset.kernels.mathematics.logarithm import log_of_normal
from cresset.runtime import ir

# erf x / x - 1 in x^2, for |x| <= 0.92 and 1; the error of erf x is 2^-25.9 and 2^-55.1 of it.
ERF_SMALL = {
    "float": (
        0.12837915, -0.376125, 0.11281878, -0.02676862, 0.004995919, -6.00415e-04,
    ),
    "double": (
        0.12837916709551256, -0.3761263890318352, 0.11283791670944184, -0.026866170643111226,
        0.005223977606116593, -0.0008548325929231264, 0.00012055293574655089,
        -1.492471226381244e-05, 1.644713116046416e-06, -1.620631105620668e-07,
        1.3710970513256622e-08, -7.779453165307134e-10,
    ),
}  # fmt: skip

# The fourth root of 1 - erf x, for 0.92 <= x <= 3.93 and 1 <= x <= 5.95; the error of erf x is
# 2^-26.3 and 2^-56.8. The root decays so slowly that a polynomial follows it.
ERF_LARGE = {
    "float": (
        1.0014342, -0.29002097, -0.10062364, -0.00915818, 0.038005896, -0.010220677, 1.0399291e-04,
        2.7743448e-04, -2.8553815e-05,
    ),
    "double": (
        0.9999998489121945, -0.28209318408964656, -0.11937422485976461, 0.015487133747684872,
        0.01857245847005269, -0.001135249083747652, -0.002053354822350637, 0.0003206109094227086,
        4.1532984099969796e-05, 2.0194878966220365e-05, -2.4240396483153836e-05,
        1.1130958404435971e-05, -4.225880733481706e-06, 1.366942993826498e-06,
        -3.38495843759161e-07, 6.086542465969305e-08, -7.792154222523414e-09, 6.945911412648508e-10,
        -4.1137418525190654e-11, 1.4598202673561577e-12, -2.3541306620840473e-14,
    ),
}  # fmt: skip

# (x + 9/16) e^(x^2) erfc x in t = (x - K) / (x + K), for 1/2 <= x <= 10.1 and 27.3; the error of
# erfc x is 2^-27 and 2^-55.5 of it. With 9/16 the function is almost flat, and errors of t vanish.
ERFC_SHIFT = 0.5625
ERFC_CENTRE = {"float": 2.8, "double": 3.9875}
ERFC = {
    "float": (
        0.6407206, -0.08730771, -0.017548969, 0.06211253, -0.054223582, 0.026941333, -0.006467612,
        -8.824328e-04, 9.01639e-04,
    ),
    "double": (
        0.625194666541075, -0.08606877912847886, 0.021112710535440338, 0.024123192531488716,
        -0.04393280714005869, 0.04294024427653776, -0.031066780818473777, 0.017585851769130967,
        -0.007685471156241505, 0.0023744915874051734, -0.0003444686962733803,
        -0.00010173555416428731, 7.244523507913675e-05, -1.0821504220510251e-05,
        -5.728366849453278e-06, 2.7016414935544734e-06, 2.071763562369922e-07,
        -4.0102966910092287e-07, 2.3476343450436734e-08, 5.2287086126230353e-08,
        -5.027629085873874e-09, -5.115402163645515e-09,
    ),
}  # fmt: skip

# x e^(x^2) erfc x in 1 / x^2, for x >= 27.3: (-1)^k (2k - 1)!! / (2^k sqrt pi), of the asymptotic
# series (Abramowitz and Stegun 1964, 7.1.23); what is left off is below 2^-58 of it.
ERFCX_SERIES = tuple(
    (-0.5) ** k * math.prod(range(1, 2 * k, 2)) / math.sqrt(math.pi) for k in range(7)
)

# With w = -log(1 - x^2): erfinv x / x in w, for w <= 5, and erfinv x - sqrt w in 8 / sqrt w - 5/2,
# for w from there on to what the format reaches. The error of erfinv is 2^-24.7 and 2^-54 of it in
# the first, 2^-27.8 and 2^-57 in the second.
ERFINV = {
    "float": (
        0.8862269, 0.23201382, 0.011548654, -0.0023342962, -1.2748147e-04, 4.4565077e-05,
        3.9832985e-06, -1.976476e-06, 2.2103234e-07, -8.791109e-09,
    ),
    "double": (
        0.886226925452758, 0.23201366653464714, 0.011549342038504343, -0.0023351016445453967,
        -0.00012804327478322386, 4.661136146945615e-05, 2.020201960435586e-06,
        -1.0129601620401447e-06, -3.672870112678349e-08, 2.219757458326283e-08,
        1.2356764505366728e-09, -8.261861072370267e-10, 1.3174983571677568e-10,
        -4.436920812543495e-11, 1.714887972136695e-11, -4.0682783171543445e-12,
        6.103221943380138e-13, -6.006848409666155e-14, 3.818369529092177e-15,
        -1.4367336764748515e-16, 2.4483350921061168e-18,
    ),
}  # fmt: skip
ERFINV_TAIL = {
    "float": (
        -0.1664176, -0.006427164, 0.010816842, -0.0021242166, 2.1266936e-04, -1.2655811e-04,
        4.0235398e-05,
    ),
    "double": (
        -0.1664175959778413, -0.00642712968500573, 0.010816286501553921, -0.002124476525148966,
        0.00021797426311707707, -0.00012938986017442322, 2.643508152195666e-05,
        1.5835051939896797e-05, 2.370161438846459e-06, -8.433831570938516e-06,
        8.038548518831681e-07, 2.6103113275703e-06, -8.677675274527766e-07, -6.552576959749586e-07,
        5.405023550686944e-07, -4.24031395593134e-09, -1.822500686261501e-07, 9.838547086191679e-08,
        1.533279472287872e-08, -5.1878893538728644e-08, 1.8701789746113647e-08,
        1.4350242003676719e-08, -1.0546760874892302e-08, -2.114182794669628e-09,
        2.6036965032398507e-09, 1.2103743933518597e-10, -2.6960089249414643e-10,
    ),
}  # fmt: skip


def erf(f: ir.Function, x: ir.Value) -> ir.Value:
    """2 / sqrt pi times the integral of e^(-t^2) from 0 to x"""
    name = format_of(x).name
    square = x * x
    small = f.fma(polynomial(f, square, ERF_SMALL[name]), x, x)
    size = absolute(f, x)
    rest = polynomial(f, at_most(f, size, {"float": 3.93, "double": 5.95}[name]), ERF_LARGE[name])
    rest = rest * rest
    rest = rest * rest
    result = f.select(size < {"float": 0.92, "double": 1.0}[name], small, 1.0 - rest)
    return with_sign(f, result, x)


def erfc(f: ir.Function, x: ir.Value) -> ir.Value:
    """1 - erf x, accurate where it is small."""
    name = format_of(x).name
    size = absolute(f, x)
    far = _erfc(f, at_most(f, size, {"float": 10.1, "double": 27.3}[name]))
    far = f.select(x < 0, 2.0 - far, far)
    near = 1.0 - f.fma(polynomial(f, x * x, ERF_SMALL[name]), x, x)
    return f.select(size < 0.5, near, far)


def _erfc(f, x):
    """erfc x for x >= 1/2: e^(-x^2) ERFC / (x + 9/16)."""
    square, square_rest = exact_product(f, x, x)
    return falling(f, scaled_erfc(f, x), -square, -square_rest)


def falling(f: ir.Function, value, x: ir.Value, rest: ir.Value) -> ir.Value:
    """The product of e^(x + rest), for x <= 0, and a value in two parts, the second small."""
    main, main_rest = value
    part, n_bits = reduced_expm1(f, x, rest)
    return times_power(f, main + f.fma(main + main_rest, part, main_rest), n_bits)


def scaled_erfc(f: ir.Function, x: ir.Value) -> tuple[ir.Value, ir.Value]:
    """e^(x^2) erfc x as the sum of two numbers, for x from 1/2 to what ERFC reaches."""
    name = format_of(x).name
    centre = ERFC_CENTRE[name]
    # One division for 1 / (x + K) and 1 / (x + 9/16).
    divisor, further = x + ERFC_SHIFT, x + centre
    both = 1.0 / (divisor * further)
    inverse = both * further
    # The greatest term by itself: c[0] / (x + 9/16). What its rounding and the division lost goes
    # with the others, which are small beside it; so is e^r - 1.
    first, *others = ERFC[name]
    rest = x - (divisor - ERFC_SHIFT)
    lost = f.fma(-inverse, rest, f.fma(-inverse, divisor, 1.0))
    main, main_rest = exact_product(f, inverse, f.value(x.type, first))
    t = (x - centre) * (both * divisor)
    rest = f.fma(polynomial(f, t, others) * t, inverse, f.fma(main, lost, main_rest))
    return main, rest


@in_registers
def erfcx(f: ir.Function, x: ir.Value) -> ir.Value:
    """e^(x^2) erfc x: erfc without its decay; infinite from -26.7 down."""
    if format_of(x).name == "float":
        return in_double(f, erfcx, x)
    size = absolute(f, x)
    bounded = at_most(f, size, 27.3)
    main, rest = scaled_erfc(f, bounded)
    inverse = 1.0 / size
    tail = polynomial(f, inverse * inverse, ERFCX_SERIES) * inverse
    positive = f.select(size < 27.3, main + rest, tail)
    square, square_rest = exact_product(f, bounded, bounded)
    part, n_bits = reduced_exp(f, square, square_rest)
    power = times_power(f, part, n_bits, square < 0)
    near = (1.0 - f.fma(polynomial(f, x * x, ERF_SMALL["double"]), x, x)) * power
    far = f.select(x < 0, f.fma(power, 2.0, -positive), positive)
    return f.select(size < 0.5, near, far)


def erfinv(f: ir.Function, x: ir.Value) -> ir.Value:
    """The inverse of erf; infinite at -1 and 1, NaN beyond (Giles 2012)."""
    name = format_of(x).name
    size = absolute(f, x)
    w = -log_of_normal(f, f.fma(-x, x, 1.0))
    # c[0] |x| + (c[1] w + ...) |x|; both products keep what they lose.
    first, *others = ERFINV[name]
    main, rest = exact_product(f, size, f.value(x.type, first))
    slope, slope_rest = exact_product(f, w, polynomial(f, w, others))
    centre = main + f.fma(slope, size, f.fma(slope_rest, size, rest))
    far = w > 5.0

    def with_tail():
        root = f.intrinsic("sqrt", w)
        tail = root + polynomial(f, 8.0 / root - 2.5, ERFINV_TAIL[name])
        return f.select(far, tail, centre)

    result = f.either(any_lane(f, far), with_tail, lambda: centre)
    outside = choice(f, size.eq(1), x.type, math.inf, math.nan)
    return with_sign(f, f.select(size < 1, result, outside), x)
