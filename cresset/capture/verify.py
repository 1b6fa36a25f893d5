"""Verification of graphs: what must hold of each before it is compiled.

Under CRESSET_CHECK=1 every graph passes here when it enters the compiler. An error quotes the line
at fault of the graph's text.
"""

from __future__ import annotations

from cresset.capture.graph import Call, Graph, Value
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import dispatch


class GraphError(ValueError):
    """A graph that contradicts itself or the rules of its operations."""


def verify(graph: Graph) -> None:
    """Raise GraphError unless the graph is in static single assignment form and well typed.

    Every value is defined once and before it is used, under a name of its own; every call has an
    argument for each parameter; results have the layouts that the operations' rules infer.
    """
    defined: set[Value] = set()
    names: set[str] = set()

    def fail(line, problem):
        quoted = str(graph).split("\n")[line].strip()
        raise GraphError(f"verify graph: {problem}; at line {line + 1}: {quoted}")

    def define(line, value):
        if value in defined:
            fail(line, f"{value.name} is defined twice")
        if value.name in names:
            fail(line, f"two values are called {value.name}")
        defined.add(value)
        names.add(value.name)

    def use(line, value):
        if value not in defined:
            fail(line, f"{value.name} is used before it is defined")

    for value in graph.inputs:
        define(0, value)
    for line, call in enumerate(graph.calls, start=1):
        if len(call.args) != len(call.op.parameter_names):
            fail(line, f"{len(call.args)} arguments for {len(call.op.parameter_names)} parameters")
        for a in call.args:
            if isinstance(a, Value):
                use(line, a)
            elif isinstance(a, Tensor):
                fail(line, "an argument is a tensor and no value of the graph")
        problem = _contradiction(call)
        if problem:
            fail(line, problem)
        for value in call.outputs:
            define(line, value)
    for value in graph.outputs:
        use(len(graph.calls) + 1, value)


def _contradiction(call: Call) -> str | None:
    """What is wrong with a call's results by its operation's rules, None if nothing is."""
    specs = tuple(
        a.actual if isinstance(a, Value) else dispatch.spec_of(kind, a)
        for kind, a in zip(call.op.parameter_kinds, call.args)
    )
    try:
        inferred = call.op.infer(specs)
    except (RuntimeError, TypeError, ValueError, IndexError) as refusal:
        return f"the rules refuse the call: {refusal}"
    if len(inferred) != len(call.outputs):
        return f"{len(call.outputs)} results, the rules infer {len(inferred)}"
    for value, layout in zip(call.outputs, inferred):
        if not _equal(value.actual, layout):
            return f"{value.name} is {value.actual}, the rules infer {layout}"
    return None


def _equal(a: Layout, b: Layout) -> bool:
    # Equal layouts are one object, unless the table of layouts was emptied in between.
    return (a.shape, a.strides, a.dtype) == (b.shape, b.strides, b.dtype)
