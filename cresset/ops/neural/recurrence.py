"""The gates of recurrent cells, each one kernel forward and one backward."""

from __future__ import annotations

from cresset.core import scalar
from cresset.ops.kinds import elementwise

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
