"""Padding: elements added around the last one, two or three dims."""

from __future__ import annotations

from typing import Any

from cresset import Tensor
from cresset.nn import functional as F
from cresset.nn.module import Module


class _Pad(Module):
    """`padding` is one number for all sides, or one for each: before, after, of the last dim first.

    Negative numbers cut off.
    """

    rank: int
    mode: str

    def __init__(self, padding: Any) -> None:
        super().__init__()
        if isinstance(padding, int):
            padding = (padding,) * (2 * self.rank)
        self.padding = tuple(padding)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Adds `value` before and after the last dim."""

    rank = 1


class ConstantPad2d(_ConstantPad):
    """Adds `value` around the last two dims."""

    rank = 2


class ConstantPad3d(_ConstantPad):
    """Adds `value` around the last three dims."""

    rank = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad):
    """Adds zeros before and after the last dim."""

    rank = 1


class ZeroPad2d(_ZeroPad):
    """Adds zeros around the last two dims."""

    rank = 2


class ZeroPad3d(_ZeroPad):
    """Adds zeros around the last three dims."""

    rank = 3


class ReflectionPad1d(_Pad):
    """Continues the last dim by its mirror image, the edge itself not repeated."""

    rank = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """Continues the last two dims by their mirror image, the edge itself not repeated."""

    rank = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """Continues the last three dims by their mirror image, the edge itself not repeated."""

    rank = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """Continues the last dim by its first and last element."""

    rank = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """Continues the last two dims by their edge."""

    rank = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """Continues the last three dims by their edge."""

    rank = 3
    mode = "replicate"


class CircularPad1d(_Pad):
    """Continues the last dim from its other end."""

    rank = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """Continues the last two dims from their other ends."""

    rank = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """Continues the last three dims from their other ends."""

    rank = 3
    mode = "circular"
