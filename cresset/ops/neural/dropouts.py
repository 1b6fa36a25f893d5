"""Dropout: parts of a tensor left out at random, and what draws random slopes like it."""

from __future__ import annotations

import math

from cresset.core import dtype as types
from cresset.core.families import required
from cresset.core.tensor import Number
from cresset.ops import meta
from cresset.ops.creation.tensors import empty, empty_like, ones_like, tensor
from cresset.ops.kinds import elementwise
from cresset.ops.neural.activation import leaky_relu
from cresset.ops.operation import called
from cresset.ops.random_numbers.random import draw

__all__ = ["alpha_dropout", "dropout", "feature_alpha_dropout", "feature_dropout", "rrelu",
           "rrelu_"]

# SELU's value at minus infinity is -ALPHA.
ALPHA = 1.7580993408473766


@called("dropout")
@elementwise
def scale_kept(x, mask, keep: Number):
    """x * (mask / keep)."""
    return x * (mask / keep)


def _check(name, p):
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name}: dropout probability has to be between 0 and 1, but got {p}")


def dropout(input, p=0.5, training=True, inplace=False):
    """x with each element zeroed with probability p and the others divided by 1 - p.

    Returns x itself when not training (Srivastava et al. 2014).
    """
    _check("dropout", p)
    if not training or p == 0.0:
        return input
    if p == 1.0:
        return input.mul_(0.0) if inplace else input * 0.0
    required("dropout", "a real floating type", input.layout.dtype)
    mask = draw("bernoulli", meta.new(input.layout.like()), 1.0 - p)
    form = scale_kept.in_place if inplace else scale_kept
    return form(input, mask, 1.0 - p)


def feature_dropout(input, p=0.5, training=True, inplace=False):
    """dropout of whole channels of (N, C, ...): all of a channel, or nothing.

    Raises RuntimeError for fewer than 2 dims. Tompson and others (2014).
    """
    kept = _kept_channels("feature_dropout", input, p, training)
    if kept is None:
        return input
    if p == 1.0:
        return input.mul_(0.0) if inplace else input * 0.0
    form = scale_kept.in_place if inplace else scale_kept
    return form(input, kept, 1.0 - p)


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout that sets to SELU's lowest value and then keeps mean 0 and variance 1.

    Klambauer and others (2017).
    """
    _check("alpha_dropout", p)
    if not training or p == 0.0:
        return input
    required("alpha_dropout", "a real floating type", input.layout.dtype)
    kept = None if p == 1.0 else draw("bernoulli", empty_like(input), 1.0 - p)
    return _lowered(input, kept, p, inplace)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """alpha_dropout of whole channels of (N, C, ...): all of a channel, or nothing."""
    kept = _kept_channels("feature_alpha_dropout", input, p, training)
    return input if kept is None else _lowered(input, kept, p, inplace)


def _kept_channels(name, x, p, training):
    """Ones for the channels that stay; None where all do."""
    _check(name, p)
    if not training or p == 0.0:
        return None
    if x.layout.ndim < 2:
        raise RuntimeError(
            f"{name}: requires at least 2 dimensions in the input; got {tuple(x.layout.shape)}"
        )
    required(name, "a real floating type", x.layout.dtype)
    channels = (*x.layout.shape[:2], *[1] * (x.layout.ndim - 2))
    kept = empty(channels, dtype=x.layout.dtype, device=x.layout.device)
    return kept if p == 1.0 else draw("bernoulli", kept, 1.0 - p)


def _lowered(x, kept, p, inplace):
    """x where `kept` is 1 and -ALPHA elsewhere, scaled and shifted to mean 0 and variance 1."""
    if p == 1.0:
        return x.mul_(0.0) if inplace else x * 0.0
    scale = 1.0 / math.sqrt((ALPHA * ALPHA * p + 1.0) * (1.0 - p))
    shift = (kept - 1.0).mul_(ALPHA * scale).add_(ALPHA * scale * p)
    kept = kept.mul_(scale)
    return x.mul_(kept).add_(shift) if inplace else x * kept + shift


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """x where positive, else a * x, with a uniform in [lower, upper) for each, if training.

    Otherwise a = (lower + upper) / 2. Xu and others (2015).
    """
    if lower > upper:
        raise RuntimeError(
            f"rrelu: Lower bound should be less than or equal to the upper bound; got {lower} and "
            f"{upper}"
        )
    if not training:
        slope = (lower + upper) / 2
        return leaky_relu.in_place(input, slope) if inplace else leaky_relu(input, slope)
    required("rrelu", "a real floating type", input.layout.dtype)
    negative = input.detach() <= 0
    slopes = ones_like(input.detach())
    if input.layout.device == "meta":
        return input.mul_(slopes) if inplace else input * slopes
    drawn = empty(int(negative.sum()), dtype=types.float64, device="cpu")
    # In float64 between bounds of x's type, in row order, for what is not positive alone.
    bounds = tensor([lower, upper], dtype=input.layout.dtype, device="cpu").tolist()
    draw("uniform", drawn, *bounds)
    slopes.masked_scatter_(negative, drawn.to(slopes.dtype))
    return input.mul_(slopes) if inplace else input * slopes


def rrelu_(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """`rrelu` in place."""
    return rrelu(input, lower, upper, training, inplace=True)
