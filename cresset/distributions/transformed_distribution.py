"""Distributions of transformed samples, and those that are made so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cresset
from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.distribution import Distribution
from cresset.distributions.independent import Independent
from cresset.distributions.transforms import ComposeTransform, Transform
from cresset.distributions.utils import sum_rightmost


class TransformedDistribution(Distribution):
    """The distribution of transform(x) for x of a base distribution.

    log p(y) = log p(x) - log|dy/dx| where x is the inverse of y.

    >>> from cresset.distributions import Normal
    >>> from cresset.distributions.transforms import ExpTransform
    >>> log_normal = TransformedDistribution(Normal(0.0, 1.0), ExpTransform())
    >>> log_normal.log_prob(cresset.tensor(1.0))
    tensor(-0.9189)
    """

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | Sequence[Transform],
        validate_args: bool | None = None,
    ) -> None:
        self.transforms = [transforms] if isinstance(transforms, Transform) else list(transforms)
        whole = ComposeTransform(self.transforms)
        shape = whole.forward_shape((*base_distribution.batch_shape,
                                     *base_distribution.event_shape))
        more = whole.domain.event_dim - len(base_distribution.event_shape)
        if more > 0:
            base_distribution = Independent(base_distribution, more)
        self.base_dist = base_distribution
        event_dim = max(whole.codomain.event_dim, len(base_distribution.event_shape))
        cut = len(shape) - event_dim
        super().__init__(shape[:cut], shape[cut:], validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = object.__new__(type(self))
        base = self.base_dist.expand(batch_shape)
        TransformedDistribution.__init__(new, base, self.transforms, self._validate_args)
        return new

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        if not self.transforms:
            return self.base_dist.support
        last = self.transforms[-1].codomain
        return constraints.independent(last, len(self.event_shape) - last.event_dim)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with cresset.no_grad():
            x = self.base_dist.sample(sample_shape)
            for transform in self.transforms:
                x = transform(x)
            return x

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        x = self.base_dist.rsample(sample_shape)
        for transform in self.transforms:
            x = transform(x)
        return x

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        total: Any = 0.0
        event = len(self.event_shape)
        for transform in reversed(self.transforms):
            x = transform._inv_call(value)
            stretched = transform.log_abs_det_jacobian(x, value)
            total = total - sum_rightmost(stretched, event - transform.codomain.event_dim)
            event += transform.domain.event_dim - transform.codomain.event_dim
            value = x
        inner = self.base_dist.log_prob(value)
        return total + sum_rightmost(inner, event - len(self.base_dist.event_shape))

    def cdf(self, value: Tensor) -> Tensor:
        sign: Any = 1
        for transform in reversed(self.transforms):
            value = transform._inv_call(value)
            sign = sign * transform.sign
        found: Any = self.base_dist.cdf(value)
        return sign * (found - 0.5) + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        sign = math.prod(transform.sign for transform in self.transforms)
        value = self.base_dist.icdf(sign * (value - 0.5) + 0.5)
        for transform in self.transforms:
            value = transform(value)
        return value
