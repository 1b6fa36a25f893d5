"""`Optimizer`: groups of parameters with their settings, the state of each, and hooks."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import Any

import cresset
from cresset import Tensor
from cresset.ops import made_anew
from cresset.utils.hooks import HookTable, RemovableHandle

# What an optimizer takes: tensors, (name, tensor) pairs, or groups with settings of their own.
ParamsT = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]


class Optimizer:
    """The base class of all optimizers.

    `params` is an iterable of tensors, of (name, tensor) pairs, or of dicts, each a group with its
    own settings over `defaults`. `param_groups` are those groups, `state[p]` what the optimizer
    remembers of a parameter. A subclass defines `step`. Raises TypeError for a single tensor and
    for what is no tensor, ValueError for no parameters, for results of operations, and for a
    parameter in two groups.
    """

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                f"{type(self).__name__}: params argument given to the optimizer should be an "
                "iterable of Tensors or dicts, but got Tensor; put it in a list: [tensor]"
            )
        self.defaults = defaults
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._make_hook_tables()
        if not isinstance(params, Iterable):
            raise TypeError(
                f"{type(self).__name__}: params must be an iterable of Tensors or dicts; got "
                f"{type(params).__name__}; give model.parameters()"
            )
        groups = list(params)
        if not groups:
            raise ValueError(
                f"{type(self).__name__}: optimizer got an empty parameter list; give "
                "model.parameters() of a model that has some; what they were read from once, such "
                "as a generator, is empty afterwards"
            )
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in cls.__dict__:
            cls.step = made_anew(cls.step)  # type: ignore[method-assign]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters once by their gradients; those without one are left alone.

        `closure`, if given, computes the loss anew with its gradients, and `step` returns that
        loss.
        """
        raise NotImplementedError(f"{type(self).__name__}.step: define the update here")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all parameters; with `set_to_none=False` fills them with 0."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad = cresset.zeros_like(parameter.grad)

    def _evaluate(self, closure: Callable[[], Any] | None) -> Any:
        """The loss that `closure` gives, with gradients recorded; None without a closure."""
        if closure is None:
            return None
        with cresset.enable_grad():
            return closure()

    def _ready(self, group: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        """The parameters of a group that have a gradient, and the gradients."""
        params = group["params"]
        grads = [grad for p in params if (grad := p.grad) is not None]
        if len(grads) != len(params):
            params = [p for p in params if p.grad is not None]
        return params, grads

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group: a dict with "params" and any settings that differ from the defaults.

        Errors as the class.
        """
        if not isinstance(param_group, dict):
            raise TypeError(
                f"{type(self).__name__}: param_group must be a dict, but got {type(param_group)}; "
                'give such as {"params": [...]}'
            )
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                f"{type(self).__name__}: optimizer parameters need to be organized in ordered "
                "collections, but the ordering of tensors in sets will change between runs. Please "
                "use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        if params and all(isinstance(param, tuple) for param in params):
            param_group["param_names"] = [name for name, _ in params]
            params = [param for _, param in params]
        elif any("param_names" in group for group in self.param_groups):
            raise ValueError(
                f"{type(self).__name__}: all optimizer params should be with/without names. Some "
                "param names are missing; give all or none of them as (name, tensor)"
            )
        param_group["params"] = params
        self._check_params(params)
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        self.param_groups.append(param_group)

    def _check_params(self, params: list[Any]) -> None:
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(
                    f"{type(self).__name__}: optimizer can only optimize Tensors, but one of the "
                    f"params is {type(param).__name__}; give model.parameters()"
                )
            if not param.is_leaf:
                raise ValueError(
                    f"{type(self).__name__}: can't optimize a non-leaf Tensor; got the result of "
                    f"an operation, of shape {tuple(param.shape)}; give what it was computed from, "
                    "or .detach().requires_grad_()"
                )
        numbers = {id(param) for param in params}
        if len(numbers) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this "
                "will cause an error",
                stacklevel=4,
            )
        taken = chain.from_iterable(group["params"] for group in self.param_groups)
        if any(id(param) in numbers for param in taken):
            raise ValueError(
                f"{type(self).__name__}: some parameters appear in more than one parameter group; "
                "need each in one group"
            )

    # --- state ----------------------------------------------------------------------------------

    def _export_state(self, entry: Any) -> Any:
        """A parameter's state as `state_dict` gives it out."""
        return entry

    def _import_state(self, entry: Any) -> Any:
        """A parameter's state as this optimizer keeps it, of what `_export_state` gave."""
        return entry

    def state_dict(self) -> dict[str, Any]:
        """The state and the groups, with parameters replaced by their numbers in order.

        {"state": {number: {...}}, "param_groups": [{..., "params": [numbers]}]}; the tensors are
        the optimizer's own, not copies.
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[int, int] = {}
        for group in self.param_groups:
            for param in group["params"]:
                numbers.setdefault(id(param), len(numbers))
        groups = [
            {
                **{name: value for name, value in group.items() if name != "params"},
                "params": [numbers[id(param)] for param in group["params"]],
            }
            for group in self.param_groups
        ]
        state = {
            numbers[id(key)] if isinstance(key, Tensor) else key: self._export_state(entry)
            for key, entry in self.state.items()
        }
        result = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            changed = hook(self, result)
            if changed is not None:
                result = changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a state that `state_dict` gave; tensors are copied, in the parameters' dtype.

        Raises ValueError unless there are as many groups, each of as many parameters.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            if changed is not None:
                state_dict = changed
        saved = deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"{type(self).__name__}: loaded state dict has a different number of parameter "
                f"groups: {len(saved)}; need {len(self.param_groups)}"
            )
        for number, (group, saved_group) in enumerate(zip(self.param_groups, saved)):
            if len(group["params"]) != len(saved_group["params"]):
                raise ValueError(
                    f"{type(self).__name__}: loaded state dict contains a parameter group that "
                    f"doesn't match the size of optimizer's group: group {number} has "
                    f"{len(saved_group['params'])} parameters; need {len(group['params'])}"
                )
        params = dict(
            zip(
                chain.from_iterable(group["params"] for group in saved),
                chain.from_iterable(group["params"] for group in self.param_groups),
            )
        )
        self.state = defaultdict(dict)
        for key, entry in state_dict["state"].items():
            if key in params:
                param = params[key]
                self.state[param] = self._import_state(_copied_for(param, entry))
            else:
                self.state[key] = entry
        for group, saved_group in zip(self.param_groups, saved):
            saved_group["params"] = group["params"]
            if "param_names" in group:
                saved_group.setdefault("param_names", group["param_names"])
        self.param_groups = saved
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "_optimizer_step_pre_hooks" not in self.__dict__:
            self._make_hook_tables()

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for number, group in enumerate(self.param_groups):
            text += f"\nParameter Group {number}\n"
            for name in sorted(group):
                if name != "params":
                    text += f"    {name}: {group[name]}\n"
        return text + ")"

    # --- hooks ----------------------------------------------------------------------------------

    def _make_hook_tables(self) -> None:
        self._optimizer_step_pre_hooks = HookTable()
        self._optimizer_step_post_hooks = HookTable()
        self._optimizer_state_dict_pre_hooks = HookTable()
        self._optimizer_state_dict_post_hooks = HookTable()
        self._optimizer_load_state_dict_pre_hooks = HookTable()
        self._optimizer_load_state_dict_post_hooks = HookTable()

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs) -> None or new (args, kwargs)` before each step.

        `args` starts with the optimizer.
        """
        self.__dict__["step"] = self._step_through_hooks
        return self._optimizer_step_pre_hooks.add(hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` after each step."""
        self.__dict__["step"] = self._step_through_hooks
        return self._optimizer_step_post_hooks.add(hook)

    def _step_through_hooks(self, *args: Any, **kwargs: Any) -> Any:
        """Stands in for `step` on the instance while there are hooks, so others pay nothing."""
        args = (self, *args)
        for hook in tuple(self._optimizer_step_pre_hooks.values()):
            result = hook(self, args, kwargs)
            if result is None:
                continue
            if not isinstance(result, tuple) or len(result) != 2:
                raise RuntimeError(
                    f"{type(self).__name__}.step must return None or a tuple of (new_args, "
                    f"new_kwargs) from its pre-hooks, but got {result}."
                )
            args, kwargs = result
        loss = type(self).step(*args, **kwargs)
        for hook in tuple(self._optimizer_step_post_hooks.values()):
            hook(self, args, kwargs)
        if not self._optimizer_step_pre_hooks and not self._optimizer_step_post_hooks:
            self.__dict__.pop("step", None)
        return loss

    def register_state_dict_pre_hook(
        self, hook: Callable[[Optimizer], None], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer)` before `state_dict`."""
        return self._optimizer_state_dict_pre_hooks.add(hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` after `state_dict`; it may return another one."""
        return self._optimizer_state_dict_post_hooks.add(hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` before loading; it may return another one."""
        return self._optimizer_load_state_dict_pre_hooks.add(hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[[Optimizer], None], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer)` after loading."""
        return self._optimizer_load_state_dict_post_hooks.add(hook, prepend)


def _copied_for(param: Tensor, value: Any, name: Any = None) -> Any:
    """A copy of saved state, its tensors on the device and in the dtype of the parameter.

    A count of steps keeps its own dtype.
    """
    if isinstance(value, Tensor):
        value = value.detach().clone()
        if name == "step":
            return value
        if param.is_floating_point():
            value = value.to(param.dtype)
        return value.to(param.device)
    if isinstance(value, dict):
        return {key: _copied_for(param, entry, key) for key, entry in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return type(value)(_copied_for(param, entry) for entry in value)  # type: ignore[call-arg]
    return value


def check_at_least_zero(**settings: float) -> None:
    """Raises ValueError for the first setting below 0 or no number, naming it."""
    for name, value in settings.items():
        if not isinstance(value, (int, float, Tensor)):
            raise TypeError(
                f"optimizer: {name.replace('_', ' ')} must be a number; got {value!r}; need 0 or "
                "more"
            )
        if not value >= 0:
            raise ValueError(
                f"optimizer: Invalid {name.replace('_', ' ')}: {value}; need 0 or more"
            )


def check_betas(betas: tuple[float, float]) -> None:
    """Raises ValueError unless each is in [0, 1)."""
    for index, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(
                f"optimizer: Invalid beta parameter at index {index}: {beta}; need 0 <= beta < 1"
            )


def check_immediate(optimizer: str, differentiable: bool) -> None:
    """Raises NotImplementedError where steps are to be differentiated through."""
    if differentiable:
        raise NotImplementedError(
            f"{optimizer}: differentiable=True is not supported; need False; write the update as "
            "operations on tensors to differentiate through it"
        )


def downhill(p: Any, g: Any, weight_decay: Any, decay: bool, maximize: bool) -> Any:
    """The slope that an update goes down: g, turned over to maximize, with weight decay's share."""
    g = -g if maximize else g
    return g + weight_decay * p if decay else g
