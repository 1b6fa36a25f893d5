"""Entries in another order or repeated: flip, roll, rot90, repeat, tile, repeat_interleave."""

from __future__ import annotations

from itertools import product

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.ops.arguments import whole
from cresset.ops.creation.counted import arange
from cresset.ops.creation.tensors import full
from cresset.ops.indexing.selecting import index_select
from cresset.ops.kinds import special
from cresset.ops.kinds.reduce import canonical_dims
from cresset.ops.operation import called, counted_as, method
from cresset.ops.ordering.histograms import searchsorted
from cresset.ops.reductions.reduction import amin
from cresset.ops.reductions.scans import cumsum_dim
from cresset.ops.shapes.shape import _shape_of, canonical_dim, expand, reshape, transpose
from cresset.runtime.program import Program

__all__ = ["flip", "fliplr", "flipud", "repeat_interleave", "roll", "rot90", "tile"]


# --- turned around --------------------------------------------------------------------------------
@called("flip")
@special(moves=True)
def flipped(x: Tensor, dims):
    """x with its entries along dims in reverse order: a copy with strides that go back."""
    dims = canonical_dims("flip", dims, x.ndim) if dims else ()
    out = x.like()
    strides = tuple(-s if d in dims else s for d, s in enumerate(x.strides))
    last = sum((x.shape[d] - 1) * x.strides[d] for d in dims)
    operands = (Operand(1, x.dtype, strides, last), Operand(0, x.dtype, out.strides))
    body = (Store(1, scalar.argument(0, x.dtype), False),)
    return Program("t", (out,), tuple(
        steps(Nest(tuple(x.shape), frozenset(), operands, body))[0]))


@flipped.gradient
def _flipped_gradient(g, dims):
    return flipped(g, dims)


def flip(input, *sizes, dims=None, axis=None):
    """x with its entries along dims in reverse order, copied; of all dims where none are named.

    >>> import cresset
    >>> cresset.flip(cresset.tensor([1, 2, 3]), (0,))
    tensor([3, 2, 1])
    """
    named = dims if dims is not None else axis
    if named is not None:
        sizes = (named,)
    return flipped(input, _shape_of(sizes or (tuple(range(input.layout.ndim)),)))


@method()
def fliplr(input):
    """The entries of the second dim in reverse order, copied."""
    if input.layout.ndim < 2:
        raise RuntimeError(f"fliplr: Input must be >= 2-d.; got {input.layout.ndim} dims")
    return flipped(input, (1,))


@method()
def flipud(input):
    """The entries of the first dim in reverse order, copied."""
    if input.layout.ndim < 1:
        raise RuntimeError("flipud: Input must be >= 1-d.; got 0 dims")
    return flipped(input, (0,))


@method()
@counted_as("rot90")
def rot90(input, k=1, dims=(0, 1)):
    """x turned by k right angles in the plane of two dims, from the first to the second, copied.

    >>> import cresset
    >>> cresset.rot90(cresset.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    rank = input.layout.ndim
    if len(dims) != 2 or rank < 2:
        raise RuntimeError(f"rot90: expected total rotation dims == 2 and dims >= 2; got dims = "
                           f"{tuple(dims)} and {rank} dims")
    a, b = (canonical_dim("rot90", d, rank) for d in dims)
    if a == b:
        raise RuntimeError(f"rot90: expected rotation dims to be different; got {tuple(dims)}; "
                           "name the two dims of a plane")
    k = whole("rot90", "k", k)
    turned = ((), (b,), (a, b), (a,))[k % 4]
    made = flipped(input, turned)
    return transpose(made, a, b) if k % 2 else made


# --- rotated --------------------------------------------------------------------------------------
@called("roll")
@special(moves=True)
def rolled(x: Tensor, shifts, dims):
    """x with its entries moved on along dims, those beyond the end to the start."""
    out = Layout.packed(x.shape, x.dtype)
    totals: dict = {}
    for shift, dim in zip(shifts, dims):
        d = canonical_dim("roll", dim, x.ndim)
        totals[d] = totals.get(d, 0) + shift
    # Along each dim the entries before the cut and those after it: (first, count, first in out).
    parts = []
    for d, n in enumerate(x.shape):
        cut = -totals.get(d, 0) % n if n else 0
        parts.append([(cut, n - cut, 0), (0, cut, n - cut)] if cut else [(0, n, 0)])
    launches: list = []
    leaf = scalar.argument(0, x.dtype)
    for pieces in product(*parts):
        source = sum(first * s for (first, _, _), s in zip(pieces, x.strides))
        target = sum(first * s for (_, _, first), s in zip(pieces, out.strides))
        operands = (
            Operand(1, x.dtype, x.strides, source), Operand(0, x.dtype, out.strides, target)
        )
        shape = tuple(count for _, count, _ in pieces)
        launches += steps(Nest(shape, frozenset(), operands, (Store(1, leaf, False),)))[0]
    return Program("t", (out,), tuple(launches))


@rolled.gradient
def _rolled_gradient(g, shifts, dims):
    return rolled(g, tuple(-shift for shift in shifts), dims)


@method()
@counted_as("roll")
def roll(input, shifts, dims=None, *, axis=None):
    """x rotated along dims, or all elements in row order; what leaves at the end comes in again.

    >>> import cresset
    >>> cresset.roll(cresset.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    dims = axis if dims is None else dims
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if dims is None or dims == ():
        if len(shifts) != 1:
            raise RuntimeError(f"roll: shifts and dimensions must align. shifts: {len(shifts)}, "
                               "dims:0")
        flat = rolled(reshape(input, (-1,)), shifts, (0,))
        return reshape(flat, tuple(input.layout.shape))
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    if not shifts:
        raise RuntimeError("roll: `shifts` required")
    if len(shifts) != len(dims):
        raise RuntimeError(f"roll: shifts and dimensions must align. shifts: {len(shifts)}, "
                           f"dims:{len(dims)}")
    return rolled(input, shifts, dims)


# --- repeated -------------------------------------------------------------------------------------
@counted_as("repeat")
def repeat(x, *sizes, repeats=None):
    """x repeated the given number of times along each dim, copied.

    >>> import cresset
    >>> cresset.tensor([1, 2]).repeat(2)
    tensor([1, 2, 1, 2])
    """
    sizes = _shape_of(sizes) if repeats is None else tuple(repeats)
    sizes = tuple(whole("repeat", "repeats", n) for n in sizes)
    shape = (1,) * (len(sizes) - x.layout.ndim) + tuple(x.layout.shape)
    if len(sizes) < x.layout.ndim:
        raise RuntimeError(
            "repeat: Number of dimensions of repeat dims can not be smaller than number of "
            f"dimensions of tensor; got {len(sizes)} and {x.layout.ndim}; need one number "
            "for each dim"
        )
    if any(n < 0 for n in sizes):
        raise RuntimeError(f"repeat: Trying to create tensor with negative dimension: {sizes}")
    paired = [n for m, k in zip(shape, sizes) for n in (1, m)]
    wide = [n for m, k in zip(shape, sizes) for n in (k, m)]
    made = expand(reshape(x, tuple(paired)), tuple(wide)).contiguous()
    made = reshape(made, tuple(m * k for m, k in zip(shape, sizes)))
    return made if made.memory is not x.memory else made.clone()


@counted_as("repeat")
def tile(input, *counts, dims=None):
    """repeat, with missing leading counts taken as 1."""
    dims = _shape_of(counts) if dims is None else tuple(dims)
    return repeat(input, (1,) * (input.layout.ndim - len(dims)) + dims)


def repeat_interleave(input=None, repeats=None, dim=None, *, output_size=None):
    """Every entry along a dim repeated, `repeats` times or as a vector of counts says.

    Without a dim, every element. Of a vector of counts alone: every place as often as it says.

    >>> import cresset
    >>> cresset.repeat_interleave(cresset.tensor([7, 8]), cresset.tensor([2, 1]))
    tensor([7, 7, 8])
    """
    if input is None or repeats is None:
        return _places(repeats if input is None else input, output_size)
    x = input
    if dim is None:
        x, dim = reshape(x, (-1,)), 0
    d = canonical_dim("repeat_interleave", dim, x.layout.ndim)
    size = x.layout.shape[d] if x.layout.ndim else 1
    if not isinstance(repeats, Tensor):
        repeats = full((1,), repeats, dtype=types.int64, device="cpu")
    if repeats.layout.ndim > 1:
        raise RuntimeError("repeat_interleave: repeats must be 0-dim or 1-dim tensor; got "
                           f"{repeats.layout.ndim} dims")
    if repeats.layout.numel == 1:
        repeats = expand(reshape(repeats, (1,)), (size,))
    elif repeats.layout.shape[0] != size:
        raise RuntimeError(
            f"repeat_interleave: repeats must have the same size as input along dim, but got "
            f"repeats.size(0) = {repeats.layout.shape[0]} and input.size({d}) = {size}"
        )
    return index_select(x, d, _places(repeats, output_size).to(device=x.layout.device))


def _places(repeats, output_size):
    """0, 1, 2, ..., each as often as a vector of counts says."""
    if repeats.layout.ndim != 1:
        raise RuntimeError("repeat_interleave: only accept 1D vector as repeat; got "
                           f"{repeats.layout.ndim} dims")
    if repeats.layout.dtype not in (types.int64, types.int32):
        raise NotImplementedError(f"repeat_interleave: repeats has to be Long or Int tensor; got "
                                  f"{repeats.layout.dtype}")
    if not repeats.layout.numel:
        return arange(0, device=repeats.layout.device)
    if repeats.layout.device == "meta" and output_size is not None:
        return repeats.new_empty(output_size, dtype=types.int64)
    if amin(repeats).item() < 0:
        raise RuntimeError("repeat_interleave: repeats can not be negative; the least is "
                           f"{amin(repeats).item()}")
    ends = cumsum_dim(repeats, 0, False)
    total = ends[-1].item()
    if output_size is not None and output_size != total:
        raise RuntimeError(f"repeat_interleave: allocated size does not match required size; got "
                           f"output_size={output_size}; need {total}")
    return searchsorted(ends, arange(total, device=repeats.layout.device), right=True)


Tensor.flip = flip
Tensor.__reversed__ = lambda x: flip(x, 0) if x.ndim else x
Tensor.repeat = repeat
Tensor.repeat_interleave = repeat_interleave
Tensor.tile = tile
