"""Fusion: from a graph to the program that runs it.

Calls are taken in order and gathered into groups, each of which becomes one loop nest: elementwise
calls over one iteration space, and reductions of it over one set of dims. What a group needs from
outside it reads from memory; what is used outside it writes there. A call that fits no group closes
the one that is open.

Within a group a value is an expression, and a map from its own dims to those of the iteration
space. Views of such values only change the map; it is read off by running the view on a layout
whose strides tell the dims apart.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

from cresset.capture.graph import Call, Graph, Value, capture
from cresset.capture.verify import verify
from cresset.core import check, scalar
from cresset.core.layout import Layout
from cresset.core.scalar import Expression
from cresset.kernels.nest import Nest, Operand, Reduce, Store, steps
from cresset.ops import dispatch
from cresset.ops.kinds.elementwise import Elementwise
from cresset.ops.kinds.reduce import Reduction
from cresset.ops.kinds.view import View
from cresset.runtime.program import STATUS, Program, Step, joined


class Buffer(NamedTuple):
    """A value in memory: its place in the value table, its layout, its offset in elements."""

    place: int
    layout: Layout
    offset: int = 0


class Inner(NamedTuple):
    """A value inside the open group: an expression, and the space dim of each of its dims.

    A dim of size 1 that stands for no dim of the space maps to None. `kept` says that the value is
    the same at all points that differ in reduced dims alone.
    """

    expression: Expression
    dims: tuple
    kept: bool


class Group:
    """The nest that is being gathered."""

    def __init__(self, shape):
        self.shape = tuple(shape)
        self.reduced: frozenset = frozenset()
        self.operands: list[Operand] = []
        self.leaves: dict = {}
        self.reductions: list[Reduce] = []
        self.accumulators = 0
        self.inner: dict[Value, Inner] = {}

    def read(self, buffer: Buffer, dims) -> Expression:
        """The expression that loads a buffer whose dims lie along the space dims `dims`."""
        strides = [0] * len(self.shape)
        for d, n, s in zip(dims, buffer.layout.shape, buffer.layout.strides):
            if d is not None and n != 1:
                strides[d] = s
        return self._leaf(
            Operand(buffer.place, buffer.layout.dtype, tuple(strides), buffer.offset)
        )

    def number(self, value, dtype) -> Expression:
        """The expression of a Python number: a word of the plan, not a constant of the kernel."""
        if dtype.category == dtype.BOOL:
            return scalar.constant(value, dtype)
        if dtype.category == dtype.COMPLEX:
            part = dtype.to_real()
            return scalar.join(self.number(value.real, part), self.number(value.imag, part))
        return self._leaf(
            Operand(-1, dtype, None, 0, "d" if isinstance(value, float) else "i", value)
        )

    def _leaf(self, operand: Operand) -> Expression:
        key = operand.identity()
        leaf = self.leaves.get(key)
        if leaf is None:
            leaf = self.leaves[key] = scalar.argument(len(self.operands), operand.dtype)
            self.operands.append(operand)
        return leaf


class Fuser:
    """Turns one graph into a program."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.buffers: dict[Value, Buffer] = {}
        self.temporaries: list[int] = []
        self.launches: list[Step] = []
        # What explains the faults of programs within this one, and the number of their first step.
        self.explained: list[tuple[int, Callable]] = []
        self.group = Group(())
        self.open = False
        self.outputs = tuple(Layout.packed(v.actual.shape, v.actual.dtype) for v in graph.outputs)
        count = len(self.outputs)
        for k, value in enumerate(graph.inputs):
            self.buffers[value] = Buffer(count + k, value.actual)
        self.first_temporary = count + len(graph.inputs)
        # How many calls and results still want each value, to know what must be written.
        self.wanted: dict[Value, int] = {}
        for call in graph.calls:
            for a in call.args:
                if isinstance(a, Value):
                    self.wanted[a] = self.wanted.get(a, 0) + 1
        for value in graph.outputs:
            self.wanted[value] = self.wanted.get(value, 0) + 1

    def run(self) -> Program:
        for call in self.graph.calls:
            self.take(call)
            for a in call.args:
                if isinstance(a, Value):
                    self.wanted[a] -= 1
        self.close()
        self._copy_results()
        letters = "t" * len(self.graph.inputs)
        return Program(
            letters, self.outputs, tuple(self.launches), tuple(self.temporaries),
            joined(self.explained),
        )

    # --- taking calls -----------------------------------------------------------------------------
    def take(self, call: Call):
        if isinstance(call.op, View):
            if self._take_view(call):
                return
        elif isinstance(call.op, Elementwise):
            if not self._join_elementwise(call):
                self.close()
                self._open(call.outputs[0].actual.shape)
                if not self._join_elementwise(call):
                    raise AssertionError(f"fuse: {call} fits no group of its own")
            return
        elif isinstance(call.op, Reduction):
            if not self._join_reduction(call):
                self.close()
                self._open(call.args[0].actual.shape)
                if not self._join_reduction(call):
                    raise AssertionError(f"fuse: {call} fits no group of its own")
            return
        self.close()
        if isinstance(call.op, View):
            self._take_view(call)
        else:
            self._inline(call)

    def _open(self, shape):
        self.group, self.open = Group(shape), True

    def _take_view(self, call) -> bool:
        source, statics = call.args[0], call.args[1:]
        (out,) = call.outputs
        buffer = self.buffers.get(source)
        if buffer is not None:
            layout, offset = call.op.restride(buffer.layout, *statics)
            before = buffer.offset * buffer.layout.dtype.itemsize
            start, rest = divmod(before, layout.dtype.itemsize)
            if not rest:
                self.buffers[out] = Buffer(buffer.place, layout, start + offset)
                return True
            # Numbers of another type that do not start where one of its own could.
            self.buffers[source] = self._copied(buffer)
            return self._take_view(call)
        inner = self.group.inner.get(source)
        if inner is None:
            return False
        dims = _view_dims(call.op, source.actual, statics, inner.dims)
        if dims is None:
            return False
        self.group.inner[out] = inner._replace(dims=dims)
        return True

    def _join_elementwise(self, call: Call) -> bool:
        group = self.group
        if not self.open:
            return False
        shape = tuple(call.outputs[0].actual.shape)
        dims = self._place(call.args, shape)
        if dims is None:
            return False
        expressions = self._values(call, shape, dims)
        kept = all(
            group.inner[a].kept if a in group.inner else not self._moves(a, shape, dims)
            for a in call.args if isinstance(a, Value)
        ) and bool(group.reductions)
        for out, e in zip(call.outputs, expressions):
            group.inner[out] = Inner(e, dims, kept)
        return True

    def _moves(self, value, shape, dims) -> bool:
        """Whether a buffer read along `dims` changes over reduced dims."""
        pad = len(shape) - value.actual.ndim
        return any(
            n != 1 and d in self.group.reduced
            for n, d in zip(value.actual.shape, dims[pad:])
        )

    def _place(self, args, shape):
        """The space dim of each dim of a result of `shape`, or None where it does not fit."""
        group = self.group
        dims: list = [None] * len(shape)
        inside = False
        for a in args:
            inner = group.inner.get(a) if isinstance(a, Value) else None
            if inner is None:
                if isinstance(a, Value) and a not in self.buffers:
                    return None
                continue
            inside = True
            pad = len(shape) - len(inner.dims)
            for j, (d, n) in enumerate(zip(inner.dims, a.actual.shape)):
                if n == 1 or d is None:
                    continue
                if dims[pad + j] not in (None, d):
                    return None
                dims[pad + j] = d
        placed = [d for d in dims if d is not None]
        if len(set(placed)) < len(placed):
            # As in x[:, None] + x[None, :]: every point of the result needs two of the space.
            return None
        if not inside:
            # Nothing ties the call to the group: it may join where it fills the whole space.
            return tuple(range(len(shape))) if shape == group.shape else None
        # Dims that only operands in memory have lie where the others leave room, in order.
        for j, n in enumerate(shape):
            if dims[j] is None and n != 1:
                d = j + len(group.shape) - len(shape)
                if d < 0 or d in dims or group.shape[d] != n:
                    return None
                dims[j] = d
        return tuple(dims)

    def _values(self, call, shape, dims) -> list[Expression]:
        """The call's results as expressions of the group."""
        op = call.op
        specs = tuple(
            a.actual if isinstance(a, Value) else dispatch.spec_of(kind, a)
            for kind, a in zip(op.parameter_kinds, call.args)
        )
        expressions = op.expressions(specs)
        replaced = {}
        index = -1
        for a, kind in zip(call.args, op.parameter_kinds):
            if kind == "static":
                continue
            index += 1
            for e in scalar.arguments(*expressions):
                if e.value == index:
                    replaced[e] = self._argument(a, e, shape, dims)
        return [scalar.substitute(e, replaced) for e in expressions]

    def _argument(self, a, leaf, shape, dims):
        if not isinstance(a, Value):
            return self.group.number(a, leaf.dtype)
        inner = self.group.inner.get(a)
        if inner is not None:
            return inner.expression
        buffer = self.buffers[a]
        return self.group.read(buffer, dims[len(shape) - buffer.layout.ndim :])

    def _join_reduction(self, call: Call) -> bool:
        group = self.group
        if not self.open:
            return False
        source = call.args[0]
        inner = group.inner.get(source)
        if inner is None:
            buffer = self.buffers.get(source)
            if buffer is None or tuple(source.actual.shape) != group.shape:
                return False
            own = tuple(range(len(group.shape)))
            inner = Inner(group.read(buffer, own), own, False)
        if inner.kept and group.reductions:
            return False
        specs = (source.actual, *call.args[1:])
        axes, reduction, finish = call.op.body_over(specs)
        reduced = frozenset(inner.dims[d] for d in axes if source.actual.shape[d] != 1)
        covered = {d for d in inner.dims if d is not None}
        if any(group.shape[d] != 1 for d in range(len(group.shape)) if d not in covered):
            return False
        reduced |= {d for d, n in enumerate(group.shape) if n == 1 and d in axes}
        reduced = frozenset(d for d in reduced if d is not None)
        if group.reductions and _sizes(group, reduced) != _sizes(group, group.reduced):
            return False
        if any(e.name == "position" for e in scalar.topological(*reduction.lift)) and (
            inner.dims != tuple(range(len(group.shape)))
        ):
            return False
        if not group.reductions:
            group.reduced = reduced
            self._mark_kept()
        leaf = scalar.argument(0, inner.expression.dtype)
        lift = tuple(scalar.substitute(e, {leaf: inner.expression}) for e in reduction.lift)
        first = group.accumulators
        group.reductions.append(reduction._replace(lift=lift))
        renumber = {
            scalar.accumulator(k, e.dtype): scalar.accumulator(first + k, e.dtype)
            for k, e in enumerate(lift)
        }
        group.accumulators += len(lift)
        keepdim = len(call.outputs[0].actual.shape) == len(inner.dims)
        dims = tuple(
            None if d in axes else m for d, m in enumerate(inner.dims) if keepdim or d not in axes
        )
        for out, e in zip(call.outputs, finish):
            group.inner[out] = Inner(scalar.substitute(e, renumber), dims, True)
        return True

    def _mark_kept(self):
        """Once the reduced dims are known: which values do not depend on them."""
        group = self.group
        moving = {
            scalar.argument(k, operand.dtype) for k, operand in enumerate(group.operands)
            if operand.strides is not None and any(operand.strides[d] for d in group.reduced)
        }
        for value, inner in group.inner.items():
            kept = not any(e in moving for e in scalar.topological(inner.expression))
            group.inner[value] = inner._replace(kept=kept)

    # --- closing groups ---------------------------------------------------------------------------
    def close(self):
        """Write what is still wanted of the open group, as one nest."""
        group = self.group
        if not self.open:
            return
        self.group, self.open = Group(()), False
        operands = list(group.operands)
        body: list = list(group.reductions)
        reduced = group.reduced
        for value, inner in group.inner.items():
            if not self.wanted.get(value):
                continue
            buffer = self._room(value)
            strides = [0] * len(group.shape)
            for d, n, s in zip(inner.dims, buffer.layout.shape, buffer.layout.strides):
                if d is not None and n != 1:
                    strides[d] = s
            operands.append(Operand(buffer.place, buffer.layout.dtype, tuple(strides)))
            once = inner.kept and bool(reduced)
            body.append(Store(len(operands) - 1, inner.expression, once))
            self.buffers[value] = buffer
        if not any(isinstance(s, Store) for s in body):
            return
        position = _position_strides(group.shape, sorted(reduced))
        nest = Nest(group.shape, reduced, tuple(operands), tuple(body), position)
        launches, temporaries = steps(nest, self.first_temporary + len(self.temporaries))
        self.launches += launches
        self.temporaries += temporaries

    def _room(self, value) -> Buffer:
        """Memory for a value: an output's own, or a temporary."""
        layout = Layout.packed(value.actual.shape, value.actual.dtype)
        for k, output in enumerate(self.graph.outputs):
            if output is value:
                return Buffer(k, layout)
        self.temporaries.append(layout.nbytes)
        return Buffer(self.first_temporary + len(self.temporaries) - 1, layout)

    def _inline(self, call: Call):
        """Run a special operation's own program within this one."""
        specs, places = [], []
        for a, kind in zip(call.args, call.op.parameter_kinds):
            if isinstance(a, Value):
                buffer = self._at_start(self.buffers[a])
                specs.append(buffer.layout)
                places.append(buffer.place)
            else:
                if kind != "static" and a is not None:
                    raise NotImplementedError(f"fuse: {call.op.name} takes a number while captured")
                specs.append(a)
                if kind != "static":
                    places.append(STATUS)
        program = call.op.program(tuple(specs))
        table = []
        for value, layout in zip(call.outputs, program.outputs):
            buffer = self._room(value)
            if buffer.layout is not layout:
                self.temporaries.append(layout.nbytes)
                buffer = Buffer(self.first_temporary + len(self.temporaries) - 1, layout)
            self.buffers[value] = buffer
            table.append(buffer.place)
        table += places
        first = self.first_temporary + len(self.temporaries)
        table += range(first, first + len(program.temporaries))
        self.temporaries += program.temporaries
        if program.explain is not None:
            self.explained.append((len(self.launches), program.explain))
        for step in program.steps:
            operands = tuple(k if k == STATUS else table[k] for k in step.operands)
            self.launches.append(step._replace(operands=operands))

    def _at_start(self, buffer: Buffer) -> Buffer:
        """A buffer without an offset: special programs take addresses as they are."""
        if not buffer.offset:
            return buffer
        return self._copied(buffer)

    def _copied(self, buffer: Buffer, target: Buffer | None = None) -> Buffer:
        layout = Layout.packed(buffer.layout.shape, buffer.layout.dtype)
        if target is None:
            self.temporaries.append(layout.nbytes)
            target = Buffer(self.first_temporary + len(self.temporaries) - 1, layout)
        leaf = scalar.argument(0, layout.dtype)
        operands = (
            Operand(buffer.place, layout.dtype, buffer.layout.strides, buffer.offset),
            Operand(target.place, layout.dtype, layout.strides),
        )
        nest = Nest(tuple(layout.shape), frozenset(), operands, (Store(1, leaf, False),))
        self.launches += steps(nest)[0]
        return target

    def _copy_results(self):
        """Results that are inputs, views, or asked for twice get memory of their own."""
        for k, (value, layout) in enumerate(zip(self.graph.outputs, self.outputs)):
            buffer = self.buffers[value]
            if buffer.place != k:
                self._copied(buffer, Buffer(k, layout))


def _sizes(group, dims):
    return frozenset(d for d in dims if group.shape[d] != 1)


def _position_strides(shape, dims):
    out, step = [0] * len(shape), 1
    for d in reversed(dims):
        out[d] = step
        step *= shape[d]
    return tuple(out)


def _view_dims(op, layout: Layout, statics, dims):
    """The dims of a view of a value with `dims`, or None where it is no relabelling of dims."""
    # Strides that no two sums of which are equal tell the dims apart.
    basis = tuple(1 << (16 * (k + 1)) for k in range(layout.ndim))
    probe = Layout.of(tuple(layout.shape), basis, layout.dtype, "meta")
    try:
        shape, strides, offset, *seen_as = op.body(probe, *statics)
    except RuntimeError:
        # A view that needs its dims joined in memory is no relabelling.
        return None
    if offset or seen_as:
        return None
    known = {s: (d, n) for s, d, n in zip(basis, dims, layout.shape, strict=True)}
    out: list = []
    for n, s in zip(shape, strides):
        if n == 1:
            out.append(None)
        elif s in known and known[s][1] == n:
            out.append(known[s][0])
        else:
            return None
    return tuple(out) if prod(shape) == layout.numel else None


def fuse(graph: Graph) -> Program:
    """The program of a graph."""
    if check.ENABLED:
        verify(graph)
    return Fuser(graph).run()


def compose(op, specs) -> Program:
    """The program of a composite operation called with such operands."""
    graph = capture(lambda *args: op.call_body(args), *specs)
    program = fuse(graph)
    # The launcher takes every operand of the call, those that are None included.
    letters = "".join(
        "n" if s is None else "t" for s, k in zip(specs, op.parameter_kinds) if k != "static"
    )
    if "n" not in letters:
        return program
    count = len(program.outputs)
    moved, place = {}, count
    for k, letter in enumerate(letters):
        if letter == "t":
            moved[place] = count + k
            place += 1
    missing = letters.count("n")

    def relocate(step):
        return step._replace(operands=tuple(
            k if k < count else moved.get(k, k + missing) for k in step.operands
        ))

    return program._replace(inputs=letters, steps=tuple(map(relocate, program.steps)))

