"""Normalisation of each sample by its own figures: InstanceNorm."""

from __future__ import annotations

from typing import Any

from cresset import Tensor
from cresset.nn import functional as F
from cresset.nn.modules.batchnorm import _NormBase


class _InstanceNorm(_NormBase):
    """(x - mean) / sqrt(var + eps) * weight + bias over each channel of each sample.

    Without a weight and running figures unless `affine` and `track_running_stats` ask for them.
    Ulyanov and others (2016).
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        if input.dim() == self.ranks[0]:
            return self._normalize(input.unsqueeze(0)).squeeze(0)
        return self._normalize(input)

    def _normalize(self, input: Tensor) -> Tensor:
        if input.shape[1] != self.num_features:
            raise ValueError(
                f"expected input's size at dim=1 to match num_features ({self.num_features}), but "
                f"got: {input.shape[1]}."
            )
        return F.instance_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum or 0.0,
            self.eps,
        )


class InstanceNorm1d(_InstanceNorm):
    __doc__ = (_InstanceNorm.__doc__ or "") + """
    Input (N, C, L) or (C, L); ValueError for others.
    """
    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    __doc__ = (_InstanceNorm.__doc__ or "") + """
    Input (N, C, H, W) or (C, H, W); ValueError for others.
    """
    ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    __doc__ = (_InstanceNorm.__doc__ or "") + """
    Input (N, C, D, H, W) or (C, D, H, W); ValueError for others.
    """
    ranks = (4, 5)
