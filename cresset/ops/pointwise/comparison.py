"""Comparisons, logic and choices."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.limits import fitted
from cresset.core.tensor import Tensor
from cresset.ops.kinds import elementwise
from cresset.ops.operation import called, method

__all__ = ["clamp", "clamp_max", "clamp_max_", "clamp_min", "clamp_min_", "clip", "eq", "ge",
           "greater", "greater_equal", "gt", "isfinite", "isinf", "isnan", "le", "less",
           "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "lt",
           "masked_fill", "maximum", "minimum", "ne", "not_equal"]


@method("__eq__", "eq")
@elementwise
def eq(x, y):
    """x == y, elementwise.

    >>> import cresset
    >>> cresset.eq(cresset.tensor([1, 2]), 2)
    tensor([False,  True])
    """
    return scalar.eq(x, y)


@method("__ne__", "ne", "not_equal")
@elementwise
def ne(x, y):
    """x != y, elementwise."""
    return scalar.ne(x, y)


@method("__lt__", "lt", "less")
@elementwise
def lt(x, y):
    """x < y, elementwise."""
    return x < y


@method("__le__", "le", "less_equal")
@elementwise
def le(x, y):
    """x <= y, elementwise."""
    return x <= y


@method("__gt__", "gt", "greater")
@elementwise
def gt(x, y):
    """x > y, elementwise."""
    return x > y


@method("__ge__", "ge", "greater_equal")
@elementwise
def ge(x, y):
    """x >= y, elementwise."""
    return x >= y


# Defining __eq__ took the hash away; tensors are hashed by identity, as keys of dicts need.
Tensor.__hash__ = object.__hash__  # type: ignore[method-assign]


@method()
@elementwise
def isnan(x):
    """Where x is not a number."""
    return scalar.isnan(x)


@method()
@elementwise
def isinf(x):
    """Where x is plus or minus infinity."""
    if x.dtype.is_complex:
        return isinf.op.body(scalar.real(x)) | isinf.op.body(scalar.imaginary(x))
    if not x.dtype.is_floating_point:
        return scalar.ne(x, x)
    return scalar.eq(scalar.absolute(x), float("inf"))


@method()
@elementwise
def isfinite(x):
    """Where x is neither infinite nor NaN."""
    if x.dtype.is_complex:
        return isfinite.op.body(scalar.real(x)) & isfinite.op.body(scalar.imaginary(x))
    if not x.dtype.is_floating_point:
        return scalar.eq(x, x)
    return scalar.absolute(x) < float("inf")


@method()
@elementwise(masks=("x",))
def logical_not(x):
    """Where x is zero."""
    return scalar.bit_not(x)


@method()
@elementwise(masks=("x", "y"))
def logical_and(x, y: Tensor):
    """Where both are non-zero."""
    return x & y


@method()
@elementwise(masks=("x", "y"))
def logical_or(x, y: Tensor):
    """Where either is non-zero."""
    return x | y


@method()
@elementwise(masks=("x", "y"))
def logical_xor(x, y: Tensor):
    """Where one alone is non-zero."""
    return x ^ y


def _mask(operation, mask):
    """A mask, which was a boolean, or a byte as old programs have them."""
    source = mask.args[0].dtype if mask.name == "cast" else mask.dtype
    if source not in (types.bool, types.uint8):
        raise RuntimeError(
            f"{operation}: expected the mask to be a boolean tensor, but got a tensor with dtype "
            f"{source}; compare it with something, or convert with .to(cresset.bool)"
        )
    return mask


@elementwise(masks=("condition",), fits=True)
def where(condition, x, y):
    """x where the condition holds, else y."""
    return scalar.where(_mask("where", condition), x, y)


def _where_method(x, condition, other):
    """x where the condition holds, else the other."""
    return where(condition, x, other)


Tensor.where = _where_method


@method()
@elementwise
def maximum(x, y: Tensor):
    """The greater of both; NaN if either is."""
    return scalar.maximum(x, y)


@method()
@elementwise
def minimum(x, y: Tensor):
    """The lesser of both; NaN if either is."""
    return scalar.minimum(x, y)


@method("clamp", "clip")
@elementwise(promote="numbers", fits=True)
def clamp(x, min=None, max=None):
    """x held between `min` and `max`, each a tensor, a number or None.

    The gradient passes where x lies within the bounds, the bounds included.

    >>> import cresset
    >>> cresset.clamp(cresset.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("clamp: at least one of 'min' or 'max' must not be None; got "
                           "neither; give one")
    out = x
    if min is not None:
        out = scalar.maximum(out, min)
    if max is not None:
        out = scalar.minimum(out, max)
    return out


@clamp.gradient
def _clamp_gradient(g, x, min, max):
    zero = scalar.constant(0, g.dtype)
    inside, below, above = g, zero, zero
    if min is not None:
        inside = scalar.where(scalar.lt(x, min), 0.0, inside)
        below = scalar.where(scalar.lt(x, min), g, 0.0)
    if max is not None:
        inside = scalar.where(scalar.lt(max, x), 0.0, inside)
        above = scalar.where(scalar.lt(max, x), g, 0.0)
    return inside, below if min is not None else None, above if max is not None else None


@method()
@elementwise(fits=True)
def clamp_min(x, min):
    """clamp(x, min=min)."""
    return scalar.maximum(x, min)


@clamp_min.gradient
def _clamp_min_gradient(g, x, min):
    return _clamp_gradient(g, x, min, None)[:2]


@method()
@elementwise(fits=True)
def clamp_max(x, max):
    """clamp(x, max=max)."""
    return scalar.minimum(x, max)


@clamp_max.gradient
def _clamp_max_gradient(g, x, max):
    inside, _, above = _clamp_gradient(g, x, None, max)
    return inside, above


clip, clamp_min_, clamp_max_ = clamp, clamp_min.in_place, clamp_max.in_place
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne


@called("masked_fill")
@elementwise(masks=("mask",))
def fill_where(x, mask, value):
    """x with `value`, of x's type, where the mask holds."""
    return scalar.where(_mask("masked_fill", mask), value, x)


def masked_fill(input, mask, value):
    """x with `value`, a number or a zero-dim tensor, where the mask holds; of x's type.

    >>> import cresset
    >>> t = cresset.tensor([1.0, -1.0])
    >>> cresset.masked_fill(t, t < 0, 0.0)
    tensor([1., 0.])
    """
    return fill_where(input, *_filling(input, mask, value))


def masked_fill_(x, mask, value):
    """masked_fill in place."""
    return fill_where.in_place(x, *_filling(x, mask, value))


def _filling(x, mask, value):
    """(mask, value) of `masked_fill`, checked, the value converted to x's type."""
    if mask.layout.dtype is not types.bool:
        raise RuntimeError(
            "masked_fill: only supports boolean masks; got a mask with dtype "
            f"{mask.layout.dtype.name}; convert it with .bool()"
        )
    if type(value) is float and x.layout.dtype.is_floating_point:
        return mask, fitted("masked_fill", value, x.layout.dtype)
    if isinstance(value, Tensor) and value.layout.ndim:
        raise RuntimeError(
            "masked_fill: only supports a 0-dimensional value tensor; got one with "
            f"{value.layout.ndim} dimension(s); need a number or value.squeeze()"
        )
    d = value.layout.dtype if isinstance(value, Tensor) else types.of_number(value)
    if d.is_complex and not x.layout.dtype.is_complex:
        raise RuntimeError(
            f"masked_fill: value {value} cannot be converted to type {x.layout.dtype.name} without "
            "overflow"
        )
    return mask, _of_type(value, x.layout.dtype)


def _of_type(value, d):
    """A number or tensor converted to an element type, so that it does not promote."""
    if isinstance(value, Tensor):
        return value if value.layout.dtype is d else value.to(d)
    value = fitted("masked_fill", value, d)
    if d.is_differentiable:
        return value
    return bool(value) if d is types.bool else int(value)


Tensor.masked_fill = masked_fill
Tensor.masked_fill_ = masked_fill_
