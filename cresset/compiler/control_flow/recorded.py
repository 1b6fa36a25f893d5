"""Functions recorded aside, and what the programs that are made of them have in common.

Control flow calls each of its functions once while a tape runs. What it did becomes a stretch of
one program, which runs it as often as elements say, without Python. What cannot be done so raises
Unrecorded; the function is then recorded as it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cresset.autograd.mode import no_grad
from cresset.autograd.node import alias
from cresset.capture.tape import Aside, Memory, Outside, Place, Tape
from cresset.compiler.control_flow.rounds import planned
from cresset.compiler.programs.segment import Segment
from cresset.core.dtype import uint8
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import dispatch, meta
from cresset.runtime.program import Program


class Unrecorded(Exception):
    """Something that a program of rounds cannot do."""


def recorded(record: Callable, *arguments):
    """What `record(tape, *arguments)` returns; None where no tape runs, or it cannot be done."""
    tape = dispatch.tape
    if tape is None or tape.foreign() or not tape.rounds:
        return None
    try:
        return record(tape, *arguments)
    except (Outside, Unrecorded):
        return None


def tried(function: Callable) -> Callable:
    """A function of the user's, whose errors are left to the call that is not recorded aside."""

    def call(*arguments):
        try:
            return function(*arguments)
        except Exception as problem:
            raise Unrecorded from problem

    return call


def packed(layout: Layout) -> Layout:
    """The layout without gaps, in row order."""
    return Layout.packed(layout.shape, layout.dtype, layout.device)


def stacked(layout: Layout, count: int) -> Layout:
    """That of so many tensors, one behind the other."""
    return Layout.packed((count, *layout.shape), layout.dtype, layout.device)


def room(layout: Layout) -> Tensor:
    """A new tensor, packed."""
    return meta.new(packed(layout))


def whole(memory: Memory) -> Tensor:
    """A tensor over all of a memory."""
    storage = memory.storage()
    assert storage is not None
    return meta.over(storage, Layout.packed((storage.nbytes,), uint8), storage.ptr)


def stand_in(tape: Tape, x: Tensor) -> Tensor:
    """A tensor over the same elements, which the tape takes for another one."""
    other = meta.over(x.memory.alias(), x.layout, x.ptr)
    tape.made(other)
    return other


def same(x: Tensor, y: Tensor) -> bool:
    """Whether two tensors are the same elements."""
    return x.memory is y.memory and x.ptr == y.ptr and x.layout is y.layout


def copies(tape: Tape, pairs: Iterable[tuple[Tensor, Tensor | None]]) -> Aside:
    """Copies (target, source) made at once, recorded aside. A source may be None, for zeros."""
    pairs = list(pairs)
    memories = [target.memory for target, _ in pairs]

    def copy():
        # What is overwritten before it is read is read before.
        sources = [
            x.clone() if x is not None and x.memory in memories and not same(x, target) else x
            for target, x in pairs
        ]
        for (target, _), x in zip(pairs, sources):
            if x is None:
                target.zero_()
            elif not same(x, target):
                target.copy_(alias(x))

    with no_grad():
        return tape.aside(copy, written=[target for target, _ in pairs])


def written(tape: Tape, function: Callable, targets: Sequence[Tensor], *arguments) -> Aside:
    """What a function of targets that it writes to does, recorded aside."""
    with no_grad():
        return tape.aside(function, targets, *arguments, written=targets)


def emptied(sums: Sequence[Tensor]):
    """Fill with what changes nothing that is added to it, not even the sign of a zero."""
    for x in sums:
        x.fill_(complex(-0.0, -0.0) if x.layout.dtype.is_complex else -0.0)


def added(sums: Sequence[Tensor], gradients: Sequence[Tensor]):
    """Add gradients to sums."""
    for x, g in zip(sums, gradients):
        x.add_(g)


def stretch(asides: Sequence[Aside], staying: Iterable[Memory] = ()) -> Segment:
    """What was recorded aside, one after the other, as one stretch of a program."""
    entries = [entry for aside in asides for entry in aside.entries]
    return planned(entries, set().union(*(aside.made for aside in asides)), set(staying))


def decided(x) -> bool:
    """Whether a flag is true, a tensor or of Python; a play goes on only where it is that again."""
    tape = dispatch.tape
    if not isinstance(x, Tensor) or tape is None or tape.foreign():
        return bool(x)
    return tape.decided(x)


def read(entries) -> set[Memory]:
    """The memories that launches are given."""
    return {a.memory for entry in entries for a in entry.arguments if isinstance(a, Place)}


def run(program: Program, name: str, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Run a program over tensors; what it makes."""
    out = dispatch.make_launcher(program, name)(None, *given)
    count = len(program.outputs)
    return out if count > 1 else (out,) * count


def run_over(program: Program, name: str, given: Sequence[Memory]) -> tuple[Tensor, ...]:
    """Run a program over memories; what it makes. Faults are left to the call not recorded aside.
    """
    return tried(run)(program, name, list(map(whole, given)))
