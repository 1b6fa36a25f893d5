"""Parametrizations of weights: `weight_norm` and `spectral_norm`."""

from __future__ import annotations

from typing import Any

import cresset
from cresset import Tensor
from cresset.nn import functional as F
from cresset.nn.module import Module
from cresset.nn.modules.conv import _ConvTransposeNd
from cresset.nn.utils import parametrize

__all__ = ["spectral_norm", "weight_norm"]


def norm_except(v: Tensor, dim: int | None) -> Tensor:
    """The norm of v along all dims but one, kept as dims of size 1; over all where it is None."""
    if dim is None:
        return v.norm()
    others = [d for d in range(v.dim()) if d != dim % v.dim()]
    return v.square().sum(others, keepdim=True).sqrt() if others else v.abs()


class _WeightNorm(Module):
    """g v / ||v||, the norm along all dims but `dim`."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim
        self.kept = dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except(weight_v, self.kept))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except(weight, self.kept), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Has a weight be g v / ||v||, its size and its direction learnt apart.

    The norm is along all dims but `dim`, or over all where that is None. g and v are
    `parametrizations.<name>.original0` and `original1`; state dicts of the older
    `nn.utils.weight_norm`, with `<name>_g` and `<name>_v`, load as well. Salimans and Kingma
    (2016).

    >>> layer = weight_norm(cresset.nn.Linear(3, 2))
    >>> [*layer.state_dict()]
    ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def renamed(module: Any, state_dict: Any, prefix: str, *others: Any) -> None:
        for old, new in ((f"{name}_g", "original0"), (f"{name}_v", "original1")):
            if prefix + old in state_dict:
                found = state_dict.pop(prefix + old)
                state_dict[f"{prefix}parametrizations.{name}.{new}"] = found

    module.register_load_state_dict_pre_hook(renamed)
    return module


class _SpectralNorm(Module):
    """weight / sigma, its greatest singular value, found by power iteration."""

    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        if n_power_iterations <= 0:
            raise ValueError(
                "spectral_norm: Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.dim = dim if dim >= 0 else dim + weight.dim()
        self.eps = eps
        if weight.dim() > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._matrix(weight.detach())
            rows, columns = matrix.shape
            u, v = matrix.new_empty(rows).normal_(0, 1), matrix.new_empty(columns).normal_(0, 1)
            self.register_buffer("_u", F.normalize(u, dim=0, eps=eps))
            self.register_buffer("_v", F.normalize(v, dim=0, eps=eps))
            self._iterate(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        """The weight as a matrix whose rows are along `dim`."""
        return weight.movedim(self.dim, 0).flatten(1)

    @cresset.no_grad()
    def _iterate(self, matrix: Tensor, times: int) -> None:
        for _ in range(times):
            self._u.copy_(F.normalize(cresset.mv(matrix, self._v), dim=0, eps=self.eps))
            self._v.copy_(F.normalize(cresset.mv(matrix.t(), self._u), dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.dim() == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        # Copies, since the next call overwrites them before this one may be differentiated.
        u, v = self._u.clone(), self._v.clone()
        return weight / cresset.dot(u, cresset.mv(matrix, v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Has a weight be divided by its greatest singular value, so that the layer does not stretch.

    The value is estimated by `n_power_iterations` steps at every use in training. `dim` is that of
    the outputs: 0, or 1 of transposed convolutions. Miyato and others (2018).

    >>> layer = spectral_norm(cresset.nn.Linear(3, 3)).eval()
    >>> bool((cresset.linalg.matrix_norm(layer.weight, 2) - 1).abs() < 0.2)
    True
    """
    if dim is None:
        dim = 1 if isinstance(module, _ConvTransposeNd) else 0
    weight = getattr(module, name)
    made = _SpectralNorm(weight, n_power_iterations, dim, eps)
    return parametrize.register_parametrization(module, name, made)
