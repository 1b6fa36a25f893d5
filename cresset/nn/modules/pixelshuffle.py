"""Pixels that become channels, and channels that become pixels."""

from __future__ import annotations

from cresset import Tensor
from cresset.nn import functional as F
from cresset.nn.module import Module


class PixelShuffle(Module):
    """(N, C r^2, H, W) as (N, C, H r, W r): channels become pixels, r = `upscale_factor`.

    Shi and others (2016).

    >>> import cresset
    >>> PixelShuffle(2)(cresset.zeros(1, 8, 3, 3)).shape
    torch.Size([1, 2, 6, 6])
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """(N, C, H r, W r) as (N, C r^2, H, W): pixels become channels, r = `downscale_factor`."""

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"
