"""`cresset.cuda.amp`: mixed precision by the names it had before `cresset.amp`.

Where there is no CUDA device both warn, unless they are disabled, and do nothing.
"""

from __future__ import annotations

from typing import Any

import cresset
from cresset.amp.autocast import autocast as _autocast
from cresset.amp.grad_scaler import GradScaler as _GradScaler

__all__ = ["GradScaler", "autocast"]


class autocast(_autocast):
    """`amp.autocast("cuda", ...)`."""

    def __init__(
        self, enabled: bool = True, dtype: Any = cresset.float16, cache_enabled: bool = True
    ) -> None:
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(_GradScaler):
    """`amp.GradScaler("cuda", ...)`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("cuda", *args, **kwargs)
