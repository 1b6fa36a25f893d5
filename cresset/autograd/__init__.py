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
from cresset.autograd.variable import Variable
from cresset.core.missing import found_late
from cresset.ops.arguments import guard

__all__ = ["Function", "Variable", "backward", "enable_grad", "grad", "gradcheck", "gradgradcheck",
           "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "no_grad",
           "set_grad_enabled"]

globals().update(guard(globals(), ("backward", "grad", "gradcheck", "gradgradcheck")))

__getattr__, __dir__ = found_late(globals(), {"functional": (), "graph": ()})
