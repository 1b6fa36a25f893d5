"""Reading and writing whole entries of a dim by a vector of indices: index_select, index_add, ...

Of several writes to one entry the last stays, or they are joined in their order.
"""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.families import required
from cresset.core.layout import Layout
from cresset.core.limits import fitted
from cresset.core.tensor import Tensor
from cresset.kernels import index as kernels
from cresset.ops.creation.tensors import filled, zeros
from cresset.ops.indexing.advanced import advanced_set
from cresset.ops.indexing.gathering import (
    MODES,
    check_index,
    check_reduction,
    combined_gradient,
    out_of_range,
    reduce_into,
)
from cresset.ops.kinds import overwrite, special
from cresset.ops.operation import called, counted_as, method
from cresset.ops.out import with_out
from cresset.ops.pointwise.comparison import masked_fill, masked_fill_
from cresset.ops.shapes.shape import canonical_dim, expand
from cresset.runtime.program import Program

__all__ = ["index_add", "index_copy", "index_fill", "index_reduce", "index_select"]


# --- operations -----------------------------------------------------------------------------------
@method("index_select")
@special(moves=True)
def index_select(x: Tensor, dim, index: Tensor):
    """The entries of a dim that a vector of indices names, in its order.

    Raises IndexError where an index is outside of [0, size).

    >>> import cresset
    >>> cresset.index_select(cresset.tensor([5, 6, 7]), 0, cresset.tensor([2, 0]))
    tensor([7, 5])
    """
    d = _checked_dim("index_select", x, dim, index)
    if not x.ndim and index.numel != 1:
        raise RuntimeError(
            f"index_select: Index to scalar can have only 1 value; got {index.numel} values"
        )
    shape = list(x.shape)
    if shape:
        shape[d] = index.numel
    out = Layout.packed(tuple(shape), x.dtype)
    launches, temporaries = kernels.index_select(x, d, index, out, (1, 2, 0), 3)
    # PyTorch's classes: rows of no entries cannot be selected, whatever the index.
    error = IndexError if _size(x, d) or x.ndim <= 1 else RuntimeError
    return Program("tt", (out,), tuple(launches), tuple(temporaries),
                   out_of_range("index_select", (_size(x, d),), error=error))


@index_select.gradient
def _index_select_gradient(g, x_layout, dim, index):
    base = zeros(tuple(x_layout.shape), dtype=g.layout.dtype, device=g.layout.device)
    return add_rows(base, dim, index, g), None


@called("index_add")
@overwrite
def add_rows(x: Tensor, dim, index: Tensor, source: Tensor):
    """x with source's entries along a dim added at the indices; repeated ones add up in order."""
    # PyTorch's classes: a vector is written by another loop than rows are.
    error = IndexError if x.ndim <= 1 else RuntimeError
    return _row_write("index_add", "add", x, dim, index, source, error)


@add_rows.gradient
def _add_rows_gradient(g, dim, index):
    return g, None, index_select(g, dim, index)


@called("index_reduce")
@overwrite
def total_rows(x: Tensor, dim, index: Tensor, source: Tensor):
    """`add_rows` as a step of `index_reduce`, which has other errors."""
    return _row_write("index_reduce", "add", x, dim, index, source, IndexError)


@total_rows.gradient
def _total_rows_gradient(g, dim, index):
    return g, None, index_select(g, dim, index)


@called("index_copy")
@overwrite
def copy_rows(x: Tensor, dim, index: Tensor, source: Tensor):
    """x with its entries at the indices along a dim replaced by source's."""
    return _row_write("index_copy", "put", x, dim, index, source, IndexError)


@copy_rows.gradient
def _copy_rows_gradient(g, dim, index):
    by_source = index_select(g, dim, index)
    gone = expand(filled((), g.layout.dtype, 0, g.layout.device), by_source.layout.shape)
    return copy_rows(g, dim, index, gone), None, by_source


@called("index_reduce")
@overwrite
def combine_rows(x: Tensor, dim, index: Tensor, source: Tensor, mode):
    """x with source multiplied into it, or the greater or lesser of both, at the indices."""
    return _row_write("index_reduce", mode, x, dim, index, source, IndexError)


@combine_rows.gradient
def _combine_rows_gradient(g, x, dim, index, source, mode, out):
    by_x, by_source = combined_gradient(
        g, x, source, out, mode,
        lambda t: index_select(t, dim, index),
        lambda base, t: add_rows(base, dim, index, t),
        lambda base, t: combine_rows(base, dim, index, t, mode),
    )
    return by_x, None, by_source


def _checked_dim(name, x, dim, index):
    d = canonical_dim(name, dim, x.ndim)
    if index.ndim > 1:
        raise IndexError(f"{name}: Index is supposed to be a vector; got {tuple(index.shape)}")
    check_index(name, index)
    return d


def _check_long(name, x, dim, index, error=RuntimeError):
    """Raise unless the index is a vector of int64, after what else is checked of it."""
    canonical_dim(name, dim, x.layout.ndim)
    if index.layout.ndim > 1:
        raise (RuntimeError if error is IndexError else IndexError)(
            f"{name}: Index has to be a vector or a scalar; got {tuple(index.layout.shape)}"
        )
    check_index(name, index.layout, (types.int64,), error)


def _size(x, dim):
    return x.shape[dim] if x.ndim else 1


def _row_write(name, mode, x, dim, index, source, error):
    """The plan of a write; `error` is the class for indices that are out of range."""
    d = _checked_dim(name, x, dim, index)
    if source.dtype is not x.dtype:
        raise RuntimeError(f"{name}: self ({x.dtype}) and source ({source.dtype}) must have the "
                           "same scalar type")
    expected = list(x.shape)
    if expected:
        expected[d] = index.numel
    fits = tuple(source.shape) == tuple(expected) if x.ndim else source.numel == index.numel == 1
    if not fits:
        counted = source.ndim == x.ndim and (not x.ndim or source.shape[d] == index.numel)
        raise (IndexError if name == "index_copy" and not counted else RuntimeError)(
            f"{name}: source has shape {tuple(source.shape)}; need {tuple(expected)}: the tensor's "
            f"with {index.numel}, the number of indices, at dim {d}"
        )

    def writer(target, values, first_temporary):
        return kernels.index_add(target, d, index, source, values, first_temporary, mode)

    return writer, out_of_range(name, (_size(x, d),), error=error)


# --- functions ------------------------------------------------------------------------------------
@method()
@with_out
def index_add(input, dim, index, source, *, alpha=1):
    """x with alpha times source's entries along a dim added at the indices, in their order.

    `index` is a vector of as many indices as `source` has entries. Raises RuntimeError where one is
    out of range.

    >>> import cresset
    >>> cresset.zeros(3).index_add(0, cresset.tensor([0, 2, 2]), cresset.ones(3))
    tensor([1., 0., 2.])
    """
    return add_rows(input, dim, index, _scaled(input, source, alpha))


def index_add_(input, dim, index, source, *, alpha=1):
    """index_add in place."""
    return add_rows.in_place(input, dim, index, _scaled(input, source, alpha))


def _scaled(x, source, alpha):
    if type(alpha) is int and alpha == 1:
        return source
    d = source.layout.dtype
    if d is types.bool:
        return source & bool(alpha)
    alpha = fitted("index_add", alpha, d)
    return source * (alpha if d.is_differentiable else int(alpha))


@method()
@with_out
def index_copy(input, dim, index, source):
    """x with its entries at the indices along a dim replaced by source's; the last one stays.

    Raises IndexError where an index is out of range.

    >>> import cresset
    >>> cresset.zeros(3).index_copy(0, cresset.tensor([2, 0]), cresset.tensor([5.0, 6.0]))
    tensor([6., 0., 5.])
    """
    _check_long("index_copy", input, dim, index)
    return copy_rows(input, dim, index, source)


def index_copy_(input, dim, index, source):
    """index_copy in place."""
    _check_long("index_copy", input, dim, index)
    return copy_rows.in_place(input, dim, index, source)


@method()
def index_fill(input, dim, index, value):
    """x with its entries at the indices along a dim set to a number, or a tensor without dims.

    Indices below zero count from the end. Raises IndexError where one is out of range.

    >>> import cresset
    >>> cresset.zeros(2, 3).index_fill(1, cresset.tensor([0, 2]), 7)
    tensor([[7., 0., 7.],
            [7., 0., 7.]])
    """
    if isinstance(value, Tensor):
        return masked_fill(input, *_filling(input, dim, index, value))
    return index_fill_(input.clone(), dim, index, value)


def index_fill_(input, dim, index, value):
    """index_fill in place."""
    x = input
    if isinstance(value, Tensor):
        return masked_fill_(x, *_filling(x, dim, index, value))
    _check_long("index_fill_", x, dim, index, IndexError)
    d = canonical_dim("index_fill_", dim, x.layout.ndim)
    line = x if x.layout.ndim else x.view(1)
    advanced_set(line, (*[slice(None)] * d, index), value)
    return x


def _filling(x, dim, index, value):
    """(mask, value) that fill the entries at the indices along a dim."""
    if value.layout.ndim:
        raise RuntimeError(
            "index_fill_: only supports a 0-dimensional value tensor; got one with "
            f"{value.layout.ndim} dimension(s); need a number or value.squeeze()"
        )
    _check_long("index_fill_", x, dim, index, IndexError)
    d = canonical_dim("index_fill_", dim, x.layout.ndim)
    line = zeros(_size(x.layout, d), dtype=types.bool, device=x.layout.device)
    advanced_set(line, index, True)
    behind = (1,) * (x.layout.ndim - d - 1)
    return (line.view((-1, *behind)) if x.layout.ndim else line.view(())), value


@method()
@with_out
@counted_as("index_reduce")
def index_reduce(input, dim, index, source, reduce, *, include_self=True):
    """x with source's entries along a dim joined into it at the indices.

    `reduce` is "prod", "mean", "amax" or "amin". Without `include_self` what was there does not
    count where something is written. Raises IndexError where an index is out of range.

    >>> import cresset
    >>> x, index = cresset.tensor([5.0, 1.0]), cresset.tensor([0, 1, 1])
    >>> x.index_reduce(0, index, cresset.tensor([3.0, 4.0, 2.0]), "amin")
    tensor([3., 1.])
    """
    return _index_reduce(input, dim, index, source, reduce, include_self, lambda form: form)


def index_reduce_(input, dim, index, source, reduce, *, include_self=True):
    """index_reduce in place."""
    return _index_reduce(input, dim, index, source, reduce, include_self, lambda f: f.in_place)


def _index_reduce(x, dim, index, source, reduce, include_self, chosen):
    # Checks everything that can be checked before the first of several writes.
    _row_write("index_reduce", "put", x.layout, dim, index.layout, source.layout, IndexError)
    check_reduction("index_reduce", reduce, tuple(MODES), x.layout.dtype)
    for family in () if include_self else ("numbers", "a real type"):
        required("index_reduce", family, x.layout.dtype)
    forms = [chosen(form) for form in (copy_rows, total_rows, combine_rows)]
    return reduce_into(x, dim, index, source, reduce, include_self, forms, total_rows)


for _function in (index_add_, index_copy_, index_fill_, index_reduce_):
    setattr(Tensor, _function.__name__, _function)
