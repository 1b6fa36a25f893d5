"""Operands: what samples are called on, as NumPy arrays that both frameworks can look at.

An `Operand` says which shape, which values, which type. `build` makes the array; an arrangement
lays the same values out in memory in another way.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np
from agreement import BFLOAT16

# Multiples of it fill the interval [0, 1) evenly and never repeat.
GOLDEN = 0.6180339887498949


class Operand(NamedTuple):
    """A tensor operand: values between `low` and `high`, at least `hole` away from zero.

    Without a `dtype` it has the type that the sample is run with. With "complex" for one its parts
    have, complex64 where that is no floating type.
    """

    shape: tuple
    low: float = -3.0
    high: float = 3.0
    hole: float = 0.0
    dtype: str | None = None


def real(*shape):
    return Operand(shape)


def nonzero(*shape):
    return Operand(shape, hole=0.3)


def positive(*shape):
    return Operand(shape, 0.2, 4.0)


def above_one(*shape):
    return Operand(shape, 1.1, 4.0)


def unit(*shape):
    return Operand(shape, -0.9, 0.9)


def probability(*shape):
    return Operand(shape, 0.05, 0.95)


def plane(*shape):
    return Operand(shape, dtype="complex")


def off_axes(*shape):
    return Operand(shape, hole=0.3, dtype="complex")


def few_bits(*shape):
    return Operand(shape, 0.0, 6.0)


def truth(*shape):
    return Operand(shape, dtype="bool")


def index(*shape, below):
    return Operand(shape, 0.0, below - 1.0, dtype="int64")


def build(operand: Operand, dtype: str, seed: int) -> np.ndarray:
    """The operand's values; other seeds give others."""
    if dtype == "bfloat16" and operand.dtype is None:
        return build(operand, "float32", seed).view(BFLOAT16).reshape(operand.shape)
    if operand.dtype == "complex":
        part = dtype if dtype in ("float32", "float64") else "float32"
        real, imaginary = (build(operand._replace(dtype=part), part, seed + k) for k in (0, 7))
        return np.asarray(real + 1j * imaginary)
    kind = np.dtype(operand.dtype or dtype)
    places = np.arange(prod(operand.shape)).reshape(operand.shape)
    fraction = (places * GOLDEN + 0.31 * (seed + 1)) % 1.0
    if kind.kind == "b":
        return np.asarray(fraction < 0.5)
    low, high = operand.low, operand.high
    if kind.kind == "f":
        values = low + fraction * (high - low)
        return np.asarray(values + operand.hole * np.sign(values), kind)
    low, high = np.ceil(low if kind.kind == "i" else max(low, 0.0)), np.floor(high)
    values = np.floor(low + fraction * (high - low + 1.0))
    return np.asarray(np.where(values == 0.0, values + (operand.hole > 0.0), values), kind)


def plain(array):
    """In row order."""
    return np.array(array, order="C")


def transposed(array):
    """With the dims in reverse order in memory."""
    return np.array(array, order="F")


def stepped(array):
    """Every second element of more, from the second on, along every dim."""
    more = np.zeros([2 * n + 1 for n in array.shape], array.dtype)
    every_second = more[(..., *[slice(1, 2 * n + 1, 2) for n in array.shape])]
    every_second[...] = array
    return every_second


def repeated(array):
    """The first entry along the first dim again and again, by a stride of zero."""
    if not array.ndim or not array.size:
        return plain(array)
    strides = (0, *array.strides[1:])
    return np.lib.stride_tricks.as_strided(plain(array), array.shape, strides)


ARRANGEMENTS = {
    "plain": lambda arrays: [plain(a) for a in arrays],
    "transposed": lambda arrays: [transposed(a) for a in arrays],
    "stepped": lambda arrays: [stepped(a) for a in arrays],
    "repeated": lambda arrays: [repeated(a) for a in arrays],
    "mixed": lambda arrays: [(plain, transposed)[k % 2](a) for k, a in enumerate(arrays)],
    "mixed the other way": lambda arrays: [
        (stepped, plain)[k % 2](a) for k, a in enumerate(arrays)
    ],
}
