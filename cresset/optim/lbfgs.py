"""LBFGS: a quasi-Newton method, which makes of past gradients what it knows of the curvature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cresset
from cresset import Tensor
from cresset.optim.line_search import Point, strong_wolfe
from cresset.optim.optimizer import Optimizer, ParamsT, check_at_least_zero


class LBFGS(Optimizer):
    """p = p - t * H g, where H stands for the inverse of the Hessian, from the last steps.

    `step(closure)` makes up to `max_iter` such steps, with up to `max_eval` calls of the closure,
    by default 5/4 as many; it must compute the loss and its gradients. It ends early where no
    element of the gradient is greater than `tolerance_grad`, or where parameters or loss change by
    less than `tolerance_change`. t is `lr`, or is searched with line_search_fn="strong_wolfe" until
    the loss has fallen and flattened enough. `history_size` steps are remembered, each in two
    vectors of all parameters. There can be one group. Raises ValueError for more, RuntimeError for
    another line search. Nocedal (1980), the search by More and Thuente's conditions.

    >>> w = cresset.tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure)
    tensor(13., grad_fn=<SumBackward0>)
    >>> [round(x, 4) for x in w.tolist()]
    [1.0, 1.0]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_at_least_zero(learning_rate=lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError(
                "LBFGS: doesn't support per-parameter options (parameter groups); got "
                f"{len(self.param_groups)}; need one group"
            )

    @cresset.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:
        """Minimises on; returns the loss that the first call of `closure` gave."""
        [group] = self.param_groups
        search = group["line_search_fn"]
        if search not in (None, "strong_wolfe"):
            raise RuntimeError(
                f"LBFGS: only 'strong_wolfe' is supported as line_search_fn; got {search!r}; give "
                "that or None"
            )
        # The method has one state; that it is the first parameter's has it cast with that.
        state = self.state[group["params"][0]]
        if not state:
            state.update(func_evals=0, n_iter=0)
        first = self._evaluate(closure)
        state["func_evals"] += 1
        gradient = self._gradient()
        if _greatest(gradient) <= group["tolerance_grad"]:
            return first
        self._iterate(group, state, closure, float(first), gradient)
        return first

    def _iterate(
        self,
        group: dict[str, Any],
        state: dict[str, Any],
        closure: Callable[[], Any],
        loss: float,
        gradient: Tensor,
    ) -> None:
        """The steps from a point whose loss and gradient are known."""
        lr, tolerance = float(group["lr"]), group["tolerance_change"]
        evaluations = 1
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                state.update(d=-gradient, old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
                t = min(1.0, 1.0 / gradient.abs().sum().item()) * lr
            else:
                _remember(state, gradient, group["history_size"])
                state["d"] = _direction(state, gradient)
                t = lr
            d = state["d"]
            state.update(t=t, prev_flat_grad=gradient, prev_loss=loss)
            slope = gradient.dot(d).item()
            if slope > -tolerance:
                return
            calls, before, last = 0, loss, iteration == group["max_iter"]
            if group["line_search_fn"] is not None:
                start = Point(0.0, loss, gradient, slope)
                most = group["max_eval"] - evaluations
                (t, loss, gradient, _), calls = strong_wolfe(
                    self._along(closure, d), t, start, _greatest(d), tolerance, most
                )
                state["t"] = t
            self._move(d, t)
            if group["line_search_fn"] is None and not last:
                # Not after the last step: gradients of the next call are of other data, maybe.
                loss, gradient, calls = float(self._evaluate(closure)), self._gradient(), 1
            evaluations += calls
            state["func_evals"] += calls
            if (
                last
                or evaluations >= group["max_eval"]
                or _greatest(gradient) <= group["tolerance_grad"]
                or _greatest(d * t) <= tolerance
                or abs(loss - before) < tolerance
            ):
                return

    def _along(self, closure: Callable[[], Any], d: Tensor) -> Callable[[float], Point]:
        """The function of t that a search looks at, which is at p + t d; p stays what it is."""
        params = self.param_groups[0]["params"]
        start = [p.clone() for p in params]

        def at(t: float) -> Point:
            self._move(d, t)
            loss, gradient = float(self._evaluate(closure)), self._gradient()
            for p, value in zip(params, start):
                p.copy_(value)
            return Point(t, loss, gradient, gradient.dot(d).item())

        return at

    def _import_state(self, entry: Any) -> Any:
        # PyTorch has some of the numbers as tensors.
        return {
            name: [float(v) for v in value] if name == "ro"
            else float(value) if name in ("t", "H_diag") else value
            for name, value in entry.items()
        }

    def _gradient(self) -> Tensor:
        """The gradients of all parameters as one vector, complex ones as pairs, 0 where none is."""
        parts = [
            cresset.zeros_like(p) if p.grad is None else p.grad
            for p in self.param_groups[0]["params"]
        ]
        return cresset.cat([_as_real(g.detach()).reshape(-1) for g in parts])

    def _move(self, d: Tensor, t: float) -> None:
        """p + t d, written into the parameters."""
        start = 0
        for p in map(_as_real, self.param_groups[0]["params"]):
            p.add_(d[start : start + p.numel()].view_as(p), alpha=t)
            start += p.numel()


def _as_real(x: Tensor) -> Tensor:
    return cresset.view_as_real(x) if x.is_complex() else x


def _greatest(x: Tensor) -> float:
    """The greatest magnitude."""
    return x.abs().max().item()


def _remember(state: dict[str, Any], gradient: Tensor, history: int) -> None:
    """Enters how the gradient changed in the last step, unless the loss was not convex there."""
    change = gradient - state["prev_flat_grad"]
    step = state["d"] * state["t"]
    curvature = change.dot(step)
    if curvature.item() <= 1e-10:
        return
    for name, value in (("old_dirs", change), ("old_stps", step), ("ro", 1.0 / curvature.item())):
        state[name].append(value)
        del state[name][: max(0, len(state[name]) - history)]
    state["H_diag"] = (curvature / change.dot(change)).item()


def _direction(state: dict[str, Any], gradient: Tensor) -> Tensor:
    """-H g, by two walks through the steps that are remembered: back, and forth."""
    pairs = list(zip(state["old_dirs"], state["old_stps"], state["ro"]))
    d = -gradient
    shares = []
    for change, step, ro in reversed(pairs):
        share = step.dot(d).item() * ro
        d.add_(change, alpha=-share)
        shares.append(share)
    d.mul_(state["H_diag"])
    for (change, step, ro), share in zip(pairs, reversed(shares)):
        d.add_(step, alpha=share - change.dot(d).item() * ro)
    return d
