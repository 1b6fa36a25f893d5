"""Saved values: what a gradient reads later, and whether it is still what it was.

Every storage counts its writes. A value is saved with its storage's count, so that one which was
overwritten meanwhile is an error that names the write, never a wrong gradient.
"""

from __future__ import annotations

from threading import get_ident

from cresset.autograd.mode import mode
from cresset.core.tensor import Tensor

# By thread, what packs saved tensors: the `graph.saved_tensors_hooks` that are on, innermost last.
packers: dict[int, list] = {}


def packer():
    """What packs the tensors that this thread saves; None where they are kept as they are."""
    stack = packers.get(get_ident())
    return stack[-1] if stack else None


def pack(node):
    """Have an operation's node keep what hooks make of the tensors that it saved."""
    hooks = packer()
    if hooks is not None and node.recipe.holds:
        hooks.pack(node)


def save_output(x):
    """An output as its node may hold it: without the tensor, which holds the node."""
    storage = x.memory
    if storage.writer is None:
        storage.writer = ()
    return storage, x.layout, x.ptr, storage.version


def read_tensor(node, saved):
    """A saved operand, if it is still what it was."""
    x, version = saved
    if x.memory.version != version:
        raise overwritten(node, x.memory, x.layout, version)
    return x


def read_output(node, saved, history):
    """A saved output, as a new tensor with a history if gradients are recorded."""
    storage, layout, ptr, version = saved
    if storage.version != version:
        raise overwritten(node, storage, layout, version)
    x = object.__new__(Tensor)
    x.memory, x.layout, x.ptr = storage, layout, ptr
    x.base = x.grad = None
    x.history = history if mode.enabled and layout.dtype.is_differentiable else None
    return x


def freed(node) -> RuntimeError:
    """The error for a node whose saved values were let go of."""
    return RuntimeError(
        f"backward: trying to backward through the graph a second time: what {node.name()} "
        "saved has been freed; pass retain_graph=True to the first backward"
    )


def overwritten(node, storage, layout, version) -> RuntimeError:
    """The error for a saved value that is no longer there."""
    by = "an in-place operation"
    if storage.writer:
        _, operation, place = storage.writer
        by = f"{operation} at {place}"
    return RuntimeError(
        f"backward: one of the variables needed for gradient computation has been modified by an "
        f"inplace operation: a tensor of shape {tuple(layout.shape)} that {node.name()} saved "
        f"is at version {storage.version}; expected version {version} instead; it was overwritten "
        f"last by {by}; write to a clone() of it, or use the form that returns a new tensor"
    )
