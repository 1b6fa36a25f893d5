"""The tape: what a function launches while it runs, in order, and over which memory.

The function runs as ever, so whatever Python does between two launches is done, and right. Noted of
a launch are its program, the storages that its operands lie in and where, and the user's line.
Views need no note: they are places in storages. Played again the launches give the same bits.

While a tape runs it observes all launchers. Calls without a tape pay nothing for it.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any, NamedTuple

from cresset.autograd.node import Leaf, leaf_numbers
from cresset.capture.given_numbers import GivenNumbers
from cresset.capture.lines import Line, Lines
from cresset.capture.returned import only_returned
from cresset.core.caller import caller
from cresset.core.dtype import dtype
from cresset.core.generator import BYTES, Generator
from cresset.core.layout import Layout
from cresset.core.storage import Storage
from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.ops.exchange import numbers
from cresset.runtime import native
from cresset.runtime.plan import Bound
from cresset.runtime.program import Program

# The methods by which Python sees elements, beside single ones, which `numbers.READ` reads.
LOOKS = ("tolist", "numpy", "__array__", "__dlpack__", "data_ptr", "storage", "untyped_storage",
         "__repr__", "__reduce_ex__", "__deepcopy__")

# The bytes of a storage that a function that is recorded aside may write to.
MOST_HELD = 1 << 26

# The methods after which random numbers start from elsewhere.
SEEDING = ("__init__", "manual_seed", "restore")


class Fault(Exception):
    """A play found elements at fault, as an index out of range: it is for the function to tell."""


class Outside(BaseException):
    """A function that is recorded aside would do something that is there after it.

    No Exception, which the function might catch.
    """


class Memory:
    """One storage that was met. What was there before is kept, so that its tensors can be found."""

    __slots__ = ("kept", "layout", "met", "storage")

    def __init__(self, storage: Storage, layout: Layout | None):
        self.storage = weakref.ref(storage)
        # The layout of the tensor that it was made for; None for what was there before.
        self.layout = layout
        self.kept = None if self.made else storage
        # The tensors by which it was met, and what they are views of.
        self.met: dict[int, weakref.ref] = {}

    def meet(self, x: Tensor):
        """Note a tensor over it."""
        self.met[id(x)] = weakref.ref(x)
        if x.base is not None:
            self.meet(x.base)

    def tensors(self) -> list[Tensor]:
        """The tensors over it by which it was met and that are still there."""
        living = [x for x in [known() for known in self.met.values()] if x is not None]
        return [x for x in living if x.memory is self.kept]

    @property
    def made(self) -> bool:
        """Whether it was made while the tape ran."""
        return self.layout is not None

    @property
    def nbytes(self) -> int:
        """The bytes of the tensor that it was made for."""
        return 0 if self.layout is None else self.layout.reach() * self.layout.dtype.itemsize


class Place(NamedTuple):
    """Where a tensor lies: a memory, the bytes before the first element, the layout."""

    memory: Memory
    offset: int
    layout: Layout


class Earlier:
    """The gradient that a tensor had when a tape began: nothing keeps it once it is replaced."""

    __slots__ = ("key", "layout", "nbytes", "offset", "storage", "tensor")

    def __init__(self, gradient: Tensor):
        storage = gradient.memory
        self.tensor, self.storage = weakref.ref(gradient), weakref.ref(storage)
        self.key, self.nbytes = id(storage), storage.nbytes
        self.offset, self.layout = gradient.ptr - storage.ptr, gradient.layout

    def is_still(self, gradient: Tensor | None) -> bool:
        """Whether a gradient is that one."""
        return gradient is not None and gradient is self.tensor()


class Launched(NamedTuple):
    """One launch: what it is called, its program, a place or a number for each input, the memories
    of its results.
    """

    name: str
    program: Program
    arguments: tuple
    results: tuple[Memory, ...]
    line: Line | None

    def overwritten(self) -> list[Place]:
        """What was there and it writes to."""
        return [
            a for letter, a in zip(self.program.inputs, self.arguments)
            if letter == "w" and isinstance(a, Place)
        ]


class Held:
    """A storage as it was, and the tensors by which it is written to with their histories."""

    def __init__(self, storage: Storage):
        self.storage = storage
        self.state = storage.version, storage.writer
        self.content = ctypes.string_at(storage.ptr, storage.nbytes)
        self.tensors: list[tuple[Tensor, Any]] = []

    def is_without_history(self) -> bool:
        """Whether writing to it left no trace in the graph."""
        return all(x.history is history for x, history in self.tensors)

    def put_back(self):
        """Make all as it was."""
        ctypes.memmove(self.storage.ptr, self.content, len(self.content))
        self.storage.version, self.storage.writer = self.state
        for x, history in reversed(self.tensors):
            x.history = history


class Live(NamedTuple):
    """A call that is made whenever the tape is played, of a method of the first argument, and the
    gradients that it is to find.
    """

    call: partial
    gradients: dict[Tensor, Place | None]

    @property
    def owner(self):
        """The object whose method is called."""
        return self.call.args[0]


class Looked(NamedTuple):
    """Python looked at an element, of a type, at a number of bytes in a memory.

    `last` says that the function does nothing with what it saw but return it.
    """

    value: Any
    memory: Memory | None
    offset: int
    dtype: dtype
    last: bool
    line: Line | None


class Aside(NamedTuple):
    """What a function did that was recorded aside: its result, the entries, what it made, and
    whether it drew random numbers. `wrote` is what it wrote to that was there before.
    """

    result: Any
    entries: list
    made: set[Memory]
    drew: bool = False
    wrote: frozenset[Memory] = frozenset()


class Seen(NamedTuple):
    """What reading an element gives: a value that is one object however often it is asked for."""

    value: Any


class Tape:
    """Notes what one thread launches between `__enter__` and `__exit__`.

    `leaves` are tensors whose gradients are to be known at every live call; `code` is that of the
    function, in which a look may be the last thing that is done. `rounds` says whether control flow
    may become rounds of a program, whose gradients are not differentiated again. `numbers` are
    those among the arguments that may be inputs of programs.
    """

    def __init__(
        self, leaves: Iterable[Tensor] = (), code: types.CodeType | None = None,
        rounds: bool = True, numbers: GivenNumbers | None = None, fast_math: bool = False,
    ):
        self.leaves = tuple(leaves)
        self.numbers = numbers or GivenNumbers()
        self.code = code
        self.rounds = rounds
        # Whether formulas are simplified as those of real numbers.
        self.fast_math = fast_math
        # Whether gradients of control flow were to be differentiated again.
        self.again = False
        self.entries: list[Launched | Live | Looked] = []
        # What was done that cannot be played again, and on which line.
        self.refused: list[tuple[str, Line | None]] = []
        # The number of entries before random numbers were drawn first, None where they were not.
        self.drawn: int | None = None
        self.generators: list[Generator] = []
        # The gradients that the leaves had; those that they have still; of the others, the number
        # of entries before they had another.
        self.earlier = {x: None if x.grad is None else Earlier(x.grad) for x in self.leaves}
        self._kept = {x: gradient for x, gradient in self.earlier.items() if gradient is not None}
        self.replaced: dict[Tensor, int] = {}
        self.memories: list[Memory] = []
        # The number of the last leaf before.
        self._began = next(leaf_numbers)
        # What was made since a function is recorded aside, None where none is, the number of the
        # last leaf before that, and the states that generators had.
        self._inside: set[Memory] | None = None
        self._last_leaf = 0
        self._states: dict[Generator, bytes] = {}
        # What it must not write to, and what it has written to: how that was.
        self._fixed: frozenset[Memory] = frozenset()
        self._held: dict[Memory, Held] = {}
        # Whether an element is looked at to check it.
        self._checking = False
        self._known: dict[int, Memory] = {}
        self._thread = threading.get_ident()
        self._lines = Lines()
        self._patched: list[tuple[Any, Any, Any]] = []

    def __enter__(self):
        if dispatch.tape is not None:
            raise RuntimeError(
                "compile: a function is being recorded already, in this thread or in another; "
                "compile the outermost function alone, or call one after the other"
            )
        self._begin()
        return self

    def __exit__(self, *problem):
        self._end()

    def _begin(self):
        dispatch.tape = self
        native.observe(self.launch)
        self._lines.begin()
        for d, read in tuple(numbers.READ.items()):
            self._patched.append((numbers.READ.__setitem__, d, read))
            numbers.READ[d] = self._reader(d, read)
        for name in LOOKS:
            self._watch(Tensor, name, "it calls {}(), which shows Python the elements of a tensor")
        for name in SEEDING:
            self._watch(Generator, name, "it calls {}() of a generator of random numbers")

    def _watch(self, cls, name, reason):
        """Refuse where a method is called."""
        function = cls.__dict__[name]
        self._patched.append((partial(setattr, cls), name, function))
        setattr(cls, name, self._refusing(function, reason.format(name)))

    def _end(self):
        dispatch.tape = None
        native.observe(None)
        self._lines.end()
        for put, name, old in self._patched:
            put(name, old)
        self._patched.clear()

    def foreign(self) -> bool:
        """Whether another thread runs than the one that is recorded."""
        return threading.get_ident() != self._thread

    # --- what is called while it runs -------------------------------------------------------------
    def launch(self, bound: Bound, *arguments):
        """Make the launch that a launcher is called for, and note it."""
        return untraced(self._launch, bound, arguments)

    def _launch(self, bound: Bound, arguments: tuple):
        launch, program = native.unobserved(bound), bound.program
        if self.foreign():
            return launch(*arguments)
        if self._kept:
            self._note_replaced()
        letters, count = program.inputs, len(program.outputs)
        given = tuple([
            self.place(a) if letter in "tw" else a for letter, a in zip(letters, arguments)
        ])
        if self._inside is not None:
            for letter, x, a in zip(letters, arguments, given):
                if letter == "w" and a.memory not in self._inside:
                    self._hold(a.memory, x)
        self.numbers.launch(arguments, self.is_aside)
        # Looked up first: until the next look frames hold what was in their variables.
        line = self._lines.now()
        out = launch(*arguments)
        made = out if count > 1 else (out,) * count
        results = tuple([self.made(x) for x in made])
        self.entries.append(Launched(bound.name, program, given, results, line))
        return out

    def _note_replaced(self):
        for x in [x for x, gradient in self._kept.items() if not gradient.is_still(x.grad)]:
            self.replaced[x] = len(self.entries)
            del self._kept[x]

    def made(self, x: Tensor) -> Memory:
        """Note a new tensor."""
        return self._add(x.memory, x.layout)

    def live(self, call: partial):
        """Make a call of a method that is made anew whenever the tape is played.

        Nothing in it is noted.
        """
        if self.foreign():
            return call()
        self._stay_inside(False)
        self.entries.append(Live(call, self.gradients()))
        self._end()
        try:
            return untraced(call)
        finally:
            self._begin()

    def checked(self, x: Tensor, program: Program) -> bool:
        """Whether the one element of x is not zero; `program` finds a fault in it where it is not.

        When the tape is played a fault raises Fault.
        """
        self._checking = True
        value = bool(x.item())
        self._checking = False
        if not self.foreign():
            # Not a look by which Python decides anything but to raise.
            program = program._replace(explain=raise_fault)
            self.entries[-1] = Launched("check", program, (self.place(x),), (), self._lines.now())
        return value

    def decided(self, x: Tensor) -> bool:
        """Whether the one element of x is not zero, by which more is decided than a result."""
        value = bool(x.item())
        look = self.entries[-1]
        assert isinstance(look, Looked)
        self.entries[-1] = look._replace(last=False)
        return value

    def drew(self, generator: Generator):
        """Note that random numbers are drawn."""
        if self.foreign():
            return
        if self._inside is not None:
            state = ctypes.string_at(generator.address, BYTES)
            self._states.setdefault(generator, state)
        if self.drawn is None:
            self.drawn = len(self.entries)
        if generator not in self.generators:
            self.generators.append(generator)

    def refuse(self, reason: str):
        """Note that something cannot be played again."""
        if not self.foreign():
            self.refused.append((reason, self._lines.now()))

    # --- recorded aside ---------------------------------------------------------------------------
    @property
    def is_aside(self) -> bool:
        """Whether what is done now will be cut out."""
        return self._inside is not None

    def aside(
        self, function: Callable, *arguments, written: Iterable[Tensor] = (),
        fixed: Iterable[Tensor] = (),
    ) -> Aside:
        """Call a function, and cut what it does out of the tape.

        It may write to what it makes, and to `written`; what it writes to else is put back, and so
        are generators. Raises Outside before it does anything else that is there after it, or
        writes to what is `fixed`, and where Python looks at elements.
        """
        start, first = len(self.entries), len(self.memories)
        before = self._inside, self._last_leaf, self._states, self._fixed, self._held
        made: set[Memory] = set()
        states: dict[Generator, bytes] = {}
        held: dict[Memory, Held] = {}
        self._fixed |= {self.place(x).memory for x in fixed}
        self._held = held
        self._inside = {self.place(x).memory for x in written}
        self._last_leaf, self._states = next(leaf_numbers), states
        try:
            result = function(*arguments)
            made.update(m for m in self.memories[first:] if m.made)
            entries = self.entries[start:]
            self._stay_inside(all(isinstance(entry, Launched) for entry in entries))
            self._stay_inside(all(one.is_without_history() for one in held.values()))
        finally:
            del self.entries[start:]
            self._inside, self._last_leaf, self._states, self._fixed, self._held = before
            for one in held.values():
                one.put_back()
            for generator, state in states.items():
                ctypes.memmove(generator.address, state, BYTES)
            if self._inside is not None:
                self._inside |= made
                self._states.update(states | self._states)
            if self.drawn is not None:
                self.drawn = min(self.drawn, start)
        return Aside(result, entries, made, bool(states), frozenset(held))

    def _hold(self, memory: Memory, x: Tensor):
        """Keep what a function recorded aside writes to, so that it can be put back."""
        storage = x.memory
        self._stay_inside(
            memory not in self._fixed and storage.version is not None
            and storage.nbytes <= MOST_HELD
        )
        if memory not in self._held:
            self._held[memory] = Held(storage)
        self._held[memory].tensors += [(y, y.history) for y in (x, x.base) if y is not None]

    def accumulates(self, leaf: Leaf):
        """Note that a tensor's gradient changes."""
        if self._inside is not None and not self.foreign():
            self._stay_inside(leaf.sequence < self._last_leaf)

    def _stay_inside(self, inside: bool):
        if self._inside is not None and not inside:
            raise Outside

    # --- places -----------------------------------------------------------------------------------
    def place(self, x: Tensor) -> Place:
        """Where a tensor lies."""
        storage = x.memory
        memory = self._known.get(id(storage))
        if memory is None or memory.storage() is not storage:
            memory = self._add(storage, None)
        if memory.layout is None:
            memory.meet(x)
        return Place(memory, x.ptr - storage.ptr, x.layout)

    def place_of(self, gradient: Earlier) -> Place | None:
        """Where an earlier gradient lies, or lay; None where that memory was not met."""
        memory = self._known.get(gradient.key)
        if memory is None or memory.kept is None or memory.kept is not gradient.storage():
            return None
        return Place(memory, gradient.offset, gradient.layout)

    def gradients(self) -> dict[Tensor, Place | None]:
        """The gradients that the leaves have now."""
        return {x: None if x.grad is None else self.place(x.grad) for x in self.leaves}

    def wants(self, x: Tensor) -> bool:
        """Whether a tensor required gradients before, as its own."""
        return type(x.history) is Leaf and x.history.sequence > self._began

    def holders(self) -> dict[Memory, Tensor]:
        """A tensor over each memory that was there before, one without a base where there is one.

        A storage does not know its tensors. They are those by which it was met where its count of
        references says so; of others the garbage collector knows, which looks at all objects.
        """
        found: dict[Memory, Tensor] = {}
        wanted: dict[int, Memory] = {}
        alone = _references(Memory(Storage(0, 0, None), None))
        for memory in self.memories:
            if memory.made:
                continue
            met = memory.tensors()
            best = max(met, key=self._rank, default=None)
            if _references(memory) - alone != len(met) and not self._is_first(best):
                wanted[id(memory.kept)] = memory
            elif best is not None:
                found[memory] = best
        for x in gc.get_referrers(*[m.kept for m in wanted.values()]) if wanted else ():
            if isinstance(x, Tensor) and id(x.memory) in wanted:
                memory = wanted[id(x.memory)]
                held = found.get(memory)
                if held is None or self._rank(x) > self._rank(held):
                    found[memory] = x
        return found

    def _rank(self, x: Tensor) -> tuple:
        """How well a tensor stands for its storage: one that requires gradients, that is whole."""
        return self.wants(x), x.base is None, x.history is None, x.layout.numel

    def _is_first(self, x: Tensor | None) -> bool:
        """Whether no tensor can stand for its storage better."""
        return x is not None and self.wants(x) and x.base is None and (
            x.layout.nbytes == x.memory.nbytes
        )

    def _add(self, storage: Storage, layout: Layout | None) -> Memory:
        memory = Memory(storage, layout)
        self.memories.append(memory)
        if self._inside is not None and memory.made:
            self._inside.add(memory)
        self._known[id(storage)] = memory
        return memory

    # --- Python looks -----------------------------------------------------------------------------
    def _reader(self, d: dtype, read):
        def read_noted(address):
            seen = Seen(read(address).value)
            if not self.foreign():
                self._stay_inside(self._checking)
                memory, offset = self._at(address)
                frame = caller()
                last = frame is not None and frame.f_code is self.code and (
                    only_returned(frame.f_code, frame.f_lasti)
                )
                self.entries.append(Looked(seen.value, memory, offset, d, last, self._lines.now()))
            return seen

        return read_noted

    def _at(self, address: int) -> tuple[Memory | None, int]:
        """The memory that an address lies in, and where."""
        for memory in reversed(self.memories):
            storage = memory.storage()
            if storage is not None and 0 <= address - storage.ptr < storage.nbytes:
                return memory, address - storage.ptr
        return None, 0

    def _refusing(self, function, reason):
        @wraps(function)
        def call(*args, **options):
            self.refuse(reason)
            return function(*args, **options)

        return call


def untraced(function: Callable, *arguments):
    """Call a function that reads nothing of the user's: traced it would take several times as long.
    """
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        return function(*arguments)
    finally:
        sys.settrace(trace)


def raise_fault(*words):
    raise Fault


def _references(memory: Memory) -> int:
    """How many references there are to a storage that was there before, with those made here."""
    return sys.getrefcount(memory.kept)
