"""The limits of element types: `finfo` of floating ones, `iinfo` of integers."""

from __future__ import annotations

import math

from cresset.core import dtype as types
from cresset.core.dtype import dtype
from cresset.core.tensor import Tensor

# The bits of the fraction, the greatest finite number, the exponent of the least normal one.
FLOATS = {
    types.float8_e4m3fn: (3, 448.0, -6),
    types.float8_e4m3fnuz: (3, 240.0, -7),
    types.float8_e5m2: (2, 57344.0, -14),
    types.float8_e5m2fnuz: (2, 57344.0, -15),
    types.float16: (10, 65504.0, -14),
    types.bfloat16: (7, (2 - 2.0**-7) * 2.0**127, -126),
    types.float32: (23, (2 - 2.0**-23) * 2.0**127, -126),
    types.float64: (52, (2 - 2.0**-52) * 2.0**1023, -1022),
}


class _Limits:
    """What both share: they are equal where their types are."""

    def __init__(self, d: dtype):
        self.dtype = TypeName(d)
        self.bits = 8 * d.itemsize

    def __eq__(self, other) -> bool:
        return type(other) is type(self) and other.dtype == self.dtype

    __hash__ = None  # type: ignore[assignment]


def _of_tensor(thing):
    """The type of a tensor; anything else itself."""
    return thing.layout.dtype if isinstance(thing, Tensor) else thing


class TypeName:
    """What `finfo(...).dtype` is: equal to the name, as in PyTorch, and to the type itself.

    The array API standard wants the type there, and no string.
    """

    __slots__ = ("_type",)

    def __init__(self, type: dtype):
        self._type = type

    def __eq__(self, other) -> bool:
        return other in (self._type, self._type.name) or (
            isinstance(other, TypeName) and other._type is self._type
        )

    def __hash__(self) -> int:
        return hash(self._type.name)

    def __str__(self) -> str:
        return self._type.name

    def __repr__(self) -> str:
        return repr(self._type.name)


class finfo(_Limits):
    """The limits of a floating type, of a complex type's parts, by default of the default type.

    `eps` is the step from 1 to the next number, `smallest_normal` (`tiny`) the least positive
    number of full precision, `resolution` the power of ten that stands for the decimal digits which
    the type always keeps.

    Raises TypeError for other types.

    >>> import cresset
    >>> cresset.finfo(cresset.bfloat16).eps
    0.0078125
    """

    def __init__(self, type: dtype | None = None):
        d = types.get_default_dtype() if type is None else _of_tensor(type)
        if not isinstance(d, dtype) or not d.is_differentiable:
            raise TypeError(
                f"finfo: requires a floating point input type; got {d!r}; use iinfo for integers"
            )
        super().__init__(d.to_real())
        self.bits = 8 * d.to_real().itemsize
        fraction, self.max, exponent = FLOATS[d.to_real()]
        self.min = -self.max
        self.eps = 2.0**-fraction
        self.tiny = self.smallest_normal = 2.0**exponent
        self.resolution = float(f"1e-{math.floor(fraction * math.log10(2))}")

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        spelled = ", ".join(f"{name}={getattr(self, name):g}" for name in names)
        return f"finfo({spelled}, dtype={self.dtype})"


class iinfo(_Limits):
    """The limits of an integer type. Raises TypeError for other types.

    >>> import cresset
    >>> cresset.iinfo(cresset.uint8).max
    255
    """

    def __init__(self, type: dtype):
        type = _of_tensor(type)
        if not isinstance(type, dtype) or type.category != dtype.INTEGER:
            raise TypeError(
                f"iinfo: requires an integer input type; got {type!r}; use finfo for floating types"
            )
        super().__init__(type)
        self.max = (1 << (self.bits - type.is_signed)) - 1
        self.min = -self.max - 1 if type.is_signed else 0

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"


def _range(d: dtype) -> tuple[float, float]:
    words = -(1 << 63), (1 << 63) - 1
    if d.is_differentiable:
        return max(words[0], -FLOATS[d.to_real()][1]), min(words[1], FLOATS[d.to_real()][1])
    if d is types.bool:
        return words
    return iinfo(d).min, min(words[1], iinfo(d).max)


# Numbers from which elements of a type are made as they are; of others `fitted` decides.
RANGES = {d: _range(d) for d in types.ALL}


def fitted(operation: str, number, d: dtype):
    """A number that becomes an element, as kernels take it: in a word of 64 bits.

    Raises RuntimeError where the type does not hold it, as PyTorch has it: finite numbers do not
    become infinite, and negative integers wrap in unsigned types as long as their size fits.
    OverflowError for integers of more than 64 bits.
    """
    if d not in RANGES:
        raise TypeError(f"{operation}: argument 'dtype' must be a torch.dtype; got {d!r}")
    low, high = RANGES[d]
    if type(number) is complex or low <= number <= high:
        return number
    whole = type(number) is int
    if whole and not -(1 << 63) <= number < 1 << 64:
        raise OverflowError(f"{operation}: got {number}; need an integer of 64 bits at most")
    if d.category != dtype.INTEGER:
        if d is types.bool or not FLOATS[d.to_real()][1] < abs(number) < math.inf:
            return float(number)
    elif whole and d is types.uint64:
        return number - (1 << 64) if number > 0 else number
    elif whole and not d.is_signed and -high <= number < 0:
        return number
    raise RuntimeError(
        f"{operation}: value cannot be converted to type {d.name} without overflow; got {number}; "
        f"need one that {d.name} holds; use a wider type"
    )
