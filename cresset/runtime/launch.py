"""The emitted builtins that run a program: one call from Python, no Python code inside.

`launch` interprets a plan, which is a program packed into 8-byte words. It reads its arguments,
takes memory, runs the kernels and makes the resulting tensors. `view` and `new` make a tensor over
existing and over fresh memory.

A builtin's `self` is a tuple whose first item is the bytes of the plan; the others keep alive what
the words point to.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import partial

from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.runtime.heap import DATA
from cresset.runtime.ir import Function, Module, Value
from cresset.runtime.objects import (
    constant,
    decref,
    incref,
    item,
    named,
    null,
    slot,
    type_of,
    words,
)
from cresset.runtime.pool import SHARE_FROM, start_workers
from cresset.runtime.program import STATUS, Program, Step

# What a kernel at fault writes, a flag and three words, and the number of the step.
STATUS_WORDS = 5
_WORD = (1 << 64) - 1
RELEASE_FROM = 20_000  # ns of work from which other Python threads may run meanwhile

LETTERS = {"t": 0, "w": 1, "d": 2, "i": 3, "n": 4}
# A plan's words: these, the letters, the blocks to take (bytes, place in the value table), the
# layouts of the outputs, then the rounds: a count of steps, of turns, and the steps.
HEAD = ("inputs", "outputs", "blocks", "rounds", "values", "widest", "shared", "released",
        "explain", "reject")
# A step's words: these, its operands (a place in the value table, and what is added to what stands
# there: bytes at first, and in every turn), then its constants.
OPERAND = 3
STEP = ("number", "address", "units", "grain", "work", "operands", "constants", "shared", "checked")


# --- packing --------------------------------------------------------------------------------------
def pack(program: Program, addresses: Sequence[int]) -> tuple:
    """The `self` of a launcher: the plan's bytes and what they point to.

    Raises ValueError where the program contradicts itself.
    """
    outputs, inputs = len(program.outputs), len(program.inputs)
    temporaries = len(program.temporaries)
    status = outputs + inputs + temporaries
    if len(addresses) != len(program.steps):
        raise ValueError(
            f"launch: {len(addresses)} kernels for {len(program.steps)} steps; need one for each"
        )
    for layout in program.outputs:
        if type(layout) is not Layout:
            raise TypeError(f"launch: an output's layout is a {type(layout).__name__}")
    rounds = rounds_of(program.steps)
    reject = partial(rejected, program.inputs)
    numbers = [layout.nbytes for layout in program.outputs]
    places = [*range(outputs), *range(outputs + inputs, status)]
    head = {
        "inputs": inputs,
        "outputs": outputs,
        "blocks": outputs + temporaries,
        "rounds": len(rounds),
        "values": status + 1,
        "widest": max((len(s.operands) + len(s.constants) for s in program.steps), default=0),
        "shared": any(map(_is_shared, program.steps)),
        "released": sum(
            turns * program.steps[k].work for places, turns in rounds for k in places
        ) > RELEASE_FROM,
        "explain": 0 if program.explain is None else id(program.explain),
        "reject": id(reject),
    }
    plan = [int(head[name]) for name in HEAD]
    plan += [LETTERS[letter] for letter in program.inputs]
    for nbytes, place in zip([*numbers, *program.temporaries], places):
        plan += [nbytes, place]
    plan += [id(layout) for layout in program.outputs]
    for numbers_of_steps, turns in rounds:
        plan += [len(numbers_of_steps), turns]
        for k in numbers_of_steps:
            plan += [k, *_packed_step(program.steps[k], addresses[k], status)]
    content = struct.pack(f"<{len(plan)}Q", *(word & _WORD for word in plan))
    return content, program.outputs, program.explain, reject


def rounds_of(steps: Sequence[Step]) -> list[tuple[range, int]]:
    """The steps that are run one after another, by place, and how often.

    Raises ValueError where a step repeats more steps than there are, steps that repeat others, or
    no turn.
    """
    found, place = [], 0
    while place < len(steps):
        count, turns = steps[place].repeats
        inside = range(place, place + count)
        others = [steps[k].repeats for k in inside[1:] if k < len(steps)]
        if len(others) != count - 1 or {(1, 1), *others} != {(1, 1)} or turns < 1:
            raise ValueError(
                f"launch: step {place} of {len(steps)} cannot repeat {count} steps {turns} times"
            )
        found.append((inside, turns))
        place += count
    return found


def _packed_step(step: Step, address: int, status: int) -> list[int]:
    """The words of a step behind its number; `status` is the place of the status block."""
    operands = [status if place == STATUS else place for place in step.operands]
    moves = step.moves or ((0, 0),) * len(operands)
    if not all(0 <= place <= status for place in operands) or len(moves) != len(operands):
        raise ValueError(
            f"launch: a step has operands {step.operands}, which move by {step.moves}; the value "
            f"table has {status} values"
        )
    words = [address, step.units, step.grain, step.work, len(operands), len(step.constants)]
    words += [int(_is_shared(step)), int(status in operands)]
    for place, move in zip(operands, moves):
        words += [place, *move]
    return [*words, *step.constants]


def _is_shared(step):
    return step.units > step.grain and step.work >= SHARE_FROM


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


# --- emitting -------------------------------------------------------------------------------------
def write(module: Module) -> None:
    """Add `launch`, `view`, `new` and `allocate` to a module."""
    _write_read(module)
    _write_drop(module)
    _write_hold(module)
    _write_run(module)
    _write_finish(module)
    _write_explain(module)
    _write_launch(module)
    _write_view(module)
    _write_new(module)
    _write_allocate(module)


def _head(f, plan, name):
    return f.load("i64", f.offset(plan, HEAD.index(name), "i64"))


def reject_call(f: Function, callback: Value, arguments: Value, count: Value) -> None:
    """Return null with the error that a Python function raises from the arguments."""
    f.call("PyErr_Clear", "void")
    decref(f, f.call("PyObject_Vectorcall", "ptr", callback, arguments, count, null(f)))
    f.ret(null(f))


def reject_one(f: Function, callback: Value, argument: Value) -> None:
    """Return null with the error that a Python function raises from the argument."""
    f.call("PyErr_Clear", "void")
    decref(f, f.call("PyObject_CallOneArg", "ptr", callback, argument))
    f.ret(null(f))


def _write_read(module):
    """i1 read(i64 letter, object, i64* word): an argument as a word; false where it is unfit."""
    parameters = [("i64", "letter"), ("ptr", "x"), ("ptr", "word")]
    f = module.function("read", parameters, "i1", internal=True)
    letter, x, word = f.arguments
    no = f.constant("i1", 0)
    with f.leave(letter <= LETTERS["w"]):
        tensor = f.call("is_tensor", "i1", x)
        with f.leave(tensor.eq(0)):
            f.ret(no)
        pointer = f.call("pointer_of", "i64", x)
        f.store(pointer, word)
        storage = f.call("storage_of", "ptr", x)
        with f.leave(pointer.eq(-1) | storage.eq(0)):
            f.ret(no)
        with f.leave(letter.eq(LETTERS["t"])):
            f.ret(f.constant("i1", 1))
        f.ret(f.call("count_of", "i64", slot(f, storage, "Storage.version")).ne(-1))
    with f.leave(letter.eq(LETTERS["d"])):
        number = f.call("PyFloat_AsDouble", "double", x)
        f.store(number, word)
        with f.leave(number.ne(-1.0)):
            f.ret(f.constant("i1", 1))
        f.ret(f.call("PyErr_Occurred", "ptr").eq(0))
    with f.leave(letter.eq(LETTERS["n"])):
        f.store(f.constant("i64", 0), word)
        f.ret(f.constant("i1", 1))
    whole = f.call("PyLong_AsLongLong", "i64", x)
    f.store(whole, word)
    with f.leave(whole.ne(-1)):
        f.ret(f.constant("i1", 1))
    f.ret(f.call("PyErr_Occurred", "ptr").eq(0))


def _write_drop(module):
    """void drop(blocks, i64 begin, i64 end): give references back."""
    parameters = [("ptr", "blocks"), ("i64", "begin"), ("i64", "end")]
    f = module.function("drop", parameters, internal=True)
    blocks, begin, end = f.arguments
    with f.loop(begin, end) as index:
        decref(f, f.load("ptr", f.offset(blocks, index, "ptr")))
    f.ret()


def _write_hold(module):
    """void hold(letters, args, i64 count, held): keep the memory of the tensors alive.

    While the GIL is released another thread may give a tensor other memory.
    """
    parameters = [("ptr", "letters"), ("ptr", "args"), ("i64", "count"), ("ptr", "held")]
    f = module.function("hold", parameters, internal=True)
    letters, arguments, count, held = f.arguments
    with f.loop(0, count) as index:
        letter = f.load("i64", f.offset(letters, index, "i64"))

        def owner():
            x = f.load("ptr", f.offset(arguments, index, "ptr"))
            found = slot(f, f.call("storage_of", "ptr", x), "Storage.owner")
            f.call("Py_IncRef", "void", found)  # the slot may be unset
            return found

        keeper = f.either(letter <= LETTERS["w"], owner, lambda: null(f))
        f.store(keeper, f.offset(held, index, "ptr"))
    f.ret()


def _write_run(module):
    """void run(plan, rounds, values, args): run the steps until one reports a fault."""
    parameters = [("ptr", "plan"), ("ptr", "rounds"), ("ptr", "values"), ("ptr", "args")]
    f = module.function("run", parameters, internal=True)
    plan, rounds, values, arguments = f.arguments
    last = _head(f, plan, "values") - 1
    status = f.load("ptr", f.offset(values, last, "i64"))
    with f.loop(0, _head(f, plan, "rounds"), carry=(rounds,)) as outer:
        (start,) = outer.values
        count, turns = (f.load("i64", f.offset(start, k, "i64")) for k in range(2))
        first = f.offset(start, 2, "i64")
        with f.loop(0, turns, carry=(first,)) as turn:
            with f.loop(0, count, carry=(first,)) as inner:
                (step,) = inner.values
                inner.next(_run_step(f, step, turn.index, values, arguments, status))
            turn.next(*inner.results)
        outer.next(*turn.results)
    f.ret()


def _run_step(f, step, turn, values, arguments, status):
    """Run one step in a turn; the address of what follows its words."""
    field = {name: f.load("i64", f.offset(step, k, "i64")) for k, name in enumerate(STEP)}
    operands = f.offset(step, len(STEP), "i64")
    with f.loop(0, field["operands"]) as index:
        entry = f.offset(operands, index * OPERAND, "i64")
        place, begin, stride = (f.load("i64", f.offset(entry, k, "i64")) for k in range(OPERAND))
        word = f.load("i64", f.offset(values, place, "i64")) + begin + turn * stride
        f.store(word, f.offset(arguments, index, "i64"))
    constants = f.offset(operands, field["operands"] * OPERAND, "i64")
    rest = f.offset(arguments, field["operands"], "i64")
    with f.loop(0, field["constants"]) as index:
        word = f.load("i64", f.offset(constants, index, "i64"))
        f.store(word, f.offset(rest, index, "i64"))
    kernel = f.convert(field["address"], "ptr")

    def share():
        order = (field["units"], field["grain"], field["work"])
        f.call("share", "void", kernel, arguments, *order)

    def alone():
        f.call(kernel, "void", arguments, f.constant("i64", 0), field["units"])

    f.either(field["shared"].ne(0), share, alone)
    with f.leave(f.load("i64", status).ne(0) & field["checked"].ne(0)):
        f.store(field["number"], f.offset(status, STATUS_WORDS - 1, "i64"))
        f.ret()
    return f.offset(constants, field["constants"], "i64")


def _write_finish(module):
    """ptr finish(plan, layouts, blocks, args): the result; takes over the outputs' blocks."""
    parameters = [("ptr", "plan"), ("ptr", "layouts"), ("ptr", "blocks"), ("ptr", "args")]
    f = module.function("finish", parameters, "ptr", internal=True)
    plan, layouts, blocks, arguments = f.arguments
    outputs = _head(f, plan, "outputs")
    with f.leave(outputs.eq(1)):
        f.ret(f.call("new_output", "ptr", f.load("ptr", blocks), f.load("ptr", layouts)))
    with f.leave(outputs.eq(0)):
        with f.leave(_head(f, plan, "inputs").eq(0)):
            f.ret(constant(f, "None"))
        first = f.load("ptr", arguments)
        incref(f, first)
        f.ret(first)
    pack = f.call("PyTuple_New", "ptr", outputs)
    with f.leave(pack.eq(0)):
        f.call("drop", "void", blocks, f.constant("i64", 0), outputs)
        f.ret(pack)
    with f.loop(0, outputs) as index:
        block = f.load("ptr", f.offset(blocks, index, "ptr"))
        layout = f.load("ptr", f.offset(layouts, index, "ptr"))
        tensor = f.call("new_output", "ptr", block, layout)
        with f.leave(tensor.eq(0)):
            f.call("drop", "void", blocks, index + 1, outputs)
            decref(f, pack)
            f.ret(tensor)
        f.call("PyTuple_SetItem", "i32", pack, index, tensor)
    f.ret(pack)


def _write_launch(module):
    """ptr launch(self, args, i64 count): METH_FASTCALL."""
    parameters = [("ptr", "self"), ("ptr", "args"), ("i64", "count")]
    f = module.function("launch", parameters, "ptr")
    self, arguments, count = f.arguments
    plan = words(f, item(f, self, 0))
    head = {name: _head(f, plan, name) for name in HEAD}
    inputs, outputs, blocks = head["inputs"], head["outputs"], head["blocks"]
    reject = f.convert(head["reject"], "ptr")
    zero = f.constant("i64", 0)

    def room(count):
        return f.emit("ptr", f"alloca i64, {count}, align 16")

    values, block_words = room(head["values"]), room(head["widest"])
    taken, held = room(blocks), room(inputs)
    status = f.alloca("i64", STATUS_WORDS)

    with f.leave(count.ne(inputs)):
        reject_call(f, reject, arguments, count)
    letters = f.offset(plan, len(HEAD), "i64")
    into = f.offset(values, outputs, "i64")
    with f.loop(0, inputs) as index:
        letter = f.load("i64", f.offset(letters, index, "i64"))
        x = f.load("ptr", f.offset(arguments, index, "ptr"))
        fit = f.call("read", "i1", letter, x, f.offset(into, index, "i64"))
        with f.leave(fit.eq(0)):
            reject_call(f, reject, arguments, count)

    wanted = f.offset(letters, inputs, "i64")
    with f.loop(0, blocks) as index:
        entry = f.offset(wanted, index * 2, "i64")
        block = f.call("take", "ptr", f.load("i64", entry))
        with f.leave(block.eq(0)):
            f.call("drop", "void", taken, zero, index)
            f.ret(block)
        f.store(block, f.offset(taken, index, "ptr"))
        place = f.load("i64", f.offset(entry, 1, "i64"))
        f.store(f.load("ptr", f.offset(block, DATA)), f.offset(values, place, "i64"))
    with f.loop(0, STATUS_WORDS) as index:
        f.store(zero, f.offset(status, index, "i64"))
    f.store(status, f.offset(values, head["values"] - 1, "i64"))

    layouts = f.offset(wanted, blocks * 2, "i64")
    rounds = f.offset(layouts, outputs, "i64")
    with f.when(head["shared"].ne(0)):
        start_workers(f)

    def released():
        f.call("hold", "void", letters, arguments, inputs, held)
        thread = f.call("PyEval_SaveThread", "ptr")
        f.call("run", "void", plan, rounds, values, block_words)
        f.call("PyEval_RestoreThread", "void", thread)
        f.call("drop", "void", held, zero, inputs)

    def kept():
        f.call("run", "void", plan, rounds, values, block_words)

    f.either(head["released"].ne(0), released, kept)
    f.call("drop", "void", taken, outputs, blocks)
    with f.leave(f.load("i64", status).ne(0)):
        f.call("drop", "void", taken, zero, outputs)
        details = [f.load("i64", f.offset(status, k, "i64")) for k in range(1, STATUS_WORDS)]
        f.ret(f.call("explain", "ptr", f.convert(head["explain"], "ptr"), *details))
    with f.loop(0, inputs) as index:
        letter = f.load("i64", f.offset(letters, index, "i64"))
        with f.when(letter.eq(LETTERS["w"])):
            f.call("raise_version", "void", f.load("ptr", f.offset(arguments, index, "ptr")))
    f.ret(f.call("finish", "ptr", plan, layouts, taken, arguments))


def _write_explain(module):
    """ptr explain(callback, i64, i64, i64, i64): null, with the error that the callback raises."""
    names = ("first", "second", "third", "step")
    parameters = [("ptr", "callback"), *(("i64", name) for name in names)]
    f = module.function("explain", parameters, "ptr", internal=True)
    callback, *details = f.arguments
    with f.leave(callback.eq(0)):
        callback = named(f, "unexplained")
        decref(f, f.call("PyObject_CallNoArgs", "ptr", callback))
        f.ret(null(f))
    numbers = f.alloca("ptr", len(details))
    for index, detail in enumerate(details):
        number = f.call("PyLong_FromLongLong", "ptr", detail)
        f.store(number, f.offset(numbers, index, "ptr"))
        with f.leave(number.eq(0)):
            f.call("drop", "void", numbers, f.constant("i64", 0), f.constant("i64", index))
            f.ret(number)
    count = f.constant("i64", len(details))
    answer = f.call("PyObject_Vectorcall", "ptr", f.arguments[0], numbers, count, null(f))
    f.call("drop", "void", numbers, f.constant("i64", 0), count)
    with f.leave(answer.ne(0)):
        decref(f, answer)
        decref(f, f.call("PyObject_CallNoArgs", "ptr", named(f, "unexplained")))
        f.ret(null(f))
    f.ret(answer)


def unexplained() -> None:
    raise RuntimeError("launch: a kernel reported a fault in its data and nothing explains it")


def _write_view(module):
    """ptr view(self, x): METH_O; self is (words: offset, layout, history)."""
    f = module.function("view", [("ptr", "self"), ("ptr", "x")], "ptr")
    self, x = f.arguments
    tensor = f.call("is_tensor", "i1", x)
    with f.leave(tensor.eq(0)):
        reject_one(f, named(f, "rejected_view"), x)
    pointer = f.call("pointer_of", "i64", x)
    storage = f.call("storage_of", "ptr", x)
    with f.leave(pointer.eq(-1) | storage.eq(0)):
        reject_one(f, named(f, "rejected_view"), x)
    offset = f.load("i64", words(f, item(f, self, 0)))

    def same():
        address = slot(f, x, "Tensor.ptr")
        incref(f, address)
        return address

    def moved():
        return f.call("PyLong_FromLongLong", "ptr", pointer + offset)

    address = f.either(offset.eq(0), same, moved)
    with f.leave(address.eq(0)):
        f.ret(address)
    layout, history = item(f, self, 1), item(f, self, 2)
    view = f.call("new_tensor", "ptr", storage, layout, address, x, history)
    decref(f, address)
    f.ret(view)


def _write_new(module):
    """ptr new(self, layout): METH_O; an uninitialised tensor."""
    f = module.function("new", [("ptr", "self"), ("ptr", "layout")], "ptr")
    layout = f.arguments[1]
    with f.leave(type_of(f, layout).ne(named(f, "Layout"))):
        reject_one(f, named(f, "rejected_layout"), layout)
    nbytes = f.call("count_of", "i64", slot(f, layout, "Layout.nbytes"))
    block = f.call("take", "ptr", nbytes)
    with f.leave(block.eq(0)):
        f.ret(block)
    f.ret(f.call("new_output", "ptr", block, layout))


def _write_allocate(module):
    """ptr allocate(self, nbytes): METH_O; a block."""
    f = module.function("allocate", [("ptr", "self"), ("ptr", "nbytes")], "ptr")
    nbytes = f.call("PyLong_AsLongLong", "i64", f.arguments[1])
    with f.leave(nbytes.eq(-1)):
        with f.leave(f.call("PyErr_Occurred", "ptr").ne(0)):
            f.ret(null(f))
        f.call("take", "ptr", nbytes)
        f.ret(null(f))
    f.ret(f.call("take", "ptr", nbytes))
