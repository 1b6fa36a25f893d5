"""Any data as a tensor, without a copy where its memory can be shared."""

from __future__ import annotations

from cresset.core.tensor import Tensor
from cresset.ops.creation.tensors import tensor
from cresset.ops.exchange.arrays import array_of, frombuffer, is_array
from cresset.ops.exchange.dlpack import from_dlpack

__all__ = ["as_tensor", "asarray"]


def as_tensor(data, dtype=None, device=None) -> Tensor:
    """The data as a tensor: a tensor as it is, an array shared, anything else as `tensor` does.

    >>> import numpy, cresset
    >>> a = numpy.zeros(2)
    >>> cresset.as_tensor(a)[0] = 1
    >>> a
    array([1., 0.])
    """
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    if is_array(data):
        made = array_of(data)
        return made if device is None and dtype is None else made.to(device=device, dtype=dtype)
    return tensor(data, dtype=dtype, device=device)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=None) -> Tensor:
    """The object as a tensor: a tensor, array, DLPack object or buffer is shared, a list copied.

    `copy` True always copies; False never does, and raises ValueError where one would be needed;
    None copies where it must. A buffer is read as `dtype`, the default floating type unless given.

    >>> import cresset
    >>> x = cresset.arange(2)
    >>> cresset.asarray(x) is x, cresset.asarray(x, copy=True) is x
    (True, False)
    """
    from cresset.core.dtype import get_default_dtype

    if isinstance(obj, Tensor):
        found = obj
    elif is_array(obj):
        found = array_of(obj, copied=copy is True)
    elif hasattr(obj, "__dlpack__"):
        found = from_dlpack(obj)
    elif isinstance(obj, (bytes, bytearray, memoryview)):
        found = frombuffer(obj, dtype=dtype or get_default_dtype())
    else:
        if copy is False:
            raise ValueError(
                f"asarray: can't alias arbitrary sequence into a tensor; got copy=False and a "
                f"{type(obj).__name__}; need a tensor, an array or a buffer"
            )
        return tensor(obj, dtype=dtype, device=device, requires_grad=bool(requires_grad))
    changed = found.to(device=device, dtype=dtype)
    if changed is not found and copy is False:
        raise ValueError(
            f"asarray: can't alias tensor with dtype '{found.dtype}' into dtype '{dtype}' on "
            f"{device or found.device}; got copy=False; convert it first, or leave copy out"
        )
    if changed is found and copy:
        changed = found.clone()
    if requires_grad is False:
        return changed.detach()
    return changed.requires_grad_() if requires_grad else changed
