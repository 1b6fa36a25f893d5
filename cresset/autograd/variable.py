"""`Variable`, which tensors were wrapped in to have gradients before PyTorch 0.4."""

from __future__ import annotations

from typing import Any

from cresset.core.tensor import Tensor


class _VariableType(type):
    """Every tensor is an instance of `Variable`."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_VariableType):
    """Variable(data) is the tensor itself, asked for gradients if `requires_grad` says so.

    >>> import cresset
    >>> x = cresset.autograd.Variable(cresset.ones(2), requires_grad=True)
    >>> x.requires_grad, isinstance(cresset.ones(1), cresset.autograd.Variable)
    (True, True)
    """

    def __new__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:
        if not isinstance(data, Tensor):
            raise TypeError(
                f"Variable: data must be a Tensor (got {type(data).__name__}); make one of it "
                "with cresset.tensor(...)"
            )
        found = data.detach()
        return found.requires_grad_() if requires_grad else found
