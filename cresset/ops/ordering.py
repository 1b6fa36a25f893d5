"""Scans and orders: cumsum, cumprod, sort, argsort, topk, unique."""

from __future__ import annotations

from collections import namedtuple

from cresset.compiler import scan
from cresset.compiler import sort as kernels
from cresset.core import dtype as types
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops.creation import zeros
from cresset.ops.gathering import scatter_put
from cresset.ops.kinds import special
from cresset.ops.kinds.promotion import computed
from cresset.ops.operation import called
from cresset.ops.shape import canonical_dim, reshape
from cresset.runtime.program import Program

__all__ = ["argsort", "cumprod", "cumsum", "kthvalue", "median", "sort", "topk"]

# Results print under the name of their function, as PyTorch's do.
sort_result = namedtuple("sort", ("values", "indices"))  # type: ignore[name-match]
topk_result = namedtuple("topk", ("values", "indices"))  # type: ignore[name-match]


def _scanned(name, x, dim):
    d = canonical_dim(name, dim, x.ndim)
    target = x.dtype if x.dtype.is_floating_point else types.int64
    return d, Layout.packed(x.shape, computed(name, target))


@called("cumsum")
@special
def cumsum_dim(x: Tensor, dim, reverse):
    """Running sums along a dim, from its end where `reverse`."""
    d, out = _scanned("cumsum", x, dim)
    launches, temporaries = scan.cumsum(x, d, out, (1, 0), 2, reverse)
    return Program("t", (out,), tuple(launches), tuple(temporaries))


@cumsum_dim.gradient
def _cumsum_gradient(g, dim, reverse):
    return cumsum_dim(g, dim, not reverse)


@called("cumprod")
@special
def cumprod_dim(x: Tensor, dim):
    """Running products along a dim."""
    d, out = _scanned("cumprod", x, dim)
    launches, temporaries = scan.cumprod(x, d, out, (1, 0), 2)
    return Program("t", (out,), tuple(launches), tuple(temporaries))


@cumprod_dim.gradient
def _cumprod_gradient(g, x, out, dim):
    # Each product holds every earlier factor once; zeros would need the products without them.
    return cumsum_dim(g * out, dim, True) / x


def cumsum(x, dim, *, dtype=None):
    """out[i] = x[0] + ... + x[i] along a dim; integers give int64.

    >>> import cresset
    >>> cresset.cumsum(cresset.tensor([1, 2, 3]), 0)
    tensor([1, 3, 6])
    """
    return cumsum_dim(x if dtype is None else x.to(dtype), dim, False)


def cumprod(x, dim, *, dtype=None):
    """out[i] = x[0] * ... * x[i] along a dim; integers give int64."""
    return cumprod_dim(x if dtype is None else x.to(dtype), dim)


Tensor.cumsum = cumsum
Tensor.cumprod = cumprod


@called("sort")
@special
def sorted_dim(x: Tensor, dim, descending):
    """(values, indices) in order along a dim, equals in the order in which they stood."""
    d = canonical_dim("sort", dim, x.ndim)
    out, indices = Layout.packed(x.shape, x.dtype), Layout.packed(x.shape, types.int64)
    launches, temporaries = kernels.sort(x, d, out, indices, (2, 0, 1), 3, descending)
    return Program("t", (out, indices), tuple(launches), tuple(temporaries))


@called("topk")
@special
def greatest_dim(x: Tensor, k, dim, largest):
    """(values, indices) of the k greatest, or least, along a dim in order."""
    d = canonical_dim("topk", dim, x.ndim)
    size = x.shape[d] if x.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"topk: selected index k out of range; got {k} for a dim of size {size}")
    shape = list(x.shape)
    if shape:
        shape[d] = k
    out, indices = Layout.packed(tuple(shape), x.dtype), Layout.packed(tuple(shape), types.int64)
    launches, temporaries = kernels.topk(x, k, d, out, indices, (2, 0, 1), 3, largest)
    return Program("t", (out, indices), tuple(launches), tuple(temporaries))


def _ordered_gradient(gs, outs, x_layout, dim):
    base = zeros(tuple(x_layout.shape), dtype=gs[0].layout.dtype)
    return scatter_put(base, dim, outs[1], gs[0])


sorted_dim.gradient(_ordered_gradient)
greatest_dim.gradient(_ordered_gradient)


def sort(x, dim=-1, descending=False, stable=False):
    """(values, indices) in order along a dim; NaN counts as greatest, equals keep their order.

    >>> import cresset
    >>> cresset.sort(cresset.tensor([3, 1, 2])).indices
    tensor([1, 2, 0])
    """
    return sort_result(*sorted_dim(x, dim, descending))


def argsort(x, dim=-1, descending=False, stable=False):
    """The indices that sort along a dim."""
    return sorted_dim(x.detach(), dim, descending)[1]


def topk(x, k, dim=-1, largest=True, sorted=True):
    """(values, indices) of the k greatest, or least, entries along a dim, in order."""
    return topk_result(*greatest_dim(x, k, dim, largest))


def kthvalue(x, k, dim=-1, keepdim=False):
    """The k-th least entry along a dim (counted from 1), and its index."""
    values, indices = sorted_dim(x, dim, False)
    values, indices = values.narrow(dim, k - 1, 1), indices.narrow(dim, k - 1, 1)
    return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))


def median(x, dim=None, keepdim=False):
    """The lower of the middle entries: of all, or along a dim with its index."""
    if dim is None:
        flat = reshape(x, (-1,))
        return kthvalue(flat, (flat.layout.numel + 1) // 2, 0)[0]
    return kthvalue(x, (x.layout.shape[dim] + 1) // 2, dim, keepdim)


for _function in (sort, argsort, topk, kthvalue, median):
    setattr(Tensor, _function.__name__, _function)
