"""Tools around a training program: `data` feeds it, `checkpoint` saves its memory, and so on."""

from cresset.core.missing import found_late

__all__ = ["checkpoint", "data", "dlpack", "hooks"]

# Layers have hooks, and no need of what reads data.
__getattr__, __dir__ = found_late(globals(), dict.fromkeys(__all__, ()))
