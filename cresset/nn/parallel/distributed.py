"""`DistributedDataParallel`: a model that several processes train together; here, one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cresset
from cresset.nn.module import Module

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module):
    """Runs `module`, whose gradients are then the mean of all processes': of one, its own.

    Parameters and state are under "module.", as PyTorch has them. The settings say how processes
    exchange gradients, and have no effect. Raises ValueError without a process group, RuntimeError
    where no parameter requires a gradient.

    >>> cresset.distributed.init_process_group("gloo", rank=0, world_size=1)
    >>> model = DistributedDataParallel(cresset.nn.Linear(2, 1))
    >>> model(cresset.ones(3, 2)).shape, [*model.state_dict()]
    (torch.Size([3, 1]), ['module.weight', 'module.bias'])
    >>> cresset.distributed.destroy_process_group()
    """

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0,
        broadcast_buffers: bool = True, **settings: Any,
    ) -> None:
        super().__init__()
        self.world_size = cresset.distributed.get_world_size(settings.get("process_group"))
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError(
                "DistributedDataParallel: is not needed when a module doesn't have any parameter "
                "that requires a gradient"
            )
        if any(isinstance(device, int) or str(device) != "cpu" for device in device_ids or ()):
            raise ValueError(
                f"DistributedDataParallel: device_ids can only be None or contain a single element "
                f"for modules on the processor; got {device_ids}"
            )
        self.module = module
        self.device_ids = device_ids
        self.output_device = output_device
        self.dim = dim
        self.broadcast_buffers = broadcast_buffers

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """A block in which gradients are not exchanged: they never are."""
        yield
