"""Modified Bessel functions of order 0 and 1: i0, i1, k0, k1, and the same scaled by e^-|x|, e^x.

Near zero they are their power series, all of whose terms are positive, and, for k, its logarithm
(Abramowitz and Stegun 1964, 9.6.10 to 9.6.13). Far from it they are e^x or e^-x by sqrt x times a
polynomial in 1/x. All is done in double, for floats, too.
"""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    at_least,
    at_most,
    by_side,
    format_of,
    in_double,
    in_registers,
    polynomial,
    with_sign,
)
from cresset.kernels.mathematics.exponential import exp, reduced_exp, times_power
from cresset.kernels.mathematics.logarithm import log
from cresset.runtime import ir

# The power series: i0 x = sum of q^k / k!^2 and i1 x = x/2 times the sum of q^k / k! (k + 1)!, with
# q = x^2 / 4, here in x^2. The terms left off are below 2^-57 for x <= 8.
NEAR = 8.0
I0_SERIES = tuple(1.0 / (4**k * math.factorial(k) ** 2) for k in range(27))
I1_SERIES = tuple(0.5 / (4**k * math.factorial(k) * math.factorial(k + 1)) for k in range(27))

# sqrt x e^-x i0 x and i1 x in t = 16 / x - 1, for x >= 8; errors 2^-53.8 and 2^-55.5 of them.
I0_FAR = (
    0.4021765094450081, 0.0033605519836678614, 0.0001362160743919305, 1.1143033790932038e-05,
    1.4838475658279249e-06, 2.9735985885673923e-07, 8.872219737904054e-08, 3.932584334552952e-08,
    2.1548377974791595e-08, 7.554691881248808e-09, -6.747657956107521e-09, -1.3408917540089737e-08,
    -5.404771567579969e-09, 7.552583062123378e-09, 7.430464650325451e-09, -3.5059665308793187e-09,
    -5.953569438264931e-09, 1.5200816953924089e-09, 3.637954635901157e-09, -5.715843864202609e-10,
    -1.6189806836247103e-09, 1.5279202694981178e-10, 4.5770876316437315e-10,
    -2.0260604287412954e-11, -6.067631570603187e-11,
)  # fmt: skip
I1_FAR = (
    0.38939845902587233, -0.00974957719323576, -0.00021923576383388928, -1.503854719814553e-05,
    -1.8349101326980946e-06, -3.4838565069237384e-07, -1.0001288294864884e-07,
    -4.312811174972107e-08, -2.337392820814264e-08, -8.43629043023456e-09, 6.734464815301589e-09,
    1.4076395500755003e-08, 5.974437608040275e-09, -7.778592763970366e-09, -7.888351507862104e-09,
    3.721979744725431e-09, 6.242741219786487e-09, -1.873645047006511e-09, -3.794670896208383e-09,
    9.568523624904274e-10, 1.684898447970544e-09, -4.086984233472694e-10, -4.758818838703965e-10,
    1.1618136302869485e-10, 6.305965197150244e-11, -1.5626599071974814e-11,
)  # fmt: skip

# k0 x + (log(x / 2) + gamma) i0 x = sum of H(k) q^k / k!^2 with the harmonic numbers H, and
# (k1 x - 1/x - (log(x / 2) + gamma) i1 x) / x = -sum of (H(k) + H(k + 1)) q^k / 4 k! (k + 1)!.
HARMONIC = tuple(math.fsum(1.0 / j for j in range(1, k + 1)) for k in range(12))
K0_SERIES = tuple(h * c for h, c in zip(HARMONIC, I0_SERIES))
K1_SERIES = tuple(
    -0.5 * (h + next) * c for h, next, c in zip(HARMONIC, HARMONIC[1:], I1_SERIES)
)
GAMMA_LESS_LOG_2 = -0.1159315156584124488107  # Euler's constant less log 2

# sqrt x e^x k0 x and k1 x in t = 2 / x - 1, for x >= 1; errors 2^-54.3 and 2^-56 of them.
K0_FAR = (
    1.1901571834152027, -0.0522790114917577, 0.008067386548372201, -0.0019084014862734363,
    0.0005692398884395873, -0.00019727982061389378, 7.608265618217886e-05, -3.1814805634692697e-05,
    1.418166416135991e-05, -6.658994277340302e-06, 3.265222576760516e-06, -1.6653737675636318e-06,
    8.788100554472436e-07, -4.516057829541184e-07, 2.3118718077845764e-07, -2.3202854099043506e-07,
    1.9986982252326833e-07, 2.0294056719197293e-07, -2.883890936809185e-07, -5.726676078239311e-07,
    6.628722765449521e-07, 8.79904648066647e-07, -9.777147434372081e-07, -1.0289697437743068e-06,
    1.0795329845127237e-06, 8.370799679362215e-07, -8.385030730379988e-07, -4.6055169406190983e-07,
    4.4119063015179937e-07, 1.5290053374732804e-07, -1.4067516172148714e-07,
    -2.3784325324371993e-08, 2.098538479608586e-08,
)  # fmt: skip
K1_FAR = (
    1.4615569735231244, 0.18797890654571855, -0.015852854565983437, 0.0031120066456231514,
    -0.0008443927414760359, 0.0002760388399705941, -0.00010227195021987331, 4.152315925908083e-05,
    -1.809285743728478e-05, 8.34255194292137e-06, -4.030276120012048e-06, 2.0295346733831754e-06,
    -1.0591670140508488e-06, 5.418683354671322e-07, -2.7711659777544874e-07,
    2.6532661923749144e-07, -2.238402639077842e-07, -2.1626576666662002e-07, 3.10150320157863e-07,
    6.225946843329387e-07, -7.187757981728141e-07, -9.545322742659767e-07, 1.059061742940594e-06,
    1.1170624283760798e-06, -1.1699232649743574e-06, -9.088111914436952e-07, 9.088288092426719e-07,
    5.002196385460044e-07, -4.783633082362836e-07, -1.6612903727573373e-07, 1.5258088715841567e-07,
    2.5863254985428135e-08, -2.277802090583235e-08,
)  # fmt: skip


@in_registers
def i0(f: ir.Function, x: ir.Value) -> ir.Value:
    """The modified Bessel function of the first kind of order 0, within 3 units."""
    if format_of(x).name == "float":
        return in_double(f, i0, x)
    size = absolute(f, x)
    return by_side(
        f, size < NEAR, x.type,
        lambda: _series(f, size, I0_SERIES), lambda: _grown(f, size, I0_FAR),
    )


@in_registers
def i1(f: ir.Function, x: ir.Value) -> ir.Value:
    """The modified Bessel function of the first kind of order 1, within 3 units."""
    if format_of(x).name == "float":
        return in_double(f, i1, x)
    size = absolute(f, x)
    result = by_side(
        f, size < NEAR, x.type,
        lambda: _series(f, size, I1_SERIES) * size, lambda: _grown(f, size, I1_FAR),
    )
    return with_sign(f, result, x)


@in_registers
def i0e(f: ir.Function, x: ir.Value) -> ir.Value:
    """e^-|x| i0 x, within 4 units."""
    if format_of(x).name == "float":
        return in_double(f, i0e, x)
    size = absolute(f, x)
    return by_side(
        f, size < NEAR, x.type,
        lambda: _series(f, size, I0_SERIES) * exp(f, -at_most(f, size, NEAR)),
        lambda: _far(f, size, 2 * NEAR, I0_FAR),
    )


@in_registers
def i1e(f: ir.Function, x: ir.Value) -> ir.Value:
    """e^-|x| i1 x, within 4 units."""
    if format_of(x).name == "float":
        return in_double(f, i1e, x)
    size = absolute(f, x)
    result = by_side(
        f, size < NEAR, x.type,
        lambda: _series(f, size, I1_SERIES) * (size * exp(f, -at_most(f, size, NEAR))),
        lambda: _far(f, size, 2 * NEAR, I1_FAR),
    )
    return with_sign(f, result, x)


@in_registers
def k0(f: ir.Function, x: ir.Value) -> ir.Value:
    """The modified Bessel function of the second kind of order 0, within 4 units."""
    return _second_kind(f, k0, x, _k0_near, K0_FAR, scaled=False)


@in_registers
def k1(f: ir.Function, x: ir.Value) -> ir.Value:
    """The modified Bessel function of the second kind of order 1, within 4 units."""
    return _second_kind(f, k1, x, _k1_near, K1_FAR, scaled=False)


@in_registers
def k0e(f: ir.Function, x: ir.Value) -> ir.Value:
    """e^x k0 x, within 4 units."""
    return _second_kind(f, k0e, x, _k0_near, K0_FAR, scaled=True)


@in_registers
def k1e(f: ir.Function, x: ir.Value) -> ir.Value:
    """e^x k1 x, within 4 units."""
    return _second_kind(f, k1e, x, _k1_near, K1_FAR, scaled=True)


def _series(f, x, coefficients):
    return polynomial(f, x * x, coefficients)


def _far(f, x, scale, coefficients):
    """A polynomial in scale / x - 1, by sqrt x."""
    return polynomial(f, scale / x - 1.0, coefficients) / f.intrinsic("sqrt", x)


def _grown(f, x, coefficients):
    """e^x times the polynomial of `_far`, for x >= 8."""
    part, n_bits = reduced_exp(f, at_most(f, x, 720.0))
    result = times_power(f, part * _far(f, x, 2 * NEAR, coefficients), n_bits, x < 0)
    return f.select(x >= 720.0, math.inf, result)


def _second_kind(f, function, x, near, coefficients, scaled):
    """k or its scaled form; infinite at zero and NaN below."""
    if format_of(x).name == "float":
        return in_double(f, function, x)

    def small():
        return near(f, x) * exp(f, at_most(f, x, 1.0)) if scaled else near(f, x)

    def large():
        value = _far(f, x, 2.0, coefficients)
        if scaled:
            return value
        part, n_bits = reduced_exp(f, at_least(f, -x, -760.0))
        return times_power(f, part * value, n_bits)

    result = by_side(f, x < 1.0, x.type, small, large)
    result = f.select(x.eq(math.inf), 0.0, f.select(x.eq(0), math.inf, result))
    return f.select(x < 0, math.nan, result)


def _k0_near(f, x):
    logarithm = log(f, x) + GAMMA_LESS_LOG_2
    return f.fma(-logarithm, _series(f, x, I0_SERIES[:12]), _series(f, x, K0_SERIES))


def _k1_near(f, x):
    logarithm = log(f, x) + GAMMA_LESS_LOG_2
    part = f.fma(logarithm, _series(f, x, I1_SERIES[:12]), _series(f, x, K1_SERIES))
    return f.fma(part, x, 1.0 / x)
