"""Lazy layers: the number of features, or of channels, is that of the first input."""

from __future__ import annotations

import inspect
from typing import Any

from cresset import Tensor
from cresset.nn.module import Module
from cresset.nn.modules.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from cresset.nn.modules.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from cresset.nn.modules.instancenorm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from cresset.nn.modules.linear import Linear
from cresset.nn.parameter import UninitializedParameter


class LazyModuleMixin(Module):
    """A layer that is told its features by its first input, or by a state dict.

    It takes the arguments of the layer that it is to be, without the first, which is the number of
    features. That layer it becomes when it is called or loaded: same object, same parameters, so an
    optimizer may have been made before. Parameters are drawn then.
    """

    cls_to_become: type[Module]
    __signature__: inspect.Signature
    # What the layer calls the number, and along which dim of inputs and of weights it is found.
    features: str
    input_dim: int
    weight_dim: int = 0
    # Settings whose defaults are others than the layer's.
    defaults: dict[str, Any] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "cls_to_become" in vars(cls):
            signature = inspect.signature(cls.cls_to_become)
            rest = [
                p.replace(default=cls.defaults.get(p.name, p.default))
                for p in signature.parameters.values() if p.name != cls.features
            ]
            cls.__signature__ = signature.replace(parameters=rest)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = {**self.defaults, **self.__signature__.bind(*args, **kwargs).arguments}
        # What it will be like but for the features, without elements and without drawing any.
        given[self.features] = given.get("groups", 1)
        pattern = self.cls_to_become(**given | {"device": "meta"})
        Module.__init__(self)
        registered = {*pattern._parameters, *pattern._buffers}
        for name, value in vars(pattern).items():
            if name not in registered and name not in vars(self):
                setattr(self, name, value)
        place: dict[str, Any] = {"device": given.get("device"), "dtype": given.get("dtype")}
        for name, parameter in pattern._parameters.items():
            lazy = None if parameter is None else UninitializedParameter(**place)
            self.register_parameter(name, lazy)
        self._buffers.update(dict.fromkeys(pattern._buffers))
        setattr(self, self.features, 0)
        self._arguments = given

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.initialize_parameters(*args, **kwargs)
        return self(*args, **kwargs)

    def has_uninitialized_params(self) -> bool:
        """Whether the features are still unknown: always, as it is another layer afterwards."""
        return True

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Becomes the layer for inputs like this one."""
        self._become(input.shape[self.input_dim])

    def _become(self, features: int) -> None:
        given = self.__dict__.pop("_arguments") | {self.features: features}
        lazy = {name: p for name, p in self._parameters.items() if p is not None}
        for parameter in lazy.values():
            # They may have been moved, and their type changed, since they were made.
            given |= {"device": parameter.device, "dtype": parameter.dtype}
        made: Any = self.cls_to_become(**given)
        for name, parameter in lazy.items():
            parameter.materialize(made._parameters[name].shape)
            parameter.data = made._parameters[name].data
        self._buffers.update(made._buffers)
        setattr(self, self.features, features)
        self.__class__ = self.cls_to_become  # type: ignore[assignment]

    def reset_parameters(self) -> None:
        """Does nothing: there are none yet."""

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        dims = {"weight": self.weight_dim, "running_mean": 0}
        for name, dim in dims.items():
            saved = state_dict.get(prefix + name)
            if isinstance(saved, Tensor):
                groups = getattr(self, "groups", 1) if self.weight_dim == 1 else 1
                self._become(saved.shape[dim] * groups)
                self._load_from_state_dict(state_dict, prefix, *args)
                return


class LazyLinear(LazyModuleMixin, Linear):
    """`Linear(in_features, ...)` where `in_features` is the last size of the first input.

    >>> import cresset
    >>> layer = LazyLinear(2)
    >>> layer(cresset.zeros(5, 3)).shape, layer
    (torch.Size([5, 2]), Linear(in_features=3, out_features=2, bias=True))
    """

    cls_to_become = Linear
    features, input_dim, weight_dim = "in_features", -1, 1


class _LazyConvolution(LazyModuleMixin):
    """A convolution whose channels are those of the first input."""

    features, weight_dim = "in_channels", 1


class LazyConv1d(_LazyConvolution, Conv1d):
    """`Conv1d(in_channels, ...)` with the channels of the first input."""

    cls_to_become = Conv1d
    input_dim = -2


class LazyConv2d(_LazyConvolution, Conv2d):
    """`Conv2d(in_channels, ...)` with the channels of the first input."""

    cls_to_become = Conv2d
    input_dim = -3


class LazyConv3d(_LazyConvolution, Conv3d):
    """`Conv3d(in_channels, ...)` with the channels of the first input."""

    cls_to_become = Conv3d
    input_dim = -4


class LazyConvTranspose1d(_LazyConvolution, ConvTranspose1d):
    """`ConvTranspose1d(in_channels, ...)` with the channels of the first input."""

    cls_to_become = ConvTranspose1d
    input_dim, weight_dim = -2, 0


class LazyConvTranspose2d(_LazyConvolution, ConvTranspose2d):
    """`ConvTranspose2d(in_channels, ...)` with the channels of the first input."""

    cls_to_become = ConvTranspose2d
    input_dim, weight_dim = -3, 0


class LazyConvTranspose3d(_LazyConvolution, ConvTranspose3d):
    """`ConvTranspose3d(in_channels, ...)` with the channels of the first input."""

    cls_to_become = ConvTranspose3d
    input_dim, weight_dim = -4, 0


class _LazyNorm(LazyModuleMixin):
    """A normalisation whose channels are those of the first input."""

    features, input_dim = "num_features", 1


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """`BatchNorm1d(num_features, ...)` with the channels of the first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """`BatchNorm2d(num_features, ...)` with the channels of the first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """`BatchNorm3d(num_features, ...)` with the channels of the first input."""

    cls_to_become = BatchNorm3d


class _LazyInstanceNorm(_LazyNorm):
    """An instance normalisation; as in PyTorch it is affine and keeps statistics by default."""

    defaults = {"affine": True, "track_running_stats": True}


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """`InstanceNorm1d(num_features, ...)` with the channels of the first input."""

    cls_to_become = InstanceNorm1d
    input_dim = -2


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """`InstanceNorm2d(num_features, ...)` with the channels of the first input."""

    cls_to_become = InstanceNorm2d
    input_dim = -3


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """`InstanceNorm3d(num_features, ...)` with the channels of the first input."""

    cls_to_become = InstanceNorm3d
    input_dim = -4
