"""Graphs: a captured program in static single assignment form.

While a function is captured it runs on `Value`s, which have a layout and no elements. An operation
on them does not run: it is entered into the graph as a `Call`. A graph prints as Python, which runs
where the operations are known by their names in `ops.registry`.

    >>> import cresset
    >>> x = cresset.ones(2, 3)
    >>> print(capture(lambda x: (x * 2).exp().sum(1), x))
    def captured(v0):
        v1 = mul(v0, 2)
        v2 = exp(v1)
        v3 = sum(v2, 1, False)
        return v3
"""

from __future__ import annotations

from typing import NamedTuple

from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.ops.kinds.composite import Composite


class Value(Tensor):
    """A tensor that is not there: what a captured program computes with."""

    # Layouts on the device "meta" have no plans, so every operation on a value is a miss.
    def __init__(self, graph, name, layout: Layout):
        self.graph = graph
        self.name = name
        self.layout = meta(layout)
        self.actual = layout
        self.base = self.history = self.grad = None
        self.storage = self.ptr = None

    def __repr__(self):
        return self.name


class Call(NamedTuple):
    """One operation: its arguments (values, numbers, parameters) and the values it makes."""

    op: object
    args: tuple
    outputs: tuple

    def __str__(self):
        spelled = []
        for p, a in zip(self.op.signature.parameters.values(), self.args):
            if p.kind is not p.KEYWORD_ONLY:
                spelled.append(repr(a))
            elif a is not p.default:
                spelled.append(f"{p.name}={a!r}")
        results = ", ".join(v.name for v in self.outputs)
        return f"{results} = {self.op.name}({', '.join(spelled)})"


class Graph:
    """Inputs, calls in order, and results."""

    def __init__(self):
        self.inputs: list[Value] = []
        self.calls: list[Call] = []
        self.outputs: tuple[Value, ...] = ()
        self.count = 0

    def value(self, layout: Layout) -> Value:
        self.count += 1
        return Value(self, f"v{self.count - 1}", layout)

    def input(self, layout: Layout) -> Value:
        value = self.value(layout)
        self.inputs.append(value)
        return value

    def __str__(self):
        head = f"def captured({', '.join(v.name for v in self.inputs)}):"
        lines = [f"    {call}" for call in self.calls]
        lines.append(f"    return {', '.join(v.name for v in self.outputs)}")
        return "\n".join([head, *lines])


def meta(layout: Layout) -> Layout:
    """The layout on the device that has no memory."""
    return Layout.of(layout.shape, layout.strides, layout.dtype, "meta")


def bind(op, args):
    """Enter a call on captured values into their graph; returns its values."""
    graph = next(a.graph for a in args if isinstance(a, Value))
    if isinstance(op, Composite):
        return op.call_body(args)
    for a in args:
        if isinstance(a, Tensor) and not isinstance(a, Value):
            raise NotImplementedError(
                f"{op.name}: a tensor that is not an argument was met while capturing; pass it to "
                "the captured function as an argument"
            )
    specs = tuple(
        a.actual if isinstance(a, Value) else dispatch.spec_of(kind, a)
        for kind, a in zip(op.parameter_kinds, args)
    )
    outputs = tuple(graph.value(layout) for layout in op.infer(specs))
    graph.calls.append(Call(op, tuple(args), outputs))
    return outputs[0] if len(outputs) == 1 else outputs


def capture(function, *examples) -> Graph:
    """The graph of a function of tensors; `examples` give the layouts, or are layouts."""
    graph = Graph()
    args = [
        graph.input(e.layout if isinstance(e, Tensor) else e)
        if isinstance(e, (Tensor, Layout)) else e
        for e in examples
    ]
    result = function(*args)
    graph.outputs = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    for value in graph.outputs:
        if not isinstance(value, Value):
            raise TypeError(
                f"capture: the function must return tensors; got {type(value).__name__}"
            )
    return graph
