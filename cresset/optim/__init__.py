"""Optimizers, and in `lr_scheduler` the schedules of their learning rates."""

from importlib import import_module

from cresset.core.missing import missing
from cresset.optim.optimizer import Optimizer

# Found when first asked for, each in the file that has its name: a program uses one or two.
_OPTIMIZERS = ("ASGD", "LBFGS", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW",
               "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop")
_MODULES = ("lr_scheduler", "swa_utils", *map(str.lower, _OPTIMIZERS))

__all__ = [*_OPTIMIZERS, "Optimizer", "lr_scheduler", "swa_utils"]


def __getattr__(name):
    if name in _MODULES:
        return import_module(f"cresset.optim.{name}")
    if name in _OPTIMIZERS:
        found = getattr(import_module(f"cresset.optim.{name.lower()}"), name)
        globals()[name] = found
        return found
    raise missing("optim", name, [*globals(), *__all__])


def __dir__():
    return sorted({*globals(), *__all__})
