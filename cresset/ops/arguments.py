"""Arguments that are no tensors where functions of several operations need tensors."""

from __future__ import annotations

from functools import wraps

from cresset.core.tensor import Tensor


def guarded(function):
    """The function, with a TypeError where something that is no tensor stands for one.

    Functions written in Python ask their operands for what tensors have. What has none of it is
    told here, so that nothing has to be tested where nothing is wrong.
    """

    @wraps(function)
    def call(*args, **keywords):
        try:
            return function(*args, **keywords)
        except AttributeError as problem:
            raise no_tensor(function.__name__, problem) from None

    call.guarded = True
    return call


def no_tensor(operation: str, problem: AttributeError) -> Exception:
    """The error for an operand that lacks what tensors have; `problem` itself if it is another."""
    if isinstance(problem.obj, (Tensor, type)) or not hasattr(Tensor, problem.name or ""):
        return problem
    return TypeError(
        f"{operation}(): an argument has the wrong type; got {type(problem.obj).__name__}; need a "
        "tensor; make a tensor of it with cresset.tensor(...)"
    )
