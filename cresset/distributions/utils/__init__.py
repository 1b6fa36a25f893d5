"""What distributions share: parameters of one shape, probabilities as logits, lazy attributes."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import cresset
from cresset import Tensor
from cresset.nn import functional as F


def broadcast_all(*values: Any) -> tuple[Any, ...]:
    """Tensors and numbers as tensors of one shape; numbers take the type of the tensors.

    >>> broadcast_all(cresset.zeros(2), 1.0)
    (tensor([0., 0.]), tensor([1., 1.]))
    """
    given = [value for value in values if isinstance(value, Tensor)]
    for value in values:
        if not isinstance(value, (Tensor, numbers.Number)):
            raise ValueError(
                "broadcast_all: Input arguments must all be instances of Number or Tensor; got "
                f"{type(value).__name__}; make a tensor of it with cresset.tensor(...)"
            )
    like: dict = {"dtype": cresset.get_default_dtype()}
    if given:
        like = {"dtype": given[0].dtype, "device": given[0].device}
    tensors = [v if isinstance(v, Tensor) else cresset.tensor(v, **like) for v in values]
    return tuple(cresset.broadcast_tensors(*tensors))


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities kept from 0 and 1 by the type's eps, so that their logarithms are finite."""
    eps = cresset.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """log(p), or log(p / (1 - p)) where there are two outcomes."""
    probs = clamp_probs(probs)
    return probs.log() - (-probs).log1p() if is_binary else probs.log()


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """softmax over the last dim, or sigmoid where there are two outcomes."""
    return logits.sigmoid() if is_binary else F.softmax(logits, dim=-1)


def given_one(name: str, probs: Any, logits: Any) -> None:
    """Raise ValueError unless exactly one of `probs` and `logits` is given."""
    if (probs is None) == (logits is None):
        found = "both" if probs is not None else "neither"
        raise ValueError(
            f"{name}: Either `probs` or `logits` must be specified, but not both; got {found}"
        )


def sum_rightmost(value: Tensor, dims: int) -> Tensor:
    """The sum over the last `dims` dims."""
    return value.sum(tuple(range(-dims, 0))) if dims else value


class lazy_property:
    """A property that is computed when it is first asked for, and kept as an attribute."""

    def __init__(self, wrapped: Callable) -> None:
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with cresset.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value
