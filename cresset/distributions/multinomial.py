"""The multinomial distribution."""

from __future__ import annotations

from collections.abc import Sequence

import cresset
from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.categorical import Categorical
from cresset.distributions.distribution import Distribution


class Multinomial(Distribution):
    """How often each class comes up in `total_count` draws of a `Categorical`.

    >>> Multinomial(4, probs=cresset.tensor([1.0, 1.0])).mean
    tensor([2., 2.])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(
        self,
        total_count: int = 1,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError(
                "Multinomial: inhomogeneous total_count is not supported; got "
                f"{type(total_count).__name__}; need one int"
            )
        self.total_count = total_count
        self._categorical = Categorical(probs, logits, validate_args=False)
        super().__init__(
            self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args
        )

    def expand(self, batch_shape: Sequence[int], _instance=None) -> Multinomial:
        logits = self.logits.expand((*batch_shape, -1))
        return Multinomial(self.total_count, logits=logits, validate_args=self._validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> constraints.Constraint:
        return constraints.multinomial(self.total_count)

    @property
    def probs(self) -> Tensor:
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        return self._categorical.logits

    @property
    def mean(self) -> Tensor:
        return self.probs.mul(self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.mean.mul(1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = self._categorical.sample((self.total_count, *sample_shape))
        classes = cresset.nn.functional.one_hot(drawn, self.event_shape[0])
        return classes.sum(0).to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        ways = (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1)
        logits = self.logits.masked_fill((value == 0) & (self.logits == -cresset.inf), 0)
        return ways + (logits * value).sum(-1)
