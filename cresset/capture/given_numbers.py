"""Given numbers: what becomes of the floats among the arguments of a recorded call.

A float with which a function does nothing but compute with tensors decides nothing: a play can be
given another. While a call is recorded each of its floats is an object of its own, so a launch that
takes it is known by identity, and so is a variable that holds it. Of every instruction that loads
such a variable the one is looked up that takes the value. Where that is no arithmetic, or nothing
is launched by it, Python has looked at the number.
"""

from __future__ import annotations

import dis
import types
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from cresset.capture.instructions import SILENT, moves

# What launches with a tensor what it is given.
ARITHMETIC = {"+", "-", "*", "/", "+=", "-=", "*=", "/="}
# Functions that see variables without an instruction that loads them.
SEEING = {"_getframe", "currentframe", "eval", "exec", "locals", "vars"}


class Load(NamedTuple):
    """An instruction that loads a variable: its name, the place of the arithmetic that takes the
    value; -1 where that is kept in another variable, None where anything else is done with it.
    """

    name: str
    taken: int | None


class GivenNumbers:
    """The floats that are given to a function of such a code: `seen` are the identities of those
    that Python has looked at, or may have while nobody followed.
    """

    def __init__(self, numbers: Iterable[float] = (), code: types.CodeType | None = None):
        self.by_identity = {id(number): number for number in numbers}
        self.code = code
        self.seen: set[int] = set(self.by_identity)
        self._launched: Counter[int] = Counter()

    def __bool__(self):
        return bool(self.by_identity)

    def inputs(self) -> list[float]:
        """Those that may be others in a play."""
        return [x for key, x in self.by_identity.items() if key not in self.seen]

    def launch(self, arguments: Iterable, aside: bool):
        """Note a launch; what is recorded `aside` has no inputs of its own."""
        for a in arguments:
            if id(a) in self.by_identity:
                self._launched[id(a)] += 1
                if aside:
                    self.seen.add(id(a))

    def keep(self, arguments: Iterable):
        """Note that some of these are kept for later."""
        self.seen.update(self.by_identity.keys() & set(map(id, arguments)))

    def follower(self, frame: types.FrameType) -> Callable[[types.FrameType], None]:
        """What is called before every instruction that a frame runs."""
        if frame.f_code is self.code:
            # The first call of the function, before which there are no numbers anywhere.
            self.code = None
            self.seen.clear()
        self._enter(frame)
        loads = _loads(frame.f_code)
        # The numbers that wait for an instruction, and those that the latest has taken, with the
        # launches of before.
        waiting: dict[int, list[int]] = {}
        taken: list[tuple[int, int]] = []

        def follow(frame):
            for key, before in taken:
                if self._launched[key] == before:
                    self.seen.add(key)
            taken.clear()
            at = frame.f_lasti
            for load in loads.get(at, ()):
                key = id(frame.f_locals.get(load.name))
                if key not in self.by_identity or load.taken == -1:
                    continue
                if load.taken is None:
                    self.seen.add(key)
                else:
                    waiting.setdefault(load.taken, []).append(key)
            taken.extend((key, self._launched[key]) for key in waiting.pop(at, ()))

        return follow

    def _enter(self, frame):
        """Look at what a frame begins with."""
        code = frame.f_code
        hidden = {*code.co_cellvars, *code.co_freevars}
        everything = not SEEING.isdisjoint(code.co_names)
        for name, value in frame.f_locals.items():
            if name in hidden or everything:
                self.keep([value])
            if type(value) is tuple or type(value) is dict:
                # What a function collects of its arguments.
                self.keep(value.values() if type(value) is dict else value)


@lru_cache(1024)
def _loads(code: types.CodeType) -> dict[int, list[Load]]:
    """The loads of variables by offset."""
    found: dict[int, list[Load]] = {}
    listed = [i for i in dis.get_instructions(code) if i.opname not in SILENT]
    for k, i in enumerate(listed):
        names = [move.argval for move in moves(i) if move.opname == "LOAD_FAST"]
        for above, name in enumerate(reversed(names)):
            taken = _taken(listed[k + 1 :], above)
            found.setdefault(i.offset, []).append(Load(name, taken))
    return found


def _taken(following: Sequence[dis.Instruction], above: int) -> int | None:
    """What takes a value, with so many others above it on the stack; see `Load`."""
    for i in following:
        for move in moves(i):
            if move.taken is None:
                return None
            if move.taken > above:
                if move.opname == "STORE_FAST":
                    return -1
                arithmetic = move.opname == "BINARY_OP" and i.argrepr in ARITHMETIC
                return i.offset if arithmetic or move.opname == "COMPARE_OP" else None
            above += move.left - move.taken
    return None
