"""Recomputation: what is used early and late, and only lies there in between, is computed twice.

The way back reads again what the way forward has made. What a nest makes of values that are there
at that time all the same need not be kept until then: the nest is run again, over the same elements
in the same order, so its bits are the same. That is done where most memory is in use, and as long
as it costs little of the program's time.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Callable, Container, Mapping, Sequence

from cresset.compiler.programs.arena import in_use
from cresset.compiler.programs.joining import as_run, keeps_order, without_unread
from cresset.compiler.programs.loop_fusion import Launch, located
from cresset.core import scalar
from cresset.core.scalar import Expression
from cresset.kernels import nest as nests
from cresset.kernels.costs import heavy
from cresset.kernels.nest import Nest, Reduce, Store, computed, outputs

# Bytes in use at once from which on it is worth the while, the part of them that has to be saved.
FROM = 1 << 20
WORTH = 0.05
# The part of a program's time that may be spent.
SHARE = 0.06
# The part of what is in use at once that a value has to have.
LEAST = 1 / 256


def recomputed(
    launches: Sequence[Launch], nbytes: Mapping[int, int], staying: Mapping[int, int],
    new: Callable[[int], int],
) -> list[Launch]:
    """The launches, some of which are made again before what they make is used late.

    `nbytes` are those of the values that are temporaries, `staying` of those that are there
    afterwards. `new(value)` is the number of another one like it.
    """
    plan = _Plan(launches, nbytes, staying)
    before = max(plan.living, default=0)
    if before < FROM:
        return list(launches)
    while plan.ease(new):
        pass
    return plan.finished() if max(plan.living) <= (1 - WORTH) * before else list(launches)


class _Plan:
    def __init__(self, launches, nbytes, staying):
        self.order = list(launches)
        self.nbytes = dict(nbytes)
        self.spare = SHARE * sum(launch.step.work for launch in launches)
        # What is made again before each launch.
        self.again: dict[int, list[Launch]] = {}
        # The launches that use each value, and that write it.
        self.uses: dict[int, list[int]] = {}
        self.writers: dict[int, list[int]] = {}
        for k, launch in enumerate(launches):
            for value in launch.reads | launch.writes:
                self.uses.setdefault(value, []).append(k)
            for value in launch.writes:
                self.writers.setdefault(value, []).append(k)
        # The bytes in use at each launch.
        count = len(self.order)
        self.living = in_use(
            ((self.nbytes.get(value) or staying.get(value, 0), uses[0],
              count - 1 if value in staying else uses[-1])
             for value, uses in self.uses.items()), count,
        )
        least = LEAST * max(self.living, default=0)
        # The values of which it may be worth the while.
        self.wanted = {
            value for value, size in self.nbytes.items()
            if size >= least and value in self.uses
            and self.writers.get(value) == self.uses[value][:1]
        }

    def ease(self, new: Callable[[int], int]) -> bool:
        """Make one value again, so that less is in use where most is; returns whether that can be.
        """
        at = self.living.index(max(self.living))
        for value in sorted(self.wanted, key=lambda value: -self.nbytes[value]):
            uses = self.uses[value]
            place = bisect(uses, at)
            if 0 < place < len(uses) and uses[place - 1] != at:
                launch = self._again(value, uses[0], uses[place])
                if launch is not None and launch.step.work <= self.spare:
                    self._split(value, new(value), launch, place)
                    return True
                self.wanted.remove(value)
        return False

    def _again(self, value: int, first: int, late: int) -> Launch | None:
        """The launch that makes a value again of what is there at a late launch as at the first."""
        made = self.order[first]
        there = {
            other for other in made.reads | made.writes
            if not any(first < k < late for k in self.writers.get(other, ()))
            and (other not in self.nbytes or self.uses[other][-1] >= late)
        }
        return _repeated(made, value, there)

    def _split(self, value: int, other: int, launch: Launch, place: int):
        """Have late uses of a value, from a place on, be those of another one, which is made then.
        """
        uses = self.uses[value]
        early, late = uses[place - 1], uses[place]
        for k in uses[place:]:
            self.order[k] = self.order[k].over(value, other)
            self.again[k] = [clone.over(value, other) for clone in self.again.get(k, ())]
        self.again[late].insert(0, launch.over(value, other))
        for k in range(early + 1, late):
            self.living[k] -= self.nbytes[value]
        self.nbytes[other] = self.nbytes[value]
        self.uses[value], self.uses[other] = uses[:place], uses[place:]
        self.writers[other] = [late]
        for read in launch.reads:
            if late not in self.uses[read]:
                insort(self.uses[read], late)
        self.spare -= launch.step.work
        self.wanted.remove(value)

    def finished(self) -> list[Launch]:
        """The launches in order."""
        return [
            launch for k, own in enumerate(self.order)
            for launch in (*self.again.get(k, ()), own)
        ]


def _repeated(entry: Launch, value: int, there: Container[int]) -> Launch | None:
    """The launch that makes again one value of those that a launch makes, and nothing else.

    Of the others those that are `there` are read. None where there is no such launch, or it is
    costly, reads what is not there or was overwritten, or would fold elements in another order.
    """
    nest = None if entry.pinned else located(entry.step)
    if nest is None:
        return None
    written = {nest.operands[k].place for k in outputs(nest.body)}
    overwritten = written & {
        nest.operands[e.value].place for e in scalar.arguments(*computed(nest.body))
    }
    if value in overwritten:
        return None
    alone = without_unread(_reading(nest, value, there), {value})
    if alone is None or {alone.operands[k].place for k in outputs(alone.body)} != {value}:
        return None
    reads = {o.place for o in alone.operands if o.strides is not None} - {value}
    if not all(place in there and place not in overwritten for place in reads):
        return None
    if heavy(*computed(alone.body)):
        return None
    alone = alone._replace(in_place=False)
    if alone.folds and not keeps_order(nest, alone):
        return None
    step = nests.launch(as_run(alone))
    return Launch(step, frozenset(reads), frozenset({value}), entry.entries, again=True)


def _reading(nest: Nest, value: int, there: Container[int]) -> Nest:
    """The nest, which reads what it has stored where that is there, and stores `value` alone."""
    operands = list(nest.operands)
    read: dict[Expression, Expression] = {}
    for k, e in (s[:2] for s in nest.body if isinstance(s, Store)):
        if operands[k].place != value and operands[k].place in there and e.name != "argument":
            read[e] = scalar.argument(len(operands), e.dtype)
            operands.append(operands[k])
    folds: list[Reduce] = []
    made: list[Store] = []
    for s in nest.body:
        if isinstance(s, Reduce):
            narrow = tuple(scalar.substitute(e, read) for e in s.narrow)
            # What is added up before it is lifted is what is lifted.
            lift = tuple(scalar.cast(n, e.dtype) for n, e in zip(narrow, s.lift))
            lift = lift or tuple(scalar.substitute(e, read) for e in s.lift)
            folds.append(s._replace(lift=lift, narrow=narrow))
        elif operands[s.operand].place == value:
            made.append(s._replace(value=scalar.substitute(s.value, read)))
    if any(e.name == "accumulator" for e in scalar.topological(*(s.value for s in made))):
        return nest._replace(operands=tuple(operands), body=(*folds, *made))
    # Everything that was folded is there.
    body = tuple([s._replace(kept=False) for s in made])
    return nest._replace(operands=tuple(operands), body=body, reduced=frozenset(), order=())
