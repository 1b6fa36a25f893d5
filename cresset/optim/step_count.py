"""`StepCounting`: optimizers that keep a count of steps, and maybe other numbers, by parameter."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

import cresset
from cresset import Tensor
from cresset.optim.optimizer import Optimizer


class Lot(NamedTuple):
    """Parameters that share a launch, since the numbers in their states agree."""

    params: list[Any]
    grads: list[Any]
    states: list[dict[str, Any]]

    @property
    def steps(self) -> float:
        """How many steps they have made, this one included."""
        return self.states[0]["step"]

    def lists(self, *names: str) -> list[list[Any]]:
        """What an update takes: the parameters, their gradients, and their state by these names."""
        states = self.states
        return [self.params, self.grads, *[[state[name] for state in states] for name in names]]


class StepCounting(Optimizer):
    """Keeps each parameter's count under "step", and makes the same step of one lot after another.

    A subclass defines `_start`, the state of a parameter before its first step, and `_update`, the
    step of a lot. `NUMBERS` names what in the state is a number. Those are Python floats here,
    tensors when saved, and enter the update as numbers, so parameters with the same ones share a
    launch; almost always all do.
    """

    NUMBERS: tuple[str, ...] = ("step",)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._evaluate(closure)
        for group in self.param_groups:
            params, grads = self._ready(group)
            if params:
                for lot in self._counted(params, grads, self._states(group, params)):
                    self._update(group, lot)
        return loss

    def _start(self, group: dict[str, Any], param: Any, state: dict[str, Any]) -> None:
        """Enters what a parameter's state has before the first step, beside "step"."""
        raise NotImplementedError

    def _update(self, group: dict[str, Any], lot: Lot) -> None:
        """Makes a step of parameters with the same numbers."""
        raise NotImplementedError

    def _states(self, group: dict[str, Any], params: list[Any]) -> list[dict[str, Any]]:
        """The states of parameters, begun for those that have none."""
        states = [self.state[param] for param in params]
        if not all(states):
            for param, state in zip(params, states):
                if not state:
                    state["step"] = 0.0
                    self._start(group, param, state)
        return states

    def _counted(
        self, params: list[Any], grads: list[Any], states: list[dict[str, Any]]
    ) -> list[Lot]:
        """Counts one step for all; returns them in lots of equal numbers."""
        numbers = [*map(itemgetter(*self.NUMBERS), states)]
        if numbers.count(numbers[0]) == len(numbers):
            lots = [Lot(params, grads, states)]
        else:
            found: dict[Any, Lot] = {}
            for key, *entry in zip(numbers, params, grads, states):
                for members, member in zip(found.setdefault(key, Lot([], [], [])), entry):
                    members.append(member)
            lots = list(found.values())
        for lot in lots:
            steps = lot.steps + 1.0
            for state in lot.states:
                state["step"] = steps
        return lots

    def _export_state(self, entry: Any) -> Any:
        if not isinstance(entry, dict) or "step" not in entry:
            return entry
        return {
            name: cresset.tensor(float(value), dtype=cresset.float32)
            if name in self.NUMBERS else value
            for name, value in entry.items()
        }

    def _import_state(self, entry: Any) -> Any:
        if isinstance(entry, dict):
            for name in self.NUMBERS:
                if isinstance(entry.get(name), Tensor):
                    entry[name] = float(entry[name].item())
        return entry


def start_at_zero(param: Any, state: dict[str, Any], *names: str) -> None:
    """Enters zeros in the shape of a parameter under each of the names."""
    for name in names:
        state[name] = cresset.zeros_like(param, requires_grad=False)


def full_for(param: Any, value: float) -> Tensor:
    """A tensor in the shape of a parameter filled with a number, in both parts where complex."""
    fill = complex(value, value) if param.is_complex() else value
    return cresset.full_like(param, fill, requires_grad=False)
