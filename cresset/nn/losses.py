"""Losses of `nn.functional` that are written over other operations."""

from __future__ import annotations

import math
import warnings

import cresset
from cresset import Tensor
from cresset.ops import cosine_similarity, pairwise_distance, softplus
from cresset.ops.arguments import tensors as _tensors


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction that PyTorch's old pair of flags means, where one of them is given.

    Raises ValueError unless it is "none", "mean" or "sum".
    """
    if size_average is not None or reduce is not None:
        # From here to the loss, its guard, and who called it.
        warnings.warn(
            "size_average and reduce args will be deprecated, please use reduction= instead.",
            stacklevel=4,
        )
        if reduce is False:
            return "none"
        return "sum" if size_average is False else "mean"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(
            f"loss: {reduction} is not a valid value for reduction; need 'none', 'mean' or 'sum'"
        )
    return reduction


def _reduce(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return loss.mean()
    return loss.sum() if reduction == "sum" else loss


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(x1, x2) where target is 1, max(0, cos(x1, x2) - margin) where it is -1.

    Inputs (N, D) with targets (N,), or (D,) with a target of no dims; else RuntimeError.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if target.dim() + 1 != input1.dim() or target.dim() + 1 != input2.dim() or target.dim() > 1:
        raise RuntimeError(
            f"cosine_embedding_loss: targets of shape {tuple(target.shape)} do not go with inputs "
            f"of shapes {tuple(input1.shape)} and {tuple(input2.shape)}; need (N,) with (N, D), or "
            "() with (D,)"
        )
    cosine = cosine_similarity(input1, input2, dim=-1, eps=1e-8)
    apart = (cosine - margin).clamp(min=0)
    loss = cresset.where(target == 1, 1 - cosine, cresset.where(target == -1, apart, 0.0))
    return _reduce(loss, reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target * (x1 - x2) + margin); target is 1 where x1 should rank higher, else -1."""
    reduction = reduction_of(size_average, reduce, reduction)
    _tensors("margin_ranking_loss", input1=input1, input2=input2, target=target)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss: all input tensors should have as many dims; got shapes "
            f"{tuple(input1.shape)}, {tuple(input2.shape)} and {tuple(target.shape)}"
        )
    return _reduce((margin - target * (input1 - input2)).clamp(min=0), reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """x where target is 1, max(0, margin - x) where it is -1."""
    reduction = reduction_of(size_average, reduce, reduction)
    _tensors("hinge_embedding_loss", input=input, target=target)
    apart = cresset.where(target != 1, (margin - input).clamp(min=0), 0.0)
    together = cresset.where(target != -1, input, 0.0)
    return _reduce(apart + together, reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target * x)), target 1 or -1."""
    reduction = reduction_of(size_average, reduce, reduction)
    _tensors("soft_margin_loss", input=input, target=target)
    return _reduce(softplus(-target * input), reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, |anchor - positive| - |anchor - negative| + margin), with p-norms.

    With `swap` the smaller of |anchor - negative| and |positive - negative| counts. Balntas and
    others (2016).
    """
    reduction = reduction_of(size_average, reduce, reduction)
    _tensors("triplet_margin_loss", anchor=anchor, positive=positive, negative=negative)
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "triplet_margin_loss: anchor, positive and negative should have as many dims; got "
            f"shapes {tuple(anchor.shape)}, {tuple(positive.shape)} and {tuple(negative.shape)}"
        )
    if margin <= 0:
        raise ValueError(
            f"triplet_margin_loss: margin must be greater than 0, got {margin}; it is how much "
            "nearer the positive should be"
        )
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = cresset.minimum(far, pairwise_distance(positive, negative, p, eps))
    return _reduce((margin + near - far).clamp(min=0), reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(x) - target * x, or with `log_input=False` x - target * log(x + eps).

    `full` adds Stirling's approximation of log(target!) where target > 1.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    _tensors("poisson_nll_loss", input=input, target=target)
    if log_input:
        loss = input.exp() - target * input
    else:
        loss = input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + cresset.where(target > 1, stirling, 0.0)
    return _reduce(loss, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log(var) + (x - target)^2 / var) / 2, var at least eps; `full` adds log(2 pi) / 2.

    Raises ValueError for a negative var or one whose shape does not go with the input's.
    """
    reduction = reduction_of(None, None, reduction)
    variance: Tensor = var if isinstance(var, Tensor) else cresset.full_like(input, var)
    if (variance < 0).any():
        raise ValueError("gaussian_nll_loss: var has negative entry/entries; need variances >= 0")
    if variance.shape == input.shape[:-1]:
        variance = variance.unsqueeze(-1)
    differing = sum(a != b for a, b in zip(variance.shape, input.shape))
    if variance.dim() != input.dim() or differing > 1:
        raise ValueError(
            f"gaussian_nll_loss: var has shape {tuple(variance.shape)}; need the input's, "
            f"{tuple(input.shape)}, or that with its last dim 1 or left out"
        )
    # Outside of autograd, so that a variance under eps still learns.
    with cresset.no_grad():
        floor = variance.clamp(min=eps) - variance
    variance = variance + floor
    loss = 0.5 * (variance.log() + (input - target) ** 2 / variance)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduce(loss, reduction)
