"""Copies of views, and copies of tensors with a view replaced."""

from __future__ import annotations

from functools import wraps

from cresset.core.memory_format import contiguous_format
from cresset.core.tensor import Tensor
from cresset.ops.indexing.basic import basic_index
from cresset.ops.memory.conversion import copy_as
from cresset.ops.operation import method
from cresset.ops.out import with_out
from cresset.ops.shapes.shape import (
    as_strided,
    canonical_dim,
    diagonal,
    expand,
    narrow,
    permute,
    reshape,
    select,
    squeeze,
    t,
    transpose,
    unfold,
    unsqueeze,
)
from cresset.ops.shapes.splitting import unbind, unsafe_split

__all__ = ["as_strided_copy", "as_strided_scatter", "diagonal_copy", "diagonal_scatter",
           "expand_copy", "narrow_copy", "permute_copy", "select_copy", "select_scatter",
           "slice_copy", "slice_scatter", "split_copy", "squeeze_copy", "t_copy", "transpose_copy",
           "unbind_copy", "unfold_copy", "unsqueeze_copy", "view_copy"]


def _along(operation, x, dim, start, end, step):
    """x with the slice start:end:step of a dim, as a view."""
    d = canonical_dim(operation, dim, x.layout.ndim)
    return basic_index(x, (*[("slice", None, None, None)] * d, ("slice", start, end, step)))


def _replaced(operation, x, src, view):
    """A copy of x in which view(x) is `src`, which has its shape."""
    made = x.clone()
    target = view(made)
    if tuple(src.layout.shape) != tuple(target.layout.shape):
        raise RuntimeError(
            f"{operation}: expected src to have a size equal to the slice of self; got "
            f"{list(src.layout.shape)}; need {list(target.layout.shape)}"
        )
    target.copy_(src)
    return made


@method()
def select_scatter(input, src, dim, index):
    """A copy of x with the entry `index` of a dim replaced by `src`.

    >>> import cresset
    >>> cresset.zeros(2, 2).select_scatter(cresset.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    return _replaced("select_scatter", input, src, lambda x: select(x, dim, index))


@method()
def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """A copy of x with the slice start:end:step of a dim replaced by `src`.

    >>> import cresset
    >>> cresset.zeros(4).slice_scatter(cresset.ones(2), start=1, end=4, step=2)
    tensor([0., 1., 0., 1.])
    """
    return _replaced("slice_scatter", input, src,
                     lambda x: _along("slice_scatter", x, dim, start, end, step))


@method()
def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """A copy of x with a diagonal replaced by `src`; the arguments are those of `diagonal`.

    >>> import cresset
    >>> cresset.zeros(2, 2).diagonal_scatter(cresset.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    return _replaced("diagonal_scatter", input, src, lambda x: diagonal(x, offset, dim1, dim2))


@method()
def as_strided_scatter(input, src, size, stride, storage_offset=None):
    """A copy of x with what `as_strided` shows of it replaced by `src`.

    >>> import cresset
    >>> cresset.zeros(4).as_strided_scatter(cresset.ones(2), (2,), (2,))
    tensor([1., 0., 1., 0.])
    """
    return _replaced("as_strided_scatter", input, src,
                     lambda x: as_strided(x, size, stride, storage_offset))


# --- copies ---------------------------------------------------------------------------------------
def _copied(made):
    if isinstance(made, Tensor):
        return copy_as(made, None, contiguous_format)
    return tuple(map(_copied, made))


def _copying(view, name=None):
    """The function that copies what a function of views shows."""
    @wraps(view)
    def copying(*args, **keywords):
        return _copied(view(*args, **keywords))

    copying.__name__ = copying.__qualname__ = (name or view.__name__) + "_copy"
    copying.__doc__ = f"A copy of what `{view.__name__}` shows, in memory of its own."
    return with_out(copying)


def _slice(input, dim=0, start=None, end=None, step=1):
    return _along("slice_copy", input, dim, start, end, step)


_slice.__name__ = "slice"
as_strided_copy = _copying(as_strided)
diagonal_copy = _copying(diagonal)
expand_copy = _copying(expand)
narrow_copy = _copying(narrow)
permute_copy = _copying(permute)
select_copy = _copying(select)
slice_copy = _copying(_slice)
split_copy = _copying(unsafe_split, "split")
squeeze_copy = _copying(squeeze)
t_copy = _copying(t)
transpose_copy = _copying(transpose)
unbind_copy = _copying(unbind)
unfold_copy = _copying(unfold)
unsqueeze_copy = _copying(unsqueeze)


@with_out
def view_copy(input, size=None, *, dtype=None):
    """A copy of input in another shape, or of its bytes as another type."""
    return _copied(input.view(dtype) if size is None else reshape(input, size))


Tensor.narrow_copy = narrow_copy
