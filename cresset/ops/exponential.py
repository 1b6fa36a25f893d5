"""Exponentials, logarithms, trigonometry and special functions of one operand."""

from __future__ import annotations

from cresset.core import scalar
from cresset.core.tensor import Number
from cresset.ops.kinds import elementwise
from cresset.ops.operation import method

# Each is its scalar primitive; the name, the first line of its documentation.
FUNCTIONS = {
    "exp": "e ** x.",
    "exp2": "2 ** x.",
    "expm1": "e ** x - 1, exact near zero.",
    "log": "The natural logarithm; -inf at zero, NaN below.",
    "log2": "The logarithm to base 2.",
    "log10": "The logarithm to base 10.",
    "log1p": "log(1 + x), exact near zero.",
    "sin": "The sine of x radians.",
    "cos": "The cosine of x radians.",
    "tan": "The tangent of x radians.",
    "asin": "The angle in radians whose sine is x.",
    "acos": "The angle in radians whose cosine is x.",
    "atan": "The angle in radians whose tangent is x.",
    "sinh": "The hyperbolic sine.",
    "cosh": "The hyperbolic cosine.",
    "asinh": "The inverse hyperbolic sine.",
    "acosh": "The inverse hyperbolic cosine; NaN below 1.",
    "atanh": "The inverse hyperbolic tangent; NaN outside [-1, 1].",
    "erf": "The error function, 2/sqrt(pi) times the integral of exp(-t**2) from 0 to x.",
    "erfc": "1 - erf(x), exact for large x.",
    "erfinv": "The inverse of erf; NaN outside [-1, 1].",
    "lgamma": "The logarithm of the absolute value of the gamma function.",
    "digamma": "The derivative of the logarithm of the gamma function.",
    "tanh": "The hyperbolic tangent.",
    "sigmoid": "1 / (1 + exp(-x)).",
}
__all__ = ["atan2", "logaddexp", "logit", "xlogy", *FUNCTIONS]


def _declare(name, doc):
    primitive = scalar.PRIMITIVES[name]

    def body(x):
        return primitive(x)

    body.__name__ = name
    body.__doc__ = doc
    body.__module__ = __name__
    return method()(elementwise(body, promote="float"))


for _name, _doc in FUNCTIONS.items():
    globals()[_name] = _declare(_name, _doc)


@method()
@elementwise(promote="float")
def atan2(x, y):
    """The angle in radians of the point (y, x): the arctangent of x / y in its quadrant."""
    return scalar.atan2(x, y)


@method()
@elementwise(promote="float")
def logaddexp(x, y):
    """log(exp(x) + exp(y)) without overflow."""
    high, low = scalar.maximum(x, y), scalar.minimum(x, y)
    return scalar.where(scalar.eq(high, low), high + 0.6931471805599453,
                        high + scalar.log1p(scalar.exp(low - high)))


@logaddexp.gradient
def _logaddexp_gradient(g, x, y):
    return g * scalar.sigmoid(x - y), g * scalar.sigmoid(y - x)


@method()
@elementwise(promote="float")
def logit(x, eps: Number | None = None):
    """log(x / (1 - x)); with `eps` x is first held within [eps, 1 - eps]."""
    if eps is not None:
        x = scalar.maximum(scalar.minimum(x, 1.0 - eps), eps)
    return scalar.log(x / (1.0 - x))


@logit.gradient
def _logit_gradient(g, x, eps):
    low, beyond = (0.0, float("nan")) if eps is None else (eps, 0.0)
    inside = scalar.ge(x, low) & scalar.le(x, 1.0 - low)
    return scalar.where(inside, g / (x * (1.0 - x)), beyond)


@method()
@elementwise(promote="float")
def xlogy(x, y):
    """x * log(y), zero where x is zero and y is not NaN."""
    product = x * scalar.log(y)
    return scalar.where(scalar.eq(x, 0.0) & scalar.eq(y, y), 0.0, product)


@xlogy.gradient
def _xlogy_gradient(g, x, y):
    by_x = scalar.where(scalar.eq(x, 0.0) & scalar.le(y, 0.0), 0.0, g * scalar.log(y))
    return by_x, g * x / y
