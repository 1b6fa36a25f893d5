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

from cresset.autograd.record import record
from cresset.core.device import device
from cresset.core.layout import Layout
from cresset.core.storage import Storage
from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.ops.kinds.composite import Composite
from cresset.ops.kinds.view import View, Viewed


class Absent(Storage):
    """The storage of a value: none, but what is made over it, a detached value say, is the value.

    Autograd keeps storages, and so finds back to the values that it saved.
    """

    __slots__ = ("value",)

    def __init__(self, value: Value):
        super().__init__(0, value.actual.reach() * value.actual.dtype.itemsize, None)
        self.value = value


class Value(Tensor):
    """A tensor that is not there: what a captured program computes with."""

    # Layouts on the device "captured" have no plans, so every operation on a value is a miss.
    def __init__(self, graph, name, layout: Layout):
        self.graph = graph
        self.name = name
        self.layout = captured(layout)
        self.actual = layout
        self.base = self.history = self.grad = None
        self.memory, self.ptr = Absent(self), 0

    device = property(lambda self: device(self.actual.device), doc="Where it is to be computed.")

    def _unknown(self, *args, **options):
        """Refuse to give the elements, which no captured program can know."""
        raise RuntimeError(
            f"capture: the function asks for the elements of a tensor of shape "
            f"{tuple(self.layout.shape)}, which are not there while it is captured; a graph cannot "
            "depend on them; choose by torch.where(...), or capture the parts between such places"
        )

    def detach(self):
        """The same elements, through which no gradient comes."""
        return self.graph.enter(DETACH, (self,))

    item = tolist = numpy = __bool__ = __int__ = __float__ = __index__ = __array__ = _unknown

    def __repr__(self):
        return self.name


class Call(NamedTuple):
    """One operation: its arguments (values, numbers, parameters) and the values it makes."""

    op: object
    args: tuple
    outputs: tuple

    def __str__(self):
        spelled = []
        for p, a in zip(self.op.parameters, self.args):
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
        # Values that share their memory with others.
        self.viewed: set[Value] = set()

    def take(self, op, args):
        """Enter a call; returns its values. Of a composite enter what its body calls."""
        return op.call_body(args) if isinstance(op, Composite) else self.enter(op, args)

    def enter(self, op, args):
        """Enter a call as it is."""
        args = tuple(
            self.constant(op, a) if isinstance(a, Tensor) and not isinstance(a, Value) else a
            for a in args
        )
        specs = tuple(
            a.actual if isinstance(a, Value) else dispatch.spec_of(kind, a)
            for kind, a in zip(op.parameter_kinds, args)
        )
        outputs = tuple(self.value(layout) for layout in op.infer(specs))
        if isinstance(op, View):
            self.viewed.add(args[0])
            # Where in its storage a view lies is not known.
            outputs[0].memory.nbytes = 0
        self.calls.append(Call(op, args, outputs))
        return outputs[0] if len(outputs) == 1 else outputs

    def constant(self, op, tensor) -> Value:
        """What stands for a tensor with elements."""
        raise NotImplementedError(
            f"{op.name}: a tensor that is not an argument was met while capturing; pass it to the "
            "captured function as an argument"
        )

    def made_by(self, value) -> Call | None:
        """The call that a value is a result of."""
        return next((c for c in reversed(self.calls) if value in set(c.outputs)), None)

    def value(self, layout: Layout, name: str | None = None) -> Value:
        self.count += 1
        return Value(self, name or f"v{self.count - 1}", layout)

    def input(self, layout: Layout, name: str | None = None) -> Value:
        value = self.value(layout, name)
        self.inputs.append(value)
        return value

    def __str__(self):
        head = f"def captured({', '.join(v.name for v in self.inputs)}):"
        lines = [f"    {call}" for call in self.calls]
        lines.append(f"    return {', '.join(v.name for v in self.outputs)}")
        return "\n".join([head, *lines])


def _as_it_is(x):
    return x.shape, x.strides, 0


# What `detach` is in a graph.
DETACH = View(_as_it_is, "detach")
DETACH.function = lambda x: x.detach()


def captured(layout: Layout) -> Layout:
    """The layout of a value, which no plan is made for."""
    return Layout.of(layout.shape, layout.strides, layout.dtype, "captured")


def value_of(x):
    """The value that a tensor over it is, such as a detached one; anything else itself."""
    return x.memory.value if isinstance(x, Tensor) and isinstance(x.memory, Absent) else x


def bind(op, args):
    """Enter a call on captured values into their graph; returns its values."""
    found = tuple(map(value_of, args))
    graph = next(a.graph for a in found if isinstance(a, Value))
    result = graph.take(op, found)
    if dispatch.tracked(args):
        if isinstance(op, View):
            result.history = Viewed(op, dispatch.specs_of(op, args))
        record(op, result, args)
    return result


def bind_write(op, args, out):
    """Enter a call whose result is written into a captured value, which becomes that result."""
    value = value_of(out)
    made = value.graph.made_by(value) if isinstance(value, Value) else None
    if made is None or isinstance(made.op, View) or value in value.graph.viewed:
        raise NotImplementedError(
            f"{op.label}: cannot write here while capturing; got an argument of the function, a "
            "tensor that was there before, or one that a view shares its memory with; write "
            "into a result of its own, or use the form that returns a new tensor"
        )
    result = bind(op, args)
    if result.layout is not value.layout:
        raise NotImplementedError(
            f"{op.label}: cannot write {result.layout} over {value.layout} while capturing; use "
            "the form that returns a new tensor"
        )
    out.memory.value, out.history = value_of(result), result.history
    return out


class Open(Graph):
    """A graph of which tensors that its function meets beside its arguments are further inputs."""

    def __init__(self):
        super().__init__()
        self.met: dict[int, tuple[Value, Tensor]] = {}

    def constant(self, op, tensor) -> Value:
        # The tensor is kept, so that no other takes its place in memory.
        found = self.met.get(id(tensor))
        if found is None:
            found = self.met[id(tensor)] = (self.input(tensor.layout), tensor)
        return found[0]


def capture(function, *examples, graph: Graph | None = None) -> Graph:
    """The graph of a function of tensors; `examples` give the layouts, or are layouts.

    `graph` is the empty one to fill, a `Graph` unless given.
    """
    graph = Graph() if graph is None else graph
    args = [
        graph.input(e.layout if isinstance(e, Tensor) else e)
        if isinstance(e, (Tensor, Layout)) else e
        for e in examples
    ]
    result = function(*args)
    results = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    # What was written over is what was written.
    graph.outputs = tuple(map(value_of, results))
    for value in graph.outputs:
        if not isinstance(value, Value):
            raise TypeError(
                f"capture: the function must return tensors; got {type(value).__name__}"
            )
    return graph
