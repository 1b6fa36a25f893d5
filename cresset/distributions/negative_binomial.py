"""The negative binomial distribution."""

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


class NegativeBinomial(Distribution):
    """How many trials succeed, each with probability `probs`, before `total_count` have failed.

    >>> NegativeBinomial(3.0, probs=cresset.tensor(0.5)).mean
    tensor(3.)
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self,
        total_count: Tensor | float,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given_one("NegativeBinomial", probs, logits)
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

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Tensor:
        return self.mean / (-self.logits).sigmoid()

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with cresset.no_grad():
            drawn = cresset._standard_gamma(self.total_count.expand(shape))
            return cresset.poisson(drawn / (-self.logits).exp())

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        total = self.total_count
        ways = (total + value).lgamma() - (1.0 + value).lgamma() - total.lgamma()
        ways = ways.masked_fill(total + value == 0.0, 0.0)
        return ways + total * F.logsigmoid(-self.logits) + value * F.logsigmoid(self.logits)
