"""Recorded results: which samples have them, and how they are kept.

`scripts/record.py` writes them where PyTorch is installed; the tests compare with them everywhere.
"""

from __future__ import annotations

from math import prod

import numpy as np

# Of longer results the first elements are kept.
KEPT = 12


def recorded(sample):
    """Whether results are kept: where NumPy does not say what the call means, and it is small."""
    return sample.meaning is None and sum(prod(o.shape) for o in sample.operands) <= 100


def as_array(part):
    """A part of a result as an array: what is none, a truth or a type, as the bytes of its text."""
    if not isinstance(part, np.ndarray):
        return np.frombuffer(str(part).encode(), np.uint8)
    # Of a named type, which stands for one that NumPy has not, the numbers.
    return part[part.dtype.names[0]] if part.dtype.names else part


def kept(result):
    """A part of a result, a NumPy array, in the form in which it is kept."""
    first = result.reshape(-1)[:KEPT]
    if result.dtype.kind == "c":
        first = first.view(first.real.dtype)
    values = [float(str(v)) for v in first] if first.dtype.kind == "f" else first.tolist()
    return [result.dtype.name, list(result.shape), values]


def restored(part):
    """The first elements of a result, from what is kept of it; parts of complex ones in turn."""
    dtype, _, values = part
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        return np.array(values, np.zeros(0, dtype).real.dtype).view(dtype)
    return np.array(values, dtype)
