"""Casting: the types in which operations compute while `amp.autocast` is on in a thread.

Products and convolutions take their floating operands in the lower type, what adds up or takes
logarithms in float32; all other operations take the types that come. float64 stays. An operation
that is not named here pays nothing, one that is looks whether any thread casts.
"""

from __future__ import annotations

from threading import get_ident

from cresset.core import dtype as types
from cresset.core.tensor import Tensor
from cresset.ops import dispatch

LOWER = {"matmul", "linear", "direct_convolution", "transposed_convolution"}
FULL = {"absolute_error", "binary_cross_entropy_logit_terms", "binary_cross_entropy_terms",
        "cross_entropy_terms", "distances", "huber_error", "kl_log_terms", "kl_terms",
        "picked_terms", "prod", "recurrence", "smooth_absolute_error", "squared_error"}


# The lower type by thread; empty where none casts.
casting: dict[int, types.dtype] = {}


def lower_type() -> types.dtype | None:
    """The lower type that this thread casts to; None where it does not."""
    return casting.get(get_ident())


def cast_operands(op, args: tuple) -> tuple:
    """The arguments of an operation that is named above, as this thread casts them."""
    lower = lower_type()
    if lower is None:
        return args
    target = lower if op.name in LOWER else types.float32
    return tuple([x.to(target) if _is_cast(x) else x for x in args])


def cast_like(x: Tensor, product: Tensor) -> Tensor:
    """What is added to a product, in the product's type where this thread casts."""
    return x.to(product.layout.dtype) if lower_type() and _is_cast(x) else x


def _is_cast(x) -> bool:
    """Whether autocast changes the type of an argument: real floating ones below float64."""
    if not isinstance(x, Tensor):
        return False
    d = x.layout.dtype
    return d.is_floating_point and d is not types.float64


dispatch.namespace["casting"] = casting
dispatch.namespace["cast_operands"] = cast_operands
