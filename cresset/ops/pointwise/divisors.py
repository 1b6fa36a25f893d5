"""Common divisors and multiples of integers."""

from __future__ import annotations

from cresset.core import scalar
from cresset.core.tensor import Tensor
from cresset.ops.kinds import elementwise
from cresset.ops.operation import method

__all__ = ["gcd", "gcd_", "lcm", "lcm_"]


def _divisor(operation, x, y):
    if x.dtype.category != x.dtype.INTEGER:
        raise NotImplementedError(
            f"{operation}: is of integers alone; got {x.dtype}; convert with .to(cresset.int64)"
        )
    return scalar.gcd(x, y)


@method()
@elementwise
def gcd(x, y: Tensor):
    """The greatest common divisor of integers; of 0 and 0 it is 0.

    >>> import cresset
    >>> cresset.gcd(cresset.tensor([12, -4, 0]), cresset.tensor([18]))
    tensor([ 6,  2, 18])
    """
    return _divisor("gcd", x, y)


@method()
@elementwise
def lcm(x, y: Tensor):
    """The least common multiple of integers; 0 where either is 0.

    >>> import cresset
    >>> cresset.lcm(cresset.tensor([12, -4, 0]), cresset.tensor([18]))
    tensor([36, 36,  0])
    """
    divisor = _divisor("lcm", x, y)
    safe = scalar.where(scalar.eq(divisor, 0), 1, divisor)
    return scalar.absolute(scalar.trunc_divide(x, safe) * y)


gcd_, lcm_ = gcd.in_place, lcm.in_place
