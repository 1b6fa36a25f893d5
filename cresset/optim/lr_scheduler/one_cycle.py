"""`OneCycleLR`: once up and down, with the momentum the other way."""

from __future__ import annotations

import math
from typing import Any

from cresset.optim.lr_scheduler.scheduler import LRScheduler
from cresset.optim.optimizer import Optimizer


class OneCycleLR(LRScheduler):
    """Up to `max_lr` and down to far below the start, in `total_steps` updates altogether.

    From max_lr / div_factor up in the first `pct_start` of the steps, then down to that over
    final_div_factor, along a cosine or a line; with `three_phase` down to the start first. Momentum
    (or beta1) goes the other way, between `max_momentum` and `base_momentum`, unless
    `cycle_momentum` is False. Raises ValueError for settings out of range and past the last step.
    Smith and Topin (2017).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self._check_optimizer(optimizer)
        self.optimizer = optimizer
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(
                    "OneCycleLR: You must define either total_steps OR (epochs AND steps_per_epoch)"
                )
            total_steps = epochs * steps_per_epoch
        if not isinstance(total_steps, int) or total_steps <= 0:
            raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self.total_steps = total_steps
        self._anneal_func_type = anneal_strategy
        # (last step, group key of the rate at the start, at the end, of the momentum likewise)
        peak = float(pct_start * total_steps) - 1
        up = (peak, "initial_lr", "max_lr", "max_momentum", "base_momentum")
        if three_phase:
            valley = float(2 * pct_start * total_steps) - 2
            back = (valley, "max_lr", "initial_lr", "base_momentum", "max_momentum")
            out = (total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum")
            self._schedule_phases = [up, back, out]
        else:
            down = (total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")
            self._schedule_phases = [up, down]
        self.cycle_momentum = cycle_momentum
        self.use_beta1 = "betas" in optimizer.defaults
        if cycle_momentum and not self.use_beta1 and "momentum" not in optimizer.defaults:
            raise ValueError(
                "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
            )
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, self._for_groups("max_lr", max_lr)):
                group["initial_lr"] = rate / div_factor
                group["max_lr"] = rate
                group["min_lr"] = group["initial_lr"] / final_div_factor
            if cycle_momentum:
                for name, setting in (
                    ("max_momentum", max_momentum),
                    ("base_momentum", base_momentum),
                ):
                    for group, value in zip(
                        optimizer.param_groups, self._for_groups(name, setting)
                    ):
                        group[name] = value
        super().__init__(optimizer, last_epoch)

    def _for_groups(self, name: str, setting: Any) -> list[float]:
        """One value for each group."""
        count = len(self.optimizer.param_groups)
        if not isinstance(setting, (list, tuple)):
            return [setting] * count
        if len(setting) != count:
            raise ValueError(
                f"{name} must have the same length as optimizer.param_groups. {name} has "
                f"{len(setting)} values, param_groups has {count}."
            )
        return list(setting)

    def _between(self, start: float, end: float, part: float) -> float:
        if self._anneal_func_type == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)

    def get_lr(self) -> list[float]:
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(
                f"Tried to step {step} times. The specified number of total steps is "
                f"{self.total_steps}"
            )
        start = 0.0
        for phase in self._schedule_phases:
            end = phase[0]
            if step <= end or end == self.total_steps - 1:
                break
            start = end
        _, rate_from, rate_to, momentum_from, momentum_to = phase
        part = (step - start) / (end - start)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[rate_from], group[rate_to], part))
            if self.cycle_momentum:
                momentum = self._between(group[momentum_from], group[momentum_to], part)
                if self.use_beta1:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum
        return rates
