"""Checks: what has to be as it was for a recording to be played."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cresset.autograd.mode import mode
from cresset.autograd.node import Leaf
from cresset.capture.reads import PLAIN, Reads, same
from cresset.compiler.replay import NotReplayable, Replay
from cresset.core import dtype as types
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops.generated import function_of
from cresset.ops.kinds.view import Viewed

# The histories of tensors that are not differentiated.
UNTRACKED = frozenset({type(None), Viewed})


class Checks:
    """Writes the function that says whether a recording fits a call.

    `fitting(args, options)` returns the tensors among the arguments, or None. `tests` are the
    expressions that have to be true, each with what it looks at in words.
    """

    def __init__(self):
        self.scope = {"same": same, "untracked": UNTRACKED, "mode": mode, "types": types}
        self.tests: list[tuple[str, str]] = []
        self.leaves: list[Tensor] = []
        self.places: list[str] = []
        self.names: dict[int, str] = {}

    def known(self, value) -> str:
        """The name by which the tests find a value."""
        name = self.names.get(id(value))
        if name is None:
            name = self.names[id(value)] = f"k{len(self.names)}"
            self.scope[name] = value
        return name

    def _add(self, test: str, what: str):
        self.tests.append((test, what))

    # --- the arguments ----------------------------------------------------------------------------
    def arguments(self, args, options):
        """Check what the call is given."""
        count = f"len(args) == {len(args)} and len(options) == {len(options)}"
        self._add(count, "the number of arguments")
        for k, value in enumerate(args):
            self._value(f"args[{k}]", value)
        for name, value in options.items():
            self._value(f"options[{name!r}]", value)

    def _value(self, place, value):
        kind = type(value)
        if isinstance(value, Tensor):
            self._tensor(place, value)
        elif kind in (list, tuple, dict):
            test = f"type({place}) is {kind.__name__} and len({place}) == {len(value)}"
            self._add(test, f"the form of {place}")
            for name, part in value.items() if kind is dict else enumerate(value):
                self._value(f"{place}[{self.known(name) if kind is dict else name}]", part)
        elif kind in PLAIN:
            self._add(f"same({place}, {self.known(value)})", place)
        else:
            self._add(f"{place} is {self.known(value)}", place)

    def _tensor(self, place, x):
        self._add(f"{place}.layout is {self.known(x.layout)}", f"the layout of {place}")
        wanting = f"whether {place} requires gradients"
        if type(x.history) in UNTRACKED:
            self._add(f"type({place}.history) in untracked", wanting)
        elif type(x.history) is Leaf:
            self._add(f"type({place}.history) is {self.known(Leaf)}", wanting)
        else:
            raise NotReplayable("an argument has a graph to go backward through")
        for other, there in zip(self.leaves, self.places):
            # Written memory is read by its other names.
            test = f"{place}.memory is not {there}.memory"
            if other.memory is x.memory:
                distance = x.ptr - other.ptr
                test = (f"{place}.memory is {there}.memory and "
                        f"{place}.ptr - {there}.ptr == {distance}")
            self._add(test, f"whether {place} and {there} share memory")
        self.leaves.append(x)
        self.places.append(place)

    # --- everything else --------------------------------------------------------------------------
    def state(self, made: Replay, reads: Reads):
        """Check what the function finds beside its arguments."""
        self._add(f"mode.enabled is {mode.enabled}", "whether gradients are recorded")
        default = self.known(types._Default.dtype)
        self._add(f"types._Default.dtype is {default}", "the default type")
        self.tests += reads.conditions(self.known)
        for x in made.found:
            name, what = self.known(x), f"a tensor of shape {tuple(x.layout.shape)}"
            self._add(f"{name}.layout is {self.known(x.layout)}", f"the layout of {what}")
            history = f"type({name}.history) in untracked"
            if type(x.history) is Leaf:
                history = f"{name}.history is {self.known(x.history)}"
            self._add(history, f"whether {what} requires gradients")
            for place in self.places:
                shared = f"whether {place} shares memory with {what}"
                self._add(f"{place}.memory is not {name}.memory", shared)
        for x, gradient in made.gradients.items():
            name = self.known(x)
            test = f"{name}.grad is {'not ' * (gradient is not None)}None"
            if isinstance(gradient, Layout):
                test = f"{name}.grad.layout is {self.known(gradient)}"
            self._add(test, f"the gradient of a tensor of shape {tuple(x.layout.shape)}")

    # --- the outcome ------------------------------------------------------------------------------
    def function(self) -> Callable[..., Any]:
        """The function `fitting`."""
        tests = "\n                and ".join(test for test, _ in self.tests)
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

    def broken(self, args, options) -> tuple[int, str]:
        """The place of the first test that is not true, and what it looks at."""
        scope = {**self.scope, "args": args, "options": options}
        for k, (test, what) in enumerate(self.tests):
            try:
                if eval(test, scope):
                    continue
            except Exception:
                pass
            return k, what
        return len(self.tests), "an element by which it decides"
