"""Code generation: LLVM IR text to machine code.

LLVM is loaded at the first call and not before. Its optimizer is never run: kernels are written as
explicit vectors in SSA form, so instruction selection and register allocation are all that is left.
"""

from __future__ import annotations

import re
import threading
from functools import cache

from cresset.runtime.target import Target

LEVEL = 2  # LLVM's usual effort in code generation
_lock = threading.RLock()  # one thread at a time inside LLVM, whose global context is not shared


class AssemblyError(ValueError):
    """IR that LLVM refuses; the message quotes the line at fault."""


def assemble(text: str, target: Target) -> bytes:
    """The ELF object of an IR module's machine code.

    Raises AssemblyError when the text does not parse or verify.
    """
    with _lock:
        return _machine(target).emit_object(_parse(text, target))


def assembly(text: str, target: Target) -> str:
    """The same machine code as assembly language, for people to read.

    Raises AssemblyError when the text does not parse or verify.
    """
    with _lock:
        return _machine(target).emit_assembly(_parse(text, target))


@cache
def _machine(target: Target):
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=LEVEL, reloc="pic", codemodel="small"
    )


def _parse(text, target):
    import llvmlite.binding as llvm

    machine = _machine(target)
    heading = f'target datalayout = "{machine.target_data}"\ntarget triple = "{target.triple}"\n'
    try:
        module = llvm.parse_assembly(heading + text)
        module.verify()  # LLVM aborts the process when it generates code from a broken module
    except RuntimeError as error:
        raise AssemblyError(_explain(str(error), heading + text)) from None
    return module


def _explain(message: str, text: str) -> str:
    """LLVM's message with the IR's line at fault beside it."""
    message = message.strip()
    place = re.search(r"<string>:(\d+):(\d+): (?:error: )?(.*)", message)
    if not place:
        return f"assemble: LLVM refused the module: {message}"
    number = int(place[1])
    line = text.split("\n")[number - 1].strip()
    return f"assemble: {place[3]}; at line {number - 2} of the module, column {place[2]}: {line}"
