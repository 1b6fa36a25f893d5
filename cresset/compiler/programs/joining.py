"""Joining: two loop nests over the same points as one.

Both run over the same points, in whichever dims, and at every point need of each other what the
other does at that point alone. What the first writes is then at hand in registers.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from itertools import groupby, pairwise
from math import prod
from typing import NamedTuple

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.scalar import Expression
from cresset.kernels.costs import HEAVY, heavy, names
from cresset.kernels.kept_values import kept_values
from cresset.kernels.nest import (
    Nest,
    Operand,
    Reduce,
    Store,
    arranged,
    compact,
    computed,
    folding,
    outputs,
    positioned,
)

# Arrays and values of a joined nest; more would not stay in registers.
MOST_ARRAYS = 12
MOST_VALUES = 160
# What takes some time to compute, how many of these one costly value is as much as, and how many
# may be computed again where that spares a launch.
SLOW = frozenset(("div", "sqrt"))
COSTLY = 4
AGAIN = 3


# --- spaces ---------------------------------------------------------------------------------------
class Piece(NamedTuple):
    """A dim that is part of a nest's: `size` points of dim `dim`, `step` apart; None for no dim."""

    dim: int | None
    size: int
    step: int


def in_memory_order(nest: Nest) -> Nest:
    """The nest without dims of size 1, the others as they lie in memory."""
    written = outputs(nest.body)
    if nest.reduced:
        written = [k for k, o in enumerate(nest.operands) if o.strides and k not in written]
    first = [nest.operands[k].strides or () for k in written[:1]]
    dims = sorted(
        (d for d, n in enumerate(nest.shape) if n != 1), key=lambda d: [-s[d] for s in first]
    )
    if dims == list(range(len(nest.shape))):
        return nest
    return _over(nest, [Piece(d, nest.shape[d], 1) for d in dims])


def _over(nest: Nest, pieces: Sequence[Piece]) -> Nest:
    """The nest over other dims."""

    def strides(old):
        return tuple([0 if p.dim is None else old[p.dim] * p.step for p in pieces])

    return nest._replace(
        shape=tuple([p.size for p in pieces]),
        reduced=frozenset(k for k, p in enumerate(pieces) if p.dim in nest.reduced),
        operands=tuple([
            o if o.strides is None else o._replace(strides=strides(o.strides))
            for o in nest.operands
        ]),
        position_strides=strides(nest.position_strides) if nest.position_strides else (),
    )


def _cuts(shape, other) -> list[list[Piece]] | None:
    """The pieces of each dim with which both shapes come to have the same dims; None without."""
    inner = [[prod(sizes[k:]) for k in range(len(sizes) + 1)] for sizes in (shape, other)]
    if inner[0][0] != inner[1][0]:
        return None
    ends = sorted({1, *inner[0], *inner[1]})
    if any(large % small for small, large in pairwise(ends)):
        return None
    cuts = []
    for d, (outer, within) in enumerate(pairwise(inner[0])):
        inside = [e for e in ends if within <= e <= outer]
        cuts.append([Piece(d, b // a, a // within) for a, b in reversed([*pairwise(inside)])])
    return cuts


def _aligned(first: Nest, second: Nest) -> tuple[Nest, Nest] | None:
    """Both nests over the same dims; None where they do not run over the same points.

    Where the first folds and the second runs over what is kept, the second does not move along the
    folded dims, and stores once. Where both fold, it is along the same dims. Where the first is of
    fewer points (`spreads`), it is done at every point of the second.
    """
    if first.shape == second.shape and not (
        first.order and second.order and first.reduced != second.reduced
    ):
        return first, second
    if spreads(first, second):
        return _spread(first, second)
    folded = prod([n for d, n in enumerate(first.shape) if d in first.reduced])
    once = first.reduced and prod(second.shape) * folded == prod(first.shape)
    if once and (second.folds or positioned(second.body)):
        return None
    met = [d for d in range(len(first.shape)) if not (once and d in first.reduced)]
    found = _cut_alike(first, met, second)
    if found is None:
        return None
    one, two = found
    if once:
        body = tuple([s._replace(kept=True) for s in two.body])
        two = two._replace(reduced=one.reduced, body=body)
    if first.folds and second.folds and one.reduced != two.reduced:
        return None
    return one, two


def spreads(first: Nest, second: Nest) -> bool:
    """Whether a nest makes what another can only read at several points."""
    return not first.folds and prod(first.shape) < prod(second.shape)


def _spread(first: Nest, second: Nest) -> tuple[Nest, Nest] | None:
    """A nest of few points at those of the second, where it costs little: it does not change along
    the innermost dim.
    """
    written = {first.operands[k].place for k in outputs(first.body)}
    reads = [o.strides for o in second.operands if o.strides and o.place in written]
    met = [d for d in range(len(second.shape)) if any(strides[d] for strides in reads)]
    if not reads or len(second.shape) - 1 in met or heavy(*computed(first.body)):
        return None
    if first.in_place or positioned(first.body):
        return None
    found = _cut_alike(second, met, first)
    return None if found is None else found[::-1]


def _cut_alike(large: Nest, met: list[int], small: Nest) -> tuple[Nest, Nest] | None:
    """Two nests over the same dims, where the points of one are those of the dims `met` of the
    other; along the others it does not move.
    """
    sizes = [large.shape[d] for d in met]
    if prod(sizes) != prod(small.shape):
        return None
    cuts, others = _cuts(sizes, small.shape), _cuts(small.shape, sizes)
    if cuts is None or others is None:
        return None
    own = dict(zip(met, cuts))
    fitting = iter([piece for pieces in others for piece in pieces])
    ones: list[Piece] = []
    twos: list[Piece] = []
    for d, n in enumerate(large.shape):
        for piece in own.get(d, [Piece(None, n, 0)]):
            if piece.dim is None:
                ones.append(Piece(d, n, 1))
                twos.append(piece)
            else:
                ones.append(piece._replace(dim=d))
                twos.append(next(fitting))
    return _over(large, ones), _over(small, twos)


# --- joining --------------------------------------------------------------------------------------
def joined(first: Nest, second: Nest, read: Container[int]) -> Nest | None:
    """One nest that does what the first does, and then the second; None where none can.

    `read` are the values that later launches read. Others are stored nevertheless, but where there
    would be too many.
    """
    if first.order and second.order and first.order != second.order:
        return None
    aligned = _aligned(first, second)
    if aligned is None or not _independent(*aligned):
        return None
    nest = _Joining(*aligned).nest()
    if nest is None or (nest.folds and nest.in_place and _overwrites(nest)):
        return None
    if spreads(first, second):
        nest = _without(nest, {first.operands[k].place for k in outputs(first.body)}, read)
    if nest is None:
        return None
    if _too_much(nest, first, second):
        nest = without_unread(nest, read)
        if nest is None or _too_much(nest, first, second):
            return None
    if not all(keeps_order(one, nest) for one in aligned):
        return None
    if nest.in_place and arranged(nest).lanes == "turned":
        # What is turned over is read ahead of what is written.
        return None
    return nest


def _overwrites(nest: Nest) -> bool:
    """Whether a nest overwrites what it reads in its passes, and not only once for each kept point,
    when all passes are done.
    """
    written = {nest.operands[s.operand].place for s in nest.body
               if isinstance(s, Store) and not s.kept}
    read = scalar.arguments(*computed(nest.body))
    return any(nest.operands[e.value].place in written for e in read)


def _without(nest: Nest, values: set[int], read: Container[int]) -> Nest | None:
    """The nest without stores of some values; None where these are read later."""
    if any(value in read for value in values):
        return None
    others = {nest.operands[k].place for k in outputs(nest.body)} - values
    left = without_unread(nest, others)
    if left is None or any(left.operands[k].place in values for k in outputs(left.body)):
        return None
    return left


def keeps_order(nest: Nest, other: Nest) -> bool:
    """Whether what a nest folds is folded in the same order by another over the same dims."""
    if not nest.order:
        return True
    dims, lengths = folding(other)
    return lengths == nest.order[0] and dims == folding(nest)[0]


def _too_much(nest: Nest, first: Nest, second: Nest) -> bool:
    """Whether a nest of two has too many arrays or values, or computes too much again."""
    arrays = [o for o in nest.operands if o.strides is not None]
    values = scalar.topological(*computed(nest.body))
    if len(arrays) > MOST_ARRAYS or len(values) > MOST_VALUES:
        return True
    if len({e for e in values if e.name == "position"}) > 1:
        return True
    again = repeats(nest)
    return again > AGAIN and again > repeats(first) + repeats(second)


def repeats(nest: Nest) -> int:
    """What is computed again in another pass over the same elements, in quotients, and roots."""
    found = names(computed(nest.body)) if nest.folds else ()
    if SLOW.isdisjoint(found) and HEAVY.isdisjoint(found):
        return 0
    if not HEAVY.isdisjoint(found):
        nest = as_run(nest)
    moving = moving_leaves(nest)
    done: set[Expression] = set()
    cost = 0
    for is_fold, statements in groupby(nest.body, lambda s: isinstance(s, Reduce)):
        body = tuple(statements)
        for values in ([s.lift for s in body] if is_fold else [computed(body)]):
            whole = scalar.topological(*values)
            for e in whole:
                if not moving.isdisjoint(e.args):
                    moving.add(e)
            slow = {e for e in whole if e in moving and (e.name in SLOW or e.name in HEAVY)}
            cost += sum(COSTLY if e.name in HEAVY else 1 for e in slow & done)
            done |= slow
    return cost


def _independent(first: Nest, second: Nest) -> bool:
    """Whether the second needs of the first, and undoes, what happens at the same point alone."""
    folding = first.folds or second.folds
    for one, written in _accesses(first):
        for two, writes in _accesses(second):
            if one.place != two.place or not (written or writes):
                continue
            if _apart(one, two, first.shape):
                continue
            # A fold may read again what was written meanwhile.
            late = folding and writes and (second.in_place or not written)
            if late or not _same(one, two):
                return False
    return True


def _accesses(nest: Nest) -> list[tuple[Operand, bool]]:
    written = outputs(nest.body)
    return [(o, k in written) for k, o in enumerate(nest.operands) if o.strides is not None]


def _same(one: Operand, two: Operand) -> bool:
    """Whether both are the same element at every point."""
    return one[:4] == two[:4]


def _apart(one: Operand, two: Operand, shape) -> bool:
    """Whether two operands in one memory have no byte in common."""
    (low, high), (begin, end) = _span(one, shape), _span(two, shape)
    return high <= begin or end <= low


def _span(o: Operand, shape) -> tuple[int, int]:
    """The first byte that an operand reaches, and the one behind its last."""
    reach = [(n - 1) * s for n, s in zip(shape, o.strides or ())]
    size = o.dtype.itemsize
    low, high = (sum(r for r in reach if (r < 0) == below) for below in (True, False))
    return (o.offset + low) * size, (o.offset + high + 1) * size


class _Joining:
    """Two nests over the same dims on their way to be one."""

    def __init__(self, first: Nest, second: Nest):
        self.first, self.second = first, second
        self.operands = list(first.operands)
        self.body = list(first.body)
        # What the first leaves in memory: the expression that an operand would read there.
        self.values = {
            first.operands[s.operand].identity(): _rounded(s.value)
            for s in first.body if isinstance(s, Store)
        }
        written = outputs(first.body)
        self.known = {
            o.identity(): k for k, o in enumerate(first.operands) if k not in written
        }

    def nest(self) -> Nest | None:
        first, second = self.first, self.second
        written = outputs(second.body)
        replaced = _renumbered(second, _states(first))
        targets = {}
        for k, o in enumerate(second.operands):
            if k in written:
                targets[k] = self._target(o)
            else:
                replaced[scalar.argument(k, o.dtype)] = self._source(o)
        for s in second.body:
            values = [scalar.substitute(e, replaced, ordered=True) for e in computed((s,))]
            if isinstance(s, Reduce):
                self.body.append(s._replace(
                    lift=tuple(values),
                    narrow=tuple(
                        scalar.substitute(e, replaced, ordered=True) for e in s.narrow
                    ),
                ))
            else:
                self.body.append(Store(targets[s.operand], values[0], s.kept))
        self.body = _in_one_pass(self.body, len(first.body))
        positions = [n for n in (first, second) if n.position_strides and positioned(n.body)]
        if len({(n.position_strides, n.position_start) for n in positions}) > 1:
            return None
        start = positions[0] if positions else first
        places = {self.operands[k].place for k in outputs(self.body)}
        met = any(
            self.operands[e.value].place in places
            for e in scalar.arguments(*computed(self.body))
        )
        return Nest(
            first.shape, first.reduced | second.reduced, tuple(self.operands), tuple(self.body),
            start.position_strides, start.position_start,
            first.in_place or second.in_place or met, first.order or second.order,
        )

    def _source(self, o: Operand) -> Expression:
        """What the second nest reads there."""
        key = o.identity()
        if key in self.values:
            return self.values[key]
        if key not in self.known:
            self.known[key] = len(self.operands)
            self.operands.append(o)
        return scalar.argument(self.known[key], o.dtype)

    def _target(self, o: Operand) -> int:
        """The operand that the second nest writes; what the first wrote there is not stored."""
        if o.identity() in self.values:
            self.body = [
                s for s in self.body
                if not isinstance(s, Store) or not _same(self.operands[s.operand], o)
            ]
        self.operands.append(o)
        return len(self.operands) - 1


def _states(nest: Nest) -> int:
    """The number of states that folds of a nest have."""
    return sum(len(s.lift) for s in nest.body if isinstance(s, Reduce))


def _renumbered(nest: Nest, start: int) -> dict[Expression, Expression]:
    """The states of a nest as those of one in which so many come before."""
    kinds = [e.dtype for s in nest.body if isinstance(s, Reduce) for e in s.lift]
    if not start:
        return {}
    return {
        scalar.accumulator(k, d): scalar.accumulator(start + k, d) for k, d in enumerate(kinds)
    }


def _in_one_pass(body: list, first: int) -> list:
    """The statements of two nests, the second of which begins at `first`, with the first fold of
    that in the pass of the last one before it, where it needs no state of those.
    """
    folds = [k for k, s in enumerate(body) if isinstance(s, Reduce)]
    before, after = [k for k in folds if k < first], [k for k in folds if k >= first]
    if not before or not after:
        return body
    one, two = body[before[-1]], body[after[0]]
    if bool(one.narrow) != bool(two.narrow) or one.block != two.block:
        return body
    if any(e.name == "accumulator" for e in scalar.topological(*two.lift)):
        return body
    counts = len(one.lift), len(two.lift)
    merge = [_among(e, one.lift, 0, counts) for e in one.merge]
    merge += [_among(e, two.lift, 1, counts) for e in two.merge]
    both = Reduce(
        one.lift + two.lift, tuple(merge), one.start + two.start,
        narrow=one.narrow + two.narrow, block=one.block,
    )
    joined = [*body[: before[-1]], both, *body[before[-1] + 1 :]]
    del joined[after[0]]
    return joined


def _among(merge: Expression, lift, which: int, counts: tuple[int, int]) -> Expression:
    """How states are merged that are the first or the second ones of so many."""
    own, total, start = counts[which], sum(counts), counts[0] * which
    return scalar.substitute(merge, {
        scalar.argument(side * own + k, e.dtype): scalar.argument(side * total + start + k, e.dtype)
        for side in (0, 1) for k, e in enumerate(lift)
    })


def _rounded(e: Expression) -> Expression:
    """A value as memory has it: small floats are computed in float32, and rounded when stored."""
    return scalar.cast(scalar.cast(e, types.float32), e.dtype) if e.dtype in types.SMALL else e


# --- what is stored -------------------------------------------------------------------------------
def without_unread(nest: Nest, read: Container[int]) -> Nest | None:
    """The nest without stores that nobody reads; None where nothing is left."""
    own = {
        nest.operands[e.value].place for e in scalar.arguments(*computed(nest.body))
        if nest.operands[e.value].strides is not None
    }
    body = [
        s for s in nest.body
        if not isinstance(s, Store)
        or nest.operands[s.operand].place in own or nest.operands[s.operand].place in read
    ]
    if not any(isinstance(s, Store) for s in body):
        return None
    operands, body = compact(nest.operands, body)
    return nest._replace(operands=operands, body=body)


def as_run(nest: Nest) -> Nest:
    """The nest with what its folds compute on the way stored on the way, and read there where it is
    costly to compute it again.
    """
    if not nest.folds:
        return nest
    body: list = []
    waiting: list[Store] = []
    for s in nest.body:
        if isinstance(s, Store) and not s.kept and s.value.dtype in (types.float32, types.float64):
            waiting.append(s)
            continue
        if isinstance(s, Reduce):
            known = set(scalar.topological(*s.lift))
            found = [store for store in waiting if store.value in known]
            s = s._replace(keep=tuple([(store.operand, store.value) for store in found]))
            body += [store for store in waiting if store.value not in known]
            waiting = []
        body.append(s)
    body += waiting
    # What kept points overwrite is read before.
    body.sort(key=lambda s: isinstance(s, Store) and s.kept)
    if not heavy(*computed(nest.body)):
        return nest._replace(body=tuple(body))
    moving = moving_leaves(nest)
    held = tuple([o.dtype for o in nest.operands])
    moves = tuple([scalar.argument(k, d) in moving for k, d in enumerate(held)])
    kept, targets = kept_values(tuple(body), held, moves)
    operands = (*nest.operands, *(nest.operands[k] for k in targets))
    return nest._replace(
        operands=operands, body=kept, in_place=nest.in_place or bool(targets)
    )


def moving_leaves(nest: Nest) -> set[Expression]:
    """The arguments that change over reduced dims."""
    return {
        scalar.argument(k, o.dtype) for k, o in enumerate(nest.operands)
        if o.strides is not None and any(o.strides[d] for d in nest.reduced)
    }


def as_stated(nest: Nest) -> Nest:
    """What `as_run` made this nest of, by itself or when it was a launch's own: every store says
    what it stores, and folds keep nothing.
    """
    if not any(isinstance(s, Reduce) and s.keep for s in nest.body):
        return nest
    written = outputs(nest.body)
    stored = {s.operand for s in nest.body if isinstance(s, Store)}
    kept: dict[Expression, Expression] = {}
    body: list = []
    for s in nest.body:
        if not isinstance(s, Reduce):
            body.append(s._replace(value=scalar.substitute(s.value, kept)))
            continue
        lift, narrow = (
            tuple([scalar.substitute(e, kept) for e in own]) for own in (s.lift, s.narrow)
        )
        for k, e in s.keep:
            value = scalar.substitute(e, kept)
            kept.update({
                scalar.argument(j, o.dtype): value for j, o in enumerate(nest.operands)
                if o == nest.operands[k] and j not in written
            })
            if k not in stored:
                body.append(Store(k, value, False))
        body.append(s._replace(lift=lift, narrow=narrow, keep=()))
    operands, stated = compact(nest.operands, body)
    places = {operands[k].place for k in outputs(stated)}
    met = any(operands[e.value].place in places for e in scalar.arguments(*computed(stated)))
    return nest._replace(operands=operands, body=stated, in_place=nest.in_place and met)
