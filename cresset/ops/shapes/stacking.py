"""Tensors side by side along dims that they may have to be given first."""

from __future__ import annotations

from cresset.core.tensor import Tensor
from cresset.ops.out import with_out
from cresset.ops.shapes.joining import cat
from cresset.ops.shapes.shape import reshape, unsqueeze

__all__ = ["atleast_1d", "atleast_2d", "atleast_3d", "column_stack", "dstack", "hstack",
           "row_stack", "vstack"]


def _each(tensors, grown):
    """What `grown` makes of a tensor, or of every one of several or of a sequence, as a tuple."""
    if len(tensors) == 1:
        if isinstance(tensors[0], Tensor):
            return grown(tensors[0])
        tensors = tensors[0]
    return tuple(map(grown, tensors))


def atleast_1d(*tensors):
    """The tensors, numbers as vectors."""
    return _each(tensors, lambda x: x if x.layout.ndim else reshape(x, (1,)))


def atleast_2d(*tensors):
    """The tensors, numbers and vectors as rows.

    >>> import cresset
    >>> cresset.atleast_2d(cresset.tensor([1, 2]))
    tensor([[1, 2]])
    """
    return _each(tensors, _as_rows)


def _as_rows(x):
    if not x.layout.ndim:
        return reshape(x, (1, 1))
    return unsqueeze(x, 0) if x.layout.ndim == 1 else x


def atleast_3d(*tensors):
    """The tensors; numbers, vectors and matrices with dims of size 1 in front and behind."""
    return _each(tensors, _as_deep)


def _as_deep(x):
    x = _as_rows(x)
    return unsqueeze(x, 2) if x.layout.ndim == 2 else x


def _given(name, tensors):
    if not len(tensors):
        raise RuntimeError(f"{name}: expects a non-empty TensorList")
    return tensors


@with_out
def hstack(tensors):
    """Joined along the second dim, vectors along the first."""
    parts = atleast_1d(_given("hstack", tensors))
    return cat(parts, 0 if parts[0].layout.ndim == 1 else 1)


@with_out
def vstack(tensors):
    """Joined along the first dim, vectors as rows.

    >>> import cresset
    >>> cresset.vstack((cresset.tensor([1, 2]), cresset.tensor([3, 4])))
    tensor([[1, 2],
            [3, 4]])
    """
    return cat(atleast_2d(_given("vstack", tensors)), 0)


row_stack = vstack


@with_out
def dstack(tensors):
    """Joined along the third dim, which fewer-dimensional tensors are given."""
    return cat(atleast_3d(_given("dstack", tensors)), 2)


@with_out
def column_stack(tensors):
    """Joined along the second dim, vectors as columns."""
    columns = [
        x if x.layout.ndim > 1 else reshape(x, (-1, 1)) for x in _given("column_stack", tensors)
    ]
    return hstack(columns)
