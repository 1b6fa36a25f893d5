"""Optimizers, and in `lr_scheduler` the schedules of their learning rates."""

from importlib import import_module

from cresset.core.missing import missing
from cresset.optim import lr_scheduler
from cresset.optim.adadelta import Adadelta
from cresset.optim.adagrad import Adagrad
from cresset.optim.adam import Adam
from cresset.optim.adamw import AdamW
from cresset.optim.optimizer import Optimizer
from cresset.optim.rmsprop import RMSprop
from cresset.optim.sgd import SGD

# Found when first asked for: few programs use them. `swa_utils` averages modules, too, which an
# optimizer has no need of.
_LATE = ("ASGD", "LBFGS", "Adafactor", "Adamax", "NAdam", "RAdam", "Rprop")

__all__ = [*_LATE, "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop",
           "lr_scheduler", "swa_utils"]


def __getattr__(name):
    if name == "swa_utils":
        return import_module("cresset.optim.swa_utils")
    if name in _LATE:
        return getattr(import_module(f"cresset.optim.{name.lower()}"), name)
    raise missing("optim", name, [*globals(), *__all__])
