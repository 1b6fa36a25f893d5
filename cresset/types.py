"""`cresset.types`: the names that annotations of programs use."""

from __future__ import annotations

from collections.abc import Sequence

from cresset.core.device import device
from cresset.core.dtype import dtype
from cresset.core.layout import Size
from cresset.core.tensor import Tensor

__all__ = ["Device", "FileLike", "Number", "Storage"]

Number = int | float | bool
Device = device | str | int | None
FileLike = str | bytes
Storage = object
_dtype, _size = dtype, Size | Sequence[int]
_TensorOrTensors = Tensor | Sequence[Tensor]
