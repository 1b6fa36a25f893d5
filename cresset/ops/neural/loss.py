"""Losses: what is minimised. Each reduces by `reduction`: "mean", "sum" or "none"."""

from __future__ import annotations

from functools import lru_cache

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.families import required
from cresset.core.scalar import absolute, exp, log, log1p, maximum, where
from cresset.core.tensor import Number, Tensor
from cresset.ops.creation.counted import arange
from cresset.ops.indexing.gathering import gather
from cresset.ops.indexing.masks import masked_select
from cresset.ops.indexing.selecting import index_select
from cresset.ops.kinds import composite, elementwise
from cresset.ops.kinds.guards import found
from cresset.ops.operation import called, counts_as, real_only, takes
from cresset.ops.pointwise.comparison import eq, ge, le, logical_and, logical_not
from cresset.ops.pointwise.comparison import where as choose
from cresset.ops.pointwise.exponential import exp as exp_of
from cresset.ops.pointwise.exponential import log as log_of
from cresset.ops.reductions.normalization import log_softmax
from cresset.ops.reductions.reduction import amax, any, mean, sum
from cresset.ops.shapes.shape import expand, reshape, squeeze, unsqueeze

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy",
           "huber_loss", "kl_div", "l1_loss", "mse_loss", "nll_loss", "smooth_l1_loss"]


# The losses that are one operation in PyTorch, and one node of its graph.
ONE_NODE = frozenset((
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "huber_loss", "mse_loss",
    "multi_margin_loss", "multilabel_margin_loss", "smooth_l1_loss", "soft_margin_loss",
))


def reduce_loss(operation: str, loss, reduction: str):
    """A loss per element made one number, or left as it is."""
    _check_reduction(operation, reduction)
    if reduction == "none":
        return loss
    total = mean(loss) if reduction == "mean" else sum(loss)
    return counts_as(total, operation) if operation in ONE_NODE else total


def _check_reduction(operation, reduction):
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{operation}: {reduction} is not a valid value for reduction; need "
                         "'mean', 'sum' or 'none'")


def _legacy(size_average, reduce, reduction):
    """The reduction that PyTorch's old pair of flags means."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


@called("mse_loss")
@real_only
@elementwise(promote="floating")
def squared_error(x, target: Tensor):
    """(x - target) ** 2."""
    d = x - target
    return d * d


@called("l1_loss")
@elementwise(promote="numbers")
def absolute_error(x, target: Tensor):
    """|x - target|."""
    return absolute(x - target)


@called("smooth_l1_loss")
@real_only
@elementwise(promote="floating")
def smooth_absolute_error(x, target: Tensor, beta: Number = 1.0):
    """0.5 d ** 2 / beta within beta, |d| - 0.5 beta beyond."""
    d = absolute(x - target)
    return where(d < beta, 0.5 * d * d / beta, d - 0.5 * beta)


@called("huber_loss")
@real_only
@elementwise(promote="floating")
def huber_error(x, target: Tensor, delta: Number = 1.0):
    """0.5 d ** 2 within delta, delta (|d| - 0.5 delta) beyond (Huber 1964)."""
    d = absolute(x - target)
    return where(d < delta, 0.5 * d * d, delta * (d - 0.5 * delta))


@called("binary_cross_entropy")
@real_only
@elementwise(promote="floating")
def binary_cross_entropy_terms(x, target):
    """-(target log x + (1 - target) log(1 - x)), logarithms held above -100."""
    return -(target * maximum(log(x), -100.0) + (1.0 - target) * maximum(log1p(-x), -100.0))


@binary_cross_entropy_terms.gradient
def _binary_cross_entropy_gradient(g, x, target):
    by_x = g * (x - target) / maximum((1.0 - x) * x, 1e-12)
    by_target = g * (maximum(log1p(-x), -100.0) - maximum(log(x), -100.0))
    return by_x, by_target


@called("binary_cross_entropy_with_logits")
@real_only
@elementwise(promote="floating")
def binary_cross_entropy_logit_terms(x, target, pos_weight=None):
    """-(pos_weight target log s(x) + (1 - target) log(1 - s(x))), s the sigmoid, no overflow."""
    smooth = scalar.softplus(-x)
    if pos_weight is None:
        return (1.0 - target) * x + smooth
    return (1.0 - target) * x + (1.0 + (pos_weight - 1.0) * target) * smooth


@binary_cross_entropy_logit_terms.gradient
def _logit_gradient(g, x, target, pos_weight):
    smooth = scalar.softplus(-x)
    s = scalar.sigmoid(x)
    if pos_weight is None:
        return g * (s - target), g * -x, None
    weight = 1.0 + (pos_weight - 1.0) * target
    by_x = g * ((1.0 - target) - weight * (1.0 - s))
    return by_x, g * ((pos_weight - 1.0) * smooth - x), g * target * smooth


@called("kl_div")
@real_only
@elementwise(promote="floating")
def kl_terms(x, target: Tensor):
    """target (log target - x), zero where target is."""
    return where(target > 0.0, target * (log(target) - x), 0.0 * target)


@called("kl_div")
@real_only
@elementwise(promote="floating")
def kl_log_terms(x, target: Tensor):
    """exp(target) (target - x)."""
    return exp(target) * (target - x)


def _same_shape(operation, x, target):
    if x.layout.shape != target.layout.shape:
        raise ValueError(
            f"{operation}: the target's size {tuple(target.layout.shape)} is different from the "
            f"input's {tuple(x.layout.shape)}; please ensure they have the same size"
        )
    if x.layout.dtype.is_floating_point and not target.layout.dtype.is_floating_point:
        raise RuntimeError(
            f"{operation}: Found dtype {target.layout.dtype} but expected {x.layout.dtype}; a "
            "target is a probability; convert it with .float()"
        )


def _weighted(operation, terms, weight, reduction):
    """The terms reduced; with weights, their mean is the weighted one."""
    if weight is None:
        return reduce_loss(operation, terms, reduction)
    if weight.layout.shape != terms.layout.shape:
        raise ValueError(
            f"{operation}: Weights and input must have the same size; got "
            f"{tuple(weight.layout.shape)} and {tuple(terms.layout.shape)}"
        )
    if reduction != "mean":
        return reduce_loss(operation, terms * weight, reduction)
    return reduce_loss(operation, terms * weight, "sum") / weight.sum()


@called("binary_cross_entropy")
@composite
def outside_of_unit(x: Tensor):
    """How many elements are not in [0, 1]; NaN is not."""
    return sum(logical_not(logical_and(ge(x, 0), le(x, 1))))


def _check_probabilities(operation, name, x):
    """RuntimeError unless all elements are in [0, 1]; on devices that have any."""
    wrong = outside_of_unit(x.detach())
    if found(wrong):
        flat = reshape(x.detach(), (-1,)).tolist()
        place = next(k for k, v in enumerate(flat) if not 0 <= v <= 1)
        raise RuntimeError(
            f"{operation}: all elements of {name} should be between 0 and 1; got {flat[place]} at "
            f"flat position {place}; apply sigmoid() first, or use {operation}_with_logits"
        )


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The mean of (input - target) ** 2, weighted where weights of the input's shape are given.

    >>> import cresset
    >>> cresset.nn.functional.mse_loss(cresset.tensor([1.0, 3.0]), cresset.zeros(2))
    tensor(5.)
    """
    terms = squared_error(input, target)
    return _weighted("mse_loss", terms, weight, _legacy(size_average, reduce, reduction))


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The mean of |input - target|, weighted where weights of the input's shape are given."""
    terms = absolute_error(input, target)
    return _weighted("l1_loss", terms, weight, _legacy(size_average, reduce, reduction))


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """The mean of a square near zero and an absolute value beyond `beta` (Girshick 2015)."""
    if beta < 0:
        raise RuntimeError(
            f"smooth_l1_loss: does not support negative values for beta; got {beta}; need 0 or more"
        )
    if beta == 0:
        return l1_loss(input, target, size_average, reduce, reduction)
    terms = smooth_absolute_error(input, target, float(beta))
    return reduce_loss("smooth_l1_loss", terms, _legacy(size_average, reduce, reduction))


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """The mean of a square within `delta` and a line beyond (Huber 1964)."""
    if delta <= 0:
        raise RuntimeError(
            f"huber_loss: does not support non-positive values for delta; got {delta}; need more "
            "than 0"
        )
    terms = huber_error(input, target, float(delta))
    return reduce_loss("huber_loss", terms if weight is None else terms * weight, reduction)


def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None,
                         reduction="mean"):
    """The mean cross entropy of probabilities in [0, 1] against targets in [0, 1].

    Raises RuntimeError where one is outside.
    """
    _same_shape("binary_cross_entropy", input, target)
    _check_probabilities("binary_cross_entropy", "input", input)
    _check_probabilities("binary_cross_entropy", "target", target)
    terms = binary_cross_entropy_terms(input, target)
    terms = terms if weight is None else terms * weight
    return reduce_loss("binary_cross_entropy", terms, _legacy(size_average, reduce, reduction))


def binary_cross_entropy_with_logits(input, target, weight=None, size_average=None, reduce=None,
                                     reduction="mean", pos_weight=None):
    """binary_cross_entropy(sigmoid(input), target), without overflow."""
    _same_shape("binary_cross_entropy_with_logits", input, target)
    terms = binary_cross_entropy_logit_terms(input, target, pos_weight)
    terms = terms if weight is None else terms * weight
    return reduce_loss(
        "binary_cross_entropy_with_logits", terms, _legacy(size_average, reduce, reduction)
    )


def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """target (log target - input); "batchmean" divides by the first dim's size."""
    terms = kl_log_terms(input, target) if log_target else kl_terms(input, target)
    reduction = _legacy(size_average, reduce, reduction)
    if reduction == "batchmean":
        return sum(terms) / float(input.layout.shape[0])
    return reduce_loss("kl_div", terms, reduction)


@lru_cache(256)
def _without(shape, dim):
    """The shape without a dim."""
    return shape[:dim] + shape[dim + 1 :]


def _check_target(operation, input, target, dim):
    shape = input.layout.shape
    needed = _without(shape, dim)
    if target.layout.shape == needed:
        return
    if operation == "cross_entropy" and target.layout.shape == shape:
        raise RuntimeError(
            "cross_entropy: Expected floating point type for target with class probabilities, got "
            f"{target.layout.dtype}; convert with .float(), or give class indices of shape "
            f"{list(needed)}"
        )
    # Of batches of one size PyTorch raises another class.
    alike = dim and target.layout.ndim and target.layout.shape[0] == shape[0]
    raise (RuntimeError if alike else ValueError)(
        f"{operation}: expected target size {list(needed)}, got {list(target.layout.shape)}; the "
        f"input has shape {tuple(shape)}, classes along dim {dim}"
    )


def _check_weight(operation, weight, classes):
    if weight is not None and tuple(weight.layout.shape) != (classes,):
        raise RuntimeError(
            f"{operation}: weight tensor should be defined either for all {classes} classes or no "
            f"classes; got shape {tuple(weight.layout.shape)}; need ({classes},)"
        )


def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None,
             reduction="mean"):
    """-input[i, target[i]], weighted by class, leaving out targets that are `ignore_index`.

    input (N, C, ...) or (C), target (N, ...) or () of class indices, int64.

    Raises IndexError where a target is no class.
    """
    reduction = _legacy(size_average, reduce, reduction)
    _check_reduction("nll_loss", reduction)
    dim = 0 if input.layout.ndim == 1 else 1
    if not input.layout.ndim:
        raise ValueError("nll_loss: Expected 1 or more dimensions; got none; need (N, C) or (C)")
    _check_target("nll_loss", input, target, dim)
    _check_weight("nll_loss", weight, input.layout.shape[dim])
    if target.layout.dtype not in (types.int64, types.uint8):
        raise RuntimeError(f"nll_loss: expected scalar type Long for target; got "
                           f"{target.layout.dtype}; convert with .long()")
    target = target.long()
    if weight is None:
        return _averaged("nll_loss", picked_terms(
            input, target, _classes(input, dim), dim, ignore_index), reduction, target)
    required("nll_loss", "a real floating type", input.layout.dtype)
    kept = target.ne(ignore_index)
    safe = target.masked_fill(~kept, 0)
    count = input.layout.shape[dim]
    wrong = safe.lt(0) | safe.ge(count)
    if found(any(wrong)):
        value = masked_select(target, wrong)[0].item()
        raise IndexError(f"nll_loss: Target {value} is out of bounds; need 0 <= target < {count}, "
                         "or ignore_index")
    terms = -squeeze(gather(input, dim, unsqueeze(safe, dim)), dim)
    chosen = index_select(weight, 0, reshape(safe, (-1,)))
    scale = kept.to(input.layout.dtype) * reshape(chosen, tuple(target.layout.shape))
    terms = terms * scale
    if reduction == "mean":
        return sum(terms) / sum(scale)
    return sum(terms) if reduction == "sum" else terms


def _classes(input, dim):
    """The class numbers along a dim, in the shape that broadcasts."""
    layout = input.layout
    return _counted_along(layout.shape[dim], layout.ndim - 1 - dim, layout.device)


@lru_cache(64)
def _counted_along(count, following, device):
    # Constants, which nothing writes to; a loss of a step should not make them each time.
    return reshape(arange(count, device=device), (-1,) + (1,) * following)


def _kept_and_bad(target, count, ignore_index):
    """Which targets count, and which are no class."""
    kept = target.ne(ignore_index)
    bad = kept & (target.lt(0) | target.ge(count))
    return kept, bad


@called("nll_loss")
@takes("a real floating type", "x")
@composite
def picked_terms(x: Tensor, target: Tensor, classes: Tensor, dim, ignore_index):
    """(-x at the target class, whether the target counts, whether it is no class)."""
    target = unsqueeze(target, dim)
    kept, bad = _kept_and_bad(target, x.shape[dim], ignore_index)
    picked = sum(choose(eq(classes, target), x, 0.0), dim, True)
    return choose(kept, -picked, 0.0), kept, bad


@composite
def picked_backward(g: Tensor, target: Tensor, classes: Tensor, dim, ignore_index):
    """The gradient of picked_terms: -g at the target class."""
    target = unsqueeze(target, dim)
    return choose(eq(classes, target) & target.ne(ignore_index), -g, 0.0)


@picked_terms.gradient
def _picked_gradient(gs, target, classes, dim, ignore_index):
    return picked_backward(gs[0], target, classes, dim, ignore_index), None, None


@called("cross_entropy")
@takes("a real floating type", "x")
@composite
def cross_entropy_terms(x: Tensor, target: Tensor, classes: Tensor, dim, ignore_index):
    """(log(sum(exp(x))) - x at the target class, whether it counts, whether it is no class)."""
    target = unsqueeze(target, dim)
    kept, bad = _kept_and_bad(target, x.shape[dim], ignore_index)
    shifted = x - amax(x, dim, True)
    total = log_of(sum(exp_of(shifted), dim, True))
    picked = sum(choose(eq(classes, target), shifted, 0.0), dim, True)
    return choose(kept, total - picked, 0.0), kept, bad


@composite
def cross_entropy_backward(g: Tensor, x: Tensor, target: Tensor, classes: Tensor, dim,
                           ignore_index):
    """The gradient of cross_entropy_terms: (softmax(x) - one at the target class) * g."""
    target = unsqueeze(target, dim)
    e = exp_of(x - amax(x, dim, True))
    share = e / sum(e, dim, True)
    g = choose(target.ne(ignore_index), g, 0.0)
    return choose(eq(classes, target), share - 1.0, share) * g


@cross_entropy_terms.gradient
def _cross_entropy_gradient(gs, x, target, classes, dim, ignore_index):
    return cross_entropy_backward(gs[0], x, target, classes, dim, ignore_index), None, None


@called("nll_loss")
@composite
def kept_mean(terms: Tensor, kept: Tensor, bad: Tensor):
    """(the sum of the terms over the number that count, that number, how many are no class)."""
    count = sum(kept)
    return sum(terms) / count, count, sum(bad)


@kept_mean.gradient
def _kept_mean_gradient(gs, out1, terms_layout):
    return expand(gs[0] / out1, tuple(terms_layout.shape)), None, None


def _averaged(operation, parts, reduction, target):
    """The loss from its terms; raises IndexError where a target is no class."""
    terms, kept, bad = parts
    average, _, wrong = kept_mean(terms, kept, bad)
    if found(wrong):
        place = int(reshape(bad, (-1,)).to(types.int32).argmax().item())
        value = reshape(target, (-1,))[place].item()
        raise IndexError(
            f"{operation}: Target {value} is out of bounds; it stands at flat position {place} of "
            f"the target; need 0 <= target < the number of classes, or ignore_index"
        )
    # PyTorch's name for it.
    label = "nll_loss2d" if target.layout.ndim > 1 else "nll_loss"
    if reduction == "mean":
        return average if label == "nll_loss" else counts_as(average, label)
    if reduction == "sum":
        return counts_as(sum(terms), label)
    return counts_as(reshape(terms, tuple(target.layout.shape)), label)


def cross_entropy(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None,
                  reduction="mean", label_smoothing=0.0):
    """nll_loss(log_softmax(input), target), or against class probabilities of the input's shape.

    input (N, C, ...) or (C) of logits; target (N, ...) of class indices, or like the input.

    >>> import cresset
    >>> logits = cresset.tensor([[2.0, 0.0], [0.0, 2.0]])
    >>> cresset.nn.functional.cross_entropy(logits, cresset.tensor([0, 1]))
    tensor(0.1269)
    """
    reduction = _legacy(size_average, reduce, reduction)
    _check_reduction("cross_entropy", reduction)
    if label_smoothing > 1:
        raise RuntimeError(
            f"cross_entropy: label_smoothing must be between 0.0 and 1.0; got {label_smoothing}; "
            "it is the share of the target that is spread over all classes"
        )
    if not input.layout.ndim:
        raise RuntimeError("cross_entropy: Expected 1 or more dimensions; got none; need (N, C) "
                           "or (C)")
    dim = 0 if input.layout.ndim == 1 else 1
    if weight is None and not label_smoothing and target.layout.dtype is types.int64:
        _check_target("cross_entropy", input, target, dim)
        parts = cross_entropy_terms(input, target, _classes(input, dim), dim, ignore_index)
        return _averaged("cross_entropy", parts, reduction, target)
    logs = log_softmax(input, dim)
    if target.layout.dtype.is_floating_point and target.layout.shape == input.layout.shape:
        _check_weight("cross_entropy", weight, input.layout.shape[dim])
        return _soft_cross_entropy(logs, target, dim, weight, reduction, label_smoothing)
    loss = nll_loss(logs, target, weight, None, ignore_index, None, reduction)
    if not label_smoothing:
        return loss
    classes = input.layout.shape[dim]
    kept = target.ne(ignore_index)
    smooth = logs if weight is None else logs * _along(weight, dim, logs.layout.ndim)
    smooth = (-sum(smooth, dim)).masked_fill(~kept, 0.0)
    if reduction == "mean":
        scale = sum(kept) if weight is None else sum(
            index_select(weight, 0, reshape(target.masked_fill(~kept, 0), (-1,)))
            * reshape(kept, (-1,)))
        smooth = sum(smooth) / scale
    elif reduction == "sum":
        smooth = sum(smooth)
    return loss * (1.0 - label_smoothing) + smooth * (label_smoothing / classes)


def _along(weight, dim, rank):
    """A vector that broadcasts along one dim."""
    shape = [1] * rank
    shape[dim] = -1
    return reshape(weight, tuple(shape))


def _soft_cross_entropy(logs, target, dim, weight, reduction, label_smoothing):
    if label_smoothing:
        classes = logs.layout.shape[dim]
        target = target * (1.0 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        target = target * _along(weight, dim, target.layout.ndim)
    terms = -sum(logs * target, dim)
    if reduction == "mean":
        return sum(terms) / float(max(terms.layout.numel, 1))
    return sum(terms) if reduction == "sum" else terms
