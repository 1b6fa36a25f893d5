"""Adagrad: gradient descent with each element's step divided by the size of all its gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import cresset
from cresset.ops import scalar, update
from cresset.optim.optimizer import check_at_least_zero, check_immediate
from cresset.optim.step_count import StepCounting


@cache
def _adagrad_update(decay: bool, maximize: bool) -> Callable[..., None]:
    @update(writes=("p", "total"))
    def adagrad(p, g, total, *, size, weight_decay, eps):
        g = -g if maximize else g
        g = g + weight_decay * p if decay else g
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
        params: Any,
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
            self._start(group, group["params"])

    def _start(self, group: dict[str, Any], params: list[Any]) -> None:
        for param in params:
            state = self.state[param]
            if not state:
                total = group["initial_accumulator_value"]
                state["step"] = 0.0
                state["sum"] = cresset.full_like(param, total, requires_grad=False)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._evaluate(closure)
        for group in self.param_groups:
            params, grads = self._ready(group)
            if not params:
                continue
            states = [self.state[p] for p in params]
            if not all(states):
                self._start(group, params)
            lr = float(group["lr"])
            weight_decay = group["weight_decay"]
            launch = _adagrad_update(weight_decay != 0, group["maximize"])
            for count, lot_params, lot_grads, lot_states in self._counted(params, grads, states):
                launch(
                    lot_params,
                    lot_grads,
                    [state["sum"] for state in lot_states],
                    size=lr / (1 + (count - 1) * group["lr_decay"]),
                    weight_decay=weight_decay,
                    eps=group["eps"],
                )
        return loss
