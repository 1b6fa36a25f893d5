"""Reductions: sums, products, extremes, means, truth; their gradients."""

from __future__ import annotations

from functools import cache

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.tensor import Tensor
from cresset.ops.kinds import composite, reduce
from cresset.ops.kinds.reduce import canonical_dims
from cresset.ops.operation import called, method
from cresset.ops.out import with_out
from cresset.ops.pointwise.comparison import eq, where
from cresset.ops.pointwise.complex_numbers import conj, real
from cresset.ops.pointwise.exponential import exp, log
from cresset.ops.shapes.shape import expand, permute, reshape, squeeze, view_as_shape

__all__ = ["all", "amax", "amin", "any", "argmax", "argmin", "count_nonzero", "logsumexp", "mean",
           "nanmean", "nansum", "prod", "sum"]


def wide(d: dtype) -> dtype:
    """The type that sums of a type are kept in while they grow."""
    if d.is_complex:
        return types.complex128
    if d in types.HALVES:
        return types.float32
    return types.float64 if d.is_floating_point else types.int64


class Sum:
    """The sum over dims (all by default); integers and booleans give int64.

    float32 is added up in float64, the half types in float32, and rounded once.

    >>> import cresset
    >>> cresset.tensor([[1, 2], [3, 4]]).sum(dim=0)
    tensor([4, 6])
    """

    __name__ = "sum"
    signature = "x: Tensor, dim=None, keepdim=False, *, dtype=None"

    def __init__(self, d, dtype=None):
        self.result = dtype or (d if d.is_differentiable else types.int64)
        self.cast = dtype

    def lift(self, x, position):
        if self.cast is not None:
            x = scalar.cast(x, self.cast)
        return scalar.cast(x, wide(self.result))

    def start(self):
        return (0,)

    def merge(self, a, b):
        return a[0] + b[0]

    def finish(self, state):
        return scalar.cast(state[0], self.result)


class Nansum(Sum):
    """The sum over dims of the elements that are not NaN."""

    __name__ = "nansum"

    def lift(self, x, position):
        if x.dtype.is_complex:
            raise NotImplementedError("nansum: does not support complex inputs; sum the parts")
        if x.dtype.is_floating_point:
            x = scalar.where(scalar.isnan(x), 0.0, x)
        return super().lift(x, position)


class Prod(Sum):
    """The product over a dim (all by default); integers and booleans give int64."""

    __name__ = "prod"
    one_dim = True

    def start(self):
        return (1,)

    def merge(self, a, b):
        return a[0] * b[0]


class Amax:
    """The greatest element over dims; NaN if there is any."""

    needs_elements = True

    def __init__(self, d):
        self.d = d

    def lift(self, x, position):
        return x

    def start(self):
        return (least(self.d),)

    def merge(self, a, b):
        return scalar.maximum(a[0], b[0])

    def finish(self, state):
        return state[0]


class Amin(Amax):
    """The least element over dims; NaN if there is any."""

    def start(self):
        return (greatest(self.d),)

    def merge(self, a, b):
        return scalar.minimum(a[0], b[0])


class Extremes(Amax):
    """(least, greatest) of the elements over dims; both NaN if there is any."""

    def lift(self, x, position):
        return x, x

    def start(self):
        return greatest(self.d), least(self.d)

    def merge(self, a, b):
        return scalar.minimum(a[0], b[0]), scalar.maximum(a[1], b[1])

    def finish(self, state):
        return state


class All:
    """Whether all elements along the dims are non-zero: a boolean, of uint8 a uint8."""

    # dim=() means no dim, where it means all of them for other reductions.
    none_is_none = True

    def __init__(self, d):
        self.result = d if d is types.uint8 else types.bool

    def lift(self, x, position):
        return scalar.ne(x, 0) if x.dtype is not types.bool else x

    def start(self):
        return (True,)

    def merge(self, a, b):
        return a[0] & b[0]

    def finish(self, state):
        return scalar.cast(state[0], self.result)


class Any(All):
    """Whether any element along the dims is non-zero: a boolean, of uint8 a uint8."""

    def start(self):
        return (False,)

    def merge(self, a, b):
        return a[0] | b[0]


class CountNonzero(All):
    """The number of non-zero elements along the dims, int64."""

    none_is_none = False

    def __init__(self, d):
        self.result = types.int64

    def lift(self, x, position):
        return scalar.cast(super().lift(x, position), types.int64)

    def start(self):
        return (0,)

    def merge(self, a, b):
        return a[0] + b[0]


def least(d: dtype):
    """The number that every value of a type is at least."""
    if d.is_floating_point:
        return float("-inf")
    if d is types.bool:
        return False
    return -(1 << (8 * d.itemsize - 1)) if d.is_signed else 0


def greatest(d: dtype):
    """The number that every value of a type is at most."""
    if d.is_floating_point:
        return float("inf")
    if d is types.bool:
        return True
    return (1 << (8 * d.itemsize - d.is_signed)) - 1


class MaxWithIndex:
    """The greatest element along a dim and the index of the first; NaN counts as greatest."""

    needs_elements = one_dim = True

    def __init__(self, d):
        self.d = d

    def lift(self, x, position):
        return x, position

    def start(self):
        return least(self.d), (1 << 62)

    def better(self, x, y):
        return scalar.gt(x, y)

    def merge(self, a, b):
        first_wins = self.better(a[0], b[0])
        tie = scalar.eq(a[0], b[0])
        if self.d.is_floating_point:
            a_nan, b_nan = scalar.isnan(a[0]), scalar.isnan(b[0])
            first_wins = (first_wins | a_nan) & ~(b_nan & ~a_nan)
            tie = tie | (a_nan & b_nan)
        first_wins = scalar.where(tie, a[1] < b[1], first_wins)
        return scalar.where(first_wins, a[0], b[0]), scalar.where(first_wins, a[1], b[1])

    def finish(self, state):
        return state


class MinWithIndex(MaxWithIndex):
    """The least element along a dim and the index of the first such one; NaN counts as least."""

    def start(self):
        return greatest(self.d), (1 << 62)

    def better(self, x, y):
        return scalar.lt(x, y)


def _refuse_bool(name, d):
    if d is types.bool:
        raise RuntimeError(f"{name}: does not support bool input; convert with .int()")


class Argmax(MaxWithIndex):
    """The index of the first greatest element along a dim (of the flattened tensor by default)."""

    def __init__(self, d):
        _refuse_bool("argmax", d)
        super().__init__(d)

    def finish(self, state):
        return state[1]


class Argmin(MinWithIndex):
    """The index of the first least element along a dim (of the flattened tensor by default)."""

    def __init__(self, d):
        _refuse_bool("argmin", d)
        super().__init__(d)

    def finish(self, state):
        return state[1]


def _declare(rule, name):
    rule.__name__ = name
    return reduce(rule)


sum = method()(_declare(Sum, "sum"))
nansum = method()(_declare(Nansum, "nansum"))
prod = method()(_declare(Prod, "prod"))
amax = method()(_declare(Amax, "amax"))
amin = method()(_declare(Amin, "amin"))
extremes = called("aminmax")(_declare(Extremes, "extremes"))
all = method()(_declare(All, "all"))
any = method()(_declare(Any, "any"))
count_nonzero = method()(_declare(CountNonzero, "count_nonzero"))
argmax = method()(_declare(Argmax, "argmax"))
argmin = method()(_declare(Argmin, "argmin"))
max_with_index = called("max")(_declare(MaxWithIndex, "max_with_index"))
min_with_index = called("min")(_declare(MinWithIndex, "min_with_index"))


def greatest_along(x, dim):
    """The greatest element along a dim, which stays; of no elements, which have none, the sum."""
    return (amax if x.layout.numel else sum)(x, dim, True)


def restore_dims(y, x_layout, dim, keepdim):
    """A reduced tensor with its reduced dims back as dims of size 1."""
    if keepdim or not y.layout.ndim:
        # A result without dims broadcasts as it is.
        return y
    dims = canonical_dims("sum", dim, x_layout.ndim)
    return reshape(y, tuple(1 if d in dims else n for d, n in enumerate(x_layout.shape)))


@sum.gradient
def _sum_gradient(g, x_layout, dim, keepdim):
    return expand(restore_dims(g, x_layout, dim, keepdim), x_layout.shape)


@nansum.gradient
def _nansum_gradient(g, x, x_layout, dim, keepdim):
    g = expand(restore_dims(g, x_layout, dim, keepdim), x_layout.shape)
    return g.masked_fill(x.isnan(), 0)


# A view's gradient that is a sum, stated where sums are.
@expand.gradient
def _expand_gradient(g, x_layout):
    return sum_to(g, x_layout.shape)


def sum_to(g, shape):
    """g summed over the dims that broadcasting `shape` would have added or repeated."""
    added, repeated = _broadcast_dims(shape, g.layout.shape)
    if not repeated:
        return sum(g, added) if added else g
    g = sum(g, added + repeated, True)
    return view_as_shape(g, shape) if added else g


def _sum_to_size(x, *sizes, size=None):
    """x summed over the dims that broadcasting tensors of a size to its shape repeats."""
    shape = sizes if size is None else tuple(size)
    if len(shape) == 1 and not isinstance(shape[0], int):
        shape = tuple(shape[0])
    pad = x.layout.ndim - len(shape)
    wrong = [n for n, m in zip(shape, x.layout.shape[max(pad, 0) :]) if n not in (1, m)]
    if pad < 0 or wrong:
        raise RuntimeError(
            f"sum_to_size: size {list(shape)} is not expandable to size {list(x.layout.shape)}"
        )
    return sum_to(x, shape)


Tensor.sum_to_size = _sum_to_size


@cache
def _broadcast_dims(shape, target) -> tuple[tuple, tuple]:
    """The dims that broadcasting `shape` to `target` adds, and those that it repeats."""
    pad = len(target) - len(shape)
    repeated = tuple(k for k, n in enumerate(shape, pad) if n == 1 and target[k] != 1)
    return tuple(range(pad)), repeated


@prod.gradient
def _prod_gradient(g, x, x_layout, dim, keepdim):
    # The product of the others: of those before and those after, along the dims as one. Nothing is
    # divided by the factor, so derivatives of every order are right at zero.
    from cresset.ops.reductions.scans import cumprod_dim, shifted

    g = restore_dims(g, x_layout, dim, keepdim)
    dims = canonical_dims("prod", dim, x_layout.ndim)
    order = (*(d for d in range(x_layout.ndim) if d not in dims), *dims)
    lines = permute(conj(x.to(g.layout.dtype)), order)
    shape = tuple(lines.layout.shape)
    lines = reshape(lines, (*shape[: len(shape) - len(dims)], -1)) if x_layout.numel else lines
    others = reshape(
        shifted(cumprod_dim(lines, -1, False), -1, 1, False)
        * shifted(cumprod_dim(lines, -1, True), -1, 1, True),
        shape,
    )
    return g * permute(others, tuple(sorted(range(len(order)), key=order.__getitem__)))


def _extreme_gradient(g, x, out, x_layout, dim, keepdim):
    g, out = (restore_dims(t, x_layout, dim, keepdim) for t in (g, out))
    hit = eq(x, out)
    count = restore_dims(sum(hit, dim, keepdim), x_layout, dim, keepdim)
    return (g / count).expand(tuple(x_layout.shape)).masked_fill(~hit, 0)


amax.gradient(_extreme_gradient)
amin.gradient(_extreme_gradient)


@extremes.gradient
def _extremes_gradient(arrived, x, out0, out1, x_layout, dim, keepdim):
    parts = [_extreme_gradient(g, x, out, x_layout, dim, keepdim)
             for g, out in zip(arrived, (out0, out1)) if g is not None]
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


@method()
@composite
def mean(x: Tensor, dim=None, keepdim=False, *, dtype=None):
    """The mean over dims (all by default), of floating tensors.

    >>> import cresset
    >>> cresset.tensor([1.0, 2.0, 6.0]).mean()
    tensor(3.)
    """
    layout = x.layout
    if not (dtype or layout.dtype).is_differentiable:
        raise RuntimeError(
            f"mean: could not infer output dtype. Input dtype must be a floating point; got "
            f"{layout.dtype}; convert with .float() or give dtype="
        )
    count = 1
    for d in canonical_dims("mean", dim, layout.ndim):
        count *= layout.shape[d]
    return sum(x, dim, keepdim, dtype=dtype) / float(count)


@mean.gradient
def _mean_gradient(g, x_layout, dim, keepdim):
    g = restore_dims(g, x_layout, dim, keepdim)
    count = x_layout.numel // max(g.layout.numel, 1)
    return expand(g / float(count), x_layout.shape)


@method()
@with_out
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean over dims of the elements that are not NaN, NaN where there is none."""
    if not input.layout.dtype.is_differentiable:
        raise RuntimeError(
            f"nanmean: expected input to have floating point or complex dtype; got "
            f"{input.layout.dtype}; convert with .float()"
        )
    present = sum(eq(input, input), dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / present


@method()
@composite
def logsumexp(x: Tensor, dim, keepdim=False):
    """log(sum(exp(x))) over dims, without overflow.

    >>> import cresset
    >>> cresset.logsumexp(cresset.zeros(2), 0)
    tensor(0.6931)
    """
    dims = canonical_dims("logsumexp", dim, x.layout.ndim)
    if not x.layout.dtype.is_differentiable:
        x = x.to(types.get_default_dtype())
    if 0 in [x.layout.shape[d] for d in dims]:
        return log(sum(exp(x), dim, keepdim))
    top = amax(real(x), dim, True)
    top = where(top.isfinite(), top, 0.0)
    total = log(sum(exp(x - top), dim, True)) + top
    return total if keepdim else squeeze(total, dims)


@logsumexp.gradient
def _logsumexp_gradient(g, x, out, x_layout, dim, keepdim):
    g, out = (restore_dims(t, x_layout, dim, keepdim) for t in (g, out))
    return g * exp(conj(x - out))
