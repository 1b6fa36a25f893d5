"""Adam: gradient descent by running means of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import sqrt
from typing import Any

import cresset
from cresset.ops import scalar, update
from cresset.optim.optimizer import check_at_least_zero, check_immediate
from cresset.optim.step_count import StepCounting


@cache
def _adam_update(amsgrad: bool, decay: str, maximize: bool) -> Callable[..., None]:
    """The update; `decay` is "none", "coupled" (into the gradient) or "decoupled" (of p itself).

    `shrink` is what p is multiplied by, `rate1` and `rate2` are 1 - beta1 and 1 - beta2, `size` is
    lr / (1 - beta1^step) and `root` sqrt(1 - beta2^step).
    """

    def moments(p, g, m, v, shrink, weight_decay, rate1, beta2, rate2):
        g = -g if maximize else g
        p = p * shrink if decay == "decoupled" else p
        g = g + weight_decay * p if decay == "coupled" else g
        return p, m + (g - m) * rate1, v * beta2 + g * g * rate2

    if amsgrad:

        @update(writes=("p", "m", "v", "top"))
        def adam_amsgrad(
            p, g, m, v, top, *, shrink, weight_decay, rate1, beta2, rate2, size, root, eps
        ):
            p, m, v = moments(p, g, m, v, shrink, weight_decay, rate1, beta2, rate2)
            top = scalar.maximum(top, v)
            return p - size * (m / (scalar.sqrt(top) / root + eps)), m, v, top

        return adam_amsgrad

    @update(writes=("p", "m", "v"))
    def adam(p, g, m, v, *, shrink, weight_decay, rate1, beta2, rate2, size, root, eps):
        p, m, v = moments(p, g, m, v, shrink, weight_decay, rate1, beta2, rate2)
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

    >>> w = cresset.tensor([1.0], requires_grad=True)
    >>> (w * w).backward()
    >>> Adam([w], lr=0.5).step()
    >>> round(w.item(), 4)
    0.5
    """

    def __init__(
        self,
        params: Any,
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
        for index, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(
                    f"optimizer: Invalid beta parameter at index {index}: {beta}; need 0 <= beta "
                    "< 1"
                )
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

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._evaluate(closure)
        for group in self.param_groups:
            params, grads = self._ready(group)
            if not params:
                continue
            states = [self.state[p] for p in params]
            amsgrad = group["amsgrad"]
            if not all(states):
                self._start(params, states, amsgrad)
            lr = float(group["lr"])
            beta1, beta2 = group["betas"]
            weight_decay = group["weight_decay"]
            decay = "none"
            if weight_decay:
                decay = "decoupled" if group["decoupled_weight_decay"] else "coupled"
            launch = _adam_update(amsgrad, decay, group["maximize"])
            for count, lot_params, lot_grads, lot_states in self._counted(params, grads, states):
                tensors = [
                    lot_params,
                    lot_grads,
                    [state["exp_avg"] for state in lot_states],
                    [state["exp_avg_sq"] for state in lot_states],
                ]
                if amsgrad:
                    tensors.append([state["max_exp_avg_sq"] for state in lot_states])
                launch(
                    *tensors,
                    shrink=1 - lr * weight_decay,
                    weight_decay=weight_decay,
                    rate1=1 - beta1,
                    beta2=beta2,
                    rate2=1 - beta2,
                    size=lr / (1 - beta1**count),
                    root=sqrt(1 - beta2**count),
                    eps=group["eps"],
                )
        return loss

    def _start(self, params: list[Any], states: list[dict[str, Any]], amsgrad: bool) -> None:
        for param, state in zip(params, states):
            if state:
                continue
            state["step"] = 0.0
            state["exp_avg"] = cresset.zeros_like(param, requires_grad=False)
            state["exp_avg_sq"] = cresset.zeros_like(param, requires_grad=False)
            if amsgrad:
                state["max_exp_avg_sq"] = cresset.zeros_like(param, requires_grad=False)
