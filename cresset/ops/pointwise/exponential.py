"""Exponentials, logarithms, trigonometry and the error and gamma functions."""

from __future__ import annotations

import math

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.tensor import Number, Tensor
from cresset.ops.kinds import elementwise
from cresset.ops.operation import method, real_only
from cresset.ops.pointwise.arithmetic import pow
from cresset.ops.pointwise.floating_point import floating

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
# Other names of the same functions.
ALIASES = {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh",
    "arctanh": "atanh",
}
LOG2_E = 1.0 / math.log(2.0)
__all__ = ["arctan2", "atan2", "deg2rad", "float_power", "hypot", "logaddexp", "logaddexp2",
           "logit", "rad2deg", "sinc", "xlogy", "xlogy_", *FUNCTIONS, *ALIASES]


def _declare(name, doc):
    primitive = scalar.PRIMITIVES[name]

    def body(x):
        return primitive(x)

    body.__name__ = name
    body.__doc__ = doc
    body.__module__ = __name__
    names = [name, *(alias for alias, meant in ALIASES.items() if meant == name)]
    return method(*names)(elementwise(body, promote="float"))


for _name, _doc in FUNCTIONS.items():
    globals()[_name] = _declare(_name, _doc)
for _alias, _name in ALIASES.items():
    globals()[_alias] = globals()[_name]


@method("atan2", "arctan2")
@elementwise(promote="float")
def atan2(x, y: Tensor):
    """The angle in radians of the point (y, x): the arctangent of x / y in its quadrant."""
    return scalar.atan2(x, y)


arctan2 = atan2


@method()
@real_only
@elementwise(promote="float")
def deg2rad(x):
    """Degrees as radians: x * pi / 180.

    >>> import cresset
    >>> cresset.deg2rad(cresset.tensor([180.0, -90.0]))
    tensor([ 3.1416, -1.5708])
    """
    return x * (math.pi / 180.0)


@method()
@real_only
@elementwise(promote="float")
def rad2deg(x):
    """Radians as degrees: x * 180 / pi."""
    return x * (180.0 / math.pi)


@method()
@elementwise
def hypot(x, y: Tensor):
    """sqrt(x**2 + y**2), without overflow on the way.

    >>> import cresset
    >>> cresset.hypot(cresset.tensor([3.0, 3e30]), cresset.tensor([4.0, 4e30]))
    tensor([5.0000e+00, 5.0000e+30])
    """
    floating("hypot", x, y)
    a, b = scalar.absolute(x), scalar.absolute(y)
    high = scalar.where(a < b, b, a)
    # Multiplied by a power of two where squares would overflow, or lose digits.
    bound, step = (2.0**450, 2.0**600) if x.dtype is types.float64 else (2.0**60, 2.0**80)

    def by_size(below, above):
        one = scalar.constant(1.0, x.dtype)
        low = scalar.where(high < 1.0 / bound, below, one)
        return scalar.where(high > bound, above, low)

    scale = by_size(step, 1.0 / step)
    a_scaled, b_scaled = a * scale, b * scale
    length = scalar.sqrt(a_scaled * a_scaled + b_scaled * b_scaled) * by_size(1.0 / step, step)
    return scalar.where(scalar.eq(a, math.inf) | scalar.eq(b, math.inf), math.inf, length)


@hypot.gradient
def _hypot_gradient(g, x, y, out):
    return g * (x / out), g * (y / out)


@method()
@elementwise(promote="float")
def sinc(x):
    """sin(pi x) / (pi x), one at zero, zero at all other integers.

    >>> import cresset
    >>> cresset.sinc(cresset.tensor([0.0, 0.5, 1.0]))
    tensor([1.0000, 0.6366, 0.0000])
    """
    zero = scalar.eq(x, 0.0)
    x = scalar.where(zero, 1.0, x)
    # sin(pi x) = (-1)**n sin(pi (x - n)), where the difference is exact.
    n = scalar.round_half_even(scalar.real(x))
    odd = scalar.ne(scalar.floor(n * 0.5) * 2.0, n)
    sine = scalar.sin((x - n) * math.pi) / (x * math.pi)
    sine = scalar.where(odd, 0.0 - sine, sine)
    infinite = scalar.eq(scalar.absolute(x), math.inf)
    return scalar.where(zero, 1.0, scalar.where(infinite, 0.0, sine))


@sinc.gradient
def _sinc_gradient(g, x, out):
    zero = scalar.eq(x, 0.0)
    x = scalar.where(zero, 1.0, x)
    n = scalar.round_half_even(scalar.real(x))
    odd = scalar.ne(scalar.floor(n * 0.5) * 2.0, n)
    cosine = scalar.cos((x - n) * math.pi)
    slope = (scalar.where(odd, -cosine, cosine) - out) / x
    return scalar.where(zero, 0.0, g * scalar.conj(slope))


def float_power(input, exponent, *, out=None):
    """input ** exponent in float64, or complex128 where either is complex.

    >>> import cresset
    >>> cresset.float_power(cresset.tensor([1, 2, 3]), 2)
    tensor([1., 4., 9.], dtype=torch.float64)
    """
    base, exponent = _wide(input), _wide(exponent)
    if out is not None and out.dtype not in (types.float64, types.complex128):
        raise RuntimeError(
            f"float_power: the output given to float_power has dtype {out.dtype} but the "
            "operation's result requires dtype Double; give a float64 tensor"
        )
    return pow(base, exponent, out=out)


def float_power_(x, exponent):
    """float_power in place, of float64 or complex128."""
    if x.dtype not in (types.float64, types.complex128):
        raise RuntimeError(
            f"float_power_: the base given to float_power_ has dtype {x.dtype} but the operation's "
            "result requires dtype Double; use float_power"
        )
    return x.pow_(_wide(exponent))


def _wide(x):
    if isinstance(x, Tensor):
        return x.to(types.complex128 if x.dtype.is_complex else types.float64)
    return x if isinstance(x, complex) else float(x)


Tensor.float_power, Tensor.float_power_ = float_power, float_power_


def _log_of_sum(x, y, of_one_and, of_two):
    """The logarithm of the sum of the powers of x and y, without overflow.

    `of_one_and(d)` is that of 1 and the power of d, which is not positive.
    """
    if x.dtype.is_complex:
        first = scalar.ge(scalar.real(x), scalar.real(y))
        high, low = scalar.where(first, x, y), scalar.where(first, y, x)
    else:
        high, low = scalar.maximum(x, y), scalar.minimum(x, y)
    # Equal infinities have no difference.
    return scalar.where(scalar.eq(high, low), high + of_two, high + of_one_and(low - high))


@method()
@elementwise
def logaddexp(x, y: Tensor):
    """log(exp(x) + exp(y)) without overflow."""
    if x.dtype.is_complex:
        return _log_of_sum(x, y, lambda d: scalar.log1p(scalar.exp(d)), math.log(2.0))
    floating("logaddexp", x, y)
    return _log_of_sum(x, y, scalar.softplus, math.log(2.0))


@logaddexp.gradient
def _logaddexp_gradient(g, x, y):
    by_x, by_y = scalar.sigmoid(x - y), scalar.sigmoid(y - x)
    return g * scalar.conj(by_x), g * scalar.conj(by_y)


@method()
@elementwise
def logaddexp2(x, y: Tensor):
    """log2(2**x + 2**y) without overflow.

    >>> import cresset
    >>> cresset.logaddexp2(cresset.tensor([1.0, 500.0]), cresset.tensor([1.0, 500.0]))
    tensor([  2., 501.])
    """
    floating("logaddexp2", x, y)
    return _log_of_sum(x, y, lambda d: scalar.log1p(scalar.exp2(d)) * LOG2_E, 1.0)


@logaddexp2.gradient
def _logaddexp2_gradient(g, x, y):
    difference = (x - y) * math.log(2.0)
    return g * scalar.sigmoid(difference), g * scalar.sigmoid(-difference)


@method()
@real_only
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
@real_only
@elementwise(promote="float")
def xlogy(x: Tensor | Number, y):
    """x * log(y), zero where x is zero and y is not NaN."""
    product = x * scalar.log(y)
    return scalar.where(scalar.eq(x, 0.0) & scalar.eq(y, y), 0.0, product)


@xlogy.gradient
def _xlogy_gradient(g, x, y):
    by_x = scalar.where(scalar.eq(x, 0.0) & scalar.le(y, 0.0), 0.0, g * scalar.log(y))
    return by_x, g * x / y


xlogy_ = xlogy.in_place
