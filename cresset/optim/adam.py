"""Adam: gradient descent by running means of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import sqrt
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

# The tensors in a parameter's state.
MOMENTS = "exp_avg", "exp_avg_sq"
AMSGRAD = (*MOMENTS, "max_exp_avg_sq")


def moments(decay: str, maximize: bool) -> Callable[..., Any]:
    """What updates by running means begin with: p after weight decay, the slope, the new means.

    `decay` is "none", "coupled" (into the gradient) or "decoupled" (of p itself). p is multiplied
    by `shrink`; `rate1` and `rate2` are 1 - beta1 and 1 - beta2.
    """

    def advanced(p, g, m, v, shrink, weight_decay, rate1, beta2, rate2):
        p = p * shrink if decay == "decoupled" else p
        g = downhill(p, g, weight_decay, decay == "coupled", maximize)
        return p, g, m + (g - m) * rate1, v * beta2 + g * g * rate2

    return advanced


def decay_of(group: dict[str, Any]) -> str:
    """The `decay` of `moments`, by a group's settings."""
    if not group["weight_decay"]:
        return "none"
    return "decoupled" if group["decoupled_weight_decay"] else "coupled"


def moment_numbers(group: dict[str, Any]) -> dict[str, float]:
    """The numbers of `moments`, by a group's settings."""
    beta1, beta2 = group["betas"]
    weight_decay = group["weight_decay"]
    return {
        "shrink": 1 - float(group["lr"]) * weight_decay,
        "weight_decay": weight_decay,
        "rate1": 1 - beta1,
        "beta2": beta2,
        "rate2": 1 - beta2,
    }


@cache
def _adam_update(amsgrad: bool, decay: str, maximize: bool) -> Callable[..., None]:
    """The update; `size` is lr / (1 - beta1^step) and `root` sqrt(1 - beta2^step)."""
    advanced = moments(decay, maximize)

    if amsgrad:

        @update(writes=("p", "m", "v", "top"))
        def adam_amsgrad(
            p, g, m, v, top, *, shrink, weight_decay, rate1, beta2, rate2, size, root, eps
        ):
            p, _, m, v = advanced(p, g, m, v, shrink, weight_decay, rate1, beta2, rate2)
            top = scalar.maximum(top, v)
            return p - size * (m / (scalar.sqrt(top) / root + eps)), m, v, top

        return adam_amsgrad

    @update(writes=("p", "m", "v"))
    def adam(p, g, m, v, *, shrink, weight_decay, rate1, beta2, rate2, size, root, eps):
        p, _, m, v = advanced(p, g, m, v, shrink, weight_decay, rate1, beta2, rate2)
        return p - size * (m / (scalar.sqrt(v) / root + eps)), m, v

    return adam


class Adam(StepCounting):
    """p = p - lr * m' / (sqrt(v') + eps), where m and v are running means of g and g^2.

    m = beta1 * m + (1 - beta1) * g and v = beta2 * v + (1 - beta2) * g^2; m' and v' are m and v
    over 1 - beta^step, which makes up for their start at 0. With `amsgrad` the greatest v so far
    counts. `weight_decay` adds weight_decay * p to g, or with `decoupled_weight_decay` takes lr *
    weight_decay * p from p instead, as `AdamW` does. `maximize` goes uphill. `foreach`,
    `capturable` and `fused` choose among PyTorch's implementations and have no effect here. Raises
    ValueError for negative settings and betas outside of [0, 1). Kingma and Ba (2014); Reddi and
    others (2018).

    >>> import cresset
    >>> w = cresset.tensor([1.0], requires_grad=True)
    >>> (w * w).backward()
    >>> Adam([w], lr=0.5).step()
    >>> round(w.item(), 4)
    0.5
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_at_least_zero(learning_rate=lr, epsilon_value=eps)
        check_betas(betas)
        check_at_least_zero(weight_decay_value=weight_decay)
        check_immediate(type(self).__name__, differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _start(self, group: dict[str, Any], param: Any, state: dict[str, Any]) -> None:
        start_at_zero(param, state, *(AMSGRAD if group["amsgrad"] else MOMENTS))

    def _update(self, group: dict[str, Any], lot: Lot) -> None:
        amsgrad, steps = group["amsgrad"], lot.steps
        beta1, beta2 = group["betas"]
        names = AMSGRAD if amsgrad else MOMENTS
        _adam_update(amsgrad, decay_of(group), group["maximize"])(
            *lot.lists(*names),
            **moment_numbers(group),
            size=float(group["lr"]) / (1 - beta1**steps),
            root=sqrt(1 - beta2**steps),
            eps=group["eps"],
        )
