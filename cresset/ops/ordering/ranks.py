"""Entries by their rank along a dim: the k-th least, the median, quantiles, the most frequent."""

from __future__ import annotations

from math import prod

from cresset.core import dtype as types
from cresset.core.layout import Layout, contiguous_strides
from cresset.core.return_types import kthvalue as kthvalue_result
from cresset.core.return_types import median as median_result
from cresset.core.return_types import mode as mode_result
from cresset.core.return_types import nanmedian as nanmedian_result
from cresset.core.tensor import Tensor
from cresset.kernels.runs import modes
from cresset.kernels.selection import kth
from cresset.kernels.sort import sort as sort_rows
from cresset.ops.creation.tensors import full, tensor, zeros
from cresset.ops.indexing.gathering import gather, scatter_put
from cresset.ops.kinds import special
from cresset.ops.kinds.widened import packed_as
from cresset.ops.operation import called, counts_as, method
from cresset.ops.ordering.sorting import refuse, sorted_dim
from cresset.ops.out import with_out
from cresset.ops.pointwise.arithmetic import lerp
from cresset.ops.pointwise.comparison import where
from cresset.ops.reductions.reduction import any, least, sum
from cresset.ops.shapes.shape import canonical_dim, movedim, reshape, unsqueeze
from cresset.runtime.program import Program

__all__ = ["kthvalue", "median", "mode", "nanmedian", "nanquantile", "quantile"]

INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _counted_dim(name, x, dim):
    """The dim counted from 0, and its size; raises IndexError where that is nothing."""
    d = canonical_dim(name, dim, x.layout.ndim)
    size = x.layout.shape[d] if x.layout.ndim else 1
    if not size:
        raise IndexError(f"{name}: Expected reduction dim {d} to have non-zero size; got shape "
                         f"{tuple(x.layout.shape)}")
    return d, size


def _reduced(x, dim, keepdim):
    """The shape with a dim of size 1, and that of results."""
    kept = tuple(1 if d == dim else n for d, n in enumerate(x.shape))
    return kept, kept if keepdim else kept[:dim] + kept[dim + 1 :]


# --- selection ------------------------------------------------------------------------------------
@called("kthvalue")
@special
def kth_least(x: Tensor, k, dim, keepdim, rule):
    """(values, indices) of the k-th least entry along a dim, from 0; see `kernels.selection`."""
    refuse("kthvalue", x, types.complex64, types.complex128)
    kept, shape = _reduced(x, dim, keepdim)
    out, indices = Layout.packed(kept, x.dtype), Layout.packed(kept, types.int64)
    launches, temporaries = kth(x, k, dim, out, indices, (2, 0, 1), 3, rule)
    outputs = (Layout.packed(shape, x.dtype), Layout.packed(shape, types.int64))
    return Program("t", outputs, tuple(launches), tuple(temporaries))


@kth_least.gradient
def _kth_gradient(gs, out1, x_layout, dim, keepdim):
    g = gs[0]
    if x_layout.ndim and not keepdim:
        g, out1 = unsqueeze(g, dim), unsqueeze(out1, dim)
    base = zeros(tuple(x_layout.shape), dtype=g.layout.dtype, device=g.layout.device)
    return scatter_put(base, dim, out1, g)


@called("median")
@special
def middle_of_all(x: Tensor, rule):
    """The lower middle one of all elements."""
    refuse("median", x, types.complex64, types.complex128)
    line = Layout.packed((x.numel,), x.dtype)
    before, copy, place = packed_as(x.dtype, 1, x, 3)
    one = Layout.packed((1,), x.dtype), Layout.packed((1,), types.int64)
    launches, room = kth(line, (x.numel - 1) // 2, 0, *one, (place, 0, 2), 3 + len(copy), rule)
    return Program("t", (Layout.packed((), x.dtype),), (*before, *launches), (8, *copy, *room))


@middle_of_all.gradient
def _middle_gradient(g, x, out):
    """Those that equal the median share its gradient."""
    same = x.eq(out) | (x.isnan() & out.isnan())
    return where(same, g / sum(same), 0.0)


def _refuse_bool(name, x):
    if x.layout.dtype is types.bool:
        raise NotImplementedError(f"{name}: not implemented for bool; convert with .int()")


@method()
@with_out
def kthvalue(input, k, dim=-1, keepdim=False):
    """(values, indices) of the k-th least entry along a dim, counted from 1."""
    _refuse_bool("kthvalue", input)
    d, size = _counted_dim("kthvalue", input, dim)
    if not 1 <= k <= size:
        raise RuntimeError(
            f"kthvalue: selected number k out of range for dimension {d}; got k={k}; need 1 <= k "
            f"<= {size}"
        )
    return kthvalue_result(kth_least(input, k - 1, d, keepdim, "kth"))


# --- medians --------------------------------------------------------------------------------------
@method()
@with_out
def median(input, dim=None, keepdim=False):
    """The lower of the middle entries, NaN if there is any; along a dim (values, indices).

    The gradient of the median of all elements is shared by those that equal it.

    >>> import cresset
    >>> cresset.median(cresset.tensor([4, 1, 3, 2]))
    tensor(2)
    """
    if dim is None:
        return _median_of_all("median", input)
    return median_result(_median_along("median", input, dim, keepdim))


@method()
@with_out
def nanmedian(input, dim=None, keepdim=False):
    """The median of the entries that are not NaN, NaN where there is none."""
    if dim is None:
        return _median_of_all("nanmedian", input)
    return nanmedian_result(_median_along("nanmedian", input, dim, keepdim))


def _median_along(name, x, dim, keepdim):
    _refuse_bool(name, x)
    d, size = _counted_dim(name, x, dim)
    values, places = kth_least(x, (size - 1) // 2, d, keepdim, name)
    return counts_as(values, f"{name}#1"), places


def _median_of_all(name, x):
    _refuse_bool(name, x)
    d = x.layout.dtype
    if x.layout.numel:
        return counts_as(middle_of_all(x, name), name)
    return full((), float("nan") if d.is_floating_point else least(d), dtype=d,
                device=x.layout.device)


# --- the most frequent entry ----------------------------------------------------------------------
@called("mode")
@special
def most_frequent(x: Tensor, dim, keepdim):
    """(values, indices) of the most frequent entry along a dim."""
    refuse("mode", x, types.complex64, types.complex128)
    kept, shape = _reduced(x, dim, keepdim)
    size = x.shape[dim] if x.ndim else 1
    # Sorted rows lie one after another.
    strides = [s * size for s in contiguous_strides(kept)]
    if x.ndim:
        strides[dim] = 1
    ordered, order = (Layout.of(x.shape, tuple(strides), d) for d in (x.dtype, types.int64))
    sorting, room = sort_rows(x, dim, ordered, order, (2, 3, 4), 5)
    finding, _ = modes(x.dtype, prod(kept), size, (3, 4, 0, 1))
    outputs = (Layout.packed(shape, x.dtype), Layout.packed(shape, types.int64))
    return Program("t", outputs, (*sorting, *finding), (ordered.nbytes, order.nbytes, *room))


most_frequent.gradient(_kth_gradient)


@method()
@with_out
def mode(input, dim=-1, keepdim=False):
    """(values, indices) of the most frequent entry along a dim, the least of several such.

    The index is that of its last occurrence.

    >>> import cresset
    >>> cresset.mode(cresset.tensor([3, 1, 3, 1, 2]))
    torch.return_types.mode(
    values=tensor(1),
    indices=tensor(3))
    """
    d, _ = _counted_dim("mode", input, dim)
    return mode_result(most_frequent(input, d, keepdim))


# --- quantiles ------------------------------------------------------------------------------------
@method()
@with_out
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The q-quantiles, 0 <= q <= 1, of all elements or along a dim; NaN where there is any.

    Several q, a vector of the input's type, make a new first dim. Between two entries the quantile
    is interpolated: "linear", "lower", "higher", "midpoint" or "nearest".

    >>> import cresset
    >>> cresset.quantile(cresset.tensor([1.0, 2.0, 4.0]), 0.75)
    tensor(3.)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@method()
@with_out
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The quantiles of the entries that are not NaN, NaN where there is none."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)


def _checked_q(name, x, q):
    """q as a tensor of x's type; raises RuntimeError where it cannot be a quantile's."""
    d = x.layout.dtype
    if d.name not in ("float32", "float64"):
        raise RuntimeError(f"{name}: input tensor must be either float or double dtype; got {d}")
    if not isinstance(q, Tensor):
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}: q must be in the range [0, 1] but got {q}; the "
                               "median is 0.5")
        return tensor(q, dtype=d, device=x.layout.device)
    if q.layout.ndim > 1:
        raise RuntimeError(f"{name}: q must be a scalar or 1D tensor; got {tuple(q.layout.shape)}")
    if q.layout.dtype is not d:
        raise RuntimeError(f"{name}: q tensor must be same dtype as the input tensor; got "
                           f"{q.layout.dtype} and {d}")
    if q.layout.numel and not q.layout.absent and not ((q >= 0) & (q <= 1)).all().item():
        raise RuntimeError(f"{name}: q values must be in the range [0, 1]; got {q.tolist()}")
    return q


def _quantile(name, x, q, dim, keepdim, interpolation, ignore_nan):
    if interpolation not in INTERPOLATIONS:
        raise RuntimeError(f"{name}: interpolation must be one of {', '.join(INTERPOLATIONS)}, but "
                           f"got {interpolation}")
    several = isinstance(q, Tensor) and q.layout.ndim > 0
    q = _checked_q(name, x, q)
    if not x.layout.numel:
        raise RuntimeError(f"{name}: input tensor must be non-empty; got shape "
                           f"{tuple(x.layout.shape)}")
    d = None if dim is None else canonical_dim(name, dim, x.layout.ndim)
    if d is None or not x.layout.ndim:
        rows, kept = reshape(x, (-1,)), [1] * x.layout.ndim
    else:
        rows = movedim(x, d, -1)
        kept = [1 if k == d else n for k, n in enumerate(x.layout.shape)]
    size = rows.layout.shape[-1]
    ordered = sorted_dim(rows, -1, False)[0]
    nan = rows.detach().isnan()
    if ignore_nan:
        ranks = (q * (size - 1 - sum(nan, -1, True))).clamp(0)
    else:
        ranks = where(any(nan, -1, True), float(size - 1), q * (size - 1))
    found = _interpolated(ordered, ranks, interpolation)
    shape = kept if keepdim else list(found.layout.shape[:-1])
    if several:
        return reshape(movedim(found, -1, 0), (found.layout.shape[-1], *shape))
    return reshape(found, tuple(shape))


def _interpolated(ordered, ranks, interpolation):
    """The entries of the last dim, in order, at ranks that lie between theirs."""
    if interpolation == "lower":
        ranks = ranks.floor()
    elif interpolation == "higher":
        ranks = ranks.ceil()
    elif interpolation == "nearest":
        ranks = ranks.round()
    below = ranks.long()
    low = gather(ordered, -1, below)
    if interpolation not in ("linear", "midpoint"):
        return low
    half = full((), 0.5, dtype=ranks.layout.dtype, device=ranks.layout.device)
    weight = ranks - below if interpolation == "linear" else half
    return lerp(low, gather(ordered, -1, ranks.ceil().long()), weight)
