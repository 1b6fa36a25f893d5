"""The categorical distribution over rows with a single one."""

from __future__ import annotations

from collections.abc import Sequence

import cresset
from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.categorical import Categorical
from cresset.distributions.distribution import Distribution


class OneHotCategorical(Distribution):
    """A `Categorical` whose samples are rows with 1 at the class and 0 elsewhere.

    >>> OneHotCategorical(probs=cresset.tensor([0.0, 1.0])).sample()
    tensor([0., 1.])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits)
        super().__init__(
            self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args
        )

    def expand(self, batch_shape: Sequence[int], _instance=None) -> OneHotCategorical:
        return type(self)(logits=self.logits.expand((*batch_shape, -1)))

    @property
    def probs(self) -> Tensor:
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        return self._categorical.logits

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return self._row_of(self.probs.argmax(-1))

    @property
    def variance(self) -> Tensor:
        return self.probs.mul(1 - self.probs)

    def _row_of(self, classes: Tensor) -> Tensor:
        return cresset.nn.functional.one_hot(classes, self.event_shape[0]).to(self.probs.dtype)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self._row_of(self._categorical.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._row_of(self._categorical.enumerate_support(expand))


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """`OneHotCategorical` whose samples hand gradients on to `probs` (Bengio et al. 2013)."""

    has_rsample = True

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.sample(sample_shape) + (self.probs - self.probs.detach())
