"""`StepCounting`: optimizers whose update depends on how many steps a parameter has made."""

from __future__ import annotations

from typing import Any

import cresset
from cresset import Tensor
from cresset.optim.optimizer import Optimizer


class StepCounting(Optimizer):
    """Keeps each parameter's count under "step": a Python float here, a tensor when saved.

    The count enters the update as a number, so parameters with the same count share a launch.
    """

    def _export_state(self, entry: Any) -> Any:
        if not isinstance(entry, dict) or "step" not in entry:
            return entry
        return {**entry, "step": cresset.tensor(float(entry["step"]), dtype=cresset.float32)}

    def _import_state(self, entry: Any) -> Any:
        if isinstance(entry, dict) and isinstance(entry.get("step"), Tensor):
            entry["step"] = float(entry["step"].item())
        return entry

    def _counted(
        self, params: list[Any], grads: list[Any], states: list[dict[str, Any]]
    ) -> list[tuple[float, list[Any], list[Any], list[dict[str, Any]]]]:
        """Counts one step for all; returns them in lots of equal counts, almost always one lot."""
        counts = [state["step"] for state in states]
        first = counts[0]
        if counts.count(first) == len(counts):
            first += 1.0
            for state in states:
                state["step"] = first
            return [(first, params, grads, states)]
        lots: dict[float, tuple[list[Any], list[Any], list[dict[str, Any]]]] = {}
        for param, grad, state in zip(params, grads, states):
            state["step"] += 1.0
            lot = lots.setdefault(state["step"], ([], [], []))
            for members, member in zip(lot, (param, grad, state)):
                members.append(member)
        return [(count, *lot) for count, lot in lots.items()]
