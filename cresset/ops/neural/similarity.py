"""Vectors against vectors: normalising them, comparing them."""

from __future__ import annotations

from cresset.core.families import required
from cresset.ops.pointwise.comparison import clamp
from cresset.ops.reductions.norms import norm
from cresset.ops.reductions.reduction import sum
from cresset.ops.shapes.broadcasting import broadcast_tensors
from cresset.ops.shapes.shape import expand

__all__ = ["cosine_similarity", "normalize"]


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """x / max(norm(x), eps) along a dim.

    >>> import cresset
    >>> cresset.nn.functional.normalize(cresset.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    length = clamp(norm(input, p, dim, True), eps)
    return input / expand(length, tuple(input.layout.shape))


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """The cosine of the angle between vectors along a dim."""
    for x in (x1, x2):
        required("cosine_similarity", "a real floating type", x.layout.dtype)
    x1, x2 = broadcast_tensors(x1, x2)
    lengths = clamp(norm(x1, 2, dim, True), eps), clamp(norm(x2, 2, dim, True), eps)
    return sum((x1 / lengths[0]) * (x2 / lengths[1]), dim)
