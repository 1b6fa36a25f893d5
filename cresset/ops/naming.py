"""The name by which an error speaks: that of the function which was called.

Functions are made of others, and an error starts with the name of the one that found the fault.
What a user asked for stands further out on the stack. It is looked up when an error is on its way,
so calls that are right pay nothing.
"""

from __future__ import annotations

import re
import sys

from cresset.core.tensor import Tensor

# Modules within a call. Further out is who called: a module, the engine, the user.
INSIDE = ("cresset.ops.", "cresset.generated", "cresset.compiler.", "cresset.capture.")
# What functions without a name of their own are called.
SPOKEN = {"getitem": "index", "setitem": "index"}
# How an error starts: `name: ` or `name(): `.
NAME = re.compile(r"([a-z_][\w.]*)(?=(\(\))?: |\(\) )")
NAMESPACES = ("linalg", "special", "fft")
# Modules whose functions are called by the name of a namespace.
MODULES = {"cresset.ops.linear_algebra.older_names": "", "cresset.ops.linear_algebra.": "linalg.",
           "cresset.ops.transforms.fourier": "fft."}


def renamed(problem: Exception, own: str | None = None) -> Exception:
    """The error, made to speak of the outermost public function on the stack, or else of `own`."""
    name = _asked(sys._getframe(1)) or own
    message = problem.args[0] if problem.args else None
    found = NAME.match(message) if isinstance(message, str) else None
    if name and found and _bare(found[0]) != _bare(name):
        problem.args = (name + found.string[found.end():], *problem.args[1:])
    return problem


def spelled(label: str) -> str:
    """An operation's name as users write it: "linalg.inv" of `linalg_inv`."""
    space, _, rest = label.partition("_")
    return f"{space}.{rest}" if space in NAMESPACES else label


def _bare(name: str) -> str:
    """A name by which the forms of one function are the same."""
    return name.rpartition(".")[2].strip("_").removeprefix("unsafe_")


def _asked(frame) -> str | None:
    name = None
    while frame is not None and frame.f_globals.get("__name__", "").startswith(INSIDE):
        name = _public(frame) or name
        frame = frame.f_back
    return name


def _public(frame) -> str | None:
    """What users call the function that runs in a frame; None if they cannot call it."""
    scope, code = frame.f_globals, frame.f_code
    if "op" in scope and scope["__name__"] == "cresset.generated":
        return spelled(scope["op"].label)
    name = code.co_name.lstrip("_")
    if name in SPOKEN:
        return SPOKEN[name]
    if name in scope.get("__all__", ()):
        found = [space for path, space in MODULES.items() if scope["__name__"].startswith(path)]
        return f"{found[0]}{name}" if found else name
    method = getattr(Tensor, name, None)
    method = getattr(method, "__wrapped__", method)
    return name if getattr(method, "__code__", None) is code else None
