"""Automatic mixed precision: `autocast` chooses types, `GradScaler` keeps small gradients.

    >>> import cresset
    >>> x = cresset.ones(2, 2)
    >>> with cresset.amp.autocast("cpu", dtype=cresset.bfloat16):
    ...     product = x @ x
    >>> product.dtype
    torch.bfloat16
"""

from cresset.amp.autocast import (
    autocast,
    get_autocast_cpu_dtype,
    get_autocast_dtype,
    is_autocast_available,
    is_autocast_cpu_enabled,
    is_autocast_enabled,
)
from cresset.amp.grad_scaler import GradScaler
from cresset.core.missing import found_late

__all__ = ["GradScaler", "autocast", "get_autocast_cpu_dtype", "get_autocast_dtype",
           "is_autocast_available", "is_autocast_cpu_enabled", "is_autocast_enabled"]

__getattr__, __dir__ = found_late(globals())
