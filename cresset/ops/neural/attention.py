"""Attention."""

from __future__ import annotations

import math

from cresset.core import dtype as types
from cresset.core.tensor import Tensor
from cresset.ops.creation.tensors import arange
from cresset.ops.kinds import composite
from cresset.ops.neural.dropouts import dropout
from cresset.ops.pointwise.comparison import where
from cresset.ops.products.matrix_products import matmul
from cresset.ops.reductions.normalization import softmax_backward
from cresset.ops.reductions.reduction import greatest_along, sum
from cresset.ops.shapes.shape import matrix_transpose, unsqueeze

__all__ = ["scaled_dot_product_attention"]


@composite
def scaled_softmax(scores: Tensor, rows: Tensor | None, columns: Tensor | None,
                   mask: Tensor | None, scale):
    """softmax(scores * scale + mask) over the last dim; with rows and columns only j <= i counts.

    A boolean mask tells what counts. Rows of which nothing counts are zero.
    """
    x = scores * scale
    if mask is not None:
        x = where(mask, x, float("-inf")) if mask.dtype is types.bool else x + mask
    if rows is not None:
        x = where(columns <= rows, x, float("-inf"))
    top = greatest_along(x, -1)
    top = where(top > float("-inf"), top, 0.0)
    e = (x - top).exp()
    total = sum(e, -1, True)
    return e / where(total > 0.0, total, 1.0)


@scaled_softmax.gradient
def _scaled_softmax_gradient(g, out, scale):
    inner = softmax_backward(g, out, -1)
    return inner * scale, None, None, inner


def scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0,
                                 is_causal=False, scale=None, enable_gqa=False):
    """softmax(query @ key.T * scale + mask) @ value (Vaswani et al. 2017).

    query (..., L, E), key (..., S, E), value (..., S, V) give (..., L, V); `scale` is 1/sqrt(E)
    unless given. A boolean mask (..., L, S) tells what takes part, a floating one is added;
    `is_causal` lets position i see the positions up to i. With `enable_gqa` heads of key and value
    are shared by groups of query heads.

    >>> import cresset
    >>> q = cresset.ones(1, 2, 4)
    >>> cresset.nn.functional.scaled_dot_product_attention(q, q, q).shape
    torch.Size([1, 2, 4])
    """
    if attn_mask is not None and is_causal:
        raise RuntimeError(
            "scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
        )
    if enable_gqa:
        groups = query.layout.shape[-3] // key.layout.shape[-3]
        key = key.repeat_interleave(groups, -3)
        value = value.repeat_interleave(groups, -3)
    if scale is None:
        scale = 1.0 / math.sqrt(query.layout.shape[-1])
    scores = matmul(query, matrix_transpose(key))
    rows = columns = None
    if is_causal:
        device = scores.layout.device
        rows = unsqueeze(arange(scores.layout.shape[-2], device=device), -1)
        columns = arange(scores.layout.shape[-1], device=device)
    weights = scaled_softmax(scores, rows, columns, attn_mask, float(scale))
    return matmul(dropout(weights, dropout_p), value)
