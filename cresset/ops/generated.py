"""The functions that operations are called by, generated from their parameters.

A function that names its parameters costs half of one that takes `*args`, and a plan's key that is
written out costs less than one that is put together in a loop. There are hundreds of operations, so
a function's text is written and compiled when it is first called. `print(source(cresset.exp))`
shows it.
"""

from __future__ import annotations

import inspect
import types
from functools import cache

from cresset.ops import dispatch
from cresset.ops.casting import FULL, LOWER

PARAMETER = inspect.Parameter
OUT = PARAMETER("out", PARAMETER.KEYWORD_ONLY, default=None)
ALPHA = PARAMETER("alpha", PARAMETER.KEYWORD_ONLY, default=1)
# NumPy's names of parameters, which PyTorch takes as well.
ALIASES = {"axis": "dim", "keepdims": "keepdim"}


def functional(op):
    """The function `op(input, ..., *, out=None)`."""
    aliases = [PARAMETER(name, PARAMETER.KEYWORD_ONLY, default=None) for name in _aliases(op)]
    more = [*aliases, *_factor(op), *[OUT] * op.has_out]
    return _function(op, op.name, _functional_lines, more)


def in_place(op):
    """The function `op_(input, ...)`, which overwrites its first operand with the result."""
    return _function(op, op.name + "_", _in_place_lines, _factor(op))


def hang_operators(cls):
    """Put operators on a class that leave operands of other classes to answer them."""
    slots = {"miss": dispatch.miss_operator, "miss_into": dispatch.miss_augmented}
    made = {}
    for name, function in list(vars(cls).items()):
        op = getattr(function, "op", None)
        if name.startswith("__") and op is not None and len(op.parameters) > 1:
            if function not in made:
                made[function] = _written_late(
                    op, function.__name__, function.lines, function.__signature__, slots
                )
            setattr(cls, name, made[function])


def source(function) -> str:
    """The text of a generated function."""
    return "\n".join(function.lines(function.op))


def function_of(text: str, scope: dict) -> types.FunctionType:
    """The function that a text defines, with `scope` for its globals."""
    return types.FunctionType(_code(text), scope)


@cache
def _code(text: str):
    """The code object of a text's function; operations of one form share it."""
    module = compile(text, "<generated>", "exec")
    return next(c for c in module.co_consts if isinstance(c, types.CodeType))


def _function(op, name, lines, more):
    parameters = [*_public(op), *more]
    signature = inspect.Signature(parameters, __validate_parameters__=False)
    return _written_late(op, name, lines, signature, {})


def _written_late(op, name, lines, signature, slots):
    """A function whose text is written when it is first called, with `slots` of its own."""
    # A plain dict: Python looks names up in any other at every use, and built-in ones by an error.
    scope = {**dispatch.namespace, **slots}
    scope["op"] = op
    if op.scaled is not None:
        scope["scaled"] = op.scaled
    scope["__name__"] = "cresset.generated"
    function = types.FunctionType(_first_call.__code__, scope, name)
    scope["write"] = lambda: _write(function)
    function.__qualname__ = name
    function.__doc__ = op.doc
    function.__module__ = op.module
    function.__signature__ = signature
    function.op = op
    function.lines = lines
    scopes.append(scope)
    return function


def _first_call(*args, **keywords):
    # Stands in for a generated function, with that one's globals, until it is called.
    return write()(*args, **keywords)  # type: ignore[name-defined]  # noqa: F821


def _write(function):
    """Give a function the code that its text stands for."""
    name = function.__name__
    defaults = [
        p for p in function.__signature__.parameters.values() if p.default is not p.empty
    ]
    function.__defaults__ = tuple(p.default for p in defaults if p.kind is not p.KEYWORD_ONLY)
    function.__kwdefaults__ = {p.name: p.default for p in defaults if p.kind is p.KEYWORD_ONLY}
    function.__code__ = _code(source(function)).replace(
        co_name=name, co_qualname=name, co_filename=f"<generated {name}>"
    )
    return function


# Every generated function has globals of its own, so filling a slot reaches into each.
scopes: list[dict] = []


def fill(**slots) -> None:
    """Fill slots of the namespace, for functions generated before and after; their own stay."""
    before = {name: dispatch.namespace.get(name) for name in slots}
    for scope in scopes:
        for name, value in slots.items():
            if scope.get(name) is before[name]:
                scope[name] = value
    dispatch.namespace.update(slots)


# --- the text -------------------------------------------------------------------------------------
def _public(op) -> list[inspect.Parameter]:
    """The parameters under their public names."""
    return [
        p if p.name == name else PARAMETER(name, p.kind, default=p.default)
        for p, name in zip(op.parameters, op.public_names)
    ]


def _factor(op) -> list[inspect.Parameter]:
    """The factor of the last operand, where an operation has one."""
    return [ALPHA] * (op.scaled is not None)


def _aliases(op) -> dict:
    """The other names of those of an operation's parameters that have defaults."""
    optional = {p.name for p in op.parameters if p.default is not p.empty}
    return {alias: name for alias, name in ALIASES.items() if name in optional}


def _functional_lines(op):
    names = op.public_names
    key, launched, histories = _pieces(op, names)
    everything = _tuple(names)
    aliases = _aliases(op)
    more = [*aliases, *(p.name for p in _factor(op)), *["out"] * op.has_out]
    lines = [f"def call({_spelled(_public(op), more)}):"]
    for alias, name in aliases.items():
        lines += [f"    if {alias} is not None:", f"        {name} = {alias}"]
    if op.name in LOWER or op.name in FULL:
        lines += ["    if casting:", f"        {everything} = cast_operands(op, {everything})"]
    if op.scaled is not None:
        call = f"{', '.join(names)}, alpha{', out=out' * op.has_out}"
        lines += ["    if alpha != 1:", f"        return scaled({call})"]
    if op.has_out:
        lines += ["    if out is not None:", f"        return call_out(op, {everything}, out)"]
    lines += [
        "    try:",
        f"        launch = plans[op, {', '.join(key)}]",
        "    except (KeyError, AttributeError, TypeError):",
        "        launch = None",
        f"    if {' or '.join(['launch is None', *_no_flags(op)])}:",
        f"        return miss(op, {everything})",
        *_launched(op, f"result = launch({', '.join(launched)})", f"miss(op, {everything})"),
    ]
    if histories:
        lines += [
            f"    if {' or '.join(histories)}:",
            f"        return record(op, result, {everything})",
        ]
    return [*lines, "    return result"]


def _in_place_lines(op):
    names = op.public_names
    key, launched, _ = _pieces(op, names)
    everything = _tuple(names)
    x = names[0]
    # A view may belong to a tensor with a history though it has none itself.
    unusual = [*_no_flags(op), f"{x}.history is not None", f"{x}.base is not None"]
    for name, kind in zip(names[1:], op.parameter_kinds[1:]):
        if kind not in ("static", "number"):
            test = f"{name}.history is not None or {name}.memory is {x}.memory"
            given = "" if kind == "tensor" else f"type({name}) in tensor_types and "
            unusual.append(f"{given}({test})")
    lines = [f"def call({_spelled(_public(op), [p.name for p in _factor(op)])}):"]
    if op.scaled is not None:
        lines += [
            "    if alpha != 1:", f"        return scaled.in_place({', '.join(names)}, alpha)",
        ]
    return [
        *lines,
        "    try:",
        f"        launch = plans[op.written, {', '.join(key)}]",
        "    except (KeyError, AttributeError, TypeError):",
        "        launch = None",
        f"    if launch is None or {' or '.join(unusual)}:",
        f"        return miss_into(op, {everything}, {x})",
        *_launched(op, f"launch({', '.join((x, *launched))})",
                   f"miss_into(op, {everything}, {x})"),
        f"    if {x}.memory.writer is not None:",
        f"        note_write({x}, op)",
        f"    return {x}",
    ]


def _launched(op, launch, missed):
    """The launch; where an operand may be a number, one that is too long for a word is a miss."""
    if not {"operand", "number"} & set(op.parameter_kinds):
        return [f"    {launch}"]
    return ["    try:", f"        {launch}",
            "    except OverflowError:", f"        return {missed}"]


def _no_flags(op) -> list[str]:
    """The tests for flags that are neither True nor False: 1 finds the plan of True, its equal."""
    return [
        f"{p.name} is not False and {p.name} is not True"
        for p in op.parameters if type(p.default) is bool
    ]


def _pieces(op, names):
    """The parts of the text: key, operands, and the test for autograd."""
    key, launched, histories = [], [], []
    for k, (name, kind) in enumerate(zip(names, op.parameter_kinds)):
        if kind == "static":
            key.append(name)
            continue
        launched.append(name)
        if kind == "tensor" or kind == "operand" and k == 0:
            key.append(f"{name}.layout")
            histories.append(f"{name}.history is not None")
        elif kind == "optional":
            key.append(f"None if {name} is None else {name}.layout")
            histories.append(f"{name} is not None and {name}.history is not None")
        elif kind == "operand":
            key.append(f"{name}.layout if type({name}) in tensor_types else type({name})")
            histories.append(f"type({name}) in tensor_types and {name}.history is not None")
        else:
            key.append(f"None if {name} is None else type({name})")
    return key, launched, histories


def _spelled(parameters, keywords):
    """The parameter list and further keywords, with None for every default.

    Defaults are given to the function itself: its text is the same for many operations.
    """
    spelled, star = [], False
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and not star:
            spelled.append("*")
            star = True
        spelled.append(p.name if p.default is p.empty else f"{p.name}=None")
    if keywords and not star:
        spelled.append("*")
    spelled += [f"{name}=None" for name in keywords]
    return ", ".join(spelled)


def _tuple(parts):
    return f"({', '.join(parts)},)"
