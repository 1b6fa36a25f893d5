"""Losses of `nn.functional` that are written over other operations."""

from __future__ import annotations

import math
import warnings
from typing import Any

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


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log p(targets) summed over all alignments of labels to time steps. Graves and others (2006).

    `log_probs` (T, N, C) or (T, C) are logarithms of probabilities, as `log_softmax` gives them,
    `targets` (N, S), or all of them joined, labels without `blank`. An alignment says every label
    once or more, in order, with blanks between, and at least one between equals. "mean" divides
    each loss by the length of its target. Where a target is too long for its input the loss is
    infinite, with `zero_infinity` zero. The gradient is that of the function; PyTorch adds
    exp(log_probs) to it, which `log_softmax` takes away again. Raises RuntimeError for lengths or
    labels that do not fit.

    >>> even = cresset.full((2, 1, 2), 0.5).log()
    >>> ctc_loss(even, cresset.tensor([[1]]), [2], [1]).exp()
    tensor(1.3333)
    """
    reduction = reduction_of(None, None, reduction)
    batched = log_probs.dim() == 3
    if not batched:
        log_probs = log_probs.unsqueeze(1)
    steps, batch, classes = log_probs.shape
    inputs = cresset.as_tensor(input_lengths).long().reshape(-1)
    lengths = cresset.as_tensor(target_lengths).long().reshape(-1)
    labels = _padded_targets(targets if batched else targets.reshape(1, -1), lengths)
    _check_ctc(inputs, lengths, labels, steps, batch, classes, blank)
    # Labels with blanks around them: two states for each label, and one.
    states = labels.new_full((batch, 2 * labels.shape[1] + 1), blank)
    states[:, 1::2] = labels
    emitted = log_probs.gather(2, states.unsqueeze(0).expand(steps, -1, -1))
    # A blank may be passed over between labels that differ.
    skips = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    never = log_probs.new_full((batch, 2), -math.inf)
    # alpha[:, k] is the logarithm of the probability of all ways to be in state k by now.
    unreached = cresset.full_like(emitted[0, :, 2:], -math.inf)
    alpha = cresset.cat([emitted[0, :, :2], unreached], 1)
    for step in range(1, steps):
        moved = cresset.cat([never[:, :1], alpha[:, :-1]], 1)
        passed = alpha[:, :-2].masked_fill(~skips, -math.inf)
        skipped = cresset.cat([never, passed], 1)[:, : alpha.shape[1]]
        following = _log_sum(alpha, moved, skipped) + emitted[step]
        alpha = cresset.where((step < inputs).unsqueeze(1), following, alpha)
    last = (2 * lengths).unsqueeze(1)
    in_blank = alpha.gather(1, last)
    in_label = alpha.gather(1, (last - 1).clamp(min=0)).masked_fill(last == 0, -math.inf)
    loss = -_log_sum(in_blank, in_label).squeeze(1)
    if zero_infinity:
        loss = cresset.where(loss == math.inf, 0.0, loss)
    if reduction == "mean":
        return (loss / lengths.clamp(min=1)).mean()
    return loss.sum() if reduction == "sum" else loss if batched else loss.squeeze(0)


def _log_sum(*terms: Tensor) -> Tensor:
    """log(sum(exp(x))), whose gradient is zero where all are -inf, and not NaN."""
    together = cresset.stack(terms)
    greatest = together.detach().amax(0)
    finite = cresset.where(greatest == -math.inf, 0.0, greatest)
    total = (together - finite).exp().sum(0)
    sums = cresset.where(total == 0, 1.0, total).log() + finite
    return cresset.where(total == 0, -math.inf, sums)


def _padded_targets(targets: Tensor, lengths: Tensor) -> Tensor:
    """Targets as (N, longest); what is behind the end of one counts for nothing."""
    if targets.dim() == 2:
        return targets.long()
    if int(lengths.sum()) != len(targets):
        raise RuntimeError(
            f"ctc_loss: Expected targets of length {int(lengths.sum())}, the sum of target_lengths;"
            f" got {len(targets)}"
        )
    parts = targets.long().split(lengths.tolist())
    return cresset.nn.utils.rnn.pad_sequence(parts, batch_first=True)


def _check_ctc(
    inputs: Any, lengths: Any, labels: Any, steps: int, batch: int, classes: int, blank: int
) -> None:
    """RuntimeError for lengths, labels or a blank that do not fit."""
    if not 0 <= blank < classes:
        raise RuntimeError(f"ctc_loss: blank must be in label range; got {blank} of {classes}")
    for name, given, most in (
        ("input_lengths", inputs, steps), ("target_lengths", lengths, labels.shape[1])
    ):
        if len(given) != batch:
            raise RuntimeError(
                f"ctc_loss: {name} must be of size batch_size; got {len(given)} for {batch}"
            )
        if (given < 0).any() or (given > most).any():
            raise RuntimeError(
                f"ctc_loss: Expected {name} to have value at most {most}, and none negative; got "
                f"{given.tolist()}"
            )
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        raise RuntimeError(
            f"ctc_loss: labels must be at least 0 and below the number of classes, {classes}; got "
            f"{labels.tolist()}"
        )
