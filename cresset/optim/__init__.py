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

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler",
           "swa_utils"]


def __getattr__(name):
    if name == "swa_utils":
        # It averages modules, which an optimizer has no need of.
        return import_module("cresset.optim.swa_utils")
    raise missing("optim", name, globals())
