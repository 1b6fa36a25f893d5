"""Schedules of the learning rate: call `step()` after each epoch, or each update.

A schedule sets `group["lr"]` of every group of its optimizer.
"""

from cresset.optim.lr_scheduler.composed import ChainedScheduler, SequentialLR
from cresset.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from cresset.optim.lr_scheduler.factors import (
    ConstantLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from cresset.optim.lr_scheduler.functions import LambdaLR, MultiplicativeLR
from cresset.optim.lr_scheduler.one_cycle import OneCycleLR
from cresset.optim.lr_scheduler.plateau import ReduceLROnPlateau
from cresset.optim.lr_scheduler.scheduler import LRScheduler, _LRScheduler

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "_LRScheduler",
]
