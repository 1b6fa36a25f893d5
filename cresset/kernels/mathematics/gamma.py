"""The logarithm of the gamma function and its derivative: lgamma, digamma.

A polynomial serves 1 <= x <= 5/2; what lies below comes there by gamma(x + 1) = x gamma(x). From
5/2 upward it is Stirling's series, cut to a polynomial that is best on that range; far below zero
the reflection gamma(x) gamma(1 - x) = pi / sin pi x, and between it and zero, where the functions
have zeros, what gamma_below.py does. All is done in double, for floats, too, whose lgamma has
shorter polynomials and nothing in two parts.
"""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    any_lane,
    by_side,
    choice,
    exact_product,
    exact_sum,
    exact_sum_of_any,
    format_of,
    in_double,
    in_registers,
    polynomial,
    with_sign,
)
from cresset.kernels.mathematics.gamma_below import LEAST, digamma_below, lgamma_below
from cresset.kernels.mathematics.logarithm import log, log_in_two, log_of_normal
from cresset.kernels.mathematics.trigonometric import SIN, TAN
from cresset.runtime import ir

# log gamma(v) / ((v - 1) (v - 2)) in v - centre, for 1 <= v <= 5/2; its error is 2^-56.3 of it.
LGAMMA_CENTRE = 1.79296875
LGAMMA = (
    0.4450860540744702, -0.11575843461757299, 0.04215824771547628, -0.017620345234743196,
    0.0079236143494731, -0.0037247557474519356, 0.0018029189563111684, -0.0008907504113946391,
    0.0004467605652047575, -0.0002266655379846833, 0.00011604600324650797, -5.984857534919773e-05,
    3.1054432961948226e-05, -1.6201594029895805e-05, 8.48516142292706e-06, -4.439502632734614e-06,
    2.352826276697909e-06, -1.30944784491846e-06, 6.587977225806521e-07, -2.265115390589161e-07,
    1.9986567705778468e-07, -2.5958945954460466e-07, 3.05096245634359e-08, 9.293642807368162e-08,
    3.445706620696608e-08, -5.2961441887129335e-08,
)  # fmt: skip

# x (log gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2) in 1 / x^2, for x >= 5/2; error 2^-56.2.
LGAMMA_SERIES = (
    0.08333333333333333, -0.002777777777756357, 0.0007936507846606753, -0.0005952366881277956,
    0.000841637039685406, -0.0019119757723963582, 0.006231066718823322, -0.025457392157275764,
    0.10928128450391865, -0.41266825410067887, 1.1741850735721004, -2.1319253103404128,
    1.810477135168632,
)  # fmt: skip
# The same two in double for floats; the errors are 2^-30.8 and 2^-29.3.
LGAMMA_FOR_FLOAT = (
    0.4450860542718858, -0.1157584322516188, 0.04215821769513857, -0.017620458718335518,
    0.00792434848783657, -0.0037231782822015865, 0.0017963398526226065, -0.0009002456996648057,
    0.0004738220238751562, -0.0001988764694494075, 6.250149984840737e-05, -9.770929361029333e-05,
    7.665645051606466e-05,
)  # fmt: skip
SERIES_FOR_FLOAT = (
    0.08333333320353954, -0.002777734349810803, 0.000791300655483396, -0.000548950335748314,
    0.0004263690121762239,
)  # fmt: skip
STIRLING = (0.4189385332046727, 1.6728209650585413e-17)  # (log(2 pi) - 1) / 2

# digamma(v) / (v - its root) in v - 7/4, for 1 <= v <= 5/2; its error is 2^-55.4 of it.
DIGAMMA = (
    0.8581832171262995, -0.3262546278681058, 0.15712011335203774, -0.0822855863557636,
    0.04479965445329249, -0.024890048489850554, 0.013985786163178589, -0.007910468753562945,
    0.004491814137392387, -0.002556686857165312, 0.0014573694221756675, -0.0008314938310865036,
    0.0004747219622571272, -0.0002711123562375258, 0.0001546157803094449, -8.829271123098849e-05,
    5.1335623703195396e-05, -2.9426488925655864e-05, 1.4600574436294468e-05, -8.181654984845053e-06,
    8.377492383498721e-06, -4.962642334465611e-06, -1.1486857234156256e-06, 7.671262584783094e-07,
    2.0533311738734445e-06, -1.2040825623758682e-06,
)  # fmt: skip
ROOT = (1.4616321449683622, 9.549995429965697e-17)

# x^2 (log x - 1 / 2 x - digamma(x)) in 1 / x^2, for x >= 5/2; error 2^-56.5.
DIGAMMA_SERIES = (
    0.08333333333333333, -0.00833333333330824, 0.003968253954349349, -0.004166663759394676,
    0.007575440897776973, -0.02107180837194826, 0.08240412998142709, -0.41390426432439453,
    2.354399208746999, -13.130426318074338, 63.29660828495286, -238.45089074112204,
    637.6515394874244, -1059.9963647237405, 816.6275058848927,
)  # fmt: skip


@in_registers
def lgamma(f: ir.Function, x: ir.Value) -> ir.Value:
    """log |gamma(x)|; infinity at zero and the negative integers.

    Within 2 units in the last place, near its zeros below -2, too.
    """
    if format_of(x).name == "float":
        return in_double(f, _lgamma_for_float, x)
    below = x < -0.5
    return _reflected(f, x, below, _lgamma(f, f.select(below, -x, x)))


def _reflected(f, x, below, direct):
    """lgamma x where that of |x|, `direct`, is not it: `below` -1/2."""

    def reflected():
        # lgamma(-a) = -log(a |sin pi a| / pi) - lgamma(a)
        size = absolute(f, x)
        rest = absolute(f, size - f.intrinsic("roundeven", size))
        angle = rest * math.pi
        square = angle * angle
        sine = f.fma(polynomial(f, square, SIN["double"]), square * angle, angle)
        result = -log(f, size * sine * (1 / math.pi)) - direct
        pole = f.select(rest > 0, result, math.inf)  # the negative infinity is one
        near = below & (x >= LEAST)
        pole = f.select(near, lgamma_below(f, f.select(near, x, -1.5)), pole)
        return f.select(below, pole, direct)

    return f.either(any_lane(f, below), reflected, lambda: direct)


def _lgamma_for_float(f, x):
    """lgamma of doubles that stand for floats: the same steps, none of them in two parts."""
    below = x < -0.5
    a = f.select(below, -x, x)
    large, below_one, below_half = a >= 2.5, a < 1.0, a < 0.5
    t = a - f.select(below_half, 0.0, choice(f, below_one, x.type, 1.0, 2.0))
    product = t * (t + 1.0)
    argument = f.select(large | below_one, a, 1.0)
    logarithm = log_of_normal(f, f.select(below_half, absolute(f, product), argument))
    part = polynomial(f, t + (2.0 - LGAMMA_CENTRE), LGAMMA_FOR_FLOAT)
    near = f.select(a.eq(0), math.inf, 0.0 + (part * product - logarithm))  # log 1 = +0
    inverse = 1.0 / a
    series = f.fma(polynomial(f, inverse * inverse, SERIES_FOR_FLOAT), inverse, STIRLING[0])
    far = f.select(a < math.inf, f.fma(a - 0.5, logarithm - 1.0, series), a)
    return _reflected(f, x, below, f.select(large, far, near))


def _lgamma(f, x):
    """lgamma for x >= -1/2."""
    large = x >= 2.5
    # x = c + t with c = 2, 1, 0: lgamma(2 + t), less the logarithms of t + 1 and t where c = 1, 0.
    below_one, below_half = x < 1, x < 0.5
    t = x - f.select(below_half, 0.0, choice(f, below_one, x.type, 1.0, 2.0))
    next, next_rest = exact_sum(f, f.value(x.type, 1.0), t)
    product, product_rest = exact_product(f, t, next)
    # log(product) + rest / product
    argument = f.select(below_half, absolute(f, product), f.select(large | below_one, x, 1.0))
    high, rest = log_in_two(f, argument)

    def stirling():
        # (x - 1/2) (log x - 1) + constant + series
        less, more = exact_sum(f, high, f.value(x.type, -1.0))
        weight = x - 0.5
        main, main_rest = exact_product(f, weight, less)
        inverse = 1.0 / x
        series = polynomial(f, inverse * inverse, LGAMMA_SERIES)
        small = f.fma(series, inverse, main_rest + STIRLING[1])
        sum, lost = exact_sum_of_any(f, main, f.value(x.type, STIRLING[0]))
        total = sum + (lost + f.fma(weight, more + rest, small))
        return f.select(main < math.inf, total, main)

    def near():
        part = polynomial(f, t + (2.0 - LGAMMA_CENTRE), LGAMMA)
        part = f.fma(part, product, part * product_rest)
        lost = f.select(below_half, f.fma(t, next_rest, product_rest) / product, 0.0)
        small = 0.0 + ((part - (rest + lost)) - high)  # log 1 = +0
        return f.select(x.eq(0), math.inf, small)

    return by_side(f, large, x.type, stirling, near)


@in_registers
def digamma(f: ir.Function, x: ir.Value) -> ir.Value:
    """The derivative of lgamma; infinity of the other sign at zeros, NaN at negative integers.

    Within 2 units in the last place, near its zeros, too; but for doubles below -30 within a few
    units of the greater of 1 and the two terms of the reflection.
    """
    if format_of(x).name == "float":
        return in_double(f, digamma, x)
    direct = _digamma(f, absolute(f, x))
    below = x < 0

    def reflected():
        # digamma(-a) = digamma(a) + 1 / a + pi / tan pi a
        rest = x - f.intrinsic("roundeven", x)
        size = absolute(f, rest)
        steep = size > 0.25
        angle = f.select(steep, 0.5 - size, size) * math.pi
        square = angle * angle
        tangent = f.fma(polynomial(f, square, TAN["double"]), square * angle, angle)
        cotangent = f.select(steep, tangent, math.pi) / f.select(steep, 1.0, tangent)
        cotangent = f.select(steep, cotangent * math.pi, cotangent)
        result = direct - 1.0 / x - with_sign(f, cotangent, rest)
        near = below & (x >= LEAST)
        result = f.select(near, digamma_below(f, f.select(near, x, -1.5)), result)
        return f.select(below, f.select(size > 0, result, math.nan), direct)

    result = f.either(any_lane(f, below), reflected, lambda: direct)
    return f.select(absolute(f, x) < 2.0**-60, -1.0 / x, result)


def _digamma(f, x):
    """digamma for x >= 0."""
    large = x >= 2.5
    inverse = 1.0 / x

    def near():
        # Below 1: digamma(x + 1) - 1 / x.
        low = x < 1
        sum, sum_rest = exact_sum(f, choice(f, low, x.type, 1.0, 0.0), x)
        part = polynomial(f, sum - 1.75, DIGAMMA)
        lost = f.fma(-inverse, x, 1.0) * inverse
        small = f.fma(part, sum_rest - ROOT[1], f.select(low, -lost, 0.0))
        return f.fma(part, sum - ROOT[0], small) - f.select(low, inverse, 0.0)

    def far():
        series = f.fma(polynomial(f, inverse * inverse, DIGAMMA_SERIES), inverse, 0.5)
        high, rest = log_in_two(f, x)
        return f.select(x < math.inf, high + f.fma(-series, inverse, rest), x)

    return by_side(f, large, x.type, far, near)
