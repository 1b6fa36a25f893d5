"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

import cresset
from cresset import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of all parameters, one after the other.

    >>> parameters_to_vector([cresset.ones(2), cresset.zeros(1)]).tolist()
    [1.0, 1.0, 0.0]
    """
    return cresset.cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Gives the parameters the elements of `vec`, in the order of `parameters_to_vector`."""
    start = 0
    for parameter in parameters:
        end = start + parameter.numel()
        parameter.data = vec[start:end].view_as(parameter).data
        start = end
