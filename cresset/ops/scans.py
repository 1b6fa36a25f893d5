"""Scans along a dim: running sums, products and extremes, differences, the trapezoidal rule."""

from __future__ import annotations

from math import inf

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.layout import Layout
from cresset.core.return_types import cummax as cummax_result
from cresset.core.return_types import cummin as cummin_result
from cresset.core.tensor import Tensor
from cresset.kernels import scan
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.ops.comparison import logical_xor, where
from cresset.ops.complex_numbers import conj
from cresset.ops.creation import zeros
from cresset.ops.exponential import exp, log
from cresset.ops.gathering import scatter_add
from cresset.ops.in_place import in_place
from cresset.ops.joining import cat
from cresset.ops.kinds import composite, special
from cresset.ops.kinds.promotion import computed
from cresset.ops.operation import called, method
from cresset.ops.out import with_out
from cresset.ops.reduction import sum
from cresset.ops.shape import canonical_dim, narrow, reshape, select
from cresset.runtime.program import Program

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "cumulative_trapezoid", "diff", "logcumsumexp",
           "trapezoid", "trapz"]


def _scanned(name, x, dim):
    d = canonical_dim(name, dim, x.ndim)
    target = x.dtype if x.dtype.is_differentiable else types.int64
    return d, Layout.packed(x.shape, computed(name, target))


@called("cumsum")
@special(takes_complex=True)
def cumsum_dim(x: Tensor, dim, reverse):
    """Running sums along a dim, from its end where `reverse`."""
    d, out = _scanned("cumsum", x, dim)
    launches, temporaries = scan.cumsum(x, d, out, (1, 0), 2, reverse)
    return Program("t", (out,), tuple(launches), tuple(temporaries))


@cumsum_dim.gradient
def _cumsum_gradient(g, dim, reverse):
    return cumsum_dim(g, dim, not reverse)


@called("cumprod")
@special(takes_complex=True)
def cumprod_dim(x: Tensor, dim, reverse):
    """Running products along a dim, from its end where `reverse`."""
    d, out = _scanned("cumprod", x, dim)
    launches, temporaries = scan.cumprod(x, d, out, (1, 0), 2, reverse)
    return Program("t", (out,), tuple(launches), tuple(temporaries))


@cumprod_dim.gradient
def _cumprod_gradient(g, x, out, dim, reverse):
    # The products that hold a factor are those before it times a recurrence from the other end.
    # Nothing is divided by the factor, so derivatives of every order are right at zero.
    after = linear_recurrence(conj(shifted(x, dim, 0, not reverse)), g, dim, not reverse)
    return conj(shifted(out, dim, 1, reverse)) * after


@special(takes_complex=True)
def linear_recurrence(a: Tensor, b: Tensor, dim, reverse):
    """out[i] = a[i] * out[i - 1] + b[i] along a dim, from zero; out[i + 1] in reverse.

    a and b have one shape and type. Sums, products and linear filters are recurrences, and so are
    their gradients.
    """
    d, out = _scanned("linear_recurrence", b, dim)
    launches, temporaries = scan.recurrence(a, b, d, out, (1, 2, 0), reverse)
    return Program("tt", (out,), tuple(launches), tuple(temporaries))


@linear_recurrence.gradient
def _recurrence_gradient(g, a, out, dim, reverse):
    after = linear_recurrence(conj(shifted(a, dim, 0, not reverse)), g, dim, not reverse)
    return after * conj(shifted(out, dim, 0, reverse)), after


@special(moves=True)
def shifted(x: Tensor, dim, first, reverse):
    """x moved on by one place along a dim, back in reverse, with `first` in the place left free."""
    d = canonical_dim("shifted", dim, x.ndim)
    out = Layout.packed(x.shape, x.dtype)
    leaf, number = scalar.argument(0, x.dtype), scalar.constant(first, x.dtype)
    shape = list(x.shape) or [1]
    count, step = shape[d], ((x.strides or (0,))[d], (out.strides or (0,))[d])
    shape[d] = min(count, 1)
    free = Operand(0, x.dtype, out.strides or (0,), (count - 1) * step[1] if reverse else 0)
    launches = steps(Nest(tuple(shape), frozenset(), (free,), (Store(0, number, False),)))[0]
    if count > 1:
        shape[d] = count - 1
        source = Operand(1, x.dtype, x.strides, step[0] if reverse else 0)
        target = Operand(0, x.dtype, out.strides, 0 if reverse else step[1])
        body = (Store(1, leaf, False),)
        launches += steps(Nest(tuple(shape), frozenset(), (source, target), body))[0]
    return Program("t", (out,), tuple(launches))


@shifted.gradient
def _shifted_gradient(g, dim, reverse):
    return shifted(g, dim, 0, not reverse)


@method()
@with_out
@in_place
def cumsum(input, dim, *, dtype=None):
    """out[i] = x[0] + ... + x[i] along a dim; integers give int64.

    >>> import cresset
    >>> cresset.cumsum(cresset.tensor([1, 2, 3]), 0)
    tensor([1, 3, 6])
    """
    if dtype is None:
        return cumsum_dim(input, dim, False)
    return cumsum_dim(input.to(dtype), dim, False).to(dtype)


@method()
@with_out
@in_place
def cumprod(input, dim, *, dtype=None):
    """out[i] = x[0] * ... * x[i] along a dim; integers give int64."""
    if dtype is None:
        return cumprod_dim(input, dim, False)
    return cumprod_dim(input.to(dtype), dim, False).to(dtype)


# --- running extremes -----------------------------------------------------------------------------
@special
def running_extreme(x: Tensor, dim, greatest):
    """(values, indices): the greatest or least so far along a dim, and where it last stood."""
    name = "cummax" if greatest else "cummin"
    d = canonical_dim(name, dim, x.ndim)
    out = Layout.packed(x.shape, computed(name, x.dtype))
    indices = Layout.packed(x.shape, types.int64)
    launches, temporaries = scan.extreme(x, d, out, indices, (2, 0, 1), greatest)
    return Program("t", (out, indices), tuple(launches), tuple(temporaries))


@running_extreme.gradient
def _running_extreme_gradient(gs, outs, x_layout, dim):
    return scatter_add(zeros(tuple(x_layout.shape), dtype=gs[0].layout.dtype), dim, outs[1], gs[0])


@method()
@with_out
def cummax(input, dim):
    """(values, indices) of the greatest element so far along a dim; of equals the last is named.

    NaN, once met, stays.

    >>> import cresset
    >>> cresset.cummax(cresset.tensor([1, 3, 2]), 0).values
    tensor([1, 3, 3])
    """
    return cummax_result(running_extreme(input, dim, True))


@method()
@with_out
def cummin(input, dim):
    """(values, indices) of the least element so far along a dim; of equals the last is named."""
    return cummin_result(running_extreme(input, dim, False))


@method()
@composite
def logcumsumexp(x: Tensor, dim):
    """out[i] = log(exp(x[0]) + ... + exp(x[i])) along a dim, without overflow; floating types.

    The sum is kept relative to the greatest element so far: s[i] = s[i - 1] exp(m[i - 1] - m[i]) +
    exp(x[i] - m[i]).

    >>> import cresset
    >>> cresset.logcumsumexp(cresset.zeros(2), 0)
    tensor([0.0000, 0.6931])
    """
    if not x.layout.dtype.is_floating_point:
        raise NotImplementedError(
            f"logcumsumexp: not implemented for {x.layout.dtype}; need a floating type; convert "
            "with .float()"
        )
    greatest = running_extreme(x, dim, True)[0]
    top = where(greatest.isfinite(), greatest, 0.0)
    kept = exp(shifted(greatest, dim, -inf, False) - top)
    return log(linear_recurrence(kept, exp(x - top), dim, False)) + top


@logcumsumexp.gradient
def _logcumsumexp_gradient(g, x, out, dim):
    # What is scaled are ratios of sums, so the exponents are never positive.
    following = shifted(out, dim, 0.0, True)
    after = linear_recurrence(exp(_difference(out, following)), g, dim, True)
    return exp(_difference(x, out)) * after


def _difference(x, y):
    """x - y, zero where both are the same infinity."""
    return (x - y).masked_fill(x.isinf() & x.eq(y), 0.0)


# --- differences and integrals --------------------------------------------------------------------
@method()
@with_out
def diff(input, n=1, dim=-1, prepend=None, append=None):
    """The n-th differences of neighbours along a dim; of booleans whether they differ.

    `prepend` and `append` are joined to the ends first. Raises RuntimeError where input has no
    dims or n is negative.

    >>> import cresset
    >>> cresset.diff(cresset.tensor([1, 4, 9]))
    tensor([3, 5])
    """
    if not input.layout.ndim:
        raise RuntimeError("diff: expects input to be at least one-dimensional; use reshape(1)")
    if n < 0:
        raise RuntimeError(f"diff: order must be non-negative but got {n}")
    d = canonical_dim("diff", dim, input.layout.ndim)
    parts = [part for part in (prepend, input, append) if part is not None]
    x = cat(parts, d) if len(parts) > 1 else input
    if n == 0:
        return x.clone()
    for _ in range(min(n, x.layout.shape[d])):
        low, high = _neighbours(x, d)
        x = logical_xor(high, low) if x.layout.dtype is types.bool else high - low
    return x


def _neighbours(x, dim):
    """All entries along a dim but the last, and all but the first."""
    count = max(x.layout.shape[dim] - 1, 0)
    return narrow(x, dim, 0, count), narrow(x, dim, x.layout.shape[dim] - count, count)


def _steps(name, y, x, dim):
    """The distances between the sample points x of y along a dim."""
    if x.layout.ndim == 1:
        if x.layout.shape[0] != y.layout.shape[dim]:
            raise RuntimeError(
                f"{name}: There must be one `x` value for each sample point; got "
                f"{x.layout.shape[0]} for {y.layout.shape[dim]} along dim {dim}"
            )
        x = reshape(x, (-1,) + (1,) * (y.layout.ndim - 1 - dim))
    elif x.layout.ndim < y.layout.ndim:
        x = reshape(x, (1,) * (y.layout.ndim - x.layout.ndim) + tuple(x.layout.shape))
    return diff(x, dim=dim - y.layout.ndim)


def _refuse_bool(name, *tensors):
    for x in tensors:
        if x is not None and x.layout.dtype is types.bool:
            raise RuntimeError(f"{name}: received a bool input, but bool is not supported; convert "
                               "with .int()")


def trapezoid(y, x=None, *, dx=None, dim=-1):
    """The integral of samples y along a dim by the trapezoidal rule.

    The samples are `dx` apart (1 by default), or stand at the points `x`.

    >>> import cresset
    >>> cresset.trapezoid(cresset.tensor([1.0, 5.0, 10.0]))
    tensor(10.5000)
    """
    _refuse_bool("trapezoid", y, x)
    d = canonical_dim("trapezoid", dim, y.layout.ndim)
    if not y.layout.ndim:
        raise IndexError(f"trapezoid: Dimension specified as {dim} but tensor has no dimensions")
    if not y.layout.shape[d]:
        return sum(y, d)
    low, high = _neighbours(y, d)
    if x is not None:
        return sum((low + high) * _steps("trapezoid", y, x, d), d) / 2.0
    ends = select(y, d, 0) + select(y, d, -1)
    return (sum(y, d) - ends * 0.5) * (1 if dx is None else dx)


trapz = trapezoid


def cumulative_trapezoid(y, x=None, *, dx=None, dim=-1):
    """The integrals of samples y up to each of them along a dim, but the first."""
    _refuse_bool("cumulative_trapezoid", y, x)
    d = canonical_dim("cumulative_trapezoid", dim, y.layout.ndim)
    low, high = _neighbours(y, d)
    if x is not None:
        return cumsum((low + high) * _steps("cumulative_trapezoid", y, x, d), d) / 2.0
    return cumsum((low + high) * ((1 if dx is None else dx) / 2.0), d)
