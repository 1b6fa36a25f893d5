"""Softplus: the logarithm of 1 + e^x.

It is the positive part of x, and log(1 + t) with t = e^-|x| no greater than 1. There
s = t / (t + 2) is at most a third, so that log(1 + t) = 2 artanh s needs no power of two split off:
as 2 s = t - s t it is t - s (t - R(s^2)), where t leads.
"""

from __future__ import annotations

from cresset.kernels.mathematics.arithmetic import absolute, format_of, polynomial
from cresset.kernels.mathematics.exponential import exp_to_one
from cresset.runtime import ir

# R(z) / z = (2 artanh(s) / s - 2) / z in z = s^2, |s| <= 1/3; the error of log(1 + t) is 2^-27.7
# and 2^-59.4 of it.
LOG = {
    "float": (0.6666642, 0.40021437, 0.28003025, 0.28006786),
    "double": (
        0.6666666666666631, 0.400000000001559, 0.2857142854801293, 0.22222223960523083,
        0.1818174422562662, 0.15386554011181436, 0.1330104493567092, 0.12105569462650831,
        0.08342160554424899, 0.17015111206492578,
    ),
}  # fmt: skip


def softplus(f: ir.Function, x: ir.Value) -> ir.Value:
    """log(1 + e^x)"""
    t = exp_to_one(f, -absolute(f, x))
    s = t / (t + 2.0)
    square = s * s
    g = f.fma(-square, polynomial(f, square, LOG[format_of(t).name]), t)
    return f.select(x < 0, 0.0, x) + f.fma(-s, g, t)
