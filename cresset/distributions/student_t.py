"""Student's t-distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.distribution import Distribution
from cresset.distributions.gamma import Chi2
from cresset.distributions.normal import standard_normal
from cresset.distributions.utils import broadcast_all


class StudentT(Distribution):
    """loc + scale z / sqrt(c / df) for standard normal z and c of Chi2(df).

    >>> StudentT(3.0, 0.0, 2.0).variance
    tensor(12.)
    """

    arg_constraints = {
        "df": constraints.positive, "loc": constraints.real, "scale": constraints.positive
    }
    support = constraints.real
    has_rsample = True

    def __init__(
        self,
        df: Tensor | float,
        loc: Tensor | float = 0.0,
        scale: Tensor | float = 1.0,
        validate_args: bool | None = None,
    ) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc.masked_fill(self.df <= 1, math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        found = self.scale.square() * self.df / (self.df - 2)
        found = found.masked_fill(self.df <= 2, math.inf)
        return found.masked_fill(self.df <= 1, math.nan)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = standard_normal(self._extended_shape(sample_shape), self.df)
        spread = Chi2(self.df, False).rsample(sample_shape)
        return self.loc + self.scale * drawn * (spread / self.df).rsqrt()

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        distance, df = (value - self.loc) / self.scale, self.df
        norm = (
            self.scale.log() + 0.5 * df.log() + 0.5 * math.log(math.pi)
            + (0.5 * df).lgamma() - (0.5 * (df + 1)).lgamma()
        )
        return -0.5 * (df + 1) * (distance.square() / df).log1p() - norm

    def entropy(self) -> Tensor:
        half, more = 0.5 * self.df, 0.5 * (self.df + 1)
        log_beta = half.lgamma() + math.lgamma(0.5) - (half + 0.5).lgamma()
        return (
            self.scale.log() + more * (more.digamma() - half.digamma()) + 0.5 * self.df.log()
            + log_beta
        )
