"""Packed sequences: each runs as it would alone, forwards and backwards."""

import pytest

import cresset
from cresset import nn
from cresset.nn.utils.rnn import (
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
)

LENGTHS = (2, 5, 1, 4)


def sequences(package, features=3):
    package.manual_seed(0)
    return [package.randn(length, features) for length in LENGTHS]


@pytest.mark.parametrize("kind", ("RNN", "LSTM", "GRU"))
@pytest.mark.parametrize("layers, both", ((1, False), (2, True)))
def test_every_sequence_runs_as_it_would_alone(kind, layers, both):
    given = sequences(cresset)
    layer = getattr(nn, kind)(3, 4, layers, bidirectional=both)
    output, state = layer(pack_sequence(given, enforce_sorted=False))
    weights = list(layer.parameters())
    together = cresset.autograd.grad(output.data.square().sum(), weights)
    total = 0
    for k, (sequence, found) in enumerate(zip(given, unpack_sequence(output))):
        alone, last = layer(sequence)
        cresset.testing.assert_close(found, alone)
        for x, y in zip(*((s if kind == "LSTM" else (s,)) for s in (state, last))):
            cresset.testing.assert_close(x[:, k], y)
        total = total + alone.square().sum()
    for x, y in zip(together, cresset.autograd.grad(total, weights)):
        cresset.testing.assert_close(x, y)


@pytest.mark.parametrize("batch_first", (False, True))
def test_agrees_with_pytorch(torch, batch_first):
    def run(package):
        pack = package.nn.utils.rnn.pack_padded_sequence
        padded = package.nn.utils.rnn.pad_sequence(sequences(package), batch_first)
        packed = pack(padded, package.tensor(LENGTHS), batch_first, enforce_sorted=False)
        package.manual_seed(1)
        layer = package.nn.LSTM(3, 4, 2, dropout=0.5, bidirectional=True)
        start = (package.ones(4, 4, 4), package.arange(4.0).view(1, 4, 1).expand(4, 4, 4))
        output, (h, c) = layer(packed, start)
        back, lengths = package.nn.utils.rnn.pad_packed_sequence(output, batch_first, 9.0, 7)
        (back.sum() + h.prod() + c.sum()).backward()
        return [*packed, *output[:2], back, lengths, h, c, layer.weight_hh_l0_reverse.grad]

    for got, expected in zip(run(cresset), run(torch)):
        cresset.testing.assert_close(got.detach(), cresset.tensor(expected.detach().numpy()))


def test_wrong_lengths_are_refused():
    padded = pad_sequence(sequences(cresset))
    for lengths, problem in (
        ([5, 4, 2], "Expected `len\\(lengths\\)` to be equal to batch_size, but got 3"),
        ([5, 4, 2, 0], "has to be greater than 0"),
        ([6, 4, 2, 1], "at most the number of steps"),
        (LENGTHS, "must be sorted in decreasing order.*pass enforce_sorted=False"),
    ):
        with pytest.raises(RuntimeError, match=problem):
            pack_padded_sequence(padded, lengths)
    packed = pack_sequence(sequences(cresset), enforce_sorted=False)
    with pytest.raises(ValueError, match="total_length=3 and max sequence length being 5"):
        pad_packed_sequence(packed, total_length=3)
    with pytest.raises(RuntimeError, match="Expected 4, got 3"):
        nn.GRU(4, 4)(packed)
    assert packed.double().data.dtype is cresset.float64
