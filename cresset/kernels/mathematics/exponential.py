"""Exponential functions: exp, exp2, expm1, sigmoid, tanh; see hyperbolic.py for sinh and cosh.

All write x = n ln 2 + r with an integer n, and e^r = 1 + r + r^2 E(r) with a polynomial E.
"""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    at_least,
    at_most,
    bits,
    choice,
    format_of,
    nearest,
    number,
    polynomial,
    power_of_two,
    with_sign,
)
from cresset.kernels.mathematics.logarithm import LN2, LOG2_E
from cresset.runtime import ir

# E(r) = (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2; the error of e^r is 2^-28.2 and 2^-55.2 of it.
EXP = {
    "float": (0.49999994, 0.16666517, 0.041668102, 0.008369163, 0.0013837891),
    "double": (
        0.5, 0.16666666666661933, 0.04166666666661972, 0.008333333336539515,
        0.0013888888920636723, 0.00019841262657990664, 2.4801516159942775e-05,
        2.7563861245013813e-06, 2.7622312107925715e-07, 2.2978340271195844e-08,
    ),
}  # fmt: skip

# The same for |r| <= ln 2, minimal in the error of e^r - 1: 2^-27.2 and 2^-58.8 of it.
EXPM1 = {
    "float": (
        0.50000006, 0.1666667, 0.041665874, 0.008332733, 0.0013914929, 2.0085921e-04, 2.248281e-05,
    ),
    "double": (
        0.5, 0.16666666666666663, 0.04166666666666707, 0.008333333333335495,
        0.0013888888888790281, 0.00019841269837802628, 2.4801587384303362e-05,
        2.7557321588428542e-06, 2.7557288223622436e-07, 2.5051324932940966e-08,
        2.088202202063955e-09, 1.618383409115552e-10, 1.1164272763037969e-11,
    ),
}  # fmt: skip

# (tanh x / x - 1) / x^2 in x^2, for |x| <= 0.5493; the error of tanh x is 2^-24.7 and 2^-55.5.
TANH = {
    "float": (-0.33332947, 0.13320732, -0.05267229, 0.01643851),
    "double": (
        -0.3333333333333232, 0.13333333333169714, -0.05396825387654551, 0.02186948598558563,
        -0.00886319464619768, 0.0035917208318059952, -0.0014532223387940042,
        0.000579153563097839, -0.00021032948221634754, 5.104027109866234e-05,
    ),
}  # fmt: skip


def exp(f: ir.Function, x: ir.Value) -> ir.Value:
    """e^x"""
    # At the bounds the result has overflowed to infinity or underflowed to zero already.
    low, high = {"float": (-104.5, 89.0), "double": (-746.0, 710.0)}[format_of(x).name]
    part, n_bits = reduced_exp(f, at_most(f, at_least(f, x, low), high))
    return times_power(f, part, n_bits, bits(f, x) < 0)


def exp_to_one(f: ir.Function, x: ir.Value) -> ir.Value:
    """e^x for x that is no greater than 0, rounding aside: weights relative to the greatest."""
    low = {"float": -104.5, "double": -746.0}[format_of(x).name]
    return times_power(f, *reduced_exp(f, at_least(f, x, low)))


def exp2(f: ir.Function, x: ir.Value) -> ir.Value:
    """2^x"""
    form = format_of(x)
    low, high = {"float": (-151.0, 129.0), "double": (-1077.0, 1025.0)}[form.name]
    bounded = at_most(f, at_least(f, x, low), high)
    n, n_bits = nearest(f, bounded, 1.0)
    scaled = [c * math.log(2) ** k for k, c in enumerate((1.0, 1.0, *EXP[form.name]))]
    return times_power(f, polynomial(f, bounded - n, scaled), n_bits, bits(f, x) < 0)


def expm1(f: ir.Function, x: ir.Value) -> ir.Value:
    """e^x - 1, accurate for small x."""
    form = format_of(x)
    high, low = LN2[form.name]
    # Below the first bound the result is -1; above the second n stays the greatest exponent, where
    # EXPM1 still serves, and above the third the result is infinity.
    bounds = {"float": (-18.0, 88.3, 88.8), "double": (-38.0, 709.4, 709.9)}[form.name]
    bounded = at_most(f, at_least(f, x, bounds[0]), bounds[2])
    n, n_bits = nearest(f, at_most(f, bounded, bounds[1]), LOG2_E)
    r = f.fma(n, -low, f.fma(n, -high, bounded))
    part = f.fma(polynomial(f, r, EXPM1[form.name]), r * r, r)
    scale = power_of_two(f, n_bits)
    return f.select(x.eq(0), x, f.fma(scale, part, scale - 1.0))


def reduced_exp(f: ir.Function, x: ir.Value, rest=None) -> tuple[ir.Value, ir.Value]:
    """e^r and the low bits of n, with x + rest = n ln 2 + r."""
    r, n_bits = _reduced(f, x, rest)
    return polynomial(f, r, (1.0, 1.0, *EXP[format_of(x).name])), n_bits


def reduced_expm1(f: ir.Function, x: ir.Value, rest=None) -> tuple[ir.Value, ir.Value]:
    """e^r - 1 and the low bits of n, with x + rest = n ln 2 + r."""
    r, n_bits = _reduced(f, x, rest)
    return f.fma(polynomial(f, r, EXP[format_of(x).name]), r * r, r), n_bits


def _reduced(f, x, rest=None):
    """r and the low bits of n, with x + rest = n ln 2 + r; `rest` is less than a unit of x."""
    high, low = LN2[format_of(x).name]
    n, n_bits = nearest(f, x, LOG2_E)
    r = f.fma(n, -high, x)  # exact
    if rest is None:
        return f.fma(n, -low, r), n_bits
    return r + f.fma(n, -low, rest), n_bits


def times_power(
    f: ir.Function, x: ir.Value, n_bits: ir.Value, negative: ir.Value | None = None
) -> ir.Value:
    """2^n x, overflowing and underflowing as it should.

    |n| may reach 3/2 of the greatest exponent, where 2^n is no number of the format. `negative`
    tells the sign of n lane by lane; without it no n is positive.
    """
    form = format_of(x)
    # In two factors that are normal numbers. The second is a constant, away from 1 as n is.
    half = (form.bias + 1) // 2
    if negative is None:
        return x * number(f, (n_bits << form.mantissa) + form.power(half)) * 2.0**-half
    one = choice(f, negative, n_bits.type, form.power(half), form.power(-half))
    other = number(f, 2 * form.power(0) - one)
    return x * number(f, (n_bits << form.mantissa) + one) * other


def sigmoid(f: ir.Function, x: ir.Value) -> ir.Value:
    """1 / (1 + e^-x)"""
    form = format_of(x)
    # At the bounds the result has underflowed to zero, or is 1 but for half a unit, already.
    low, high = {"float": (-104.5, 18.0), "double": (-746.0, 38.0)}[form.name]
    r, n_bits = _reduced(f, at_most(f, at_least(f, x, low), high))
    # As 2^n / (2^n + e^-r), all of it scaled so that 2^n is a normal number.
    scale = {"float": 30, "double": 64}[form.name]
    one = 2.0**scale
    power = number(f, (n_bits << form.mantissa) + form.power(scale))
    sum = power + one
    slope = polynomial(f, r, [-one * c * (-1) ** k for k, c in enumerate((1.0, *EXP[form.name]))])
    # What the sum lost, of the lesser of its terms, goes with e^-r - 1.
    return power / (sum + f.fma(slope, r, power - (sum - one)))


def tanh(f: ir.Function, x: ir.Value) -> ir.Value:
    """(e^x - e^-x) / (e^x + e^-x)"""
    form = format_of(x)
    # From tanh x = 1/2 upward: 1 - 2 / (e^2x + 1). Beyond the bound it is 1.
    size = at_most(f, absolute(f, x), {"float": 9.1, "double": 19.1}[form.name])
    n, n_bits = nearest(f, size, 2 * LOG2_E)
    r = f.fma(n, -0.5 * LN2[form.name][0], size)
    doubled = [c * 2.0**k for k, c in enumerate((1.0, 1.0, *EXP[form.name]))]
    divisor = f.fma(polynomial(f, r, doubled), power_of_two(f, n_bits), 1.0)
    large = 1.0 - 2.0 / divisor
    square = x * x
    small = f.fma(polynomial(f, square, TANH[form.name]), square * x, x)
    return with_sign(f, f.select(size < 0.54930615, small, large), x)
