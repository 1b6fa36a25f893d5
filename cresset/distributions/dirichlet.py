"""The Dirichlet distribution, and its case of two parts, the beta distribution."""

from __future__ import annotations

from collections.abc import Sequence

import cresset
from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.distribution import Distribution
from cresset.distributions.gamma import StandardGamma
from cresset.distributions.utils import broadcast_all


class Dirichlet(Distribution):
    """Shares x of a whole with a density in proportion to prod x_k^(c_k - 1).

    `concentration` has the parts along its last dim. Samples are shares of gamma numbers, and so
    are their gradients.

    >>> Dirichlet(cresset.tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if not concentration.dim():
            raise ValueError(
                "Dirichlet: `concentration` parameter must be at least one-dimensional; got a "
                "single number; need one for each part"
            )
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        over = (self.concentration - 1).clamp(min=0.0)
        shares = over / over.sum(-1, True)
        corners = (self.concentration < 1).all(-1, keepdim=True)
        greatest = cresset.nn.functional.one_hot(self.concentration.argmax(-1), over.shape[-1])
        return cresset.where(corners, greatest.to(shares.dtype), shares)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.square() * (total + 1))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        drawn = StandardGamma.apply(self.concentration.expand(shape))
        shares = drawn / drawn.sum(-1, True)
        limits = cresset.finfo(shares.dtype)
        return shares.clamp(limits.tiny, 1 - limits.eps / 2)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        c = self.concentration
        return cresset.xlogy(c - 1, value).sum(-1) + c.sum(-1).lgamma() - c.lgamma().sum(-1)

    def entropy(self) -> Tensor:
        c = self.concentration
        parts, total = c.shape[-1], c.sum(-1)
        return (
            c.lgamma().sum(-1) - total.lgamma() - (parts - total) * total.digamma()
            - ((c - 1) * c.digamma()).sum(-1)
        )


class Beta(Distribution):
    """x^(a - 1) (1 - x)^(b - 1) / B(a, b) on [0, 1], a and b being the two concentrations.

    >>> Beta(cresset.tensor(2.0), cresset.tensor(6.0)).mean
    tensor(0.2500)
    """

    arg_constraints = {
        "concentration1": constraints.positive, "concentration0": constraints.positive
    }
    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self,
        concentration1: Tensor | float,
        concentration0: Tensor | float,
        validate_args: bool | None = None,
    ) -> None:
        both = cresset.stack(broadcast_all(concentration1, concentration0), -1)
        self._dirichlet = Dirichlet(both, validate_args=False)
        super().__init__(both.shape[:-1], validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance=None) -> Beta:
        a, b = (x.expand(batch_shape) for x in (self.concentration1, self.concentration0))
        return Beta(a, b, self._validate_args)

    @property
    def concentration1(self) -> Tensor:
        """The first concentration, a."""
        return self._dirichlet.concentration[..., 0]

    @property
    def concentration0(self) -> Tensor:
        """The second concentration, b."""
        return self._dirichlet.concentration[..., 1]

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Tensor:
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self) -> Tensor:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.square() * (total + 1))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self._dirichlet.rsample(sample_shape)[..., 0]

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        return self._dirichlet.log_prob(cresset.stack([value, 1.0 - value], -1))

    def entropy(self) -> Tensor:
        return self._dirichlet.entropy()
