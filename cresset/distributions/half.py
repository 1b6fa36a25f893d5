"""Halves of symmetric distributions: the absolute values of their samples."""

from __future__ import annotations

import math
from typing import Any

import cresset
from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.cauchy import Cauchy
from cresset.distributions.normal import Normal
from cresset.distributions.transformed_distribution import TransformedDistribution
from cresset.distributions.transforms import AbsTransform


class _Half(TransformedDistribution):
    """|x| for x of a distribution around 0 with a `scale`."""

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    whole: type
    base_dist: Any

    def __init__(self, scale: Tensor | float, validate_args: bool | None = None) -> None:
        base = self.whole(0, scale, validate_args=False)
        super().__init__(base, AbsTransform(), validate_args)

    @property
    def scale(self) -> Any:
        return self.base_dist.scale

    @property
    def mode(self) -> Tensor:
        return cresset.zeros_like(self.scale)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        found = self.base_dist.log_prob(value) + math.log(2)
        return cresset.where(value >= 0, found, -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        self._check_value(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value: Tensor) -> Tensor:
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)


class HalfNormal(_Half):
    """|x| for normal x with mean 0 and standard deviation `scale`.

    >>> HalfNormal(1.0).mean
    tensor(0.7979)
    """

    whole = Normal

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        return self.scale.square() * (1 - 2 / math.pi)


class HalfCauchy(_Half):
    """|x| for x of Cauchy(0, scale); its mean and variance are infinite.

    >>> HalfCauchy(1.0).cdf(cresset.tensor(1.0))
    tensor(0.5000)
    """

    whole = Cauchy

    @property
    def mean(self) -> Tensor:
        return cresset.full_like(self.scale, math.inf)

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance
