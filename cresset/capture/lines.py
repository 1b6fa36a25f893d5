"""Lines: where the user's program asked for what is recorded.

A gradient is computed where backward() is called, which says little: it has the line of the
operation that it belongs to. Nodes are numbered as they are made, so while lines are noted the
numbering notes them.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator

from cresset.autograd import engine, node
from cresset.core.caller import is_own

Line = tuple[str, int]


class Lines(Iterator[int]):
    """The lines of the nodes that are made between `begin` and `end`."""

    def __init__(self):
        self._of: dict[int, Line | None] = {}
        self._numbers = node.numbers

    def begin(self):
        """Note the line of every node that is made from now on."""
        node.numbers = self

    def end(self):
        """Note no more lines."""
        node.numbers = self._numbers

    def __next__(self) -> int:
        number = next(self._numbers)
        self._of[number] = self.now()
        return number

    def now(self) -> Line | None:
        """The user's line: of the innermost frame that is theirs, or the node that is gone back
        through within it.
        """
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None and is_own(frame):
            if frame.f_code is engine.carry.__code__:
                line = self._of.get(frame.f_locals["node"].sequence)
                if line is not None:
                    return line
            frame = frame.f_back
        return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)
