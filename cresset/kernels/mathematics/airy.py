"""The Airy function: airy_ai.

From 1 upward it is e^-z / (2 sqrt pi x^(1/4)) times a polynomial in 1/z, with z = 2/3 x^(3/2); from
-3 downward an amplitude times the sine of z + pi/4 less a phase (Abramowitz and Stegun 1964,
10.4.59 and 10.4.60); between the two a polynomial, with the first zero taken out as a factor. z is
computed in two parts, so that neither its decay nor its angle loses anything. All is done in
double, for floats, too.
"""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    at_least,
    bits,
    exact_product,
    exact_sum,
    exact_sum_of_any,
    format_of,
    in_double,
    in_registers,
    number,
    polynomial,
)
from cresset.kernels.mathematics.error import falling
from cresset.kernels.mathematics.reduction import Angle, reduced_in_two
from cresset.kernels.mathematics.trigonometric import SIN
from cresset.runtime import ir

# airy_ai x / (x - the first zero) in (x + 1) / 2, for |x + 1| <= 2; the error is 2^-52 of it.
MIDDLE = (
    0.4002375886314956, -0.6134009161598322, 0.11634347475997406, 0.3698818548918447,
    -0.29614255226952385, 0.013684011950734149, 0.09032696465718876, -0.04525976614488109,
    -0.0015432567504728685, 0.009629527233509993, -0.0033400789238069413, -0.0003060941509044366,
    0.0005663856444092688, -0.00014388857860382097, -2.0224085865278776e-05,
    2.0991895053130814e-05, -4.032241896393394e-06, -7.577380243722416e-07, 5.338776916215432e-07,
    -7.8802191867489e-08, -1.8969965791930045e-08, 9.915988403587005e-09, -1.0325706988862932e-09,
    -3.6179492079656965e-10, 1.0762250532376161e-10, -2.989947533228457e-12,
)  # fmt: skip
ZERO = (-2.338107410459767, -3.912260409818305e-17)

# 2 sqrt pi x^(1/4) e^z airy_ai x in t = 4 / 3 z - 1, for x >= 1; the error is 2^-56 of it.
ABOVE = (
    0.9606660365121796, -0.031034618880734298, 0.005701191519479393, -0.0016060475718902864,
    0.0005631879663257002, -0.00022668601211559345, 0.00010049336572712575, -4.788925600468372e-05,
    2.414997238817679e-05, -1.2750695365211163e-05, 6.994540800066376e-06, -3.945269481598874e-06,
    2.2743532194639593e-06, -1.4991560518197548e-06, 1.0771989390606665e-06, 2.465136661870188e-07,
    -1.014564188937378e-06, -3.6995625409163166e-06, 5.765789477838927e-06, 1.1836164225937555e-05,
    -1.7858781200990775e-05, -3.105488783217487e-05, 4.380402371923874e-05, 6.16924826451996e-05,
    -8.239882161283958e-05, -9.390471107523362e-05, 0.00011933106293414525, 0.0001083863371392783,
    -0.00013170628546134604, -9.331804965815399e-05, 0.00010885659447802044, 5.807675337688352e-05,
    -6.525384805646244e-05, -2.471508497702091e-05, 2.681939287380595e-05, 6.44497532147556e-06,
    -6.769284629065463e-06, -7.796868865392634e-07, 7.936943693887266e-07,
)  # fmt: skip

# Amplitude and phase of airy_ai(-x) in t = 24 / z^2 - 1, for x >= 3; errors 2^-55 and 2^-53.
AMPLITUDE = (
    0.9986339964695347, -0.0012965170046200902, 6.069835307487017e-05, -7.024602797870364e-06,
    1.2948257475411376e-06, -3.1816439661949687e-07, 9.512113415780103e-08,
    -3.2803704412315626e-08, 1.2624097353572517e-08, -5.3021363537190674e-09,
    2.3248382975159298e-09, -1.0517528472854535e-09, 7.783360293947184e-10, -5.879015960615121e-10,
    -4.1628011068518793e-10, 6.331513641904265e-10, 1.0988197760781347e-09,
    -1.2432521776088337e-09, -1.2513463942532135e-09, 1.3608518395778437e-09, 9.94853296023718e-10,
    -1.0087470758057438e-09, -4.478756208450044e-10, 4.3133951623828766e-10, 9.500932480626901e-11,
    -8.60905158339539e-11,
)  # fmt: skip
PHASE = (
    0.0681155963913973, -0.0012064161440968097, 0.0001012574065395751, -1.5978180473044473e-05,
    3.6015048496198645e-06, -1.022919780363758e-06, 3.418620111850658e-07, -1.2895133493149843e-07,
    5.343974664078986e-08, -2.3887267395835122e-08, 1.1216473175063915e-08, -5.453652595126816e-09,
    3.616942240870632e-09, -2.681846416891566e-09, -1.6763244700101744e-09, 3.30059596542733e-09,
    7.3358685230296295e-09, -9.781605463034754e-09, -1.3436937972168934e-08, 1.715888042902989e-08,
    1.8451053664891066e-08, -2.2023316227795746e-08, -1.724195853207748e-08, 1.950736056280288e-08,
    1.0682466140757279e-08, -1.1489053383412612e-08, -3.930168864704458e-09, 4.038726101830355e-09,
    6.639947832097774e-10, -6.516278615504164e-10,
)  # fmt: skip
TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
FARTHEST = 103.892  # from here on the result is below every normal number


@in_registers
def airy_ai(f: ir.Function, x: ir.Value) -> ir.Value:
    """The Airy function Ai; zero from 104 upward, NaN at infinities.

    Within 7 units in the last place above -3, but for those of 1/2 near the zeros, and 3 units of
    the amplitude 1 / (sqrt pi |x|^(1/4)) from there down.
    """
    if format_of(x).name == "float":
        return in_double(f, airy_ai, x)
    high, low = ZERO
    middle = polynomial(f, f.fma(x, 0.5, 0.5), MIDDLE) * ((x - high) - low)
    size = absolute(f, x)
    root, z, z_rest = _angle(f, at_least(f, size, 1.0))
    above = f.select(x < FARTHEST, _falling(f, root, z, z_rest), 0.0)
    result = f.select(x < 1.0, middle, above)
    result = f.select(x < -3.0, _oscillating(f, root, z, z_rest), result)
    return f.select(size < math.inf, result, math.nan)


def _angle(f, x):
    """sqrt x, and z = 2/3 x sqrt x as the sum of two numbers."""
    root = f.intrinsic("sqrt", x)
    root_rest = f.fma(-root, root, x) * (0.5 / root)
    product, rest = exact_product(f, x, root)
    rest = f.fma(x, root_rest, rest)
    z, z_rest = exact_product(f, product, f.value(x.type, TWO_THIRDS[0]))
    return root, *exact_sum(f, z, f.fma(product, TWO_THIRDS[1], f.fma(rest, TWO_THIRDS[0], z_rest)))


def _falling(f, root, z, z_rest):
    """airy_ai for x >= 1."""
    factor = 0.5 / math.sqrt(math.pi)
    value = polynomial(f, (4.0 / 3.0) / z - 1.0, ABOVE) * (factor / f.intrinsic("sqrt", root))
    bounded = z < 750.0
    z, z_rest = f.select(bounded, z, 750.0), f.select(bounded, z_rest, 0.0)
    return falling(f, (value, f.constant(value.type, 0)), -z, -z_rest)


def _oscillating(f, root, z, z_rest):
    """airy_ai(-x) for x >= 3."""
    inverse = 1.0 / z
    t = f.fma(inverse * inverse, 24.0, -1.0)
    phase = polynomial(f, t, PHASE) * inverse
    high, low, n_bits = reduced_in_two(f, z, Angle(1, 0.25))
    # Far out z is known to less than a turn, and the angle means no more than its size.
    z_rest = f.select(z < 2.0**50, z_rest, 0.0)
    angle, rest = exact_sum_of_any(f, high, z_rest - phase)
    square = angle * angle
    rest = f.fma(polynomial(f, square, SIN["double"]), square * angle, rest + low)
    sine = number(f, bits(f, angle + rest) ^ (n_bits << 63))
    amplitude = polynomial(f, t, AMPLITUDE) / f.intrinsic("sqrt", root * math.pi)
    return amplitude * sine
