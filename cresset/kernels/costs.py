"""What expressions cost, by the names of their primitives: guesses, for choices of schedule."""

from __future__ import annotations

from functools import cache

from cresset.core import scalar
from cresset.core.scalar import Expression

# What costs so much that computing it twice costs more than storing and loading it.
HEAVY = frozenset(
    "exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh "
    "acosh atanh sigmoid erf erfc erfinv normal_weight lgamma digamma pow fmod remainder "
    "floor_divide trunc_divide softplus".split()
)
# Costly, and yet short enough that a block of many lanes keeps its values in registers.
SHORT = frozenset(
    "exp exp2 expm1 log log2 log10 sigmoid softplus tanh erf erfinv normal_weight".split()
)


def computed(body) -> tuple[Expression, ...]:
    """What statements compute, before it is stored or merged."""
    return tuple(e for s in body for e in (s.lift if hasattr(s, "lift") else (s.value,)))


@cache
def names(expressions: tuple[Expression, ...]) -> tuple[str, ...]:
    """The primitives that expressions are made of, one for each part."""
    return tuple(e.name for e in scalar.topological(*expressions))


def heavy(*expressions: Expression) -> bool:
    """Whether something costly is computed."""
    return not HEAVY.isdisjoint(names(expressions))


def long(expressions: tuple[Expression, ...]) -> bool:
    """Whether a block takes so much code that it should have few registers' worth of lanes."""
    costly = [name for name in names(expressions) if name in HEAVY]
    return len(costly) > 2 or not SHORT.issuperset(costly)


def cost(expressions: tuple[Expression, ...]) -> float:
    """A guess at the nanoseconds that one point takes on one thread."""
    found = names(expressions)
    return 0.2 + 0.05 * len(found) + 1.0 * sum(name in HEAVY for name in found)
