"""Scalar primitives of the special functions, with their derivatives; see `core.scalar`.

    >>> from cresset.core.dtype import float64
    >>> from cresset.core.scalar import argument, gradients
    >>> x, g = argument(0, float64), argument(1, float64)
    >>> gradients(bessel_j0(x), g)[x]
    neg(mul(a1, bessel_j1(a0)))
"""

from __future__ import annotations

import math

from cresset.core.scalar import (
    Primitive,
    eq,
    exp,
    lgamma,
    log,
    primitive,
    sign,
    where,
)


def _float(name, derivative=None, arity=1) -> Primitive:
    return primitive(name, arity, "float", derivative)


def _by_x(value, x, at_zero):
    """value / x, and its limit at zero."""
    zero = eq(x, 0.0)
    return where(zero, at_zero, value / where(zero, 1.0, x))


# --- Bessel functions (Abramowitz and Stegun 1964, 9.1.27 to 9.1.30, 9.6.26 to 9.6.28) ------------
bessel_j0 = _float("bessel_j0", lambda g, out, x: (-(g * bessel_j1(x)),))
bessel_j1: Primitive = _float(
    "bessel_j1", lambda g, out, x: (g * (bessel_j0(x) - _by_x(out, x, 0.5)),)
)
bessel_y0 = _float("bessel_y0", lambda g, out, x: (-(g * bessel_y1(x)),))
bessel_y1: Primitive = _float("bessel_y1", lambda g, out, x: (g * (bessel_y0(x) - out / x),))
i0 = _float("i0", lambda g, out, x: (g * i1(x),))
i1: Primitive = _float("i1", lambda g, out, x: (g * (i0(x) - _by_x(out, x, 0.5)),))
i0e = _float("i0e", lambda g, out, x: (g * (i1e(x) - sign(x) * out),))
i1e: Primitive = _float(
    "i1e", lambda g, out, x: (g * (i0e(x) - sign(x) * out - _by_x(out, x, 0.5)),)
)
k0 = _float("k0", lambda g, out, x: (-(g * k1(x)),))
k1: Primitive = _float("k1", lambda g, out, x: (-(g * (k0(x) + out / x)),))
k0e = _float("k0e", lambda g, out, x: (g * (out - k1e(x)),))
k1e: Primitive = _float("k1e", lambda g, out, x: (g * (out - k0e(x) - out / x),))
spherical_bessel_j0 = _float("spherical_bessel_j0")
airy_ai = _float("airy_ai")

# --- error functions and the normal distribution --------------------------------------------------
erfcx = _float("erfcx", lambda g, out, x: (g * (2.0 * x * out - 2.0 / math.sqrt(math.pi)),))
ndtr = _float("ndtr", lambda g, out, x: (g * (exp(x * x * -0.5) / math.sqrt(2.0 * math.pi)),))
normal_weight = _float(  # ndtr to within two units of the last place of 1
    "normal_weight", lambda g, out, x: (g * (exp(x * x * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))),)
)
ndtri = _float("ndtri", lambda g, out, p: (g * (math.sqrt(2.0 * math.pi) * exp(out * out * 0.5)),))

# --- of the gamma function's family ---------------------------------------------------------------
zeta: Primitive = _float(
    "zeta", lambda g, out, x, q: (None, -(g * x * zeta(x + 1.0, q))), arity=2
)


def gamma_density(a, x):
    """The derivative of the incomplete gamma function: x**(a-1) exp(-x) / gamma(a)."""
    return exp((a - 1.0) * log(x) - x - lgamma(a))


gammainc = _float("gammainc", lambda g, out, a, x: (None, g * gamma_density(a, x)), arity=2)
gammaincc = _float("gammaincc", lambda g, out, a, x: (None, -(g * gamma_density(a, x))), arity=2)

# --- orthogonal polynomials of x, of degree n -----------------------------------------------------
POLYNOMIALS = (
    *(f"{shifted}chebyshev_polynomial_{kind}" for shifted in ("", "shifted_") for kind in "tuvw"),
    "hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l",
    "legendre_polynomial_p",
)  # fmt: skip
for _name in POLYNOMIALS:
    _float(_name, arity=2)
