"""Trigonometric functions: sin, cos, tan."""

from __future__ import annotations

from cresset.kernels.mathematics.arithmetic import (
    bits,
    exact_sum,
    format_of,
    number,
    polynomial,
)
from cresset.kernels.mathematics.reduction import Angle, reduced, reduced_in_two
from cresset.runtime import ir

# (sin r / r - 1) / r^2 in r^2, for |r| <= pi / 2; the error of sin r is 2^-27.3 and 2^-61.5 of it.
SIN = {
    "float": (-0.1666666, 0.008333069, -1.9809864e-04, 2.6061873e-06),
    "double": (
        -0.16666666666666666, 0.008333333333333207, -0.00019841269841212476,
        2.7557319211560897e-06, -2.5052106904129846e-08, 1.605894098942073e-10,
        -7.643018942858017e-13, 2.7214138239167507e-15,
    ),
}  # fmt: skip

# (tan r / r - 1) / r^2 in r^2, for |r| <= pi / 4; the error of tan r is 2^-29.5 and 2^-56.1 of it.
TAN = {
    "float": (
        0.3333335, 0.13332672, 0.054059446, 0.021282768, 0.010837715, 8.383707e-05, 0.0043803835,
    ),
    "double": (
        0.3333333333333276, 0.13333333333417116, 0.0539682539254929, 0.021869489636606093,
        0.008863218782970025, 0.0035922924609978926, 0.0014547376958056373, 0.0005951491686539579,
        0.00022213268454017194, 0.0001370321300398598, -2.7098134608348374e-05,
        9.010576638039162e-05, -4.522924937286052e-05, 2.0948148703665673e-05,
    ),
}  # fmt: skip


def sin(f: ir.Function, x: ir.Value) -> ir.Value:
    """The sine."""
    return f.select(x.eq(0), x, _alternating(f, x, Angle(1, 0.0)))  # the zero keeps its sign


def cos(f: ir.Function, x: ir.Value) -> ir.Value:
    """The cosine: the sine of x + pi / 2; of zero exactly one."""
    return f.select(x.eq(0), 1.0, _alternating(f, x, Angle(1, 0.5)))


def _alternating(f, x, angle):
    """(-1)^n sin r, with x = n pi + r or x = (n - 1/2) pi + r."""
    form = format_of(x)
    r, n_bits = reduced(f, x, angle)
    r = number(f, bits(f, r) ^ (n_bits << (form.bits - 1)))
    square = r * r
    return f.fma(polynomial(f, square, SIN[form.name]), r * square, r)


def tan(f: ir.Function, x: ir.Value) -> ir.Value:
    """The tangent."""
    r, rest, n_bits = reduced_in_two(f, x, Angle(2, 0.0))
    square = r * r
    rest = f.fma(polynomial(f, square, TAN[format_of(x).name]), r * square, rest)
    tangent, lost = exact_sum(f, r, rest)
    # x = n pi / 2 + r: -1 / tan r where n is odd, corrected for what the sum lost.
    odd = (n_bits & 1).ne(0)
    ratio = f.select(odd, -1.0, tangent) / f.select(odd, tangent, 1.0)
    ratio = f.fma(ratio * f.select(odd, lost, 0.0), ratio, ratio)
    return f.select(x.eq(0), x, ratio)
