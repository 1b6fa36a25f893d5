"""Optimizers, and in `lr_scheduler` the schedules of their learning rates."""

from cresset.core.missing import missing
from cresset.optim import lr_scheduler
from cresset.optim.adagrad import Adagrad
from cresset.optim.adam import Adam
from cresset.optim.adamw import AdamW
from cresset.optim.optimizer import Optimizer
from cresset.optim.rmsprop import RMSprop
from cresset.optim.sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]


def __getattr__(name):
    raise missing("optim", name, globals())
