"""The Laplace distribution."""

from __future__ import annotations

from collections.abc import Sequence

import cresset
from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.distribution import Distribution
from cresset.distributions.utils import broadcast_all


class Laplace(Distribution):
    """exp(-|x - loc| / scale) / (2 scale).

    >>> Laplace(0.0, 1.0).log_prob(cresset.tensor(0.0)).exp()
    tensor(0.5000)
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
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def stddev(self) -> Tensor:
        return 2**0.5 * self.scale

    @property
    def variance(self) -> Tensor:
        return 2 * self.scale.square()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape, eps = self._extended_shape(sample_shape), cresset.finfo(self.loc.dtype).eps
        drawn = cresset.empty(shape, dtype=self.loc.dtype, device=self.loc.device)
        drawn = drawn.uniform_(eps - 1, 1)
        return self.loc - self.scale * drawn.sign() * (-drawn.abs()).log1p()

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        self._check_value(value)
        distance = value - self.loc
        return 0.5 - 0.5 * distance.sign() * cresset.expm1(-distance.abs() / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        share = value - 0.5
        return self.loc - self.scale * share.sign() * (-2 * share.abs()).log1p()

    def entropy(self) -> Tensor:
        return 1 + (2 * self.scale).log()
