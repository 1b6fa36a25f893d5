"""Returned values: whether a function does nothing with a value but return it.

The instructions behind the call that gave the value are followed to the end, as long as none may
jump. The value may be kept in variables and put into containers; where anything else takes it, the
function may decide by it.
"""

from __future__ import annotations

import dis
import types
from functools import lru_cache

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
# Instructions that leave the value what it is.
KEEPING = {"POP_TOP", "BUILD_TUPLE", "BUILD_LIST", "BUILD_MAP", "BUILD_CONST_KEY_MAP"}
# Instructions that take and leave nothing by themselves.
SILENT = {"CACHE", "NOP", "RESUME", "PRECALL", "KW_NAMES", "EXTENDED_ARG", "NOT_TAKEN"}


@lru_cache(1024)
def only_returned(code: types.CodeType, place: int) -> bool:
    """Whether all that becomes of what the call at an offset in the code gives is to be returned.

    >>> code = compile("lambda x: (x.mean(), x.item())", "", "eval").co_consts[0]
    >>> calls = [i.offset for i in dis.get_instructions(code) if i.opname == "CALL"]
    >>> only_returned(code, calls[1])
    True
    """
    following = [i for i in dis.get_instructions(code) if i.opname not in SILENT]
    # The interpreter may stand behind an instruction, on what it caches for it.
    now = max((k for k, i in enumerate(following) if i.offset <= place), default=None)
    if now is None or following[now].opname not in ("CALL", "CALL_KW"):
        return False
    # Of the values on the stack, the topmost last, whether each is the one, or holds it.
    stack = [True]
    names: set[str] = set()
    for i in following[now + 1 :]:
        if i.opname in ("RETURN_VALUE", "RETURN_CONST"):
            return True
        if "_FAST_" in i.opname and isinstance(i.argval, tuple):
            # Two instructions in one, from Python 3.13 on.
            kinds = (i.opname.split("_FAST_")[0], i.opname.split("_FAST_")[1].split("_")[0])
            for kind, name in zip(kinds, i.argval):
                _move_name(kind == "LOAD", name, stack, names)
            continue
        if i.opname.startswith(("LOAD_FAST", "STORE_FAST")):
            _move_name(i.opname.startswith("LOAD"), i.argval, stack, names)
            continue
        argument = i.arg or 0
        if i.opname in ("SWAP", "COPY"):
            stack[:0] = [False] * (argument - len(stack))
            if i.opname == "COPY":
                stack.append(stack[-argument])
            else:
                stack[-1], stack[-argument] = stack[-argument], stack[-1]
            continue
        count = TAKES.get(i.opname)
        if i.opname in TAKES_BY_ARGUMENT:
            count = TAKES_BY_ARGUMENT[i.opname](argument)
        if count is None:
            return False
        taken = [stack.pop() for _ in range(min(count, len(stack)))]
        held = any(taken)
        if held and i.opname not in KEEPING:
            return False
        left = 1 if i.opname.startswith("CALL") else dis.stack_effect(i.opcode, i.arg) + count
        stack += [held] * left
    return False


def _move_name(loads: bool, name: str, stack: list[bool], names: set[str]) -> None:
    """Bring a variable onto the stack, or from it."""
    if loads:
        stack.append(name in names)
    elif stack and stack.pop():
        names.add(name)
    else:
        names.discard(name)
