"""Attention: one kernel that stores no scores, or a composed form where that does not serve."""

from __future__ import annotations

import math
from math import inf, prod

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.layout import Layout, broadcast_shapes, contiguous_strides, expand_strides
from cresset.core.tensor import Tensor
from cresset.kernels import attention as forward
from cresset.kernels import attention_backward as backward
from cresset.kernels.attention import Mask, Operand, Problem
from cresset.kernels.nest import Nest, Store, steps
from cresset.kernels.nest import Operand as NestOperand
from cresset.kernels.schedule import Schedule
from cresset.ops.creation.counted import arange
from cresset.ops.kinds import composite, special
from cresset.ops.neural.dropouts import dropout
from cresset.ops.operation import called
from cresset.ops.pointwise.comparison import where
from cresset.ops.products.matrix_products import matmul
from cresset.ops.reductions.normalization import softmax_backward
from cresset.ops.reductions.reduction import greatest_along, sum
from cresset.ops.shapes.shape import expand, flatten, matrix_transpose, unsqueeze
from cresset.runtime.program import Program

__all__ = ["scaled_dot_product_attention"]

FEW_QUERIES = 4  # fewer are met by products of vectors: their scores take no room to speak of


# --- composed of products and a softmax -----------------------------------------------------------
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


def attention_weights(q, k, mask, causal, scale):
    """What a query makes of every key: softmax(q @ k.T * scale + mask)."""
    scores = matmul(q, matrix_transpose(k))
    rows = columns = None
    if causal:
        device = scores.layout.device
        rows = unsqueeze(arange(scores.layout.shape[-2], device=device), -1)
        columns = arange(scores.layout.shape[-1], device=device)
    return scaled_softmax(scores, rows, columns, mask, scale)


# --- without a matrix of scores -------------------------------------------------------------------
@called("scaled_dot_product_attention")
@special
def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal, scale):
    """(attention_weights(...) @ v, the logarithm of the sum of every query's exponentials).

    q, k and v are (*batch, L, E), (*batch, S, E) and (*batch, S, V); a mask broadcasts to (*batch,
    L, S). The sums are float64, for the backward to make the same weights of.
    """
    problem = _problem(q, k, v, causal, scale)
    out = _in_order_of(q, (*q.shape[:-1], v.shape[-1]))
    sums = Layout.packed(q.shape[:-1], types.float64)
    schedule = Schedule(6)
    laid = _laid(schedule, problem, mask, 5, q.dtype, lanes=-2)
    forward.attend(schedule, q.dtype, problem, Operand(2, q.strides), Operand(3, k.strides),
                   Operand(4, v.strides), laid, Operand(0, out.strides), 1)
    launches, temporaries = schedule.result()
    letters = "ttt" + ("n" if mask is None else "t")
    return Program(letters, (out, sums), tuple(launches), tuple(temporaries))


@special(keeps=("sums",))
def attention_backward(by_out: Tensor, out: Tensor, q: Tensor, k: Tensor, v: Tensor,
                       mask: Tensor | None, sums: Tensor, causal, scale):
    """The gradients of attention by q, k and v."""
    problem = _problem(q, k, v, causal, scale)
    outputs = tuple(_in_order_of(x, x.shape) for x in (q, k, v))
    schedule = Schedule(10)
    laid = _laid(schedule, problem, mask, 8, q.dtype, lanes=-1)
    by_q, by_k, by_v, *rest = (
        Operand(place, x.strides) for place, x in enumerate((*outputs, by_out, out, q, k, v))
    )
    backward.attend_backward(
        schedule, q.dtype, problem, rest[0], rest[1], rest[2], rest[3], rest[4], laid, 9,
        by_q, by_k, by_v,
    )
    launches, temporaries = schedule.result()
    letters = "ttttt" + ("n" if mask is None else "t") + "t"
    return Program(letters, outputs, tuple(launches), tuple(temporaries))


def _problem(q: Layout, k: Layout, v: Layout, causal: bool, scale: float) -> Problem:
    (*batch, queries, depth), (keys, width) = q.shape, v.shape[-2:]
    return Problem(tuple(batch), queries, keys, depth, width, scale, causal)


def _in_order_of(x: Layout, shape) -> Layout:
    """The layout of a new tensor whose dims, but for the last one, lie in the order of x's."""
    order = sorted(range(x.ndim - 1), key=lambda d: -x.strides[d])
    strides, step = [1] * x.ndim, shape[-1]
    for d in reversed(order):
        strides[d], step = step, step * shape[d]
    return Layout.of(tuple(shape), tuple(strides), x.dtype)


def _laid(schedule: Schedule, problem: Problem, mask: Layout | None, place: int, dtype: dtype,
          lanes: int) -> Mask | None:
    """What a mask adds to scores, as the kernel reads it: with vectors along a dim, -1 or -2."""
    if mask is None:
        return None
    space = (*problem.batch, problem.queries, problem.keys)
    strides = expand_strides(mask.shape, mask.strides, space)
    order = [*range(len(space) - 2), -3 - lanes, lanes]
    kept = tuple(space[d] if strides[d] else 1 for d in order)
    still = not strides[lanes]
    columns = forward.tile_of(dtype).columns
    room = (*kept[:-1], 1 if still else -(-kept[-1] // columns) * columns)
    packed = tuple(s if n > 1 else 0 for s, n in zip(contiguous_strides(room), kept))
    value = scalar.argument(0, mask.dtype)
    if mask.dtype is types.bool:
        value = scalar.where(value, scalar.constant(0.0, dtype), -inf)
    target = schedule.temporary(prod(room) * dtype.itemsize)
    operands = (NestOperand(place, mask.dtype, tuple(strides[d] for d in order)),
                NestOperand(target, dtype, packed))
    store = Store(1, scalar.cast(value, dtype), False)
    schedule.follow(steps(Nest(kept, frozenset(), operands, (store,)), schedule.next_temporary))
    return Mask(target, packed[:-2], packed[-2], still)


@attention.gradient
def _attention_gradient(arrived, out0, q, k, v, mask, causal, scale, out1):
    return (*attention_backward(arrived[0], out0, q, k, v, mask, out1, causal, scale), None)


@attention_backward.gradient
def _attention_backward_gradient(gs, by_out, q, k, v, mask, causal, scale):
    """Over the matrix of scores, and with p made of them, so that it has gradients itself.

    In the names of `attention_backward`, a to c being the gradients that come to dq, dk and dv:
    they ask w = scale (a k^T + q b^T) of ds and by_out c^T of p.
    """
    a, b, c = gs
    p = attention_weights(q, k, mask, causal, scale)
    slopes = matmul(by_out, matrix_transpose(v))
    ds = softmax_backward(slopes, p, -1) * scale
    w = (matmul(a, matrix_transpose(k)) + matmul(q, matrix_transpose(b))) * scale
    by_slopes = softmax_backward(w, p, -1)
    met, inner = sum(w * p, -1, True), sum(slopes * p, -1, True)
    by_p = matmul(by_out, matrix_transpose(c)) + w * (slopes - inner) - slopes * met
    by_scores = softmax_backward(by_p, p, -1) * scale
    by_by_out = matmul(p, c) + matmul(by_slopes, v)
    by_q = matmul(ds, b) + matmul(by_scores, k)
    by_k = matmul(matrix_transpose(ds), a) + matmul(matrix_transpose(by_scores), q)
    by_v = matmul(matrix_transpose(by_slopes), by_out)
    return by_by_out, None, by_q, by_k, by_v, None, None


# --- what users call ------------------------------------------------------------------------------
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
    mask = attn_mask
    scale = 1.0 / math.sqrt(max(query.layout.shape[-1], 1)) if scale is None else float(scale)
    if mask is not None and mask.layout.dtype.is_differentiable:
        mask = mask.to(query.layout.dtype)
    grouped = enable_gqa and query.layout.shape[-3] != key.layout.shape[-3]
    if grouped:
        query, key, value, mask = _in_groups(query, key, value, mask)
    if _fits(query, key, value, mask, dropout_p):
        query, key, value = _of_one_batch(query, key, value, mask)
        out = attention(query, key, value, mask, bool(is_causal), scale)[0]
    else:
        weights = attention_weights(query, key, mask, is_causal, scale)
        out = matmul(dropout(weights, dropout_p), value)
    return flatten(out, -4, -3) if grouped else out


def _in_groups(query, key, value, mask):
    """The operands with heads (..., H, ., .) as (..., heads of key, group, ., .)."""
    heads, shared = query.layout.shape[-3], key.layout.shape[-3]
    if not shared or heads % shared or value.layout.shape[-3] != shared:
        raise RuntimeError(
            f"scaled_dot_product_attention: {heads} heads of query, {shared} of key and "
            f"{value.layout.shape[-3]} of value cannot be grouped; need as many of value as of "
            "key, and a multiple of them of query"
        )
    query = query.unflatten(-3, (shared, heads // shared))
    key, value = unsqueeze(key, -3), unsqueeze(value, -3)
    if mask is not None and mask.layout.ndim > 2:
        whole = mask.layout.shape[-3] > 1
        mask = mask.unflatten(-3, (shared, heads // shared)) if whole else unsqueeze(mask, -3)
    return query, key, value, mask


def _fits(query, key, value, mask, dropout_p) -> bool:
    """Whether the kernel without a matrix of scores serves."""
    q, v = query.layout, value.layout
    return (
        not dropout_p
        and q.dtype in (types.float32, types.float64, *types.HALVES)
        and min(q.ndim, v.ndim, key.layout.ndim) > 1
        and q.shape[-2] >= FEW_QUERIES
        and max(q.shape[-1], v.shape[-1]) <= forward.DEEPEST
        and not (mask is not None and mask.requires_grad)
    )


def _of_one_batch(query, key, value, mask):
    """query, key and value with equal batch dims, after checking how they fit together."""
    q, k, v = query.layout, key.layout, value.layout
    batch = tuple(q.shape[:-2])
    try:
        if not batch == tuple(k.shape[:-2]) == tuple(v.shape[:-2]):
            batch = broadcast_shapes(batch, k.shape[:-2], v.shape[:-2])
            query, key, value = (
                expand(x, (*batch, *x.layout.shape[-2:])) for x in (query, key, value)
            )
        if mask is not None:
            scores = (*batch, q.shape[-2], k.shape[-2])
            if tuple(broadcast_shapes(mask.layout.shape, scores)) != scores:
                raise ValueError(f"the mask is larger than the scores, {scores}")
    except ValueError as problem:
        masked = "" if mask is None else f", mask {tuple(mask.layout.shape)}"
        raise RuntimeError(
            f"scaled_dot_product_attention: {problem}; got query {tuple(q.shape)}, key "
            f"{tuple(k.shape)}, value {tuple(v.shape)}{masked}; need batch dims that broadcast"
        ) from None
    if not (q.dtype is k.dtype is v.dtype):
        raise RuntimeError(
            "scaled_dot_product_attention: Expected query, key, and value to have the same dtype, "
            f"but got {q.dtype}, {k.dtype} and {v.dtype}; convert them with .to(...)"
        )
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise RuntimeError(
            f"scaled_dot_product_attention: query {tuple(q.shape)}, key {tuple(k.shape)} and value "
            f"{tuple(v.shape)} do not fit together; need as many elements in a query as in a key, "
            "and as many keys as values"
        )
    return query, key, value
