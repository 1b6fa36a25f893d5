"""Error functions: erf."""

from __future__ import annotations

from cresset.compiler.mathematics.arithmetic import (
    absolute,
    at_most,
    format_of,
    polynomial,
    with_sign,
)
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


def erf(f: ir.Function, x: ir.Value) -> ir.Value:
    """2 / sqrt pi times the integral of e^(-t^2) from 0 to x"""
    form = format_of(x)
    name = form.name
    square = x * x
    small = f.fma(polynomial(f, square, ERF_SMALL[name]), x, x)
    size = absolute(f, x)
    rest = polynomial(f, at_most(f, size, {"float": 3.93, "double": 5.95}[name]), ERF_LARGE[name])
    for _ in range({"float": 2, "double": 3}[name]):
        rest = rest * rest
    result = f.select(size < {"float": 0.92, "double": 1.0}[name], small, 1.0 - rest)
    return with_sign(f, result, x)
