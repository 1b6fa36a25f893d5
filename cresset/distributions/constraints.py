"""Constraints: the sets in which parameters and samples of distributions lie.

`constraint.check(value)` is a tensor of truths, one for each event; `event_dim` says how many of
the last dims make one event up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cresset
from cresset import Tensor

__all__ = ["Constraint", "boolean", "cat", "dependent", "dependent_property", "greater_than",
           "greater_than_eq", "half_open_interval", "independent", "integer_interval", "interval",
           "is_dependent", "less_than", "lower_cholesky", "lower_triangular", "multinomial",
           "nonnegative", "nonnegative_integer", "one_hot", "positive", "positive_definite",
           "positive_integer", "real", "real_vector", "simplex", "square", "stack",
           "symmetric", "unit_interval"]


class Constraint:
    """A set of values; `is_discrete` tells whole numbers and truths."""

    is_discrete = False
    event_dim = 0

    def check(self, value: Tensor) -> Tensor:
        """Whether each event of a value lies in the set."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return type(self).__name__.lstrip("_") + "()"


class _Dependent(Constraint):
    """A set that depends on other parameters; nothing can be checked of it alone."""

    def __init__(self, *, is_discrete: bool = False, event_dim: int = 0) -> None:
        self.is_discrete = is_discrete
        self.event_dim = event_dim

    def __call__(self, *, is_discrete: bool = False, event_dim: int = 0) -> _Dependent:
        return _Dependent(is_discrete=is_discrete, event_dim=event_dim)

    def check(self, value: Tensor) -> Tensor:
        raise ValueError("constraints: Cannot determine validity of dependent constraint")


def is_dependent(constraint: Any) -> bool:
    """Whether a set depends on other parameters."""
    return isinstance(constraint, _Dependent)


class dependent_property(property, _Dependent):
    """A property whose value is the constraint of that instance."""

    def __init__(self, fn: Any = None, *, is_discrete: bool = False, event_dim: int = 0) -> None:
        property.__init__(self, fn)
        _Dependent.__init__(self, is_discrete=is_discrete, event_dim=event_dim)

    def __call__(self, fn: Any) -> dependent_property:  # type: ignore[override]
        return dependent_property(fn, is_discrete=self.is_discrete, event_dim=self.event_dim)


class independent(Constraint):
    """Another constraint, of which the last `reinterpreted_batch_ndims` batch dims are an event."""

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        self.is_discrete = base_constraint.is_discrete
        self.event_dim = base_constraint.event_dim + reinterpreted_batch_ndims

    def check(self, value: Tensor) -> Tensor:
        found = self.base_constraint.check(value)
        dims = self.reinterpreted_batch_ndims
        if found.dim() < dims:
            raise ValueError(
                f"constraints: Expected value.dim() >= {self.event_dim} but got {value.dim()}"
            )
        return found.flatten(found.dim() - dims).all(-1) if dims else found

    def __repr__(self) -> str:
        return f"Independent({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class _Real(Constraint):
    def check(self, value: Tensor) -> Tensor:
        return cresset.eq(value, value)


class _Boolean(Constraint):
    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return cresset.eq(value, 0) | cresset.eq(value, 1)


class _Bounded(Constraint):
    """Numbers above `lower` and below `upper`, with the bounds where they are `closed`."""

    def __init__(self, lower: Any = None, upper: Any = None, closed: str = "") -> None:
        self.lower_bound = lower
        self.upper_bound = upper
        self.closed = closed

    def check(self, value: Tensor) -> Tensor:
        low, high = self.lower_bound, self.upper_bound
        found = cresset.eq(value, value)
        if low is not None:
            found = found & ((low <= value) if "[" in self.closed else (low < value))
        if high is not None:
            found = found & ((value <= high) if "]" in self.closed else (value < high))
        return found

    def __repr__(self) -> str:
        bounds = [("lower_bound", self.lower_bound), ("upper_bound", self.upper_bound)]
        text = ", ".join(f"{name}={bound}" for name, bound in bounds if bound is not None)
        return f"{type(self).__name__}({text})"


class greater_than(_Bounded):
    """x > lower_bound."""

    def __init__(self, lower_bound: Any) -> None:
        super().__init__(lower_bound)


class greater_than_eq(_Bounded):
    """x >= lower_bound."""

    def __init__(self, lower_bound: Any) -> None:
        super().__init__(lower_bound, closed="[")


class less_than(_Bounded):
    """x < upper_bound."""

    def __init__(self, upper_bound: Any) -> None:
        super().__init__(upper=upper_bound)


class interval(_Bounded):
    """lower_bound <= x <= upper_bound."""

    def __init__(self, lower_bound: Any, upper_bound: Any) -> None:
        super().__init__(lower_bound, upper_bound, "[]")


class half_open_interval(_Bounded):
    """lower_bound <= x < upper_bound."""

    def __init__(self, lower_bound: Any, upper_bound: Any) -> None:
        super().__init__(lower_bound, upper_bound, "[")


class integer_interval(interval):
    """Whole numbers in lower_bound <= x <= upper_bound."""

    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return cresset.eq(value % 1, 0) & super().check(value)


class _WholeFrom(greater_than_eq):
    """Whole numbers from a bound on."""

    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return cresset.eq(value % 1, 0) & super().check(value)


class multinomial(Constraint):
    """Counts that add up to `upper_bound`."""

    is_discrete = True
    event_dim = 1

    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0).all(-1) & (value.sum(-1) <= self.upper_bound)


class _Simplex(Constraint):
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


class _OneHot(Constraint):
    is_discrete = True
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)


class _Square(Constraint):
    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        fits = value.shape[-1] == value.shape[-2]
        return cresset.full(value.shape[:-2], fits, dtype=cresset.bool, device=value.device)


class _Symmetric(_Square):
    def check(self, value: Tensor) -> Tensor:
        near = cresset.isclose(value, value.mT, atol=1e-6)
        return super().check(value) & near.all(-1).all(-1)


class _PositiveDefinite(_Symmetric):
    def check(self, value: Tensor) -> Tensor:
        symmetric = super().check(value)
        if not symmetric.all():
            return symmetric
        return cresset.linalg.cholesky_ex(value).info == 0


class _LowerTriangular(Constraint):
    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        return (value.tril() == value).all(-1).all(-1)


class _LowerCholesky(_LowerTriangular):
    def check(self, value: Tensor) -> Tensor:
        positive = (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)
        return super().check(value) & positive


class cat(Constraint):
    """Pieces along `dim`, of `lengths` (by default 1), each in a set of its own."""

    def __init__(
        self, cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None
    ) -> None:
        self.cseq = list(cseq)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        self.dim = dim
        self.is_discrete = any(c.is_discrete for c in self.cseq)
        self.event_dim = max(c.event_dim for c in self.cseq)

    def check(self, value: Tensor) -> Tensor:
        pieces = value.split(self.lengths, self.dim)
        return cresset.cat([c.check(x) for c, x in zip(self.cseq, pieces)], self.dim)


class stack(Constraint):
    """Slices along `dim`, each in a set of its own."""

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0) -> None:
        self.cseq = list(cseq)
        self.dim = dim
        self.is_discrete = any(c.is_discrete for c in self.cseq)
        inner = max(c.event_dim for c in self.cseq)
        self.event_dim = inner + 1 if dim + inner < 0 else inner

    def check(self, value: Tensor) -> Tensor:
        slices = value.unbind(self.dim)
        return cresset.stack([c.check(x) for c, x in zip(self.cseq, slices)], self.dim)


dependent = _Dependent()
boolean = _Boolean()
one_hot = _OneHot()
nonnegative_integer = _WholeFrom(0)
positive_integer = _WholeFrom(1)
real = _Real()
real_vector = independent(real, 1)
positive = greater_than(0.0)
nonnegative = greater_than_eq(0.0)
unit_interval = interval(0.0, 1.0)
simplex = _Simplex()
square = _Square()
symmetric = _Symmetric()
positive_definite = _PositiveDefinite()
lower_triangular = _LowerTriangular()
lower_cholesky = _LowerCholesky()
