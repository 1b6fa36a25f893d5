"""Recurrences: one time step of each, and the scan of one over a whole sequence.

The scan is one entry in the graph, and one launch in each direction. Going back it collects the
gradient of every pre_t, and meets them all with the hidden states in one product, where a step that
was recorded by itself would add up one product each.
"""

from __future__ import annotations

import cresset
from cresset import Tensor
from cresset.nn import functional as F
from cresset.ops.neural.recurrence import (
    RECURRENCES,
    Recurrence,
    recurrence,
    recurrence_backward,
)


def step(
    rule: Recurrence, inputs: Tensor, state: list[Tensor], weight: Tensor, bias: Tensor | None
) -> list[Tensor]:
    """The state after one time step."""
    if rule.added:
        if bias is not None:
            inputs = inputs + bias
        operands = _parts(rule, cresset.addmm(inputs, state[0], weight.t()))
    else:
        operands = _parts(rule, inputs) + _parts(rule, F.linear(state[0], weight, bias))
    if rule.tail is not None:
        operands.append(state[rule.tail])
    found = rule.cell.function(*operands)
    return list(found) if isinstance(found, tuple) else [found]


def _parts(rule: Recurrence, x: Tensor) -> list[Tensor]:
    """The gates' parts of x, each of (batch, hidden)."""
    return [x] if rule.gates == 1 else list(x.view(len(x), rule.gates, -1).unbind(1))


class Scan(cresset.autograd.Function):
    """A recurrence over all time steps, forwards or backwards.

    `apply` takes the kind of recurrence, whether it runs backwards, inputs, W_hh, b_hh (or None),
    W_hr (or None) by which the hidden state is multiplied, and the first state. It returns the
    states of all time steps, the first one included, and then whatever else backward reads.
    """

    @staticmethod
    def forward(ctx, kind, backwards, inputs, weight, bias, projection, *first):
        hidden, cell = (*first, None)[:2]
        found = recurrence(inputs, weight, bias, projection, hidden, cell, kind, backwards)
        ctx.kind, ctx.backwards, ctx.states = kind, backwards, len(first)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*found[len(first) :])
        ctx.save_for_backward(inputs, weight, bias, projection, *first, *found)
        return found

    @staticmethod
    def backward(ctx, *gs):
        saved, gs = ctx.saved_tensors, gs[: ctx.states]
        arguments, found = saved[: 4 + ctx.states], saved[4 + ctx.states :]
        if cresset.is_grad_enabled():
            return None, None, *_gradients_of_steps(ctx, gs, arguments)
        inputs, weight, bias, projection = arguments[:4]
        hidden, cell = (*found[: ctx.states], None)[:2]
        made = None if projection is None else found[-1]
        g_hidden, g_cell = (*gs, None)[:2]
        if g_hidden is None:
            g_hidden = cresset.zeros_like(hidden)
        rule = RECURRENCES[ctx.kind]
        gradients = recurrence_backward(
            g_hidden, g_cell, None if rule.added else inputs, hidden, cell, found[ctx.states], made,
            weight, projection, ctx.kind, ctx.backwards,
        )
        g_states, g_pre, g_inputs = gradients[: ctx.states], gradients[ctx.states], gradients[-1]
        before, after, first = slice(None, -1), slice(1, None), 0
        if ctx.backwards:
            before, after, first = after, before, -1
        return (
            None, None, g_inputs, _product(g_pre, hidden[before]),
            None if bias is None else g_pre.sum((0, 1)),
            None if made is None else _product(g_states[0][after], made),
            *(g[first] for g in g_states),
        )


def _gradients_of_steps(ctx, gs, arguments):
    """The gradients of the scan's arguments, recorded: by time steps one by one."""
    # Views of their own: what comes to one by way of another is not its gradient.
    own = [x if x is None else x.expand(x.shape) for x in arguments]
    wanted = [k for k, need in enumerate(ctx.needs_input_grad[2:]) if need]
    states = _states_of_steps(RECURRENCES[ctx.kind], ctx.backwards, *own)
    pairs = [(x, g) for x, g in zip(states, gs) if g is not None and x.requires_grad]
    found = cresset.autograd.grad(
        [x for x, _ in pairs], [own[k] for k in wanted], [g for _, g in pairs], create_graph=True,
        allow_unused=True,
    )
    by_place = dict(zip(wanted, found))
    return [by_place.get(k) for k in range(len(own))]


def _states_of_steps(rule, backwards, inputs, weight, bias, projection, *first):
    """All states, by time steps one by one."""
    states = [list(first)]
    steps = inputs.unbind(0)
    for inputs_of_step in reversed(steps) if backwards else steps:
        state = step(rule, inputs_of_step, states[-1], weight, bias)
        if projection is not None:
            state[0] = F.linear(state[0], projection)
        states.append(state)
    return [cresset.stack(x[::-1] if backwards else x) for x in zip(*states)]


def _product(x: Tensor, y: Tensor) -> Tensor:
    """The sum over time and batch of x^T y."""
    return x.flatten(0, 1).t() @ y.flatten(0, 1)
