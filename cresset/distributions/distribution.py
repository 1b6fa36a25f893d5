"""The base of all distributions: shapes, samples, and what is checked of values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cresset
from cresset import Size, Tensor
from cresset.distributions import constraints
from cresset.distributions.constraints import Constraint
from cresset.distributions.utils import lazy_property
from cresset.ops.kinds.guards import found


class Distribution:
    """A batch of distributions of one family.

    A sample has shape `sample_shape + batch_shape + event_shape`: `batch_shape` is that of the
    parameters, `event_shape` that of a single value. A subclass states `arg_constraints`, a
    constraint for each parameter, by which parameters are checked (ValueError) and `expand` knows
    them; `support`; whether it `has_rsample`, samples with gradients; and `log_prob`.
    `validate_args=False` leaves checks out.
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: dict[str, Constraint] = {}
    support: Any = None
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check their arguments unless told otherwise; True or False."""
        if value not in (True, False):
            raise ValueError(f"Distribution: need True or False; got {value!r}")
        Distribution._validate_args = value

    def __init__(
        self,
        batch_shape: Sequence[int] = (),
        event_shape: Sequence[int] = (),
        validate_args: bool | None = None,
    ) -> None:
        self._batch_shape = Size(batch_shape)
        self._event_shape = Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    def _check_parameters(self) -> None:
        for name, constraint in self.arg_constraints.items():
            computed = isinstance(getattr(type(self), name, None), lazy_property)
            if constraints.is_dependent(constraint) or (computed and name not in self.__dict__):
                continue
            value = getattr(self, name)
            if found((~constraint.check(value)).any()):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{constraint!r}, but found invalid values:\n{value}"
                )

    def _check_value(self, value: Tensor) -> None:
        """ValueError unless a value has a shape that fits and lies in the support."""
        if not self._validate_args:
            return
        name = type(self).__name__
        if not isinstance(value, Tensor):
            raise ValueError(
                f"{name}: The value argument to log_prob must be a Tensor; got "
                f"{type(value).__name__}; make one with cresset.tensor(...)"
            )
        events = len(self._event_shape)
        if events and value.shape[value.dim() - events :] != self._event_shape:
            raise ValueError(
                f"{name}: The right-most size of value must match event_shape: "
                f"{tuple(value.shape)} vs {tuple(self._event_shape)}"
            )
        expected = (*self._batch_shape, *self._event_shape)
        for i, j in zip(reversed(value.shape), reversed(expected)):
            if 1 not in (i, j) and i != j:
                raise ValueError(
                    f"{name}: Value is not broadcastable with batch_shape+event_shape: "
                    f"{tuple(value.shape)} vs {expected}"
                )
        support = self.support
        if support is not None and found((~support.check(value)).any()):
            raise ValueError(
                f"Expected value argument (Tensor of shape {tuple(value.shape)}) to be within the "
                f"support ({support!r}) of the distribution {self!r}, but found invalid values:\n"
                f"{value}"
            )

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Distribution:
        """The same distributions over a larger batch; parameters are expanded, not copied."""
        new = object.__new__(type(self)) if _instance is None else _instance
        new.__dict__.update(self.__dict__)
        new._batch_shape = Size(batch_shape)
        for name, constraint in self.arg_constraints.items():
            value = self.__dict__.get(name)
            if isinstance(value, Tensor):
                event = value.shape[value.dim() - constraint.event_dim :]
                setattr(new, name, value.expand((*new._batch_shape, *event)))
        return new

    @property
    def batch_shape(self) -> Size:
        """The shape of the parameters."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of a single value."""
        return self._event_shape

    @property
    def mean(self) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__}: has no mean stated")

    @property
    def mode(self) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__}: has no mode stated")

    @property
    def variance(self) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__}: has no variance stated")

    @property
    def stddev(self) -> Tensor:
        """The square root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Values of shape sample_shape + batch_shape + event_shape, without gradients."""
        with cresset.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Values with gradients by the parameters, where the family has such."""
        raise NotImplementedError(
            f"{type(self).__name__}: samples have no gradients by the parameters; use sample()"
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, of each event of `value`."""
        raise NotImplementedError(f"{type(self).__name__}: has no log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of at most `value`."""
        raise NotImplementedError(f"{type(self).__name__}: has no cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of `cdf`."""
        raise NotImplementedError(f"{type(self).__name__}: has no icdf")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values along a new first dim, of a family that has finitely many."""
        raise NotImplementedError(f"{type(self).__name__}: has no enumerate_support")

    def entropy(self) -> Tensor:
        """-E[log_prob], in nats."""
        raise NotImplementedError(f"{type(self).__name__}: has no entropy")

    def perplexity(self) -> Tensor:
        """exp(entropy)."""
        return self.entropy().exp()

    def _extended_shape(self, sample_shape: Sequence[int] = ()) -> Size:
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def __repr__(self) -> str:
        names = [name for name in self.arg_constraints if name in self.__dict__]
        shown = (self.__dict__[name] for name in names)
        values = (x if not x.dim() else f"torch.Size({list(x.shape)})" for x in shown)
        text = ", ".join(f"{name}: {value}" for name, value in zip(names, values))
        return f"{type(self).__name__}({text})"
