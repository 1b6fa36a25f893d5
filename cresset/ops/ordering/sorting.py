"""Orders along a dim: sort, argsort, msort, topk."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.layout import Layout
from cresset.core.return_types import sort as sort_result
from cresset.core.return_types import topk as topk_result
from cresset.core.tensor import Tensor
from cresset.kernels.sort import sort as sort_rows
from cresset.kernels.topk import topk as topk_rows
from cresset.ops.creation.tensors import zeros
from cresset.ops.indexing.gathering import scatter_put
from cresset.ops.kinds import special
from cresset.ops.operation import called, method
from cresset.ops.out import with_out
from cresset.ops.reductions.reduction import max_with_index, min_with_index
from cresset.ops.shapes.shape import canonical_dim
from cresset.runtime.program import Program

__all__ = ["argsort", "msort", "sort", "topk"]

LONG = 2048  # elements of a packed row in which a limit finds the first of all sooner


def refuse(name, x, *refused):
    if x.dtype in refused:
        raise RuntimeError(f"{name}: does not support {x.dtype}; need numbers that have an order")


@called("sort")
@special
def sorted_dim(x: Tensor, dim, descending):
    """(values, indices) in order along a dim, equals in the order in which they stood."""
    refuse("sort", x, types.complex64, types.complex128)
    d = canonical_dim("sort", dim, x.ndim)
    out, indices = x.like(), x.like(types.int64)
    launches, temporaries = sort_rows(x, d, out, indices, (2, 0, 1), 3, descending)
    return Program("t", (out, indices), tuple(launches), tuple(temporaries))


@called("topk")
@special
def greatest_dim(x: Tensor, k, dim, largest):
    """(values, indices) of the k greatest, or least, along a dim in order."""
    refuse("topk", x, types.bool, types.complex64, types.complex128)
    d = canonical_dim("topk", dim, x.ndim)
    size = x.shape[d] if x.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(
            f"topk: selected index k out of range; got {k} for a dim of size {size}; need "
            f"0 <= k <= {size}"
        )
    if k == 1 and (largest or not x.dtype.is_floating_point) and (
        size <= LONG or x.strides[d] != 1
    ):
        # The extreme; but where NaN, the greatest, would be the least.
        return (max_with_index if largest else min_with_index).op.program((x, d, True))
    shape = list(x.shape)
    if shape:
        shape[d] = k
    out, indices = Layout.packed(tuple(shape), x.dtype), Layout.packed(tuple(shape), types.int64)
    launches, temporaries = topk_rows(x, k, d, out, indices, (2, 0, 1), 3, largest)
    return Program("t", (out, indices), tuple(launches), tuple(temporaries))


def _ordered_gradient(gs, out1, x_layout, dim):
    base = zeros(tuple(x_layout.shape), dtype=gs[0].layout.dtype, device=gs[0].layout.device)
    return scatter_put(base, dim, out1, gs[0])


sorted_dim.gradient(_ordered_gradient)
greatest_dim.gradient(_ordered_gradient)


@method()
@with_out
def sort(input, dim=-1, descending=False, *, stable=False):
    """(values, indices) in order along a dim; NaN counts as greatest, equals keep their order.

    >>> import cresset
    >>> cresset.sort(cresset.tensor([3, 1, 2])).indices
    tensor([1, 2, 0])
    """
    return sort_result(sorted_dim(input, dim, descending))


@method()
@with_out
def argsort(input, dim=-1, descending=False, *, stable=False):
    """The indices that sort along a dim."""
    return sorted_dim(input.detach(), dim, descending)[1]


@method()
@with_out
def msort(input):
    """The entries in order along the first dim."""
    return sorted_dim(input, 0, False)[0]


@method()
@with_out
def topk(input, k, dim=-1, largest=True, sorted=True):
    """(values, indices) of the k greatest, or least, entries along a dim, in order."""
    return topk_result(greatest_dim(input, k, dim, largest))
