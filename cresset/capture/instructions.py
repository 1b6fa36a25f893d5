"""The interpreter's instructions, in one form for all versions of Python."""

from __future__ import annotations

import dis
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

# Instructions that neither read nor change anything.
FILLERS = {"CACHE", "NOP", "RESUME", "PUSH_NULL", "PRECALL", "EXTENDED_ARG", "COPY_FREE_VARS",
           "MAKE_CELL"}


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
            # Such as LOAD_FAST_LOAD_FAST, from Python 3.13 on.
            for name, loads in zip(i.argval, (i.opname.startswith("LOAD"), "_LOAD_" in i.opname)):
                opname = "LOAD_FAST" if loads else "STORE_FAST"
                yield Instruction(i.offset, opname, name, 2 * loads - 1)
            continue
        jumps = i.opcode in dis.hasjrel or i.opcode in dis.hasjabs
        name = "BINARY_SUBSCR" if i.opname == "BINARY_OP" and i.argrepr == "[]" else i.opname
        name = "LOAD_CONST" if name == "LOAD_SMALL_INT" else name
        effect = None if jumps else dis.stack_effect(i.opcode, i.arg)
        yield Instruction(i.offset, name, i.argval, effect)
