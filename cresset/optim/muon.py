"""Muon: the momentum of a matrix, made nearly orthogonal."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import cresset
from cresset import Tensor
from cresset.optim.optimizer import Optimizer, ParamsT, check_at_least_zero

# How much a step grows with a matrix of so many rows and columns.
_RATES: dict[str | None, Callable[[int, int], float]] = {
    None: lambda rows, columns: sqrt(max(1, rows / columns)),
    "original": lambda rows, columns: sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * sqrt(max(rows, columns)),
}


class Muon(Optimizer):
    """p = p - lr * weight_decay * p - a * O(u), for matrices: the weights of hidden layers.

    The momentum is m = momentum * m + (1 - momentum) * g, and u the mean of g and m in these
    shares with `nesterov`, or m. O(u) has u's singular vectors with values near 1: `ns_steps` times
    x = a x + b (x x') x + c (x x')^2 x with the `ns_coefficients` a, b and c, from u over its norm
    (at least `eps`), in bfloat16. a is lr times sqrt(max(1, rows / columns)), or with
    adjust_lr_fn="match_rms_adamw" 0.2 sqrt(max(rows, columns)). Raises ValueError for parameters
    that are no matrices, and for a negative setting. Jordan (2024), with PyTorch's form.

    >>> w = cresset.eye(2, requires_grad=True)
    >>> (w * w).sum().backward()
    >>> Muon([w], lr=0.1, weight_decay=0).step()
    >>> bool((w.detach().diagonal() < 1).all())
    True
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        check_at_least_zero(learning_rate=lr, momentum=momentum, weight_decay=weight_decay)
        if adjust_lr_fn not in _RATES:
            raise ValueError(
                f"Muon: Adjust learning rate function {adjust_lr_fn} is not supported; need "
                "'original' or 'match_rms_adamw'"
            )
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.dim() != 2:
                    raise ValueError(
                        "Muon: only supports 2D parameters whereas we found a parameter with size: "
                        f"{tuple(p.shape)}; give the others to AdamW"
                    )

    @cresset.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._evaluate(closure)
        for group in self.param_groups:
            lr, momentum = float(group["lr"]), group["momentum"]
            for p, g in zip(*self._ready(group)):
                if p.is_complex():
                    raise RuntimeError("Muon: does not support complex parameters")
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = cresset.zeros_like(g)
                velocity = state["momentum_buffer"].lerp_(g, 1 - momentum)
                u = g.lerp(velocity, momentum) if group["nesterov"] else velocity
                direction = _orthogonal(u, *_iteration(group))
                p.mul_(1 - lr * group["weight_decay"])
                p.add_(direction, alpha=-lr * _RATES[group["adjust_lr_fn"]](*p.shape))
        return loss


def _iteration(group: dict[str, Any]) -> tuple[tuple[float, float, float], int, float]:
    """The coefficients, the number of steps and the least norm; ValueError for impossible ones."""
    if group["ns_steps"] >= 100:
        raise ValueError(f"Muon: Number of steps must be less than 100; got {group['ns_steps']}")
    if len(group["ns_coefficients"]) != 3:
        raise ValueError("Muon: Coefficients must be a tuple of exactly 3 values")
    return group["ns_coefficients"], group["ns_steps"], group["eps"]


def _orthogonal(
    u: Tensor, coefficients: tuple[float, float, float], steps: int, least: float
) -> Tensor:
    """u with its singular values near 1, by Newton and Schulz's iteration of a quintic."""
    a, b, c = coefficients
    upright = u.shape[0] > u.shape[1]
    x = u.bfloat16()
    if upright:
        x = x.t()
    x = x / x.norm().clamp(min=least)
    for _ in range(steps):
        square = x @ x.t()
        x = cresset.addmm(x, cresset.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.t() if upright else x
