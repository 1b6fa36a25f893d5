"""Recorded results: which samples have them, and how they are kept.

`scripts/record.py` writes them where PyTorch is installed; the tests compare with them everywhere.
"""

from __future__ import annotations

from math import prod

# Of longer results the first elements are kept.
KEPT = 12


def recorded(sample):
    """Whether results are kept: where NumPy does not say what the call means, and it is small."""
    return sample.meaning is None and sum(prod(o.shape) for o in sample.operands) <= 100


def kept(result):
    """A part of a result, a NumPy array, in the form in which it is kept."""
    first = result.reshape(-1)[:KEPT]
    values = [float(str(v)) for v in first] if result.dtype.kind == "f" else first.tolist()
    return [result.dtype.name, list(result.shape), values]
