"""From unconstrained numbers to the sets in which parameters and samples lie.

    >>> from cresset.distributions import constraints, transform_to
    >>> transform_to(constraints.simplex)(cresset.zeros(2))
    tensor([0.5000, 0.5000])

`biject_to` has transforms that are one to one, by which densities can be changed; `transform_to`
simpler ones, that optimizers do better with where the two differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cresset
from cresset.distributions import constraints, transforms
from cresset.distributions.constraints import Constraint
from cresset.distributions.transforms import Transform

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """Called with a constraint it gives a transform of all numbers to that set.

    NotImplementedError where none is known for the constraint's class.
    """

    def __init__(self) -> None:
        self._makers: dict[type, Callable[[Any], Transform]] = {}

    def register(self, constraint: Any, factory: Any = None) -> Any:
        """Has `factory(constraint)` make the transforms for constraints of a class, or of the class
        of one; a decorator without `factory`. TypeError for what is no constraint.
        """
        if factory is None:
            return lambda factory: self.register(constraint, factory)
        kind = type(constraint) if isinstance(constraint, Constraint) else constraint
        if not (isinstance(kind, type) and issubclass(kind, Constraint)):
            raise TypeError(
                "register: Expected constraint to be either a Constraint subclass or instance, but "
                f"got {constraint}"
            )
        self._makers[kind] = factory
        return factory

    def __call__(self, constraint: Constraint) -> Transform:
        if type(constraint) not in self._makers:
            raise NotImplementedError(
                f"transform: Cannot transform {type(constraint).__name__.lstrip('_')} constraints"
            )
        return self._makers[type(constraint)](constraint)


biject_to, transform_to = ConstraintRegistry(), ConstraintRegistry()


def _above(constraint: Any) -> Transform:
    return transforms.ComposeTransform(
        [transforms.ExpTransform(), transforms.AffineTransform(constraint.lower_bound, 1)]
    )


def _below(constraint: Any) -> Transform:
    return transforms.ComposeTransform(
        [transforms.ExpTransform(), transforms.AffineTransform(constraint.upper_bound, -1)]
    )


def _between(constraint: Any) -> Transform:
    low, high = constraint.lower_bound, constraint.upper_bound
    if not isinstance(low, cresset.Tensor) and not isinstance(high, cresset.Tensor):
        if (low, high) == (0, 1):
            return transforms.SigmoidTransform()
    return transforms.ComposeTransform(
        [transforms.SigmoidTransform(), transforms.AffineTransform(low, high - low)]
    )


def _fill(to: ConstraintRegistry) -> None:
    """Registers what both registries have."""
    to.register(constraints.real, lambda _: transforms.identity_transform)
    for kind, made in ((constraints.greater_than, _above), (constraints.greater_than_eq, _above),
                        (constraints.less_than, _below), (constraints.interval, _between),
                        (constraints.half_open_interval, _between)):
        to.register(kind, made)
    to.register(constraints.lower_cholesky, lambda _: transforms.LowerCholeskyTransform())
    to.register(constraints.independent, lambda constraint: transforms.IndependentTransform(
        to(constraint.base_constraint), constraint.reinterpreted_batch_ndims
    ))
    to.register(constraints.cat, lambda constraint: transforms.CatTransform(
        [*map(to, constraint.cseq)], constraint.dim, constraint.lengths
    ))
    to.register(constraints.stack, lambda constraint: transforms.StackTransform(
        [*map(to, constraint.cseq)], constraint.dim
    ))


_fill(biject_to)
_fill(transform_to)
biject_to.register(constraints.simplex, lambda _: transforms.StickBreakingTransform())
transform_to.register(constraints.simplex, lambda _: transforms.SoftmaxTransform())
transform_to.register(
    constraints.positive_definite, lambda _: transforms.PositiveDefiniteTransform()
)
