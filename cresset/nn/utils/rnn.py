"""Sequences of different lengths in one tensor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import cresset
from cresset import Tensor


def pad_sequence(
    sequences: Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (length, ...) stacked, the shorter ones filled up with `padding_value`.

    The result has shape (longest, batch, ...), or with `batch_first` (batch, longest, ...).
    `padding_side` says where to fill, "right" or "left"; else ValueError.

    >>> pad_sequence([cresset.ones(2), cresset.ones(1)], batch_first=True).tolist()
    [[1.0, 1.0], [1.0, 0.0]]
    """
    if padding_side not in ("right", "left"):
        raise ValueError(
            f"pad_sequence: padding_side is {padding_side!r}; need 'right' or 'left'"
        )
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences; got {type(sequences).__name__}; "
            "need a list of tensors"
        )
    if not len(sequences):
        raise RuntimeError(
            "pad_sequence: received an empty list of sequences; got none; give one or more"
        )
    longest = max(len(sequence) for sequence in sequences)
    padded = []
    for sequence in sequences:
        missing = (longest - len(sequence), *sequence.shape[1:])
        filling = cresset.full(
            missing, padding_value, dtype=sequence.dtype, device=sequence.device
        )
        parts = [sequence, filling] if padding_side == "right" else [filling, sequence]
        padded.append(cresset.cat(parts))
    return cresset.stack(padded, 0 if batch_first else 1)


class PackedSequence(NamedTuple):
    """Sequences of different lengths without padding, step by step.

    `data` (sum of lengths, ...) holds the first steps of all sequences, the longest first, then the
    second steps of those that have one, and so on; `batch_sizes` says how many each step has, an
    int64 tensor on the CPU. `sorted_indices` puts the sequences in that order and
    `unsorted_indices` back; both are None where they came sorted. Made by `pack_padded_sequence`
    and `pack_sequence`; what `RNN`, `LSTM` and `GRU` take and then return.
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same sequences with `data.to(...)`."""
        return self._replace(data=self.data.to(*args, **kwargs))

    def cpu(self) -> PackedSequence:
        """The same sequences on the processor."""
        return self.to("cpu")

    def double(self) -> PackedSequence:
        """The same sequences in float64."""
        return self.to(cresset.float64)

    def float(self) -> PackedSequence:
        """The same sequences in float32."""
        return self.to(cresset.float32)

    def half(self) -> PackedSequence:
        """The same sequences in float16."""
        return self.to(cresset.float16)

    @property
    def is_cuda(self) -> bool:
        return self.data.is_cuda


class Packing:
    """Where the rows of packed data lie in a tensor (time, batch, ...) with padding.

    `backwards` stands for the sequences turned around, each within its own length.
    """

    def __init__(self, batch_sizes: Tensor) -> None:
        self.steps, self.batch = len(batch_sizes), int(batch_sizes[0])
        sequence = cresset.arange(self.batch)
        there = sequence < batch_sizes.unsqueeze(1)
        self.lengths = there.sum(0)
        step, number = there.nonzero(as_tuple=True)
        self.forwards = step * self.batch + number
        self.backwards = (self.lengths[number] - 1 - step) * self.batch + number
        self.last = (self.lengths - 1) * self.batch + sequence

    def padded(self, data: Tensor, value: float = 0.0, backwards: bool = False) -> Tensor:
        """Packed data as (time, batch, ...), `value` where a sequence has ended."""
        rows = data.new_full((self.steps * self.batch, *data.shape[1:]), value)
        rows = rows.index_copy(0, self.backwards if backwards else self.forwards, data)
        return rows.unflatten(0, (self.steps, self.batch))

    def packed(self, padded: Tensor, backwards: bool = False) -> Tensor:
        """The data of sequences (time, batch, ...) with padding."""
        places = self.backwards if backwards else self.forwards
        return padded.flatten(0, 1).index_select(0, places)

    def ends(self, padded: Tensor) -> Tensor:
        """What (time, batch, ...) holds at the last step of each sequence."""
        return padded.flatten(0, 1).index_select(0, self.last)


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Sequences (time, batch, ...), or with `batch_first` (batch, time, ...), without padding.

    `lengths` says how many steps of each count. They must fall, or else `enforce_sorted=False`
    sorts the sequences, and what unpacks them puts them back. Raises RuntimeError on lengths that
    are not positive, too long, not sorted, or not as many as there are sequences.

    >>> packed = pack_padded_sequence(cresset.tensor([[1, 2, 3], [4, 0, 0]]), [3, 1], True)
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 3]), tensor([2, 1, 1]))
    """
    counts = cresset.as_tensor(lengths, dtype=cresset.int64, device="cpu")
    if batch_first:
        input = input.transpose(0, 1)
    order = None
    if not enforce_sorted:
        counts, order = counts.sort(descending=True, stable=True)
        input = input.index_select(1, order)
    _check_lengths(counts, *input.shape[:2])
    steps = cresset.arange(int(counts[0])).unsqueeze(1)
    batch_sizes = (steps < counts).sum(1)
    data = Packing(batch_sizes).packed(input[: len(batch_sizes)])
    return PackedSequence(data, batch_sizes, order, invert_permutation(order))


def _check_lengths(lengths: Tensor, steps: int, batch: int) -> None:
    given = lengths.tolist()
    if len(given) != batch:
        raise RuntimeError(
            f"pack_padded_sequence: Expected `len(lengths)` to be equal to batch_size, but got "
            f"{len(given)} (batch_size={batch}); give a length for each sequence"
        )
    if min(given) <= 0 or max(given) > steps:
        raise RuntimeError(
            "pack_padded_sequence: Length of all samples has to be greater than 0 and at most the "
            f"number of steps; got {given} for {steps} steps; leave empty sequences out"
        )
    if any(a < b for a, b in zip(given, given[1:])):
        raise RuntimeError(
            "pack_padded_sequence: `lengths` array must be sorted in decreasing order when "
            f"`enforce_sorted` is True; got {given}; pass enforce_sorted=False"
        )


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(padded sequences, their lengths): the way back from `pack_padded_sequence`.

    `total_length` is how many steps the result is to have, by default those of the longest
    sequence; ValueError if it is less.

    >>> pad_packed_sequence(pack_sequence([cresset.ones(1), cresset.ones(2)], False), True)
    (tensor([[1., 0.],
            [1., 1.]]), tensor([1, 2]))
    """
    packing = Packing(sequence.batch_sizes)
    padded, lengths = packing.padded(sequence.data, padding_value), packing.lengths
    if total_length is not None:
        if total_length < packing.steps:
            raise ValueError(
                "pad_packed_sequence: Expected total_length to be at least the length of the "
                f"longest sequence in input, but got total_length={total_length} and max sequence "
                f"length being {packing.steps}"
            )
        more = (total_length - packing.steps, *padded.shape[1:])
        padded = cresset.cat([padded, padded.new_full(more, padding_value)])
    if sequence.unsorted_indices is not None:
        padded = padded.index_select(1, sequence.unsorted_indices)
        lengths = lengths[sequence.unsorted_indices]
    return (padded.transpose(0, 1) if batch_first else padded), lengths


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences (length, ...) packed; the longest first, unless `enforce_sorted=False`.

    >>> pack_sequence([cresset.tensor([1, 2]), cresset.tensor([3])]).data
    tensor([1, 3, 2])
    """
    lengths = [len(sequence) for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The sequences that `pad_sequence` stacked, as a list.

    >>> unpad_sequence(cresset.tensor([[1, 2], [3, 0]]), cresset.tensor([2, 1]), True)
    [tensor([1, 2]), tensor([3])]
    """
    sequences = padded_sequences.unbind(0 if batch_first else 1)
    return [sequence[:length] for sequence, length in zip(sequences, lengths.tolist())]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that `pack_sequence` took, as a list."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes one; None of None.

    >>> invert_permutation(cresset.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    positions = cresset.arange(len(permutation), device=permutation.device)
    return cresset.empty_like(permutation).scatter_(0, permutation, positions)
