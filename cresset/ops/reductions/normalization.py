"""Softmax and normalisations: rows scaled by what they hold; each is one kernel."""

from __future__ import annotations

from functools import wraps
from math import prod

from cresset.core.dtype import bfloat16, float16, float32, float64
from cresset.core.families import required
from cresset.core.tensor import Tensor
from cresset.ops.kinds import composite
from cresset.ops.operation import called, counted_as, takes
from cresset.ops.out import with_out
from cresset.ops.pointwise.arithmetic import rsqrt
from cresset.ops.pointwise.exponential import exp, log
from cresset.ops.reductions.reduction import greatest_along, mean, sum
from cresset.ops.shapes.shape import reshape, unsqueeze

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "log_softmax", "rms_norm",
           "softmax"]


@called("softmax")
@composite
def softmax_rows(x: Tensor, dim):
    """exp(x) / sum(exp(x)) over a dim, without overflow."""
    e = exp(x - greatest_along(x, dim))
    return e * (1.0 / sum(e, dim, True))


@composite
def softmax_backward(g: Tensor, out: Tensor, dim):
    """The gradient of softmax: out * (g - sum(g * out))."""
    return out * (g - sum(g * out, dim, True))


@softmax_rows.gradient
def _softmax_gradient(g, out, dim):
    return softmax_backward(g, out, dim)


@called("logSoftmax")
@composite
def log_softmax_rows(x: Tensor, dim):
    """x - log(sum(exp(x))) over a dim, without overflow."""
    shifted = x - greatest_along(x, dim)
    return shifted - log(sum(exp(shifted), dim, True))


@composite
def log_softmax_backward(g: Tensor, out: Tensor, dim):
    """The gradient of log_softmax: g - exp(out) * sum(g)."""
    return g - exp(out) * sum(g, dim, True)


@log_softmax_rows.gradient
def _log_softmax_gradient(g, out, dim):
    return log_softmax_backward(g, out, dim)


def _refuse_integers(name, x):
    if not x.layout.dtype.is_differentiable:
        raise NotImplementedError(
            f"{name}: not implemented for {x.layout.dtype}; need a floating type; convert with "
            ".float(), or name a dtype"
        )


@with_out
def softmax(input, dim, dtype=None):
    """exp(x) / sum(exp(x)) over a dim, without overflow.

    >>> import cresset
    >>> cresset.softmax(cresset.tensor([0.0, 0.0]), 0)
    tensor([0.5000, 0.5000])
    """
    if dtype is not None:
        input = input.to(dtype=dtype)
    _refuse_integers("softmax", input)
    return softmax_rows(input, dim)


@with_out
def log_softmax(input, dim, dtype=None):
    """log(softmax(x)) over a dim, computed without the quotient."""
    if dtype is not None:
        input = input.to(dtype=dtype)
    _refuse_integers("log_softmax", input)
    return log_softmax_rows(input, dim)


Tensor.softmax = softmax
Tensor.log_softmax = log_softmax


# --- layer normalisation --------------------------------------------------------------------------
@called("nativeLayerNorm")
@takes("a real floating type")
@composite
def layer_norm_rows(x: Tensor, rank, weight: Tensor | None, bias: Tensor | None, eps):
    """(x - mean) / sqrt(var + eps) over the last `rank` dims, times weight plus bias."""
    dims = tuple(range(-rank, 0))
    center = x - mean(x, dims, True)
    out = center * rsqrt(mean(center * center, dims, True) + eps)
    if weight is not None:
        out = out * weight
    return out if bias is None else out + bias


@composite
def layer_norm_backward(g: Tensor, x: Tensor, rank, weight: Tensor | None, eps):
    """The gradient of layer_norm by x."""
    dims = tuple(range(-rank, 0))
    center = x - mean(x, dims, True)
    scale = rsqrt(mean(center * center, dims, True) + eps)
    unit = center * scale
    if weight is not None:
        g = g * weight
    return (g - mean(g, dims, True) - unit * mean(g * unit, dims, True)) * scale


@takes("a real floating type")
@composite
def normalized(x: Tensor, rank, eps):
    """(x - mean) / sqrt(var + eps) over the last `rank` dims."""
    dims = tuple(range(-rank, 0))
    center = x - mean(x, dims, True)
    return center * rsqrt(mean(center * center, dims, True) + eps)


@layer_norm_rows.gradient
def _layer_norm_gradient(g, x, weight, rank, eps, needs):
    by_x = layer_norm_backward(g, x, rank, weight, eps) if needs[0] else None
    by_weight = by_bias = None
    outer = tuple(range(x.layout.ndim - rank))
    if needs[1]:
        by_weight = sum(g * normalized(x, rank, eps), outer) if outer else g * normalized(
            x, rank, eps)
    if needs[2]:
        by_bias = sum(g, outer) if outer else g
    return by_x, by_weight, by_bias


def _mixed(function):
    """The normalisation, in float32 of a half input with float32 parameters; as the input then.

    So layers keep their parameters while what flows through them is halved.
    """

    @wraps(function)
    def normalize(input, *args, **options):
        half = input.layout.dtype in (float16, bfloat16)
        if half and any(
            isinstance(x, Tensor) and x.layout.dtype is float32
            for x in (*args, *options.values())
        ):
            return function(input.to(float32), *args, **options).to(input.layout.dtype)
        return function(input, *args, **options)

    return normalize


@_mixed
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """(input - mean) / sqrt(var + eps) * weight + bias over the last dims (Ba et al. 2016).

    `normalized_shape` is the shape of those dims; the variance is the biased one.

    >>> import cresset
    >>> cresset.layer_norm(cresset.tensor([1.0, 3.0]), (2,), eps=0.0)
    tensor([-1.,  1.])
    """
    rank = len(normalized_shape)
    if input.layout.shape[input.layout.ndim - rank :] != tuple(normalized_shape) or not rank:
        raise RuntimeError(
            f"layer_norm: given normalized_shape={list(normalized_shape)}, expected input with "
            f"shape [*, {', '.join(map(str, normalized_shape))}], but got input of size "
            f"{list(input.layout.shape)}; the last dims must be those that are normalized"
        )
    return layer_norm_rows(input, rank, weight, bias, eps)


# --- batch normalisation --------------------------------------------------------------------------
@called("nativeBatchNorm")
@takes("a real floating type")
@composite
def batch_norm_train(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps):
    """(normalised x, mean, biased variance) over all dims but the second."""
    dims = (0, *range(2, x.ndim))
    average = mean(x, dims, True)
    center = x - average
    variance = mean(center * center, dims, True)
    out = center * rsqrt(variance + eps)
    if weight is not None:
        out = out * _per_channel(weight, x.ndim)
    if bias is not None:
        out = out + _per_channel(bias, x.ndim)
    return out, average, variance


@composite
def batch_norm_backward(g: Tensor, by_average: Tensor, by_variance: Tensor, x: Tensor,
                        weight: Tensor | None, average: Tensor, variance: Tensor, eps):
    """The gradients of batch_norm in training by x, weight and bias, from all three results'."""
    dims = (0, *range(2, x.ndim))
    scale = rsqrt(variance + eps)
    unit = (x - average) * scale
    by_bias = sum(g, dims, True)
    by_weight = sum(g * unit, dims, True)
    count = float(prod(x.shape[d] for d in dims))
    by_x = (g - by_bias / count - unit * (by_weight / count)) * scale
    if weight is not None:
        by_x = by_x * _per_channel(weight, x.ndim)
    by_x = by_x + (by_average + 2.0 * by_variance * (x - average)) / count
    return by_x, by_weight, by_bias


@batch_norm_train.gradient
def _batch_norm_gradient(gs, x, weight, eps, needs, out1, out2):
    by_x, by_weight, by_bias = batch_norm_backward(*gs, x, weight, out1, out2, eps)
    return (
        by_x,
        reshape(by_weight, (-1,)) if needs[1] else None,
        reshape(by_bias, (-1,)) if needs[2] else None,
    )


def _per_channel(x, rank):
    """A vector of channels in the shape (channels, 1, ...) that broadcasts over a batch."""
    for _ in range(rank - 2):
        x = unsqueeze(x, -1)
    return x


@called("nativeBatchNorm")
@takes("a real floating type")
@composite
def batch_norm_apply(x: Tensor, average: Tensor, variance: Tensor, weight: Tensor | None,
                     bias: Tensor | None, eps):
    """Batch normalisation by given means and variances."""
    rank = x.ndim
    out = (x - _per_channel(average, rank)) * rsqrt(_per_channel(variance, rank) + eps)
    if weight is not None:
        out = out * _per_channel(weight, rank)
    return out if bias is None else out + _per_channel(bias, rank)


def check_running(operation, input, **statistics):
    """Raise unless running statistics are vectors of a real number for each channel, or None."""
    channels = input.layout.shape[1]
    for name, x in statistics.items():
        if x is None:
            continue
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{operation}(): argument '{name}' must be Tensor, not {type(x).__name__}; make "
                "one with cresset.tensor(...)"
            )
        if tuple(x.layout.shape) != (channels,) or not x.layout.dtype.is_floating_point:
            raise RuntimeError(
                f"{operation}: {name} should contain {channels} elements, one real number for each "
                f"channel; got shape {tuple(x.layout.shape)} of {x.layout.dtype}"
            )


@_mixed
def batch_norm(input, running_mean=None, running_var=None, weight=None, bias=None, training=False,
               momentum=0.1, eps=1e-5):
    """(input - mean) / sqrt(var + eps) * weight + bias for every channel (Ioffe & Szegedy 2015).

    In training, mean and variance are those of the batch, and the running ones, where given, move
    towards them by `momentum` (the variance by the unbiased one). Otherwise the running ones serve.

    Raises ValueError in training where a channel has one value, RuntimeError without running
    statistics in evaluation.
    """
    if input.layout.ndim < 2:
        raise RuntimeError(f"batch_norm: needs at least 2 dims; got {tuple(input.layout.shape)}")
    required("batch_norm", "a real floating type", input.layout.dtype)
    check_running("batch_norm", input, running_mean=running_mean, running_var=running_var)
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "batch_norm: Expected running_mean and running_var to be defined when "
                "training=False"
            )
        return batch_norm_apply(input, running_mean, running_var, weight, bias, eps)
    count = input.layout.numel // max(input.layout.shape[1], 1)
    if count <= 1:
        raise ValueError(
            "batch_norm: Expected more than 1 value per channel when training, got input size "
            f"{tuple(input.layout.shape)}; give a larger batch, or call eval()"
        )
    out, average, variance = batch_norm_train(input, weight, bias, eps)
    if running_mean is not None:
        running_mean.lerp_(average.detach().view(-1), momentum)
    if running_var is not None:
        unbiased = variance.detach().view(-1) * (count / (count - 1.0))
        running_var.lerp_(unbiased, momentum)
    return out


@counted_as("nativeGroupNorm")
@_mixed
def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Normalisation over groups of channels and all places (Wu & He 2018)."""
    shape = input.layout.shape
    if len(shape) < 2:
        raise RuntimeError(
            f"group_norm: Expected at least 2 dimensions for input tensor but received {len(shape)}"
            f"; got shape {tuple(shape)}; need (N, C, ...)"
        )
    if shape[1] % num_groups:
        raise RuntimeError(
            f"group_norm: expected number of channels in input to be divisible by num_groups, but "
            f"got input of shape {list(shape)} and num_groups={num_groups}"
        )
    rows = normalized(reshape(input, (shape[0], num_groups, -1)), 1, eps)
    out = reshape(rows, tuple(shape))
    if weight is not None:
        out = out * _per_channel(weight, len(shape))
    return out if bias is None else out + _per_channel(bias, len(shape))


def instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None,
                  use_input_stats=True, momentum=0.1, eps=1e-5):
    """Normalisation of every channel of every sample by itself (Ulyanov et al. 2016)."""
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    return group_norm(input, input.layout.shape[1], weight, bias, eps)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """input / sqrt(mean(input ** 2) + eps) over the last dims (Zhang & Sennrich 2019)."""
    if eps is None:
        eps = 2.0**-52 if input.layout.dtype.to_real() is float64 else 2.0**-23
    out = rms_rows(input, len(normalized_shape), float(eps))
    return out if weight is None else out * weight


@called("rms_norm")
@takes("a floating type")
@composite
def rms_rows(x: Tensor, rank, eps):
    """x / sqrt(mean(x ** 2) + eps) over the last `rank` dims."""
    return x * rsqrt(mean(x * x, tuple(range(-rank, 0)), True) + eps)

