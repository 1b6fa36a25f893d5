"""Distances between vectors: of every pair of two sets, of the pairs of one, of rows."""

from __future__ import annotations

from math import inf

from cresset.core.tensor import Tensor
from cresset.ops.arguments import tensors
from cresset.ops.kinds import composite
from cresset.ops.operation import called, counted_as
from cresset.ops.pointwise.arithmetic import absolute, sign, sqrt
from cresset.ops.pointwise.comparison import clamp, eq
from cresset.ops.products.matrix_products import matmul
from cresset.ops.reductions.norms import euclidean_norm, norm, p_norm
from cresset.ops.reductions.reduction import sum
from cresset.ops.shapes.diagonals import triu_indices
from cresset.ops.shapes.shape import matrix_transpose, reshape, unsqueeze

__all__ = ["cdist", "pairwise_distance", "pdist"]

# Sets of more vectors are compared by a product of matrices, which is faster and less exact.
MANY = 25
MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist",
         "donot_use_mm_for_euclid_dist")


@called("cdist")
@composite
def distances(x1: Tensor, x2: Tensor, p, by_products):
    """The p-norms of x1[..., i, :] - x2[..., j, :] at (i, j)."""
    if by_products:
        squares = sum(x1 * x1, -1, True) + unsqueeze(sum(x2 * x2, -1, False), -2)
        return sqrt(clamp(squares - 2 * matmul(x1, matrix_transpose(x2)), 0))
    apart = unsqueeze(x1, -2) - unsqueeze(x2, -3)
    return euclidean_norm(apart, -1, False) if p == 2 else p_norm(apart, p, -1, False)


@distances.gradient
def _distances_gradient(g, x1, x2, out, p, needs):
    if p == 0:
        return 0.0 * x1, 0.0 * x2
    # Of equal vectors the gradient is taken to be zero.
    share = g if p in (1, inf) else (g * out ** (1.0 - p)).masked_fill(eq(out, 0), 0)
    turned = matrix_transpose(share), matrix_transpose(out)
    return (
        pulled(share, x1, x2, out, p) if needs[0] else None,
        pulled(turned[0], x2, x1, turned[1], p) if needs[1] else None,
    )


@called("cdist_backward")
@composite
def pulled(share: Tensor, x1: Tensor, x2: Tensor, out: Tensor, p):
    """The gradient of x1: over all j the sum of share[i, j] times a power of x1[i] - x2[j]."""
    apart = unsqueeze(x1, -2) - unsqueeze(x2, -3)
    share = unsqueeze(share, -1)
    if p == 2:
        return sum(share * apart, -2, False)
    if p == inf:
        return sum(share * sign(apart) * eq(absolute(apart), unsqueeze(out, -1)), -2, False)
    if p == 1:
        return sum(share * sign(apart), -2, False)
    power = (absolute(apart) ** (p - 1.0)).masked_fill(eq(apart, 0), 0)
    return sum(share * sign(apart) * power, -2, False)


def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The p-norms of all differences: (..., P, M) and (..., R, M) give (..., P, R).

    By default distances of p = 2 are computed by a product of matrices where P or R is above 25,
    which loses digits where vectors are near each other; "donot_use_mm_for_euclid_dist" never does.

    Raises RuntimeError unless both are of one floating type and M is the same.

    >>> import cresset
    >>> cresset.cdist(cresset.tensor([[0.0, 0.0]]), cresset.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    for x, name in ((x1, "X1"), (x2, "X2")):
        if not x.layout.dtype.is_floating_point:
            raise RuntimeError(f"cdist: only supports floating-point dtypes, {name} got: "
                               f"{x.layout.dtype}; convert it with .float()")
        if x.layout.ndim < 2:
            raise RuntimeError(f"cdist: only supports at least 2D tensors, {name} got: "
                               f"{x.layout.ndim}D; need (..., vectors, elements)")
    if x1.layout.shape[-1] != x2.layout.shape[-1]:
        raise RuntimeError(
            f"cdist: X1 and X2 must have the same number of columns. X1: {x1.layout.shape[-1]} X2: "
            f"{x2.layout.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError(f"cdist: only supports non-negative p values; got {p}")
    if compute_mode not in MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode; need one of "
                         f"{', '.join(MODES)}")
    many = max(x1.layout.shape[-2], x2.layout.shape[-2]) > MANY
    products = p == 2 and (compute_mode == MODES[1] or many and compute_mode == MODES[0])
    return distances(x1, x2, float(p), products)


@counted_as("pdist")
def pdist(input, p=2.0):
    """The p-norms of the differences of all pairs of rows: (0, 1), (0, 2), ..., (1, 2), ...

    >>> import cresset
    >>> cresset.pdist(cresset.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    tensor([5.0000, 1.0000, 4.2426])
    """
    if input.layout.ndim != 2:
        raise RuntimeError(f"pdist: only supports 2D tensors, got: {input.layout.ndim}D; its shape "
                           f"is {tuple(input.layout.shape)}")
    if not input.layout.dtype.is_floating_point:
        raise RuntimeError(f"pdist: only supports floating-point dtypes, got: {input.layout.dtype};"
                           " convert it with .float()")
    if p < 0:
        raise RuntimeError(f"pdist: only supports non-negative p values; got {p}")
    count = input.layout.shape[0]
    first, second = triu_indices(count, count, 1, device=input.layout.device)
    pairs = distances(unsqueeze(input[first], -2), unsqueeze(input[second], -2), float(p), False)
    return reshape(pairs, (first.layout.numel,))


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of x1 - x2 + eps over the last dim.

    >>> import cresset
    >>> cresset.pairwise_distance(cresset.tensor([3.0, 4.0]), cresset.zeros(2))
    tensor(5.0000)
    """
    tensors("pairwise_distance", x1=x1, x2=x2)
    return norm(x1 - x2 + eps, p, -1, keepdim)
