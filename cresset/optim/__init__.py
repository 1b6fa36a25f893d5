"""Optimizers, and in `lr_scheduler` the schedules of their learning rates."""

from cresset.core.missing import found_late
from cresset.optim.optimizer import Optimizer

_OPTIMIZERS = ("ASGD", "LBFGS", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW",
               "Adamax", "Muon", "NAdam", "RAdam", "RMSprop", "Rprop")

__all__ = [*_OPTIMIZERS, "Optimizer", "lr_scheduler", "swa_utils"]

# Each is in the file that has its name; a program uses one or two.
__getattr__, __dir__ = found_late(globals(), {
    "lr_scheduler": (),
    "swa_utils": (),
    **{name.lower(): (name,) for name in _OPTIMIZERS},
})
