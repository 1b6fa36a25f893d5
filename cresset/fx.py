"""`cresset.fx`: PyTorch's mark for its symbolic tracing, of which there is none.

`cresset.trace` captures graphs, `cresset.compile` programs.
"""

from __future__ import annotations

from typing import Any

from cresset.core.missing import found_late

__all__ = ["wrap"]


def wrap(fn_or_name: Any) -> Any:
    """The function, or the name of one, itself: there is no tracer that would enter it."""
    return fn_or_name


__getattr__, __dir__ = found_late(globals())
