"""State dictionaries: a module's parameters and buffers by dotted name, out and back in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import cresset
from cresset import Tensor
from cresset.nn.parameter import Parameter
from cresset.utils.hooks import HookTable, RemovableHandle

EXTRA_STATE = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` could not match."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"_IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


class Stateful:
    """The part of `Module` that writes and reads state dictionaries.

    A module that keeps more than parameters and buffers defines `get_extra_state` and
    `set_extra_state`; one whose names changed overrides `_load_from_state_dict`, where it learns
    the `_version` that the saving class had.
    """

    _version: int | None = 1
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]

    def _make_state_dict_hook_tables(self) -> None:
        tables = self.__dict__
        tables["_state_dict_pre_hooks"] = HookTable()
        tables["_state_dict_hooks"] = HookTable()
        tables["_load_state_dict_pre_hooks"] = HookTable()
        tables["_load_state_dict_post_hooks"] = HookTable()

    def register_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Calls `hook(module, prefix, keep_vars)` before `state_dict` collects this module."""
        return self._state_dict_pre_hooks.add(hook)

    def register_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Calls `hook(module, state_dict, prefix, local_metadata)`, which may edit `state_dict`."""
        return self._state_dict_hooks.add(hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Calls `hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)` before this module is loaded; it may edit all of them.
        """
        return self._load_state_dict_pre_hooks.add(hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Calls `hook(module, incompatible_keys)` after loading; it may edit the two lists."""
        return self._load_state_dict_post_hooks.add(hook)

    def get_extra_state(self) -> Any:
        """Whatever else belongs into the state dictionary; define it with `set_extra_state`."""
        raise RuntimeError(
            f"{type(self).__name__}.get_extra_state: not defined although an extra state was asked "
            "for; define it in the class, together with set_extra_state"
        )

    def set_extra_state(self, state: Any) -> None:
        """Takes back what `get_extra_state` gave."""
        raise RuntimeError(
            f"{type(self).__name__}.set_extra_state: not defined although the state dictionary "
            "holds an extra state; define it in the class, together with get_extra_state"
        )

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """All parameters and persistent buffers by dotted name, in order of registration.

        The tensors are detached and share memory with the module's; `keep_vars=True` gives the
        parameters themselves. `destination` is a mapping to fill, `prefix` stands before each name;
        all three may also be given by position, in this order.

        >>> list(cresset.nn.Sequential(cresset.nn.Linear(2, 1)).state_dict())
        ['0.weight', '0.bias']
        """
        if args:
            given = dict(zip(("destination", "prefix", "keep_vars"), args))
            destination = given.get("destination", destination)
            prefix = given.get("prefix", prefix)
            keep_vars = given.get("keep_vars", keep_vars)
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
                )
        for hook in self._state_dict_hooks.values():
            hook(self, destination, prefix, local_metadata)
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Puts this module's own state, without its children's, into `destination`."""
        for name, value in self._own_state():
            destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not Stateful.get_extra_state:
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def _own_state(self) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self._parameters.items():
            if parameter is not None:
                yield name, parameter
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                yield name, buffer

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copies `state_dict` into the parameters and buffers; returns what did not match.

        With `strict` every name must match, else RuntimeError; a tensor of another shape is a
        RuntimeError always. All that is wrong is reported at once. With `assign` the module takes
        the given tensors, with their dtype, instead of copying their values; optimizers must then
        be made afterwards. Raises TypeError if `state_dict` is no mapping.

        >>> layer = cresset.nn.Linear(2, 1)
        >>> layer.load_state_dict(cresset.nn.Linear(2, 1).state_dict())
        <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"load_state_dict: Expected state_dict to be dict-like, got {type(state_dict)}; "
                "give what `state_dict()` returned, or what `load` read of it"
            )
        metadata = getattr(state_dict, "_metadata", {})
        keys = IncompatibleKeys([], [])
        problems: list[str] = []
        _load_tree(self, OrderedDict(state_dict), "", metadata, assign, keys, problems)
        for what, names in (
            ("Unexpected", keys.unexpected_keys),
            ("Missing", keys.missing_keys),
        ):
            if strict and names:
                quoted = ", ".join(f'"{name}"' for name in names)
                problems.insert(0, f"{what} key(s) in state_dict: {quoted}. ")
        if problems:
            lines = "\n\t".join(problems)
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{lines}"
            )
        return keys

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Takes this module's own state, without its children's, out of `state_dict`.

        Problems are added to the last three lists, not raised.
        """
        for hook in self._load_state_dict_pre_hooks.values():
            hook(
                self,
                state_dict,
                prefix,
                local_metadata,
                strict,
                missing_keys,
                unexpected_keys,
                error_msgs,
            )
        own = dict(self._own_state())
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, target in own.items():
            key = prefix + name
            if key in state_dict:
                problem = self._take(name, target, key, state_dict[key], assign)
                if problem is not None:
                    error_msgs.append(problem)
            elif strict:
                missing_keys.append(key)
        extra_key = prefix + EXTRA_STATE
        if type(self).set_extra_state is not Stateful.set_extra_state:
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)
        if not strict:
            return
        for key in state_dict:
            if not key.startswith(prefix) or key == extra_key:
                continue
            name, dot, _ = key[len(prefix) :].partition(".")
            if name not in (self._modules if dot else own):
                unexpected_keys.append(key)

    def _take(
        self, name: str, target: Tensor, key: str, value: Any, assign: bool
    ) -> str | None:
        """Loads one entry; returns what is wrong with it, if anything is."""
        if not isinstance(value, Tensor):
            return (
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like '
                f"object from checkpoint but received {type(value)}"
            )
        if value.shape != target.shape:
            return (
                f"size mismatch for {key}: copying a param with shape {value.shape} from "
                f"checkpoint, the shape in current model is {target.shape}."
            )
        if assign:
            if isinstance(target, Parameter):
                value = Parameter(value, requires_grad=target.requires_grad)
            setattr(self, name, value)
            return None
        try:
            with cresset.no_grad():
                target.copy_(value)
        except Exception as error:
            return (
                f'While copying the parameter named "{key}", whose dimensions in the model are '
                f"{target.shape} and whose dimensions in the checkpoint are {value.shape}, an "
                f"exception occurred : {error.args}."
            )
        return None


def _load_tree(
    module: Any,
    state: Any,
    prefix: str,
    metadata: Mapping[str, Any],
    assign: bool,
    keys: IncompatibleKeys,
    problems: list[str],
) -> None:
    """Loads `module` and its children from `state`, whose keys all start with `prefix`."""
    local_metadata = dict(metadata.get(prefix[:-1], {}))
    if assign:
        local_metadata["assign_to_params_buffers"] = True
    # Missing keys are gathered in any case: `load_state_dict` returns them.
    module._load_from_state_dict(state, prefix, local_metadata, True, *keys, problems)
    for name, child in module._modules.items():
        if child is None:
            continue
        child_prefix = f"{prefix}{name}."
        # Only the child's entries: searching all of them at each module would take time in the
        # square of their number.
        own = OrderedDict(
            (key, value) for key, value in state.items() if key.startswith(child_prefix)
        )
        _load_tree(child, own, child_prefix, metadata, assign, keys, problems)
    for hook in module._load_state_dict_post_hooks.values():
        if hook(module, keys) is not None:
            raise AssertionError(
                "load_state_dict: a post hook returned something; need None; edit the two lists of "
                "incompatible_keys in place instead"
            )
