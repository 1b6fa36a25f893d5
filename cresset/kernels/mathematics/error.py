"""Error functions: erf, erfc, erfinv."""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    at_most,
    choice,
    exact_product,
    exact_sum,
    format_of,
    polynomial,
    with_sign,
)
from cresset.kernels.mathematics.exponential import reduced_expm1, times_power
from cresset.kernels.mathematics.logarithm import log_in_two
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

# The fourth and eighth root of 1 - erf x, for 0.92 <= x <= 3.93 and 1 <= x <= 5.95; the error of
# erf x is 2^-26.3 and 2^-57.4. A root decays so slowly that a polynomial follows it.
ERF_LARGE = {
    "float": (
        1.0014342, -0.29002097, -0.10062364, -0.00915818, 0.038005896, -0.010220677, 1.0399291e-04,
        2.7743448e-04, -2.8553815e-05,
    ),
    "double": (
        0.9999999720332274, -0.14104712102224862, -0.06963153397981058, -0.0020866127561481296,
        0.00658782301319628, 0.0001819392841955507, -0.0004992041460234953, 6.892854543862892e-05,
        1.4417970708495128e-05, -1.2850569951067977e-05, 6.028918352918553e-06,
        -2.0097368138112395e-06, 4.871067705232225e-07, -8.810718323398746e-08,
        1.2024706653266215e-08, -1.217446623888189e-09, 8.666209527598796e-11,
        -3.868220538803013e-12, 8.123806495665884e-14,
    ),
}  # fmt: skip

# (x + 9/16) e^(x^2) erfc x in t = (x - K) / (x + K), for 1/2 <= x <= 10.1 and 27.3; the error of
# erfc x is 2^-27 and 2^-55.1 of it. With 9/16 the function is almost flat, and errors of t vanish.
ERFC_SHIFT = 0.5625
ERFC_CENTRE = {"float": 2.8, "double": 4.06875}
ERFC = {
    "float": (
        0.6407206, -0.08730771, -0.017548969, 0.06211253, -0.054223582, 0.026941333, -0.006467612,
        -8.824328e-04, 9.01639e-04,
    ),
    "double": (
        0.62432880561276, -0.08562702821610278, 0.022675346030633446, 0.021938428786368258,
        -0.04246783686887241, 0.0427762876822884, -0.03194283684381644, 0.018830866438799315,
        -0.008728159456842077, 0.0029894431154286953, -0.0005958786069101979,
        -4.550519634955772e-05, 7.879418497300626e-05, -2.0692929680667103e-05,
        -3.208386237832718e-06, 3.33228532214385e-06, -3.163138253064506e-07,
        -3.698509457452719e-07, 9.296559141081014e-08, 2.9720165571515328e-08,
        -1.0526183526980875e-08,
    ),
}  # fmt: skip

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
    for _ in range({"float": 2, "double": 3}[name]):
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
    square, square_rest = exact_product(f, x, x)
    part, n_bits = reduced_expm1(f, -square, -square_rest)
    return times_power(f, main + f.fma(main + rest, part, rest), n_bits)


def erfinv(f: ir.Function, x: ir.Value) -> ir.Value:
    """The inverse of erf; infinite at -1 and 1, NaN beyond (Giles 2012)."""
    name = format_of(x).name
    size = absolute(f, x)
    high, low = log_in_two(f, f.fma(-x, x, 1.0))
    w, w_rest = exact_sum(f, -high, -low)
    # c[0] |x| + (c[1] w + ...) |x|; both products keep what they lose.
    first, *others = ERFINV[name]
    main, rest = exact_product(f, size, f.value(x.type, first))
    factor = polynomial(f, w, others)
    slope, slope_rest = exact_product(f, w, factor)
    slope_rest = f.fma(w_rest, factor, slope_rest)
    centre = main + f.fma(slope, size, f.fma(slope_rest, size, rest))
    root = f.intrinsic("sqrt", w)
    tail = root + polynomial(f, 8.0 / root - 2.5, ERFINV_TAIL[name])
    outside = choice(f, size.eq(1), x.type, math.inf, math.nan)
    result = f.select(size < 1, f.select(w <= 5.0, centre, tail), outside)
    return with_sign(f, result, x)
