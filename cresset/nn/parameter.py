"""`Parameter` and `Buffer`: the two kinds of tensor that a module owns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cresset
from cresset import Tensor
from cresset.ops.arguments import tensors


class Parameter(Tensor):
    """A tensor that a module learns: assigned as an attribute, it joins `module.parameters()`.

    `data` (default: an empty tensor) is shared, not copied. `requires_grad` defaults to True,
    inside `no_grad` too; only floating-point (and complex) data can require a gradient:
    RuntimeError.

    >>> Parameter(cresset.zeros(2)).requires_grad
    True
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = cresset.empty(0)
        tensors("Parameter", data=data)
        return Tensor._make_subclass(cls, data, requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        copy = memo.get(id(self))
        if copy is None:
            copy = type(self)(self.detach().clone(), self.requires_grad)
            memo[id(self)] = copy
        return copy

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that a module keeps but does not learn, such as a running mean.

    Assigned as an attribute it is registered as `module.register_buffer` would; with
    `persistent=False` it stays out of `state_dict()`.

    >>> module = cresset.nn.Module()
    >>> module.mean = Buffer(cresset.zeros(2))
    >>> list(module.state_dict())
    ['mean']
    """

    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        if data is None:
            data = cresset.empty(0)
        tensors("Buffer", data=data)
        buffer = Tensor._make_subclass(cls, data, data.requires_grad)
        buffer.persistent = persistent
        return buffer


class UninitializedParameter(Parameter):
    """A parameter whose shape is not known yet; an optimizer may hold it already.

    `materialize(shape)` gives it elements, and it is a `Parameter` from then on. Until then to ask
    for its shape raises RuntimeError.

    >>> weight = UninitializedParameter()
    >>> weight.materialize((2, 3))
    >>> weight.shape
    torch.Size([2, 3])
    """

    def __new__(
        cls, requires_grad: bool = True, device: Any = None, dtype: Any = None
    ) -> UninitializedParameter:
        data = cresset.empty(0, device=device, dtype=dtype)
        return Tensor._make_subclass(cls, data, requires_grad)

    def materialize(
        self, shape: Sequence[int], device: Any = None, dtype: Any = None
    ) -> None:
        """Takes memory for a shape, by default of the type and on the device it was made with."""
        self.data = cresset.empty(
            shape, device=self.device if device is None else device, dtype=dtype or self.dtype
        )
        self.__class__ = Parameter

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "UninitializedParameter: can't access the shape of an uninitialized parameter; it is "
            "known after the first call of its module; call the module once, or materialize()"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> UninitializedParameter:
        copy = type(self)(self.requires_grad, self.device, self.dtype)
        memo[id(self)] = copy
        return copy

    def __repr__(self) -> str:
        return "<UninitializedParameter>"
