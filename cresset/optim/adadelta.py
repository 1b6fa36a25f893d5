"""Adadelta: steps in the size of those before, divided by the recent size of the gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from cresset.ops import scalar, update
from cresset.optim.optimizer import ParamsT, check_at_least_zero, check_immediate, downhill
from cresset.optim.step_count import Lot, StepCounting, start_at_zero


@cache
def _adadelta_update(decay: bool, maximize: bool) -> Callable[..., None]:
    @update(writes=("p", "square", "moved"))
    def adadelta(p, g, square, moved, *, lr, rho, rate, eps, weight_decay):
        g = downhill(p, g, weight_decay, decay, maximize)
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
        params: ParamsT,
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

    def _start(self, group: dict[str, Any], param: Any, state: dict[str, Any]) -> None:
        start_at_zero(param, state, "square_avg", "acc_delta")

    def _update(self, group: dict[str, Any], lot: Lot) -> None:
        weight_decay, rho = group["weight_decay"], group["rho"]
        _adadelta_update(weight_decay != 0, group["maximize"])(
            *lot.lists("square_avg", "acc_delta"),
            lr=float(group["lr"]),
            rho=rho,
            rate=1 - rho,
            eps=group["eps"],
            weight_decay=weight_decay,
        )
