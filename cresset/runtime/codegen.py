"""Code generation: LLVM IR text to machine code.

LLVM is loaded at the first call and not before. Its optimizer is never run: kernels are written as
explicit vectors in SSA form, so instruction selection and register allocation are all that is left.

Several threads may assemble at once: each works in a context and with a target machine of its own.
"""

from __future__ import annotations

import ctypes
import re
from contextlib import contextmanager
from typing import Any, NamedTuple

from cresset.runtime.target import Target

LEVEL = 2  # LLVM's usual effort in code generation


class AssemblyError(ValueError):
    """IR that LLVM refuses; the message quotes the line at fault."""


def assemble(text: str, target: Target) -> bytes:
    """The ELF object of an IR module's machine code.

    Raises AssemblyError when the text does not parse or verify.
    """
    with _assembler(target) as assembler:
        return _emit(assembler.machine, _parse(text, assembler))


def assembly(text: str, target: Target) -> str:
    """The same machine code as assembly language, for people to read.

    Raises AssemblyError when the text does not parse or verify.
    """
    with _assembler(target) as assembler:
        return assembler.machine.emit_assembly(_parse(text, assembler))


class _Assembler(NamedTuple):
    """What one thread needs for itself."""

    context: Any
    machine: Any
    heading: str  # the first lines of its modules


_idle: dict[Target, list[_Assembler]] = {}  # those that no thread works with


@contextmanager
def _assembler(target: Target):
    """An assembler that nobody else works with meanwhile."""
    idle = _idle.setdefault(target, [])
    try:
        assembler = idle.pop()
    except IndexError:
        assembler = _new_assembler(target)
    try:
        yield assembler
    finally:
        idle.append(assembler)


def _new_assembler(target: Target) -> _Assembler:
    import llvmlite.binding as llvm

    machine = _described(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=LEVEL, reloc="pic", codemodel="small"
    )
    heading = f'target datalayout = "{machine.target_data}"\ntarget triple = "{target.triple}"\n'
    return _Assembler(llvm.create_context(), machine, heading)


def _described(triple: str):
    """What LLVM knows of a processor; only asked for another than this one it looks at them all."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    try:
        return llvm.Target.from_triple(triple)
    except RuntimeError:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        return llvm.Target.from_triple(triple)


def _parse(text: str, assembler: _Assembler):
    import llvmlite.binding as llvm

    try:
        module = llvm.parse_assembly(assembler.heading + text, assembler.context)
        module.verify()  # LLVM aborts the process when it generates code from a broken module
    except RuntimeError as error:
        raise AssemblyError(_explain(str(error), assembler.heading + text)) from None
    return module


def _emit(machine, module) -> bytes:
    """The module's object.

    llvmlite's own method holds a lock that keeps every other thread out of LLVM, which needs none
    where contexts and machines are apart. So the function behind it is called directly.
    """
    from llvmlite.binding import ffi

    library = getattr(ffi.lib, "_lib_handle", ffi.lib)
    with ffi.OutputString() as problem:
        buffer = library.LLVMPY_TargetMachineEmitToMemory(machine, module, 1, problem)
        if not buffer:
            raise AssemblyError(f"assemble: LLVM could not emit the module: {problem}")
    try:
        size = ffi.lib.LLVMPY_GetBufferSize(buffer)
        return ctypes.string_at(ffi.lib.LLVMPY_GetBufferStart(buffer), size)
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


def _explain(message: str, text: str) -> str:
    """LLVM's message with the IR's line at fault beside it."""
    message = message.strip()
    place = re.search(r"<string>:(\d+):(\d+): (?:error: )?(.*)", message)
    if not place:
        return f"assemble: LLVM refused the module: {message}"
    number = int(place[1])
    line = text.split("\n")[number - 1].strip()
    return f"assemble: {place[3]}; at line {number - 2} of the module, column {place[2]}: {line}"
