"""Scans along a dim: running sums and products, recurrences, running extremes."""

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
from cresset.ops.in_place import in_place
from cresset.ops.indexing.gathering import scatter_add
from cresset.ops.kinds import composite, special
from cresset.ops.kinds.promotion import computed
from cresset.ops.operation import called, method, takes
from cresset.ops.out import with_out
from cresset.ops.pointwise.comparison import where
from cresset.ops.pointwise.complex_numbers import conj, real
from cresset.ops.pointwise.exponential import exp, log
from cresset.ops.shapes.shape import canonical_dim
from cresset.runtime.program import Program

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "logcumsumexp"]


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
def _running_extreme_gradient(gs, out1, x_layout, dim):
    return scatter_add(gs[0].new_zeros(x_layout.shape), dim, out1, gs[0])


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
@takes("a floating type")
@composite
def logcumsumexp(x: Tensor, dim):
    """out[i] = log(exp(x[0]) + ... + exp(x[i])) along a dim, without overflow; floating types.

    The sum is kept relative to the greatest element, or real part of one, so far:
    s[i] = s[i - 1] exp(m[i - 1] - m[i]) + exp(x[i] - m[i]).

    >>> import cresset
    >>> cresset.logcumsumexp(cresset.zeros(2), 0)
    tensor([0.0000, 0.6931])
    """
    greatest = running_extreme(real(x), dim, True)[0]
    top = where(greatest.isfinite(), greatest, 0.0)
    kept = exp(shifted(greatest, dim, -inf, False) - top).to(x.layout.dtype)
    return log(linear_recurrence(kept, exp(x - top), dim, False)) + top


@logcumsumexp.gradient
def _logcumsumexp_gradient(g, x, out, dim):
    # What is scaled are ratios of sums, so the exponents are never positive.
    following = shifted(out, dim, 0.0, True)
    after = linear_recurrence(conj(exp(_difference(out, following))), g, dim, True)
    return conj(exp(_difference(x, out))) * after


def _difference(x, y):
    """x - y, zero where both are the same infinity."""
    return (x - y).masked_fill(x.isinf() & x.eq(y), 0.0)
