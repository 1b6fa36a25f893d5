"""Averages of a model's weights over training: stochastic weight averaging, and moving averages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from math import cos, pi
from typing import Any

import cresset
from cresset import Tensor
from cresset.nn import Module
from cresset.optim.lr_scheduler.scheduler import LRScheduler

__all__ = ["SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
           "get_swa_multi_avg_fn", "update_bn"]


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable:
    """The update a = decay * a + (1 - decay) * p of lists, for `AveragedModel(multi_avg_fn=)`.

    ValueError unless 0 <= decay <= 1.
    """
    return _of_lists(get_ema_avg_fn(decay))


def get_ema_avg_fn(decay: float = 0.999) -> Callable:
    """The update a = decay * a + (1 - decay) * p of one tensor, for `AveragedModel(avg_fn=)`.

    >>> get_ema_avg_fn(0.75)(cresset.tensor(4.0), cresset.tensor(0.0), 1)
    tensor(3.)
    """
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"get_ema_avg_fn: Invalid decay value {decay}; need 0 <= decay <= 1")

    def update(averaged: Any, current: Any, num_averaged: Any) -> Tensor:
        return averaged * decay + current * (1 - decay)

    return update


def get_swa_multi_avg_fn() -> Callable:
    """The update of a mean over all models so far, of lists."""
    return _of_lists(get_swa_avg_fn())


def get_swa_avg_fn() -> Callable:
    """The update of a mean over all models so far, a + (p - a) / (n + 1) for n averaged before."""

    def update(averaged: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        return averaged + (current - averaged) / (num_averaged + 1)

    return update


def _of_lists(one: Callable) -> Callable:
    """An update of one tensor as one of lists, in place."""

    @cresset.no_grad()
    def update(averaged: Iterable[Tensor], current: Iterable[Tensor], num_averaged: Any) -> None:
        for a, p in zip(averaged, current):
            a.copy_(one(a, p.to(a.device), num_averaged))

    return update


class AveragedModel(Module):
    """A copy of `model` whose parameters are averages of the model's over training.

    `update_parameters(model)` takes the model in, by default as one more of a mean of all
    (Izmailov and others 2018); `avg_fn(averaged, current, num_averaged)` gives another new average
    of each, `multi_avg_fn` writes those of lists. With `use_buffers` buffers are averaged too, else
    they are the model's. `module` is the copy, and `n_averaged` counts.

    >>> model = cresset.nn.Linear(1, 1)
    >>> average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    >>> average.update_parameters(model)
    >>> average.n_averaged
    tensor(1)
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable | None = None,
        multi_avg_fn: Callable | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError(
                "AveragedModel: Only one of avg_fn and multi_avg_fn should be provided"
            )
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", cresset.tensor(0, dtype=cresset.long, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Takes the model's parameters into the averages."""
        own, given = list(self._averaged(self.module)), list(self._averaged(model))
        with cresset.no_grad():
            if not self.n_averaged:
                for a, p in zip(own, given):
                    a.copy_(p)
            else:
                # Counts and other whole numbers have no average: they are the model's.
                pairs = [(a, p) for a, p in zip(own, given) if a.is_floating_point()]
                for a, p in zip(own, given):
                    if not a.is_floating_point():
                        a.copy_(p)
                update = self.multi_avg_fn or _of_lists(self.avg_fn or get_swa_avg_fn())
                update([a for a, _ in pairs], [p for _, p in pairs], self.n_averaged)
            if not self.use_buffers:
                for a, b in zip(self.module.buffers(), model.buffers()):
                    a.copy_(b)
            self.n_averaged.add_(1)

    def _averaged(self, model: Module) -> Iterable[Tensor]:
        yield from model.parameters()
        if self.use_buffers:
            yield from model.buffers()


@cresset.no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the running statistics of batch normalisation anew, in one pass over `loader`.

    The model is called with each batch, of a list or tuple with its first part.
    """
    norms = [m for m in model.modules() if isinstance(m, cresset.nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    before = [(norm, norm.momentum) for norm in norms]
    training = model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        # A mean over all batches.
        norm.momentum = None
    for batch in loader:
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(x if device is None else x.to(device))
    for norm, momentum in before:
        norm.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """The learning rate annealed to `swa_lr` in `anneal_epochs` steps, and kept there.

    By `anneal_strategy` "cos" or "linear" (ValueError for others).
    """

    def __init__(
        self,
        optimizer: Any,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                "SWALR: anneal_strategy must by one of 'cos' or 'linear', instead got "
                f"{anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(
                f"SWALR: anneal_epochs must be equal or greater than 0, got {anneal_epochs}"
            )
        groups = optimizer.param_groups
        rates = swa_lr if isinstance(swa_lr, (list, tuple)) else [swa_lr] * len(groups)
        for rate, group in zip(rates, groups, strict=True):
            group["swa_lr"] = rate
        self.anneal_epochs = anneal_epochs
        self.anneal_strategy = anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How much of the way to `swa_lr` is done after so many steps."""
        t = min(1.0, max(0.0, step / max(1, self.anneal_epochs)))
        if not self.anneal_epochs:
            t = 1.0
        return (1 - cos(pi * t)) / 2 if self.anneal_strategy == "cos" else t

    def get_lr(self) -> list[float]:
        before, now = self._share(self.last_epoch - 1), self._share(self.last_epoch)
        rates = []
        for group in self.optimizer.param_groups:
            # Where the rate began follows from where it is.
            end = group["swa_lr"]
            start = end if before == 1 else (group["lr"] - end * before) / (1 - before)
            rates.append(start + (end - start) * now)
        return rates
