"""`weight_norm` by its older interface: parameters `weight_g` and `weight_v`, a hook before calls.

New programs take `nn.utils.parametrizations.weight_norm`.
"""

from __future__ import annotations

from typing import Any

from cresset.nn.module import Module
from cresset.nn.parameter import Parameter
from cresset.nn.utils.parametrizations import norm_except


class WeightNorm:
    """The hook that computes a weight from its size g and its direction v before every call."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = dim

    def compute_weight(self, module: Module) -> Any:
        """g v / ||v||."""
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / norm_except(v, self.dim))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Has a weight be g v / ||v||, with g and v the parameters `<name>_g` and `<name>_v`.

    As `parametrizations.weight_norm`, with names that older state dicts have. Raises RuntimeError
    where the weight has it already.

    >>> import cresset
    >>> [*weight_norm(cresset.nn.Linear(3, 2)).state_dict()]
    ['bias', 'weight_g', 'weight_v']
    """
    if _hook_of(module, name) is not None:
        raise RuntimeError(
            f"weight_norm: Cannot register two weight_norm hooks on the same parameter {name}; "
            "remove_weight_norm() first"
        )
    weight = getattr(module, name)
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(norm_except(weight.detach(), dim)))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    hook = WeightNorm(name, dim)
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Makes the weight an ordinary parameter again; ValueError where it has no `weight_norm`."""
    found = _hook_of(module, name)
    if found is None:
        raise ValueError(f"weight_norm of '{name}' not found in {type(module).__name__}")
    key, hook = found
    weight = hook.compute_weight(module).detach()
    for each in (name, f"{name}_g", f"{name}_v"):
        delattr(module, each)
    module.register_parameter(name, Parameter(weight))
    del module._forward_pre_hooks[key]
    return module


def _hook_of(module: Module, name: str) -> Any:
    """(key, hook) of a weight's hook among those of a module; None where it has none."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            return key, hook
    return None
