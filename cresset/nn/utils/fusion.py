"""Batch normalisation in evaluation, folded into the layer before it."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import cresset
from cresset import Tensor
from cresset.nn.module import Module
from cresset.nn.modules.conv import _ConvTransposeNd
from cresset.nn.parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval",
           "fuse_linear_bn_weights"]


def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool = False) -> Module:
    """A convolution that computes `bn(conv(x))`, for both in evaluation (AssertionError else).

    >>> conv, bn = cresset.nn.Conv1d(2, 3, 1).eval(), cresset.nn.BatchNorm1d(3).eval()
    >>> x = cresset.ones(1, 2, 4)
    >>> bool(cresset.allclose(fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-6))
    True
    """
    transpose = transpose or isinstance(conv, _ConvTransposeNd)
    return _fused(conv, bn, partial(fuse_conv_bn_weights, transpose=transpose))


def fuse_linear_bn_eval(linear: Module, bn: Module) -> Module:
    """A linear layer that computes `bn(linear(x))`, for both in evaluation (AssertionError else).
    """
    return _fused(linear, bn, fuse_linear_bn_weights)


def _fused(layer: Any, bn: Any, fuse: Any) -> Module:
    assert not (layer.training or bn.training), "fusion: only for evaluation; call eval() before"
    fused = copy.deepcopy(layer)
    fused.weight, fused.bias = fuse(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_conv_bn_weights(
    conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float,
    bn_w: Tensor | None, bn_b: Tensor | None, transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a convolution with those and the running figures of a normalisation in.

    `transpose` tells of a transposed convolution, whose weight has the outputs in dim 1.
    """
    scale = (bn_rv + bn_eps).rsqrt()
    if bn_w is not None:
        scale = scale * bn_w
    shift = cresset.zeros_like(bn_rm) if bn_b is None else bn_b
    bias = bn_rm.neg() if conv_b is None else conv_b - bn_rm
    shape = [1] * conv_w.dim()
    shape[1 if transpose else 0] = -1
    weight = conv_w * scale.reshape(shape).to(conv_w.dtype)
    learnt = conv_w.requires_grad, conv_w.requires_grad if conv_b is None else conv_b.requires_grad
    return Parameter(weight.detach(), learnt[0]), Parameter((bias * scale + shift).detach(),
                                                            learnt[1])


def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float,
    bn_w: Tensor | None, bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a linear layer with those and the figures of a normalisation in."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
