"""Automatic differentiation: a graph of nodes recorded as operations run, walked backwards."""

from cresset.autograd.engine import backward, grad
from cresset.autograd.function import Function
from cresset.autograd.gradcheck import gradcheck, gradgradcheck
from cresset.autograd.mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)

__all__ = ["Function", "backward", "enable_grad", "grad", "gradcheck", "gradgradcheck",
           "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "no_grad",
           "set_grad_enabled"]
