"""Constructors by type, as programs from before `dtype` call them: FloatTensor(2, 3), x.new(3).

`FloatTensor` and its like are no classes of tensors: they make tensors of one type, and
`isinstance` of them asks for that type.
"""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.dtype import dtype
from cresset.core.layout import Size
from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.ops.creation.tensors import empty, tensor
from cresset.ops.memory.conversion import to

NAMES = {
    types.float32: "FloatTensor", types.float64: "DoubleTensor", types.float16: "HalfTensor",
    types.bfloat16: "BFloat16Tensor", types.bool: "BoolTensor", types.uint8: "ByteTensor",
    types.int8: "CharTensor", types.int16: "ShortTensor", types.int32: "IntTensor",
    types.int64: "LongTensor",
}  # fmt: skip
# These have a name that `type()` gives, and no constructor.
NAMES_ALONE = {
    types.complex64: "ComplexFloatTensor", types.complex128: "ComplexDoubleTensor",
    types.uint16: "UInt16Tensor", types.uint32: "UInt32Tensor", types.uint64: "UInt64Tensor",
    **{d: f"{d.name.capitalize()}Tensor" for d in types.STORED},
}  # fmt: skip

__all__ = [*NAMES.values(), "set_default_dtype", "set_default_tensor_type"]


class tensortype(type):
    """The type of `FloatTensor` and its like."""

    dtype: dtype

    def __call__(cls, *data, device=None):
        return construct(cls.dtype, data, device)

    def __instancecheck__(cls, x):
        return isinstance(x, Tensor) and x.layout.dtype is cls.dtype

    def __repr__(cls):
        return f"<class 'torch.{cls.__name__}'>"


def construct(d: dtype, data, device=None) -> Tensor:
    """Sizes give an uninitialised tensor, a sequence or an array one with its values.

    A tensor, which must be of the type, gives one that shares its memory.
    """
    if device is not None and str(device).partition(":")[0] != "cpu":
        raise RuntimeError(
            f"new: legacy constructor expects device type: cpu but device type: {device} was passed"
        )
    first = data[0] if data else Size((0,))
    if isinstance(first, Size) and len(data) < 2:
        return empty(first, dtype=d)
    if isinstance(first, Tensor) and len(data) == 1:
        if first.layout.dtype is not d:
            raise TypeError(
                f"new: expected a tensor of {d}; got {first.layout.dtype}; convert it with .to()"
            )
        return first.detach()
    if isinstance(first, int):
        return empty(*data, dtype=d)
    if len(data) == 1 and (hasattr(first, "__len__") or hasattr(first, "__array_interface__")):
        return tensor(first, dtype=d)
    raise TypeError(f"new: data must be a sequence (got {type(first).__name__})")


for _dtype, _name in NAMES.items():
    globals()[_name] = tensortype(_name, (), {
        "dtype": _dtype,
        "__doc__": f"{_name}(sizes...) or {_name}(values): a tensor of {_dtype.name}.",
        "__module__": __name__,
    })


def _type(x, dtype=None, non_blocking=False):
    """The name of the tensor's type; with a type the tensor as that type.

    The type may be a dtype, a constructor such as LongTensor, or the name of one.

    >>> import cresset
    >>> cresset.tensor([1.5]).type("torch.LongTensor").type()
    'torch.LongTensor'
    """
    if dtype is None:
        d = x.layout.dtype
        return f"torch.{NAMES.get(d) or NAMES_ALONE[d]}"
    return to(x, _named(dtype))


def _named(target) -> dtype:
    """The element type that a dtype, a typed constructor or a name of one stands for."""
    if isinstance(target, dtype):
        return target
    if isinstance(target, tensortype):
        return target.dtype
    if isinstance(target, type) and target in types.PYTHONS:
        return types.PYTHONS[target]
    for d, name in NAMES.items():
        if target == f"torch.{name}":
            return d
    if target == "torch.Tensor" or target is Tensor:
        return types.get_default_dtype()
    problem = ValueError if isinstance(target, str) else TypeError
    raise problem(
        f"type: invalid type: {target!r}; need a dtype, or a name such as 'torch.FloatTensor'"
    )


def set_default_dtype(d: dtype) -> None:
    """Set the floating type of new tensors. Raises TypeError unless `d` is a floating type."""
    types.set_default_dtype(d)
    # What numbers become is part of the plans, not of their keys.
    dispatch.forget()


def set_default_tensor_type(t) -> None:
    """Set the floating type of new tensors, given as FloatTensor or 'torch.FloatTensor'."""
    set_default_dtype(_named(t))


def _new(x, *data, device=None):
    """A tensor of x's type: of given sizes uninitialised, or with the values of a sequence."""
    return construct(x.layout.dtype, data, device)


def _construct(cls, *data, dtype=None, device=None):
    """Tensor(2, 3) is uninitialised, Tensor([1, 2]) holds the values; both of the default type."""
    if cls is not Tensor:
        return object.__new__(cls)
    return construct(types.get_default_dtype(), data, device)


Tensor.type = _type
Tensor.new = _new
Tensor.__new__ = _construct  # type: ignore[method-assign]
