"""The geometric distribution."""

from __future__ import annotations

from collections.abc import Sequence

import cresset
from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.distribution import Distribution
from cresset.distributions.utils import (
    broadcast_all,
    given_one,
    lazy_property,
    logits_to_probs,
    probs_to_logits,
)
from cresset.nn import functional as F
from cresset.ops.kinds.guards import found


class Geometric(Distribution):
    """How many trials fail before one succeeds: (1 - probs)^k probs for k = 0, 1, ...

    >>> Geometric(cresset.tensor(0.25)).mean
    tensor(3.)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(
        self,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given_one("Geometric", probs, logits)
        (given,) = broadcast_all(logits if probs is None else probs)
        setattr(self, "logits" if probs is None else "probs", given)
        super().__init__(given.shape, validate_args=validate_args)
        if self._validate_args and probs is not None and found((given <= 0).any()):
            raise ValueError("Geometric: probs must be above 0; nothing succeeds otherwise")

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def mean(self) -> Tensor:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        return cresset.zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape, tiny = self._extended_shape(sample_shape), cresset.finfo(self.probs.dtype).tiny
        with cresset.no_grad():
            share = cresset.rand(shape, dtype=self.probs.dtype, device=self.probs.device)
            return (share.clamp(min=tiny).log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        value, probs = broadcast_all(value, self.probs)
        return cresset.special.xlog1py(value, -probs) + self.probs.log()

    def entropy(self) -> Tensor:
        both = F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")
        return both / self.probs
