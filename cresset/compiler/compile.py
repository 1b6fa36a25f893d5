"""`compile`: a function, a model or a whole training step as calls of native programs."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from cresset.autograd.mode import mode
from cresset.autograd.node import Leaf
from cresset.capture.reads import PLAIN, Reads, same
from cresset.capture.tape import Fault, Tape
from cresset.compiler.backward import record_backward
from cresset.compiler.replay import NotReplayable, Replay, replay, tensors_of
from cresset.core import dtype as types
from cresset.core.caller import warn
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.ops.generated import function_of
from cresset.ops.kinds.view import Viewed

# Recordings of one function that are kept; beyond them it runs in immediate mode.
MOST_VARIANTS = 64
# The histories of tensors that are not differentiated.
UNTRACKED = frozenset({type(None), Viewed})


def compile(model: Callable | None = None, *, fullgraph: bool = False, disable: bool = False):
    """The function, made so that repeated calls run as native programs.

    The first call of a kind runs in immediate mode, the second is recorded, the others are played:
    no Python is run but for the check that everything the function read is as it was. `model` is a
    function, a method or a module; used as a decorator with options it may be left out. What cannot
    be played runs in immediate mode, as ever; `explain()` of the result says why. With `fullgraph`
    that raises RuntimeError. `disable`, or CRESSET_COMPILE=0 in the environment, returns the
    function itself.

    >>> import cresset
    >>> @cresset.compile
    ... def scaled(x):
    ...     return (x * 2).sum()
    >>> [scaled(cresset.ones(3) * k).item() for k in range(4)]
    [0.0, 6.0, 12.0, 18.0]
    >>> print(scaled.explain())
    scaled: 1 recording
      1. 2 launches in 1 program, 64 bytes of temporaries; 2 plays
    """
    if model is None:
        return lambda function: compile(function, fullgraph=fullgraph, disable=disable)
    if not callable(model):
        raise TypeError(
            f"compile: needs something that can be called; got {type(model).__name__}; pass a "
            "function or a module"
        )
    if disable or os.environ.get("CRESSET_COMPILE") == "0":
        return model
    return Compiled(model, fullgraph)


class Compiled:
    """A function whose repeated calls are played; see `compile`."""

    def __init__(self, function: Callable, fullgraph: bool = False):
        self.function = function
        self.fullgraph = fullgraph
        self._variants: list[Variant] = []
        # What is known of each kind of call: the tensors whose gradients it may compute, once it
        # has been run, or why it cannot be played.
        self._kinds: dict[tuple, tuple[Tensor, ...] | NotReplayable] = {}
        update_wrapper(self, function, updated=())

    def __getattr__(self, name):
        return getattr(self.__dict__["function"], name)

    def __call__(self, *args, **options):
        if dispatch.tape is not None:
            return self.function(*args, **options)
        for variant in self._variants:
            leaves = variant.fitting(args, options)
            if leaves is not None:
                variant.plays += 1
                try:
                    return variant.replay.play(leaves)
                except Fault:
                    # The function itself tells what is wrong, on the user's line.
                    return self.function(*args, **options)
        return self._run(args, options)

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        bound = Compiled(self.function.__get__(instance, owner), self.fullgraph)
        setattr(instance, self.function.__name__, bound)
        return bound

    def _run(self, args, options):
        """A call that no recording fits: in immediate mode, and noted."""
        kind = _kind(args, options)
        known = self._kinds.get(kind)
        if isinstance(known, NotReplayable) or len(self._variants) >= MOST_VARIANTS:
            return self.function(*args, **options)
        if known is None:
            tape = Tape()
            with tape:
                result = self.function(*args, **options)
            given = [leaf for value in (*args, *options.values()) for leaf in _leaves(value)]
            self._kinds[kind] = tuple(
                x for x in tape.holders().values()
                if type(x.history) is Leaf and not any(x is other for other in given)
            )
            return result
        return self._record(kind, known, args, options)

    def _record(self, kind, wanting, args, options):
        tape, reads = Tape(wanting, _code_of(self.function)), Reads()
        entry = {x: x.grad for x in wanting}
        with tape, reads:
            result = self.function(*args, **options)
        try:
            self._variants.insert(0, Variant(tape, reads, entry, result, args, options))
        except NotReplayable as problem:
            self._kinds[kind] = problem
            if self.fullgraph:
                raise RuntimeError(f"compile: {_told(problem)}") from None
        for path, line in reads.prints[:1]:
            warn(f"compile: print() at {path}:{line} was run while the call was recorded; it is "
                 "not when it is played")
        return result

    def explain(self) -> str:
        """What became of the calls: the recordings, and why others cannot be played."""
        count = len(self._variants)
        name = getattr(self.function, "__name__", type(self.function).__name__)
        lines = [f"{name}: {count} recording{'s' * (count != 1)}"]
        for number, variant in enumerate(self._variants, start=1):
            lines.append(f"  {number}. {variant}")
        for problem in self._kinds.values():
            if isinstance(problem, NotReplayable):
                lines.append(f"  in immediate mode: {_told(problem)}")
        return "\n".join(lines)

    def __repr__(self):
        return f"compile({self.function!r})"


def _code_of(function):
    """The code that a function runs, None where that cannot be told."""
    return getattr(getattr(function, "__func__", function), "__code__", None)


def _told(problem: NotReplayable) -> str:
    place = "" if problem.line is None else f" ({problem.line[0]}:{problem.line[1]})"
    return f"{problem}{place}"


class Variant:
    """One recording of a function, and what has to hold for it to be played."""

    def __init__(self, tape, reads, entry, result, args, options):
        for change in reads.changes:
            raise NotReplayable(change.reason, change.line)
        self.plays = 0
        self.checks = checks = _Checks()
        checks.arguments(args, options)
        leaves = {id(x): x for x in (*entry, *checks.leaves)}
        backward = record_backward(tape, tensors_of(result), leaves.values())
        self.replay: Replay = replay(tape, result, checks.leaves, entry, backward)
        checks.state(self.replay, reads)
        self.fitting = checks.function()

    def __str__(self):
        segments = self.replay.segments
        steps = sum(len(part.program.steps) for part in segments)
        room = max((part.peak for part in segments), default=0)
        return (f"{_count(steps, 'launch')} in {_count(len(segments), 'program')}, {room} bytes of "
                f"temporaries; {_count(self.plays, 'play')}")


def _count(n: int, what: str) -> str:
    plural = what + ("es" if what.endswith("ch") else "s")
    return f"{n} {what if n == 1 else plural}"


def _kind(args, options) -> tuple:
    """By what calls are told apart before anything is known of them."""
    parts = []
    for value in (*args, *options.values()):
        for leaf in _leaves(value):
            if isinstance(leaf, Tensor):
                parts.append(leaf.layout)
            else:
                parts.append((type(leaf), leaf if isinstance(leaf, PLAIN) else id(leaf)))
    return (len(args), tuple(options), mode.enabled, *parts)


def _leaves(value):
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _leaves(part)
    else:
        yield value


class _Checks:
    """Writes the function that says whether a recording fits a call.

    `fitting(args, options)` returns the tensors among the arguments, or None.
    """

    def __init__(self):
        self.scope = {"same": same, "untracked": UNTRACKED, "mode": mode, "types": types}
        self.tests: list[str] = []
        self.leaves: list[Tensor] = []
        self.places: list[str] = []
        self.names: dict[int, str] = {}

    def known(self, value) -> str:
        name = self.names.get(id(value))
        if name is None:
            name = self.names[id(value)] = f"k{len(self.names)}"
            self.scope[name] = value
        return name

    def arguments(self, args, options):
        """Check what the call is given."""
        self.tests.append(f"len(args) == {len(args)} and len(options) == {len(options)}")
        for k, value in enumerate(args):
            self._value(f"args[{k}]", value)
        for name, value in options.items():
            self._value(f"options[{name!r}]", value)

    def _value(self, place, value):
        kind = type(value)
        if isinstance(value, Tensor):
            self._tensor(place, value)
        elif kind in (list, tuple):
            self.tests.append(f"type({place}) is {kind.__name__} and len({place}) == {len(value)}")
            for k, part in enumerate(value):
                self._value(f"{place}[{k}]", part)
        elif kind is dict:
            self.tests.append(f"type({place}) is dict and len({place}) == {len(value)}")
            for name, part in value.items():
                self._value(f"{place}[{self.known(name)}]", part)
        elif kind in PLAIN:
            self.tests.append(f"same({place}, {self.known(value)})")
        else:
            self.tests.append(f"{place} is {self.known(value)}")

    def _tensor(self, place, x):
        self.tests.append(f"{place}.layout is {self.known(x.layout)}")
        if type(x.history) in UNTRACKED:
            self.tests.append(f"type({place}.history) in untracked")
        elif type(x.history) is Leaf:
            self.tests.append(f"type({place}.history) is {self.known(Leaf)}")
        else:
            raise NotReplayable("an argument has a graph to go backward through")
        for other, there in zip(self.leaves, self.places):
            # Written memory is read by its other names.
            if other.memory is x.memory:
                self.tests.append(f"{place}.memory is {there}.memory and {place}.ptr - {there}.ptr "
                                  f"== {x.ptr - other.ptr}")
            else:
                self.tests.append(f"{place}.memory is not {there}.memory")
        self.leaves.append(x)
        self.places.append(place)

    def state(self, made: Replay, reads: Reads):
        """Check what the function finds beside its arguments."""
        self.tests.append(f"mode.enabled is {mode.enabled}")
        self.tests.append(f"types._Default.dtype is {self.known(types._Default.dtype)}")
        self.tests += reads.conditions(self.known)
        for x in made.found:
            name = self.known(x)
            self.tests.append(f"{name}.layout is {self.known(x.layout)}")
            if type(x.history) is Leaf:
                self.tests.append(f"{name}.history is {self.known(x.history)}")
            else:
                self.tests.append(f"type({name}.history) in untracked")
            for place in self.places:
                self.tests.append(f"{place}.memory is not {name}.memory")
        for x, gradient in made.gradients.items():
            name = self.known(x)
            if isinstance(gradient, Layout):
                self.tests.append(f"{name}.grad.layout is {self.known(gradient)}")
            else:
                self.tests.append(f"{name}.grad is {'not ' * (gradient is not None)}None")

    def function(self) -> Callable[..., Any]:
        tests = "\n                and ".join(self.tests)
        text = "\n".join([
            "def fitting(args, options):",
            "    try:",
            f"        if ({tests}):",
            f"            return [{', '.join(self.places)}]",
            # As where there are other entries, or tensors that are not to be compared.
            "    except Exception:",
            "        pass",
            "    return None",
        ])
        return function_of(text, self.scope)
