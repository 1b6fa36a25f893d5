"""Counts by value: searchsorted, bucketize, bincount, histc, histogram, histogramdd."""

from __future__ import annotations

import struct
from math import isfinite, prod

from cresset.core import dtype as types
from cresset.core.layout import Layout
from cresset.core.return_types import histogram as histogram_result
from cresset.core.return_types import histogramdd as histogramdd_result
from cresset.core.tensor import Number, Tensor
from cresset.kernels.counting import check_least, count_places, make_range
from cresset.kernels.search import search
from cresset.ops.creation.spaces import linspace
from cresset.ops.creation.tensors import tensor
from cresset.ops.indexing.selecting import index_add
from cresset.ops.kinds import special
from cresset.ops.kinds.promotion import computed, result_type
from cresset.ops.kinds.widened import all_packed, packed_as
from cresset.ops.operation import called, method
from cresset.ops.out import with_out
from cresset.ops.reductions.extremes import aminmax
from cresset.ops.reductions.reduction import any, extremes, sum
from cresset.ops.shapes.shape import reshape
from cresset.ops.shapes.splitting import unbind
from cresset.runtime.program import Program

__all__ = ["bincount", "bucketize", "histc", "histogram", "histogramdd", "searchsorted"]


# --- search ---------------------------------------------------------------------------------------
@called("searchsorted")
@special(keeps=("boundaries", "values", "sorter"))
def searched(boundaries: Tensor, values: Tensor, sorter: Tensor | None, right, out_int32):
    """Where values belong among boundaries, both as of their common type."""
    d = computed("searchsorted", result_type([boundaries, values]))
    if d is types.bool or d.is_complex:
        raise NotImplementedError(f"searchsorted: not implemented for {d}; need numbers that have "
                                  "an order; convert with .int()")
    shape, wanted = boundaries.shape, values.shape
    if not shape:
        raise RuntimeError("searchsorted: boundaries tensor should have positive dimension, but "
                           "got 0 dimension")
    if len(shape) > 1 and (shape[:-1] != wanted[:-1] or len(shape) != len(wanted)):
        raise RuntimeError(
            "searchsorted: boundaries tensor should be 1 dimension or the first N-1 dimensions of "
            f"boundaries tensor and input value tensor must match; got {list(shape)} and "
            f"{list(wanted)}"
        )
    out = Layout.packed(wanted, types.int32 if out_int32 else types.int64)
    d, launches, temporaries, places = all_packed(d, 1, (boundaries, values), 4)
    if sorter is not None:
        copy, more, place = packed_as(types.int64, 3, sorter, 4 + len(temporaries))
        launches, temporaries, places = launches + copy, temporaries + more, [*places, place]
    finding, _ = search(boundaries.cast(d), values.cast(d), sorter, out, (*places, 0), right)
    letters = "ttn" if sorter is None else "ttt"
    return Program(letters, (out,), (*launches, *finding), tuple(temporaries))


def _extremes(x, place, least, greatest, first_temporary):
    """(steps, bytes of temporaries) that find the extremes of a packed value."""
    inner = extremes.op.program((Layout.packed((x.numel,), x.dtype), None, False))
    table = [least, greatest, place]
    table += range(first_temporary, first_temporary + len(inner.temporaries))
    return [step.over(lambda k: (table[k], 0)) for step in inner.steps], inner.temporaries


@called("bincount")
@special
def counts(places: Tensor, size):
    """How often each of the first `size` integers stands in a vector."""
    out = Layout.packed((size,), types.int64)
    launches, temporaries = count_places(places, out, (1, 0), 2)
    return Program("t", (out,), tuple(launches), tuple(temporaries))


@called("bincount")
@special
def last_place(places: Tensor):
    """The greatest of integers, none of which is negative."""
    before, copy, place = packed_as(places.dtype, 1, places, 3)
    finding, room = _extremes(places, place, 2, 0, 3 + len(copy))

    def explain(least, *_):
        raise RuntimeError("bincount: only supports 1-d non-negative integral inputs; the least is "
                           f"{least}")

    launches = (*before, *finding, check_least(places.dtype, 2))
    out = Layout.packed((), places.dtype)
    return Program("t", (out,), launches, (places.dtype.itemsize, *copy, *room), explain)


@called("histc")
@special
def binned(x: Tensor, bins, low: Number, high: Number, found):
    """How many elements are in each part of [low, high], or of the range `found` for them."""
    d = x.dtype
    ends = 4, (5, 6) if found else (2, 3)
    launches, copy, place = packed_as(d, 1, x, 7)
    temporaries = [2 * d.itemsize, d.itemsize, d.itemsize, *copy]
    if found:
        finding, room = _extremes(x, place, 5, 6, 4 + len(temporaries))
        launches, temporaries = [*launches, *finding], [*temporaries, *room]
    out = Layout.packed((bins,), d)
    counting, room = count_places(Layout.packed((x.numel,), d), out, (place, 0, 4),
                                  4 + len(temporaries))

    def explain(*words):
        low, high = struct.unpack("<2d", struct.pack("<2q", *words[:2]))
        raise RuntimeError(f"histc: range of [{low}, {high}] is not finite")

    launches = (*launches, make_range(d, *ends, found), *counting)
    return Program("tdd", (out,), launches, (*temporaries, *room), explain)


@with_out
def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    """The place of every input value among boundaries in order: before equals, or after by `right`.

    Boundaries are a vector, or have the input's leading dims. `side="right"` says the same as
    `right`; a `sorter`, int64, names the order of boundaries that are not in order. NaN comes
    after all. The result is int64, or int32.

    Raises RuntimeError where shapes do not fit together.

    >>> import cresset
    >>> cresset.searchsorted(cresset.tensor([1, 3, 5]), cresset.tensor([3, 6]))
    tensor([1, 3])
    """
    boundaries = sorted_sequence
    if side is not None:
        if side not in ("left", "right"):
            raise RuntimeError(f"searchsorted: side can only be 'left' or 'right' but got {side}")
        if side == "left" and right:
            raise RuntimeError("searchsorted: side and right can't be set to opposites; got side "
                               "of left while right was True")
        right = side == "right"
    if sorter is not None:
        _check_sorter(sorter, boundaries)
    return _placed(input, boundaries, sorter, right, out_int32)


def _placed(x, boundaries, sorter, right, out_int32):
    if not isinstance(x, Tensor):
        d = result_type([boundaries.layout, type(x)])
        x = tensor(x, dtype=d, device=boundaries.layout.device)
    return searched(boundaries, x, sorter, bool(right), bool(out_int32))


def _check_sorter(sorter, boundaries):
    if sorter.layout.shape != boundaries.layout.shape:
        raise RuntimeError(
            "searchsorted: boundary and sorter must have the same size, but got boundary tensor "
            f"{list(boundaries.layout.shape)} and sorter tensor {list(sorter.layout.shape)}"
        )
    if sorter.layout.dtype is not types.int64:
        raise RuntimeError(f"searchsorted: sorter must be a tensor of long dtype but got dtype "
                           f"{sorter.layout.dtype}")
    size = boundaries.layout.shape[-1]
    if not sorter.layout.absent and any((sorter < 0) | (sorter >= size)).item():
        raise RuntimeError(f"searchsorted: sorter index out of range; need 0 <= index < {size}")


@with_out
def bucketize(input, boundaries, *, out_int32=False, right=False):
    """The place of every input value among the boundaries, a vector in order; see searchsorted."""
    if boundaries.layout.ndim != 1:
        raise RuntimeError(f"bucketize: boundaries tensor must be 1 dimension, but got "
                           f"dim({boundaries.layout.ndim})")
    return _placed(input, boundaries, None, right, out_int32)


# --- counts of integers ---------------------------------------------------------------------------
@method()
def bincount(input, weights=None, minlength=0):
    """How often each integer from 0 on occurs in a vector, or the sums of their weights.

    The result has as many entries as the greatest integer asks for, and `minlength` at least: int64
    counts, or sums of the weights' type, float64 for integers.

    >>> import cresset
    >>> cresset.bincount(cresset.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    d = input.layout.dtype
    if d is types.bool or d.is_floating_point or d.is_complex:
        raise NotImplementedError(f"bincount: not implemented for {d}; need integers")
    if minlength < 0:
        raise RuntimeError(f"bincount: minlength should be >= 0; got {minlength}")
    if input.layout.ndim != 1:
        raise RuntimeError("bincount: only supports 1-d non-negative integral inputs; got shape "
                           f"{tuple(input.layout.shape)}")
    if weights is not None and weights.layout.shape != input.layout.shape:
        raise RuntimeError("bincount: weights should be 1-d and have the same length as input; got "
                           f"{tuple(weights.layout.shape)}")
    count = minlength
    if input.layout.numel:
        count = max(count, last_place(input).item() + 1)
    if weights is None:
        return counts(input, count)
    if weights.layout.dtype not in (types.float32, types.float64):
        weights = weights.to(types.float64)
    return index_add(weights.new_zeros(count), 0, input.long(), weights)


# --- counts of reals ------------------------------------------------------------------------------
def _bounds(name, x, given):
    """The range that bins divide: as given, else that of the elements; never a single point."""
    low, high = map(float, given or (0, 0))
    if given is None and x.layout.numel:
        low, high = (bound.item() for bound in aminmax(x))
    if not (isfinite(low) and isfinite(high)):
        raise RuntimeError(f"{name}: range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"{name}: max must be larger than min; got {low} and {high}")
    return (low - 1, high + 1) if low == high else (low, high)


def _check_bins(name, bins):
    if bins <= 0:
        raise RuntimeError(f"{name}: bins must be > 0, but got {bins}")


def _check_real(name, x):
    if not x.layout.dtype.is_floating_point:
        raise NotImplementedError(f"{name}: not implemented for {x.layout.dtype}; need a floating "
                                  "type; convert with .float()")


@method()
@with_out
def histc(input, bins=100, min=0, max=0):
    """How many elements fall into each of `bins` equal parts of [min, max], of the input's type.

    The last part holds max; what lies outside is not counted. Where min and max are 0 they are the
    elements' own.

    >>> import cresset
    >>> cresset.histc(cresset.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    _check_real("histc", input)
    _check_bins("histc", bins)
    found = min == max == 0 and input.layout.numel > 0
    low, high = (0.0, 0.0) if found else _bounds("histc", input, (min, max))
    return binned(input.detach(), bins, low, high, found)


@method()
@with_out
def histogram(input, bins=100, *, range=None, weight=None, density=False):
    """(hist, bin_edges): elements counted by bins of equal width, or between the edges `bins`.

    Each bin holds its lower edge, the last its upper one too. With `weight` the elements' weights
    are added up instead; with `density` the integral is 1.
    """
    points = reshape(input, (-1, 1))
    hist, (edges,) = _histogram("histogram", points, (bins,), range, weight, density)
    return histogram_result((hist, edges))


def histogramdd(input, bins, range=None, weight=None, density=False):
    """(hist, bin_edges): points, the rows of the last dim, counted in a grid of bins.

    `bins` is a number of bins, one for each coordinate, or the edges of each.
    """
    if input.layout.ndim < 2:
        raise RuntimeError("histogramdd: input tensor should have at least 2 dimensions; got "
                           f"{input.layout.ndim}")
    count = input.layout.shape[-1]
    bins = (bins,) * count if isinstance(bins, int) else tuple(bins)
    if len(bins) != count:
        raise RuntimeError(f"histogramdd: expected {count} sequences of bin edges for a "
                           f"{count}-dimensional histogram but got {len(bins)}")
    points = reshape(input, (-1, count))
    return histogramdd_result(_histogram("histogramdd", points, bins, range, weight, density))


def _histogram(name, points, bins, limits, weight, density):
    """(counts of points in a grid, the edges along each coordinate)."""
    _check_real(name, points)
    points, d = points.detach(), points.layout.dtype
    edges = _edges(name, points, bins, limits)
    inside, place = True, 0
    for x, edge in zip(unbind(points, 1), edges):
        last = edge.layout.numel - 1
        inside = (x >= edge[0]) & (x <= edge[-1]) & inside
        place = place * last + (searchsorted(edge, x, right=True) - 1).clamp(0, last - 1)
    shape = tuple(edge.layout.numel - 1 for edge in edges)
    if weight is None:
        weight = points.new_ones(points.layout.shape[0])
    weight = reshape(weight.detach(), (-1,))
    if weight.layout.numel != points.layout.shape[0]:
        raise RuntimeError(f"{name}: if weight tensor is provided it should have the same shape as "
                           f"the input tensor excluding its innermost dimension; got "
                           f"{weight.layout.numel} weights for {points.layout.shape[0]} points")
    if weight.layout.dtype is not d:
        raise RuntimeError(f"{name}: if weight tensor is provided, input tensor and weight tensor "
                           f"should have the same dtype; got {d} and {weight.layout.dtype}")
    sums = index_add(weight.new_zeros(prod(shape)), 0, place, weight.masked_fill(~inside, 0))
    hist = reshape(sums, shape)
    if density:
        hist = hist / sum(hist)
        for k, edge in enumerate(edges):
            hist = hist / reshape(edge.diff(), (-1,) + (1,) * (len(shape) - 1 - k))
    return hist, edges


def _edges(name, points, bins, limits):
    """The edges of the bins along every coordinate, as tensors of the points' type."""
    d, edges = points.layout.dtype, []
    for k, each in enumerate(bins):
        if isinstance(each, Tensor):
            if each.layout.dtype is not d:
                raise RuntimeError(f"{name}: input tensor and bins tensors should have the same "
                                   f"dtype; got {d} and {each.layout.dtype}")
            edges.append(each.detach())
            continue
        _check_bins(name, each)
        low, high = _bounds(name, points.select(1, k), limits and limits[2 * k : 2 * k + 2])
        edges.append(linspace(low, high, each + 1, dtype=d, device=points.layout.device))
    return tuple(edges)
