"""Differences and integrals along a dim: diff, gradient, and the trapezoidal rule."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.families import required
from cresset.core.tensor import Tensor
from cresset.ops.operation import method
from cresset.ops.out import with_out
from cresset.ops.pointwise.comparison import logical_xor
from cresset.ops.reductions.reduction import sum
from cresset.ops.reductions.scans import cumsum
from cresset.ops.shapes.joining import cat
from cresset.ops.shapes.shape import canonical_dim, narrow, reshape, select

__all__ = ["cumulative_trapezoid", "diff", "gradient", "trapezoid", "trapz"]


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


# --- gradient -------------------------------------------------------------------------------------
def gradient(input, *, spacing=1, dim=None, edge_order=1):
    """Estimates of the derivatives along dims (all by default), of second order inside: a tuple.

    `spacing` is the distance of the samples, one for each of the dims, or vectors of coordinates.
    At the ends the estimate is of order `edge_order`, 1 or 2.

    Raises RuntimeError where a dim has fewer than edge_order + 1 samples.

    >>> import cresset
    >>> cresset.gradient(cresset.tensor([1.0, 4.0, 9.0, 16.0]))
    (tensor([3., 4., 6., 7.]),)
    """
    rank = input.layout.ndim
    required("gradient", "numbers", input.layout.dtype)
    if input.layout.dtype is types.uint8:
        raise RuntimeError("gradient: does not support uint8 input; convert with .float()")
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient: only supports edge_order=1 and edge_order=2; got "
                           f"{edge_order}")
    dims = range(rank) if dim is None else (dim,) if isinstance(dim, int) else dim
    dims = [canonical_dim("gradient", d, rank) for d in dims]
    spacings = list(spacing) if isinstance(spacing, (tuple, list)) else [spacing] * len(dims)
    if len(spacings) != len(dims):
        raise RuntimeError(
            "gradient: expected spacing to be unspecified, a scalar, or a list of length equal to "
            f"the number of dims; got {len(spacings)} spacings for {len(dims)} dims"
        )
    for d in dims:
        if input.layout.shape[d] <= edge_order:
            raise RuntimeError(
                "gradient: expected each dimension size to be at least edge_order+1; got shape "
                f"{tuple(input.layout.shape)} and edge_order={edge_order}"
            )
    return tuple([_slopes(input, d, each, edge_order) for d, each in zip(dims, spacings)])


def _slopes(x, dim, spacing, edge_order):
    """The estimated derivative along one dim."""
    count, steps = x.layout.shape[dim], spacing
    if isinstance(spacing, Tensor) and spacing.layout.ndim:
        steps = reshape(diff(spacing), (-1,) + (1,) * (x.layout.ndim - 1 - dim))

    def step(start, length):
        return narrow(steps, 0, start, length) if isinstance(steps, Tensor) else steps

    def part(start, length):
        return narrow(x, dim, start, length)

    inside = max(count - 2, 0)
    before, after = step(0, inside), step(count - 1 - inside, inside)
    both = before + after
    middle = (
        part(2, inside) * (before / (after * both))
        + part(1, inside) * ((after - before) / (before * after))
        - part(0, inside) * (after / (before * both))
    ) if inside else part(0, 0) * 1.0
    if edge_order == 1:
        first = (part(1, 1) - part(0, 1)) / step(0, 1)
        last = (part(count - 1, 1) - part(count - 2, 1)) / step(count - 2, 1)
    else:
        first = _end(part(0, 1), part(1, 1), part(2, 1), step(0, 1), step(1, 1))
        last = -_end(part(count - 1, 1), part(count - 2, 1), part(count - 3, 1),
                     step(count - 2, 1), step(count - 3, 1))
    return cat((first, middle, last), dim)


def _end(at, next, further, near, far):
    """The slope at the first of three samples, of second order; the steps are `near` and `far`."""
    both = near + far
    return (
        next * (both / (near * far))
        - at * ((near + both) / (near * both))
        - further * (near / (far * both))
    )
