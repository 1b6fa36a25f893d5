"""Modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import cresset
from cresset import Tensor
from cresset.nn.module import Module


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """module(*args, **kwargs) with tensors in the place of its parameters and buffers.

    They are named as `named_parameters()` and `named_buffers()` do; those that are not named stay
    the module's own. `args` is a tuple, or the one argument. With `tie_weights` a tensor takes the
    place of all names that share what it is for. Afterwards the module is as it was. Raises
    RuntimeError, with `strict`, unless all names of the module are there and no others, and always
    for a name that the module lacks; ValueError for a name in two of several dicts.

    >>> layer = cresset.nn.Linear(1, 1, bias=False)
    >>> functional_call(layer, {"weight": cresset.tensor([[3.0]])}, cresset.tensor([2.0]))
    tensor([6.])
    """
    if not isinstance(parameter_and_buffer_dicts, Mapping):
        given = _merged(parameter_and_buffer_dicts)
    else:
        given = dict(parameter_and_buffer_dicts)
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    with replaced(module, given, tie_weights, strict):
        return module(*arguments, **(kwargs or {}))


def _merged(dicts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    merged: dict[str, Tensor] = {}
    for each in dicts:
        twice = merged.keys() & each.keys()
        if twice:
            raise ValueError(
                f"functional_call: {sorted(twice)} appeared in multiple dictionaries; behavior of "
                "functional call is ambiguous; name each tensor once"
            )
        merged.update(each)
    return merged


@contextmanager
def replaced(
    module: Module, tensors: Mapping[str, Tensor], tie_weights: bool, strict: bool
) -> Iterator[None]:
    """While it lasts, tensors stand in the place of a module's parameters and buffers."""
    members = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
    _check_names(members, tensors, strict)
    tensors = dict(tensors)
    if tie_weights:
        shared = {id(members[name]): x for name, x in tensors.items()}
        tensors = {n: shared[id(m)] for n, m in members.items() if id(m) in shared} | tensors
    before: list[tuple[Any, str, Any]] = []
    try:
        for name, x in tensors.items():
            path, _, last = name.rpartition(".")
            owner = module.get_submodule(path)
            registry: Any = (
                owner._parameters if last in owner._parameters else owner._buffers
            )
            before.append((registry, last, registry[last]))
            registry[last] = x
        yield
    finally:
        for registry, last, own in reversed(before):
            registry[last] = own


def _check_names(members: Mapping, tensors: Mapping, strict: bool) -> None:
    unexpected = [name for name in tensors if name not in members]
    missing = [name for name in members if name not in tensors] if strict else []
    if unexpected or missing:
        raise RuntimeError(
            "functional_call: the names do not fit the module; "
            + (f"unexpected key(s): {', '.join(unexpected)}; " if unexpected else "")
            + (f"missing key(s): {', '.join(missing)}; " if missing else "")
            + "need those of named_parameters() and named_buffers()"
        )


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters, and the buffers, of alike modules, stacked along a new first dim.

    With `vmap` and `functional_call` they are evaluated as one ensemble. RuntimeError unless there
    is a module, and all are of one class.

    >>> parameters, buffers = stack_module_state([cresset.nn.Linear(2, 3) for _ in range(4)])
    >>> parameters["weight"].shape
    torch.Size([4, 3, 2])
    """
    kinds = {type(model) for model in models}
    if len(kinds) != 1:
        raise RuntimeError(
            "stack_module_state: Expected at least one model, and all of the same class; got "
            f"{sorted(kind.__name__ for kind in kinds) or 'none'}"
        )

    def stacked(members_of) -> dict[str, Tensor]:
        members = [dict(members_of(model)) for model in models]
        return {
            name: cresset.stack([each[name].detach() for each in members])
            .requires_grad_(members[0][name].requires_grad)
            for name in members[0]
        }

    return stacked(Module.named_parameters), stacked(Module.named_buffers)
