"""Scans and orders: cumsum, cumprod, sort, argsort, topk, unique."""

from __future__ import annotations

from collections import namedtuple

from cresset.core import dtype as types
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels import scan
from cresset.kernels import sort as kernels
from cresset.ops.comparison import where
from cresset.ops.creation import zeros
from cresset.ops.gathering import gather, scatter_put
from cresset.ops.kinds import special
from cresset.ops.kinds.promotion import computed
from cresset.ops.operation import called
from cresset.ops.reduction import amax, any, argmax, least
from cresset.ops.shape import canonical_dim, reshape
from cresset.runtime.program import Program

__all__ = ["argsort", "cumprod", "cumsum", "kthvalue", "median", "sort", "topk"]

# Results print under the name of their function, as PyTorch's do.
sort_result = namedtuple("sort", ("values", "indices"))  # type: ignore[name-match]
topk_result = namedtuple("topk", ("values", "indices"))  # type: ignore[name-match]
kthvalue_result = namedtuple("kthvalue", ("values", "indices"))  # type: ignore[name-match]
median_result = namedtuple("median", ("values", "indices"))  # type: ignore[name-match]


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
    # Each product holds every earlier factor once. At the first zero only the products without it
    # are left, and after it nothing is.
    zero = x.eq(0)
    zeros_met = cumsum_dim(zero, dim, False)
    first = zero & zeros_met.eq(1)
    others = cumprod_dim(x.masked_fill(first, 1), dim).masked_fill(zeros_met.eq(0), 0)
    by_zero = cumsum_dim(g * others, dim, True).masked_fill(~first, 0)
    by_factor = cumsum_dim(g * out, dim, True) / x.masked_fill(zero, 1)
    return by_zero + by_factor.masked_fill(zeros_met > 0, 0)


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
    """(values, indices) of the k-th least entry along a dim, counted from 1."""
    return kthvalue_result(*_at(x, _ranked("kthvalue", x, k, dim), dim, keepdim))


def _ranked(name, x, k, dim):
    """The indices of the k-th least entries along a dim, which stays as one of size 1."""
    d = canonical_dim(name, dim, x.layout.ndim)
    size = x.layout.shape[d] if x.layout.ndim else 1
    if not 1 <= k <= size:
        raise RuntimeError(
            f"{name}: selected index k out of range for dimension {d}; got k={k}; need 1 <= k <= "
            f"{size}"
        )
    order = argsort(x, d)
    return order.narrow(d, k - 1, 1) if x.layout.ndim else order


def _at(x, indices, dim, keepdim):
    """(values, indices) at the one index along a dim."""
    values = gather(x, dim, indices)
    return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))


def median(x, dim=None, keepdim=False):
    """The lower of the middle entries, NaN if there is any; along a dim (values, indices).

    The gradient of the median of all elements is shared by those that equal it.

    >>> import cresset
    >>> cresset.median(cresset.tensor([4, 1, 3, 2]))
    tensor(2)
    """
    if dim is None:
        flat = reshape(x, (-1,))
        middle = _ranked("median", flat, (flat.layout.numel + 1) // 2, 0)
        value = gather(flat.detach(), 0, middle)
        return amax(flat.masked_fill(flat > value, least(x.layout.dtype)))
    size = x.layout.shape[dim] if x.layout.ndim else 1
    indices = _ranked("median", x, (size + 1) // 2, dim)
    if x.layout.dtype.is_floating_point:
        nan = x.detach().isnan()
        indices = where(any(nan, dim, True), argmax(nan, dim, True), indices)
    return median_result(*_at(x, indices, dim, keepdim))


for _function in (sort, argsort, topk, kthvalue, median):
    setattr(Tensor, _function.__name__, _function)
