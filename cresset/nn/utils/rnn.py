"""Sequences of different lengths in one tensor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
