"""Neural networks: `Module`, the layers, `functional`, `init` and `utils`."""

from cresset.core.missing import found_late
from cresset.nn import functional, init, modules, parallel, utils
from cresset.nn.module import Module
from cresset.nn.modules import __all__ as _layers
from cresset.nn.parallel import DataParallel
from cresset.nn.parameter import Buffer, Parameter, UninitializedParameter

__all__ = ["Buffer", "DataParallel", "Module", "Parameter", "UninitializedParameter", "functional",
           "init", "modules", "parallel", "utils", *_layers]

__getattr__, __dir__ = found_late(globals(), {"attention": (), "modules": _layers})
