"""Tools around a training program: `data` feeds it, `hooks` watches it, `dlpack` lends it out."""

from cresset.utils import data, dlpack, hooks

__all__ = ["data", "dlpack", "hooks"]
