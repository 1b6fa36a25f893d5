"""Values that are computed once: costly ones that a fold and later statements of a nest need."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.scalar import Expression
from cresset.kernels.costs import HEAVY


def kept_values(statements: tuple, held: tuple, moving: tuple) -> tuple[tuple, tuple]:
    """The body with costly values left by folds where a later store writes, and read there.

    So softmax computes every exponential once. What else needs the value reads it there as well,
    and that store becomes the last. `held` are the types of the operands, `moving` says which
    change over reduced dims. With the body come the operands that are read so, as further ones.
    """
    body = list(statements)
    targets: list[int] = []
    leaves = {scalar.argument(k, held[k]) for k, moves in enumerate(moving) if moves}
    for at, fold in enumerate(body):
        if not hasattr(fold, "lift"):
            continue
        later = body[at + 1 :]
        found = _kept(fold, later, leaves) or _to_keep(fold, later, held, leaves)
        if found is None or found[0] in targets:
            continue
        target, e = found
        leaf = scalar.argument(len(held) + len(targets), e.dtype)
        targets.append(target)
        if (target, e) not in fold.keep:
            body[at] = fold._replace(keep=(*fold.keep, (target, e)))
        later = [_substituted(s, {e: leaf}) for s in later]
        # What is read there is read before it is written.
        later.sort(key=lambda s: not hasattr(s, "lift") and s.operand == target)
        body[at + 1 :] = later
    return tuple(body), tuple(targets)


def _kept(fold, later: list, leaves: set) -> tuple[int, Expression] | None:
    """(operand, value) of a costly value that the fold keeps already, and later statements need."""
    stored = {s.operand for s in later if not hasattr(s, "lift")}
    for operand, e in fold.keep:
        if operand not in stored and costly(e, leaves):
            if any(e in scalar.topological(*_computed(s)) for s in later):
                return operand, e
    return None


def _to_keep(fold, later: list, held: tuple, leaves: set) -> tuple[int, Expression] | None:
    """(operand, value) of the costly value that is to be kept where the last store writes that can
    hold it.
    """
    for store in reversed(later):
        if hasattr(store, "lift") or store.kept:
            continue
        e = _shared(fold, store, leaves)
        if e is not None and e.dtype is held[store.operand]:
            return store.operand, e
    return None


def _shared(fold, store, leaves: set) -> Expression | None:
    """The one greatest costly expression that both compute, which changes over reduced dims."""
    lifted = set(scalar.topological(*fold.lift))
    found = [e for e in costly(store.value, leaves) if e in lifted]
    inner = {a for e in found for a in scalar.topological(*e.args)}
    greatest = [e for e in found if e not in inner]
    plain = len(greatest) == 1 and greatest[0].dtype in (types.float32, types.float64)
    return greatest[0] if plain else None


def costly(expression: Expression, leaves: set) -> list[Expression]:
    """The parts of an expression that are costly, and change with some leaves."""
    moves: dict[Expression, bool] = {}
    costs: dict[Expression, bool] = {}
    for e in scalar.topological(expression):
        moves[e] = e in leaves or any(moves[a] for a in e.args)
        costs[e] = moves[e] and (e.name in HEAVY or any(costs[a] for a in e.args))
    return [e for e, costs_much in costs.items() if costs_much]


def _computed(statement) -> tuple[Expression, ...]:
    return statement.lift if hasattr(statement, "lift") else (statement.value,)


def _substituted(statement, values: dict):
    """The statement with other expressions in place of some."""

    def other(expressions):
        return tuple([scalar.substitute(e, values) for e in expressions])

    if not hasattr(statement, "lift"):
        return statement._replace(value=scalar.substitute(statement.value, values))
    return statement._replace(
        lift=other(statement.lift), narrow=other(statement.narrow),
        keep=tuple([(k, scalar.substitute(e, values)) for k, e in statement.keep]),
    )
