"""The gamma distribution, and samples of it with gradients."""

from __future__ import annotations

from collections.abc import Sequence

import cresset
from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.distribution import Distribution
from cresset.distributions.utils import broadcast_all


class Gamma(Distribution):
    """rate^c x^(c - 1) exp(-rate x) / Gamma(c) for x > 0, where c is `concentration`.

    >>> Gamma(cresset.tensor(2.0), cresset.tensor(4.0)).mean
    tensor(0.5000)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(
        self,
        concentration: Tensor | float,
        rate: Tensor | float,
        validate_args: bool | None = None,
    ) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate.square()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        drawn = StandardGamma.apply(self.concentration.expand(shape)) / self.rate.expand(shape)
        return drawn.clamp(min=cresset.finfo(drawn.dtype).tiny)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        c, rate = self.concentration, self.rate
        return cresset.xlogy(c, rate) + cresset.xlogy(c - 1, value) - rate * value - c.lgamma()

    def cdf(self, value: Tensor) -> Tensor:
        self._check_value(value)
        return cresset.special.gammainc(self.concentration, self.rate * value)

    def entropy(self) -> Tensor:
        c = self.concentration
        return c - self.rate.log() + c.lgamma() + (1 - c) * c.digamma()


class StandardGamma(cresset.autograd.Function):
    """Samples of Gamma(c, 1), with the derivative of a sample by c.

    A sample keeps its probability P(c, x) of being no greater as c changes, so dx/dc is
    -(dP/dc) / (dP/dx) (Figurnov et al. 2018). dP/dc is a central difference in float64.
    """

    @staticmethod
    def forward(ctx, concentration):
        drawn = cresset._standard_gamma(concentration)
        ctx.save_for_backward(concentration, drawn)
        return drawn

    @staticmethod
    @cresset.autograd.function.once_differentiable
    def backward(ctx, g):
        concentration, drawn = (x.double() for x in ctx.saved_tensors)
        x = drawn.clamp(min=cresset.finfo(g.dtype).tiny)
        step = concentration * 1e-5
        above, below = (
            cresset.special.gammainc(concentration + h, x) for h in (step, -step)
        )
        density = (cresset.xlogy(concentration - 1, x) - x - concentration.lgamma()).exp()
        slope = (below - above) / (2 * step * density)
        return g * slope.to(g.dtype)


class Chi2(Gamma):
    """The sum of the squares of `df` standard normal numbers: Gamma(df / 2, 1 / 2).

    >>> Chi2(cresset.tensor([3.0])).variance
    tensor([6.])
    """

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df: Tensor | float, validate_args: bool | None = None) -> None:
        (half,) = broadcast_all(0.5 * df)
        super().__init__(half, 0.5, validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance=None) -> Chi2:
        return Chi2(self.df.expand(batch_shape), self._validate_args)

    @property
    def df(self) -> Tensor:
        """The degrees of freedom."""
        return self.concentration.mul(2)
