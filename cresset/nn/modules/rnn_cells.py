"""Cells: one time step of a recurrent network as a module."""

from __future__ import annotations

import math
from typing import Any

import cresset
from cresset import Tensor
from cresset.nn import functional as F
from cresset.nn import init
from cresset.nn.module import Module
from cresset.nn.modules.recurrence import step
from cresset.nn.parameter import Parameter
from cresset.ops.neural.recurrence import RECURRENCES


class RNNCellBase(Module):
    """The parameters `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` of one cell, and its call."""

    # A key of RECURRENCES.
    kind: str
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        place = {"device": device, "dtype": dtype}
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = RECURRENCES[self.kind].gates * hidden_size
        self.weight_ih = Parameter(cresset.empty((rows, input_size), **place))
        self.weight_hh = Parameter(cresset.empty((rows, hidden_size), **place))
        self.register_parameter("bias_ih", None)
        self.register_parameter("bias_hh", None)
        if bias:
            self.bias_ih = Parameter(cresset.empty(rows, **place))
            self.bias_hh = Parameter(cresset.empty(rows, **place))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all parameters anew, evenly over ±1/sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """The state after one step from `hx`, which is zeros by default."""
        name = type(self).__name__
        rule = RECURRENCES[self.kind]
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        batched = input.dim() == 2
        rows = input if batched else input.unsqueeze(0)
        if hx is None:
            zeros = cresset.zeros(
                len(rows), self.hidden_size, dtype=input.dtype, device=input.device
            )
            state = [zeros] * rule.states
        else:
            state = [hx] if rule.states == 1 else list(hx)
            if any(tensor.dim() != input.dim() for tensor in state):
                raise ValueError(
                    f"{name}: hx has {state[0].dim()} dims; need {input.dim()}, as the input has"
                )
            if not batched:
                state = [tensor.unsqueeze(0) for tensor in state]
        inputs = F.linear(rows, self.weight_ih, self.bias_ih)
        state = step(rule, inputs, state, self.weight_hh, self.bias_hh)
        if not batched:
            state = [tensor.squeeze(0) for tensor in state]
        return state[0] if rule.states == 1 else tuple(state)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        return text if self.bias else text + ", bias=False"


class RNNCell(RNNCellBase):
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu by `nonlinearity`.

    Input (batch, input_size) or (input_size,); the state h alike with hidden_size.
    """

    kind = "tanh"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity
        if nonlinearity in ("tanh", "relu"):
            self.kind = nonlinearity

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}; need tanh or relu")
        return super().forward(input, hx)

    def extra_repr(self) -> str:
        text = super().extra_repr()
        if self.nonlinearity != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class LSTMCell(RNNCellBase):
    """One step of `LSTM`: from the pair (h, c) to the next."""

    kind = "lstm"


class GRUCell(RNNCellBase):
    """One step of `GRU`: from h to the next."""

    kind = "gru"
