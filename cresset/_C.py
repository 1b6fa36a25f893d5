"""What libraries call of PyTorch's extension module by name, of which there is none here."""

from __future__ import annotations

from cresset.core.missing import found_late
from cresset.linalg import LinAlgError as _LinAlgError

__all__ = ["_LinAlgError", "_log_api_usage_once"]


def _log_api_usage_once(name: str) -> None:
    """Tells PyTorch's log of a library's use, which nobody keeps unless asked: nothing here."""


__getattr__, __dir__ = found_late(globals())
