"""Reductions: sums, extremes, means, and what is made of them."""

from __future__ import annotations

from functools import cache

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.tensor import Tensor
from cresset.ops.arithmetic import sqrt
from cresset.ops.comparison import eq
from cresset.ops.kinds import composite, reduce
from cresset.ops.kinds.reduce import canonical_dims
from cresset.ops.operation import called, method
from cresset.ops.shape import expand, reshape, view_as_shape

__all__ = ["all", "amax", "amin", "any", "argmax", "argmin", "count_nonzero", "logsumexp", "mean",
           "norm", "prod", "std", "std_mean", "sum", "var", "var_mean"]


def wide(d: dtype) -> dtype:
    """The type that sums of a type are kept in while they grow."""
    return types.float64 if d.is_floating_point else types.int64


class Sum:
    """The sum over dims (all by default); integers and booleans give int64.

    float32 is added up in float64 and rounded once.

    >>> import cresset
    >>> cresset.tensor([[1, 2], [3, 4]]).sum(dim=0)
    tensor([4, 6])
    """

    __name__ = "sum"
    signature = "x: Tensor, dim=None, keepdim=False, *, dtype=None"

    def __init__(self, d, dtype=None):
        self.result = dtype or (d if d.is_floating_point else types.int64)
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


class Prod(Sum):
    """The product over dims (all by default); integers and booleans give int64."""

    __name__ = "prod"

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


class All:
    """Whether all elements along the dims are non-zero: a boolean, of uint8 a uint8."""

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

    needs_elements = True

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


class Argmax(MaxWithIndex):
    """The index of the first greatest element along a dim (of the flattened tensor by default)."""

    def finish(self, state):
        return state[1]


class Argmin(MinWithIndex):
    """The index of the first least element along a dim (of the flattened tensor by default)."""

    def finish(self, state):
        return state[1]


def _declare(rule, name):
    rule.__name__ = name
    return reduce(rule)


sum = method()(_declare(Sum, "sum"))
prod = method()(_declare(Prod, "prod"))
amax = method()(_declare(Amax, "amax"))
amin = method()(_declare(Amin, "amin"))
all = method()(_declare(All, "all"))
any = method()(_declare(Any, "any"))
count_nonzero = method()(_declare(CountNonzero, "count_nonzero"))
argmax = method()(_declare(Argmax, "argmax"))
argmin = method()(_declare(Argmin, "argmin"))
max_with_index = _declare(MaxWithIndex, "max_with_index")
min_with_index = _declare(MinWithIndex, "min_with_index")


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


@cache
def _broadcast_dims(shape, target) -> tuple[tuple, tuple]:
    """The dims that broadcasting `shape` to `target` adds, and those that it repeats."""
    pad = len(target) - len(shape)
    repeated = tuple(k for k, n in enumerate(shape, pad) if n == 1 and target[k] != 1)
    return tuple(range(pad)), repeated


@prod.gradient
def _prod_gradient(g, x, out, x_layout, dim, keepdim):
    g, out = (restore_dims(t, x_layout, dim, keepdim) for t in (g, out))
    zero = eq(x, 0)
    zeros = restore_dims(sum(zero, dim, keepdim), x_layout, dim, keepdim)
    # Where one factor is zero only its own derivative is left: the product of the others.
    others = restore_dims(prod(x.masked_fill(zero, 1), dim, keepdim), x_layout, dim, keepdim)
    single = others.expand(tuple(x_layout.shape)).masked_fill(~zero, 0)
    plain = (out / x.masked_fill(zero, 1)).masked_fill(zeros > 0, 0)
    return g * (plain + single.masked_fill(zeros > 1, 0))


def _extreme_gradient(g, x, out, x_layout, dim, keepdim):
    g, out = (restore_dims(t, x_layout, dim, keepdim) for t in (g, out))
    hit = eq(x, out)
    count = restore_dims(sum(hit, dim, keepdim), x_layout, dim, keepdim)
    return (g / count).expand(tuple(x_layout.shape)).masked_fill(~hit, 0)


amax.gradient(_extreme_gradient)
amin.gradient(_extreme_gradient)


@composite
def mean(x: Tensor, dim=None, keepdim=False, *, dtype=None):
    """The mean over dims (all by default), of floating tensors.

    >>> import cresset
    >>> cresset.tensor([1.0, 2.0, 6.0]).mean()
    tensor(3.)
    """
    layout = x.layout
    if not (dtype or layout.dtype).is_floating_point:
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


Tensor.mean = mean


@called("var")
@composite
def var_kernel(x: Tensor, dim, correction, keepdim):
    """The variance over dims: mean of squared distances from the mean, divisor n - correction."""
    count = 1
    for d in canonical_dims("var", dim, x.layout.ndim):
        count *= x.layout.shape[d]
    center = x - sum(x, dim, True) / float(count)
    squares = sum(center * center, dim, keepdim)
    freedom = count - correction
    return squares / freedom if freedom > 0 else squares * _inverse(freedom)


@var_kernel.gradient
def _var_gradient(g, x, x_layout, dim, correction, keepdim):
    g = restore_dims(g, x_layout, dim, keepdim)
    count = x_layout.numel // max(g.layout.numel, 1)
    return g * (x - mean(x, dim, True)) * (2.0 * _inverse(count - correction))


def _inverse(freedom):
    """1 / freedom, infinite where there is none left: then 0 * it is NaN, as 0 / 0 is."""
    return 1.0 / freedom if freedom > 0 else float("inf")


def _correction(unbiased, correction):
    if correction is not None:
        return float(correction)
    return 1.0 if unbiased is None or unbiased else 0.0


def var(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The variance over dims, divisor n - correction (1 by default).

    >>> import cresset
    >>> cresset.tensor([1.0, 2.0, 3.0]).var()
    tensor(1.)
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    dim = tuple(dim) if isinstance(dim, list) else dim
    return var_kernel(x, dim, _correction(unbiased, correction), keepdim)


@called("std")
@composite
def std_kernel(x: Tensor, dim, correction, keepdim):
    """The square root of the variance."""
    return sqrt(var_kernel(x, dim, correction, keepdim))


@std_kernel.gradient
def _std_gradient(g, x, out, x_layout, dim, correction, keepdim):
    scaled = restore_dims(g / (2.0 * out), x_layout, dim, keepdim).masked_fill(
        restore_dims(eq(out, 0), x_layout, dim, keepdim), 0)
    count = x_layout.numel // scaled.layout.numel
    return scaled * (x - mean(x, dim, True)) * (2.0 * _inverse(count - correction))


def std(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The standard deviation over dims, divisor n - correction (1 by default)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    dim = tuple(dim) if isinstance(dim, list) else dim
    return std_kernel(x, dim, _correction(unbiased, correction), keepdim)


def var_mean(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(variance, mean) over dims."""
    return var(x, dim, unbiased, keepdim, correction=correction), mean(x, dim, keepdim)


def std_mean(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(standard deviation, mean) over dims."""
    return std(x, dim, unbiased, keepdim, correction=correction), mean(x, dim, keepdim)


Tensor.var = var
Tensor.std = std


@called("norm")
@composite
def euclidean_norm(x: Tensor, dim=None, keepdim=False):
    """sqrt(sum(x ** 2)) over dims."""
    return sqrt(sum(x * x, dim, keepdim))


@euclidean_norm.gradient
def _euclidean_norm_gradient(g, x, out, x_layout, dim, keepdim):
    g, out = (restore_dims(t, x_layout, dim, keepdim) for t in (g, out))
    return (x * (g / out)).masked_fill(eq(out, 0), 0)


def norm(x, p="fro", dim=None, keepdim=False, dtype=None):
    """The p-norm over dims (all by default): the root p of the sum of |x| ** p.

    >>> import cresset
    >>> cresset.tensor([3.0, 4.0]).norm()
    tensor(5.)
    """
    if dtype is not None:
        x = x.to(dtype)
    if p in ("fro", 2, None):
        return euclidean_norm(x, dim, keepdim)
    if p == float("inf"):
        return amax(x.abs(), dim, keepdim)
    if p == float("-inf"):
        return amin(x.abs(), dim, keepdim)
    if p == 0:
        return sum(x.abs().sign(), dim, keepdim)
    if p == 1:
        return sum(x.abs(), dim, keepdim)
    return sum(x.abs() ** p, dim, keepdim) ** (1.0 / p)


Tensor.norm = norm


@composite
def logsumexp(x: Tensor, dim, keepdim=False):
    """log(sum(exp(x))) over dims, without overflow."""
    from cresset.ops.comparison import where
    from cresset.ops.exponential import exp, log

    top = amax(x, dim, True)
    top = where(top.isfinite(), top, 0.0)
    total = log(sum(exp(x - top), dim, True)) + top
    return total if keepdim else sum(total, dim, False)


@logsumexp.gradient
def _logsumexp_gradient(g, x, out, x_layout, dim, keepdim):
    g, out = (restore_dims(t, x_layout, dim, keepdim) for t in (g, out))
    return g * (x - out).exp()


Tensor.logsumexp = logsumexp
