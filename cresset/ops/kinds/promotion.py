"""Which element type a call computes in, from its tensors, zero-dim tensors and numbers."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.dtype import dtype, promote
from cresset.core.layout import Layout


def result_type(specs) -> dtype:
    """PyTorch's rule: tensors with dims decide; zero-dim tensors and then numbers matter only where
    they are of a higher category.

    `specs` are layouts and the types of Python numbers; anything else is passed over.
    """
    found: list[dtype | None] = [None, None, None]
    for spec in specs:
        if isinstance(spec, Layout):
            rank, d = (0 if spec.ndim else 1), spec.dtype
        elif spec in (bool, int, float, complex):
            rank, d = 2, types.of_number(spec())
        else:
            continue
        found[rank] = d if found[rank] is None else promote(found[rank], d)
    out = _combine(found[0], _combine(found[1], found[2]))
    if out is None:
        raise TypeError("result_type: there is no tensor and no number among the operands")
    return out


def _combine(high: dtype | None, low: dtype | None) -> dtype | None:
    if high is None or low is None:
        return high or low
    if high.category >= dtype.FLOAT:
        if low.category == dtype.COMPLEX and high.category == dtype.FLOAT:
            return high.to_complex()
        return high
    if high is types.bool or low.category >= dtype.FLOAT:
        return promote(high, low)
    return high


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether a value may be written as another type: never to a lower category.

    >>> can_cast(types.float32, types.int64), can_cast(types.int64, types.float32)
    (False, True)
    """
    if from_.category == dtype.COMPLEX and to.category != dtype.COMPLEX:
        return False
    if from_.category == dtype.FLOAT and to.category <= dtype.INTEGER:
        return False
    return not (from_.category != dtype.BOOL and to.category == dtype.BOOL)


def kept(operation: str, d: dtype) -> dtype:
    """The type itself, or what Python's stands for, if there are tensors of it."""
    if type(d) is not dtype:
        d = types.asked(operation, d)
    return d if d in types.STORED else computed(operation, d)


def computed(operation: str, d: dtype) -> dtype:
    """The type itself, or what Python's stands for, if kernels compute on it."""
    if type(d) is not dtype:
        d = types.asked(operation, d)
    if d in types.STORED:
        raise NotImplementedError(
            f"{operation}: not implemented for {d}, which is a type to store and convert; need "
            "one that there is arithmetic on; convert with .to(cresset.float32)"
        )
    if d not in types.COMPUTED:
        raise NotImplementedError(
            f"{operation}: {d} is not computed yet; need one of "
            f"{', '.join(t.name for t in types.COMPUTED)}; convert with .to(cresset.float32)"
        )
    return d
