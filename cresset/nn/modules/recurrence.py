"""Recurrences: one time step of each, and the scan of one over a whole sequence.

    pre_t = W_hh h_{t-1} + b_hh,    state_t = cell(inputs_t, pre_t, state_{t-1})

`inputs` are W_ih x + b_ih, of (time, batch, gates * hidden); a state is a list of tensors of
(batch, hidden), h first. The scan is one entry in the graph: going back it collects the gradient of
every pre_t, and meets them all with the hidden states in one product, where a step that was
recorded by itself would add up one product each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import cresset
from cresset import Tensor
from cresset.nn import functional as F
from cresset.ops.neural.recurrence import gru_gates, lstm_gates


class Recurrence(NamedTuple):
    """What one recurrence does in a time step.

    `cell` is the elementwise operation that makes the new state, of the parts of pre_t, one for
    each of `gates`, and of the tensor `tail` of the state, if any. Where `added`, pre_t has
    inputs_t in it; elsewhere their parts come before its own.
    """

    cell: Callable
    gates: int
    added: bool = True
    tail: int | None = None

    def pre(self, inputs: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """pre_t from the hidden state before."""
        if not self.added:
            return F.linear(hidden, weight, bias)
        if bias is not None:
            inputs = inputs + bias
        return cresset.addmm(inputs, hidden, weight.t())

    def operands(self, inputs: Tensor, pre: Tensor, state: list[Tensor]) -> list[Tensor]:
        """What the cell reads."""
        found = [] if self.added else self.parts(inputs)
        found += self.parts(pre)
        return found if self.tail is None else [*found, state[self.tail]]

    def parts(self, x: Tensor) -> list[Tensor]:
        """The gates' parts of x, each of (batch, hidden)."""
        return [x] if self.gates == 1 else list(x.view(len(x), self.gates, -1).unbind(1))

    def step(
        self, inputs: Tensor, state: list[Tensor], weight: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """pre_t, and the state after the time step."""
        pre = self.pre(inputs, state[0], weight, bias)
        return pre, _as_list(self.cell(*self.operands(inputs, pre, state)))

    def gradients(self, gs: list[Tensor], operands: list[Tensor], made: Tensor) -> list[Tensor]:
        """The gradients of the cell's operands, given those of the state and the hidden one."""
        form = self.cell.op.backward_form((True,) * len(operands), (True,) * len(operands))
        named = dict(zip(self.cell.op.parameter_names, operands), out=made)
        return _as_list(form.function(*gs, *(named[name] for name in form.reads)))


TANH = Recurrence(cresset.tanh, 1)
RELU = Recurrence(cresset.relu, 1)
# Elman's, by the nonlinearity.
ELMAN = {"tanh": TANH, "relu": RELU}
LSTM = Recurrence(lstm_gates, 4, tail=1)
GRU = Recurrence(gru_gates, 3, added=False, tail=0)


class Scan(cresset.autograd.Function):
    """A recurrence over all time steps, forwards or backwards.

    `apply` takes the recurrence, whether it runs backwards, inputs, W_hh, b_hh (or None), W_hr (or
    None) by which the hidden state is multiplied, and the first state. It returns the hidden states
    of all time steps, and whatever else backward reads of every step: the other tensors of the
    state, pre_t, and the hidden states before their product with W_hr.
    """

    @staticmethod
    def forward(ctx, recurrence, backwards, inputs, weight, bias, projection, *first):
        state, states, pres, mades = list(first), [], [], []
        steps = inputs.unbind(0)
        for step in reversed(steps) if backwards else steps:
            pre, state = recurrence.step(step, state, weight, bias)
            pres.append(pre)
            if projection is not None:
                mades.append(state[0])
                state[0] = F.linear(state[0], projection)
            states.append(state)
        lists = [*zip(*states), pres, *([mades] if mades else [])]
        results = tuple([cresset.stack(x[::-1] if backwards else x) for x in lists])
        ctx.recurrence, ctx.backwards, ctx.projected = recurrence, backwards, bool(mades)
        ctx.set_materialize_grads(False)
        # Where the inputs are in pre_t, nothing else reads them.
        given = None if recurrence.added else inputs
        ctx.save_for_backward(given, weight, projection, *first, *results)
        return results

    @staticmethod
    def backward(ctx, *gs):
        recurrence, projected = ctx.recurrence, ctx.projected
        inputs, weight, projection, *saved = ctx.saved_tensors
        count = len(saved) - len(gs)
        first, results = saved[:count], saved[count:]
        states, pres = results[:count], results[count]
        time = range(len(pres))
        order = time if ctx.backwards else time[::-1]
        before = [_before(x, y, ctx.backwards) for x, y in zip(first, states)]
        # Unbound at once: slices one by one would each have a gradient of the whole's size.
        made = results[-1] if projected else states[0]
        read = (pres if inputs is None else inputs, pres, made)
        steps = list(zip(*(x.unbind(0) for x in read)))
        given = [None if g is None else g.unbind(0) for g in gs]
        earlier = list(zip(*(x.unbind(0) for x in before)))
        carried = [cresset.zeros_like(x) for x in first]
        g_inputs, g_pres, g_hiddens = [], [], []
        for t in order:
            g_state = [_plus(g, more, t) for g, more in zip(carried, given)]
            g_hiddens.append(g_state[0])
            if projected:
                g_state[0] = _plus(g_state[0] @ projection, given[-1], t)
            step, pre, made = steps[t]
            operands = recurrence.operands(step, pre, earlier[t])
            found = recurrence.gradients(g_state, operands, made)
            tail = None if recurrence.tail is None else found.pop()
            g_pre = _plus(_joined(found[-recurrence.gates :]), given[count], t)
            g_pres.append(g_pre)
            if not recurrence.added:
                g_inputs.append(_joined(found[: recurrence.gates]))
            if recurrence.tail == 0:
                carried = [cresset.addmm(tail, g_pre, weight)]
            else:
                carried = [g_pre @ weight, *([] if tail is None else [tail])]
        if not ctx.backwards:
            for gradients in (g_inputs, g_pres, g_hiddens):
                gradients.reverse()
        g_pre = cresset.stack(g_pres)
        g_bias = g_pre.sum((0, 1)) if ctx.needs_input_grad[4] else None
        g_projection = _product(cresset.stack(g_hiddens), results[-1]) if projected else None
        return (
            None, None, cresset.stack(g_inputs) if g_inputs else g_pre,
            _product(g_pre, before[0]), g_bias, g_projection, *carried,
        )


def _as_list(found: Any) -> list[Tensor]:
    return list(found) if isinstance(found, tuple) else [found]


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else cresset.cat(parts, 1)


def _plus(g: Tensor, more: tuple[Tensor, ...] | None, t: int) -> Tensor:
    """A gradient and what comes to it at a time step from outside, if anything does."""
    return g if more is None else g + more[t]


def _before(first: Tensor, states: Tensor, backwards: bool) -> Tensor:
    """The state before every time step."""
    first = first.unsqueeze(0)
    return cresset.cat([states[1:], first] if backwards else [first, states[:-1]])


def _product(x: Tensor, y: Tensor) -> Tensor:
    """The sum over time and batch of x^T y."""
    return x.flatten(0, 1).t() @ y.flatten(0, 1)
