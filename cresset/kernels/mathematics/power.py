"""The power function: pow.

|x|^y = 2^(y log2 |x|) or e^(y log |x|) needs the logarithm to some ten bits more than the result
has. For float it is computed in double; for double it is the sum of two doubles.
"""

from __future__ import annotations

import math

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    at_least,
    at_most,
    bits,
    choice,
    exact_product,
    exact_sum,
    format_of,
    nearest,
    number,
    polynomial,
    power_of_two,
)
from cresset.kernels.mathematics.exponential import reduced_exp, times_power
from cresset.kernels.mathematics.logarithm import LN2_SHORT, LOG2_E, exponent_bias, scaled, split
from cresset.runtime import ir

# (2 artanh(s) / s - 2) / z in z = s^2, |s| <= 0.1716, for doubles that stand for floats; the error
# of the logarithm is 2^-37.6 of it.
LOG_FOR_FLOAT = (
    0.6666666564831709, 0.40000334610152666, 0.28537341840862307, 0.23581576177016636,
)  # fmt: skip

# (2^r - 1) / r for |r| <= 1/2; the error of 2^r is 2^-28.5 of it.
EXP2_FOR_FLOAT = (
    0.6931472151054523, 0.2402265279881889, 0.0555031029494326, 0.00961769084699878,
    0.0013406735790843483, 0.00015595198825873162,
)  # fmt: skip

# The same as LOG_FOR_FLOAT is 2/3 + z P(z); P, for an error of 2^-66.3 of the logarithm.
LOG_TAIL = (
    0.4000000000000225, 0.2857142857010216, 0.22222222519478504, 0.18181784404598814,
    0.15386755667287097, 0.13256855106378299, 0.1319599415068607,
)  # fmt: skip
TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)


def pow(f: ir.Function, x: ir.Value, y: ir.Value) -> ir.Value:
    """x^y, with the special cases of C's pow (IEEE 754-2019, 9.2.1).

    x^0 = 1^y = 1 even for NaN; a negative x needs an integer y.
    """
    size = absolute(f, x)
    # Beyond this y the result is 0, 1 or infinity for every x.
    limit = {"float": 2.0**40, "double": 2.0**70}[format_of(x).name]
    bounded = at_most(f, at_least(f, y, -limit), limit)
    compute = {"float": _of_floats, "double": _of_doubles}[format_of(x).name]
    result = compute(f, size, bounded)
    result = _at_the_ends(f, size, y, result)
    result = _of_negative(f, x, size, y, result)
    return f.select(y.eq(0) | x.eq(1), 1.0, result)


def _at_the_ends(f, size, y, result):
    """`result`, but 0 or infinity for 0^y and infinity^y, and NaN where x is."""
    infinite = size.eq(math.inf)
    end = choice(f, infinite ^ (y < 0), y.type, math.inf, 0.0)
    result = f.select((infinite | size.eq(0)) & y.eq(y), end, result)
    return f.select(size.eq(size), result, size)


def _of_negative(f, x, size, y, result):
    """`result` with its sign; NaN for a negative, finite x and a y that is no integer."""
    form = format_of(x)
    whole = f.intrinsic("trunc", y).eq(y)
    half = y * 0.5
    odd = whole & f.intrinsic("trunc", half).ne(half)
    sign = f.select(odd, bits(f, x) & (1 << (form.bits - 1)), 0)
    result = number(f, bits(f, result) ^ sign)
    undefined = (x < 0) & (size < math.inf) & (whole ^ True)
    return f.select(undefined, math.nan, result)


def _of_floats(f, x, y):
    """x^y for positive x, by way of double."""
    wide = ir.vector("double", ir.lanes(x.type))
    x, y = f.convert(x, wide), f.convert(y, wide)
    k, m, _ = split(f, x, exponent_bias(format_of(x)))
    d = m - 1.0
    s = d / (m + 1.0)
    square = s * s
    log = f.fma(-s, f.fma(-square, polynomial(f, square, LOG_FOR_FLOAT), d), d)
    exponent = y * f.fma(log, LOG2_E, k)
    exponent = at_most(f, at_least(f, exponent, -160.0), 160.0)  # 0 and infinity as float
    n, n_bits = nearest(f, exponent, 1.0)
    part = polynomial(f, exponent - n, (1.0, *EXP2_FOR_FLOAT))
    return f.convert(part * power_of_two(f, n_bits), ir.vector("float", ir.lanes(x.type)))


def _of_doubles(f, x, y):
    """x^y for positive x."""
    log, log_rest = precise_log(f, x)
    exponent, rest = exact_product(f, y, log)
    rest = f.fma(y, log_rest, rest)
    # At the bounds the power has overflowed or underflowed, and the rest may be anything.
    exponent = at_most(f, at_least(f, exponent, -746.0), 710.0)
    rest = at_most(f, at_least(f, rest, -1e-12), 1e-12)
    part, n_bits = reduced_exp(f, exponent, rest)
    return times_power(f, part, n_bits, bits(f, exponent) < 0)


def precise_log(f: ir.Function, x: ir.Value) -> tuple[ir.Value, ir.Value]:
    """log x as the sum of two doubles, to 2^-65 of it.

    log m = 2 s + s z (2/3 + z P(z)) with s = (m - 1) / (m + 1), z = s^2; each product in two parts.
    """
    k, m, _ = split(f, *scaled(f, x))
    d = m - 1.0
    divisor, divisor_rest = exact_sum(f, f.value(x.type, 2.0), d)
    inverse = 1.0 / divisor
    s = d * inverse
    s_rest = f.fma(-s, divisor_rest, f.fma(-s, divisor, d)) * inverse
    z, z_rest = exact_product(f, s, s)
    z_rest = f.fma(s + s, s_rest, z_rest)
    cube, cube_rest = exact_product(f, s, z)
    cube_rest = f.fma(s_rest, z, f.fma(s, z_rest, cube_rest))
    tail = f.fma(polynomial(f, z, LOG_TAIL), z, TWO_THIRDS[1])
    factor, factor_rest = exact_sum(f, f.value(x.type, TWO_THIRDS[0]), tail)
    term, term_rest = exact_product(f, cube, factor)
    term_rest = f.fma(cube, factor_rest, f.fma(cube_rest, factor, term_rest))
    ln2 = LN2_SHORT["double"]
    high, rest = exact_sum(f, k * ln2[0], s + s)
    high, more = exact_sum(f, high, term)
    small = f.fma(k, ln2[1], f.fma(s_rest, 2.0, term_rest))
    return exact_sum(f, high, more + (rest + small))
