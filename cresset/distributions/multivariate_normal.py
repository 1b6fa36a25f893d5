"""The multivariate normal distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cresset
from cresset import Tensor
from cresset.distributions import constraints
from cresset.distributions.distribution import Distribution
from cresset.distributions.normal import standard_normal
from cresset.distributions.utils import lazy_property


class MultivariateNormal(Distribution):
    """exp(-(x - loc)^T C^-1 (x - loc) / 2) / sqrt(det(2 pi C)).

    Exactly one of `covariance_matrix` C, `precision_matrix` C^-1 and `scale_tril`, the lower
    triangular L with L L^T = C, is given. By L everything is computed.

    >>> normal = MultivariateNormal(cresset.zeros(2), cresset.eye(2) * 4)
    >>> normal.log_prob(cresset.tensor([2.0, 0.0])), normal.scale_tril[0, 0]
    (tensor(-3.7242), tensor(2.))
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given: dict[str, Any] = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        named = [name for name, matrix in given.items() if matrix is not None]
        if len(named) != 1:
            raise ValueError(
                "MultivariateNormal: Exactly one of covariance_matrix or precision_matrix or "
                f"scale_tril may be specified; got {' and '.join(named) or 'none'}"
            )
        matrix = given[named[0]]
        if loc.dim() < 1 or matrix.dim() < 2:
            raise ValueError(
                f"MultivariateNormal: {named[0]} must be at least two-dimensional, and loc "
                f"one-dimensional; got shapes {tuple(matrix.shape)} and {tuple(loc.shape)}"
            )
        batch = cresset.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.loc = loc.expand((*batch, -1))
        setattr(self, named[0], matrix.expand((*batch, -1, -1)))
        super().__init__(batch, self.loc.shape[-1:], validate_args)

    @lazy_property
    def scale_tril(self) -> Tensor:
        if "precision_matrix" not in self.__dict__:
            return cresset.linalg.cholesky(self.covariance_matrix)
        # The factor of the precision with its dims in the other order is one of the inverse.
        factor = cresset.linalg.cholesky(self.precision_matrix.flip((-2, -1)))
        turned = factor.flip((-2, -1)).mT
        identity = cresset.eye(self.loc.shape[-1], dtype=self.loc.dtype, device=self.loc.device)
        return cresset.linalg.solve_triangular(turned, identity, upper=False)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return self.scale_tril @ self.scale_tril.mT

    @lazy_property
    def precision_matrix(self) -> Tensor:
        return cresset.cholesky_inverse(self.scale_tril)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.scale_tril.square().sum(-1)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = standard_normal(self._extended_shape(sample_shape), self.loc)
        return self.loc + (self.scale_tril @ drawn.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check_value(value)
        distance = squared_distance(self.scale_tril, value - self.loc)
        size = self.loc.shape[-1]
        return -0.5 * (size * math.log(2 * math.pi) + distance) - self.log_half_determinant()

    def entropy(self) -> Tensor:
        size = self.loc.shape[-1]
        return 0.5 * size * (1.0 + math.log(2 * math.pi)) + self.log_half_determinant()

    def log_half_determinant(self) -> Tensor:
        """log(det(C)) / 2."""
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def squared_distance(scale_tril: Tensor, x: Tensor) -> Tensor:
    """x^T (L L^T)^-1 x."""
    solved = cresset.linalg.solve_triangular(scale_tril, x.unsqueeze(-1), upper=False)
    return solved.square().sum((-2, -1))
