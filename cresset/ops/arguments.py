"""Wrong arguments of functions of several operations."""

from __future__ import annotations

from functools import wraps

from cresset.core.tensor import Tensor
from cresset.ops.naming import NAME, renamed


def guarded(function):
    """The function, whose errors speak of it, and of what is no tensor where one is needed.

    Functions written in Python ask their operands for what tensors have. What has none of it is
    told here, so that nothing has to be tested where nothing is wrong.
    """
    name = function.__name__

    @wraps(function)
    def call(*args, **keywords):
        try:
            return function(*args, **keywords)
        except Exception as problem:
            told = explained(name, problem)
            if told is problem:
                raise
            raise told from None

    call.guarded = True
    return call


def whole(operation: str, name: str, value) -> int:
    """The argument as an integer; TypeError for what is none."""
    try:
        return value.__index__()
    except (AttributeError, TypeError):
        raise TypeError(
            f"{operation}(): argument '{name}' must be int; got {value!r}; need a whole number"
        ) from None


def explained(operation: str, problem: Exception) -> Exception:
    """The error that tells users of `operation` what is wrong; `problem` itself where it does."""
    renamed(problem, operation)
    if isinstance(problem, AttributeError):
        return no_tensor(operation, problem)
    if type(problem) is TypeError and not NAME.match(str(problem)):
        # Python's own words, which know nothing of the operation.
        return TypeError(f"{operation}(): an argument has the wrong type: {problem}")
    return problem


def no_tensor(operation: str, problem: AttributeError) -> Exception:
    """The error for an operand that lacks what tensors have; `problem` itself if it is another."""
    if isinstance(problem.obj, (Tensor, type)) or not hasattr(Tensor, problem.name or ""):
        return problem
    return TypeError(
        f"{operation}(): an argument has the wrong type; got {type(problem.obj).__name__}; need a "
        "tensor; make a tensor of it with cresset.tensor(...)"
    )
