"""Reductions in the standard's meaning: no axes are none, sums of unsigned integers are unsigned.

PyTorch takes an empty tuple of axes for all of them, sums every integer in int64, has truths of
uint8 as uint8, and divides a variance by n - 1 where no correction is stated.
"""

from __future__ import annotations

from functools import wraps

import cresset
from cresset import isdtype

__all__ = ["all", "any", "count_nonzero", "cumulative_prod", "cumulative_sum", "max", "mean", "min",
           "prod", "std", "sum", "var"]


def _without_axes(function):
    """A reduction that over an empty tuple of axes reduces every element for itself."""
    @wraps(function)
    def call(x, /, *, axis=None, **keywords):
        if axis == ():
            keywords.pop("keepdims", None)
            return function(x[..., None], axis=-1, **keywords)
        return function(x, axis=axis, **keywords)

    return call


def _growing(x, dtype):
    """The type of sums and products: of unsigned integers uint64, unless one is stated."""
    return cresset.uint64 if dtype is None and isdtype(x.dtype, "unsigned integer") else dtype


@_without_axes
def all(x, /, *, axis=None, keepdims=False):
    """Whether all elements are true."""
    return cresset.all(x, axis=axis, keepdims=keepdims).to(cresset.bool)


@_without_axes
def any(x, /, *, axis=None, keepdims=False):
    """Whether any element is true."""
    return cresset.any(x, axis=axis, keepdims=keepdims).to(cresset.bool)


@_without_axes
def count_nonzero(x, /, *, axis=None, keepdims=False):
    """How many elements are not zero."""
    return cresset.sum(x != 0, axis=axis, keepdims=keepdims)


@_without_axes
def max(x, /, *, axis=None, keepdims=False):
    """The greatest element; NaN where there is one."""
    return cresset.amax(x, () if axis is None else axis, keepdim=keepdims)


@_without_axes
def min(x, /, *, axis=None, keepdims=False):
    """The least element; NaN where there is one."""
    return cresset.amin(x, () if axis is None else axis, keepdim=keepdims)


@_without_axes
def mean(x, /, *, axis=None, keepdims=False):
    """The arithmetic mean."""
    return cresset.mean(x, axis=axis, keepdims=keepdims)


@_without_axes
def sum(x, /, *, axis=None, dtype=None, keepdims=False):
    """The sum.

    >>> from cresset import array_api
    >>> array_api.sum(array_api.ones(2, dtype=array_api.uint8))
    tensor(2, dtype=torch.uint64)
    """
    return cresset.sum(x, axis=axis, dtype=_growing(x, dtype), keepdims=keepdims)


@_without_axes
def prod(x, /, *, axis=None, dtype=None, keepdims=False):
    """The product."""
    dtype = _growing(x, dtype)
    if not isinstance(axis, tuple):
        return cresset.prod(x, axis=axis, dtype=dtype, keepdims=keepdims)
    for dim in sorted((d % x.ndim for d in axis), reverse=True):
        x = cresset.prod(x, axis=dim, dtype=dtype, keepdims=keepdims)
    return x


@_without_axes
def std(x, /, *, axis=None, correction=0.0, keepdims=False):
    """The standard deviation, whose divisor is n - correction."""
    return cresset.std(x, axis=axis, correction=correction, keepdims=keepdims)


@_without_axes
def var(x, /, *, axis=None, correction=0.0, keepdims=False):
    """The variance, whose divisor is n - correction."""
    return cresset.var(x, axis=axis, correction=correction, keepdims=keepdims)


def cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False):
    """The sums of the elements up to each along a dim; `include_initial` puts a 0 before them."""
    return cresset.cumulative_sum(x, axis=axis, dtype=_growing(x, dtype),
                                  include_initial=include_initial)


def cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False):
    """The products of the elements up to each along a dim; `include_initial` puts a 1 first."""
    return cresset.cumulative_prod(x, axis=axis, dtype=_growing(x, dtype),
                                   include_initial=include_initial)
