"""Tools around a training program: `data` feeds it, `checkpoint` saves its memory, and so on."""

from importlib import import_module

from cresset.core.missing import missing

__all__ = ["checkpoint", "data", "dlpack", "hooks"]


def __getattr__(name):
    # Found when first asked for: layers have hooks, and no need of what reads data.
    if name in __all__:
        return import_module(f"cresset.utils.{name}")
    raise missing("utils", name, __all__)
