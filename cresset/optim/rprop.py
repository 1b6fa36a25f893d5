"""Rprop: each element takes steps of a size of its own, whatever the size of its gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from cresset.ops import scalar, update
from cresset.optim.optimizer import ParamsT, check_at_least_zero, check_immediate
from cresset.optim.step_count import Lot, StepCounting, full_for, start_at_zero


@cache
def _rprop_update(maximize: bool) -> Callable[..., None]:
    @update(writes=("p", "before", "size"))
    def rprop(p, g, before, size, *, shrink, grow, least, most):
        g = -g if maximize else g
        agreed = g * before
        # NaN for what is neither, so that a gradient of NaN is seen in the parameter.
        factor = scalar.where(scalar.eq(agreed, 0), 1.0, agreed)
        factor = scalar.where(agreed > 0, grow, scalar.where(agreed < 0, shrink, factor))
        size = scalar.minimum(scalar.maximum(size * factor, least), most)
        g = scalar.where(agreed < 0, 0.0, g)
        return p - scalar.sign(g) * size, g, size

    return rprop


class Rprop(StepCounting):
    """p = p - s * sign(g), where s grows while the sign of g stays and shrinks when it changes.

    s starts at `lr`; it is multiplied by the second of `etas` where g has the sign of the last
    step's, by the first where it has the other, and kept within `step_sizes`. An element whose sign
    has changed stays where it is for that step, as if its gradient were 0. For gradients of all
    data: those of batches change signs by chance. `maximize`, `foreach` and `capturable` as `Adam`.
    ValueError unless 0 < etas[0] < 1 < etas[1]. Riedmiller and Braun (1993), in the form of
    Igel and Huesken (2000).

    >>> import cresset
    >>> w = cresset.tensor([1.0], requires_grad=True)
    >>> (w * w).backward()
    >>> Rprop([w], lr=0.25).step()
    >>> w.item()
    0.75
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_at_least_zero(learning_rate=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(
                f"Rprop: Invalid eta values: {etas[0]}, {etas[1]}; need 0 < the first < 1 < the "
                "second"
            )
        check_immediate("Rprop", differentiable)
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _start(self, group: dict[str, Any], param: Any, state: dict[str, Any]) -> None:
        start_at_zero(param, state, "prev")
        state["step_size"] = full_for(param, float(group["lr"]))

    def _update(self, group: dict[str, Any], lot: Lot) -> None:
        shrink, grow = group["etas"]
        least, most = group["step_sizes"]
        _rprop_update(group["maximize"])(
            *lot.lists("prev", "step_size"), shrink=shrink, grow=grow, least=least, most=most
        )
