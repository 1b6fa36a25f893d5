"""The name by which an error speaks: that of the function which was called.

Functions are made of others, and an error starts with the name of the one that found the fault.
What a user asked for stands further out on the stack. It is looked up when an error is on its way,
so calls that are right pay nothing.
"""

from __future__ import annotations

import re
import sys
from inspect import unwrap
from types import FrameType

# Modules within a call. Further out is who called: a module, the engine, the user.
INSIDE = ("cresset.ops.", "cresset.generated", "cresset.compiler.", "cresset.capture.",
          "cresset.nn.functional", "cresset.nn.losses")
# How an error starts: `name: ` or `name(): `.
NAME = re.compile(r"([A-Za-z_][\w.]*)(?=(\(\))?: |\(\) )")
NAMESPACES = ("linalg", "special", "fft")

# What users call functions written in Python, by the function and by its code.
public: dict = {}
# The functions that guards stand before, by the identity of the guard's code. (The variables of a
# frame would say it, but asking for them makes a copy, which keeps an error and its frames alive.)
guarding: dict = {}


def publish(function, name: str, declared: bool) -> None:
    """Errors speak of the function by this name, Python's own of its arguments included.

    Of several names the first holds, or that under which it is declared.
    """
    layers = [function]
    body = unwrap(function, stop=layers.append)
    if not generated(body):
        layers += body, body.__code__
    for known in layers:
        if declared or known not in public:
            public[known] = name
    if body.__name__.startswith("_") or "<" in body.__qualname__:
        body.__name__ = body.__qualname__ = name


def generated(function) -> bool:
    """Whether a function is that of an operation."""
    return function.__globals__["__name__"] == "cresset.generated"


def renamed(problem: Exception) -> Exception:
    """The error, made to speak of the outermost public function on the stack."""
    name = asked()
    message = problem.args[0] if problem.args else None
    found = NAME.match(message) if isinstance(message, str) else None
    if name and found and _bare(found[0]) != _bare(name):
        problem.args = (name + found.string[found.end():], *problem.args[1:])
    return problem


def asked() -> str | None:
    """What users call the outermost public function on the stack; None if there is none."""
    name = None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(INSIDE):
        name = _public(frame) or name
        frame = frame.f_back
    return name


def spelled(label: str) -> str:
    """An operation's name as users write it: "linalg.inv" of `linalg_inv`."""
    space, _, rest = label.partition("_")
    return f"{space}.{rest}" if space in NAMESPACES else label


def _bare(name: str) -> str:
    """A name by which the forms of one function are the same."""
    return name.rpartition(".")[2].strip("_").removeprefix("unsafe_")


def _public(frame: FrameType) -> str | None:
    """What users call the function that runs in a frame; None if they cannot call it."""
    scope = frame.f_globals
    if "op" in scope and scope["__name__"] == "cresset.generated":
        return spelled(scope["op"].label)
    around = guarding.get(id(frame.f_code))
    while around is not None and around not in public:
        around = getattr(around, "__wrapped__", None)
    return public.get(around) or public.get(frame.f_code)
