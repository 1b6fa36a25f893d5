"""PyTorch's switches for what Cresset does in any case.

Every operation is deterministic, and float32 products are added up in float32: the switches are
taken, so that programs which set them run, and say what was set.
"""

from __future__ import annotations

from cresset.ops.arguments import truth

__all__ = ["are_deterministic_algorithms_enabled", "get_float32_matmul_precision",
           "is_deterministic_algorithms_warn_only_enabled", "set_float32_matmul_precision",
           "use_deterministic_algorithms"]

PRECISIONS = ("highest", "high", "medium")

_set = {"deterministic": False, "warn_only": False, "precision": "highest"}


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for deterministic operations; all of them are.

    >>> use_deterministic_algorithms(True)
    >>> are_deterministic_algorithms_enabled()
    True
    >>> use_deterministic_algorithms(False)
    """
    truth("use_deterministic_algorithms", "mode", mode)
    _set["deterministic"], _set["warn_only"] = mode, mode and bool(warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` was last told."""
    return bool(_set["deterministic"])


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether `use_deterministic_algorithms` was last told to warn only."""
    return bool(_set["warn_only"])


def set_float32_matmul_precision(precision: str) -> None:
    """Allow float32 products to be computed in fewer bits; they never are.

    Raises RuntimeError unless `precision` is "highest", "high" or "medium".
    """
    if precision not in PRECISIONS:
        raise RuntimeError(
            f"set_float32_matmul_precision: {precision!r} is not a precision; need one of "
            f"{', '.join(PRECISIONS)}"
        )
    _set["precision"] = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was last told, "highest" at first."""
    return str(_set["precision"])
