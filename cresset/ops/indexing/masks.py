"""Reading and writing where a mask holds: where, nonzero, masked_select, masked_scatter."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.layout import Layout, broadcast_shapes
from cresset.core.tensor import Tensor
from cresset.kernels import compaction as kernels
from cresset.ops.arguments import truth
from cresset.ops.creation.tensors import full, zeros
from cresset.ops.kinds import overwrite, special
from cresset.ops.operation import called, method
from cresset.ops.out import with_out, write_out
from cresset.ops.pointwise.comparison import where as choose
from cresset.ops.shapes.shape import expand, reshape
from cresset.runtime.program import Program

__all__ = ["argwhere", "masked_scatter", "masked_select", "nonzero", "nonzero_static",
           "where"]


# --- operations -----------------------------------------------------------------------------------
@special(moves=True)
def nonzero_counts(mask: Tensor):
    """How many non-zero elements come before each block, and last how many there are."""
    out = Layout.packed(kernels.counts_shape(mask), types.int64)
    launches, temporaries = kernels.count_nonzero(mask, out, (1, 0), 2)
    return Program("t", (out,), tuple(launches), tuple(temporaries))


@special(moves=True)
def nonzero_rows(mask: Tensor, counts: Tensor, total):
    """The coordinates of the `total` non-zero elements."""
    out = Layout.packed((total, mask.ndim), types.int64)
    launches, temporaries = kernels.nonzero(mask, counts, out, (1, 2, 0), 3)
    return Program("tt", (out,), tuple(launches), tuple(temporaries))


@called("masked_select")
@special(moves=True)
def selected(x: Tensor, mask: Tensor, counts: Tensor, total):
    """The `total` elements of x where the mask, of x's shape, holds."""
    out = Layout.packed((total,), x.dtype)
    places = (1, 2, 3, 0)
    launches, temporaries = kernels.masked_select(x, mask, counts, out, places, 4)
    return Program("ttt", (out,), tuple(launches), tuple(temporaries))


@called("index")
@special(moves=True)
def indexed_by_mask(x: Tensor, mask: Tensor, counts: Tensor, total):
    """x[mask], with a mask of x's shape that holds `total` times."""
    return selected.op.body(x, mask, counts, total)


@indexed_by_mask.gradient
@selected.gradient
def _selected_gradient(g, x_layout, mask):
    base = g.new_zeros(x_layout.shape)
    return masked_scatter(base, mask, g), None, None


@called("masked_scatter")
@overwrite
def scattered(x: Tensor, mask: Tensor, counts: Tensor, source: Tensor):
    """x with the elements where the mask holds replaced by those of a vector, in order."""

    def writer(target, values, first_temporary):
        return kernels.masked_scatter(target, mask, counts, source, values, first_temporary)

    return writer, None


@scattered.gradient
def _scattered_gradient(g, mask, source_layout):
    by_x = g.masked_fill(mask, 0.0)
    taken = masked_select(g, mask)
    rest = source_layout.numel - taken.layout.numel
    if rest:
        from cresset.ops.shapes.joining import cat

        taken = cat((taken, zeros(rest, dtype=g.layout.dtype, device=g.layout.device)))
    return by_x, None, None, taken


def counted(mask):
    """(what comes before each block of a mask, how many elements of it hold)."""
    counts = nonzero_counts(mask)
    return counts, counts[-1].item()


# --- functions ------------------------------------------------------------------------------------
def nonzero(input, *, as_tuple=False, out=None):
    """The coordinates of the elements that are not zero, one row each, int64.

    With `as_tuple` one vector for each dim, as an index takes them.

    >>> import cresset
    >>> cresset.nonzero(cresset.tensor([0, 5, 7]))
    tensor([[1],
            [2]])
    """
    truth("nonzero", "as_tuple", as_tuple)
    mask = input.detach()
    if mask.layout.dtype is not types.bool:
        mask = mask.ne(0)
    if as_tuple and not mask.layout.ndim:
        mask = mask.unsqueeze(0)
    counts, total = counted(mask)
    rows = nonzero_rows(mask, counts, total)
    if as_tuple:
        return tuple(rows.select(1, d) for d in range(mask.layout.ndim))
    return rows if out is None else write_out("nonzero", rows, out)


def _nonzero_method(x, *, as_tuple=False):
    """The coordinates of the elements that are not zero; see `cresset.nonzero`."""
    return nonzero(x, as_tuple=as_tuple)


def where(condition, input=None, other=None, *, out=None):
    """`input` where the condition holds, else `other`; alone, the coordinates where it holds.

    All broadcast, and `input` and `other` may be numbers. `where(condition)` is
    `nonzero(condition, as_tuple=True)`.

    >>> import cresset
    >>> t = cresset.tensor([-1.0, 2.0])
    >>> cresset.where(t > 0, t, 0.0)
    tensor([0., 2.])
    >>> cresset.where(t > 0)
    (tensor([1]),)
    """
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    return choose(condition, input, other, out=out)


@method()
def argwhere(input):
    """The coordinates of the elements that are not zero, one row each: `nonzero`."""
    return nonzero(input)


@method()
def nonzero_static(input, *, size, fill_value=-1):
    """`size` rows of coordinates: the first of `nonzero`, and rows of `fill_value` behind them."""
    shape, where = (size, input.layout.ndim), input.layout.device
    made = full(shape, fill_value, dtype=types.int64, device=where)
    if where == "meta":
        return made
    rows = nonzero(input)[:size]
    made[: rows.layout.shape[0]] = rows
    return made


@method()
@with_out
def masked_select(input, mask):
    """The elements where the mask holds, as a vector; x and mask broadcast.

    Raises RuntimeError unless the mask is boolean.

    >>> import cresset
    >>> x = cresset.tensor([3, 1, 2])
    >>> cresset.masked_select(x, x > 1)
    tensor([3, 2])
    """
    if mask.layout.dtype is not types.bool:
        raise RuntimeError(
            f"masked_select: expected BoolTensor for mask; got {mask.layout.dtype}; convert it "
            "with .bool()"
        )
    x = input
    if x.layout.shape != mask.layout.shape:
        shape = _joined("masked_select", x, mask)
        x, mask = expand(x, shape), expand(mask, shape)
    counts, total = counted(mask)
    return selected(x, mask, counts, total)


def _joined(operation, x, mask):
    """The shape that x and a mask broadcast to."""
    try:
        return broadcast_shapes(x.layout.shape, mask.layout.shape)
    except ValueError as problem:
        raise RuntimeError(
            f"{operation}: the mask of shape {list(mask.layout.shape)} does not broadcast with the "
            f"tensor's {list(x.layout.shape)}; {problem}; need equal sizes or 1 in every dim"
        ) from None


@method()
def masked_scatter(input, mask, source):
    """x with the elements where the mask holds replaced by those of `source`, in order.

    x and mask broadcast; `source`, of any shape, has at least as many elements as the mask holds.
    RuntimeError otherwise, and where its type is not x's.

    >>> import cresset
    >>> x = cresset.zeros(4)
    >>> mask = cresset.tensor([True, False, True, True])
    >>> x.masked_scatter(mask, cresset.tensor([1.0, 2.0, 3.0]))
    tensor([1., 0., 2., 3.])
    """
    shape = _joined("masked_scatter", input, mask)
    return scattered(expand(input, shape), *_scattering(shape, input, mask, source))


def masked_scatter_(input, mask, source):
    """masked_scatter in place; the mask broadcasts to x."""
    shape = input.layout.shape
    if tuple(_joined("masked_scatter_", input, mask)) != tuple(shape):
        raise RuntimeError(
            f"masked_scatter_: the mask of shape {list(mask.layout.shape)} is larger than the "
            f"written tensor, of shape {list(shape)}; use the form that returns a new tensor"
        )
    return scattered.in_place(input, *_scattering(shape, input, mask, source))


def _scattering(shape, x, mask, source):
    """(mask, counts, source) for `scattered`, checked."""
    if mask.layout.dtype is not types.bool:
        raise RuntimeError(
            f"masked_scatter: only supports boolean masks; got {mask.layout.dtype}; convert it "
            "with .bool()"
        )
    if source.layout.dtype is not x.layout.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes; got "
            f"{x.layout.dtype} and {source.layout.dtype}"
        )
    mask = expand(mask, tuple(shape))
    if mask.layout.device == "meta":
        return mask, nonzero_counts(mask), reshape(source, (-1,))
    counts, total = counted(mask)
    if source.layout.numel < total:
        raise RuntimeError(
            f"masked_scatter: Number of elements of source < number of ones in mask; the source "
            f"has {source.layout.numel}, the mask holds {total} times"
        )
    return mask, counts, reshape(source, (-1,))


Tensor.nonzero = _nonzero_method
Tensor.masked_scatter_ = masked_scatter_
