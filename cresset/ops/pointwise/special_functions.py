"""Special functions; `cresset.special` gathers them under PyTorch's names.

How each is computed and how exact it is stands with its kernel in `kernels.mathematics`.
"""

from __future__ import annotations

import math

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core import special as primitives
from cresset.core.families import required
from cresset.core.tensor import Number, Tensor
from cresset.ops.arguments import whole
from cresset.ops.creation.counted import arange
from cresset.ops.in_place import in_place
from cresset.ops.kinds import elementwise
from cresset.ops.operation import called, counts_as, method, real_only
from cresset.ops.out import with_out
from cresset.ops.pointwise.floating_point import floating

__all__ = ["i0", "igamma", "igammac", "mvlgamma", "polygamma"]

# Name: its primitive, where that is called otherwise, and the first line of its documentation.
OF_ONE = {
    "airy_ai": ("", "The Airy function Ai."),
    "bessel_j0": ("", "The Bessel function of the first kind of order 0."),
    "bessel_j1": ("", "The Bessel function of the first kind of order 1."),
    "bessel_y0": ("", "The Bessel function of the second kind of order 0; NaN below zero."),
    "bessel_y1": ("", "The Bessel function of the second kind of order 1; NaN below zero."),
    "erfcx": ("", "exp(x**2) * erfc(x)."),
    "i0e": ("", "exp(-|x|) * i0(x)."),
    "i1": ("", "The modified Bessel function of the first kind of order 1."),
    "i1e": ("", "exp(-|x|) * i1(x)."),
    "modified_bessel_k0": ("k0", "The modified Bessel function of the second kind of order 0."),
    "modified_bessel_k1": ("k1", "The modified Bessel function of the second kind of order 1."),
    "ndtr": ("", "The integral of the standard normal density from -infinity to x."),
    "ndtri": ("", "The x of which ndtr(x) is the argument; NaN outside [0, 1]."),
    "scaled_modified_bessel_k0": ("k0e", "exp(x) * modified_bessel_k0(x)."),
    "scaled_modified_bessel_k1": ("k1e", "exp(x) * modified_bessel_k1(x)."),
    "spherical_bessel_j0": ("", "sin(x) / x; one at zero."),
}
POLYNOMIALS = {
    "chebyshev_polynomial_t": "Chebyshev's polynomial of the first kind, T(n).",
    "chebyshev_polynomial_u": "Chebyshev's polynomial of the second kind, U(n).",
    "chebyshev_polynomial_v": "Chebyshev's polynomial of the third kind, V(n).",
    "chebyshev_polynomial_w": "Chebyshev's polynomial of the fourth kind, W(n).",
    "hermite_polynomial_h": "The physicist's Hermite polynomial, H(n); NaN for n > 512.",
    "hermite_polynomial_he": "The probabilist's Hermite polynomial, He(n); NaN for n > 512.",
    "laguerre_polynomial_l": "Laguerre's polynomial, L(n).",
    "legendre_polynomial_p": "Legendre's polynomial, P(n).",
    "shifted_chebyshev_polynomial_t": "T(n) of 2 x - 1.",
    "shifted_chebyshev_polynomial_u": "U(n) of 2 x - 1.",
    "shifted_chebyshev_polynomial_v": "V(n) of 2 x - 1.",
    "shifted_chebyshev_polynomial_w": "W(n) of 2 x - 1.",
}


def _declare(name, primitive, doc):
    def of_one(x):
        return primitive(x)

    def of_degree(x: Tensor | Number, n):
        return primitive(x, n)

    body = of_one if primitive.arity == 1 else of_degree
    body.__name__ = name
    body.__doc__ = doc
    body.__module__ = __name__
    function = called(f"special_{name}")(elementwise(body, promote="float"))
    if primitive.derivative is None:
        function.gradient(_missing_gradient if primitive.arity == 1 else _missing_gradients)
    return function


def _missing_gradient(g):
    return NotImplemented


def _missing_gradients(g):
    return NotImplemented, NotImplemented


for _name, (_primitive, _doc) in OF_ONE.items():
    globals()[_name] = _declare(_name, scalar.PRIMITIVES[_primitive or _name], _doc)
for _name, _doc in POLYNOMIALS.items():
    globals()[_name] = _declare(_name, scalar.PRIMITIVES[_name], _doc)


@method()
@elementwise(promote="float")
def i0(x):
    """The modified Bessel function of the first kind of order 0.

    >>> import cresset
    >>> cresset.i0(cresset.tensor([0.0, 1.0]))
    tensor([1.0000, 1.2661])
    """
    return primitives.i0(x)


@called("special_log_ndtr")
@elementwise(promote="float")
def log_ndtr(x):
    """log(ndtr(x)), exact far below zero."""
    low = scalar.log(primitives.erfcx(x * -math.sqrt(0.5)) * 0.5) - x * x * 0.5
    high = scalar.log1p(scalar.erfc(x * math.sqrt(0.5)) * -0.5)
    return scalar.where(x < -1.0, low, high)


@log_ndtr.gradient
def _log_ndtr_gradient(g, x):
    return g * (math.sqrt(2.0 / math.pi) / primitives.erfcx(x * -math.sqrt(0.5)))


@called("special_entr")
@elementwise(promote="float")
def entr(x):
    """-x * log(x), zero at zero and -infinity below: what an event adds to the entropy."""
    beyond = scalar.where(scalar.eq(x, 0.0), 0.0, scalar.where(x < 0.0, -math.inf, x))
    return scalar.where(x > 0.0, -(x * scalar.log(x)), beyond)


@entr.gradient
def _entr_gradient(g, x):
    return scalar.where(x < 0.0, math.nan, g * (-scalar.log(x) - 1.0))


@called("special_xlog1py")
@real_only
@elementwise(promote="float")
def xlog1py(x: Tensor | Number, y):
    """x * log(1 + y), zero where x is zero and y is not NaN."""
    product = x * scalar.log1p(y)
    return scalar.where(scalar.eq(x, 0.0) & scalar.eq(y, y), 0.0, product)


@xlog1py.gradient
def _xlog1py_gradient(g, x, y):
    nothing = scalar.eq(x, 0.0) & scalar.le(y, -1.0)
    return scalar.where(nothing, 0.0, g * scalar.log1p(y)), g * x / (y + 1.0)


@called("special_zeta")
@elementwise(promote="float")
def zeta(x: Tensor | Number, y):
    """The Hurwitz zeta function, the sum of (y + k)**-x over k = 0, 1, 2, ...; NaN for x < 1."""
    return primitives.zeta(x, y)


@zeta.gradient
def _zeta_gradient(g, x, y):
    return NotImplemented, -(g * x * primitives.zeta(x + 1.0, y))


def _polygamma(n, x):
    if n < 2:
        return scalar.trigamma(x) if n else scalar.digamma(x)
    sign = 1.0 if n % 2 else -1.0
    factorial = scalar.exp(scalar.lgamma(scalar.constant(n + 1.0, x.dtype)))
    return sign * factorial * primitives.zeta(scalar.constant(n + 1.0, x.dtype), x)


@called("polygamma")
@elementwise(promote="float")
def polygamma_of(x, n: int):
    """The n-th derivative of digamma."""
    return _polygamma(n, x)


@polygamma_of.gradient
def _polygamma_gradient(g, x, n):
    return g * _polygamma(n + 1, x)


def _order(n) -> int:
    if isinstance(n, bool) or not hasattr(n, "__index__") or isinstance(n, Tensor):
        raise TypeError(
            f"polygamma(): argument 'n' (position 1) must be int, not {type(n).__name__}"
        )
    if n < 0:
        raise RuntimeError(f"polygamma: does not support negative n; got {n}; need 0 or more")
    return int(n)


def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The n-th derivative of digamma: (-1)**(n + 1) * n! * zeta(n + 1, input) for n > 0.

    >>> import cresset
    >>> cresset.polygamma(1, cresset.tensor([1.0, 2.0]))
    tensor([1.6449, 0.6449])
    """
    return polygamma_of(input, _order(n), out=out)


def _polygamma_method(x, n):
    """polygamma(n, x)."""
    return polygamma(n, x)


def _polygamma_in_place(x, n):
    """polygamma(n, x), in place."""
    return polygamma_of.in_place(x, _order(n))


Tensor.polygamma, Tensor.polygamma_ = _polygamma_method, _polygamma_in_place


@method()
@in_place
@with_out
def mvlgamma(input, p):
    """The logarithm of the multivariate gamma function of dimension p, up to sign.

    Raises RuntimeError where p is not positive.

    >>> import cresset
    >>> cresset.mvlgamma(cresset.tensor([3.0]), 2)
    tensor([1.5502])
    """
    p = whole("mvlgamma", "p", p)
    if p < 1:
        raise RuntimeError(
            f"mvlgamma: p has to be greater than or equal to 1; got {p}; need a dimension"
        )
    d = input.layout.dtype
    required("mvlgamma", "numbers", d)
    d = d if d.is_differentiable else types.get_default_dtype()
    steps = arange(p, dtype=d, device=input.layout.device) * 0.5
    terms = (input.unsqueeze(-1) - steps).lgamma()
    return counts_as(terms.sum(-1) + 0.25 * p * (p - 1) * math.log(math.pi), "mvlgamma")


@method()
@elementwise
def igamma(x, y: Tensor):
    """The regularised lower incomplete gamma function, `gammainc`; its derivative is that by y.

    >>> import cresset
    >>> cresset.igamma(cresset.tensor([1.0]), cresset.tensor([2.0]))
    tensor([0.8647])
    """
    floating("igamma", x, y)
    return primitives.gammainc(x, y)


@igamma.gradient
def _igamma_gradient(g, x, y):
    return NotImplemented, g * primitives.gamma_density(x, y)


@method()
@elementwise
def igammac(x, y: Tensor):
    """The regularised upper incomplete gamma function, 1 - igamma(x, y) (`gammaincc`)."""
    floating("igammac", x, y)
    return primitives.gammaincc(x, y)


@igammac.gradient
def _igammac_gradient(g, x, y):
    return NotImplemented, -(g * primitives.gamma_density(x, y))
