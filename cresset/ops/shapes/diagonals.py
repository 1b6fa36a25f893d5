"""Triangles and diagonals of matrices, and matrices made of them."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.device import get_default_device
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.ops.creation.counted import arange
from cresset.ops.in_place import in_place
from cresset.ops.kinds import special
from cresset.ops.neural.padding import pad
from cresset.ops.operation import counted_as, method
from cresset.ops.out import with_out
from cresset.ops.placement import placed
from cresset.ops.shapes.joining import cat, stack
from cresset.ops.shapes.rearranging import repeat_interleave
from cresset.ops.shapes.shape import as_strided, canonical_dim, diagonal, narrow, reshape
from cresset.ops.shapes.stacking import atleast_2d
from cresset.runtime.program import Program

__all__ = ["block_diag", "diag", "diag_embed", "diagflat", "tril", "tril_indices", "triu",
           "triu_indices"]


# --- triangles ------------------------------------------------------------------------------------
@special(moves=True)
def triangle(x: Tensor, offset, lower):
    """x with zeros on one side of the diagonal at `offset`: above it, or below it."""
    name = "tril" if lower else "triu"
    if not isinstance(offset, int):
        raise TypeError(f"{name}(): argument 'diagonal' must be int; got {offset!r}")
    if x.ndim < 2:
        raise RuntimeError(
            f"{name}: input tensor must have at least 2 dimensions; got shape {tuple(x.shape)}; "
            "need (..., rows, columns)"
        )
    out = Layout.packed(x.shape, x.dtype)
    # The position within a nest is the column less the row here.
    strides = (0,) * (x.ndim - 2) + (-1, 1)
    leaf, edge = scalar.argument(0, x.dtype), scalar.argument(1, types.int64)
    place = scalar.position()
    inside = place <= edge if lower else place >= edge
    body = (Store(2, scalar.where(inside, leaf, scalar.constant(0, x.dtype)), False),)
    operands = (
        Operand(1, x.dtype, x.strides),
        Operand(-1, types.int64, None, 0, "i", offset),
        Operand(0, x.dtype, out.strides),
    )
    launches, _ = steps(Nest(tuple(x.shape), frozenset(), operands, body, strides))
    return Program("t", (out,), tuple(launches))


@triangle.gradient
def _triangle_gradient(g, offset, lower):
    return triangle(g, offset, lower)


@method()
@with_out
@in_place
def tril(input, diagonal=0, *, k=0):
    """The matrices of the last two dims with zeros above a diagonal, `diagonal` or `k`.

    >>> import cresset
    >>> cresset.tril(cresset.ones(2, 3))
    tensor([[1., 0., 0.],
            [1., 1., 0.]])
    """
    return triangle(input, diagonal + k, True)


@method()
@with_out
@in_place
def triu(input, diagonal=0, *, k=0):
    """The matrices of the last two dims with zeros below a diagonal, `diagonal` or `k`."""
    return triangle(input, diagonal + k, False)


def tril_indices(row, col, offset=0, *, dtype=types.int64, layout=None, device=None,
                 pin_memory=False):
    """The row and column numbers of the elements of a matrix that lie on or below a diagonal.

    >>> import cresset
    >>> cresset.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _indices("tril_indices", row, col, offset, dtype, device, True)


def triu_indices(row, col, offset=0, *, dtype=types.int64, layout=None, device=None,
                 pin_memory=False):
    """The row and column numbers of the elements of a matrix that lie on or above a diagonal."""
    return _indices("triu_indices", row, col, offset, dtype, device, False)


def _indices(name, row, col, offset, dtype, device, lower):
    if row < 0 or col < 0:
        raise RuntimeError(f"{name}: row and col must be non-negative; got {row} and {col}")
    # From what column on, and how many columns, in each row.
    bounds = (arange(row, device="cpu") + (offset + lower)).clamp(0, col)
    first, counts = (0, bounds) if lower else (bounds, col - bounds)
    rows = repeat_interleave(counts)
    start = (first + counts - counts.cumsum(0))[rows]
    places = stack((rows, arange(rows.layout.numel, device="cpu") + start))
    return places.to(dtype=dtype, device=get_default_device() if device is None else device)


# --- diagonals ------------------------------------------------------------------------------------
@method()
@counted_as("diag_embed")
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Matrices with the vectors of the last dim on a diagonal, in dims dim1 and dim2 of the result.

    >>> import cresset
    >>> cresset.diag_embed(cresset.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    rank = input.layout.ndim + 1
    a, b = canonical_dim("diag_embed", dim1, rank), canonical_dim("diag_embed", dim2, rank)
    if a == b:
        raise RuntimeError(f"diag_embed: diagonal dimensions cannot be identical {dim1}, {dim2}")
    shape = list(input.layout.shape)
    size = shape.pop() + abs(offset)
    for d in sorted((a, b)):
        shape.insert(d, size)
    made = Layout.packed(tuple(shape), input.layout.dtype)
    return placed(input, diagonal.op, (offset, a, b), made)


@method()
@with_out
def diag(input, diagonal=0):
    """The matrix with a vector on its diagonal, or the diagonal of a matrix, copied."""
    if input.layout.ndim == 1:
        return diag_embed(input, diagonal)
    if input.layout.ndim != 2:
        raise RuntimeError(f"diag: Supports 1D or 2D tensors. Got {input.layout.ndim}D")
    return input.diagonal(diagonal).clone()


@method()
def diagflat(input, offset=0):
    """The matrix with all elements on its diagonal."""
    return diag_embed(reshape(input, (-1,)), offset)


def _fill_diagonal_(x, fill_value, wrap=False):
    """Overwrite the main diagonal with a number; of a tall matrix with `wrap` again and again.

    Raises RuntimeError for fewer than two dims, or for more of which the sizes differ.
    """
    shape, strides = x.layout.shape, x.layout.strides
    if len(shape) < 2:
        raise RuntimeError(f"fill_diagonal_: dimensions must larger than 1; got {len(shape)}")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("fill_diagonal_: all dimensions of input must be of equal length; got "
                           f"{tuple(shape)}")
    rows, columns = shape[0], shape[1]
    for start in range(0, rows, columns + 1) if wrap and len(shape) == 2 else (0,):
        part = narrow(x, 0, start, min(rows - start, min(shape[1:])))
        as_strided(part, (part.layout.shape[0],), (strides and sum(strides),),
                   part.storage_offset()).fill_(fill_value)
    return x


Tensor.fill_diagonal_ = _fill_diagonal_


@counted_as("block_diag")
def block_diag(*tensors):
    """The matrix with the given ones along its diagonal; numbers and vectors are rows.

    >>> import cresset
    >>> cresset.block_diag(cresset.tensor([1, 2]), cresset.tensor([[3], [4]]))
    tensor([[1, 2, 0],
            [0, 0, 3],
            [0, 0, 4]])
    """
    for k, x in enumerate(tensors):
        if x.layout.ndim > 2:
            raise RuntimeError("block_diag: Input tensors must have 2 or fewer dimensions. Input "
                               f"{k} has {x.layout.ndim} dimensions")
    blocks = [atleast_2d(x) for x in tensors]
    width, before, rows = sum(x.layout.shape[1] for x in blocks), 0, []
    for x in blocks:
        columns = x.layout.shape[1]
        rows.append(pad(x, (before, width - before - columns)))
        before += columns
    return cat(rows)


