"""The interpreter's instructions, in one form for all versions of Python."""

from __future__ import annotations

import dis
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

# Instructions that neither read nor change anything.
FILLERS = {"CACHE", "NOP", "RESUME", "PUSH_NULL", "PRECALL", "EXTENDED_ARG", "COPY_FREE_VARS",
           "MAKE_CELL"}
# Instructions that take and leave nothing by themselves.
SILENT = {"CACHE", "NOP", "RESUME", "PRECALL", "KW_NAMES", "EXTENDED_ARG", "NOT_TAKEN"}
# How many values an instruction takes from the stack, by its argument where that says so. With all
# others nothing is known.
TAKES = {
    **dict.fromkeys(("LOAD_CONST", "LOAD_NAME", "LOAD_GLOBAL", "LOAD_DEREF", "LOAD_CLOSURE",
                     "LOAD_SMALL_INT", "PUSH_NULL"), 0),
    **dict.fromkeys(("POP_TOP", "LOAD_ATTR", "LOAD_METHOD", "UNARY_NEGATIVE", "UNARY_NOT",
                     "UNARY_INVERT", "UNPACK_SEQUENCE"), 1),
    **dict.fromkeys(("BINARY_OP", "BINARY_SUBSCR", "COMPARE_OP", "IS_OP", "CONTAINS_OP"), 2),
    "BINARY_SLICE": 3,
}
TAKES_BY_ARGUMENT = {
    **dict.fromkeys(("BUILD_TUPLE", "BUILD_LIST", "BUILD_SLICE"), lambda n: n),
    "BUILD_MAP": lambda n: 2 * n,
    "BUILD_CONST_KEY_MAP": lambda n: n + 1,
    # What is called, and what it is bound to or nothing.
    "CALL": lambda n: n + 2,
    "CALL_KW": lambda n: n + 3,
}


class Instruction(NamedTuple):
    """One instruction: where it stands, what it does with what, how the stack grows by it.

    `effect` is None where the next instruction may be another than the one behind.
    """

    offset: int
    opname: str
    argval: Any
    effect: int | None


def instructions(code: types.CodeType) -> Iterator[Instruction]:
    """The instructions that do something, as they were before pairs of them became one."""
    for i in dis.get_instructions(code):
        if i.opname in FILLERS:
            continue
        if isinstance(i.argval, tuple) and "_FAST_" in i.opname:
            for loads, name in _variables(i):
                opname = "LOAD_FAST" if loads else "STORE_FAST"
                yield Instruction(i.offset, opname, name, 2 * loads - 1)
            continue
        jumps = i.opcode in dis.hasjrel or i.opcode in dis.hasjabs
        name = "BINARY_SUBSCR" if i.opname == "BINARY_OP" and i.argrepr == "[]" else i.opname
        name = "LOAD_CONST" if name == "LOAD_SMALL_INT" else name
        effect = None if jumps else dis.stack_effect(i.opcode, i.arg)
        yield Instruction(i.offset, name, i.argval, effect)


class Move(NamedTuple):
    """What an instruction does on the stack: values taken, None where that is unknown, and left.

    `argval` is the name of the variable of LOAD_FAST and STORE_FAST.
    """

    opname: str
    argval: Any
    taken: int | None
    left: int


def moves(i: dis.Instruction) -> Iterator[Move]:
    """What an instruction does on the stack, or the two that it is made of."""
    if i.opname.startswith(("LOAD_FAST", "STORE_FAST")):
        for loads, name in _variables(i):
            yield Move("LOAD_FAST" if loads else "STORE_FAST", name, not loads, loads)
        return
    taken = TAKES.get(i.opname)
    if i.opname in TAKES_BY_ARGUMENT:
        taken = TAKES_BY_ARGUMENT[i.opname](i.arg or 0)
    if taken is None:
        yield Move(i.opname, i.argval, None, 0)
        return
    left = 1 if i.opname.startswith("CALL") else dis.stack_effect(i.opcode, i.arg) + taken
    yield Move(i.opname, i.argval, taken, left)


def _variables(i: dis.Instruction) -> list[tuple[bool, str]]:
    """(whether it is loaded, the name) of the variables of an instruction: two of those that are
    two in one, such as LOAD_FAST_LOAD_FAST, from Python 3.13 on.
    """
    names = i.argval if isinstance(i.argval, tuple) else (i.argval,)
    kinds = [part for part in i.opname.split("_") if part in ("LOAD", "STORE")]
    return [(kind == "LOAD", name) for kind, name in zip(kinds, names)]
