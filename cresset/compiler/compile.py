"""`compile`: a function, a model or a whole training step as calls of native programs."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import WRAPPER_ASSIGNMENTS, partial, update_wrapper
from typing import TYPE_CHECKING, Any

from cresset.autograd.mode import mode as gradient_mode
from cresset.autograd.saved import packers
from cresset.capture.containers import forget_given, forget_made
from cresset.capture.given_numbers import GivenNumbers
from cresset.capture.reads import PLAIN, Reads
from cresset.capture.tape import Fault, Looked, Tape
from cresset.compiler.backward import record_backward
from cresset.compiler.checks import Checks
from cresset.compiler.programs.segment import counted
from cresset.compiler.replay import Mispredicted, NotReplayable, Replay, replay
from cresset.compiler.stand_ins import StandIns
from cresset.compiler.structure import containers_of, taken_apart, tensors_of
from cresset.core.caller import warn
from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.runtime.memory import empty_cache

if TYPE_CHECKING:
    # Few programs look inside: what does is imported where it is asked for.
    from cresset.compiler.inspection.outline import Outline
    from cresset.compiler.inspection.profile import Profile
    from cresset.compiler.inspection.verify_calls import Verifier

# Recordings of one function that are kept, and kinds of calls that are known; those that were not
# needed for longest go. A recording takes as long as a hundred calls in immediate mode: beyond so
# many there is another one for so many plays, lest recordings drive each other out at every call.
MOST_VARIANTS = 128
WORTH = 1024
MOST_KINDS = 1024
# Recordings among the first so many need not come earlier when they are played.
NEAR = 4
# Calls that may take another way than a recording did before it is given up.
MOST_MISSED = 16
# The attributes of what is compiled; all others are the function's.
OWN = {"function", "fullgraph", "_decisive", "_rounds", "_wanting", "verify", "fast_math",
       "_variants", "_kinds", "_recorded", "_dropped", "_spared", "__wrapped__",
       *WRAPPER_ASSIGNMENTS}


def compile(
    model: Callable | None = None,
    *,
    fullgraph: bool = False,
    verify: bool = False,
    fast_math: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable | None = None,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
):
    """The function, made so that repeated calls run as native programs.

    The first call of a kind runs in immediate mode, the second is recorded, the others are played:
    no Python is run but for the check that everything the function read is as it was. `model` is a
    function, a method or a module; used as a decorator with options it may be left out. What cannot
    be played runs in immediate mode, as ever; `explain()` of the result says why. With `fullgraph`
    that raises RuntimeError. With `verify` every call that would be played is made both ways, and
    RuntimeError names the first operation that differs, with its line. With `fast_math` formulas
    are simplified as those of real numbers, so results differ in their last bits; see
    docs/compile.md for the rules. `disable`, or
    CRESSET_COMPILE=0 in the environment, returns the function itself. `dynamic`, `backend`, `mode`
    and `options` choose among PyTorch's ways of compiling and have no effect here.

    >>> import cresset
    >>> @cresset.compile
    ... def scaled(x):
    ...     return (x * 2).sum()
    >>> [scaled(cresset.ones(3) * k).item() for k in range(4)]
    [0.0, 6.0, 12.0, 18.0]
    >>> print(scaled.explain())
    scaled: 1 recording
      1. the first recording; 2 plays
         program 1: 1 launch (2 operations fused), makes 1 tensor of 4 bytes, ...
    """
    if model is None:
        return partial(
            compile, fullgraph=fullgraph, verify=verify, fast_math=fast_math, disable=disable
        )
    if not callable(model):
        raise TypeError(
            f"compile: needs something that can be called; got {type(model).__name__}; pass a "
            "function or a module"
        )
    if verify and fast_math:
        raise ValueError(
            "compile: verify=True compares to the bit; got fast_math=True, which changes the last "
            "ones; need one of them; leave out fast_math while verifying"
        )
    if disable or os.environ.get("CRESSET_COMPILE") == "0":
        return model
    return Compiled(model, fullgraph, verify, fast_math)


class Compiled:
    """A function, or a module, whose repeated calls are played; see `compile`.

    For everything but calls it is what it was made of: its attributes, its class for isinstance.
    """

    def __init__(
        self, function: Callable, fullgraph: bool = False, verify: bool = False,
        fast_math: bool = False,
    ):
        self.function: Any = function
        self.fullgraph = fullgraph
        self.verify = verify
        self.fast_math = fast_math
        self._variants: list[Variant] = []
        # The kinds of calls that there were: whether each was recorded, or why it cannot be.
        self._kinds: dict[tuple, bool | NotReplayable] = {}
        # The tensors whose gradients calls may compute; None before the first.
        self._wanting: dict[Tensor, None] | None = None
        # The places of floats among the arguments by which the function decides.
        self._decisive: set[int | str] = set()
        # The recordings that were made, the plays of those that are no longer kept, and the calls
        # that were not recorded since there were too many.
        self._recorded = self._dropped = self._spared = 0
        # Whether control flow becomes rounds of programs.
        self._rounds = True
        if _code_of(function) is not None:
            update_wrapper(self, function, updated=())

    @property  # type: ignore[misc]
    def __class__(self):
        function = self.__dict__["function"]
        return Compiled if _code_of(function) is not None else type(function)

    def __getattr__(self, name):
        return getattr(self.__dict__["function"], name)

    def __setattr__(self, name, value):
        if name in OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self.function, name, value)

    def __getitem__(self, index):
        return self.function[index]

    def __len__(self):
        return len(self.function)

    def __iter__(self):
        return iter(self.function)

    def __call__(self, *args, **options):
        if dispatch.tape is not None or packers:
            # What hooks pack, a play would not give them.
            return self.function(*args, **options)
        for place, variant in enumerate(self._variants):
            if place >= NEAR:
                if place == NEAR:
                    layouts = _layouts(args)
                if variant.layouts != layouts:
                    continue
            leaves = variant.fitting(args, options)
            if leaves is not None:
                if place >= NEAR:
                    self._variants.insert(0, self._variants.pop(place))
                return self._played(variant, leaves, args, options)
        return self._run(args, options)

    def _played(self, variant, leaves, args, options, gone=()):
        """What the play of a recording gives; `gone` are those whose plays went another way."""
        try:
            if variant.verifier is None:
                result = variant.replay.play(leaves)
            else:
                result = variant.verifier.call(partial(self.function, *args, **options), leaves)
            variant.plays += 1
            return result
        except (Mispredicted, Fault) as raised:
            # Left before anything else is done, whose errors would tell of it.
            problem = type(raised)
        if problem is Fault:
            from cresset.compiler.state import told

            return told(partial(self.function, *args, **options), variant.replay, leaves)
        variant.missed += 1
        gone = (*gone, variant)
        # The play has let go of gradients, so others may fit that did not.
        for other in self._variants:
            leaves = None if other in gone else other.fitting(args, options)
            if leaves is not None:
                return self._played(other, leaves, args, options, gone)
        return self._run(args, options)

    def __reduce__(self):
        # A copy has recordings of its own.
        return Compiled, (self.function, *self._options())

    def _options(self) -> tuple:
        return self.fullgraph, self.verify, self.fast_math

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        bound = Compiled(self.function.__get__(instance, owner), *self._options())
        setattr(instance, self.function.__name__, bound)
        return bound

    def _run(self, args, options):
        """A call that no recording fits: in immediate mode, and noted."""
        kind = self._kind(args, options)
        if any(v.missed > MOST_MISSED and v.missed > v.plays for v in self._variants):
            self._kinds[kind] = NotReplayable("elements decide otherwise at every call")
            self._variants = [v for v in self._variants if v.missed <= MOST_MISSED]
        if self._wanting is None:
            tape = Tape(rounds=False)
            with tape:
                result = self.function(*args, **options)
            self._rounds = not tape.again
            self._wanting = dict.fromkeys(_wanting(tape, args, options))
            self._kinds[kind] = False
            return result
        if kind not in self._kinds:
            if len(self._kinds) >= MOST_KINDS:
                del self._kinds[next(iter(self._kinds))]
            self._kinds[kind] = False
            return self.function(*args, **options)
        if isinstance(self._kinds[kind], NotReplayable):
            return self.function(*args, **options)
        plays = self._dropped + sum(variant.plays for variant in self._variants)
        if self._recorded >= MOST_VARIANTS + plays // WORTH:
            self._spared += 1
            return self.function(*args, **options)
        return self._record(kind, args, options)

    def _name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def _numbers(self, args, options) -> dict[int | str, float]:
        """The floats among the arguments by which the function is not known to decide, by place."""
        if _code_of(self.function) is None:
            return {}
        given = {**dict(enumerate(args)), **options}
        return {
            place: x for place, x in given.items()
            if type(x) is float and place not in self._decisive
        }

    def _kind(self, args, options) -> tuple:
        """By what calls are told apart before anything is known of them."""
        others = dict.fromkeys(self._numbers(args, options), float)
        parts = []
        held, structure = taken_apart(_replaced(args, options, others))
        for leaf in held:
            if isinstance(leaf, Tensor):
                parts.append(leaf.layout)
            else:
                parts.append((type(leaf), leaf if isinstance(leaf, PLAIN) else id(leaf)))
        return (structure, gradient_mode.enabled, *parts)

    def _cause(self, args, options) -> str:
        """What a call has that no recording of its kind fits: what comes latest in a check."""
        if not self._variants:
            return "the first recording"
        broken = [variant.checks.broken(args, options) for variant in self._variants[:NEAR]]
        return f"recorded anew, since {max(broken)[1]} changed"

    def _record(self, kind, args, options):
        assert self._wanting is not None
        given = StandIns(args, options)
        # Each float as an object of its own, by which it is known wherever it is.
        own = {place: x * 1.0 for place, x in self._numbers(args, options).items()}
        given.args, given.options = _replaced(given.args, given.options, own)
        numbers = GivenNumbers(own.values(), _code_of(self.function))
        tape = Tape(
            self._wanting, _code_of(self.function), self._rounds, numbers, self.fast_math
        )
        reads = Reads(numbers)
        # What immediate mode takes and what plays take are blocks of other sizes.
        if self._variants:
            empty_cache()
        with tape, reads:
            outcome = [self.function(*given.args, **given.options)]
        empty_cache()
        forget_given(reads, containers_of((given.args, given.options)))
        forget_made(reads, containers_of(outcome), outcome)
        (result,) = outcome
        tape.refused += [(problem, None) for problem in given.problems()]
        more = [x for x in _wanting(tape, args, options) if x not in self._wanting]
        if more:
            # The call went another way than all before, to gradients that were not looked at.
            self._wanting.update(dict.fromkeys(more))
            return given.given_back(result)
        found: bool | NotReplayable = True
        try:
            cause = self._cause(args, options)
            variant = Variant(tape, reads, result, given.args, given.options, cause)
            self._recorded += 1
            self._dropped += sum(v.plays for v in self._variants[MOST_VARIANTS - 1 :])
            self._variants[MOST_VARIANTS - 1 :] = []
            self._variants.insert(0, variant)
            if self.verify:
                from cresset.compiler.inspection.verify_calls import Verifier

                variant.verifier = Verifier(variant.replay, tape)
        except NotReplayable as problem:
            found = problem
        decisive = {place for place, x in own.items() if id(x) in numbers.seen}
        if decisive:
            self._decisive |= decisive
            kind = self._kind(args, options)
        self._kinds[kind] = found
        if isinstance(found, NotReplayable) and self.fullgraph:
            raise RuntimeError(f"compile: {_told(found)}")
        for path, line in reads.prints[:1]:
            warn(f"compile: print() at {path}:{line} was run while the call was recorded; it is "
                 "not when it is played")
        return given.given_back(result)

    def explain(self) -> str:
        """What became of the calls: the recordings with their causes and programs, and why others
        cannot be played.
        """
        lines = [f"{self._name()}: {counted(len(self._variants), 'recording')}"]
        for number, variant in enumerate(self._variants, start=1):
            lines.append(f"  {number}. {variant}")
        for problem in self._kinds.values():
            if isinstance(problem, NotReplayable):
                lines.append(f"  in immediate mode: {_told(problem)}")
        once = sum(found is False for found in self._kinds.values())
        if once:
            lines.append(
                f"  in immediate mode: {counted(once, 'call')} with shapes, types or plain values "
                "that came only once"
            )
        if self._spared:
            lines.append(
                f"  in immediate mode: {counted(self._spared, 'call')} beyond the first "
                f"{MOST_VARIANTS} recordings; one more is made for each {WORTH:,} plays"
            )
        return "\n".join(lines)

    def profile(self, *args, **options) -> Profile:
        """What a played call with these arguments takes, launch by launch; prints as a table.

        For each program, what it launches by name and line: how often, the time measured, the least
        of ten times, and the time predicted from the kernels' work and the pace of the machine's
        memory. Nothing that the call would change is changed. Raises RuntimeError where no
        recording fits the arguments.

        >>> import cresset
        >>> double = cresset.compile(lambda x: x * 2)
        >>> for _ in range(3):
        ...     _ = double(cresset.ones(3))
        >>> print(double.profile(cresset.ones(3)))
        <lambda>: a play
          program 1: 1 launch
          launches     measured    predicted
                 1       ... us       ... us  mul  ...
        """
        from cresset.compiler.inspection.profile import profile

        for variant in self._variants:
            leaves = variant.fitting(args, options)
            if leaves is not None:
                with suppress(Mispredicted):
                    return profile(f"{self._name()}: a play", variant.replay, leaves)
        raise RuntimeError(
            f"profile: no recording of {self._name()} fits the arguments; the third call that is "
            "alike is the first to be played; make these before"
        )

    def outline(self, named: dict[str, Tensor]) -> Outline:
        """The nodes and edges of what is played most, for `cresset.draw_graph`.

        Tensors are called as in `named`, parameters and buffers of a module as they are there.
        Raises RuntimeError where nothing has been recorded.
        """
        from cresset.compiler.inspection.outline import Outline

        if not self._variants:
            raise RuntimeError(
                f"draw_graph: nothing has been recorded of {self._name()}; call it twice with "
                "arguments that are alike, or see what explain() says"
            )
        if hasattr(self.function, "state_dict"):
            named = {**self.function.state_dict(), **named}
        names = {id(x.memory): name for name, x in named.items()}
        most = max(self._variants, key=lambda variant: variant.plays)
        return Outline(f"a play of {self._name()}", most.replay, names)

    def memory_plan(self) -> str:
        """What memory the plays take: how many bytes at once beyond those that are allocated when
        they begin, what each program makes, and the block that its temporaries lie in with the
        largest of them that live when most do.
        """
        from cresset.compiler.inspection.memory_plan import memory_plan

        return "\n".join(
            line for number, variant in enumerate(self._variants, start=1)
            for line in memory_plan(number, variant.replay)
        )

    def __repr__(self):
        return f"compile({self.function!r})"


def _layouts(args) -> tuple:
    """By what most of many recordings are told to be others at a glance."""
    return tuple([getattr(x, "layout", None) for x in args])


def _wanting(tape, args, options) -> list[Tensor]:
    """The tensors that were there before whose gradients a call may have computed."""
    given = tensors_of((args, options))
    return [
        x for x in tape.holders().values()
        if tape.wants(x) and not any(x is other for other in given)
    ]


def _code_of(function):
    """The code that a function runs, None where that cannot be told."""
    return getattr(getattr(function, "__func__", function), "__code__", None)


def _told(problem: NotReplayable) -> str:
    return f"{problem}{_placed(problem.line)}"


def _placed(line: tuple[str, int] | None) -> str:
    return "" if line is None else f" ({line[0]}:{line[1]})"


class Variant:
    """One recording of a function, and what has to hold for it to be played."""

    def __init__(self, tape, reads, result, args, options, cause):
        refused = [*tape.refused, *((change.reason, change.line) for change in reads.changes)]
        if refused:
            raise NotReplayable(*refused[0])
        self.plays = self.missed = 0
        self.layouts = _layouts(args)
        self.verifier: Verifier | None = None
        self.cause = cause
        leaves = {id(x): x for x in (*tape.leaves, *tensors_of((args, options)))}
        backward = record_backward(tape, tensors_of(result), leaves.values())
        if backward is not None:
            for launched in tape.entries[backward.start :]:
                tape.numbers.keep(launched.arguments)
        numbers = tape.numbers.inputs()
        self.checks = Checks()
        self.checks.arguments(args, options, numbers)
        self.replay: Replay = replay(
            tape, result, self.checks.leaves, numbers, backward, reads.assignments()
        )
        self.decisions = [
            (e.value, e.line) for e in tape.entries if isinstance(e, Looked) and not e.last
        ]
        self.checks.state(self.replay, reads)
        self.fitting = self.checks.function(lambda: self.plays)

    def __str__(self):
        lines = [f"{self.cause}; {counted(self.plays, 'play')}"]
        for value, line in self.decisions:
            lines.append(f"     where {value} is seen{_placed(line)}")
        for number, part in enumerate(self.replay.segments, start=1):
            lines.append(f"     program {number}: {part}")
        return "\n".join(lines)


def _replaced(args: tuple, options: dict, others: dict) -> tuple[tuple, dict]:
    """The arguments of a call with others at some places."""
    return (
        tuple([others.get(k, x) for k, x in enumerate(args)]),
        {name: others.get(name, x) for name, x in options.items()},
    )
