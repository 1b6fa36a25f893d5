"""Returned values: whether a function does nothing with a value but return it.

The instructions behind the call that gave the value are followed to the end, as long as none may
jump. The value may be kept in variables and put into containers; where anything else takes it, the
function may decide by it.
"""

from __future__ import annotations

import dis
import types
from functools import lru_cache

from cresset.capture.instructions import SILENT, moves

# Instructions that leave the value what it is.
KEEPING = {"POP_TOP", "BUILD_TUPLE", "BUILD_LIST", "BUILD_MAP", "BUILD_CONST_KEY_MAP"}


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
        if i.opname in ("SWAP", "COPY"):
            argument = i.arg or 0
            stack[:0] = [False] * (argument - len(stack))
            if i.opname == "COPY":
                stack.append(stack[-argument])
            else:
                stack[-1], stack[-argument] = stack[-argument], stack[-1]
            continue
        for move in moves(i):
            if move.opname in ("LOAD_FAST", "STORE_FAST"):
                _move_name(move.opname == "LOAD_FAST", move.argval, stack, names)
                continue
            if move.taken is None:
                return False
            taken = [stack.pop() for _ in range(min(move.taken, len(stack)))]
            held = any(taken)
            if held and move.opname not in KEEPING:
                return False
            stack += [held] * move.left
    return False


def _move_name(loads: bool, name: str, stack: list[bool], names: set[str]) -> None:
    """Bring a variable onto the stack, or from it."""
    if loads:
        stack.append(name in names)
    elif stack and stack.pop():
        names.add(name)
    else:
        names.discard(name)
