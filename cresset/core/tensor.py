"""The tensor: a layout over a storage.

The class holds the slots alone; its methods and operators are the operations, which the layers
above put on it as they declare them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Type checkers take any attribute and operator: the layers above declare them.
    Declared = Any
else:
    Declared = object
# Tensor and its subclasses, whose instances all dispatch alike: one look-up tells a tensor from a
# number.
tensor_types: set[type] = set()

# What Python offers as a number to operations; the word stands in signatures.
Number = bool | int | float


class Tensor(Declared):
    """An n-dimensional view over a storage.

    `memory` is that storage, `ptr` the address of the first element. `history` is None, or the
    autograd node whose output this is. `base` is the tensor that this one was made a view of.
    `grad` is the gradient that `backward` accumulates.

    It has no `__getattr__`: Python would then find every attribute by a call of its own, where it
    otherwise knows the place of a slot. (And it names the nearest there is by itself.)
    """

    __slots__ = ("__dict__", "__weakref__", "base", "grad", "history", "layout", "memory", "ptr")

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        tensor_types.add(cls)


tensor_types.add(Tensor)
