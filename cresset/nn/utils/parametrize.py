"""Parametrizations: a parameter of a module computed from others at every use.

A parametrized module gets a class of its own, on which the parameter is a property; its original
lies under `parametrizations.<name>.original`, so optimizers and state dicts see that.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import cresset
from cresset import Tensor
from cresset.nn.module import Module
from cresset.nn.modules.container import ModuleDict, ModuleList
from cresset.nn.parameter import Parameter

__all__ = ["ParametrizationList", "cached", "is_parametrized", "register_parametrization",
           "remove_parametrizations", "type_before_parametrizations"]

# What was computed while `cached()` is on, by module and name; how many blocks of it are open.
_cache: dict[tuple[int, str], Tensor] = {}
_open = 0


@contextmanager
def cached() -> Iterator[None]:
    """A block in which each parametrized tensor is computed once, when it is first used."""
    global _open
    _open += 1
    try:
        yield
    finally:
        _open -= 1
        if not _open:
            _cache.clear()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, applied in turn to its original.

    The original is `original`, or `original0`, `original1`, ... where the `right_inverse` of the
    first gives several tensors, which its `forward` takes.
    """

    original: Tensor

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        super().__init__(modules)
        made: Any = original
        with cresset.no_grad():
            for module in reversed(list(self)):
                # One that cannot be inverted takes the tensor as it is for its original.
                with suppress(NotImplementedError):
                    if hasattr(module, "right_inverse"):
                        made = module.right_inverse(made)
        self.is_tensor = isinstance(made, Tensor)
        self.ntensors = 1 if self.is_tensor else len(made)
        for name, x in self._named(made):
            x = x.detach() if x is not original else x
            if isinstance(original, Parameter):
                own = x if isinstance(x, Parameter) else Parameter(x, original.requires_grad)
                self.register_parameter(name, own)
            else:
                self.register_buffer(name, x)
        if not unsafe:
            self._check(original)

    def _named(self, made: Any) -> list[tuple[str, Tensor]]:
        if self.is_tensor:
            return [("original", made)]
        return [(f"original{k}", x) for k, x in enumerate(made)]

    def _check(self, original: Tensor) -> None:
        with cresset.no_grad():
            found = self()
        for what in ("shape", "dtype"):
            given, needed = getattr(found, what, None), getattr(original, what)
            if given != needed:
                raise ValueError(
                    f"register_parametrization: Registering a parametrization may not change the "
                    f"{what} of the tensor, unless `unsafe` flag is enabled; got {given}; need "
                    f"{needed}"
                )

    def originals(self) -> list[Tensor]:
        """What the tensor is computed from."""
        names = ["original"] if self.is_tensor else [f"original{k}" for k in range(self.ntensors)]
        return [getattr(self, name) for name in names]

    def right_inverse(self, value: Tensor) -> None:
        """Has the tensor be `value`, by way of the `right_inverse` of all parametrizations.

        NotImplementedError where one has none.
        """
        made: Any = value
        with cresset.no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise NotImplementedError(
                        f"parametrize: {type(module).__name__} does not implement right_inverse; "
                        "the tensor cannot be assigned to"
                    )
                made = module.right_inverse(made)
            for (_, x), own in zip(self._named(made), self.originals()):
                own.copy_(x)

    def forward(self) -> Tensor:
        first, *others = self
        x = first(*self.originals())
        for module in others:
            x = module(x)
        return x


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Has a parameter or buffer be `parametrization(original)`; returns the module.

    On a tensor that has one it is applied after it. Assigning to the tensor needs a
    `right_inverse`, which also makes the first original: assigned as it is without. Unless
    `unsafe` the result must have the tensor's shape and dtype (ValueError). Raises ValueError where
    the module has no such parameter or buffer.

    >>> class Symmetric(Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).mT
    >>> layer = register_parametrization(cresset.nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.mT).all()), [*layer.state_dict()]
    (True, ['bias', 'parametrizations.weight.original'])
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        chain = module.parametrizations[tensor_name]
        if not unsafe:
            with cresset.no_grad():
                before = getattr(module, tensor_name)
                after = parametrization(before)
            if after.shape != before.shape or after.dtype != before.dtype:
                raise ValueError(
                    "register_parametrization: Registering a parametrization may not change the "
                    f"shape or dtype of the tensor, unless `unsafe` flag is enabled; got "
                    f"{tuple(after.shape)} of {after.dtype}; need {tuple(before.shape)} of "
                    f"{before.dtype}"
                )
        chain.append(parametrization)
        return module
    tensors: dict[str, Any] = {**module._parameters, **module._buffers}
    if tensors.get(tensor_name) is None:
        raise ValueError(
            f"register_parametrization: Module '{type(module).__name__}' does not have a "
            f"parameter, a buffer, or a parametrized element with name '{tensor_name}'; it has "
            f"{', '.join(name for name, x in tensors.items() if x is not None) or 'none'}"
        )
    chain = ParametrizationList([parametrization], tensors[tensor_name], unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.parametrizations = ModuleDict()
        module.__class__ = _own_class(type(module))
    setattr(type(module), tensor_name, _property(tensor_name))
    module.parametrizations[tensor_name] = chain
    return module


def _own_class(kind: type) -> type:
    """A class for one module, whose properties are its parametrized tensors."""

    def copied(self: Any, memo: dict) -> Any:
        made: Any = object.__new__(_own_class(kind))
        memo[id(self)] = made
        made.__setstate__(copy.deepcopy(self.__dict__, memo))
        for name in made.parametrizations:
            setattr(type(made), name, _property(name))
        return made

    return type(f"Parametrized{kind.__name__}", (kind,), {"__deepcopy__": copied})


def _property(name: str) -> property:
    def get(self: Any) -> Tensor:
        chain = self.parametrizations[name]
        if not _open:
            return chain()
        key = id(self), name
        if key not in _cache:
            _cache[key] = chain()
        return _cache[key]

    def assign(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(get, assign)


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module has a parametrized tensor, or one of that name."""
    chains = module._modules.get("parametrizations")
    if not isinstance(chains, ModuleDict):
        return False
    return bool(len(chains)) if tensor_name is None else tensor_name in chains


def type_before_parametrizations(module: Module) -> type:
    """The class of a module without its parametrizations."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Makes a parametrized tensor an ordinary one again; returns the module.

    It keeps its value, or takes that of its original where `leave_parametrized=False` (ValueError
    where there are several). The same `Parameter` serves, so an optimizer goes on with it. Raises
    ValueError where the module has no such parametrization.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(
            f"remove_parametrizations: Module {type(module).__name__} does not have a "
            f"parametrization on {tensor_name}"
        )
    chain = module.parametrizations[tensor_name]
    if not (leave_parametrized or chain.is_tensor):
        raise ValueError(
            "remove_parametrizations: Cannot leave unparametrized a tensor that is parametrized in "
            "terms of a sequence of tensors; pass leave_parametrized=True"
        )
    first = chain.originals()[0]
    own = first if chain.is_tensor else type(first)(first.detach())
    if leave_parametrized:
        with cresset.no_grad():
            own.data = chain().detach().clone()
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if isinstance(own, Parameter):
        module.register_parameter(tensor_name, own)
    else:
        module.register_buffer(tensor_name, own)
    if not len(module.parametrizations):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module
