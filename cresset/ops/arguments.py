"""Wrong arguments: guards, which tell users what they did wrong.

Functions written in Python ask their operands for what tensors have, and test nothing before. Where
that fails, a guard makes of Python's words what a user can understand, under the name of what the
user called. So right calls pay for being called through a guard, and for nothing else.
"""

from __future__ import annotations

from functools import wraps
from types import FunctionType, ModuleType

from cresset.core.tensor import Tensor
from cresset.ops.naming import NAME, asked, generated, guarding, publish, renamed

# Not guarded, since they are called too often: they look for a plan first, or have little to ask
# for, and check their arguments themselves.
FREQUENT = {
    "functions": frozenset(("empty", "full", "ones", "pow", "rand", "randn", "tensor", "zeros")),
    "methods": frozenset((
        "clone", "contiguous", "copy_", "data_ptr", "detach", "dim", "element_size", "expand",
        "fill_", "is_complex", "is_contiguous", "is_floating_point", "item", "ndimension",
        "nelement", "numel", "permute", "pow", "reshape", "size", "storage_offset", "stride", "to",
        "tolist", "view", "zero_",
    )),
}
# What functions without a name of their own are called.
SPOKEN = {"__getitem__": "index", "__setitem__": "index"}
# Modules in whose frames an error is ours to tell. What runs in others is a user's.
OURS = ("cresset", "numpy")


def guard(names, public, prefix: str = "", kind: str = "functions") -> dict:
    """The functions of `names` that are `public`, each behind its guard, by name.

    Operations guard themselves: a call that finds no plan ends in `dispatch.miss`, which is.
    """
    found = {}
    for name in public:
        function = names[name]
        if isinstance(function, FunctionType) and not generated(function):
            here = (function.__module__, function.__name__) == (names.get("__name__"), name)
            spoken = SPOKEN.get(name, name.removeprefix("__").removesuffix("__"))
            publish(function, prefix + spoken, here)
            if name not in FREQUENT[kind]:
                if function not in guards:
                    guards[function] = standing_before(function, guarded(function))
                function = guards[function]
        found[name] = function
    return found


# The guards of functions, which many names may stand for; those of guards are themselves.
guards: dict = {}


def guarded(function):
    """The function behind its guard: what it raises is `told`."""
    @wraps(function)
    def call(*args, **keywords):
        try:
            return function(*args, **keywords)
        except Exception as problem:
            # No name holds the error here: this frame is in its traceback, and both would live on.
            raise_told(problem)

    return call


def standing_before(function, guard):
    """The guard, known for good as one that stands before a public function."""
    guard.__code__ = guard.__code__.replace(co_name=function.__name__)
    guarding[id(guard.__code__)] = function
    guards[guard] = guard
    return guard


def raise_told(problem: Exception):
    """Raise the error, while it is on its way, as users understand it."""
    error = told(problem)
    try:
        if error is problem:
            raise
        raise error from None
    finally:
        del error, problem


def guard_methods(cls) -> None:
    """Put the methods that are hung on a class behind their guards."""
    for name, function in list(vars(cls).items()):
        if isinstance(function, FunctionType):
            guarding = guard(vars(cls), [name], kind="methods")[name]
            if not name.startswith("_"):
                setattr(cls, name, guarding)


def told(problem: Exception) -> Exception:
    """The error as users understand it; `problem` itself where it does, or where it is theirs."""
    if not _ours(problem):
        return problem
    renamed(problem)
    name, words = asked(), str(problem)
    if name is None:
        return problem
    if isinstance(problem, AttributeError) and problem.name and _is_python(problem.obj):
        if hasattr(Tensor, problem.name):
            words = (
                f"got {type(problem.obj).__name__}; need a tensor; make a tensor of it with "
                "cresset.tensor(...)"
            )
            return TypeError(f"{name}(): an argument has the wrong type; {words}")
        problem = TypeError(words)
    if isinstance(problem, AttributeError) and isinstance(problem.obj, Tensor):
        # A tensor, where something else is needed.
        problem = TypeError(words)
    # Python's own words, which know nothing of the operation.
    if type(problem) is TypeError and not NAME.match(words) or words.startswith(CONVERSIONS):
        return TypeError(f"{name}(): an argument has the wrong type: {words}")
    if isinstance(problem, NAMELESS) and problem.args == (words,) and not NAME.match(words):
        problem.args = (f"{name}: {words}",)
    return problem


# Errors that are given a name where they have none.
NAMELESS = (ArithmeticError, IndexError, RuntimeError, ValueError)
# How the ValueErrors start that Python raises where text is no number.
CONVERSIONS = ("could not convert string", "invalid literal for")


def _ours(problem: Exception) -> bool:
    """Whether no function of a user's, such as a hook, had a part in an error."""
    trace = problem.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in OURS:
            return False
        trace = trace.tb_next
    return True


def _is_python(value) -> bool:
    """Whether a value is of one of Python's own types, such as a number, a list or None."""
    return type(value).__module__ == "builtins" and not isinstance(value, (type, *CODE))


# What attributes are looked up in where nobody gave it.
CODE = (FunctionType, ModuleType)


def tensors(operation: str, **operands) -> None:
    """TypeError for the first operand that is no tensor."""
    for name, value in operands.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{operation}(): argument '{name}' must be Tensor; got {type(value).__name__}; "
                "make a tensor of it with cresset.tensor(...)"
            )


def truth(operation: str, name: str, value) -> bool:
    """The argument, True or False; TypeError for what is neither."""
    if type(value) is not bool:
        raise TypeError(
            f"{operation}(): argument '{name}' must be bool; got {value!r}; need True or False"
        )
    return value


def whole(operation: str, name: str, value) -> int:
    """The argument as an integer; TypeError for what is none."""
    try:
        return value.__index__()
    except (AttributeError, TypeError):
        raise TypeError(
            f"{operation}(): argument '{name}' must be int; got {value!r}; need a whole number"
        ) from None
