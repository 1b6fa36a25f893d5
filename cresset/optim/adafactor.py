"""Adafactor: steps divided by the size of the gradient, of which rows and columns are kept."""

from __future__ import annotations

from math import sqrt
from typing import Any

import cresset
from cresset import Tensor
from cresset.optim.optimizer import ParamsT, check_at_least_zero
from cresset.optim.step_count import Lot, StepCounting


class Adafactor(StepCounting):
    """p = p - a * u / max(1, rms(u) / d), where u = g / sqrt(v) and a = max(eps2, rms(p)) * rho.

    v is the running mean of g^2, with a beta of 1 - t^beta2_decay in step t; of matrices (the last
    two dims of a parameter) only its means along rows and columns are kept, "row_var" and
    "col_var", and v is their product over the mean of all. sqrt(v) is at least `eps[0]`, by default
    the eps of the type, and rho = min(lr, 1 / sqrt(t)). `weight_decay` takes lr * weight_decay * p
    from p; `maximize` goes uphill; `foreach` has no effect here. Complex parameters raise
    RuntimeError. Shazeer and Stern (2018), with lr and eps as in PyTorch.

    >>> w = cresset.eye(2, requires_grad=True)
    >>> (w * w).sum().backward()
    >>> optimizer = Adafactor([w], lr=0.5)
    >>> optimizer.step()
    >>> w.detach()
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        check_at_least_zero(learning_rate=lr, weight_decay=weight_decay, epsilon2=eps[1])
        if eps[0] is not None:
            check_at_least_zero(epsilon1=eps[0])
        if not beta2_decay <= 0.0:
            raise ValueError(f"Adafactor: beta2_decay should be <= 0 but is: {beta2_decay}")
        if not d >= 1.0:
            raise ValueError(f"Adafactor: Clipping threshold d should be >= 1 but is: {d}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _start(self, group: dict[str, Any], param: Any, state: dict[str, Any]) -> None:
        if param.is_complex():
            raise RuntimeError(
                "Adafactor: does not support complex parameters; got one of shape "
                f"{tuple(param.shape)}; give its real and imaginary parts"
            )
        if param.dim() > 1:
            state["row_var"] = param.new_zeros((*param.shape[:-1], 1))
            state["col_var"] = param.new_zeros((*param.shape[:-2], 1, param.shape[-1]))
        else:
            state["variance"] = cresset.zeros_like(param, requires_grad=False)

    @cresset.no_grad()
    def _update(self, group: dict[str, Any], lot: Lot) -> None:
        lr, weight_decay = float(group["lr"]), group["weight_decay"]
        rate = lot.steps ** group["beta2_decay"]
        size = min(lr, 1 / sqrt(lot.steps))
        for p, g, state in zip(lot.params, lot.grads, lot.states):
            least, least_scale = group["eps"]
            least = cresset.finfo(p.dtype).eps if least is None else least
            scale = max(least_scale, _root_mean_square(p)) * size
            if weight_decay:
                p.mul_(1 - lr * weight_decay)
            v = _variance(g, state, rate, least)
            u = v.clamp_(min=least * least).rsqrt_().mul_(g)
            share = scale / max(1.0, _root_mean_square(u) / group["d"])
            p.add_(u, alpha=share if group["maximize"] else -share)


def _root_mean_square(x: Tensor) -> float:
    return x.norm().item() / sqrt(x.numel()) if x.numel() else 0.0


def _variance(g: Tensor, state: dict[str, Any], rate: float, least: float) -> Tensor:
    """The running mean of g^2, once g is taken into what the state has of it."""
    if "variance" in state:
        return state["variance"].lerp_(g.square(), rate).clone()
    row, column = state["row_var"], state["col_var"]
    for mean, dim in ((row, -1), (column, -2)):
        mean.lerp_(g.norm(dim=dim, keepdim=True).square_().div_(g.size(dim)), rate)
    return (row @ column).div_(row.mean(-2, keepdim=True).clamp_(min=least))
