"""Tracing: a function as a graph that prints as Python, runs on other numbers, has a gradient.

The function runs once, on values that have a shape and a type and no elements; what it asks of them
is the graph. The gradient is traced in the same way: autograd records the graph's calls as it would
record them on tensors, and walking back it makes calls that are the gradient's graph.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

from cresset.autograd.engine import grad
from cresset.autograd.mode import mode
from cresset.autograd.node import Leaf
from cresset.capture.expansion import expand
from cresset.capture.graph import Call, Graph, Value, value_of
from cresset.capture.spelling import HEADER, literal, spelled
from cresset.core.dtype import get_default_dtype
from cresset.core.generator import default_generator
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops.creation.tensors import filled
from cresset.ops.kinds.elementwise import Elementwise
from cresset.ops.operation import registry

# Constants of at most so many elements stand in the source.
MOST_WRITTEN = 8


class TracedGraph(Graph):
    """A function of tensors as the operations that it runs.

    `print(graph)` gives it as Python source, `graph(*tensors)` runs it with other numbers,
    `graph.gradient()` is the graph of its gradient. `constants` are the tensors by name that the
    function used and was not given, its weights for one; they stay what they are, so to train them
    changes the graph's results. `exec(str(graph), dict(graph.constants))` defines the function.
    """

    def __init__(self, name: str, known: dict):
        super().__init__()
        self.name = name
        # Names that somebody has for tensors, by id.
        self.known = known
        self.held: dict[int, tuple[Value, Tensor]] = {}
        self.single = True
        self.recorded = mode.enabled

    # --- while the function runs ------------------------------------------------------------------
    def take(self, op, args):
        # A layout that a gradient keeps is to be one that has elements.
        args = tuple(a.on("cpu") if isinstance(a, Layout) else a for a in args)
        if isinstance(op, Elementwise) and registry.get(op.name) is not op:
            return expand(op, args, self.uniform)
        result = self.enter(op, args)
        if not self.recorded or mode.enabled:
            return result
        # As under no_grad().
        return tuple(x.detach() for x in result) if type(result) is tuple else result.detach()

    def constant(self, op, tensor) -> Value:
        found = self.held.get(id(tensor))
        if found is None:
            if tensor.layout.device == "meta":
                raise RuntimeError(
                    f"trace: {op.label} meets a meta tensor of shape {tuple(tensor.layout.shape)}, "
                    "which has no elements; give the function's tensors as arguments"
                )
            found = self.held[id(tensor)] = (self.value(tensor.layout), tensor)
        return found[0]

    def uniform(self, x):
        """The number that fills a constant nobody else holds, None where no single one does."""
        tensor = next((t for v, t in self.held.values() if v is x), x)
        if isinstance(tensor, Value) or id(tensor) in self.known or not tensor.layout.numel:
            return None
        if tensor.layout.numel > 1 and any(tensor.layout.strides):
            return None
        return tensor.detach().flatten()[0].item()

    def finish(self, result) -> TracedGraph:
        """Take the result of the function, drop what it does not need, and give names."""
        self.single = not isinstance(result, (tuple, list))
        results = (result,) if self.single else tuple(result)
        for x in results:
            if not isinstance(x, Tensor):
                raise TypeError(
                    f"trace: the function must return a tensor or a tuple of tensors; it returned "
                    f"{type(x).__name__}"
                )
        found = map(value_of, results)
        self.outputs = tuple(
            v if isinstance(v, Value) else self.constant(None, v) for v in found
        )
        needed = set(self.outputs)
        kept = []
        for call in reversed(self.calls):
            if needed.intersection(call.outputs):
                kept.append(call)
                needed.update(a for a in call.args if isinstance(a, Value))
        self.calls = kept[::-1]
        self.held = {key: held for key, held in self.held.items() if held[0] in needed}
        self._give_names()
        return self

    def _give_names(self):
        taken = {"torch", *(value.name for value in self.inputs)}

        def unused(start):
            k = 0
            while f"{start}{k}" in taken:
                k += 1
            taken.add(f"{start}{k}")
            return f"{start}{k}"

        for value, tensor in self.held.values():
            name = self.known.get(id(tensor))
            value.name = name if name and name not in taken else _written(tensor) or unused("c")
            taken.add(value.name)
        for call in self.calls:
            for value in call.outputs:
                value.name = unused("t")

    # --- the graph --------------------------------------------------------------------------------
    @property
    def constants(self) -> dict:
        """The tensors by name that the function used without being given them."""
        return {v.name: t for v, t in self.held.values() if v.name.isidentifier()}

    def __call__(self, *tensors):
        """Run the function with these tensors, of the shapes and types that it was traced with.

        Raises TypeError for another number of tensors or what is none, and RuntimeError for another
        shape or type, for which the function might have done something else.
        """
        if len(tensors) != len(self.inputs):
            raise TypeError(
                f"{self.name}: takes {len(self.inputs)} tensors "
                f"({', '.join(v.name for v in self.inputs)}); got {len(tensors)}"
            )
        values = dict(self.held.values())
        for value, x in zip(self.inputs, tensors):
            self._check(value, x)
            values[value] = x.contiguous()
        for call in self.calls:
            out = _called(call, [values[a] if isinstance(a, Value) else a for a in call.args])
            values.update(zip(call.outputs, out if isinstance(out, tuple) else (out,)))
        results = tuple(values[v] for v in self.outputs)
        return results[0] if self.single else results

    def _check(self, value, x):
        if not isinstance(x, Tensor):
            raise TypeError(f"{self.name}: {value.name} must be a tensor; got {type(x).__name__}")
        wanted = value.actual
        if x.layout.shape != wanted.shape or x.layout.dtype is not wanted.dtype:
            raise RuntimeError(
                f"{self.name}: {value.name} has shape {tuple(x.layout.shape)} and type "
                f"{x.layout.dtype}; the graph was traced with {tuple(wanted.shape)} and "
                f"{wanted.dtype}; trace the function again with such a tensor"
            )

    def __str__(self) -> str:
        """The function as Python source, to be read and to be run."""
        lines = [HEADER, ""]
        for name, x in self.constants.items():
            lines.append(f"# constant {name}: {tuple(x.layout.shape)}, {x.layout.dtype}")
        lines += ["", f"def {self.name}({', '.join(v.name for v in self.inputs)}):"]
        for call in self.calls:
            results = ", ".join(v.name for v in call.outputs)
            lines.append(f"    {results} = {self.spelled(call)}")
        end = "" if self.single or len(self.outputs) > 1 else ","
        lines.append(f"    return {', '.join(v.name for v in self.outputs)}{end}")
        return "\n".join(lines)

    def spelled(self, call: Call) -> str:
        """The right side of the line that makes a call."""
        return spelled(call)

    def __repr__(self) -> str:
        return f"<graph of {self.name} with {len(self.calls)} operations>"

    def gradient(self, *names: str) -> TracedGraph:
        """The graph of the gradient with respect to the inputs `names`, all floating ones if none.

        It takes the inputs of this graph, and behind them, for each result that is not a single
        real number, the gradient that comes to that result; it returns a gradient for each input,
        of its shape, or one alone where one name is given.

        Raises ValueError for a name that no floating input has, and NotImplementedError where an
        operation has no gradient.

        >>> import cresset as torch
        >>> graph = torch.trace(lambda x: (x * x).sum(), torch.ones(3))
        >>> graph.gradient()(torch.tensor([1.0, 2.0, 3.0]))
        tensor([2., 4., 6.])
        """
        by_name = {
            v.name: k for k, v in enumerate(self.inputs) if v.actual.dtype.is_differentiable
        }
        for name in names:
            if name not in by_name:
                raise ValueError(
                    f"gradient: no floating input is called {name!r}; need some of "
                    f"{', '.join(by_name)}"
                )
        places = [by_name[name] for name in names or by_name]
        graph = TracedGraph(f"{self.name}_gradient", self.known)
        inputs = [graph.input(v.actual, v.name) for v in self.inputs]
        taken, arriving = {v.name for v in self.inputs}, {}
        # Gradients are computed without being recorded, and yet have gradients.
        graph.recorded = False
        for value in self.outputs:
            d = value.actual.dtype
            if d.is_complex or value.actual.ndim and d.is_differentiable:
                name = next(n for k in range(len(taken) + 1)
                            if (n := f"g{k or ''}") not in taken)
                taken.add(name)
                arriving[value] = graph.input(_packed(value.actual), name)
        found = self._walk(inputs, [inputs[k] for k in places], arriving)
        return graph.finish(found[0] if len(places) == 1 else found)

    def _walk(self, inputs, wanted, arriving) -> tuple:
        """The gradients for the `wanted` inputs, captured."""
        before, mode.enabled = mode.enabled, True
        try:
            for value in wanted:
                value.history = Leaf(value)
            results = self(*inputs)
            results = (results,) if self.single else results
            pairs = [
                (result, arriving.get(value)) for result, value in zip(results, self.outputs)
                if isinstance(result, Tensor) and result.history is not None
            ]
            found = [None] * len(wanted)
            if pairs:
                outs, gs = zip(*pairs)
                found = grad(outs, wanted, gs, allow_unused=True)
        finally:
            mode.enabled = before
        return tuple(
            filled(v.actual.shape, v.actual.dtype, 0) if g is None else g
            for g, v in zip(found, wanted)
        )


def trace(function: Callable, *examples) -> TracedGraph:
    """The graph of a function of tensors; of a matrix, the sum of its diagonal.

    `examples` are arguments to trace it with: tensors give their shapes and types and become the
    inputs of the graph, whatever else there is, a number, a flag, becomes part of it. The function
    runs once, without elements; it may be a module, whose parameters are the graph's `constants`.

    Raises RuntimeError where the function asks for elements, which a graph cannot depend on, or
    draws random numbers; TypeError where it returns what is no tensor; NotImplementedError where it
    writes in place.

    >>> import cresset as torch
    >>> def neuron(w, x, b):
    ...     return torch.tanh(w * x + b)
    >>> number = torch.tensor(1.0)
    >>> graph = torch.trace(neuron, number, number, number)
    >>> print(graph)
    import cresset as torch
    <BLANKLINE>
    <BLANKLINE>
    def neuron(w, x, b):
        t0 = w * x
        t1 = t0 + b
        t2 = torch.tanh(t1)
        return t2
    >>> graph(torch.tensor(2.0), torch.tensor(0.5), torch.tensor(-1.0))
    tensor(0.)
    >>> print(graph.gradient("w"))
    import cresset as torch
    <BLANKLINE>
    <BLANKLINE>
    def neuron_gradient(w, x, b):
        t0 = w * x
        t1 = t0 + b
        t2 = torch.tanh(t1)
        t3 = t2 * t2
        t4 = 1.0 - t3
        t5 = t4 * x
        return t5
    """
    if isinstance(function, Tensor):
        # In PyTorch the name is that of the sum of a matrix' diagonal.
        return function.trace(*examples)
    names = _parameter_names(function, len(examples))
    graph = TracedGraph(_name_of(function), _known_tensors(function))
    args = [
        graph.input(_packed(e.layout), name) if isinstance(e, Tensor) else e
        for e, name in zip(examples, names)
    ]
    if not graph.inputs:
        raise TypeError("trace: there is no tensor among the examples; a graph is one of tensors")
    before = default_generator.state_bytes()
    result = function(*args)
    if default_generator.state_bytes() != before:
        default_generator.restore(before)
        raise RuntimeError(
            f"trace: {graph.name} draws random numbers, which would be the same ones whenever the "
            "graph runs; draw them outside and pass them in, or trace the function in eval() mode"
        )
    return graph.finish(result)


def _packed(layout: Layout) -> Layout:
    """What an input has: graphs are made for tensors in row order, and make them so."""
    return Layout.packed(layout.shape, layout.dtype, layout.device)


def _called(call: Call, args):
    """Run the operation of a call."""
    positional, keywords = [], {}
    for p, a in zip(call.op.parameters, args):
        if p.kind is p.KEYWORD_ONLY:
            keywords[p.name] = a
        else:
            positional.append(a)
    return call.op.function(*positional, **keywords)


def _written(tensor) -> str:
    """A small constant as source text, or nothing."""
    d, size = tensor.layout.dtype, tensor.layout.numel
    typed = "" if d is get_default_dtype() else f", dtype={d}"
    if tensor.history is not None:
        return ""
    if size > 1 and not any(tensor.layout.strides):
        number = literal(tensor.flatten()[0].item())
        return f"torch.full({tuple(tensor.layout.shape)}, {number}{typed})"
    return f"torch.tensor({literal(tensor.tolist())}{typed})" if size <= MOST_WRITTEN else ""


def _name_of(function) -> str:
    name = getattr(function, "__name__", type(function).__name__.lower())
    return name if name.isidentifier() else "function"


def _parameter_names(function, count) -> list[str]:
    """What the function calls its arguments; x0, x1, ... where it does not say."""
    named = []
    try:
        for p in inspect.signature(getattr(function, "forward", function)).parameters.values():
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
                named.append(p.name)
    except (TypeError, ValueError):
        # Some builtins do not say.
        pass
    return named[:count] + [f"x{k}" for k in range(len(named), count)]


def _known_tensors(function) -> dict:
    """The names of tensors that the function has without being given them, by id."""
    owner = getattr(function, "__self__", function)
    if hasattr(owner, "named_parameters"):
        listed = [*owner.named_parameters(), *owner.named_buffers()]
        # "0.weight" of the first layer of a Sequential: a name must not start with a digit.
        return {
            id(tensor): "p" * name[:1].isdigit() + name.replace(".", "_") for name, tensor in listed
        }
    try:
        outside = inspect.getclosurevars(function)
    except TypeError:
        return {}
    seen = {**outside.globals, **outside.nonlocals}
    return {id(x): name for name, x in seen.items() if isinstance(x, Tensor)}
