"""Clipping gradients, by their norm altogether or value by value."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import cresset
from cresset import Tensor


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    return [gradient for p in parameters if (gradient := p.grad) is not None]


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all elements of all tensors together, as a tensor of no dims.

    With `error_if_nonfinite` RuntimeError if it is infinite or no number. `foreach` has no effect.

    >>> get_total_norm([cresset.tensor([3.0]), cresset.tensor([4.0])]).item()
    5.0
    """
    norms = [t.norm(norm_type) for t in ([tensors] if isinstance(tensors, Tensor) else tensors)]
    if not norms:
        return cresset.tensor(0.0)
    total = cresset.stack(norms).norm(norm_type)
    if error_if_nonfinite and not total.isfinite():
        raise RuntimeError(
            f"get_total_norm: the norm of order {norm_type} is {total.item()}, so gradients cannot "
            "be clipped by it; look for an overflow, or allow it with error_if_nonfinite=False"
        )
    return total


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales all gradients so that their norm altogether is at most `max_norm`; returns the norm.

    Other arguments as `get_total_norm`.
    """
    gradients = _gradients(parameters)
    total = get_total_norm(gradients, norm_type, error_if_nonfinite)
    with cresset.no_grad():
        factor = (float(max_norm) / (total + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)
    return total


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """`clip_grad_norm_` by its older name; warns."""
    warnings.warn(
        "clip_grad_norm: deprecated in PyTorch; use clip_grad_norm_", FutureWarning, 2
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Cuts every element of every gradient to [-clip_value, clip_value]."""
    bound = float(clip_value)
    with cresset.no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(-bound, bound)
