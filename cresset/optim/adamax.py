"""Adamax: Adam whose size of the gradient is its greatest magnitude, fading."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from cresset.ops import scalar, update
from cresset.optim.optimizer import (
    ParamsT,
    check_at_least_zero,
    check_betas,
    check_immediate,
    downhill,
)
from cresset.optim.step_count import Lot, StepCounting, start_at_zero


@cache
def _adamax_update(decay: bool, maximize: bool) -> Callable[..., None]:
    @update(writes=("p", "m", "top"))
    def adamax(p, g, m, top, *, size, rate1, beta2, eps, weight_decay):
        g = downhill(p, g, weight_decay, decay, maximize)
        m = m + (g - m) * rate1
        top = scalar.maximum(top * beta2, scalar.absolute(g) + eps)
        return p - size * (m / top), m, top

    return adamax


class Adamax(StepCounting):
    """p = p - lr * m' / u, where u = max(beta2 * u, |g| + eps) and m' is that of `Adam`.

    Settings as `Adam`. Kingma and Ba (2014), section 7.1.

    >>> import cresset
    >>> w = cresset.tensor([1.0], requires_grad=True)
    >>> (w * w).backward()
    >>> Adamax([w], lr=0.5).step()
    >>> w.item()
    0.5
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_at_least_zero(learning_rate=lr, epsilon_value=eps, weight_decay_value=weight_decay)
        check_betas(betas)
        check_immediate("Adamax", differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _start(self, group: dict[str, Any], param: Any, state: dict[str, Any]) -> None:
        start_at_zero(param, state, "exp_avg", "exp_inf")

    def _update(self, group: dict[str, Any], lot: Lot) -> None:
        beta1, beta2 = group["betas"]
        weight_decay = group["weight_decay"]
        _adamax_update(weight_decay != 0, group["maximize"])(
            *lot.lists("exp_avg", "exp_inf"),
            size=float(group["lr"]) / (1 - beta1**lot.steps),
            rate1=1 - beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=weight_decay,
        )
