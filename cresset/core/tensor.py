"""The tensor: a layout over a storage.

The class holds the slots alone; its methods and operators are the operations, which the layers
above put on it as they declare them.
"""

from __future__ import annotations


# What Python offers as a number to operations; the word stands in signatures.
Number = bool | int | float


class Tensor:
    """An n-dimensional view over a storage.

    `ptr` is the address of the first element. `history` is None, or the autograd node whose output
    this is. `base` is the tensor that this one was made a view of. `grad` is the gradient that
    `backward` accumulates.
    """

    __slots__ = ("__dict__", "__weakref__", "base", "grad", "history", "layout", "ptr", "storage")


# Types whose instances dispatch as tensors: Tensor and those of its subclasses that add nothing to
# dispatch, such as nn.Parameter.
tensor_types: set[type] = {Tensor}
