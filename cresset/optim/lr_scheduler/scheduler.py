"""`LRScheduler`: what all schedules of the learning rate have in common."""

from __future__ import annotations

import warnings
from typing import Any

from cresset.ops import made_anew
from cresset.optim.optimizer import Optimizer


class LRScheduler:
    """The base class: a subclass gives the rates of `last_epoch` in `get_lr`.

    `base_lrs` are the rates at the start, kept in the groups as "initial_lr". `last_epoch` counts
    the steps, -1 before the first; another start needs "initial_lr" in every group (KeyError).
    """

    _is_initial = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in cls.__dict__:
            cls.step = made_anew(cls.step)  # type: ignore[method-assign]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self._check_optimizer(optimizer)
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{number}] when resuming "
                    "scheduler with last_epoch >= 0; load the optimizer's state first"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        _note_first_step(optimizer)
        self._initial_step()

    def _check_optimizer(self, optimizer: Any) -> None:
        """Raises TypeError for what is no optimizer."""
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: {type(optimizer).__name__} is not an Optimizer; give that "
                "first"
            )

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        self.step()
        del self._is_initial

    def _rates(self) -> list[float]:
        """The rates that the groups have now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def get_lr(self) -> list[float]:
        """The rate of each group at `last_epoch`; called by `step` alone."""
        raise NotImplementedError(f"{type(self).__name__}.get_lr: define the schedule here")

    def get_last_lr(self) -> list[float]:
        """The rate of each group as the last step set it."""
        return self._last_lr

    @made_anew
    def step(self, epoch: int | None = None) -> None:
        """Goes one epoch on, or (deprecated) to `epoch`, and sets the rates.

        Warns if the optimizer has made no step when the schedule makes its first.
        """
        if self._step_count == 1 and not getattr(self.optimizer, "_opt_called", True):
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in "
                "the opposite order, else the first value of the schedule is skipped.",
                stacklevel=2,
            )
        self._step_count += 1
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            self.last_epoch = epoch
            closed_form = getattr(self, "_get_closed_form_lr", self.get_lr)
            rates = closed_form()
        for group, rate in zip(self.optimizer.param_groups, rates):
            group["lr"] = rate
        self._last_lr = self._rates()

    def state_dict(self) -> dict[str, Any]:
        """All that the schedule knows, its optimizer aside."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a state that `state_dict` gave."""
        self.__dict__.update(state_dict)


class _LRScheduler(LRScheduler):
    """`LRScheduler` by its old name."""


def _note_first_step(optimizer: Optimizer) -> None:
    """Sets `optimizer._opt_called` at its first step, and costs nothing afterwards."""
    if hasattr(optimizer, "_opt_called"):
        return
    optimizer._opt_called = False

    def note(optimizer: Any, args: Any, kwargs: Any) -> None:
        optimizer._opt_called = True
        handle.remove()

    handle = optimizer.register_step_post_hook(note)
