"""RAdam: Adam that waits with dividing until the size of the gradient is known well enough."""

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
def _radam_update(rectified: bool, decay: str, maximize: bool) -> Callable[..., None]:
    advanced = moments(decay, maximize)

    @update(writes=("p", "m", "v"))
    def radam(p, g, m, v, *, shrink, weight_decay, rate1, beta2, rate2, size, eps):
        p, _, m, v = advanced(p, g, m, v, shrink, weight_decay, rate1, beta2, rate2)
        return p - size * (m / (scalar.sqrt(v) + eps) if rectified else m), m, v

    return radam


class RAdam(StepCounting):
    """p = p - lr * r * m' / (sqrt(v) + eps) * sqrt(1 - beta2^t), in the first steps lr * m' alone.

    m' and v are those of `Adam`, t is the count of steps. r makes up for how little the first few
    gradients say of their variance: with rho = 2 / (1 - beta2) - 1 and
    rho_t = rho - 2 t beta2^t / (1 - beta2^t) it is
    sqrt((rho_t - 4) (rho_t - 2) rho / ((rho - 4) (rho - 2) rho_t)), from rho_t > 5 on. With
    `decoupled_weight_decay` lr * weight_decay * p is taken from p instead of weight_decay * p added
    to g. Other settings as `Adam`. Liu and others (2019).

    >>> import cresset
    >>> w = cresset.tensor([1.0], requires_grad=True)
    >>> (w * w).backward()
    >>> RAdam([w], lr=0.25).step()
    >>> w.item()
    0.5
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_at_least_zero(learning_rate=lr, epsilon_value=eps, weight_decay_value=weight_decay)
        check_betas(betas)
        check_immediate("RAdam", differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _start(self, group: dict[str, Any], param: Any, state: dict[str, Any]) -> None:
        start_at_zero(param, state, *MOMENTS)

    def _update(self, group: dict[str, Any], lot: Lot) -> None:
        beta1, beta2 = group["betas"]
        rest = 1 - beta2**lot.steps
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * lot.steps * beta2**lot.steps / rest
        size = float(group["lr"]) / (1 - beta1**lot.steps)
        rectified = length > 5
        if rectified:
            size *= sqrt(
                rest * (length - 4) * (length - 2) * longest
                / ((longest - 4) * (longest - 2) * length)
            )
        _radam_update(rectified, decay_of(group), group["maximize"])(
            *lot.lists(*MOMENTS),
            **moment_numbers(group),
            size=size,
            eps=group["eps"],
        )
