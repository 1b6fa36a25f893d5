"""Functions of the array API standard that PyTorch has under other names, or not at all.

Their parameters are the standard's, https://data-apis.org/array-api/2024.12.
"""

from __future__ import annotations

from typing import NamedTuple

from cresset.core import dtype as types
from cresset.core.tensor import Tensor
from cresset.ops.creation.tensors import full
from cresset.ops.exchange.array_api import names_of
from cresset.ops.indexing.gathering import take_along_dim
from cresset.ops.ordering.sets import unique
from cresset.ops.ordering.sorting import argsort
from cresset.ops.pointwise.arithmetic import bitwise_not
from cresset.ops.reductions.scans import cumprod, cumsum
from cresset.ops.shapes.broadcasting import broadcast_tensors
from cresset.ops.shapes.joining import cat
from cresset.ops.shapes.rearranging import repeat_interleave
from cresset.ops.shapes.shape import matrix_transpose, permute, unsqueeze
from cresset.ops.shapes.splitting import unbind

__all__ = ["astype", "bitwise_invert", "broadcast_arrays", "cumulative_prod", "cumulative_sum",
           "expand_dims", "isdtype", "matrix_transpose", "permute_dims", "repeat",
           "take_along_axis", "unique_all", "unique_counts", "unique_inverse", "unique_values",
           "unstack", "vecdot"]

bitwise_invert = bitwise_not


def astype(x, dtype, /, *, copy=True, device=None):
    """x as another type; a copy even where nothing changes, unless `copy` is False."""
    return x.to(dtype=dtype, device=device, copy=copy)


def isdtype(dtype, kind) -> bool:
    """Whether a type is of a kind: a type, a name such as "integral", or one of a tuple of both.

    Raises ValueError for the name of no kind.

    >>> import cresset
    >>> cresset.isdtype(cresset.int8, ("bool", "integral"))
    True
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, part) for part in kind)
    if isinstance(kind, types.dtype):
        return dtype is kind
    return dtype.name in names_of(kind)


# --- shape ----------------------------------------------------------------------------------------
def permute_dims(x, /, axes):
    """x with its dims in the order `axes`, a view."""
    return permute(x, tuple(axes))


def expand_dims(x, /, axis=0):
    """x with a new dim of size 1 at `axis`, a view; IndexError where that is out of range."""
    return unsqueeze(x, axis)


def broadcast_arrays(*arrays) -> list:
    """The arrays as views of the shape that they broadcast to."""
    return list(broadcast_tensors(*arrays))


def unstack(x, /, *, axis=0) -> tuple:
    """The entries of x along a dim, without that dim, as views."""
    return tuple(unbind(x, axis))


def repeat(x, repeats, /, *, axis=None):
    """Every entry along a dim so many times in a row; without `axis`, of all elements in order."""
    if isinstance(repeats, Tensor):
        repeats = repeats.long()
    return repeat_interleave(x, repeats, axis)


def take_along_axis(x, indices, /, *, axis=-1):
    """The elements of x at `indices` along a dim."""
    return take_along_dim(x, indices, axis)


# --- sums -----------------------------------------------------------------------------------------
def _cumulative(scan, start, x, axis, dtype, include_initial):
    if axis is None:
        if x.layout.ndim != 1:
            raise ValueError(
                f"cumulative_{scan.__name__[3:]}: axis must be given for arrays of other than one "
                f"dim; got shape {tuple(x.layout.shape)}"
            )
        axis = 0
    found = scan(x, axis, dtype=dtype)
    if not include_initial:
        return found
    shape = list(found.layout.shape)
    shape[axis] = 1
    return cat((full(shape, start, dtype=found.layout.dtype, device=found.device), found), axis)


def cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False):
    """The sums of the elements up to each along a dim; `include_initial` puts a 0 before them.

    >>> import cresset
    >>> cresset.cumulative_sum(cresset.tensor([1, 2, 3]), include_initial=True)
    tensor([0, 1, 3, 6])
    """
    return _cumulative(cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False):
    """The products of the elements up to each along a dim; `include_initial` puts a 1 first."""
    return _cumulative(cumprod, 1, x, axis, dtype, include_initial)


def vecdot(x1, x2, /, *, axis=-1):
    """The sums of conj(x1) * x2 along a dim, which counts from the end; other dims broadcast.

    Raises RuntimeError where the sizes of the dim differ.
    """
    sizes = x1.layout.shape[axis], x2.layout.shape[axis]
    if sizes[0] != sizes[1]:
        raise RuntimeError(f"vecdot: sizes along dim {axis} must be equal; got {sizes[0]} and "
                           f"{sizes[1]}; dims other than it broadcast")
    product = x1.conj() * x2
    return product.sum(axis, dtype=product.layout.dtype)


def trace(x, /, *, offset=0, dtype=None):
    """The sums of a diagonal of the matrices of the last two dims: `linalg.trace`."""
    return x.diagonal(offset, -2, -1).sum(-1, dtype=dtype)


# --- sets -----------------------------------------------------------------------------------------
class Unique(NamedTuple):
    """What `unique_all` returns."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """What `unique_counts` returns."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """What `unique_inverse` returns."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x, /) -> Unique:
    """The different elements in order, where each is first, which is at every place, how many.

    >>> import cresset
    >>> cresset.unique_all(cresset.tensor([3, 1, 3])).indices
    tensor([1, 0])
    """
    values, inverse, counts = unique(x, return_inverse=True, return_counts=True)
    order = argsort(inverse.reshape(-1), stable=True)
    return Unique(values, order[cumsum(counts, 0) - counts], inverse, counts)


def unique_counts(x, /) -> UniqueCounts:
    """The different elements in order, and how many there are of each."""
    return UniqueCounts(*unique(x, return_counts=True))


def unique_inverse(x, /) -> UniqueInverse:
    """The different elements in order, and which of them is at every place of x."""
    return UniqueInverse(*unique(x, return_inverse=True))


def unique_values(x, /):
    """The different elements in order."""
    return unique(x)


def _to_device(x, device, /, *, stream=None):
    """x on another device; there are no streams."""
    if stream is not None:
        raise ValueError(f"to_device: got stream={stream!r}; need None, as there are no streams")
    return x.to(device=device)


Tensor.to_device = _to_device
