"""One time step of each recurrence.

Each takes `inputs`, which are W_ih x + b_ih of shape (batch, gates * hidden), the state as a list
of tensors of shape (batch, hidden), W_hh and b_hh (or None), and returns the new state, its output
first.
"""

from __future__ import annotations

from cresset import Tensor
from cresset.nn import functional as F
from cresset.ops.recurrence import gru_gates, lstm_gates


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
    return list(lstm_gates(*gates.view(len(gates), 4, -1).unbind(1), cell))


def gru_step(
    inputs: Tensor, state: list[Tensor], weight: Tensor, bias: Tensor | None
) -> list[Tensor]:
    """r = sigmoid(i_r + h_r), z = sigmoid(i_z + h_z), n = tanh(i_n + r * h_n), where the h_ are the
    parts of W_hh h + b_hh; h = n + z * (h - n).
    """
    hidden = state[0]
    recurrent = F.linear(hidden, weight, bias)
    from_input = inputs.view(len(inputs), 3, -1).unbind(1)
    from_hidden = recurrent.view(len(recurrent), 3, -1).unbind(1)
    return [gru_gates(*from_input, *from_hidden, hidden)]
