"""Checks: what has to be as it was for a recording to be played."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cresset.autograd.mode import mode
from cresset.autograd.node import Leaf
from cresset.capture.reads import PLAIN, Condition, Reads, same
from cresset.compiler.replay import Replay
from cresset.compiler.stand_ins import UNTRACKED
from cresset.compiler.structure import Form, form_of, tensors_of
from cresset.core import dtype as types
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops.casting import casting, lower_type
from cresset.ops.generated import function_of
from cresset.runtime import native, watch

# Plays after which a word may change and is still worth being watched.
STEADY = 8


class Checks:
    """Writes the function that says whether a recording fits a call.

    `fitting(args, options)` returns the tensors among the arguments, and behind them the numbers
    that may be others, or None. `conditions` all have to be true. Most are about objects that
    hardly ever change, of which words in memory tell: only where one is another than it was are
    they looked at.
    """

    def __init__(self):
        self.scope = {"same": same, "untracked": UNTRACKED, "mode": mode, "types": types,
                      "casting": casting, "lower_type": lower_type}
        self.conditions: list[Condition] = []
        self.leaves: list[Tensor] = []
        self.places: list[str] = []
        # The places of numbers that may be others, by identity.
        self.numbers: dict[int, str] = {}
        self.names: dict[int, str] = {}

    def known(self, value) -> str:
        """The name by which the conditions find a value."""
        name = self.names.get(id(value))
        if name is None:
            name = self.names[id(value)] = f"k{len(self.names)}"
            self.scope[name] = value
        return name

    def _add(self, test: str, what: str, words: tuple | None = None):
        self.conditions.append(Condition(test, what, words))

    # --- the arguments ----------------------------------------------------------------------------
    def arguments(self, args, options, numbers):
        """Check what the call is given; of the `numbers` among it only that they are floats."""
        self.numbers = {id(x): "" for x in numbers}
        order = f"[*options] == {self.known([*options])}" if options else "not options"
        self._add(f"len(args) == {len(args)} and {order}", "the number of arguments")
        for k, value in enumerate(args):
            self._value(f"args[{k}]", value)
        for name, value in options.items():
            self._value(f"options[{name!r}]", value)

    def _value(self, place, value):
        kind = type(value)
        if isinstance(value, Tensor):
            self._tensor(place, value)
        elif (form := form_of(value)) is not None:
            self._container(place, value, form)
        elif id(value) in self.numbers:
            self.numbers[id(value)] = place
            self._add(f"type({place}) is float", place)
        elif kind in PLAIN:
            self._add(f"same({place}, {self.known(value)})", place)
        else:
            self._add(f"{place} is {self.known(value)}", place)

    def _container(self, place, value, form: Form):
        what = f"the form of {place}"
        self._add(f"type({place}) is {self.known(form.kind)}", what)
        places = [f"{place}[{self.known(key)}]" for key in form.keys]
        places += [f"{place}.{name}" for name in form.names]
        if form.keys or isinstance(value, dict):
            # Other orders are other ways through it.
            self._add(f"[*{place}] == {self.known([*form.keys])}", what)
        elif not form.names:
            self._add(f"len({place}) == {len(value)}", what)
            places = [f"{place}[{k}]" for k in range(len(value))]
        if form.names and hasattr(value, "__dict__"):
            self._add(f"len({place}.__dict__) == {len(vars(value))}", what)
        for part_place, part in zip(places, form.parts(value)):
            self._value(part_place, part)

    def _tensor(self, place, x):
        self._add(f"{place}.layout is {self.known(x.layout)}", f"the layout of {place}")
        wanting = f"whether {place} requires gradients"
        if type(x.history) in UNTRACKED:
            self._add(f"type({place}.history) in untracked", wanting)
        elif type(x.history) is Leaf:
            self._add(f"type({place}.history) is {self.known(Leaf)}", wanting)
        else:
            graphless = self.known(UNTRACKED | {Leaf})
            self._add(f"type({place}.history) not in {graphless}", wanting)
        self.leaves.append(x)
        self.places.append(place)

    # --- everything else --------------------------------------------------------------------------
    def state(self, made: Replay, reads: Reads):
        """Check what the function finds beside its arguments, and what of it shares memory."""
        self._add(f"mode.enabled is {mode.enabled}", "whether gradients are recorded")
        lower = lower_type()
        test = f"lower_type() is {self.known(lower)}" if lower else "not (casting and lower_type())"
        self._add(test, "the type that autocast takes")
        default = self.known(types._Default.dtype)
        self._add(f"types._Default.dtype is {default}", "the default type")
        self._sharing(made, reads)
        self.conditions += reads.conditions(self.known)
        for x in made.found:
            name, what = self.known(x), f"a tensor of shape {tuple(x.layout.shape)}"
            self._add(f"{name}.layout is {self.known(x.layout)}", f"the layout of {what}",
                      (watch.in_slot(x, "layout"),))
            history = f"type({name}.history) in untracked"
            if type(x.history) is Leaf:
                history = f"{name}.history is {self.known(x.history)}"
            self._add(history, f"whether {what} requires gradients",
                      (watch.in_slot(x, "history"),))
        for x, gradient in made.gradients.items():
            name, what = self.known(x), f"a tensor of shape {tuple(x.layout.shape)}"
            test = f"{name}.grad is {'not ' * (gradient is not None)}None"
            words: tuple | None = (watch.in_slot(x, "grad", filled=gradient is not None),)
            if isinstance(gradient, Layout):
                test, words = f"{name}.grad.layout is {self.known(gradient)}", None
            self._add(test, f"the gradient of {what}", words)

    def _sharing(self, made: Replay, reads: Reads):
        """Check that what is written has no other names than it had.

        Memory of an argument that the function knows from elsewhere too is found through the
        argument, which has to lie there in every play.
        """
        for tensor in {t: None for _, value in reads.found.values() for t in tensors_of(value)}:
            for x, place in zip(self.leaves, self.places):
                if tensor.memory is x.memory:
                    self._add(f"{place}.memory is {self.known(tensor)}.memory",
                              f"whether {place} shares memory with a tensor beside it")
        written = {
            memory.storage() for part in made.segments
            for memory, letter in zip(part.inputs, part.program.inputs[1:]) if letter == "w"
        }
        for k, (x, place) in enumerate(zip(self.leaves, self.places)):
            for other, there in zip(self.leaves[:k], self.places):
                what = f"whether {place} and {there} share memory"
                if other.memory is x.memory:
                    self._add(f"{place}.memory is {there}.memory and "
                              f"{place}.ptr - {there}.ptr == {x.ptr - other.ptr}", what)
                elif not written.isdisjoint((x.memory, other.memory)):
                    self._add(f"{place}.memory is not {there}.memory", what)
        found = [x for x in made.found if x.memory in written]
        met = self.known(frozenset(x.memory for x in found))
        for tensor in found:
            self._add(f"{self.known(tensor)}.memory in {met}",
                      f"the memory of a tensor of shape {tuple(tensor.layout.shape)}",
                      (watch.in_slot(tensor, "memory"),))
        for x, place in zip(self.leaves, self.places):
            if found:
                self._add(f"{place}.memory not in {met}",
                          f"whether {place} shares memory with what is written")
            for tensor in made.found if x.memory in written else ():
                self._add(f"{place}.memory is not {self.known(tensor)}.memory",
                          f"whether {place} shares memory with what is read")

    # --- the outcome ------------------------------------------------------------------------------
    def function(self, plays: Callable[[], int]) -> Callable[..., Any]:
        """The function `fitting`; `plays()` counts how often the recording was played."""
        self.plays, self.played = plays, 0
        self.watched = {w: w.content() for c in self.conditions for w in c.words or ()}
        # Words of what the call itself has changed are not as they were when it was read.
        watched = [c for c in self.conditions if c.words]
        if not self._hold(watched):
            for condition in [c for c in watched if not self._hold([c])]:
                for word in condition.words or ():
                    self.watched.pop(word, None)
        self.scope["renewed"] = self._renewed
        self._watch()
        self.fitting = function_of(self._text(), self.scope)
        return self.fitting

    def _text(self) -> str:
        tests = [c.test for c in self.conditions if not self._is_watched(c)]
        both = _all_of([*tests, "(unchanged() or renewed())"])
        return "\n".join([
            "def fitting(args, options):",
            "    try:",
            f"        if {both}:",
            f"            return [{', '.join([*self.places, *self.numbers.values()])}]",
            # As where there are other entries, or tensors that are not to be compared.
            "    except Exception:",
            "        pass",
            "    return None",
        ])

    def _is_watched(self, condition: Condition) -> bool:
        return condition.words is not None and self.watched.keys() >= set(condition.words)

    def _watch(self):
        self.scope["unchanged"] = native.make_watch(self.watched)

    def _renewed(self) -> bool:
        """Whether all holds of which a word has changed; from now on it is compared with this one.

        What changes all the time is not watched any longer: it is looked at in every call.
        """
        now = {word: word.content() for word in self.watched}
        if not self._hold([c for c in self.conditions if self._is_watched(c)]):
            return False
        plays = self.plays()
        if plays - self.played < STEADY:
            now = {word: content for word, content in now.items() if content == self.watched[word]}
        self.watched, self.played = now, plays
        self._watch()
        self.fitting.__code__ = function_of(self._text(), self.scope).__code__
        return True

    def _hold(self, conditions) -> bool:
        """Whether some conditions are true."""
        tests = _all_of([c.test for c in conditions])
        return function_of(f"def holds():\n    return {tests}", self.scope)()

    def broken(self, args, options) -> tuple[int, str]:
        """The place of the first test that is not true, and what it looks at."""
        scope = {**self.scope, "args": args, "options": options}
        for k, (test, what, _) in enumerate(self.conditions):
            try:
                if eval(test, scope):
                    continue
            except Exception:
                pass
            return k, what
        return len(self.conditions), "an element by which it decides"


def _all_of(tests) -> str:
    return "(" + "\n                and ".join([*tests, "True"]) + ")"
