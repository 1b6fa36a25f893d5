"""Continuous relaxations of discrete distributions, whose samples have gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cresset
from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.bernoulli import Bernoulli
from cresset.distributions.categorical import Categorical
from cresset.distributions.distribution import Distribution
from cresset.distributions.transformed_distribution import TransformedDistribution
from cresset.distributions.transforms import ExpTransform, SigmoidTransform
from cresset.distributions.utils import broadcast_all, clamp_probs


class LogitRelaxedBernoulli(Distribution):
    """The logits of `RelaxedBernoulli`: (logits + a logistic number) / temperature."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.real
    has_rsample = True

    def __init__(
        self,
        temperature: Tensor | float,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self.temperature = temperature
        self._bernoulli = Bernoulli(probs, logits, validate_args)
        super().__init__(self._bernoulli.batch_shape, validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance=None) -> LogitRelaxedBernoulli:
        return LogitRelaxedBernoulli(self.temperature, logits=self.logits.expand(batch_shape))

    @property
    def probs(self) -> Tensor:
        return self._bernoulli.probs

    @property
    def logits(self) -> Tensor:
        return self._bernoulli.logits

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape, probs = self._extended_shape(sample_shape), clamp_probs(self.probs)
        share = clamp_probs(cresset.rand(shape, dtype=probs.dtype, device=probs.device))
        logistic = share.log() - (-share).log1p()
        return (logistic + probs.log() - (-probs).log1p()) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        logits, value = broadcast_all(self.logits, value)
        z = logits - value * self.temperature
        return cresset.as_tensor(self.temperature).log() + z - 2 * z.exp().log1p()


class RelaxedBernoulli(TransformedDistribution):
    """A Bernoulli number softened by a `temperature` (Maddison et al. 2017; Jang et al. 2017).

    >>> share = RelaxedBernoulli(0.5, probs=cresset.tensor(0.3)).rsample()
    >>> bool(0 < share < 1)
    True
    """

    support = constraints.unit_interval
    base_dist: LogitRelaxedBernoulli

    def __init__(
        self,
        temperature: Tensor | float,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:
        base = LogitRelaxedBernoulli(temperature, probs, logits, validate_args)
        super().__init__(base, SigmoidTransform(), validate_args)

    @property
    def temperature(self) -> Tensor | float:
        return self.base_dist.temperature

    @property
    def probs(self) -> Tensor:
        return self.base_dist.probs

    @property
    def logits(self) -> Tensor:
        return self.base_dist.logits


class ExpRelaxedCategorical(Distribution):
    """The logarithms of the shares of `RelaxedOneHotCategorical`."""

    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        temperature: Tensor | float,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self.temperature = temperature
        self._categorical = Categorical(probs, logits, validate_args)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance=None) -> ExpRelaxedCategorical:
        logits = self.logits.expand((*batch_shape, -1))
        return ExpRelaxedCategorical(self.temperature, logits=logits)

    @property
    def probs(self) -> Tensor:
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        return self._categorical.logits

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape, logits = self._extended_shape(sample_shape), self.logits
        share = clamp_probs(cresset.rand(shape, dtype=logits.dtype, device=logits.device))
        scores = (logits - (-share.log()).log()) / self.temperature
        return scores - scores.logsumexp(-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        classes, temperature = self.event_shape[0], cresset.as_tensor(self.temperature)
        scale = math.lgamma(classes) + temperature.log() * (classes - 1)
        score = self.logits - value * temperature
        return (score - score.logsumexp(-1, keepdim=True)).sum(-1) + scale


class RelaxedOneHotCategorical(TransformedDistribution):
    """A class as shares of 1, softened by a `temperature` (Maddison et al. 2017).

    >>> RelaxedOneHotCategorical(0.5, probs=cresset.ones(3)).rsample().sum().round()
    tensor(1.)
    """

    support = constraints.simplex
    base_dist: ExpRelaxedCategorical

    def __init__(
        self,
        temperature: Tensor | float,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args)
        super().__init__(base, ExpTransform(), validate_args)

    @property
    def temperature(self) -> Tensor | float:
        return self.base_dist.temperature

    @property
    def probs(self) -> Tensor:
        return self.base_dist.probs

    @property
    def logits(self) -> Tensor:
        return self.base_dist.logits
