"""Neural networks: `Module`, the layers, `functional`, `init` and `utils`."""

from importlib import import_module

from cresset.core.missing import missing
from cresset.nn import functional, init, modules, parallel, utils
from cresset.nn.module import Module
from cresset.nn.modules import __all__ as _layers
from cresset.nn.parallel import DataParallel
from cresset.nn.parameter import Buffer, Parameter, UninitializedParameter

__all__ = ["Buffer", "DataParallel", "Module", "Parameter", "UninitializedParameter", "functional",
           "init", "modules", "parallel", "utils", *_layers]


def __getattr__(name):
    if name == "attention":
        # Found when first asked for: few programs do.
        return import_module("cresset.nn.attention")
    if name in _layers:
        found = globals()[name] = getattr(modules, name)
        return found
    raise missing("nn", name, [*globals(), *__all__])


def __dir__():
    return sorted({*globals(), *__all__})
