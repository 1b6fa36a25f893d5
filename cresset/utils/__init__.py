"""Tools around a training program: `data` feeds it, `hooks` watches it."""

from cresset.utils import data, hooks

__all__ = ["data", "hooks"]
