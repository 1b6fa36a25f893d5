"""Parametrizations of weights: `weight_norm`, `spectral_norm` and `orthogonal`."""

from __future__ import annotations

from typing import Any

import cresset
from cresset import Tensor
from cresset.nn import functional as F
from cresset.nn.module import Module
from cresset.nn.modules.conv import _ConvTransposeNd
from cresset.nn.utils import parametrize

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


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


def _orthonormal(x: Tensor) -> Tensor:
    """The Q of x = QR with a positive diagonal in R."""
    packed, tau = cresset.geqrf(x)
    q = cresset.linalg.householder_product(packed, tau)
    return q * packed.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


class _Orthogonal(Module):
    """A matrix with orthonormal columns, or rows where it has fewer, from any of its shape.

    With a base, that times one which the original's triangle makes; at first the base itself.
    """

    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError(
                "orthogonal: The householder parametrization does not support complex tensors; "
                "need 'matrix_exp' or 'cayley'"
            )
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        self.register_buffer("base", None)

    def forward(self, original: Tensor) -> Tensor:
        wide = original.shape[-2] < original.shape[-1]
        x = original.mT if wide else original
        q = self._reflections(x) if self.orthogonal_map == "householder" else self._rotation(x)
        if self.base is not None:
            q = self.base @ q
        return q.mT if wide else q

    def _rotation(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[-2:]
        x = x.tril()
        if rows != columns:
            x = cresset.cat([x, x.new_zeros((*x.shape[:-1], rows - columns))], -1)
        skew = x - x.mH
        if self.orthogonal_map == "matrix_exp":
            q = cresset.matrix_exp(skew)
        else:
            one = cresset.eye(rows, dtype=x.dtype, device=x.device)
            q = cresset.linalg.solve(one - 0.5 * skew, one + 0.5 * skew)
        return q[..., :columns]

    def _reflections(self, x: Tensor) -> Tensor:
        below = x.tril(-1)
        tau = 2.0 / (1.0 + (below * below).sum(-2))
        q = cresset.linalg.householder_product(below, tau)
        return q * x.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)

    def right_inverse(self, value: Tensor) -> Tensor:
        if value.shape != self.shape:
            raise ValueError(
                f"orthogonal: Expected a matrix or batch of matrices of shape "
                f"{tuple(self.shape)}; got a tensor of shape {tuple(value.shape)}"
            )
        wide = value.shape[-2] < value.shape[-1]
        q = value.mT if wide else value
        rows, columns = q.shape[-2:]
        if self.use_trivialization:
            if rows != columns:
                q = cresset.cat([q, cresset.randn(
                    (*q.shape[:-1], rows - columns), dtype=q.dtype, device=q.device
                )], -1)
            self.base = _orthonormal(q)
            return -cresset.eye(*value.shape[-2:], dtype=value.dtype).expand_as(value).contiguous()
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "orthogonal: It is not possible to assign to the matrix exponential or the Cayley "
                "parametrizations when use_trivialization=False"
            )
        packed, tau = cresset.geqrf(q)
        diagonal = packed.diagonal(dim1=-2, dim2=-1)
        diagonal.sign_()
        diagonal[tau == 0.0] *= -1
        return packed.mT if wide else packed


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Has a matrix, or a batch of them, have orthonormal columns, or rows where it has fewer.

    `orthogonal_map` makes it of the original: "matrix_exp", the exponential of a skew matrix,
    "cayley", (I + A/2)^-1 (I - A/2) of one, or "householder", reflections; by default the first of
    square and complex matrices and the last of others. With `use_trivialization` a fixed base comes
    before, so any orthogonal value can be assigned. Raises ValueError for tensors of less than two
    dims, and other maps. Lezcano-Casado (2019).

    >>> layer = orthogonal(cresset.nn.Linear(3, 2))
    >>> bool(cresset.allclose(layer.weight @ layer.weight.mT, cresset.eye(2), atol=1e-5))
    True
    """
    weight = getattr(module, name)
    if weight.dim() < 2:
        raise ValueError(
            f"orthogonal: Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} "
            "dimensions."
        )
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            'orthogonal: orthogonal_map has to be one of "matrix_exp", "cayley", "householder". '
            f"Got: {orthogonal_map}"
        )
    made = _Orthogonal(weight, orthogonal_map, use_trivialization)
    return parametrize.register_parametrization(module, name, made, unsafe=True)
