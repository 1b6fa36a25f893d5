"""Bessel functions of order 0 and 1: j0, j1, y0, y1, and the spherical j0.

Up to 5 they are polynomials in x^2, for j with their first zero taken out as a factor, for y with
their logarithm. From there on they are an amplitude times a sine, both angles with the phase of
Hankel's expansion: j0 x = sqrt(2 / pi x) A(1/x^2) cos(x - pi/4 - P(1/x^2) / x) and y0 the sine
(Abramowitz and Stegun 1964, 9.2.17 to 9.2.31; Harrison 2009, "Fast and accurate Bessel function
computation"). As x is reduced exactly, zeros of the sine are met as exactly as x itself is known.
All is done in double, for floats, too.
"""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    bits,
    by_side,
    exact_sum_of_any,
    format_of,
    in_double,
    in_registers,
    number,
    polynomial,
    with_sign,
)
from cresset.kernels.mathematics.logarithm import log
from cresset.kernels.mathematics.reduction import Angle, reduced_in_two
from cresset.kernels.mathematics.trigonometric import SIN, sin
from cresset.runtime import ir

# In t = 2 x^2 / 25 - 1, for x <= 5: j0 x / (x^2 - zero^2) and j1 x / (x (x^2 - zero^2)); their
# errors are 2^-53 of them.
J0_SMALL = (
    -0.05728080421634534, 0.07436630462755323, -0.03277786210789048, 0.0073758943041960226,
    -0.001013405346985002, 9.414473580694953e-05, -6.3193186183226215e-06, 3.211562353433063e-07,
    -1.2795360168830179e-08, 4.105688303721103e-10, -1.0840781056083564e-11, 2.399602248240359e-13,
    -4.50857521753263e-15,
)  # fmt: skip
J1_SMALL = (
    -0.01587595431164548, 0.013090777521810029, -0.004240225993395717, 0.0007552540432951287,
    -8.592956232073762e-05, 6.814683895176615e-06, -3.991381169521328e-07, 1.799515992541992e-08,
    -6.44313098846173e-10, 1.8773810470060388e-11, -4.540044272545434e-13, 9.268689637917528e-15,
    -1.6162359403482695e-16,
)  # fmt: skip
ZEROS = ((2.404825557695773, -1.176691651530894e-16), (3.8317059702075125, -1.5269184090088067e-16))

# In the same t: y0 x - 2/pi log x j0 x, and (y1 x - 2/pi (log x j1 x - 1/x)) / x; errors below
# 2^-58 of the greatest value.
Y0_SMALL = (
    0.4837248578102995, -0.4326558222855125, -0.4705763655297288, 0.38851639956570944,
    -0.11151682184328618, 0.01763534538933876, -0.0018028096665526022, 0.0001299462909208217,
    -6.9855043677424995e-06, 2.9142206889637085e-07, -9.720964498735147e-09,
    2.6539975248625817e-10, -6.0431800819704165e-12, 1.166603953074689e-13,
    -1.9305329340667354e-15,
)  # fmt: skip
Y1_SMALL = (
    0.13974939033568806, 0.09108650838448444, -0.16312020358118715, 0.06634695354779108,
    -0.013433433740818165, 0.0016688031328635942, -0.00014141835794484212, 8.733098304848775e-06,
    -4.1137780795312436e-07, 1.528890182573714e-08, -4.6013010745475043e-10,
    1.1448943838049981e-11, -2.397782341669183e-13, 4.277907601247645e-15,
)  # fmt: skip

# In t = 50 / x^2 - 1, for x >= 5: the amplitudes A and the phases P of both orders; errors 2^-55
# and 2^-53 of them.
AMPLITUDES = (
    (
        0.9987877696821643, -0.0011775507892662813, 3.202111190245265e-05, -2.3111599931619582e-06,
        2.8360811460390153e-07, -4.889572884096267e-08, 1.0690335541342941e-08,
        -2.7855852890318124e-09, 8.307802548157339e-10, -2.781250062708509e-10,
        1.0205760187899462e-10, -3.458059290564544e-11, 1.2300842937391828e-11,
        -1.3400221363626302e-11, 8.222940720778866e-12, 3.370470781833378e-12,
        -2.801526518791366e-12, -2.2010963979315306e-12, 1.4129658239089657e-12,
    ),
    (
        1.003678149269156, 0.00361104597381083, -6.29533725876284e-05, 3.6627957959879208e-06,
        -4.030054188307104e-07, 6.533706996405689e-08, -1.3742115241786369e-08,
        3.486776356204455e-09, -1.0198635765188719e-09, 3.3616222518073327e-10,
        -1.2180805472929993e-10, 4.1203114628011275e-11, -1.465990206451563e-11,
        1.5340393912189172e-11, -9.32346747773158e-12, -3.735548686921874e-12,
        3.1114977529620358e-12, 2.4811253855046567e-12, -1.5863691005265115e-12,
    ),
)  # fmt: skip
PHASES = (
    (
        0.12377131542437227, -0.0011637507367878329, 5.7949091529346064e-05,
        -5.844782270076094e-06, 8.946048633685747e-07, -1.8103521548360345e-07,
        4.477611653396542e-08, -1.2885680153129378e-08, 4.174915517175874e-09,
        -1.4813418398898869e-09, 5.666044192255096e-10, -2.527561976950496e-10,
        1.1967635221416035e-10, -1.460158613537833e-11, -7.0251664749514835e-12,
        -4.813274593949151e-11, 3.669739443209174e-11, 2.150486340076532e-11,
        -1.74124414905668e-11, -8.435277529421993e-12, 5.946080091308914e-12,
    ),
    (
        -0.3718517047402422, 0.003028094255748446, -0.00010947680414724285, 9.136935645762736e-06,
        -1.2642102377213856e-06, 2.413195241944714e-07, -5.749925490636185e-08,
        1.612344209387917e-08, -5.1180444689564195e-09, 1.79243803098939e-09,
        -7.038279053021518e-10, 2.980559241767972e-10, -8.054148491356759e-11,
        1.8725673315830324e-11, -7.614769207395096e-11, 5.406106829301374e-11,
        2.945191438286814e-11, -2.3895885089573652e-11, -1.3827830017573278e-11,
        9.43513423302362e-12,
    ),
)  # fmt: skip
LARGE = 5.0
TWO_BY_PI = 2.0 / math.pi


@in_registers
def bessel_j0(f: ir.Function, x: ir.Value) -> ir.Value:
    """The Bessel function of the first kind of order 0.

    Within 3 units in the last place up to 5, and of the amplitude sqrt(2 / pi x) from there on;
    near the first zero, and those from 5 on, within a few units of the value.
    """
    if format_of(x).name == "float":
        return in_double(f, bessel_j0, x)
    size = absolute(f, x)
    # cos(x - pi/4) is the sine of x + pi/4.
    return by_side(
        f, size < LARGE, x.type,
        lambda: _j_small(f, size, 0), lambda: _oscillating(f, size, 0, 0.25),
    )


@in_registers
def bessel_j1(f: ir.Function, x: ir.Value) -> ir.Value:
    """The Bessel function of the first kind of order 1, as exact as `bessel_j0`."""
    if format_of(x).name == "float":
        return in_double(f, bessel_j1, x)
    size = absolute(f, x)
    result = by_side(
        f, size < LARGE, x.type,
        lambda: _j_small(f, size, 1) * size, lambda: _oscillating(f, size, 1, -0.25),
    )
    negative = f.select(x < 0, -result, result)
    return f.select(x.eq(0), x, negative)


@in_registers
def bessel_y0(f: ir.Function, x: ir.Value) -> ir.Value:
    """The Bessel function of the second kind of order 0; NaN below zero, -infinity at it.

    Within 4 units in the last place of the greater of 1 and the value up to 5, and of the
    amplitude from there on.
    """
    if format_of(x).name == "float":
        return in_double(f, bessel_y0, x)

    def small():
        near = log(f, x) * _j_small(f, x, 0)
        return f.fma(near, TWO_BY_PI, polynomial(f, _centred(f, x), Y0_SMALL))

    return _second_kind(f, x, small, lambda: _oscillating(f, x, 0, -0.25))


@in_registers
def bessel_y1(f: ir.Function, x: ir.Value) -> ir.Value:
    """The Bessel function of the second kind of order 1, as exact as `bessel_y0` and -2/(pi x)."""
    if format_of(x).name == "float":
        return in_double(f, bessel_y1, x)

    def small():
        near = f.fma(log(f, x) * x, _j_small(f, x, 1), -1.0 / x)
        return f.fma(near, TWO_BY_PI, x * polynomial(f, _centred(f, x), Y1_SMALL))

    return _second_kind(f, x, small, lambda: _oscillating(f, x, 1, -0.75))


@in_registers
def spherical_bessel_j0(f: ir.Function, x: ir.Value) -> ir.Value:
    """sin x / x; one at zero. Within 4 units in the last place."""
    if format_of(x).name == "float":
        return in_double(f, spherical_bessel_j0, x)
    ratio = f.select(x.eq(0), 1.0, sin(f, x) / x)
    return f.select(absolute(f, x).eq(math.inf), 0.0, ratio)


def _second_kind(f, x, small, large):
    result = by_side(f, x < LARGE, x.type, small, large)
    result = f.select(x.eq(0), -math.inf, result)
    return f.select(x < 0, math.nan, result)


def _centred(f, x):
    return f.fma(x * x, 2.0 / LARGE**2, -1.0)


def _j_small(f, x, order):
    """j0 x, or j1 x / x, for 0 <= x <= 5."""
    high, low = ZEROS[order]
    factor = ((x - high) - low) * (x + high)
    return factor * polynomial(f, _centred(f, x), (J0_SMALL, J1_SMALL)[order])


def _oscillating(f, x, order, offset):
    """sqrt(2 / pi x) A sin(x + offset pi - P / x), for x >= 5; zero at infinity."""
    inverse = 1.0 / x
    t = f.fma(inverse * inverse, 2.0 * LARGE**2, -1.0)
    phase = polynomial(f, t, PHASES[order]) * inverse
    high, low, n_bits = reduced_in_two(f, x, Angle(1, offset))
    angle, rest = exact_sum_of_any(f, high, -phase)
    square = angle * angle
    rest = f.fma(polynomial(f, square, SIN["double"]), square * angle, rest + low)
    sine = angle + rest
    sine = number(f, bits(f, sine) ^ (n_bits << 63))
    amplitude = polynomial(f, t, AMPLITUDES[order]) * f.intrinsic("sqrt", inverse * TWO_BY_PI)
    return f.select(x.eq(math.inf), with_sign(f, f.constant(x.type, 0), x), amplitude * sine)
