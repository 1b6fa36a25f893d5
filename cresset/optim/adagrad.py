"""Adagrad: gradient descent with each element's step divided by the size of all its gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from cresset.ops import scalar, update
from cresset.optim.optimizer import ParamsT, check_at_least_zero, check_immediate, downhill
from cresset.optim.step_count import Lot, StepCounting, full_for


@cache
def _adagrad_update(decay: bool, maximize: bool) -> Callable[..., None]:
    @update(writes=("p", "total"))
    def adagrad(p, g, total, *, size, weight_decay, eps):
        g = downhill(p, g, weight_decay, decay, maximize)
        total = total + g * g
        return p - size * (g / (scalar.sqrt(total) + eps)), total

    return adagrad


class Adagrad(StepCounting):
    """p = p - lr' * g / (sqrt(s) + eps), where s is the sum of all g^2 so far.

    lr' = lr / (1 + (step - 1) * lr_decay); s starts at `initial_accumulator_value`. Other settings
    as `Adam`. Duchi and others (2011).
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_at_least_zero(learning_rate=lr, lr_decay_value=lr_decay)
        check_at_least_zero(weight_decay_value=weight_decay)
        check_at_least_zero(initial_accumulator_value=initial_accumulator_value, epsilon_value=eps)
        check_immediate("Adagrad", differentiable)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            self._states(group, group["params"])

    def _start(self, group: dict[str, Any], param: Any, state: dict[str, Any]) -> None:
        state["sum"] = full_for(param, group["initial_accumulator_value"])

    def _update(self, group: dict[str, Any], lot: Lot) -> None:
        weight_decay = group["weight_decay"]
        _adagrad_update(weight_decay != 0, group["maximize"])(
            *lot.lists("sum"),
            size=float(group["lr"]) / (1 + (lot.steps - 1) * group["lr_decay"]),
            weight_decay=weight_decay,
            eps=group["eps"],
        )
