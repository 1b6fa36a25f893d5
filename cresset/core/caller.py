"""The user's line: where a program that runs into trouble called Cresset."""

from __future__ import annotations

import sys
import types
import warnings


def caller() -> types.FrameType | None:
    """The innermost frame outside of the package, None where there is none."""
    frame: types.FrameType | None = sys._getframe(1)
    # Functions that were written out at run time belong to no module.
    while frame is not None and frame.f_globals.get("__name__", "cresset.").startswith("cresset."):
        frame = frame.f_back
    return frame


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line."""
    frame = caller()
    if frame is None:
        warnings.warn(message, category, stacklevel=2)
        return
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(
        message, category, frame.f_code.co_filename, frame.f_lineno, registry=registry
    )
