"""ASGD: gradient descent with fading steps, and beside it the average of where it went."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from cresset.ops import update
from cresset.optim.optimizer import ParamsT, check_at_least_zero, check_immediate, downhill
from cresset.optim.step_count import Lot, StepCounting, start_at_zero


@cache
def _asgd_update(averages: bool, decay: bool, maximize: bool) -> Callable[..., None]:
    @update(writes=("p", "average"))
    def asgd(p, g, average, *, shrink, eta, rate, weight_decay):
        g = downhill(p, g, weight_decay, decay, maximize)
        p = p * shrink - eta * g
        return p, average + (p - average) * rate if averages else p

    return asgd


class ASGD(StepCounting):
    """p = (1 - lambd * eta) * p - eta * g with eta = lr / (1 + lambd * lr * t)^alpha.

    t is the count of steps before this one. The state's "ax" is p itself in the first `t0` steps,
    then the mean of p over all further ones. Other settings as `Adam`. Polyak and Juditsky (1992),
    in the form of Bottou (2010).

    >>> import cresset
    >>> w = cresset.tensor([1.0], requires_grad=True)
    >>> (w * w).backward()
    >>> ASGD([w], lr=0.25, lambd=0.0).step()
    >>> w.item()
    0.5
    """

    NUMBERS = ("step", "eta", "mu")

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_at_least_zero(learning_rate=lr, weight_decay_value=weight_decay)
        check_immediate("ASGD", differentiable)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _start(self, group: dict[str, Any], param: Any, state: dict[str, Any]) -> None:
        state["eta"] = float(group["lr"])
        state["mu"] = 1.0
        start_at_zero(param, state, "ax")

    def _update(self, group: dict[str, Any], lot: Lot) -> None:
        lr, lambd, weight_decay = float(group["lr"]), group["lambd"], group["weight_decay"]
        eta, mu = lot.states[0]["eta"], lot.states[0]["mu"]
        _asgd_update(mu != 1, weight_decay != 0, group["maximize"])(
            *lot.lists("ax"),
            shrink=1 - lambd * eta,
            eta=eta,
            rate=mu,
            weight_decay=weight_decay,
        )
        for state in lot.states:
            state["eta"] = lr / (1 + lambd * lr * lot.steps) ** group["alpha"]
            state["mu"] = 1 / max(1, lot.steps - group["t0"])
