"""The binomial distribution."""

from __future__ import annotations

from collections.abc import Sequence

import cresset
from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.distribution import Distribution
from cresset.distributions.utils import (
    broadcast_all,
    given_one,
    lazy_property,
    logits_to_probs,
    probs_to_logits,
)
from cresset.nn import functional as F


class Binomial(Distribution):
    """How many of `total_count` trials succeed, each with probability `probs`.

    >>> Binomial(2, probs=cresset.tensor(0.5)).log_prob(cresset.tensor([0.0, 1.0])).exp()
    tensor([0.2500, 0.5000])
    """

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }

    def __init__(
        self,
        total_count: Tensor | int = 1,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given_one("Binomial", probs, logits)
        given = logits if probs is None else probs
        total, given = broadcast_all(total_count, given)
        self.total_count = total.to(given.dtype)
        setattr(self, "logits" if probs is None else "probs", given)
        super().__init__(given.shape, validate_args=validate_args)

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits, is_binary=True)

    @constraints.dependent_property(is_discrete=True)
    def support(self) -> constraints.Constraint:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with cresset.no_grad():
            return cresset.binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        total, failures = self.total_count, self.total_count - value
        ways = (total + 1).lgamma() - (value + 1).lgamma() - (failures + 1).lgamma()
        return ways + value * F.logsigmoid(self.logits) + failures * F.logsigmoid(-self.logits)
