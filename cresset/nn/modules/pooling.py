"""Pooling: the maximum, the mean or a norm over windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cresset import Tensor
from cresset.nn import functional as F
from cresset.nn.module import Module
from cresset.nn.modules.utils import _ntuple, _single


class _MaxPool(Module):
    """What maximum pooling over any number of dims has in common."""

    pool: Callable[..., Any]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return self.pool(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The maximum over windows of (N, C, L) or (C, L); arguments as `MaxPool2d`."""

    pool = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The maximum over windows of (N, C, H, W) or (C, H, W).

    `stride` defaults to the kernel size; padding counts as minus infinity; `ceil_mode` keeps
    windows that reach over the end. With `return_indices` the result is the pair of maxima and
    their places.

    >>> import cresset
    >>> MaxPool2d(2)(cresset.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 3, 4, 4])
    """

    pool = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The maximum over windows of (N, C, D, H, W) or (C, D, H, W); arguments as `MaxPool2d`."""

    pool = staticmethod(F.max_pool3d)


class _MaxUnpool(Module):
    """What undoing maximum pooling over any number of dims has in common."""

    rank: int
    unpool: Callable[..., Tensor]

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size = _ntuple(self.rank)(kernel_size)
        self.stride = _ntuple(self.rank)(kernel_size if stride is None else stride)
        self.padding = _ntuple(self.rank)(padding)

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        return self.unpool(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """`MaxPool1d` undone: its maxima at their places, among zeros. Otherwise as `MaxUnpool2d`."""

    rank = 1
    unpool = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """`MaxPool2d` undone: its maxima at their places, among zeros.

    Called with what that layer gives with `return_indices`, and perhaps the `output_size`, where
    windows leave it open. Raises ValueError for a size that windows do not give.

    >>> import cresset
    >>> x = cresset.tensor([[[1.0, 3], [2, 0]]])
    >>> MaxUnpool2d(2)(*MaxPool2d(2, return_indices=True)(x))
    tensor([[[0., 3.],
             [0., 0.]]])
    """

    rank = 2
    unpool = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """`MaxPool3d` undone: its maxima at their places, among zeros. Otherwise as `MaxUnpool2d`."""

    rank = 3
    unpool = staticmethod(F.max_unpool3d)


# --- means and norms ------------------------------------------------------------------------------
class AvgPool1d(Module):
    """The mean over windows of (N, C, L) or (C, L); arguments as `AvgPool2d`."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = _single(kernel_size)
        self.stride = self.kernel_size if stride is None else _single(stride)
        self.padding = _single(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    """What pooling by means over images and volumes has in common."""

    pool: Callable[..., Tensor]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return self.pool(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean over windows of (N, C, H, W) or (C, H, W).

    `stride` defaults to the kernel size. Zeros of the padding count, unless `count_include_pad` is
    False; `divisor_override` divides by another number than the window's size.

    >>> import cresset
    >>> AvgPool2d(2)(cresset.ones(1, 1, 4, 4)).sum().item()
    4.0
    """

    pool = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean over windows of (N, C, D, H, W) or (C, D, H, W); arguments as `AvgPool2d`."""

    pool = staticmethod(F.avg_pool3d)


class _LPPool(Module):
    """What pooling by norms over any number of dims has in common."""

    pool: Callable[..., Tensor]

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return self.pool(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """The norm over windows of (N, C, L) or (C, L); arguments as `LPPool2d`."""

    pool = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """The norm (sum of x^p)^(1/p) over windows of (N, C, H, W) or (C, H, W), p = `norm_type`.

    `stride` defaults to the kernel size; `ceil_mode` keeps windows that reach over the end.

    >>> import cresset
    >>> LPPool2d(2, (1, 2))(cresset.tensor([[[3.0, 4.0]]]))
    tensor([[[5.]]])
    """

    pool = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """The norm over windows of (N, C, D, H, W) or (C, D, H, W); arguments as `LPPool2d`."""

    pool = staticmethod(F.lp_pool3d)


# --- shares ---------------------------------------------------------------------------------------
class _AdaptiveAvgPool(Module):
    """What means over shares of any number of dims have in common."""

    pool: Callable[..., Tensor]

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return self.pool(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean over windows of (N, C, L) or (C, L); as `AdaptiveAvgPool2d`."""

    pool = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The mean over windows chosen so that the output has `output_size`.

    A size is one number for both dims or a pair; None keeps the input's.

    >>> import cresset
    >>> AdaptiveAvgPool2d(1)(cresset.ones(2, 3, 5, 7)).shape
    torch.Size([2, 3, 1, 1])
    """

    pool = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The mean over windows of (N, C, D, H, W) or (C, D, H, W); as `AdaptiveAvgPool2d`."""

    pool = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(Module):
    """What maxima over shares of any number of dims have in common."""

    pool: Callable[..., Any]

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return self.pool(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The maximum over windows of (N, C, L) or (C, L); as `AdaptiveMaxPool2d`."""

    pool = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The maximum over windows chosen so that the output has `output_size`.

    A size is one number for both dims or a pair; None keeps the input's. With `return_indices` the
    result is the pair of maxima and their places.

    >>> import cresset
    >>> AdaptiveMaxPool2d((1, None))(cresset.ones(2, 3, 5, 7)).shape
    torch.Size([2, 3, 1, 7])
    """

    pool = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The maximum over windows of (N, C, D, H, W) or (C, D, H, W); as `AdaptiveMaxPool2d`."""

    pool = staticmethod(F.adaptive_max_pool3d)
