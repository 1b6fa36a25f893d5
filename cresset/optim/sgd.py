"""SGD: stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import cresset
from cresset.ops import update
from cresset.optim.optimizer import (
    Optimizer,
    ParamsT,
    check_at_least_zero,
    check_immediate,
    downhill,
)


@cache
def _plain_update(decay: bool, maximize: bool) -> Callable[..., None]:
    @update(writes=("p",))
    def sgd(p, g, *, lr, weight_decay):
        g = downhill(p, g, weight_decay, decay, maximize)
        return p - lr * g

    return sgd


@cache
def _momentum_update(decay: bool, maximize: bool, nesterov: bool) -> Callable[..., None]:
    @update(writes=("p", "velocity"))
    def sgd_momentum(p, g, velocity, *, lr, weight_decay, momentum, share):
        g = downhill(p, g, weight_decay, decay, maximize)
        velocity = momentum * velocity + share * g
        g = g + momentum * velocity if nesterov else velocity
        return p - lr * g, velocity

    return sgd_momentum


class SGD(Optimizer):
    """p = p - lr * v, where v = momentum * v + (1 - dampening) * g and g is the gradient.

    Without momentum v is g; the first v is g as it is. With `nesterov` p moves by g + momentum * v,
    which needs a momentum and no dampening (ValueError). `weight_decay` adds weight_decay * p to g;
    `maximize` goes uphill. `foreach` and `fused` choose among PyTorch's implementations and have no
    effect here. Sutskever and others (2013), in PyTorch's form: lr multiplies v, not g.

    >>> w = cresset.tensor([1.0], requires_grad=True)
    >>> (w * w).backward()
    >>> SGD([w], lr=0.25).step()
    >>> w.item()
    0.5
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_at_least_zero(learning_rate=lr, momentum_value=momentum)
        check_at_least_zero(weight_decay_value=weight_decay)
        check_immediate("SGD", differentiable)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                "SGD: Nesterov momentum requires a momentum and zero dampening; got "
                f"momentum={momentum} and dampening={dampening}; give such as momentum=0.9"
            )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _import_state(self, entry: Any) -> Any:
        # PyTorch saves None for a parameter that has made no step yet.
        return {name: value for name, value in entry.items() if value is not None}

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._evaluate(closure)
        for group in self.param_groups:
            params, grads = self._ready(group)
            if not params:
                continue
            if group["momentum"]:
                self._step_with_momentum(group, params, grads)
                continue
            decay = group["weight_decay"]
            launch = _plain_update(decay != 0, group["maximize"])
            launch(params, grads, lr=float(group["lr"]), weight_decay=decay)
        return loss

    def _step_with_momentum(
        self, group: dict[str, Any], params: list[Any], grads: list[Any]
    ) -> None:
        states = [self.state[p] for p in params]
        share = 1 - group["dampening"]
        try:
            velocities = [state["momentum_buffer"] for state in states]
        except KeyError:
            if share != 1:
                self._step_newcomers_apart(group, params, grads, states)
                return
            velocities = self._start(params, states)
        self._launch(group, params, grads, velocities, share)

    def _start(self, params: list[Any], states: list[dict[str, Any]]) -> list[Any]:
        for param, state in zip(params, states):
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = cresset.zeros_like(param, requires_grad=False)
        return [state["momentum_buffer"] for state in states]

    def _step_newcomers_apart(
        self,
        group: dict[str, Any],
        params: list[Any],
        grads: list[Any],
        states: list[dict[str, Any]],
    ) -> None:
        """Steps with dampening, which a parameter's first step leaves out."""
        entries = list(zip(params, grads, states))
        newcomers = [entry for entry in entries if "momentum_buffer" not in entry[2]]
        others = [entry for entry in entries if "momentum_buffer" in entry[2]]
        for lot, share in ((newcomers, 1), (others, 1 - group["dampening"])):
            if lot:
                lot_params, lot_grads, lot_states = map(list, zip(*lot))
                velocities = self._start(lot_params, lot_states)
                self._launch(group, lot_params, lot_grads, velocities, share)

    def _launch(
        self,
        group: dict[str, Any],
        params: list[Any],
        grads: list[Any],
        velocities: list[Any],
        share: float,
    ) -> None:
        decay = group["weight_decay"]
        launch = _momentum_update(decay != 0, group["maximize"], group["nesterov"])
        launch(
            params,
            grads,
            velocities,
            lr=float(group["lr"]),
            weight_decay=decay,
            momentum=group["momentum"],
            share=share,
        )
