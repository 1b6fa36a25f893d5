"""Cresset: tensors, automatic differentiation and one compiler, with PyTorch's API.

    >>> import cresset as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> (x ** 2).sum().backward()
    >>> x.grad
    tensor([2., 4.])

This file puts the layers together: it gathers the public names, and fills the slots through which a
lower layer calls a higher one.
"""

from __future__ import annotations

import importlib

from cresset.core import dtype as _types
from cresset.core.device import device
from cresset.core.dtype import dtype, get_default_dtype, set_default_dtype
from cresset.core.layout import Size, broadcast_shapes
from cresset.core.tensor import Tensor
from cresset.ops import dispatch as _dispatch

__version__ = "0.1.0"

# Element types under their names and aliases.
for _d in _types.ALL:
    globals()[_d.name] = _d
globals().update(_types.ALIASES)

# Modules of operations whose public functions are public names here.
_OPERATIONS = (
    "arithmetic", "comparison", "exponential", "reduction", "extremes", "conversion", "creation",
    "shape", "attributes", "exchange", "indexing", "gathering", "joining", "linear", "normalization",
    "random", "ordering", "printing",
)
for _name in _OPERATIONS:
    _module = importlib.import_module(f"cresset.ops.{_name}")
    for _public, _thing in vars(_module).items():
        if callable(_thing) and getattr(_thing, "__module__", "") == _module.__name__ and (
            not _public.startswith("_")
        ):
            globals()[_public] = _thing

from cresset import autograd  # noqa: E402
from cresset.autograd import (  # noqa: E402
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from cresset.autograd import methods as _methods  # noqa: E402, F401
from cresset.autograd import node as _node  # noqa: E402
from cresset.autograd import rebase as _rebase  # noqa: E402
from cresset.capture import graph as _graph  # noqa: E402
from cresset.compiler import fuse as _fuse  # noqa: E402
from cresset.ops.activation import celu, relu, selu, threshold  # noqa: E402

_dispatch.fill(
    record=_node.record,
    record_write=_rebase.record_write,
    bind=_graph.bind,
    compose=_fuse.compose,
)
