"""Norms of the elements over dims, and entries scaled down to a norm."""

from __future__ import annotations

from math import isinf

from cresset.core.tensor import Tensor
from cresset.ops.in_place import in_place
from cresset.ops.kinds import composite
from cresset.ops.kinds.reduce import canonical_dims
from cresset.ops.operation import called, counted_as, method
from cresset.ops.out import with_out
from cresset.ops.pointwise.arithmetic import absolute, sign, sqrt
from cresset.ops.pointwise.comparison import eq, where
from cresset.ops.reductions.reduction import amax, amin, restore_dims, sum
from cresset.ops.shapes.shape import canonical_dim

__all__ = ["frobenius_norm", "norm", "norm_except_dim", "nuclear_norm", "renorm"]


@called("norm")
@composite
def euclidean_norm(x: Tensor, dim=None, keepdim=False):
    """sqrt(sum(x ** 2)) over dims."""
    return sqrt(sum(x * x, dim, keepdim))


@euclidean_norm.gradient
def _euclidean_norm_gradient(g, x, out, x_layout, dim, keepdim):
    g, out = (restore_dims(t, x_layout, dim, keepdim) for t in (g, out))
    return (x * (g / out)).masked_fill(eq(out, 0), 0)


@called("norm")
@composite
def p_norm(x: Tensor, p, dim=None, keepdim=False):
    """sum(|x| ** p) ** (1 / p) over dims; of an infinite p the greatest or the least |x|."""
    size = absolute(x)
    if isinf(p):
        return (amax if p > 0 else amin)(size, dim, keepdim)
    if p == 0:
        return sum(sign(size), dim, keepdim)
    return sum(size, dim, keepdim) if p == 1 else sum(size**p, dim, keepdim) ** (1.0 / p)


@p_norm.gradient
def _p_norm_gradient(g, x, out, x_layout, p, dim, keepdim):
    g, out = (restore_dims(t, x_layout, dim, keepdim) for t in (g, out))
    if isinf(p):
        hit = eq(absolute(x), out)
        return sign(x) * (g / restore_dims(sum(hit, dim, True), x_layout, dim, True) * hit)
    if p == 0:
        return g * sign(x) * 0.0
    if p == 1:
        return g * sign(x)
    # Where the norm or, below 1, the element is zero the gradient is taken to be zero.
    share = (g * out ** (1.0 - p)).masked_fill(eq(out, 0), 0)
    return sign(x) * (absolute(x) ** (p - 1.0)).masked_fill(eq(x, 0), 0) * share


@method()
@with_out
def norm(input, p="fro", dim=None, keepdim=False, dtype=None):
    """The p-norm over dims (all by default): sum(|x| ** p) ** (1 / p).

    With inf and -inf it is the greatest and the least |x|, with 0 the number of elements that are
    not 0, with "fro" the 2-norm, with "nuc" the sum of a matrix's singular values. The result is
    real; `dtype` converts x first.

    Raises RuntimeError for integers, and for nothing with p infinite or negative.

    >>> import cresset
    >>> cresset.tensor([3.0, 4.0]).norm()
    tensor(5.)
    """
    if not input.layout.dtype.is_differentiable:
        raise RuntimeError(
            "norm: Expected a floating point or complex tensor as input. Got "
            f"{input.layout.dtype}; convert it with .float()"
        )
    if dtype is not None:
        input = input.to(dtype)
    if isinstance(p, str) and p != "fro":
        from cresset.ops.linear_algebra.norms import matrix_norm

        return matrix_norm(input, p, (-2, -1) if dim is None else dim, keepdim)
    if input.layout.dtype.is_complex:
        input = input.abs()
    if p in ("fro", 2, None):
        return euclidean_norm(input, dim, keepdim)
    p = float(p)
    dims = canonical_dims("norm", dim, input.layout.ndim)
    if (p < 0 or isinf(p)) and 0 in [input.layout.shape[d] for d in dims]:
        raise RuntimeError(
            f"norm: cannot compute the {p} norm of an empty tensor because the operation does not "
            f"have an identity; got shape {tuple(input.layout.shape)} and dim {dim}"
        )
    return p_norm(input, p, dim, keepdim)


@with_out
def frobenius_norm(input, dim, keepdim=False):
    """The root of the sum of squares over dims."""
    return norm(input, "fro", dim, keepdim)


@with_out
def nuclear_norm(input, dim=(-2, -1), keepdim=False):
    """The sum of the singular values of matrices, which lie in two dims."""
    return norm(input, "nuc", dim, keepdim)


def norm_except_dim(v, pow=2, dim=0):
    """The norms of the entries along a dim, with all other dims of size 1; of all for dim -1."""
    rank = v.layout.ndim
    if dim == -1:
        return norm(v, pow)
    d = canonical_dim("norm_except_dim", dim, rank)
    return norm(v, pow, tuple(k for k in range(rank) if k != d), True)


@method()
@with_out
@in_place
@counted_as("renorm")
def renorm(input, p, dim, maxnorm):
    """x with every entry along a dim whose p-norm is above `maxnorm` scaled down to it.

    >>> import cresset
    >>> cresset.renorm(cresset.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    rank = input.layout.ndim
    if p <= 0:
        raise RuntimeError(f"renorm: non-positive-norm not supported; got p={p}")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if rank < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {rank} dimensions")
    d = canonical_dim("renorm", dim, rank)
    size = norm(input, p, tuple(k for k in range(rank) if k != d), True)
    return input * where(size > maxnorm, maxnorm / (size + 1e-7), 1.0)
