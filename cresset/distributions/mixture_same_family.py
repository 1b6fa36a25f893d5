"""Mixtures of distributions of one family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.categorical import Categorical
from cresset.distributions.distribution import Distribution


class MixtureSameFamily(Distribution):
    """A component, chosen by a `Categorical`, along the last batch dim of a distribution.

    >>> import cresset
    >>> from cresset.distributions import Normal
    >>> weights = Categorical(probs=cresset.tensor([0.5, 0.5]))
    >>> MixtureSameFamily(weights, Normal(cresset.tensor([-1.0, 3.0]), 1.0)).mean
    tensor(1.)
    """

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        components = component_distribution.batch_shape
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                "MixtureSameFamily: the mixture distribution needs to be a Categorical; got "
                f"{type(mixture_distribution).__name__}"
            )
        if not components or components[-1] != mixture_distribution.param_shape[-1]:
            raise ValueError(
                "MixtureSameFamily: the mixture distribution component "
                f"({mixture_distribution.param_shape[-1]}) does not equal "
                f"component_distribution.batch_shape[-1] ({tuple(components)})"
            )
        self.mixture_distribution = mixture_distribution
        self.component_distribution = component_distribution
        super().__init__(components[:-1], component_distribution.event_shape, validate_args)

    def expand(self, batch_shape: Sequence[int], _instance=None) -> MixtureSameFamily:
        component = self.component_distribution
        mixture: Any = self.mixture_distribution
        wide = component.expand((*batch_shape, component.batch_shape[-1]))
        return MixtureSameFamily(mixture.expand(batch_shape), wide, self._validate_args)

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        return self.component_distribution.support

    def _weights(self) -> Tensor:
        """The weights, with dims for those of an event."""
        return self.mixture_distribution.probs[(..., *[None] * len(self.event_shape))]

    @property
    def _component_dim(self) -> int:
        return -1 - len(self.event_shape)

    @property
    def mean(self) -> Tensor:
        return (self._weights() * self.component_distribution.mean).sum(self._component_dim)

    @property
    def variance(self) -> Tensor:
        weights, component = self._weights(), self.component_distribution
        apart = (component.mean - self.mean.unsqueeze(self._component_dim)).square()
        return (weights * (component.variance + apart)).sum(self._component_dim)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        dim, events = self._component_dim, len(self.event_shape)
        chosen = self.mixture_distribution.sample(sample_shape)
        drawn = self.component_distribution.sample(sample_shape)
        places = chosen[(..., None, *[None] * events)]
        places = places.expand((*chosen.shape, 1, *self.event_shape))
        return drawn.gather(dim, places).squeeze(dim)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        found = self.component_distribution.log_prob(value.unsqueeze(self._component_dim))
        return (found + self.mixture_distribution.logits).logsumexp(-1)

    def cdf(self, value: Tensor) -> Tensor:
        found = self.component_distribution.cdf(value.unsqueeze(self._component_dim))
        return (found * self.mixture_distribution.probs).sum(-1)

    def __repr__(self) -> str:
        return f"MixtureSameFamily({self.mixture_distribution}, {self.component_distribution})"
