"""The Poisson distribution."""

from __future__ import annotations

from collections.abc import Sequence

import cresset
from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.distribution import Distribution
from cresset.distributions.utils import broadcast_all


class Poisson(Distribution):
    """rate^k exp(-rate) / k! for k = 0, 1, 2, ...

    >>> Poisson(2.0).log_prob(cresset.tensor([0.0, 1.0])).exp()
    tensor([0.1353, 0.2707])
    """

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate: Tensor | float, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.rate

    @property
    def mode(self) -> Tensor:
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        return self.rate

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with cresset.no_grad():
            return cresset.poisson(self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        rate, value = broadcast_all(self.rate, value)
        return value.xlogy(rate) - rate - (value + 1).lgamma()
