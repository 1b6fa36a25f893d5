"""`vmap`: a function of one sample as one of a batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import cresset
from cresset import Tensor
from cresset.utils._pytree import tree_flatten, tree_unflatten


def vmap(
    func: Callable,
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable:
    """The function that calls `func` on each slice of its arguments, and stacks the results.

    `in_dims` says along which dim an argument is sliced: one int for all, or one for each in
    containers like theirs; None for an argument that every call gets as it is. `out_dims` says
    where the results are stacked. With `randomness="same"` every call draws the same numbers. It
    costs a call of `func` for each slice: it is there for what it means, not for speed, and
    `chunk_size` says nothing. Raises ValueError unless something is sliced, and all that is has one
    size.

    >>> vmap(cresset.dot)(cresset.tensor([[1.0, 2.0], [3.0, 4.0]]), cresset.ones(2, 2))
    tensor([3., 7.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            "vmap: Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )

    @wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        held, structure = tree_flatten(args)
        dims = _dims(in_dims, args)
        size = _size(held, dims)
        state = cresset.get_rng_state() if randomness == "same" else None
        results = []
        for k in range(size):
            if state is not None:
                cresset.set_rng_state(state)
            parts = [x if d is None else x.select(d, k) for x, d in zip(held, dims)]
            results.append(tree_flatten(func(*tree_unflatten(parts, structure), **kwargs)))
        form = results[0][1]
        columns = list(zip(*(found for found, _ in results)))
        places = _spread(out_dims, len(columns))
        made = [_stacked(column, place) for column, place in zip(columns, places)]
        return tree_unflatten(made, form)

    return mapped


def _dims(in_dims: Any, args: tuple) -> list[int | None]:
    """The dim of each tensor that the arguments hold."""
    if not isinstance(in_dims, (tuple, list)):
        in_dims = (in_dims,) * len(args)
    if len(in_dims) != len(args):
        raise ValueError(
            f"vmap: in_dims is not compatible with the structure of inputs; got {in_dims} for "
            f"{len(args)} arguments; need an entry for each"
        )
    dims: list[int | None] = []
    for dim, arg in zip(in_dims, args):
        held, _ = tree_flatten(arg)
        if dim is None or isinstance(dim, int):
            dims += [dim if isinstance(x, Tensor) else None for x in held]
        elif isinstance(dim, dict):
            dims += [d for key in arg for d in _dims((dim[key],), (arg[key],))]
        else:
            dims += [d for own, part in zip(dim, arg) for d in _dims((own,), (part,))]
    return dims


def _size(held: list, dims: list[int | None]) -> int:
    """How many slices there are."""
    for x, d in zip(held, dims):
        if d is not None and not (isinstance(x, Tensor) and -x.dim() <= d < x.dim()):
            shown = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(
                f"vmap: Got in_dim={d} for an input, but the input is of {shown}; need a tensor "
                "that has this dim, or None for what is not sliced"
            )
    sizes = {x.shape[d] for x, d in zip(held, dims) if d is not None}
    if len(sizes) != 1:
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, and at "
            f"least one; got sizes {sorted(sizes) or 'of none'}"
        )
    (size,) = sizes
    if not size:
        raise ValueError("vmap: got 0 slices; need at least one, to know what comes of it")
    return size


def _spread(out_dims: Any, count: int) -> list:
    if isinstance(out_dims, (tuple, list)):
        if len(out_dims) != count:
            raise ValueError(
                f"vmap: out_dims is not compatible with the structure of outputs; got {out_dims} "
                f"for {count} results; need an entry for each"
            )
        return list(out_dims)
    return [out_dims] * count


def _stacked(column: tuple, dim: int | None) -> Any:
    """The results of all calls as one, or the first of them where nothing is stacked."""
    if dim is None:
        return column[0]
    for x in column:
        if not isinstance(x, Tensor):
            raise ValueError(
                f"vmap: `func` must only return Tensors, got type {type(x).__name__}"
            )
    return cresset.stack(column, dim)
