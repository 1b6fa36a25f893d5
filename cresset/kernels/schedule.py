"""Schedules under construction: steps one after another, and the temporaries they pass on."""

from __future__ import annotations

from collections.abc import Callable

from cresset.kernels.epilogue import Tiled
from cresset.runtime.ir import Module
from cresset.runtime.program import Step

PIECE = 20_000  # nanoseconds that a piece of shared work should last


class Schedule:
    """The steps of an operation and the bytes of its temporaries, as they are decided.

    Temporaries are the values `first_temporary`, `first_temporary + 1`, ... of the program.
    """

    def __init__(self, first_temporary: int):
        self.first_temporary = first_temporary
        self.steps: list[Step] = []
        self.temporaries: list[int] = []

    @property
    def next_temporary(self) -> int:
        return self.first_temporary + len(self.temporaries)

    @property
    def work(self) -> int:
        """Nanoseconds that all steps take on one thread, as they say."""
        return sum(step.work for step in self.steps)

    def temporary(self, bytes: int) -> int:
        """The place of a new temporary in the value table."""
        self.temporaries.append(bytes)
        return self.next_temporary - 1

    def launch(self, key: str, write: Callable[[], Module], operands: tuple[int, ...],
               constants: tuple[int, ...], units: int, work: float, tiled: Tiled | None = None):
        """Add a launch of `units` units that take `work` nanoseconds altogether on one thread.

        What is `tiled` may have an epilogue, whose words are the last of the constants.
        """
        if units:
            grain = max(1, int(PIECE * units / max(work, 1)))
            grain = -(-units // -(-units // grain))  # as many pieces, but even ones
            constants = tuple(map(int, constants))
            self.steps.append(Step(
                key, write, operands, constants, units, grain, int(work), tiled=tiled))

    def follow(self, other: tuple[list[Step], list[int]]):
        """Add another operation's steps, whose temporaries were numbered from `next_temporary`."""
        steps, temporaries = other
        self.steps += steps
        self.temporaries += temporaries

    def result(self) -> tuple[list[Step], list[int]]:
        return self.steps, self.temporaries
