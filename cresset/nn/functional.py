"""The functions of `nn`: activations, layers without state, losses; all with PyTorch's signatures.

Most are operations of `cresset.ops` and stand here under their own names. The functions below add
what PyTorch adds to an operation (`inplace`, an implicit dim) or are written over others.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import cresset
from cresset import Tensor, ops
from cresset.core.missing import found_late
from cresset.nn.losses import (
    cosine_embedding_loss,
    ctc_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    poisson_nll_loss,
    soft_margin_loss,
    triplet_margin_loss,
)
from cresset.ops import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    affine_grid,
    alpha_dropout,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    batch_norm,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    channel_shuffle,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    cosine_similarity,
    cross_entropy,
    dropout,
    embedding,
    embedding_bag,
    feature_alpha_dropout,
    gelu,
    grid_sample,
    group_norm,
    hardshrink,
    huber_loss,
    interpolate,
    kl_div,
    l1_loss,
    layer_norm,
    linear,
    logsigmoid,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
    mse_loss,
    nll_loss,
    normalize,
    one_hot,
    pad,
    pairwise_distance,
    pdist,
    pixel_shuffle,
    pixel_unshuffle,
    rrelu,
    rrelu_,
    scaled_dot_product_attention,
    sigmoid,
    smooth_l1_loss,
    softplus,
    softsign,
    tanh,
    tanhshrink,
    upsample,
)
from cresset.ops.arguments import guard as _guard
from cresset.ops.neural.activation import prelu_kernel
from cresset.ops.neural.folding import fold, unfold
from cresset.ops.reductions.normalization import check_running

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "affine_grid",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "ctc_loss",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "embedding",
    "embedding_bag",
    "feature_alpha_dropout",
    "fold",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "grid_sample",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mish",
    "mse_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pdist",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "rrelu",
    "rrelu_",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "triplet_margin_loss",
    "unfold",
    "upsample",
]

# --- activations ----------------------------------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(0, x).

    >>> relu(cresset.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return ops.relu.in_place(input) if inplace else ops.relu(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(0, x), 6)."""
    return ops.relu6.in_place(input) if inplace else ops.relu6(input)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """x cut to [min_val, max_val]. Raises ValueError where min_val is above max_val."""
    if min_val > max_val:
        raise ValueError(
            f"hardtanh: min_val cannot be greater than max_val; got {min_val} and {max_val}"
        )
    if not input.dtype.is_floating_point:
        min_val, max_val = int(min_val), int(max_val)
        if min_val < 0 and input.dtype is cresset.uint8:
            raise RuntimeError(
                "hardtanh: cannot do hardtanh on an unsigned type with negative limits; got "
                f"{min_val}; convert with .int()"
            )
    if inplace:
        return ops.hardtanh.in_place(input, min_val, max_val)
    return ops.hardtanh(input, min_val, max_val)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x."""
    if inplace:
        return ops.leaky_relu.in_place(input, negative_slope)
    return ops.leaky_relu(input, negative_slope)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (exp(x) - 1). Clevert and others (2015)."""
    return ops.elu.in_place(input, alpha) if inplace else ops.elu(input, alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * (x where x > 0, else alpha * (exp(x) - 1)), the constants those of
    Klambauer and others (2017): activations keep mean 0 and variance 1.
    """
    return ops.selu.in_place(input) if inplace else ops.selu(input)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1)). Barron (2017)."""
    return ops.celu.in_place(input, alpha) if inplace else ops.celu(input, alpha)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x), also called swish."""
    return ops.silu.in_place(input) if inplace else ops.silu(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)). Misra (2019)."""
    return ops.mish.in_place(input) if inplace else ops.mish(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * relu6(x + 3) / 6. Howard and others (2019)."""
    return ops.hardswish.in_place(input) if inplace else ops.hardswish(input)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """relu6(x + 3) / 6."""
    return ops.hardsigmoid.in_place(input) if inplace else ops.hardsigmoid(input)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value."""
    if inplace:
        return ops.threshold.in_place(input, threshold, value)
    return ops.threshold(input, threshold, value)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x - lambd where x > lambd, x + lambd where x < -lambd, else 0.

    RuntimeError unless lambd is a finite number that is not negative.
    """
    if not 0 <= lambd < math.inf:
        raise RuntimeError(
            f"softshrink: lambda must be finite and not negative; got {lambd}; it is how far "
            "elements move towards 0"
        )
    return ops.softshrink(input, lambd)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight * x; one weight, or one for each channel (dim 1).

    Raises RuntimeError for another number of weights. He and others (2015).
    """
    if weight.numel() != 1:
        channels = input.shape[1] if input.dim() > 1 else 1
        if weight.numel() != channels:
            raise RuntimeError(
                f"prelu: {weight.numel()} weights were given for {channels} channels of an input "
                f"of shape {tuple(input.shape)}; need 1 or {channels}"
            )
        weight = weight.reshape((-1,) + (1,) * (input.dim() - 2))
    return prelu_kernel(input, weight)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), where a and b are the halves of the input along `dim`.

    RuntimeError if that dim is odd. Dauphin and others (2016).
    """
    if not input.dim():
        raise RuntimeError("glu: does not support scalars because halving size must be even")
    if not input.dtype.is_floating_point and not input.dtype.is_complex:
        raise NotImplementedError(
            f"glu: not implemented for {input.dtype}; need a floating type; convert with .float()"
        )
    if input.size(dim) % 2:
        raise RuntimeError(
            f"glu: dim {dim} of the input has size {input.shape[dim]}; need an even one to halve"
        )
    value, gate = input.chunk(2, dim)
    return value * gate.sigmoid()


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`; computed in `dtype` where one is given.

    Without `dim` the choice PyTorch made long ago: 0 for 0, 1 and 3 dims, else 1, with a warning.

    >>> softmax(cresset.zeros(2, 4), dim=1)[0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    if dim is None:
        dim = _implicit_dim("softmax", input)
    return ops.softmax(input, dim) if dtype is None else ops.softmax(input, dim, dtype=dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """softmax(-x)."""
    if dim is None:
        dim = _implicit_dim("softmin", input)
    return softmax(-input, dim, dtype=dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """log(softmax(x)) along `dim`, without its overflow. Arguments as `softmax`."""
    if dim is None:
        dim = _implicit_dim("log_softmax", input)
    if dtype is None:
        return ops.log_softmax(input, dim)
    return ops.log_softmax(input, dim, dtype=dtype)


def _implicit_dim(name: str, input: Tensor) -> int:
    # From here to the function, its guard, and who called it.
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
        stacklevel=4,
    )
    return 0 if input.dim() in (0, 1, 3) else 1


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """softmax((logits + Gumbel noise) / tau): a differentiable draw of a category.

    With `hard` the result is one-hot, its gradient that of the soft draw. `eps` has no effect. Jang
    and others (2016).
    """
    noise = -cresset.empty_like(logits).exponential_().log()
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    index = soft.argmax(dim, keepdim=True)
    chosen = cresset.zeros_like(soft).scatter_(dim, index, 1.0)
    return chosen - soft.detach() + soft


# --- layers without state -------------------------------------------------------------------------


def bilinear(
    input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """x1 @ weight[k] @ x2 + bias[k] for every output k; weight has shape (out, in1, in2)."""
    if weight.dim() != 3:
        raise IndexError(
            f"bilinear: weight has shape {tuple(weight.shape)}; need 3 dims, (out, in1, in2)"
        )
    outputs, length1, length2 = weight.shape
    rows1 = input1.reshape(-1, length1)
    rows2 = input2.reshape(-1, length2)
    pairs = (rows1.unsqueeze(2) * rows2.unsqueeze(1)).reshape(-1, length1 * length2)
    result = linear(pairs, weight.reshape(outputs, -1), bias)
    return result.reshape(*input1.shape[:-1], outputs)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over each channel of each sample.

    With `use_input_stats` the figures are the sample's, and the running ones, where given, follow
    their mean over the batch; else the running ones are used. Raises ValueError if a channel has a
    single value. Ulyanov and others (2016).
    """
    if not use_input_stats:
        return batch_norm(
            input, running_mean, running_var, weight, bias, False, momentum, eps
        )
    batch, channels = input.shape[:2]
    if math.prod(input.shape[2:]) == 1:
        raise ValueError(
            "instance_norm: Expected more than 1 spatial element when training, got input size "
            f"{input.shape}"
        )
    check_running("instance_norm", input, running_mean=running_mean, running_var=running_var)
    made = group_norm(input, channels, weight, bias, eps)
    if running_mean is not None and running_var is not None:
        with cresset.no_grad():
            values = input.transpose(0, 1).reshape(channels, batch, -1)
            means = values.mean(2).mean(1)
            variances = values.var(2).mean(1)
            running_mean.copy_(running_mean + momentum * (means - running_mean))
            running_var.copy_(running_var + momentum * (variances - running_var))
    return made


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha * mean of the squares of `size` neighbouring channels)^beta.

    Input (N, C, ...); channels that are not there count as zeros. Raises ValueError for fewer than
    three dims. Krizhevsky and others (2012).
    """
    if input.dim() < 3:
        raise ValueError(
            f"local_response_norm: Expected 3D or higher dimensionality input (got {input.dim()} "
            "dimensions)"
        )
    if input.numel() == 0:
        return input
    squares = (input * input).flatten(2).unsqueeze(1)
    squares = pad(squares, (0, 0, size // 2, (size - 1) // 2))
    means = avg_pool2d(squares, (size, 1), stride=1).reshape(input.shape)
    return input / (k + alpha * means) ** beta


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last dims, those of `normalized_shape`.

    `eps` defaults to the step from 1 to the next number of the type computed in. Raises
    RuntimeError if the input does not end in `normalized_shape`. Zhang and Sennrich (2019).
    """
    shape = tuple(normalized_shape)
    if tuple(input.shape[input.dim() - len(shape) :]) != shape:
        raise RuntimeError(
            f"rms_norm: the input has shape {tuple(input.shape)}; need one that ends in {shape}, "
            "the normalized_shape"
        )
    return ops.rms_norm(input, shape, weight, eps)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of (N, C, L) or (C, L): all of a channel, or nothing."""
    return _drop_channels("dropout1d", input, p, training, inplace, unbatched=2)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of (N, C, H, W): all of a channel, or nothing.

    Three dims are taken as (N, C, L), as PyTorch takes them. Tompson and others (2014).
    """
    return _drop_channels("dropout2d", input, p, training, inplace, unbatched=0)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    return _drop_channels("dropout3d", input, p, training, inplace, unbatched=4)


def _drop_channels(
    name: str, input: Tensor, p: float, training: bool, inplace: bool, unbatched: int
) -> Tensor:
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: dropout probability has to be between 0 and 1, but got {p}")
    if input.dim() != unbatched:
        return ops.feature_dropout(input, p, training, inplace)
    if inplace:
        ops.feature_dropout(input.unsqueeze(0), p, training, True)
        return input
    return ops.feature_dropout(input.unsqueeze(0), p, training).squeeze(0)


globals().update(_guard(globals(), __all__))

__getattr__, __dir__ = found_late(globals())
