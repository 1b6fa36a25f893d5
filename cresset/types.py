"""`cresset.types`: the names that annotations of programs use."""

from __future__ import annotations

from collections.abc import Sequence

from cresset import Size, Tensor, device, dtype

__all__ = ["Device", "FileLike", "Number", "Storage"]

Number = int | float | bool
Device = device | str | int | None
FileLike = str | bytes
Storage = object
_dtype, _size = dtype, Size | Sequence[int]
_TensorOrTensors = Tensor | Sequence[Tensor]
