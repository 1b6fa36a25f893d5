"""Element types and the promotion rule.

A `dtype` is one of a fixed set of objects, compared by identity. `promote` is the whole table of
PyTorch's promotion, derived from three facts per type: its category (bool < integer < float <
complex), its width and its signedness.
"""

from __future__ import annotations

import builtins
from functools import cache


class dtype:
    """An element type, such as `cresset.float32`; there is one object of each."""

    __slots__ = ("category", "code", "is_signed", "itemsize", "llvm", "name", "numpy_name",
                 "register")

    # The categories in the order in which a higher one wins a promotion.
    BOOL, INTEGER, FLOAT, COMPLEX = range(4)

    # `llvm` is what an element is in memory, `register` what kernels compute with: booleans are
    # bits there, and the floating types below 32 bits float32.
    def __init__(self, name, code, category, itemsize, llvm, numpy_name=None, signed=True,
                 register=None):
        self.name = name
        self.code = code
        self.category = category
        self.itemsize = itemsize
        self.llvm = llvm
        self.register = register or llvm
        self.numpy_name = numpy_name
        self.is_signed = signed

    @property
    def is_floating_point(self) -> builtins.bool:
        return self.category == dtype.FLOAT

    @property
    def is_complex(self) -> builtins.bool:
        return self.category == dtype.COMPLEX

    @property
    def is_differentiable(self) -> builtins.bool:
        """Whether values of the type have gradients: floating and complex ones."""
        return self.category >= dtype.FLOAT

    @property
    def numpy(self):
        """NumPy's type of the same elements, None where it has none."""
        # NumPy is imported when it is first needed: most programs start faster for it.
        import numpy

        return None if self.numpy_name is None else numpy.dtype(self.numpy_name)

    def to_real(self) -> dtype:
        """The type of a complex type's parts; any other type itself."""
        return {complex64: float32, complex128: float64}.get(self, self)

    def to_complex(self) -> dtype:
        """The complex type whose parts have this type, or hold it: complex64 for the half types.

        A complex type is itself. Raises RuntimeError for types that are no parts of one.
        """
        if self.category == dtype.COMPLEX:
            return self
        if self.category != dtype.FLOAT or self in STORED:
            raise RuntimeError(f"to_complex: there is no complex type with parts of {self}")
        return complex128 if self is float64 else complex64

    def __repr__(self) -> str:
        # The name that programs written with `import cresset as torch` know it by.
        return f"torch.{self.name}"

    def __reduce__(self):
        return named, (self.name,)


bool = dtype("bool", "b1", dtype.BOOL, 1, "i8", "bool", signed=False, register="i1")
uint8 = dtype("uint8", "u8", dtype.INTEGER, 1, "i8", "uint8", signed=False)
uint16 = dtype("uint16", "u16", dtype.INTEGER, 2, "i16", "uint16", signed=False)
uint32 = dtype("uint32", "u32", dtype.INTEGER, 4, "i32", "uint32", signed=False)
uint64 = dtype("uint64", "u64", dtype.INTEGER, 8, "i64", "uint64", signed=False)
int8 = dtype("int8", "i8", dtype.INTEGER, 1, "i8", "int8")
int16 = dtype("int16", "i16", dtype.INTEGER, 2, "i16", "int16")
int32 = dtype("int32", "i32", dtype.INTEGER, 4, "i32", "int32")
int64 = dtype("int64", "i64", dtype.INTEGER, 8, "i64", "int64")
float8_e4m3fn = dtype("float8_e4m3fn", "f8e4m3fn", dtype.FLOAT, 1, "i8", register="float")
float8_e4m3fnuz = dtype("float8_e4m3fnuz", "f8e4m3fnuz", dtype.FLOAT, 1, "i8", register="float")
float8_e5m2 = dtype("float8_e5m2", "f8e5m2", dtype.FLOAT, 1, "i8", register="float")
float8_e5m2fnuz = dtype("float8_e5m2fnuz", "f8e5m2fnuz", dtype.FLOAT, 1, "i8", register="float")
float16 = dtype("float16", "f16", dtype.FLOAT, 2, "i16", "float16", register="float")
bfloat16 = dtype("bfloat16", "bf16", dtype.FLOAT, 2, "i16", register="float")
float32 = dtype("float32", "f32", dtype.FLOAT, 4, "float", "float32")
float64 = dtype("float64", "f64", dtype.FLOAT, 8, "double", "float64")
complex64 = dtype("complex64", "c64", dtype.COMPLEX, 8, "", "complex64")
complex128 = dtype("complex128", "c128", dtype.COMPLEX, 16, "", "complex128")

def named(name: str) -> dtype:
    """The type of a name, as pickling asks for it."""
    return globals()[name]


# Kept, copied, converted and compared for equality; there is no arithmetic on them.
STORED = (float8_e4m3fn, float8_e4m3fnuz, float8_e5m2, float8_e5m2fnuz)
# Computed on in float32.
HALVES = (float16, bfloat16)
# In memory bits, in registers float32.
SMALL = (*STORED, *HALVES)
# What kernels compute on.
COMPUTED = (bool, uint8, uint16, uint32, uint64, int8, int16, int32, int64, float16, bfloat16,
            float32, float64, complex64, complex128)
ALL = (*COMPUTED[:-2], *STORED, *COMPUTED[-2:])
ALIASES = {"half": float16, "float": float32, "double": float64, "short": int16, "int": int32,
           "long": int64, "cfloat": complex64, "cdouble": complex128}
# What Python's own types stand for, as in PyTorch.
PYTHONS = {builtins.bool: bool, int: int64, float: float64, complex: complex128}
# The signed types that hold all of an unsigned one.
WIDER = {uint8: int16, uint16: int32, uint32: int64}
FROM_NUMPY = {d.numpy_name: d for d in ALL if d.numpy_name is not None}


@cache
def promote(type1: dtype, type2: dtype) -> dtype:
    """The smallest type that both convert to, as PyTorch's `promote_types` has it.

    The higher category wins; within floats the wider wins and float16 with bfloat16 gives float32;
    an unsigned integer with a signed one gives a signed one that is wider than the unsigned.

    PyTorch has no answer for uint16/32/64 beside another integer type; the array API standard's is
    given. Raises RuntimeError for uint64 with a signed integer, which no integer type holds both,
    and for a float8 type with any other.
    """
    for given in (type1, type2):
        if type(given) is not dtype:
            raise TypeError(
                f"promote_types(): needs two types; got {given!r}; give such as cresset.float32"
            )
    if type1 is type2:
        return type1
    if type1 in STORED or type2 in STORED:
        raise RuntimeError(
            f"promote_types: Promotion for Float8 Types is not supported; got {type1} and {type2}; "
            "convert both to one type with .to(dtype)"
        )
    if type1.category != type2.category:
        high, low = (type1, type2) if type1.category > type2.category else (type2, type1)
        if high is complex64 and low is float64:
            return complex128
        return high
    if type1.category == dtype.INTEGER:
        if type1.is_signed == type2.is_signed:
            return type1 if type1.itemsize >= type2.itemsize else type2
        signed, unsigned = (type1, type2) if type1.is_signed else (type2, type1)
        if unsigned is uint64:
            raise RuntimeError(
                f"promote_types: {type1} and {type2} have no common type: no integer holds what "
                "both do; need a signed type or narrower unsigned ones; convert one of them with "
                ".to(dtype)"
            )
        return max(signed, WIDER[unsigned], key=lambda d: d.itemsize)
    if {type1, type2} == {float16, bfloat16}:
        return float32
    return type1 if type1.itemsize >= type2.itemsize else type2


class _Default:
    """The type that Python floats become where no tensor says otherwise."""

    dtype = float32


def get_default_dtype() -> dtype:
    """The floating type of new tensors, float32 unless set.

    >>> get_default_dtype()
    torch.float32
    """
    return _Default.dtype


def set_default_dtype(d: dtype) -> None:
    """Set the floating type of new tensors. Raises TypeError unless `d` is a floating type."""
    if not isinstance(d, dtype) or not d.is_floating_point or d in STORED:
        raise TypeError(f"set_default_dtype: only floating-point types are supported as the "
                        f"default; got {d!r}; need one that is computed on, such as float32")
    _Default.dtype = d


def asked(operation: str, d) -> dtype:
    """The type that `dtype=` stands for: one of ours, or Python's bool, int, float, complex.

    Raises TypeError for anything else.
    """
    if isinstance(d, dtype):
        return d
    if isinstance(d, type) and d in PYTHONS:
        return PYTHONS[d]
    raise TypeError(
        f"{operation}(): argument 'dtype' must be a torch.dtype; got {d!r}; need one such as "
        "cresset.float32"
    )


def of_number(number) -> dtype:
    """The type that a Python number has on its own."""
    kind = type(number)
    if kind is float:
        return _Default.dtype
    if kind is int:
        return int64
    if kind is complex:
        return _Default.dtype.to_complex()
    return bool
