"""Recurrent networks: RNN, LSTM and GRU over sequences, and their cells."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import cresset
from cresset import Tensor
from cresset.core.missing import found_late
from cresset.nn import functional as F
from cresset.nn import init
from cresset.nn.module import Module
from cresset.nn.modules.recurrence import Scan
from cresset.nn.parameter import Parameter
from cresset.nn.utils.rnn import PackedSequence, Packing
from cresset.ops.neural.recurrence import RECURRENCES


class RNNBase(Module):
    """Layers of one recurrence, in one or both directions, with dropout between them.

    The parameters of layer k are `weight_ih_l{k}`, `weight_hh_l{k}`, `bias_ih_l{k}`, `bias_hh_l{k}`
    and, with projections, `weight_hr_l{k}`; those of the backward direction end in `_reverse`.
    """

    # A key of RECURRENCES.
    kind: str

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_sizes(input_size, hidden_size, num_layers, dropout, proj_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        place = {"device": device, "dtype": dtype}
        directions = 2 if bidirectional else 1
        output_size = proj_size or hidden_size
        rows = RECURRENCES[self.kind].gates * hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else output_size * directions
            for suffix in self._suffixes(layer):
                shapes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (rows, width),
                    "weight_hh": (rows, output_size),
                }
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    setattr(self, name + suffix, Parameter(cresset.empty(shape, **place)))
        self.reset_parameters()

    def _suffixes(self, layer: int) -> list[str]:
        forward = f"_l{layer}"
        return [forward, forward + "_reverse"] if self.bidirectional else [forward]

    @property
    def states(self) -> int:
        """How many tensors make up the state that a cell hands on."""
        return RECURRENCES[self.kind].states

    def reset_parameters(self) -> None:
        """Draws all parameters anew, evenly over ±1/sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [
            list(self._weights(suffix))
            for layer in range(self.num_layers)
            for suffix in self._suffixes(layer)
        ]

    def _weights(self, suffix: str) -> Iterator[Parameter]:
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"):
            if name + suffix in self._parameters:
                yield getattr(self, name + suffix)

    def flatten_parameters(self) -> None:
        """Does nothing; PyTorch lays the parameters out for cuDNN here."""

    def _run(
        self, sequence: Tensor, states: list[list[Tensor]], packing: Packing | None = None
    ) -> tuple[Tensor, list[Any]]:
        """The outputs and the final state of each layer and direction.

        The sequence is (time, batch, features), or packed data, and so are the outputs.
        """
        final: list[Any] = []
        for layer in range(self.num_layers):
            outputs = []
            for suffix in self._suffixes(layer):
                output, state = self._scan(sequence, states[len(final)], suffix, packing)
                outputs.append(output)
                final.append(state)
            sequence = outputs[0] if len(outputs) == 1 else cresset.cat(outputs, -1)
            if self.dropout and self.training and layer < self.num_layers - 1:
                sequence = F.dropout(sequence, self.dropout)
        return sequence, final

    def _scan(
        self, sequence: Tensor, state: Any, suffix: str, packing: Packing | None
    ) -> tuple[Tensor, Any]:
        """Runs one layer in one direction over all time steps.

        Packed sequences run padded; backwards each is turned around first, as they end apart.
        """
        parameters = self._parameters
        bias = parameters.get("bias_ih" + suffix)
        hidden_bias = parameters.get("bias_hh" + suffix)
        if bias is not None and RECURRENCES[self.kind].added:
            # Both act alike, so they are added once, and not to the inputs of every time step.
            bias, hidden_bias = bias + hidden_bias, None
        inputs = F.linear(sequence, parameters["weight_ih" + suffix], bias)
        turned = suffix.endswith("_reverse")
        backwards = turned and packing is None
        if packing is not None:
            inputs = packing.padded(inputs, backwards=turned)
        found = Scan.apply(
            self.kind, backwards, inputs, parameters["weight_hh" + suffix], hidden_bias,
            parameters.get("weight_hr" + suffix), *state,
        )
        # The states of all steps, that before the first one left out.
        states = [x[:-1] if backwards else x[1:] for x in found[: self.states]]
        if packing is not None:
            return packing.packed(states[0], turned), [packing.ends(x) for x in states]
        return states[0], [x[0 if backwards else -1] for x in states]

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """The outputs of all time steps, and the state after the last.

        Of packed sequences the outputs are packed as well, and the states are those after the last
        step of each.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        self._check_input(input)
        batched = input.dim() == 3
        given = None if hx is None else ([hx] if self.states == 1 else list(hx))
        if not batched:
            input = input.unsqueeze(1)
            given = given and [state.unsqueeze(1) for state in given]
        elif self.batch_first:
            input = input.transpose(0, 1)
        if input.shape[0] == 0:
            raise RuntimeError(
                f"{type(self).__name__}: Expected sequence length to be larger than 0 in RNN"
            )
        output, final = self._run(input, self._initial(input, given, batched))
        states = [cresset.stack([state[index] for state in final]) for index in range(self.states)]
        if not batched:
            output = output.squeeze(1)
            states = [state.squeeze(1) for state in states]
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, states[0] if self.states == 1 else tuple(states)

    def _forward_packed(self, input: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        self._check_input(input.data)
        given = None if hx is None else ([hx] if self.states == 1 else list(hx))
        if given is not None and input.sorted_indices is not None:
            given = [state.index_select(1, input.sorted_indices) for state in given]
        packing = Packing(input.batch_sizes)
        batch = input.data[: packing.batch].unsqueeze(0)
        output, final = self._run(input.data, self._initial(batch, given, True), packing)
        states = [cresset.stack([state[index] for state in final]) for index in range(self.states)]
        if input.unsorted_indices is not None:
            states = [state.index_select(1, input.unsorted_indices) for state in states]
        return input._replace(data=output), states[0] if self.states == 1 else tuple(states)

    def _check_input(self, input: Tensor) -> None:
        name = type(self).__name__
        if not isinstance(input, Tensor):
            raise NotImplementedError(
                f"{name}: input is a {type(input).__name__}; need a Tensor or a PackedSequence; "
                "pad_sequence and pack_sequence make them of a list"
            )
        if input.dim() not in (2, 3):
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{name}: input.size(-1) must be equal to input_size. Expected {self.input_size}, "
                f"got {input.shape[-1]}; features are the last dim of shape "
                f"{tuple(input.shape)}"
            )
        if input.dtype != self.weight_ih_l0.dtype:
            raise ValueError(
                f"{name}: input dtype ({input.dtype}) does not match weight dtype "
                f"({self.weight_ih_l0.dtype}). Convert input: input.to({self.weight_ih_l0.dtype}), "
                f"or convert model: model.to({input.dtype})"
            )

    def _initial(
        self, input: Tensor, given: list[Tensor] | None, batched: bool
    ) -> list[list[Tensor]]:
        """The state of each layer and direction before the first step: what is given, or zeros."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        batch = input.shape[1]
        sizes = [self.proj_size or self.hidden_size, self.hidden_size][: self.states]
        if given is None:
            given = [
                cresset.zeros(count, batch, size, dtype=input.dtype, device=input.device)
                for size in sizes
            ]
        for index, (state, size) in enumerate(zip(given, sizes)):
            if tuple(state.shape) != (count, batch, size):
                which = "hidden" if self.states == 1 else f"hidden[{index}]"
                expected = (count, batch, size) if batched else (count, size)
                found = list(state.shape) if batched else [*state.shape[:1], *state.shape[2:]]
                raise RuntimeError(
                    f"{type(self).__name__}: Expected {which} size {expected}, got {found}"
                )
        return [list(states) for states in zip(*(state.unbind(0) for state in given))]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size != 0:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        for name, default in (
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
        ):
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text


def _check_sizes(
    input_size: Any, hidden_size: Any, num_layers: int, dropout: Any, proj_size: int
) -> None:
    for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
        if not isinstance(size, int):
            raise TypeError(f"RNN: {name} should be of type int, got: {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"RNN: {name} must be greater than zero; got {size}")
    if num_layers <= 0:
        raise ValueError(f"RNN: num_layers must be greater than zero; got {num_layers}")
    if isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise ValueError(
            "RNN: dropout should be a number in range [0, 1] representing the probability of an "
            f"element being zeroed; got {dropout!r}"
        )
    if proj_size < 0:
        raise ValueError(
            f"RNN: proj_size should be a positive integer or zero to disable projections; got "
            f"{proj_size}"
        )
    if proj_size >= hidden_size:
        raise ValueError("RNN: proj_size has to be smaller than hidden_size")


def _without_projection(kwargs: dict[str, Any]) -> dict[str, Any]:
    if "proj_size" in kwargs:
        raise ValueError("RNN: proj_size argument is only supported for LSTM, not RNN or GRU")
    return kwargs


class RNN(RNNBase):
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu by `nonlinearity`. Elman (1990).

    Arguments, shapes and results as `LSTM`, with one state tensor `h` in place of the pair, and
    `nonlinearity` behind `num_layers`.
    """

    kind = "tanh"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        self.kind = nonlinearity
        super().__init__(
            input_size, hidden_size, num_layers, *args, **_without_projection(kwargs)
        )
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory: c = f * c + i * g and h = o * tanh(c).

    i, f, o = sigmoid and g = tanh of W_ih x + b_ih + W_hh h + b_hh, four rows of weights for every
    hidden unit; with `proj_size` h is then multiplied by W_hr. Hochreiter and Schmidhuber (1997);
    Sak and others (2014).

    Input (time, batch, input_size), with `batch_first` (batch, time, input_size), without a batch
    (time, input_size). Result: the outputs of the last layer, shaped alike with directions *
    hidden_size features, and the pair (h, c) after the last step, each of shape (layers *
    directions, batch, hidden_size). `hx` is such a pair to start from, zeros by default. `dropout`
    acts between layers in training.

    >>> output, (h, c) = LSTM(3, 4, batch_first=True)(cresset.zeros(2, 5, 3))
    >>> output.shape, h.shape
    (torch.Size([2, 5, 4]), torch.Size([1, 2, 4]))
    """

    kind = "lstm"


class GRU(RNNBase):
    """Gated recurrent units: h = (1 - z) * n + z * h.

    r, z = sigmoid of W_ih x + b_ih + W_hh h + b_hh, and n = tanh(W_in x + b_in + r * (W_hn h +
    b_hn)). Cho and others (2014), in cuDNN's form. Arguments, shapes and results as `LSTM`, with
    one state tensor `h` in place of the pair and without projections.
    """

    kind = "gru"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **_without_projection(kwargs))


# PyTorch has them in one file with these.
__getattr__, __dir__ = found_late(globals(), {
    "rnn_cells": ("GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"),
})
