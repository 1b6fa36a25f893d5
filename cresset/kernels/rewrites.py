"""Nests rewritten to cost less, before they become launches."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.scalar import Expression
from cresset.kernels.kept_values import kept_values

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
