"""`range`, which is `arange` with its end: what programs from before `arange` call."""

from __future__ import annotations

from math import floor

from cresset.core import dtype as types
from cresset.ops.creation.counted import arange

__all__ = ["range"]


def range(start=0, end=None, step=1, *, out=None, dtype=None, layout=None, device=None,
          requires_grad=False, pin_memory=False):
    """start, start + step, ... up to `end`, which is included; of the default floating type.

    >>> import cresset
    >>> cresset.range(1, 3)
    tensor([1., 2., 3.])
    """
    start, end = (0, start) if end is None else (start, end)
    if not step or (end - start) / step < 0:
        raise RuntimeError(
            f"range: upper bound and larger bound inconsistent with step sign; got start {start}, "
            f"end {end}, step {step}"
        )
    count = floor((end - start) / step) + 1
    return arange(start, start + (count - 0.5) * step, step, out=out,
                  dtype=dtype or types.get_default_dtype(), device=device,
                  requires_grad=requires_grad)
