"""Making, shaping, sorting and searching in the standard's meaning.

PyTorch has other defaults (`meshgrid`), results (`sort`, `nonzero`) and names of parameters
(`arange`, `broadcast_to`, `linspace`, `roll`), leaves dims of other sizes where `squeeze` drops
them, and refuses an `arange` whose step leads away from its end.
"""

from __future__ import annotations

import cresset

__all__ = ["arange", "broadcast_to", "linspace", "meshgrid", "nonzero", "roll", "sort", "squeeze"]


def arange(start, /, stop=None, step=1, *, dtype=None, device=None):
    """The numbers from start up to stop, step apart; none where the step leads away from stop.

    >>> from cresset import array_api
    >>> array_api.arange(3, 0)
    tensor([], dtype=torch.int64)
    """
    if stop is None:
        start, stop = 0, start
    if (stop - start) * step >= 0:
        return cresset.arange(start, stop, step, dtype=dtype, device=device)
    if dtype is None:
        whole = all(isinstance(number, int) for number in (start, stop, step))
        dtype = cresset.int64 if whole else cresset.get_default_dtype()
    return cresset.empty(0, dtype=dtype, device=device)


def broadcast_to(x, /, shape):
    """x expanded to a shape, a view."""
    return cresset.broadcast_to(x, shape)


def linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True):
    """num numbers at equal distances from start to stop, which is the last, or with
    `endpoint=False` would be the next.
    """
    return cresset.linspace(start, stop, num, dtype=dtype, device=device, endpoint=endpoint)


def meshgrid(*arrays, indexing="xy") -> list:
    """The coordinates of a grid, one array for each vector; with "xy" its first two dims change
    places, with "ij" they do not.

    >>> from cresset import array_api
    >>> [grid.shape for grid in array_api.meshgrid(array_api.ones(2), array_api.ones(3))]
    [torch.Size([3, 2]), torch.Size([3, 2])]
    """
    return list(cresset.meshgrid(*arrays, indexing=indexing))


def nonzero(x, /) -> tuple:
    """The coordinates of the elements that are not zero, one array for each dim.

    Raises ValueError for an array without dims.
    """
    if not x.ndim:
        raise ValueError("nonzero: got an array without dims; need at least one; use x[None]")
    return cresset.nonzero(x, as_tuple=True)


def roll(x, /, shift, *, axis=None):
    """x with its elements moved along dims, those moved out on one side moved in on the other."""
    return cresset.roll(x, shift, axis)


def sort(x, /, *, axis=-1, descending=False, stable=True):
    """The elements in order along a dim; equal ones stay in theirs, whatever `stable` says."""
    return cresset.sort(x, dim=axis, descending=descending, stable=stable).values


def squeeze(x, /, axis):
    """x without dims of size 1, a view; ValueError where a dim has another size."""
    for dim in axis if isinstance(axis, tuple) else (axis,):
        if x.shape[dim] != 1:
            raise ValueError(f"squeeze: dim {dim} has size {x.shape[dim]}; need size 1; select one "
                             "entry of it to drop it")
    return cresset.squeeze(x, axis)
