"""The categorical distribution."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan, prod
from typing import Any

import cresset
from cresset import Size, Tensor
from cresset.distributions import constraints
from cresset.distributions.distribution import Distribution
from cresset.distributions.utils import (
    given_one,
    lazy_property,
    logits_to_probs,
    probs_to_logits,
)


class Categorical(Distribution):
    """Class k with probability probs[..., k]; samples are int64.

    Given are `probs`, which need not add up to 1, or `logits`, which need not be normalized
    either, with the classes along the last dim.

    >>> Categorical(probs=cresset.tensor([1.0, 3.0])).log_prob(cresset.tensor(1)).exp()
    tensor(0.7500)
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given_one("Categorical", probs, logits)
        given: Any = logits if probs is None else probs
        if not given.dim():
            raise ValueError(
                "Categorical: parameter must be at least one-dimensional; got a single number; "
                "need one for each class"
            )
        if probs is not None:
            self.probs = probs / probs.sum(-1, keepdim=True)
        else:
            self.logits = given - given.logsumexp(-1, keepdim=True)
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], validate_args=validate_args)

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits)

    @constraints.dependent_property(is_discrete=True)
    def support(self) -> constraints.Constraint:
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def param_shape(self) -> Size:
        """The shape of the parameters, classes included."""
        return Size((*self._batch_shape, self._num_events))

    @property
    def mean(self) -> Tensor:
        """NaN: classes are no numbers."""
        return self.probs.new_full(self._batch_shape, nan)

    @property
    def variance(self) -> Tensor:
        """NaN: classes are no numbers."""
        return self.probs.new_full(self._batch_shape, nan)

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(-1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        rows = self.probs.detach().reshape(-1, self._num_events)
        drawn = cresset.multinomial(rows, prod(sample_shape), True).t()
        return drawn.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        value, logits = cresset.broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        logits = self.logits.clamp(min=cresset.finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        classes = cresset.arange(self._num_events, device=self.probs.device)
        classes = classes.view(-1, *[1] * len(self._batch_shape))
        return classes.expand(-1, *self._batch_shape) if expand else classes
