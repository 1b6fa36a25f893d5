"""Recurrences: the gates of their cells, and the loop over all time steps as one launch.

    pre_t = W_hh h_{t-1} + b_hh,    state_t = cell(inputs_t, pre_t, state_{t-1})

`inputs` are W_ih x + b_ih, of (time, batch, gates * hidden). A state is one tensor of (batch,
hidden), or two, h first; what is called `hidden` and `cell` here has all states in it, that before
the first time step included, so states[t] and states[t + 1] are before and after step t (after and
before it where the recurrence runs backwards). With a projection h is multiplied by W_hr before it
is handed on.
"""

from __future__ import annotations

from typing import NamedTuple

from cresset.core import scalar
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels.turns import Slot, Turns
from cresset.ops.kinds import elementwise, special
from cresset.ops.operation import Operation, registry
from cresset.runtime.program import Program

__all__ = ["gru_gates", "lstm_gates"]


@elementwise(outputs=2)
def lstm_gates(take, keep, value, show, cell):
    """c = sigmoid(keep) * cell + sigmoid(take) * tanh(value) and h = sigmoid(show) * tanh(c).

    The gates are what comes before the activations; returns (h, c). Hochreiter and Schmidhuber
    (1997), with the forget gate of Gers and others (2000).
    """
    kept = scalar.sigmoid(keep) * cell + scalar.sigmoid(take) * scalar.tanh(value)
    return scalar.sigmoid(show) * scalar.tanh(kept), kept


@elementwise
def gru_gates(input_reset, input_update, input_new, reset, update, new, hidden):
    """h' = n + z * (h - n), where r = sigmoid(input_reset + reset), z = sigmoid(input_update +
    update) and n = tanh(input_new + r * new). Cho and others (2014), in cuDNN's form.
    """
    made = scalar.tanh(input_new + scalar.sigmoid(input_reset + reset) * new)
    return made + scalar.sigmoid(input_update + update) * (hidden - made)


class Recurrence(NamedTuple):
    """What one recurrence does in a time step.

    `cell` is the elementwise operation that makes the new state, of the parts of pre_t, one for
    each of `gates`, and of the tensor `tail` of the state, if any. Where `added`, pre_t has
    inputs_t in it, and b_hh is theirs; elsewhere their parts come before its own.
    """

    cell: Operation
    gates: int
    added: bool = True
    tail: int | None = None

    @property
    def states(self) -> int:
        """How many tensors a state is."""
        return self.cell.outputs


RECURRENCES = {
    "tanh": Recurrence(registry["tanh"], 1),
    "relu": Recurrence(registry["relu"], 1),
    "lstm": Recurrence(lstm_gates.op, 4, tail=1),
    "gru": Recurrence(gru_gates.op, 3, added=False, tail=0),
}


# --- forward --------------------------------------------------------------------------------------
@special
def recurrence(inputs: Tensor, weight: Tensor, bias: Tensor | None, projection: Tensor | None,
               hidden: Tensor, cell: Tensor | None, kind, backwards):
    """All states of the recurrence of this `kind` (a key of RECURRENCES) from a first one.

    Returns the states h, c if there are such, pre_t of all time steps, and h before its projection
    if there is one. `bias` is for kinds whose inputs are not added. Raises RuntimeError where
    shapes or types do not fit.
    """
    rule = _rule("recurrence", kind, inputs)
    time, batch, width = inputs.shape
    size = width // rule.gates
    handed = hidden.shape[-1] if projection is not None and hidden.ndim else size
    _check("recurrence", inputs.dtype, [
        ("weight", weight, (width, handed)),
        ("bias", bias, None if rule.added else bias and (width,)),
        ("projection", projection, None if rule.tail == 0 else projection and (handed, size)),
        ("hidden", hidden, (batch, handed)),
        ("cell", cell, (batch, size) if rule.states > 1 else None),
    ])
    outs = [Layout.packed((time + 1, *hidden.shape), inputs.dtype)]
    if cell is not None:
        outs.append(Layout.packed((time + 1, *cell.shape), inputs.dtype))
    outs.append(Layout.packed(inputs.shape, inputs.dtype))
    if projection is not None:
        outs.append(Layout.packed((time, batch, size), inputs.dtype))
    places, first = _places(outs, (inputs, weight, bias, projection, hidden, cell))
    *states, pres = places[: rule.states + 1]
    given, weights, biases, projections, *firsts = places[len(outs):]
    turns = Turns(first)
    start = time if backwards else 0
    for state, own in zip(states, firsts):
        turns.store(own, state.along(start, 0))
    panels = turns.packed(weights.transposed(), batch)
    if projections:
        narrow = turns.packed(projections.transposed(), batch)
    with turns.repeated(time):
        before, after, during = _in_time(time, backwards)
        state = [x.along(*before) for x in states]
        following = [x.along(*after) for x in states]
        step, pre = given.along(*during), pres.along(*during)
        addend = step if rule.added else biases and biases.rows(batch)
        turns.product_of_panels(state[0], panels, pre, addend)
        made = places[len(outs) - 1].along(*during) if projections else following[0]
        _compute(turns, rule.cell, _operands(rule, step, pre, state), [made, *following[1:]])
        if projections:
            turns.product_of_panels(made, narrow, following[0])
    return _program(outs, places, turns)


# --- backward -------------------------------------------------------------------------------------
@special
def recurrence_backward(g_hidden: Tensor, g_cell: Tensor | None, inputs: Tensor | None,
                        hidden: Tensor, cell: Tensor | None, pres: Tensor, made: Tensor | None,
                        weight: Tensor, projection: Tensor | None, kind, backwards):
    """The gradients of all states and of pre_t, given those that come to the states from outside.

    Returns those of h, of c if there are such, of pre_t, and of the inputs where they are not
    added. `inputs` are read for such kinds alone. Raises RuntimeError where shapes or types do not
    fit.
    """
    rule = _rule("recurrence_backward", kind, pres)
    time, batch, width = pres.shape
    size = width // rule.gates
    handed = hidden.shape[-1] if projection is not None and hidden.ndim else size
    states, cells = (time + 1, batch, handed), (time + 1, batch, size)
    _check("recurrence_backward", pres.dtype, [
        ("g_hidden", g_hidden, states),
        ("g_cell", g_cell, g_cell and cells if rule.states > 1 else None),
        ("inputs", inputs, None if rule.added else (time, batch, width)),
        ("hidden", hidden, states),
        ("cell", cell, cells if rule.states > 1 else None),
        ("made", made, projection and (time, batch, size)),
        ("weight", weight, (width, handed)),
        ("projection", projection, None if rule.tail == 0 else projection and (handed, size)),
    ])
    outs = [Layout.packed(hidden.shape, pres.dtype)]
    if cell is not None:
        outs.append(Layout.packed(cell.shape, pres.dtype))
    outs.append(Layout.packed(pres.shape, pres.dtype))
    if inputs is not None:
        outs.append(Layout.packed(inputs.shape, pres.dtype))
    places, first = _places(outs, (g_hidden, g_cell, inputs, hidden, cell, pres, made, weight,
                                   projection))
    *g_states, g_pres = places[: rule.states + 1]
    arriving, arriving_cell, given, *states = places[len(outs): len(outs) + 5]
    computed, makes, weights, projections = places[len(outs) + 5:]
    turns = Turns(first)
    last = 0 if backwards else time
    for arrived, state in zip((arriving, arriving_cell), g_states):
        turns.store(arrived and arrived.along(last, 0), state.along(last, 0))
    panels = turns.packed(weights, batch)
    if projections:
        wide = turns.packed(projections, batch)
        g_made = turns.scratch(makes.along(0, 0).layout)
    if rule.tail == 0:
        g_tail = turns.scratch(Layout.packed(hidden.shape[1:], pres.dtype))
    with turns.repeated(time):
        # Time runs the other way: what a step comes from is what its gradient goes to.
        after, before, during = _in_time(time, not backwards)
        g_after, g_before = ([x.along(*at) for x in g_states] for at in (after, before))
        if projections:
            turns.product_of_panels(g_after[0], wide, g_made)
            g_after[0] = g_made
        step, pre = given and given.along(*during), computed.along(*during)
        operands = _operands(rule, step, pre, [x and x.along(*before) for x in states])
        g_pre = g_pres.along(*during)
        targets = g_pre.parts(rule.gates)
        if not rule.added:
            targets = places[len(outs) - 1].along(*during).parts(rule.gates) + targets
        if rule.tail is not None:
            targets.append(g_tail if rule.tail == 0 else g_before[rule.tail])
        more = (arriving, arriving_cell)[rule.tail or 0]
        more = more.along(*before) if more and rule.tail is not None else None
        result = makes.along(*during) if projections else states[0].along(*after)
        _differentiate(turns, rule.cell, g_after, operands, result, targets, more)
        addend = g_tail if rule.tail == 0 else arriving.along(*before)
        turns.product_of_panels(g_pre, panels, g_before[0], addend)
    return _program(outs, places, turns)


# --- both -----------------------------------------------------------------------------------------
def _rule(operation: str, kind: str, x: Layout) -> Recurrence:
    """What a kind stands for; `x` is of (time, batch, gates * hidden)."""
    rule = RECURRENCES.get(kind)
    if rule is None:
        raise RuntimeError(
            f"{operation}: there is no kind {kind!r}; need one of {', '.join(RECURRENCES)}"
        )
    if not x.dtype.is_floating_point or x.ndim != 3 or not x.shape[0] or x.shape[2] % rule.gates:
        raise RuntimeError(
            f"{operation}: got {x.dtype} of shape {tuple(x.shape)}; need floating numbers of "
            f"(time, batch, {rule.gates} * hidden), at least one time step of them"
        )
    return rule


def _check(operation: str, dtype, expected) -> None:
    """RuntimeError unless operands have the shapes expected of them, or are absent for None."""
    for name, x, shape in expected:
        found = None if x is None else tuple(x.shape)
        if found != (None if shape is None else tuple(shape)) or x and x.dtype is not dtype:
            raise RuntimeError(
                f"{operation}: {name} is {x and (x.dtype, found)}; need {shape and (dtype, shape)}"
            )


def _places(outs, specs):
    """A slot for each output and operand, None where there is none, and the place of the next."""
    layouts = (*outs, *specs)
    slots = [x if x is None else Slot(place, x) for place, x in enumerate(layouts)]
    return slots, len(layouts)


def _program(outs, places, turns: Turns) -> Program:
    letters = "".join("n" if x is None else "t" for x in places[len(outs):])
    steps, temporaries = turns.result()
    return Program(letters, tuple(outs), tuple(steps), tuple(temporaries))


def _in_time(time: int, backwards: bool):
    """Where the states before and after, and what is of the steps themselves, lie as turns go by:
    the first index, and the step from turn to turn.
    """
    if backwards:
        return (time, -1), (time - 1, -1), (time - 1, -1)
    return (0, 1), (1, 1), (0, 1)


def _operands(rule: Recurrence, inputs: Slot | None, pre: Slot, state) -> list[Slot]:
    """What the cell reads."""
    found = [] if inputs is None or rule.added else inputs.parts(rule.gates)
    found += pre.parts(rule.gates)
    return found if rule.tail is None else [*found, state[rule.tail]]


def _compute(turns: Turns, op: Operation, operands: list[Slot], targets: list[Slot]) -> None:
    """The targets = op(operands)."""
    specs = [slot.layout for slot in operands]
    _launch(turns, op, op.expressions(specs), operands, targets)


def _differentiate(turns: Turns, op: Operation, gs: list[Slot], operands: list[Slot], result: Slot,
                   targets: list[Slot], more: Slot | None) -> None:
    """The targets = the gradients of op's operands; `more` is added to the last."""
    every = (True,) * len(operands)
    form = op.backward_form(every, every)
    named = dict(zip(op.parameter_names, operands), out=result)
    read = [*gs, *(named[name] for name in form.reads)]
    derived = form.function.op
    expressions = derived.expressions([slot.layout for slot in read])
    if more is not None:
        added = scalar.argument(len(read), more.layout.dtype)
        expressions = (*expressions[:-1], expressions[-1] + added)
        read.append(more)
    _launch(turns, derived, expressions, read, targets)


def _launch(turns: Turns, op: Operation, expressions, operands: list[Slot], targets: list[Slot]):
    layouts = [[slot.layout for slot in slots] for slots in (targets, operands)]
    count = len(targets)
    turns.add(op.launches(expressions, *layouts, range(count), count), (*targets, *operands))
