"""Channels in another order."""

from __future__ import annotations

from cresset import Tensor
from cresset.nn import functional as F
from cresset.nn.module import Module


class ChannelShuffle(Module):
    """Channels of (N, C, ...), dealt out to `groups` in turn. Zhang and others (2018).

    >>> import cresset
    >>> ChannelShuffle(2)(cresset.arange(4.0).view(1, 4, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
