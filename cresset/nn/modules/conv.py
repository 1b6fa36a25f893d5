"""Convolutions and transposed convolutions over one, two and three dims."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import cresset
from cresset import Tensor
from cresset.nn import functional as F
from cresset.nn import init
from cresset.nn.module import Module
from cresset.nn.modules.utils import _ntuple
from cresset.nn.parameter import Parameter

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What convolutions and transposed ones have in common."""

    rank: int
    transposed: bool
    convolve: Callable[..., Tensor]
    padding: str | tuple[int, ...]
    bias: Tensor | None

    def _set_up(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...],
        padding: str | int | tuple[int, ...],
        output_padding: int | tuple[int, ...],
        dilation: int | tuple[int, ...],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        if groups <= 0:
            raise ValueError(
                f"{type(self).__name__}: groups must be a positive integer; got {groups}"
            )
        if in_channels % groups != 0:
            raise ValueError(
                f"{type(self).__name__}: in_channels must be divisible by groups; got "
                f"{in_channels} and {groups}"
            )
        if out_channels % groups != 0:
            raise ValueError(
                f"{type(self).__name__}: out_channels must be divisible by groups; got "
                f"{out_channels} and {groups}"
            )
        if padding_mode not in _PADDING_MODES:
            raise ValueError(
                f"{type(self).__name__}: padding_mode must be one of {_PADDING_MODES}, but got "
                f"padding_mode='{padding_mode}'"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _ntuple(self.rank)(kernel_size)
        self.stride = _ntuple(self.rank)(stride)
        self.padding = padding if isinstance(padding, str) else _ntuple(self.rank)(padding)
        self.output_padding = _ntuple(self.rank)(output_padding)
        self.dilation = _ntuple(self.rank)(dilation)
        self.groups = groups
        self.padding_mode = padding_mode
        self._check_padding()
        place = {"device": device, "dtype": dtype}
        first, second = out_channels, in_channels
        if self.transposed:
            first, second = second, first
        shape = (first, second // groups, *self.kernel_size)
        self.weight = Parameter(cresset.empty(shape, **place))
        self.register_parameter("bias", None)
        if bias:
            self.bias = Parameter(cresset.empty(out_channels, **place))
        self.reset_parameters()

    def _check_padding(self) -> None:
        if not isinstance(self.padding, str):
            return
        if self.padding not in ("same", "valid"):
            raise ValueError(
                f"{type(self).__name__}: Invalid padding string {self.padding!r}, should be one of "
                "'same', 'valid'; or give a number"
            )
        if self.padding == "same" and any(step != 1 for step in self.stride):
            raise ValueError(
                f"{type(self).__name__}: padding='same' is not supported for strided convolutions; "
                f"got stride {self.stride}; give the padding as a number"
            )

    def reset_parameters(self) -> None:
        """Draws weight and bias anew, evenly over ±1/sqrt(n), n the numbers of a filter."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        if self.padding != (0,) * self.rank:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.rank:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * self.rank:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Convolution(_ConvNd):
    """A convolution of any number of dims."""

    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: str | int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._set_up(in_channels, out_channels, kernel_size, stride, padding, 0, dilation, groups,
                     bias, padding_mode, device, dtype)

    def _margins(self) -> list[int]:
        """Padding before and after each dim, last dim first, as `F.pad` takes it."""
        margins: list[int] = []
        for dim in reversed(range(self.rank)):
            if self.padding == "valid":
                margins += [0, 0]
            elif self.padding == "same":
                total = self.dilation[dim] * (self.kernel_size[dim] - 1)
                margins += [total // 2, total - total // 2]
            else:
                margins += [self.padding[dim], self.padding[dim]]  # type: ignore[list-item]
        return margins

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._margins(), self.padding_mode)
            padding = (0,) * self.rank
        return self.convolve(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )


class Conv1d(_Convolution):
    """out[n, k, i] = bias[k] + sum over c, j of weight[k, c, j] * x[n, c, i * stride + j *
    dilation].

    Input (N, in_channels, L) or (in_channels, L), padded by `padding` on both sides ("same" keeps
    the length, "valid" is 0) with zeros or as `padding_mode` says: reflect, replicate or circular.
    With `groups` each group of channels is convolved on its own. Raises ValueError for channels
    that groups do not divide and for unknown paddings.

    >>> Conv1d(2, 4, 3, padding="same")(cresset.zeros(1, 2, 8)).shape
    torch.Size([1, 4, 8])
    """

    rank = 1
    convolve = staticmethod(F.conv1d)


class Conv2d(_Convolution):
    """out[n, k, i, j] = bias[k] + sum of weight[k, c, u, v] * x[n, c, i * stride + u, ...].

    Input (N, in_channels, H, W) or (in_channels, H, W). Kernel size, stride, padding and dilation
    are one number or one for each of the two dims; otherwise as `Conv1d`.

    >>> Conv2d(3, 8, 3, stride=2, padding=1)(cresset.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 8, 4, 4])
    """

    rank = 2
    convolve = staticmethod(F.conv2d)


class Conv3d(_Convolution):
    """The same over volumes.

    Input (N, in_channels, D, H, W) or (in_channels, D, H, W). Kernel size, stride, padding and
    dilation are one number or one for each of the three dims; otherwise as `Conv1d`.

    >>> Conv3d(3, 8, 3, padding=1)(cresset.zeros(1, 3, 4, 8, 8)).shape
    torch.Size([1, 8, 4, 8, 8])
    """

    rank = 3
    convolve = staticmethod(F.conv3d)


class _ConvTransposeNd(_ConvNd):
    """A transposed convolution of any number of dims."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if padding_mode != "zeros":
            raise ValueError(
                f"{type(self).__name__}: Only \"zeros\" padding mode is supported; got "
                f"{padding_mode!r}"
            )
        self._set_up(in_channels, out_channels, kernel_size, stride, padding, output_padding,
                     dilation, groups, bias, padding_mode, device, dtype)

    def _output_padding(self, input: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """What to add at the ends for a result of such a size; ValueError where that is no way."""
        if len(output_size) == input.dim():
            output_size = output_size[-self.rank :]
        if len(output_size) != self.rank:
            raise ValueError(
                f"{type(self).__name__}: output_size must have {self.rank} or {input.dim()} "
                f"elements (got {len(output_size)})"
            )
        size = tuple(input.shape[-self.rank :])
        margins = _ntuple(self.rank)(self.padding)
        least = [
            (n - 1) * step - 2 * margin + spacing * (taps - 1) + 1
            for n, step, margin, spacing, taps in zip(
                size, self.stride, margins, self.dilation, self.kernel_size)
        ]
        greatest = [n + step - 1 for n, step in zip(least, self.stride)]
        if any(not low <= n <= high for low, n, high in zip(least, output_size, greatest)):
            raise ValueError(
                f"{type(self).__name__}: requested an output size of {tuple(output_size)}, but "
                f"valid sizes range from {least} to {greatest} (for an input of "
                f"{size})"
            )
        return tuple(n - low for n, low in zip(output_size, least))

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """The transposed convolution; `output_size` chooses among the sizes that strides leave."""
        extra = self.output_padding
        if output_size is not None:
            extra = self._output_padding(input, output_size)
        return self.convolve(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups,
            self.dilation
        )


class ConvTranspose1d(_ConvTransposeNd):
    """The gradient of `Conv1d` by its input, as a layer: it makes signals longer by its stride.

    Input (N, in_channels, L) or (in_channels, L); the result has (L - 1) * stride - 2 * padding +
    dilation * (kernel_size - 1) + output_padding + 1 elements. The weight has shape (in_channels,
    out_channels / groups, kernel_size). Raises ValueError for channels that groups do not divide
    and, called with an `output_size`, for one that no output padding gives.

    >>> ConvTranspose1d(2, 4, 4, stride=2, padding=1)(cresset.zeros(1, 2, 8)).shape
    torch.Size([1, 4, 16])
    """

    rank = 1
    convolve = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTransposeNd):
    """The gradient of `Conv2d` by its input, as a layer. Otherwise as `ConvTranspose1d`.

    Input (N, in_channels, H, W) or (in_channels, H, W).

    >>> layer = ConvTranspose2d(3, 8, 3, stride=2, padding=1)
    >>> layer(cresset.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 8, 7, 7])
    >>> layer(cresset.zeros(1, 3, 4, 4), output_size=(8, 8)).shape
    torch.Size([1, 8, 8, 8])
    """

    rank = 2
    convolve = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_ConvTransposeNd):
    """The gradient of `Conv3d` by its input, as a layer. Otherwise as `ConvTranspose1d`.

    Input (N, in_channels, D, H, W) or (in_channels, D, H, W).
    """

    rank = 3
    convolve = staticmethod(F.conv_transpose3d)
