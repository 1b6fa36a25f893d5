"""`Module`: a tree of layers with their parameters, buffers and a `forward`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

import cresset
from cresset import Tensor
from cresset.nn.hooks import Hookable
from cresset.nn.parameter import Buffer, Parameter
from cresset.nn.registry import Registry
from cresset.nn.state_dict import Stateful

_REGISTRIES = ("_parameters", "_buffers", "_modules")


class Module(Hookable, Stateful):
    """The base class of all layers and models.

    A subclass makes its parts in `__init__`, after `super().__init__()`, and computes in `forward`.
    Parameters and modules assigned as attributes are registered under that name; other tensors
    become part of the state by `register_buffer`. Calling the module runs `forward` and its hooks.
    An error raised in `forward` carries a note with the dotted path of the module it came from.

    >>> class Scale(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = Parameter(cresset.ones(1))
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> [name for name, parameter in Scale().named_parameters()]
    ['factor']
    """

    training: bool

    def __init__(self) -> None:
        attributes = self.__dict__
        attributes["training"] = True
        attributes["_parameters"] = Registry(self)
        attributes["_buffers"] = Registry(self)
        attributes["_modules"] = Registry(self)
        attributes["_non_persistent_buffers_set"] = set()
        attributes["_hooked"] = False
        self._make_hook_tables()
        self._make_state_dict_hook_tables()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooked:
                return self._call_through_hooks(args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            _note_place(error, self)
            raise

    # --- attributes ---------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        if isinstance(value, Parameter):
            self._need_init("parameters")
            self._unregister(name, keep="_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._need_init("module")
            self._unregister(name, keep="_modules")
            self._modules[name] = value
        elif isinstance(value, Buffer):
            self._need_init("buffers")
            self._unregister(name, keep="_buffers")
            self.register_buffer(name, value, value.persistent)
        elif "_parameters" not in attributes:
            object.__setattr__(self, name, value)
        elif name in attributes["_buffers"]:
            self._need_kind(name, value, Tensor, "buffer", "torch.Tensor")
            self._buffers[name] = value
        elif name in attributes["_parameters"]:
            self._need_kind(name, value, Parameter, "parameter", "torch.nn.Parameter")
            self._parameters[name] = value
        elif name in attributes["_modules"]:
            self._need_kind(name, value, Module, "child module", "torch.nn.Module")
            self._modules[name] = value
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        for registry in (self._parameters, self._buffers, self._modules):
            if name in registry:
                del registry[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        # The children of a container are named by numbers, which are no attributes to offer.
        return sorted(name for name in super().__dir__() if not name[0].isdigit())

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # A shallow copy brings the registries of the module it was copied from.
        for name in _REGISTRIES:
            registry = self.__dict__[name]
            if not isinstance(registry, Registry) or not registry.belongs_to(self):
                self.__dict__[name] = Registry(self, registry)

    def _need_init(self, what: str) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}: cannot assign {what} before Module.__init__() call; call "
                "super().__init__() first"
            )

    def _need_kind(self, name: str, value: Any, kind: type, what: str, needed: str) -> None:
        if value is not None and not isinstance(value, kind):
            given = f"{type(value).__module__}.{type(value).__qualname__}"
            raise TypeError(
                f"{type(self).__name__}: cannot assign '{given}' as {what} '{name}' ({needed} or "
                "None expected)"
            )

    def _unregister(self, name: str, keep: str) -> None:
        """Frees `name` for an entry of the registry `keep`, where it may stand already."""
        attributes = self.__dict__
        if name in attributes[keep]:
            return
        for registry in _REGISTRIES:
            attributes[registry].pop(name, None)
        attributes["_non_persistent_buffers_set"].discard(name)
        attributes.pop(name, None)

    def _check_name(self, name: Any, what: str, registry: dict[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(
                f"{type(self).__name__}: {what} name should be a string. Got {type(name).__name__}"
            )
        if "." in name:
            raise KeyError(f'{what} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')
        if name not in registry and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter under `name`; None keeps the place of one that the module lacks.

        Raises KeyError for a name that is taken or holds a dot, TypeError for other values.
        """
        self._need_init("parameter")
        self._check_name(name, "parameter", self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__qualname__}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that moves and is saved with the module but is not learnt.

        With `persistent=False` it is not part of `state_dict()`. Errors as `register_parameter`.
        """
        self._need_init("buffer")
        self._check_name(name, "buffer", self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__qualname__}' object to buffer '{name}' "
                "(torch Tensor or None required)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a child under `name`. Errors as `register_parameter`."""
        self._need_init("module")
        if module is not None and not isinstance(module, Module):
            given, hint = type(module).__qualname__, "need a module"
            if isinstance(module, type):
                given, hint = f"the class {module.__qualname__}", f"write {module.__qualname__}()"
            elif isinstance(module, (list, tuple)):
                hint = f"unpack it: {type(self).__name__}(*modules)"
            raise TypeError(f"{type(self).__name__}: {given} is not a Module subclass; {hint}")
        self._check_name(name, "module", self._modules)
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """`add_module` by another name."""
        self.add_module(name, module)

    # --- the tree -----------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their dotted names, parents first, each once.

        >>> [name for name, module in cresset.nn.Sequential(Module()).named_modules()]
        ['', '0']
        """
        memo = set() if memo is None else memo
        pending: list[tuple[str, Module]] = [(prefix, self)]
        while pending:
            path, module = pending.pop()
            if module in memo:
                continue
            if remove_duplicate:
                memo.add(module)
            yield path, module
            start = f"{path}." if path else ""
            pending += [
                (start + name, child)
                for name, child in reversed(module._modules.items())
                if child is not None
            ]

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it, parents first."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one with their names, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly below this one."""
        for _, module in self.named_children():
            yield module

    def _named_members(
        self,
        members_of: Callable[[Module], Any],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules: Any = [(prefix, self)]
        if recurse:
            modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, module in modules:
            start = f"{path}." if path else ""
            for name, value in members_of(module):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield start + name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, each once; `recurse=False` for its own alone."""
        return self._named_members(
            lambda module: module._parameters.items(), prefix, recurse, remove_duplicate
        )

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, as an optimizer takes them."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their dotted names, each once."""
        return self._named_members(
            lambda module: module._buffers.items(), prefix, recurse, remove_duplicate
        )

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path, `""` being this one. Raises AttributeError if absent."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts `module` at a dotted path; with `strict` only where one stands already.

        Raises ValueError for an empty path or a value that is no Module, AttributeError for a path
        that does not exist.
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f'"module" is not an nn.Module, found {type(module)}')
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path. Raises AttributeError if there is none."""
        return self._get_member(target, "_parameters", "nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path. Raises AttributeError if there is none."""
        return self._get_member(target, "_buffers", "buffer")

    def _get_member(self, target: str, registry: str, what: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        if name not in getattr(module, registry):
            raise AttributeError(f"`{name}` is not an {what}")
        return getattr(module, name)

    # --- the whole tree at once -----------------------------------------------------------------

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Calls `fn` on every module of the tree, children first; returns this module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Sets training mode in the whole tree: Dropout drops, BatchNorm uses the batch itself."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: training mode is expected to be boolean; got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Sets evaluation mode in the whole tree: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Sets whether all parameters are learnt; False freezes the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops all gradients, or with `set_to_none=False` fills them with zeros."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = cresset.zeros_like(parameter.grad)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replaces the data of all parameters, their gradients and all buffers by `fn` of it.

        Parameters stay the same objects, so an optimizer that holds them keeps working.
        """
        if recurse:
            for module in self.children():
                module._apply(fn)
        for parameter in self._parameters.values():
            if parameter is None:
                continue
            gradient = parameter.grad
            with cresset.no_grad():
                parameter.data = fn(parameter)
                if gradient is not None:
                    parameter.grad = fn(gradient)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves the module in place: `to(device)`, `to(dtype)`, `to(device, dtype)`, `to(tensor)`.

        A dtype is given to the floating-point parameters and buffers alone; it must be a floating
        type, else TypeError. A `memory_format` is given to those of four or five dims.
        """
        device, dtype = _device_and_dtype(*args, **kwargs)
        order = kwargs.get("memory_format")
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                "to: nn.Module.to only accepts floating point or complex dtypes, but got desired "
                f"dtype={dtype}; parameters are learnt, which integers cannot be"
            )

        def convert(tensor: Tensor) -> Tensor:
            if device is not None:
                tensor = tensor.to(device)
            if dtype is not None and (tensor.is_floating_point() or tensor.is_complex()):
                tensor = tensor.to(dtype)
            if order is not None and tensor.dim() in (4, 5):
                tensor = tensor.to(memory_format=order)
            return tensor

        return self._apply(convert)

    def cpu(self) -> Self:
        """Moves the module to the CPU."""
        return self.to("cpu")

    def cuda(self, device: int | str | None = None) -> Self:
        """Moves the module to a CUDA device; RuntimeError where there is none."""
        return self.to("cuda" if device is None else device)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Moves the module in place to a device, without the values: memory as it happens to be."""
        return self._apply(lambda x: cresset.empty_like(x, device=device), recurse)

    def share_memory(self) -> Self:
        """Moves the parameters and buffers to memory that processes share; see `share_memory_`."""
        return self._apply(lambda x: x.share_memory_())

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Has this module's `forward` be compiled, in place; arguments as `cresset.compile`."""
        self.forward = cresset.compile(self.forward, *args, **kwargs)  # type: ignore[method-assign]

    def type(self, dst_type: Any) -> Self:
        """Gives all parameters and buffers one dtype, integers too."""
        return self._apply(lambda tensor: tensor.to(dst_type))

    def float(self) -> Self:
        """Gives the floating-point parameters and buffers float32."""
        return self.to(cresset.float32)

    def double(self) -> Self:
        """Gives the floating-point parameters and buffers float64."""
        return self.to(cresset.float64)

    def half(self) -> Self:
        """Gives the floating-point parameters and buffers float16."""
        return self.to(cresset.float16)

    def bfloat16(self) -> Self:
        """Gives the floating-point parameters and buffers bfloat16."""
        return self.to(cresset.bfloat16)

    # --- printing -------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return self.__class__.__name__

    def extra_repr(self) -> str:
        """What `repr` shows between the parentheses; a layer names its arguments here."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): " + repr(module).replace("\n", "\n  ")
            for name, module in self._modules.items()
        ]
        if not children and len(lines) < 2:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"


def _device_and_dtype(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """The device and the dtype, each may be None, that the arguments of `to` ask for."""
    device = kwargs.get("device")
    dtype = kwargs.get("dtype")
    for argument in args:
        if isinstance(argument, Tensor):
            return argument.device, argument.dtype
        if isinstance(argument, cresset.dtype):
            dtype = argument
        elif not isinstance(argument, bool) and argument is not None:
            device = argument
    return device, dtype


def _note_place(error: Exception, module: Module) -> None:
    """Notes on `error` the path from `module` to the module that raised it.

    Called by every module that the error passes, from the inside out; each puts the name it knows
    in front and replaces the note, so that one note is left in the end.
    """
    state = error.__dict__
    source, reached, path, note = state.get("_place", (module, module, "", None))
    if reached is not module:
        inside = (name for name, child in module.named_modules() if child is reached)
        name = next(inside, None)
        if name is None:
            # Raised anew, or by a module that is not registered: there is no path to it from here.
            source, path = module, ""
        else:
            path = ".".join(filter(None, (name, path)))
    notes = getattr(error, "__notes__", [])
    if note in notes:
        notes.remove(note)
    kind = type(source).__name__
    note = f"in module {path} ({kind})" if path else f"in module {kind}"
    error.add_note(note)
    state["_place"] = (source, module, path, note)
