"""The errors of calls that emitted builtins could not read."""

from __future__ import annotations

import math

from cresset.core.tensor import Tensor


def rejected(letters: str, *arguments) -> None:
    """Raise the error of a call that `launch` could not read."""
    if len(arguments) != len(letters):
        raise TypeError(f"launch: got {len(arguments)} arguments; need {len(letters)}")
    for index, (letter, argument) in enumerate(zip(letters, arguments), 1):
        if letter in "tw":
            check_tensor(f"launch: argument {index}", argument)
        if letter == "w" and argument.memory.version is None:
            raise RuntimeError(
                f"write: the memory must not be written: it belongs to a "
                f"{type(argument.memory.owner).__name__} that is not writable; got a tensor of "
                f"shape {tuple(argument.layout.shape)}; write to a clone() of it"
            )
        if letter in "twn":
            continue
        try:
            if letter == "d":
                math.isnan(argument)  # a conversion as emitted code does it
                continue
            whole = argument.__index__()
        except (TypeError, AttributeError):
            kind = "a real number" if letter == "d" else "an integer"
            raise TypeError(
                f"launch: argument {index} is a {type(argument).__name__}; need {kind}"
            ) from None
        if not -(1 << 63) <= whole < 1 << 63:
            raise OverflowError(
                f"launch: argument {index} is {whole}; need an integer of 64 bits"
            )
    raise TypeError("launch: the arguments cannot be used")


def check_tensor(what: str, argument) -> None:
    """Raise TypeError unless the argument is a tensor whose memory is known."""
    if not isinstance(argument, Tensor):
        raise TypeError(f"{what} is a {type(argument).__name__}; need a tensor")
    for name in ("ptr", "memory", "layout"):
        if not hasattr(argument, name):
            raise TypeError(f"{what} is a tensor without {name}; need one that was made by Cresset")


def rejected_view(argument) -> None:
    """Raise the error of a call that `view` or `new` could not read."""
    check_tensor("view: the argument", argument)
    raise TypeError("view: the tensor's address or storage is not what Cresset made")


def rejected_layout(argument) -> None:
    raise TypeError(f"new: got a {type(argument).__name__}; need a Layout")
