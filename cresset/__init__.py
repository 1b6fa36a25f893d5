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

from math import e, inf, nan, pi

from cresset import autograd, ops
from cresset.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from cresset.autograd import foresight as _foresight
from cresset.autograd import methods as _methods
from cresset.autograd import rebase as _rebase
from cresset.autograd import record as _record
from cresset.capture import graph as _graph
from cresset.compiler.programs import fuse as _fuse
from cresset.core import dtype as _types
from cresset.core import return_types
from cresset.core.device import device, get_default_device, set_default_device
from cresset.core.dtype import dtype, get_default_dtype, promote
from cresset.core.errors import OutOfMemoryError
from cresset.core.generator import Generator, default_generator
from cresset.core.layout import Size
from cresset.core.limits import finfo, iinfo
from cresset.core.memory_format import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    memory_format,
    preserve_format,
)
from cresset.core.missing import found_late as _found_late
from cresset.core.tensor import Tensor
from cresset.ops import dispatch as _dispatch
from cresset.ops import generated as _generated
from cresset.ops.arguments import guard as _guard
from cresset.ops.arguments import guard_methods as _guard_methods
from cresset.ops.kinds.promotion import can_cast
from cresset.ops.out import call_out as _call_out
from cresset.runtime.memory import empty_cache, memory_stats
from cresset.runtime.pool import get_num_threads, set_num_threads

__version__ = "0.1.0"

# Element types under their names and aliases.
for _d in _types.ALL:
    globals()[_d.name] = _d
globals().update(_types.ALIASES)
promote_types = promote
strided = "torch.strided"
newaxis = None

for _name in ops.TOP_LEVEL:
    globals().update(ops.functions(_name))
# Of what networks are made of PyTorch has some at the top level, too.
_ALSO = {
    "neural.padding": ("constant_pad_nd",),
    "neural.similarity": ("cosine_similarity",),
    "neural.activation": ("celu", "celu_", "hardshrink", "relu", "relu_", "selu", "selu_",
                          "threshold", "threshold_"),
    "neural.convolution": ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
                           "conv_transpose3d"),
    "neural.pooling": ("adaptive_avg_pool1d", "avg_pool1d", "max_pool1d", "max_pool2d",
                       "max_pool3d"),
}
for _module, _names in _ALSO.items():
    _found = ops.functions(_module)
    globals().update({_name: _found[_name] for _name in _names})
Tensor.hardshrink = globals()["hardshrink"]
_guard_methods(Tensor)
_generated.hang_operators(Tensor)
detach, detach_ = Tensor.detach, Tensor.detach_
globals().update(_guard(globals(), ("can_cast", "detach", "detach_")))
globals().update(ops.functions("neural.layer_forms"))

_generated.fill(
    call_out=_call_out,
    is_grad_enabled=is_grad_enabled,
    record=_record.record,
    record_pieces=_record.record_pieces,
    record_write=_rebase.record_write,
    bind=_graph.bind,
    bind_write=_graph.bind_write,
    compose=_fuse.compose,
    foresee=_foresight.foresee,
)


def _repr_html_(x: Tensor) -> str:
    """What a notebook shows of a tensor: as it prints, and drawn over its storage."""
    from cresset.pictures import page

    return page(x)


Tensor._repr_html_ = _repr_html_


# A program that needs none of these does not wait for them.
__getattr__, __dir__ = _found_late(globals(), {
    "amp": (
        "GradScaler", "autocast", "get_autocast_cpu_dtype", "get_autocast_dtype",
        "is_autocast_cpu_enabled", "is_autocast_enabled",
    ),
    "capture.trace": ("trace",),
    "compiler.compile": ("compile",),
    "compiler.control_flow.functions": ("cond", "scan", "while_loop"),
    "compiler.inspection.show": ("show",),
    "func": ("vmap",),
    "pictures": ("draw", "draw_graph"),
    "serialization": ("load", "save"),
    "settings": (
        "are_deterministic_algorithms_enabled", "get_float32_matmul_precision",
        "is_deterministic_algorithms_warn_only_enabled", "set_float32_matmul_precision",
        "use_deterministic_algorithms",
    ),
    **dict.fromkeys((
        "_C", "accelerator", "array_api", "backends", "cuda", "distributed", "distributions",
        "fft", "fx", "hub", "jit", "linalg", "mps", "multiprocessing", "nn", "onnx", "optim",
        "random", "special", "testing", "types", "utils", "version", "xpu",
    ), ()),
})
