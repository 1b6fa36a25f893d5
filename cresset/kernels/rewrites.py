"""Nests rewritten to cost less, before they become launches."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.scalar import Expression
from cresset.kernels.costs import HEAVY

if TYPE_CHECKING:
    from cresset.kernels.nest import Nest

CHOOSING = frozenset("argument where lt le eq ne bit_and bit_or bit_xor bit_not constant".split())
NARROWED = types.int32, (1 << 31) - 1  # the type of short positions, and its greatest number


def rewritten(nest: Nest) -> Nest:
    """The nest as it is run."""
    moving = tuple([
        o.strides is not None and any(o.strides[d] for d in nest.reduced) for o in nest.operands
    ])
    held = tuple([o.dtype for o in nest.operands])
    body, targets = _rewritten(nest.body, held, moving, _counts_short(nest))
    if not targets:
        return nest._replace(body=body)
    operands = (*nest.operands, *(nest.operands[k] for k in targets))
    return nest._replace(operands=operands, body=body, in_place=True)


# Sizes decide nothing here, and many nests differ in these alone.
@lru_cache(scalar.REMEMBERED)
def _rewritten(body: tuple, held: tuple, moving: tuple, short: bool) -> tuple[tuple, tuple]:
    """A body as it is run, and the operands that it reads as further ones, in this order.

    `held` are the types of the operands, `moving` says which change over reduced dims, and `short`
    whether positions may be counted in 32 bits.
    """
    body = truths_in_bytes(body)
    if short:
        body = short_positions(body)
    body, targets = kept_values(body, held, moving)
    return narrow_sums(body), targets


# --- truths ---------------------------------------------------------------------------------------
def truths_in_bytes(statements: tuple) -> tuple:
    """The body with states that are booleans carried as bytes: vectors hold no bits in between."""
    body: list = []
    replaced: dict[Expression, Expression] = {}
    states = 0
    for s in statements:
        if not hasattr(s, "lift"):
            body.append(s._replace(value=scalar.substitute(s.value, replaced)))
            continue
        lift = [scalar.substitute(e, replaced) for e in s.lift]
        merge, count = list(s.merge), len(lift)
        for k, e in enumerate(s.lift):
            sides = scalar.argument(k, types.bool), scalar.argument(count + k, types.bool)
            if e.dtype is types.bool and merge[k] in (sides[0] & sides[1], sides[0] | sides[1]):
                bytes = tuple(scalar.argument(a.value, types.uint8) for a in sides)
                lift[k] = scalar.cast(lift[k], types.uint8)
                merge[k] = scalar.node(merge[k].name, types.uint8, bytes)
                state = scalar.accumulator(states + k, types.uint8)
                replaced[scalar.accumulator(states + k, types.bool)] = scalar.ne(state, 0)
        states += count
        body.append(s._replace(lift=tuple(lift), merge=tuple(merge)))
    return tuple(body) if replaced else statements


# --- sums -----------------------------------------------------------------------------------------
def narrow_sums(statements: tuple) -> tuple:
    """The body with float32 numbers whose sum becomes float32 added up a few at a time first.

    Adding four of them as they are costs an error of two roundings, less than pairwise summation
    has, and saves most of the conversions to float64, in which the sums grow.
    """
    computed = [
        e for s in statements
        for e in scalar.topological(*(s.lift if hasattr(s, "lift") else (s.value,)))
    ]
    stored = {s.value for s in statements if not hasattr(s, "lift")}
    used_wide = stored | {
        a for e in computed for a in e.args
        if e.name not in ("cast", "carry") or e.dtype is not types.float32
    }
    body, states = [], 0
    for s in statements:
        if hasattr(s, "lift"):
            sums = [scalar.accumulator(states + k, e.dtype) for k, e in enumerate(s.lift)]
            states += len(sums)
            if used_wide.isdisjoint(sums) and _widens(s):
                s = s._replace(narrow=tuple(e.args[0] for e in s.lift))
        body.append(s)
    return tuple(body)


def _widens(s) -> bool:
    """Whether a fold adds up what were float32 numbers in float64."""
    return all(
        e.name == "cast" and e.dtype is types.float64 and e.args[0].dtype is types.float32
        and merge is scalar.argument(k, e.dtype) + scalar.argument(len(s.lift) + k, e.dtype)
        for k, (e, merge) in enumerate(zip(s.lift, s.merge))
    )


# --- positions ------------------------------------------------------------------------------------
def _counts_short(nest: Nest) -> bool:
    """Whether positions fit in 32 bits."""
    if not nest.position_strides or any(s < 0 for s in nest.position_strides):
        return False
    last = nest.position_start + sum(
        (n - 1) * s for n, s in zip(nest.shape, nest.position_strides)
    )
    return 0 <= last < NARROWED[1]


def short_positions(statements: tuple) -> tuple:
    """The body with positions counted in 32 bits, so that lanes hold twice as many.

    It is done where a state is a position that merges do nothing with but compare and choose.
    """
    position, states = scalar.position(), 0
    body: list = []
    replaced: dict[Expression, Expression] = {}
    for s in statements:
        if not hasattr(s, "lift"):
            value = scalar.substitute(s.value, replaced)
            if position in scalar.topological(value):
                return statements
            body.append(s._replace(value=value))
            continue
        short = {k for k, e in enumerate(s.lift) if e is position}
        others = [e for k, e in enumerate(s.lift) if k not in short]
        if position in scalar.topological(*others):
            return statements
        if short:
            merge = [_retyped(e, short, len(s.lift)) for e in s.merge]
            if None in merge:
                return statements
            s = s._replace(
                lift=tuple(
                    scalar.position(NARROWED[0]) if k in short else e for k, e in enumerate(s.lift)
                ),
                merge=tuple(merge),
                start=tuple(
                    min(n, NARROWED[1]) if k in short else n for k, n in enumerate(s.start)
                ),
            )
        for k in short:
            state = scalar.accumulator(states + k, types.int64)
            narrow = scalar.accumulator(states + k, NARROWED[0])
            replaced[state] = scalar.cast(narrow, types.int64)
        states += len(s.lift)
        body.append(s)
    return tuple(body) if replaced else statements


def _retyped(merge, short, count):
    """A merge whose components `short` have the narrow type, None where it computes with them."""
    wide = {scalar.argument(k + side, types.int64) for k in short for side in (0, count)}
    done: dict[Expression, Expression] = {}
    for e in scalar.topological(merge):
        if e in wide:
            done[e] = scalar.argument(e.value, NARROWED[0])
            continue
        args = tuple(done[a] for a in e.args)
        if args != e.args and e.name not in CHOOSING:
            return None
        narrow = e.dtype is types.int64 and args != e.args
        done[e] = scalar.node(e.name, NARROWED[0] if narrow else e.dtype, args, e.value)
    return done[merge]


# --- values that are computed once ----------------------------------------------------------------
def kept_values(statements: tuple, held: tuple, moving: tuple) -> tuple[tuple, tuple]:
    """The body with a costly value that a fold and a later store both need computed by the fold.

    The fold leaves it where the store writes, which reads it there: softmax computes every
    exponential once. With it come the operands that are read so, as further ones.
    """
    body = list(statements)
    targets: list[int] = []
    leaves = {scalar.argument(k, held[k]) for k, moves in enumerate(moving) if moves}
    for at, store in enumerate(body):
        if hasattr(store, "lift") or store.kept:
            continue
        for fold in range(at):
            if not hasattr(body[fold], "lift"):
                continue
            e = _shared(body[fold], store, leaves)
            if e is None or e.dtype is not held[store.operand]:
                continue
            body[fold] = body[fold]._replace(keep=(*body[fold].keep, (store.operand, e)))
            leaf = scalar.argument(len(held) + len(targets), e.dtype)
            targets.append(store.operand)
            body[at] = store._replace(value=scalar.substitute(store.value, {e: leaf}))
            break
    return tuple(body), tuple(targets)


def _shared(fold, store, moving) -> Expression | None:
    """The one greatest costly expression that both compute, which changes over reduced dims."""
    lifted = set(scalar.topological(*fold.lift))
    moves: dict[Expression, bool] = {}
    costs: dict[Expression, bool] = {}
    for e in scalar.topological(store.value):
        moves[e] = e in moving or any(moves[a] for a in e.args)
        costs[e] = moves[e] and (e.name in HEAVY or any(costs[a] for a in e.args))
    found = [e for e in costs if costs[e] and e in lifted]
    inner = {a for e in found for a in scalar.topological(*e.args)}
    greatest = [e for e in found if e not in inner]
    plain = len(greatest) == 1 and greatest[0].dtype in (types.float32, types.float64)
    return greatest[0] if plain else None
