"""Normalisation by the figures of a batch: BatchNorm, and what InstanceNorm shares with it."""

from __future__ import annotations

from typing import Any

import cresset
from cresset import Tensor
from cresset.nn import functional as F
from cresset.nn import init
from cresset.nn.module import Module
from cresset.nn.parameter import Parameter


class _NormBase(Module):
    """A weight and a bias for each channel, and a running mean and variance of each."""

    # Since version 2 the number of batches is part of the state.
    _version = 2
    ranks: tuple[int, ...]
    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        place = {"device": device, "dtype": dtype}
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        if affine:
            self.weight = Parameter(cresset.empty(num_features, **place))
            if bias:
                self.bias = Parameter(cresset.empty(num_features, **place))
        self.register_buffer("running_mean", None)
        self.register_buffer("running_var", None)
        self.register_buffer("num_batches_tracked", None)
        if track_running_stats:
            self.running_mean = cresset.zeros(num_features, **place)
            self.running_var = cresset.ones(num_features, **place)
            self.num_batches_tracked = cresset.tensor(0, dtype=cresset.int64, device=device)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forgets the batches seen: mean 0, variance 1."""
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Forgets the batches seen and sets weight 1 and bias 0."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in self.ranks:
            needed = " or ".join(f"{rank}D" for rank in self.ranks)
            raise ValueError(
                f"{type(self).__name__}: expected {needed} input (got {input.dim()}D input); got "
                f"shape {tuple(input.shape)}; dims are the batch, channels, and places"
            )

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        version = local_metadata.get("version")
        key = prefix + "num_batches_tracked"
        if (version is None or version < 2) and self.track_running_stats:
            state_dict.setdefault(key, cresset.tensor(0, dtype=cresset.int64))
        super()._load_from_state_dict(
            state_dict,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_NormBase):
    """(x - mean) / sqrt(var + eps) * weight + bias over each channel (dim 1) of the batch.

    In training mean and variance are the batch's, and the running ones move towards them by
    `momentum` (None: they are the mean over all batches). In evaluation the running ones are used,
    or the batch's with `track_running_stats=False`. Ioffe and Szegedy (2015).
    """

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        mean = self.running_mean
        variance = self.running_var
        momentum = self.momentum
        training = self.training
        if training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if momentum is None:
                momentum = 1.0 / self.num_batches_tracked.item()
        if not training:
            training = mean is None and variance is None
        elif not self.track_running_stats:
            mean = variance = None
        if momentum is None:
            momentum = 0.0
        return F.batch_norm(
            input, mean, variance, self.weight, self.bias, training, momentum, self.eps
        )


class BatchNorm1d(_BatchNorm):
    __doc__ = (_BatchNorm.__doc__ or "") + """
    Input (N, C) or (N, C, L); ValueError for others.

    >>> BatchNorm1d(3)(cresset.ones(4, 3)).abs().max().item()
    0.0
    """
    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    __doc__ = (_BatchNorm.__doc__ or "") + """
    Input (N, C, H, W); ValueError for others.

    >>> BatchNorm2d(3)(cresset.ones(4, 3, 2, 2)).shape
    torch.Size([4, 3, 2, 2])
    """
    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    __doc__ = (_BatchNorm.__doc__ or "") + """
    Input (N, C, D, H, W); ValueError for others.
    """
    ranks = (5,)


class SyncBatchNorm(_BatchNorm):
    __doc__ = (_BatchNorm.__doc__ or "") + """
    Over the batches of all processes of a group: of one, or of none, as the others. Input of two
    dims or more, (N, C, ...); ValueError for others.

    >>> SyncBatchNorm.convert_sync_batchnorm(cresset.nn.Sequential(BatchNorm1d(3)))
    Sequential(
      (0): SyncBatchNorm(3, eps=1e-05, momentum=0.1, affine=True, ...)
    )
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        self.process_group = process_group

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(
                f"SyncBatchNorm: expected at least 2D input (got {input.dim()}D input)"
            )

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """The module with a SyncBatchNorm in the place of each batch normalisation."""
        if isinstance(module, _BatchNorm):
            return cls._with_state_of(module, process_group)
        for name, child in module.named_children():
            module.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return module

    @classmethod
    def _with_state_of(cls, other: _BatchNorm, process_group: Any) -> SyncBatchNorm:
        made = cls(
            other.num_features, other.eps, other.momentum, other.affine, other.track_running_stats,
            process_group=process_group,
        )
        for table in ("_parameters", "_buffers"):
            getattr(made, table).update(getattr(other, table))
        made.training = other.training
        return made
