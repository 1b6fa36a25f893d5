"""Adadelta: steps in the size of those before, divided by the recent size of the gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import cresset
from cresset.ops import scalar, update
from cresset.optim.optimizer import check_at_least_zero, check_immediate
from cresset.optim.step_count import StepCounting


@cache
def _adadelta_update(decay: bool, maximize: bool) -> Callable[..., None]:
    @update(writes=("p", "square", "moved"))
    def adadelta(p, g, square, moved, *, lr, rho, rate, eps, weight_decay):
        g = -g if maximize else g
        g = g + weight_decay * p if decay else g
        square = square * rho + g * g * rate
        move = scalar.sqrt(moved + eps) / scalar.sqrt(square + eps) * g
        return p - lr * move, square, moved * rho + move * move * rate

    return adadelta


class Adadelta(StepCounting):
    """p = p - lr * d, where d = g * sqrt(m + eps) / sqrt(v + eps).

    v = rho * v + (1 - rho) * g^2 is the recent mean of the squared gradient, and m that of d^2.
    Other settings as `Adam`. Zeiler (2012). ValueError unless 0 <= rho <= 1.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_at_least_zero(learning_rate=lr, epsilon_value=eps, weight_decay_value=weight_decay)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Adadelta: Invalid rho value: {rho}; need 0 <= rho <= 1")
        check_immediate("Adadelta", differentiable)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._evaluate(closure)
        for group in self.param_groups:
            params, grads = self._ready(group)
            if not params:
                continue
            states = [self.state[p] for p in params]
            for param, state in zip(params, states):
                if not state:
                    state["step"] = 0.0
                    state["square_avg"] = cresset.zeros_like(param, requires_grad=False)
                    state["acc_delta"] = cresset.zeros_like(param, requires_grad=False)
                state["step"] += 1.0
            weight_decay, rho = group["weight_decay"], group["rho"]
            _adadelta_update(weight_decay != 0, group["maximize"])(
                params,
                grads,
                [state["square_avg"] for state in states],
                [state["acc_delta"] for state in states],
                lr=float(group["lr"]),
                rho=rho,
                rate=1 - rho,
                eps=group["eps"],
                weight_decay=weight_decay,
            )
        return loss
