"""`spectral_norm` by its older interface: a parameter `weight_orig`, a hook before calls.

New programs take `nn.utils.parametrizations.spectral_norm`.
"""

from __future__ import annotations

from typing import Any

import cresset
from cresset import Tensor
from cresset.nn import functional as F
from cresset.nn.module import Module
from cresset.nn.modules.conv import _ConvTransposeNd
from cresset.nn.parameter import Parameter


class SpectralNorm:
    """The hook that divides a weight by its greatest singular value before every call."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations <= 0:
            raise ValueError(
                "spectral_norm: Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.name = name
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def reshape_weight_to_matrix(self, weight: Tensor) -> Tensor:
        """The weight as a matrix whose rows are along `dim`."""
        return weight.movedim(self.dim, 0).flatten(1)

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        """weight / sigma; `<name>_u` and `<name>_v` come nearer to the singular vectors before."""
        weight = getattr(module, f"{self.name}_orig")
        u, v = getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            with cresset.no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(cresset.mv(matrix.t(), u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(cresset.mv(matrix, v), dim=0, eps=self.eps))
            # The next call overwrites them before this one may be differentiated.
            u, v = u.clone(), v.clone()
        return weight / cresset.dot(u, cresset.mv(matrix, v))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Has a weight be `<name>_orig` divided by its greatest singular value.

    As `parametrizations.spectral_norm`, with names that older state dicts have. `dim` is that of
    the outputs: 0, or 1 of transposed convolutions. Raises RuntimeError where the weight has it
    already, ValueError without power iterations. Miyato and others (2018).

    >>> [*spectral_norm(cresset.nn.Linear(3, 2)).state_dict()]
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    if _hook_of(module, name) is not None:
        raise RuntimeError(
            f"spectral_norm: Cannot register two spectral_norm hooks on the same parameter {name}; "
            "remove_spectral_norm() first"
        )
    if dim is None:
        dim = 1 if isinstance(module, _ConvTransposeNd) else 0
    hook = SpectralNorm(name, n_power_iterations, dim, eps)
    weight = module._parameters[name]
    assert weight is not None
    rows, columns = hook.reshape_weight_to_matrix(weight.detach()).shape
    u, v = (weight.detach().new_empty(size).normal_(0, 1) for size in (rows, columns))
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    # No buffer: what the optimizer and state dicts see is the original.
    setattr(module, name, weight.detach())
    module.register_buffer(f"{name}_u", F.normalize(u, dim=0, eps=eps))
    module.register_buffer(f"{name}_v", F.normalize(v, dim=0, eps=eps))
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Makes the weight an ordinary parameter again; ValueError where it has no `spectral_norm`."""
    found = _hook_of(module, name)
    if found is None:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    key, hook = found
    with cresset.no_grad():
        weight = hook.compute_weight(module, do_power_iteration=False)
    for each in (name, f"{name}_u", f"{name}_v", f"{name}_orig"):
        delattr(module, each)
    module.register_parameter(name, Parameter(weight.detach()))
    del module._forward_pre_hooks[key]
    return module


def _hook_of(module: Module, name: str) -> Any:
    """(key, hook) of a weight's hook among those of a module; None where it has none."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            return key, hook
    return None
