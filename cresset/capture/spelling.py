"""Spelling: a call of a graph as a person would write it.

What is written must be the call it stands for. So a spelling is proposed, evaluated on values of
the same layouts, and taken only if that captures this very call with these arguments; the first
that passes is the one, of `x + y`, `torch.sum(x)`, `x.sum()`, `torch.nn.functional.relu(x)` and
their like. Behind them all stands `torch.ops.name(...)` with every argument, the operation itself.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from functools import cache

from cresset.capture.graph import Call, Graph, Value
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops.operation import Operation

# The first line of printed source: all that it needs.
HEADER = "import cresset as torch"
INFIX = ("+", "-", "*", "/", "@", "**", "//", "%", "<", "<=", ">", ">=", "==", "!=", "&", "|", "^",
         "<<", ">>")
PREFIX = ("-", "~")


class Scratch(Graph):
    """A graph to try a spelling on: composites stay whole, as they do in what is spelled."""

    def take(self, op, args):
        return self.enter(op, args)


def spelled(call: Call) -> str:
    """The right side of the assignment that makes the call."""
    names = [a.name if isinstance(a, Value) else literal(a) for a in call.args]
    trial = [f"a{k}" if isinstance(a, Value) else literal(a) for k, a in enumerate(call.args)]
    for text, tried in zip(_proposals(call, names), _proposals(call, trial)):
        if _stands_for(tried, call):
            return text
    return _in_full(call, names)


def literal(value) -> str:
    """An argument as source text."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if isinstance(value, (tuple, list)):
        inner = ", ".join(map(literal, value))
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, Layout):
        return f"torch.empty_strided({tuple(value.shape)}, {value.strides}).layout"
    if isinstance(value, Operation):
        return f"torch.ops.registry[{value.name!r}]"
    return "..." if value is Ellipsis else repr(value)


@cache
def _scope() -> dict:
    """What the header defines."""
    scope: dict = {}
    exec(HEADER, scope)
    return scope


def _proposals(call: Call, args: list[str]) -> Iterator[str]:
    """Texts that may make the call, the most readable first; which of them do is seen later."""
    tensors = [k for k, a in enumerate(call.args) if isinstance(a, Value)]
    if len(args) == 2:
        for a, b in (args, args[::-1]):
            for sign in INFIX:
                yield f"{a} {sign} {b}"
    elif len(args) == 1:
        for sign in PREFIX:
            yield f"{sign}{args[0]}"
    if tensors == [0] and len(args) > 1 and isinstance(call.args[1], tuple):
        yield f"{args[0]}[{', '.join(map(_index, call.args[1]))}]"
    torch = _scope()["torch"]
    names = dict.fromkeys((call.op.label, call.op.name))
    for count in range(max(tensors) + 1, len(args) + 1):
        for name in names:
            if hasattr(torch, name):
                yield f"torch.{name}({', '.join(args[:count])})"
            if hasattr(Tensor, name) and tensors[0] == 0:
                yield f"{args[0]}.{name}({', '.join(args[1:count])})"
            if hasattr(torch.nn.functional, name):
                yield f"torch.nn.functional.{name}({', '.join(args[:count])})"
    if len(tensors) == len(args) > 1:
        yield f"{args[0]}[{', '.join(args[1:])}]"
    for a in args[1:]:
        yield f"{args[0]}.to({a})"
    # Functions that take several tensors as one list, such as cat.
    listed = ", ".join(args[k] for k in tensors)
    others = "".join(f", {a}" for k, a in enumerate(args) if k not in tensors)
    for name in names:
        if hasattr(torch, name):
            yield f"torch.{name}([{listed}]{others})"


def _index(part) -> str:
    """One part of an index in brackets."""
    if isinstance(part, tuple) and len(part) == 4:
        start, stop, step = ("" if bound is None else literal(bound) for bound in part[1:])
        return f"{start}:{stop}" + (f":{step}" if step else "")
    return literal(part)


def _stands_for(text: str, call: Call) -> bool:
    """Whether evaluating the text captures the call, and gives its results."""
    scratch = Scratch()
    inner = {
        a: scratch.input(a.actual, f"a{k}") for k, a in enumerate(call.args) if isinstance(a, Value)
    }
    scope = {f"a{k}": inner[a] for k, a in enumerate(call.args) if isinstance(a, Value)}
    try:
        with warnings.catch_warnings():
            # What is deprecated is not how a person would write it.
            warnings.simplefilter("error")
            result = eval(text, _scope(), scope)
    except Exception:  # a proposal may be anything but the call, and may not even parse
        return False
    if len(scratch.calls) != 1 or scratch.calls[0].op is not call.op:
        return False
    (made,) = scratch.calls
    wanted = [inner[a] if isinstance(a, Value) else a for a in call.args]
    results = result if isinstance(result, tuple) else (result,)
    return (
        len(results) == len(made.outputs)
        and all(a is b for a, b in zip(results, made.outputs))
        and all(map(_same, wanted, made.args))
    )


def _same(a, b) -> bool:
    if isinstance(a, Value) or isinstance(b, Value):
        return a is b
    return type(a) is type(b) and (a == b or a != a and b != b)


def _in_full(call: Call, args: list[str]) -> str:
    """The operation itself with every argument."""
    parameters = call.op.parameters
    given = ", ".join(
        f"{p.name}={a}" if p.kind is p.KEYWORD_ONLY else a for p, a in zip(parameters, args)
    )
    return f"torch.ops.{call.op.path or call.op.name}({given})"
