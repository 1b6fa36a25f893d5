"""The Gumbel distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cresset
from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.distribution import Distribution
from cresset.distributions.utils import broadcast_all

# Euler's constant, the mean of Gumbel(0, 1).
EULER = 0.5772156649015329


class Gumbel(Distribution):
    """exp(-(z + exp(-z))) / scale, where z = (x - loc) / scale.

    >>> Gumbel(0.0, 1.0).mean
    tensor(0.5772)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(
        self, loc: Tensor | float, scale: Tensor | float, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * EULER

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def stddev(self) -> Tensor:
        return (math.pi / math.sqrt(6)) * self.scale

    @property
    def variance(self) -> Tensor:
        return self.stddev.square()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape, limits = self._extended_shape(sample_shape), cresset.finfo(self.loc.dtype)
        share = cresset.rand(shape, dtype=self.loc.dtype, device=self.loc.device)
        share = limits.tiny + share * (1 - limits.eps - limits.tiny)
        return self.loc - self.scale * (-share.log()).log()

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        z = (self.loc - value) / self.scale
        return (z - z.exp()) - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        self._check_value(value)
        return (-((self.loc - value) / self.scale).exp()).exp()

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + EULER)
