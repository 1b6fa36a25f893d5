"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import sqrt
from typing import Any

from cresset.ops import scalar, update
from cresset.optim.adam import MOMENTS, decay_of, moment_numbers, moments
from cresset.optim.optimizer import ParamsT, check_at_least_zero, check_betas, check_immediate
from cresset.optim.step_count import Lot, StepCounting, start_at_zero


@cache
def _nadam_update(decay: str, maximize: bool) -> Callable[..., None]:
    """The update; p moves by `share` of the gradient and `ahead` of its mean, over its size."""
    advanced = moments(decay, maximize)

    @update(writes=("p", "m", "v"))
    def nadam(p, g, m, v, *, shrink, weight_decay, rate1, beta2, rate2, share, ahead, root, eps):
        p, g, m, v = advanced(p, g, m, v, shrink, weight_decay, rate1, beta2, rate2)
        size = scalar.sqrt(v) / root + eps
        return p - share * (g / size) - ahead * (m / size), m, v

    return nadam


class NAdam(StepCounting):
    """`Adam` whose mean of the gradient is looked at one step ahead.

    p = p - lr * (a * g + b * m) / (sqrt(v') + eps), where a = (1 - mu_t) / (1 - M_t) and
    b = mu_(t+1) / (1 - M_t * mu_(t+1)); mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2) grows
    with the count of steps t, and M_t, the state's "mu_product", is the product of all so far. With
    `decoupled_weight_decay` lr * weight_decay * p is taken from p instead of weight_decay * p added
    to g. Other settings as `Adam`. Dozat (2016).

    >>> import cresset
    >>> w = cresset.tensor([1.0], requires_grad=True)
    >>> (w * w).backward()
    >>> NAdam([w], lr=0.5).step()
    >>> round(w.item(), 4)
    0.4718
    """

    NUMBERS = ("step", "mu_product")

    def __init__(
        self,
        params: ParamsT,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_at_least_zero(learning_rate=lr, epsilon_value=eps, weight_decay_value=weight_decay)
        check_at_least_zero(momentum_decay_value=momentum_decay)
        check_betas(betas)
        check_immediate("NAdam", differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _start(self, group: dict[str, Any], param: Any, state: dict[str, Any]) -> None:
        state["mu_product"] = 1.0
        start_at_zero(param, state, *MOMENTS)

    def _update(self, group: dict[str, Any], lot: Lot) -> None:
        beta1, beta2 = group["betas"]
        lr = float(group["lr"])
        mu, mu_next = (
            beta1 * (1 - 0.5 * 0.96 ** (steps * group["momentum_decay"]))
            for steps in (lot.steps, lot.steps + 1)
        )
        product = lot.states[0]["mu_product"] * mu
        for state in lot.states:
            state["mu_product"] = product
        _nadam_update(decay_of(group), group["maximize"])(
            *lot.lists(*MOMENTS),
            **moment_numbers(group),
            share=lr * (1 - mu) / (1 - product),
            ahead=lr * mu_next / (1 - product * mu_next),
            root=sqrt(1 - beta2**lot.steps),
            eps=group["eps"],
        )
