"""One time step of each recurrence.

Each takes `inputs`, which are W_ih x + b_ih of shape (batch, gates * hidden), the state as a list
of tensors of shape (batch, hidden), W_hh and b_hh (or None), and returns the new state, its output
first.
"""

from __future__ import annotations

from cresset import Tensor
from cresset.nn import functional as F


def tanh_step(
    inputs: Tensor, state: list[Tensor], weight: Tensor, bias: Tensor | None
) -> list[Tensor]:
    """h = tanh(inputs + W_hh h + b_hh)."""
    return [(inputs + F.linear(state[0], weight, bias)).tanh()]


def relu_step(
    inputs: Tensor, state: list[Tensor], weight: Tensor, bias: Tensor | None
) -> list[Tensor]:
    """h = relu(inputs + W_hh h + b_hh)."""
    return [(inputs + F.linear(state[0], weight, bias)).relu()]


def lstm_step(
    inputs: Tensor, state: list[Tensor], weight: Tensor, bias: Tensor | None
) -> list[Tensor]:
    """i, f, g, o = inputs + W_hh h + b_hh; c = sigmoid(f) * c + sigmoid(i) * tanh(g);
    h = sigmoid(o) * tanh(c).
    """
    hidden, cell = state
    gates = inputs + F.linear(hidden, weight, bias)
    take, keep, value, show = gates.view(len(gates), 4, -1).unbind(1)
    cell = keep.sigmoid() * cell + take.sigmoid() * value.tanh()
    return [show.sigmoid() * cell.tanh(), cell]


def gru_step(
    inputs: Tensor, state: list[Tensor], weight: Tensor, bias: Tensor | None
) -> list[Tensor]:
    """r = sigmoid(i_r + h_r), z = sigmoid(i_z + h_z), n = tanh(i_n + r * h_n), where the h_ are the
    parts of W_hh h + b_hh; h = n + z * (h - n).
    """
    hidden = state[0]
    recurrent = F.linear(hidden, weight, bias)
    input_reset, input_update, input_new = inputs.view(len(inputs), 3, -1).unbind(1)
    reset, update, new = recurrent.view(len(recurrent), 3, -1).unbind(1)
    new = (input_new + (input_reset + reset).sigmoid() * new).tanh()
    return [new + (input_update + update).sigmoid() * (hidden - new)]
