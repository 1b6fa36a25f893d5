"""`cresset.onnx`: models are not exported, and programs that ask are told so."""

from __future__ import annotations

from cresset.core.missing import found_late

__all__ = ["is_in_onnx_export"]


def is_in_onnx_export() -> bool:
    """Whether the model runs to be exported: no.

    >>> is_in_onnx_export()
    False
    """
    return False


__getattr__, __dir__ = found_late(globals())
