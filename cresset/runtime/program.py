"""Programs: what a plan runs, as data.

A program is a list of kernel launches over a table of values. The value table holds, in order, the
addresses of the outputs (new memory), of the inputs (tensors, or numbers as words), of the
temporaries (memory that lives for the call), and last the status block.

A kernel is `void kernel(ptr args, i64 begin, i64 end)`: `args` points to 8-byte words, first the
step's operands (picked from the value table), then its constants (sizes, strides); it does the
units begin..end of its work, in any order, on any thread.

A kernel that finds its data at fault (an index out of range) stores a non-zero word at the status
block, then up to three words of detail, and the program stops after that step with what `explain`
raises. It is given the three words and the number of the step.

Steps may stand in rounds, with operands that lie elsewhere in every turn, so that a loop over the
time steps of a sequence is one launch from Python. A round may be told by an element whether there
is another turn, and have rounds in it, so that branches and loops need no Python either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cresset.core.layout import Layout
from cresset.runtime.ir import Module

STATUS = -1


class Round(NamedTuple):
    """Steps that are run in turns: `steps` of them, `turns` times at most.

    With a `flag` (an index into the value table, the bytes behind that value, and how many more in
    every turn of the rounds around, outwards) a turn begins only where the byte there is not zero,
    or is zero where that is not `wanted`; else the round ends.
    """

    steps: int
    turns: int
    flag: tuple[int, ...] | None = None
    wanted: bool = True

    def over(self, find: Callable[[int], tuple[int, int]]) -> Round:
        """The round over another table, as `Step.over`."""
        if self.flag is None:
            return self
        value, begin, *strides = self.flag
        place, behind = find(value)
        return self._replace(flag=(place, begin + behind, *strides))


class Step(NamedTuple):
    """One kernel launch."""

    key: str  # names the kernel in the cache: equal keys mean equal text
    write: Callable[[], Module]  # writes the kernel's IR when no cache has it
    operands: tuple[int, ...]  # indices into the value table; STATUS is the status block
    constants: tuple[int, ...] = ()  # 8-byte words that follow the operands
    units: int = 1  # the kernel is asked for 0..units, in pieces
    grain: int = 1 << 62  # units to a piece when the work is shared among threads
    work: int = 0  # rough nanoseconds on one thread, to decide whether sharing pays
    # Where each operand lies behind its value: bytes in the first turn, more in every other one of
    # the round that it is in, and of those around that, outwards. None where all lie at their
    # values.
    moves: tuple[tuple[int, ...], ...] | None = None
    # The rounds that begin with this step, the outermost first.
    rounds: tuple[Round, ...] = ()
    # The loop nest that the step is, which others may be joined to; None for any other schedule.
    nest: Any = None
    # What the kernel makes in boxes, if it can run loops over them; and what does that, a step
    # whose kernel's address and words follow the words of this one.
    tiled: Any = None
    epilogue: Step | None = None

    def over(self, find: Callable[[int], tuple[int, int]]) -> Step:
        """The step over another table: `find` gives the place of a value there, and bytes behind.
        """
        found = [(STATUS, 0) if value == STATUS else find(value) for value in self.operands]
        moves: list[tuple[int, ...]] = [(behind,) for _, behind in found]
        if self.moves is not None:
            moves = [(begin + behind, *strides)
                     for (_, behind), (begin, *strides) in zip(found, self.moves)]
        return self._replace(
            operands=tuple([place for place, _ in found]),
            moves=tuple(moves),
            rounds=tuple([round.over(find) for round in self.rounds]),
            epilogue=self.epilogue and self.epilogue.over(find),
        )

    @property
    def parts(self) -> list[Step]:
        """The step, its epilogue, and that of its epilogue."""
        return [self] if self.epilogue is None else [self, *self.epilogue.parts]


class Program(NamedTuple):
    """Steps over a value table.

    `inputs` has one letter per argument of the call: "t" a tensor, "w" a tensor that is written,
    "d" a Python number as float64, "i" a Python number as int64, "n" anything, not read. Without
    outputs the call returns its first argument.
    """

    inputs: str
    outputs: tuple[Layout, ...]
    steps: tuple[Step, ...]
    temporaries: tuple[int, ...] = ()  # bytes each
    # explain(word1, word2, word3, number of the step) raises the error of a bad status
    explain: Callable | None = None


def joined(parts: Sequence[tuple[int, Callable]]) -> Callable | None:
    """The `explain` of a program made of others: `parts` are (number of the first step, its own).

    None where no part has one.
    """
    if not parts:
        return None

    def explain(first, second, third, step):
        start, own = max((part for part in parts if part[0] <= step), key=lambda part: part[0])
        own(first, second, third, step - start)

    return explain
