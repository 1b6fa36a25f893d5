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
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from cresset.capture.returned import SILENT, TAKES, TAKES_BY_ARGUMENT

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
        names = i.argval if isinstance(i.argval, tuple) else (i.argval,)
        if not i.opname.startswith("LOAD_FAST"):
            names = names[1:] if i.opname == "STORE_FAST_LOAD_FAST" else ()
        for above, name in enumerate(reversed(names)):
            taken = _taken(listed[k + 1 :], above)
            found.setdefault(i.offset, []).append(Load(name, taken))
    return found


def _taken(following: Sequence[dis.Instruction], above: int) -> int | None:
    """What takes a value, with so many others above it on the stack; see `Load`."""
    for i in following:
        for opname, count, left in _effects(i):
            if count is None:
                return None
            if count > above:
                if opname == "STORE_FAST":
                    return -1
                arithmetic = opname == "BINARY_OP" and i.argrepr in ARITHMETIC
                return i.offset if arithmetic or opname == "COMPARE_OP" else None
            above += left - count
    return None


def _effects(i: dis.Instruction) -> Iterator[tuple[str, Any, int]]:
    """(name, values taken from the stack, values left there) of an instruction, or of the two that
    it is made of; None for values where that is unknown.
    """
    if i.opname.startswith(("LOAD_FAST", "STORE_FAST")):
        parts = [part for part in i.opname.split("_") if part in ("LOAD", "STORE")]
        for part in parts:
            yield f"{part}_FAST", int(part == "STORE"), int(part == "LOAD")
        return
    count = TAKES.get(i.opname)
    if i.opname in TAKES_BY_ARGUMENT:
        count = TAKES_BY_ARGUMENT[i.opname](i.arg or 0)
    if count is None:
        yield i.opname, None, 0
        return
    left = 1 if i.opname.startswith("CALL") else dis.stack_effect(i.opcode, i.arg) + count
    yield i.opname, count, left
