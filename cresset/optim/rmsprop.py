"""RMSprop: gradient descent with each element's step divided by the recent size of its gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from cresset.ops import scalar, update
from cresset.optim.optimizer import ParamsT, check_at_least_zero, check_immediate, downhill
from cresset.optim.step_count import Lot, StepCounting, start_at_zero

# The state of each parameter.
_SQUARE, _MEAN, _VELOCITY = "square_avg", "grad_avg", "momentum_buffer"


@cache
def _rmsprop_update(
    centered: bool, momentum: bool, decay: bool, maximize: bool
) -> Callable[..., None]:
    def direction(p, g, square, mean, alpha, rate, eps, weight_decay):
        """The gradient over its size, and the new means of its square and of itself."""
        g = downhill(p, g, weight_decay, decay, maximize)
        square = square * alpha + g * g * rate
        if not centered:
            return g / (scalar.sqrt(square) + eps), square, None
        mean = mean + (g - mean) * rate
        return g / (scalar.sqrt(square - mean * mean) + eps), square, mean

    @update(writes=("p", "square"))
    def rmsprop(p, g, square, *, lr, alpha, rate, eps, weight_decay, momentum):
        move, square, _ = direction(p, g, square, None, alpha, rate, eps, weight_decay)
        return p - lr * move, square

    @update(writes=("p", "square", "velocity"))
    def rmsprop_momentum(p, g, square, velocity, *, lr, alpha, rate, eps, weight_decay, momentum):
        move, square, _ = direction(p, g, square, None, alpha, rate, eps, weight_decay)
        velocity = momentum * velocity + move
        return p - lr * velocity, square, velocity

    @update(writes=("p", "square", "mean"))
    def rmsprop_centered(p, g, square, mean, *, lr, alpha, rate, eps, weight_decay, momentum):
        move, square, mean = direction(p, g, square, mean, alpha, rate, eps, weight_decay)
        return p - lr * move, square, mean

    @update(writes=("p", "square", "mean", "velocity"))
    def rmsprop_centered_momentum(
        p, g, square, mean, velocity, *, lr, alpha, rate, eps, weight_decay, momentum
    ):
        move, square, mean = direction(p, g, square, mean, alpha, rate, eps, weight_decay)
        velocity = momentum * velocity + move
        return p - lr * velocity, square, mean, velocity

    if centered:
        return rmsprop_centered_momentum if momentum else rmsprop_centered
    return rmsprop_momentum if momentum else rmsprop


class RMSprop(StepCounting):
    """p = p - lr * g / (sqrt(v) + eps), where v = alpha * v + (1 - alpha) * g^2.

    With `centered` the square of the running mean of g is taken from v, which leaves its variance;
    with `momentum` p moves by a velocity, momentum * velocity + g / (sqrt(v) + eps). Other settings
    as `Adam`. Hinton (2012), lecture 6e; centred, Graves (2013).
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_at_least_zero(learning_rate=lr, epsilon_value=eps, momentum_value=momentum)
        check_at_least_zero(weight_decay_value=weight_decay, alpha_value=alpha)
        check_immediate("RMSprop", differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _start(self, group: dict[str, Any], param: Any, state: dict[str, Any]) -> None:
        start_at_zero(param, state, _SQUARE)
        if group["momentum"] > 0:
            start_at_zero(param, state, _VELOCITY)
        if group["centered"]:
            start_at_zero(param, state, _MEAN)

    def _update(self, group: dict[str, Any], lot: Lot) -> None:
        momentum, weight_decay = group["momentum"], group["weight_decay"]
        names = [_SQUARE]
        if group["centered"]:
            names.append(_MEAN)
        if momentum > 0:
            names.append(_VELOCITY)
        launch = _rmsprop_update(
            group["centered"], momentum > 0, weight_decay != 0, group["maximize"]
        )
        launch(
            *lot.lists(*names),
            lr=float(group["lr"]),
            alpha=group["alpha"],
            rate=1 - group["alpha"],
            eps=group["eps"],
            weight_decay=weight_decay,
            momentum=momentum,
        )
