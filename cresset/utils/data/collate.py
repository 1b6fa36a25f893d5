"""Collation: samples made into a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy

import cresset
from cresset import Tensor


def default_convert(data: Any) -> Any:
    """NumPy arrays made tensors, inside of mappings, tuples and lists too; other values as they
    are.

    >>> default_convert([numpy.zeros(2, "float32"), "text"])
    [tensor([0., 0.]), 'text']
    """
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (numpy.ndarray, numpy.generic)):
        if data.dtype.kind in "SUO":
            return data
        return cresset.as_tensor(data)
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        values = [default_convert(value) for value in data]
        return values if type(data) is tuple else _like(data, values)
    return data


def default_collate(batch: Sequence[Any]) -> Any:
    """A list of samples made one batch, of the samples' structure.

    Tensors and arrays are stacked, numbers become a tensor (float64 or int64), text a list;
    mappings and sequences are collated entry by entry. Raises RuntimeError for sequences of
    different lengths, TypeError for other types.

    >>> default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ('a', 'b')]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        shapes = {sample.shape for sample in batch if isinstance(sample, Tensor)}
        if len(shapes) > 1:
            raise RuntimeError(
                "default_collate: stack expects each tensor to be equal size; got samples of "
                f"shapes {', '.join(sorted(map(str, map(tuple, shapes))))} in one batch; pad them, "
                "or give the DataLoader a collate_fn, such as one that calls pad_sequence"
            )
        return cresset.stack(list(batch))
    if isinstance(first, numpy.ndarray):
        if first.dtype.kind in "SUO":
            raise TypeError(_refusal(first.dtype))
        return cresset.stack([cresset.as_tensor(array) for array in batch])
    if isinstance(first, numpy.generic):
        return cresset.as_tensor(numpy.array(batch))
    if isinstance(first, float):
        return cresset.tensor(batch, dtype=cresset.float64)
    if isinstance(first, int):
        return cresset.tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        columns = {key: default_collate([sample[key] for sample in batch]) for key in first}
        return _like(first, columns)
    if isinstance(first, Sequence):
        lengths = {len(sample) for sample in batch}
        if len(lengths) > 1:
            raise RuntimeError(
                "default_collate: each element in list of batch should be of equal size; got "
                f"lengths {sorted(lengths)}; pad the samples, or give the DataLoader a collate_fn"
            )
        values = [default_collate(column) for column in zip(*batch)]
        return values if type(first) is tuple else _like(first, values)
    raise TypeError(_refusal(type(first)))


def _refusal(found: Any) -> str:
    return (
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{found}; convert it in the dataset, or give the DataLoader a collate_fn"
    )


def _like(data: Any, values: Any) -> Any:
    """`values` in the type of `data`, where that can be made; else in the plain type it has."""
    make: Callable[[Any], Any] = type(data)
    if hasattr(data, "_fields"):
        return type(data)(*values)
    try:
        return make(values)
    except TypeError:
        return values
