"""`GradScaler`: a loss made larger, so that its gradients do not vanish in float16."""

from __future__ import annotations

import math
import warnings
from typing import Any

import cresset
from cresset import Tensor
from cresset.ops import made_anew


class GradScaler:
    """Scales losses before `backward` and gradients back before an optimizer's step.

    A step whose gradients are infinite or NaN is left out, and the scale multiplied by
    `backoff_factor`; after `growth_interval` good steps in a row it grows by `growth_factor`.
    Micikevicius and others (2018). With `enabled=False`, and for "cuda" where there is none, which
    warns, losses and steps pass through.

    >>> scaler = GradScaler("cpu", init_scale=8.0)
    >>> scaler.scale(cresset.tensor(2.0))
    tensor(16.)
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled and cresset.device(device).type != "cpu":
            warnings.warn(
                f"GradScaler: is enabled for {device}, which is not available; disabling",
                stacklevel=2,
            )
            enabled = False
        if enabled and not (growth_factor > 1.0 and 0.0 < backoff_factor < 1.0):
            raise AssertionError(
                "GradScaler: The growth factor must be > 1.0 and the backoff factor between 0 and "
                f"1; got {growth_factor} and {backoff_factor}"
            )
        self._enabled = enabled
        self._scale = float(init_scale)
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = 0
        # Of each optimizer since the last update: whether its gradients are finite, once they are
        # scaled back, and whether it has stepped.
        self._finite: dict[int, bool] = {}
        self._stepped: set[int] = set()

    def scale(self, outputs: Any) -> Any:
        """The loss, or the losses in containers, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(map(self.scale, outputs))
        raise ValueError(
            f"GradScaler: outputs must be a Tensor or an iterable of Tensors; got "
            f"{type(outputs).__name__}"
        )

    @made_anew
    def unscale_(self, optimizer: Any) -> None:
        """Divides the gradients by the scale, once before each step: to clip them, for example.

        Raises RuntimeError where that was done since the last `update`.
        """
        if not self._enabled:
            return
        if id(optimizer) in self._stepped:
            raise RuntimeError("unscale_: is being called after step(); call it before")
        if id(optimizer) in self._finite:
            raise RuntimeError(
                "unscale_: has already been called on this optimizer since the last update(); "
                "call it once for each step"
            )
        self._finite[id(optimizer)] = self._unscaled(optimizer)

    def _unscaled(self, optimizer: Any) -> bool:
        """Divide the gradients of an optimizer by the scale; whether all of them are finite."""
        gradients = [
            p.grad for group in optimizer.param_groups for p in group["params"]
            if p.grad is not None
        ]
        inverse = 1.0 / self._scale
        with cresset.no_grad():
            for g in gradients:
                g.mul_(inverse)
            return all(bool(g.isfinite().all()) for g in gradients)

    @made_anew
    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """optimizer.step(...), unless a gradient is infinite or NaN; what it returns, or None."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError(
                "GradScaler: Closure use is not currently supported if GradScaler is enabled; "
                "call backward before step()"
            )
        if id(optimizer) in self._stepped:
            raise RuntimeError(
                "step: has already been called since the last update(); call update() after it"
            )
        if id(optimizer) not in self._finite:
            self.unscale_(optimizer)
        self._stepped.add(id(optimizer))
        return optimizer.step(*args, **kwargs) if self._finite[id(optimizer)] else None

    @made_anew
    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Adjusts the scale to how the steps since the last `update` went, or sets it.

        Raises AssertionError where no optimizer's gradients were looked at.
        """
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._finite:
            raise AssertionError(
                "GradScaler: No inf checks were recorded prior to update; call step() before"
            )
        elif not all(self._finite.values()):
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                grown = self._scale * self._growth_factor
                self._scale = grown if math.isfinite(grown) else self._scale
                self._growth_tracker = 0
        self._finite.clear()
        self._stepped.clear()

    def get_scale(self) -> float:
        """The scale; 1.0 where scaling is off."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        """Whether losses are scaled."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """What to save beside the optimizer; empty where scaling is off."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a saved state; RuntimeError for an empty one, of a scaler that was off."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "GradScaler: The source state dict is empty, possibly because it was saved from a "
                "disabled instance of GradScaler"
            )
        self._scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]
