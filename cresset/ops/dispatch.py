"""Dispatch: the plan table, and the slow path of a call.

`plans` maps (operation, layouts and types of the operands, other parameters) to a launcher: a
builtin that allocates, runs the kernels and returns the result. A hit runs at once. Everything that
is not a hit (a first call, a list where a tuple is needed, a wrong argument, a captured value) goes
to `miss`, which may take its time. The functions that try for a hit are written by `generated`.
"""

from __future__ import annotations

import numbers
from functools import partial, wraps
from typing import Any

from cresset.core import dtype as types
from cresset.core.caller import caller
from cresset.core.families import required
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor, tensor_types
from cresset.ops.arguments import guarded
from cresset.runtime import build, native
from cresset.runtime.ahead import settle

# The table is emptied when it holds this many plans; a plan is made again in microseconds.
MOST_PLANS = 1 << 15

plans: dict = {}

# What notes the launches of a function that is recorded, a `capture.tape.Tape`; None at all others.
tape: Any = None

# Integers from here on take all bits of a word, and have no place in a signed one.
WORD = 1 << 63

# Operations on integers that are those of numbers modulo 2**64.
MODULAR = {"add", "sub", "reverse_sub", "mul", "bitwise_and", "bitwise_or", "bitwise_xor", "eq",
           "ne"}

# Operations that answer for operands of every class.
EQUALITIES = {"eq", "ne"}

# Operations that take numbers alone, and give a tensor.
OF_NUMBERS = {"add", "sub", "mul", "div", "floor_divide"}


def _unfilled(*args):
    raise RuntimeError("cresset: a slot of the dispatcher is empty; import the whole package")


# What generated functions see. The slots are filled in `cresset/__init__.py`, by layers above:
#   record(op, out, args)        enters a call into the autograd graph
#   record_write(op, out, args)  the same for a write into `out`
#   bind(op, args)               enters a call with captured values into their graph
#   bind_write(op, args, out)    the same for a write into `out`
#   call_out(op, args, out)      runs a call with `out=` (ops/out.py)
#   is_grad_enabled()            says whether calls are recorded
namespace: dict = {
    "plans": plans,
    "tensor_types": tensor_types,
    "record": _unfilled,
    "record_write": _unfilled,
    "bind": _unfilled,
    "bind_write": _unfilled,
    "call_out": _unfilled,
}


def key_of(op, args) -> tuple:
    """The plan table's key of a call, as the generated functions build it."""
    return key_for(op, specs_of(op, args))


def key_for(op, specs) -> tuple:
    """The key of calls with such operands."""
    return (op, *[
        type(s) if s is None and kind == "operand" else s
        for kind, s in zip(op.parameter_kinds, specs)
    ])


def spec_of(kind: str, a):
    """What planning sees of an argument: a layout, the type of a number, or the value itself."""
    if kind == "static" or a is None:
        return a
    return a.layout if isinstance(a, Tensor) else type(a)


def specs_of(op, args) -> tuple:
    return tuple(spec_of(kind, a) for kind, a in zip(op.parameter_kinds, args))


def operands(op, args) -> list:
    """The arguments that a launcher takes: all that are not static."""
    return [a for kind, a in zip(op.parameter_kinds, args) if kind != "static"]


def letter(spec) -> str:
    """The launcher's letter for an argument."""
    if isinstance(spec, Layout):
        return "t"
    if spec is None:
        return "n"
    return "d" if spec is float else "c" if spec is complex else "i"


def freeze(value):
    """A static parameter in hashable form: lists become tuples, NumPy's numbers Python's."""
    if isinstance(value, (list, tuple)):
        return tuple(map(freeze, value))
    if type(value) in (bool, int, float) or value is None:
        return value
    if is_numpy_truth(value):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    return complex(value) if isinstance(value, numbers.Complex) else value


def is_number(value) -> bool:
    """Whether a value is a number to operations."""
    return isinstance(value, numbers.Number) or is_numpy_truth(value)


def is_numpy_truth(value) -> bool:
    """Whether a value is True or False of NumPy's, which are no numbers to Python."""
    return type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_")


def clean(op, args) -> tuple:
    """The arguments in the form that planning takes; TypeError on what no operation takes."""
    out = []
    given = zip(op.parameters, op.public_names, op.parameter_kinds, args)
    for place, (p, name, kind, a) in enumerate(given):
        if kind == "static":
            a = freeze(a)
            if isinstance(a, Tensor):
                # A zero-dim tensor stands for its number where a number is needed.
                a = a.item()
            a = types.asked(op.label, a) if name == "dtype" and a is not None else a
            if type(p.default) is bool and type(a) is not bool:
                raise TypeError(
                    f"{op.label}(): argument '{name}' must be bool; got {a!r}; need True or False"
                )
            _check_hashable(op, name, a)
        elif isinstance(a, Tensor):
            if place in op.families:
                required(op.label, op.families[place], a.layout.dtype)
            if kind == "number":
                a = a.item()
        elif a is None and (p.default is None or str(p.annotation).endswith("None")):
            pass
        elif kind in ("operand", "number") and is_number(a):
            a = freeze(a)
            if kind == "operand" and type(a) is int and WORD <= a < 2 * WORD:
                a = _long_number(op, a, args)
        else:
            needed = {"tensor": "a tensor", "optional": "a tensor or None", "number": "a number"}
            raise TypeError(
                f"{op.label}(): argument '{name}' has the wrong type; got {type(a).__name__}; "
                f"need {needed.get(kind, 'a tensor or a number')}; "
                "make a tensor of it with cresset.tensor(...)"
            )
        out.append(a)
    if op.tensor_places and op.label not in OF_NUMBERS:
        _check_tensors(op, [out[k] for k in op.tensor_places])
    return tuple(out)


def _long_number(op, number, args):
    """What stands for an integer that takes 64 bits without a sign, by the operands beside it.

    Beside float types and in quotients the floating number, beside uint64 a tensor of it. Beside
    other integers its low bits, where those of the result depend on low bits alone; RuntimeError
    elsewhere.
    """
    beside = [a.layout.dtype for a in args if isinstance(a, Tensor)]
    if op.name == "true_divide" or any(d.is_differentiable for d in beside):
        return float(number)
    if types.uint64 in beside:
        return namespace["tensor"](number, dtype=types.uint64)
    if op.name in MODULAR and any(d.category == types.dtype.INTEGER for d in beside):
        return number - 2 * WORD
    raise RuntimeError(
        f"{op.label}: value cannot be converted to type int64_t without overflow; got {number}; "
        "need less than 2**63; convert the tensor with .to(cresset.uint64)"
    )


def _check_hashable(op, name, value):
    """TypeError for what cannot be part of a plan's key, such as a dict."""
    try:
        hash(value)
    except TypeError:
        raise TypeError(
            f"{op.label}(): argument '{name}' has the wrong type; got {type(value).__name__}; see "
            f"help(cresset.{op.label})"
        ) from None


def _check_tensors(op, given):
    """TypeError where numbers alone stand for the operands."""
    if not any(isinstance(a, Tensor) for a in given):
        raise TypeError(
            f"{op.label}(): needs a tensor among its arguments; got "
            f"{' and '.join(type(a).__name__ for a in given)}; make one with cresset.tensor(...)"
        )


def captured(args) -> bool:
    """Whether any argument stands for a value that is not there, as while capturing."""
    return any(isinstance(a, Tensor) and a.layout.device == "captured" for a in args)


def remember(key, launcher):
    if len(plans) >= MOST_PLANS:
        plans.clear()
    plans[key] = launcher
    return launcher


def forget():
    """Drop all plans, where something changes that is part of them and not of their keys."""
    settle()
    plans.clear()


def launcher_of(op, args):
    """The launcher of a call, planned now unless the table has it."""
    specs = specs_of(op, args)
    key = key_for(op, specs)
    found = plans.get(key)
    if found is None:
        found = remember(key, op.plan(specs))
    return found


def tracked(args) -> bool:
    """Whether autograd may want to know of a call with these arguments."""
    return any(isinstance(a, Tensor) and a.history is not None for a in args)


@guarded
def miss(op, args):
    """The slow path of a call."""
    args = clean(op, args)
    if captured(args):
        return namespace["bind"](op, args)
    out = launcher_of(op, args)(*operands(op, args))
    if tracked(args):
        out = namespace["record"](op, out, args)
        if build.is_compiling():
            namespace["foresee"](out, args)
    return out


def miss_operator(op, args):
    """`miss`, of a call by an operator; arrays are tested for being equal element by element."""
    if op.name in EQUALITIES:
        args = tuple([namespace["tensor"](a) if _is_array(a) else a for a in args])
    return NotImplemented if left_to(op, args) else namespace["miss"](op, args)


def miss_augmented(op, args, out):
    """`miss_into`, of a call by an augmented assignment."""
    return NotImplemented if left_to(op, args) else namespace["miss_into"](op, args, out)


def left_to(op, args) -> bool:
    """Whether another class may answer an operator: Python asks it next.

    Python's own know nothing of tensors, but for being unequal.
    """
    return any(
        not (isinstance(a, Tensor) or is_number(a))
        and (type(a).__module__ != "builtins" or op.name in EQUALITIES)
        for a in args
    )


def _is_array(a) -> bool:
    return not (isinstance(a, Tensor) or is_number(a)) and hasattr(a, "__array_interface__")


@guarded
def miss_into(op, args, out):
    """The slow path of a call that writes its result into `out`, for `out=` and in-place forms."""
    args = clean(op, args)
    if not isinstance(out, Tensor):
        raise TypeError(f"{op.label}: out must be a tensor; got {type(out).__name__}")
    if captured((*args, out)):
        return namespace["bind_write"](op, args, out)
    same = False
    safe = []
    for k, a in enumerate(args):
        if isinstance(a, Tensor) and a.memory is out.memory:
            if a.ptr == out.ptr and a.layout.strides == out.layout.strides and (
                a.layout.shape == out.layout.shape and a.dtype is out.dtype
            ) and not (k and op.rearranges):
                same = True
            elif overlap(a, out):
                # As if the source had been copied first, which is what NumPy does.
                a = namespace["detached_copy"](a)
        safe.append(a)
    key = key_of(op, safe)
    if safe[0] is out:
        key = (op.written, *key[1:])
    else:
        key = ("into", same, out.layout, *key)
    found = plans.get(key)
    if found is None:
        found = remember(key, op.plan_into(out.layout, specs_of(op, safe), same))
    if tracked(args) or out.history is not None or out.base is not None:
        return namespace["record_write"](op, out, args, lambda: found(out, *operands(op, safe)))
    found(out, *operands(op, safe))
    note_write(out, op)
    return out


def made_anew(method):
    """Decorator of a method that a recorded call makes anew whenever it is played.

    So is done what depends on numbers that change from call to call, such as an optimizer's step. A
    call that is given tensors or functions is recorded as others are.
    """

    @wraps(method)
    def call(self, *args, **options):
        given = (*args, *options.values())
        if tape is None or any(isinstance(a, Tensor) or callable(a) for a in given):
            return method(self, *args, **options)
        return tape.live(partial(method, self, *args, **options))

    return call


def overlap(a: Tensor, b: Tensor) -> bool:
    """Whether the stretches of memory that two tensors of one storage reach over meet."""
    if a.layout.numel == 0 or b.layout.numel == 0:
        return False
    a_end = a.ptr + a.layout.reach() * a.layout.dtype.itemsize
    b_end = b.ptr + b.layout.reach() * b.layout.dtype.itemsize
    return a.ptr < b_end and b.ptr < a_end


def note_write(x: Tensor, op):
    """Remember who wrote last, if autograd has saved a tensor over this storage."""
    storage = x.memory
    if storage.writer is not None:
        frame = caller()
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "?"
        storage.writer = (storage.version, op.write_label or op.label + "_", place)


namespace["miss"] = miss
namespace["miss_into"] = miss_into
namespace["note_write"] = note_write


def make_launcher(program, name: str = "program"):
    """The builtin that runs a program; kernels that no cache has are compiled now.

    `name` is what a tape calls its launches.
    """
    if program.explain is not None:
        program = program._replace(explain=guarded(program.explain))
    if program.outputs and program.outputs[0].device == "meta":
        return namespace["launch_meta"](program.outputs)
    addresses = build.load_all(program.steps)
    if "c" in program.inputs:
        return _complex_launcher(program, addresses, name)
    return native.make_launcher(program, addresses, name)


def _complex_launcher(program, addresses, name):
    """A launcher that takes complex numbers, letter "c": it passes the imaginary parts on last."""
    places = [k for k, letter in enumerate(program.inputs) if letter == "c"]
    letters = program.inputs.replace("c", "d") + "d" * len(places)
    program = program._replace(inputs=letters)
    launch = native.make_launcher(program, addresses, name)

    def launch_parts(*arguments):
        parts = list(arguments)
        for k in places:
            parts[k] = arguments[k].real
            parts.append(arguments[k].imag)
        return launch(*parts)

    return launch_parts
