"""Loop fusion: loop nests that follow one another in a program, done as one.

A nest joins an earlier one where both run over the same points, in whichever dims, and at every
point need of each other what the other does at that point alone. What the first writes is then at
hand in registers, and need not be written where nobody else reads it. A fold takes in the
elementwise nests before it; elementwise nests over what it keeps follow in the same launch, and so
do folds over the same rows, in the same pass where they need nothing of the first.

Joining changes no bit: numbers are rounded to their types as they were in memory, and where the
order would change in which a fold meets its elements, nothing is joined.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import NamedTuple

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.scalar import Expression
from cresset.kernels.costs import heavy
from cresset.kernels.epilogue import BOX, is_plain, reads_box, with_epilogue
from cresset.kernels.nest import (
    Nest,
    Operand,
    Reduce,
    Store,
    arranged,
    compact,
    computed,
    launch,
    outputs,
    positioned,
)
from cresset.runtime.plan import is_shared
from cresset.runtime.program import STATUS, Step

# The value that numbers are added to which are known.
NOTHING = 0
# Steps back that a nest looks for one to join.
LOOK_BACK = 8
# Arrays and values of a joined nest; more would not stay in registers.
MOST_ARRAYS = 12
MOST_VALUES = 160
# Bytes of a kernel's result from which loops become its epilogue: what that saves of moving less
# has to be worth that the loops are compiled for it.
LEAST_BYTES = 1 << 20


class Launch(NamedTuple):
    """A step over the values of one table, and which of these it reads and writes.

    `entries` are the places of what it does in the recording. What is `pinned` stays as it is; what
    is made `again` has been made before.
    """

    step: Step
    reads: frozenset[int]
    writes: frozenset[int]
    entries: tuple[int, ...]
    pinned: bool = False
    again: bool = False

    def over(self, value: int, other: int) -> Launch:
        """The launch with another value in place of one."""
        names = {value: other}
        return self._replace(
            step=self.step.over(lambda v: (names.get(v, v), 0)),
            reads=frozenset(names.get(v, v) for v in self.reads),
            writes=frozenset(names.get(v, v) for v in self.writes),
        )

    def meets(self, other: Launch) -> bool:
        """Whether one of them writes what the other reads or writes."""
        return not (
            self.writes.isdisjoint(other.reads) and self.writes.isdisjoint(other.writes)
            and self.reads.isdisjoint(other.writes)
        )


def fused(launches: Sequence[Launch], staying: set[int]) -> list[Launch]:
    """The launches with nests joined; values in `staying` are read after the last of them."""
    done: list[_Candidate] = []
    for entry in launches:
        candidate = _Candidate(entry)
        if candidate.nest is None or candidate.tiled or not _join_one(done, candidate):
            done.append(candidate)
    read = set(staying)
    finished: list[Launch] = []
    for candidate in reversed(done):
        made = candidate.launch(read)
        if made is not None:
            read |= made.reads
            finished.append(made)
    return finished[::-1]


class _Candidate:
    """A launch that others may join; `nest` is None where none can.

    Where it begins with a kernel that makes boxes, `tiled` is the launch of that alone, and the
    nest is what is done with them.
    """

    def __init__(self, entry: Launch):
        self.entry = entry
        self.nest = None if entry.pinned else located(entry.step)
        self.tiled = None
        tiled = None if entry.pinned else entry.step.tiled
        if tiled is not None and tiled.nbytes >= LEAST_BYTES:
            self.tiled, self.nest = entry, _stored(entry.step)
        # The order of the fold in it, which has to stay as it is.
        self.order = None
        if self.nest is not None and self.nest.folds:
            arrangement = arranged(entry.step.nest)
            self.order = arrangement.order()
            self.nest = self.nest._replace(width=arrangement.width)

    def join(self, other: _Candidate) -> bool:
        """Take in a launch that follows, where that can be; returns whether it could."""
        assert self.nest is not None and other.nest is not None
        order = self.order or other.order
        if other.order not in (None, order):
            return False
        nest = joined(self.nest, other.nest)
        if nest is None or (order is not None and arranged(nest).order() != order):
            return False
        if self.tiled is not None:
            if not self._takes(nest, other):
                return False
        elif any(map(is_shared, (self.entry.step, other.entry.step))):
            if not is_shared(launch(nest)):
                return False
        a, b = self.entry, other.entry
        self.entry = Launch(
            a.step, a.reads | b.reads, a.writes | b.writes, (*a.entries, *b.entries)
        )
        self.nest, self.order = nest, order
        return True

    def _takes(self, nest: Nest, other: _Candidate) -> bool:
        """Whether a nest, in which another launch is, can be the epilogue of the kernel."""
        assert self.tiled is not None
        step = self.tiled.step
        if nest.folds or (is_shared(other.entry.step) and not is_shared(step)):
            return False
        # What is written must not be what boxes that are still to come are made of.
        if not self._made_of.isdisjoint(nest.operands[k].place for k in outputs(nest.body)):
            return False
        return with_epilogue(step, nest) is not None

    @property
    def _made_of(self) -> set[int]:
        """What the kernel that makes boxes reads."""
        assert self.tiled is not None
        step = self.tiled.step
        return {place for k, place in enumerate(step.operands) if k != step.tiled.operand}

    def launch(self, read: set[int]) -> Launch | None:
        """The launch, without the stores of what nobody reads; `read` is what later ones read."""
        if not self.entry.pinned and self.entry.writes.isdisjoint(read):
            return None
        if len(self.entry.entries) == 1 or self.nest is None:
            return self.entry
        nest = without_unread(self.nest, read)
        if nest is None:
            return None
        if self.order is not None and arranged(nest).order() != self.order:
            nest = self.nest
        made_of: set[int] = set()
        if self.tiled is None or not reads_box(nest):
            step = launch(_kept(nest))
        elif is_plain(nest):
            return self.tiled
        else:
            made_of = self._made_of
            made = with_epilogue(self.tiled.step, nest)
            assert made is not None
            step = made
        written = set(outputs(nest.body))
        arrays = [(k, o.place) for k, o in enumerate(nest.operands)
                  if o.strides is not None and o.place != BOX]
        return self.entry._replace(
            step=step,
            reads=frozenset(made_of.union(place for k, place in arrays if k not in written)),
            writes=frozenset(place for k, place in arrays if k in written),
        )


def _join_one(done: list[_Candidate], candidate: _Candidate) -> bool:
    """Join a nest to the latest launch that it can join; returns whether there was one.

    Either the nest comes earlier, or the launch later, past all that are between them.
    """
    between: list[Launch] = []
    for k in range(len(done) - 1, max(len(done) - LOOK_BACK, 0) - 1, -1):
        earlier = done[k]
        if earlier.nest is not None and _shares(earlier.entry, candidate.entry):
            comes = not any(entry.meets(candidate.entry) for entry in between)
            goes = not any(entry.meets(earlier.entry) for entry in between)
            if (comes or goes) and earlier.join(candidate):
                if not comes:
                    done.append(done.pop(k))
                return True
        between.append(earlier.entry)
    return False


def _shares(first: Launch, second: Launch) -> bool:
    return not (first.reads | first.writes).isdisjoint(second.reads | second.writes)


def located(step: Step) -> Nest | None:
    """The nest of a step over the values that it is run over; None where it cannot be joined."""
    nest = step.nest
    if nest is None or step.rounds or STATUS in step.operands or 0 in nest.shape:
        return None
    moves = iter(step.moves or ((0, 0),) * len(step.operands))
    places = iter(step.operands)
    found = []
    for o in nest.operands:
        if o.part:
            return None
        if o.value is None:
            place, (begin, *_) = next(places), next(moves)
            if o.strides is None and place != NOTHING:
                o = o._replace(place=place)
            elif o.strides is None:
                o = o._replace(place=-1, value=_number(begin, o.number))
            else:
                start, rest = divmod(begin, o.dtype.itemsize)
                if rest:
                    return None
                o = o._replace(place=place, offset=o.offset + start)
        found.append(o)
    return _in_memory_order(nest._replace(operands=tuple(found)))


def _stored(step: Step) -> Nest | None:
    """The store of a kernel that makes boxes, as a nest."""
    tiled = step.tiled
    begin = step.moves[tiled.operand][0] if step.moves else 0
    start, rest = divmod(begin, tiled.dtype.itemsize)
    if rest or step.rounds:
        return None
    return _in_memory_order(tiled.stored(step.operands[tiled.operand], start))


def _number(word: int, kind: str) -> float | int:
    return struct.unpack("d", struct.pack("q", word))[0] if kind == "d" else word


# --- spaces ---------------------------------------------------------------------------------------
class Piece(NamedTuple):
    """A dim that is part of a nest's: `size` points of dim `dim`, `step` apart; None for no dim."""

    dim: int | None
    size: int
    step: int


def _in_memory_order(nest: Nest) -> Nest:
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
    folded dims, and stores once. Where both fold, it is along the same dims.
    """
    folded = prod(n for d, n in enumerate(first.shape) if d in first.reduced)
    once = first.reduced and prod(second.shape) * folded == prod(first.shape)
    if once and (second.folds or positioned(second.body)):
        return None
    met = [d for d in range(len(first.shape)) if not (once and d in first.reduced)]
    sizes = [first.shape[d] for d in met]
    cuts, others = _cuts(sizes, second.shape), _cuts(second.shape, sizes)
    if cuts is None or others is None:
        return None
    own = dict(zip(met, cuts))
    fitting = iter([piece for pieces in others for piece in pieces])
    ones: list[Piece] = []
    twos: list[Piece] = []
    for d, n in enumerate(first.shape):
        for piece in own.get(d, [Piece(None, n, 0)]):
            if piece.dim is None:
                ones.append(Piece(d, n, 1))
                twos.append(piece)
            else:
                ones.append(piece._replace(dim=d))
                twos.append(next(fitting))
    one, two = _over(first, ones), _over(second, twos)
    if once:
        body = tuple([s._replace(kept=True) for s in two.body])
        two = two._replace(reduced=one.reduced, body=body)
    if first.folds and second.folds and one.reduced != two.reduced:
        return None
    return one, two


# --- joining --------------------------------------------------------------------------------------
def joined(first: Nest, second: Nest) -> Nest | None:
    """One nest that does what the first does, and then the second; None where none can.

    Values whose stores may be left out are stored still.
    """
    folds = first.folds or second.folds
    if (folds and first.in_place) or (first.folds and second.in_place):
        return None
    aligned = _aligned(first, second)
    nest = None
    if aligned is not None and _independent(*aligned):
        nest = _Joining(*aligned).nest()
    if nest is None:
        return None
    arrays = [o for o in nest.operands if o.strides is not None]
    values = scalar.topological(*computed(nest.body))
    if len(arrays) > MOST_ARRAYS or len(values) > MOST_VALUES:
        return None
    if len({e for e in values if e.name == "position"}) > 1:
        return None
    if nest.in_place and arranged(nest).lanes == "turned":
        # What is turned over is read ahead of what is written.
        return None
    return nest


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
            values = [scalar.substitute(e, replaced) for e in computed((s,))]
            if isinstance(s, Reduce):
                self.body.append(s._replace(
                    lift=tuple(values),
                    keep=tuple((targets[k], scalar.substitute(e, replaced)) for k, e in s.keep),
                    narrow=tuple(scalar.substitute(e, replaced) for e in s.narrow),
                ))
            else:
                self.body.append(Store(targets[s.operand], values[0], s.kept))
        if self._repeats_costly(replaced):
            return None
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
            first.in_place or second.in_place or met, first.width or second.width,
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

    def _repeats_costly(self, replaced) -> bool:
        """Whether something costly that the first computes would be computed again by a fold."""
        if not self.first.folds and not self.second.folds:
            return False
        costly = {
            leaf for leaf, e in replaced.items() if e.name != "argument" and heavy(e)
        }
        if self.first.folds:
            return bool(costly)
        passes = [s for s in self.second.body
                  if costly & set(scalar.topological(*computed((s,))))]
        return len(passes) > 1


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
    lifted = scalar.topological(*two.lift, *(e for _, e in two.keep))
    if bool(one.narrow) != bool(two.narrow) or any(e.name == "accumulator" for e in lifted):
        return body
    counts = len(one.lift), len(two.lift)
    merge = [_among(e, one.lift, 0, counts) for e in one.merge]
    merge += [_among(e, two.lift, 1, counts) for e in two.merge]
    both = Reduce(
        one.lift + two.lift, tuple(merge), one.start + two.start, one.keep + two.keep,
        one.narrow + two.narrow,
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
def without_unread(nest: Nest, read: set[int]) -> Nest | None:
    """The nest without stores that nobody reads; None where nothing is left."""
    own = {
        nest.operands[e.value].place for e in scalar.arguments(*computed(nest.body))
        if nest.operands[e.value].strides is not None
    }
    body = [
        s for s in nest.body
        if not isinstance(s, Store) or nest.operands[s.operand].place in read | own
    ]
    if not any(isinstance(s, Store) for s in body):
        return None
    operands, body = compact(nest.operands, body)
    return nest._replace(operands=operands, body=body)


def _kept(nest: Nest) -> Nest:
    """The nest with what its fold computes on the way stored on the way."""
    body: list = []
    waiting: list[Store] = []
    for s in nest.body:
        if isinstance(s, Store) and not s.kept and s.value.dtype in (types.float32, types.float64):
            waiting.append(s)
            continue
        if isinstance(s, Reduce):
            known = set(scalar.topological(*s.lift))
            found = [store for store in waiting if store.value in known]
            s = s._replace(keep=(*s.keep, *((store.operand, store.value) for store in found)))
            body += [store for store in waiting if store.value not in known]
            waiting = []
        body.append(s)
    return nest._replace(body=(*body, *waiting))
