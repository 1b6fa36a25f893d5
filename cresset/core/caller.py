"""The user's line: where a program that runs into trouble called Cresset."""

from __future__ import annotations

import sys
import types
import warnings


def caller() -> types.FrameType | None:
    """The innermost frame outside of the package, None where there is none."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and is_own(frame):
        frame = frame.f_back
    return frame


def is_own(frame: types.FrameType) -> bool:
    """Whether a frame is the package's; functions written out at run time belong to no module."""
    return frame.f_globals.get("__name__", "cresset.").startswith("cresset.")


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
