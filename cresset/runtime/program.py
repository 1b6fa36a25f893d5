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

Steps may be repeated, with operands that lie elsewhere in every turn, so that a loop over the time
steps of a sequence is one launch from Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from cresset.core.layout import Layout
from cresset.runtime.ir import Module

STATUS = -1


class Step(NamedTuple):
    """One kernel launch."""

    key: str  # names the kernel in the cache: equal keys mean equal text
    write: Callable[[], Module]  # writes the kernel's IR when no cache has it
    operands: tuple[int, ...]  # indices into the value table; STATUS is the status block
    constants: tuple[int, ...] = ()  # 8-byte words that follow the operands
    units: int = 1  # the kernel is asked for 0..units, in pieces
    grain: int = 1 << 62  # units to a piece when the work is shared among threads
    work: int = 0  # rough nanoseconds on one thread, to decide whether sharing pays
    # Where each operand lies behind its value: bytes in the first turn, more in every other. None
    # where all lie at their values.
    moves: tuple[tuple[int, int], ...] | None = None
    # The steps that begin with this one, `repeats[0]` of them, are run `repeats[1]` times in turns.
    repeats: tuple[int, int] = (1, 1)


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
