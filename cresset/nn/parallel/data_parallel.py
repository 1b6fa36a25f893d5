"""`DataParallel`, as it is where there is no GPU."""

from __future__ import annotations

from typing import Any

from cresset.nn.module import Module


class DataParallel(Module):
    """Calls `module`; its parameters and its state dict lie under `module.`.

    In PyTorch it shares batches out among GPUs; without one it is what it is here. Raises
    RuntimeError where `device_ids` names devices.

    >>> import cresset
    >>> model = DataParallel(cresset.nn.Linear(2, 1))
    >>> list(model.state_dict()), model(cresset.ones(3, 2)).shape
    (['module.weight', 'module.bias'], torch.Size([3, 1]))
    """

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        _refuse_devices(device_ids)
        self.module = module
        self.device_ids: list = []
        self.dim = dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Any = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: Any = None,
) -> Any:
    """module(*inputs, **module_kwargs), shared out among GPUs where there are any."""
    _refuse_devices(device_ids)
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    return module(*given, **(module_kwargs or {}))


def _refuse_devices(device_ids: Any) -> None:
    if device_ids:
        raise RuntimeError(
            f"DataParallel: device_ids names GPUs, of which there are none; got {device_ids}; "
            "leave it out"
        )
