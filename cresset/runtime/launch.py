"""The emitted builtins that run a program: one call from Python, no Python code inside.

`launch` interprets a plan, which is a program packed into 8-byte words. It reads its arguments,
takes memory, runs the kernels and makes the resulting tensors. While there is an observer, that is
called instead, with `self` before the arguments; `launch_unobserved` runs the program always.
`view` and `new` make a tensor over existing and over fresh memory.

A builtin's `self` is a tuple whose first item is the bytes of the plan; the others keep alive what
the words point to.
"""

from __future__ import annotations

from cresset.runtime.heap import DATA
from cresset.runtime.ir import SELDOM, Function, Module, Value
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
from cresset.runtime.plan import HEAD, LETTERS, ROUND, STEP
from cresset.runtime.pool import start_workers

# What a kernel at fault writes, a flag and three words, and the number of the step.
STATUS_WORDS = 5


def write(module: Module) -> None:
    """Add `launch`, `launch_unobserved`, `view`, `new` and `allocate` to a module, and `observer`,
    the address of what observes launches or zero.
    """
    module.globals.append("@observer = global i64 0")
    _write_read(module)
    _write_drop(module)
    _write_hold(module)
    _write_run_step(module)
    _write_repeat(module)
    _write_run(module)
    _write_finish(module)
    _write_explain(module)
    _write_launch_unobserved(module)
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
    """i1 run(plan, items, i64 count, values, args, turns, i64 level): false after a fault.

    `turns` holds the number of the turn of each round that the items are in.
    """
    parameters = [("ptr", "plan"), ("ptr", "items"), ("i64", "count"), ("ptr", "values"),
                  ("ptr", "args"), ("ptr", "turns"), ("i64", "level")]
    f = module.function("run", parameters, "i1", internal=True)
    plan, items, count, values, arguments, turns, level = f.arguments
    with f.loop(0, count, carry=(items,)) as loop:
        (item,) = loop.values

        def in_turns():
            return f.call("repeat", "i1", plan, item, values, arguments, turns, level)

        def once():
            return f.call("run_step", "i1", plan, item, values, arguments, turns)

        sound = f.either(_field(f, item, ROUND, "round").ne(0), in_turns, once)
        with f.leave(sound.eq(0)):
            f.ret(sound)
        loop.next(f.offset(item, _field(f, item, ROUND, "length"), "i64"))
    f.ret(f.constant("i1", 1))


def _field(f, words, names, name):
    return f.load("i64", f.offset(words, names.index(name), "i64"))


def _write_repeat(module):
    """i1 repeat(plan, round, values, args, turns, i64 level): false after a fault."""
    parameters = [("ptr", "plan"), ("ptr", "round"), ("ptr", "values"), ("ptr", "args"),
                  ("ptr", "turns"), ("i64", "level")]
    f = module.function("repeat", parameters, "i1", internal=True)
    plan, round, values, arguments, turns, level = f.arguments
    field = {name: _field(f, round, ROUND, name) for name in ROUND}
    depth = _head(f, plan, "depth")
    strides = f.offset(round, len(ROUND), "i64")
    items = f.offset(strides, depth, "i64")
    own = f.offset(turns, level, "i64")
    yes = f.constant("i1", 1)
    flag = field["flag"]
    with f.loop(0, field["turns"]) as turn:
        f.store(turn, own)

        def told():
            word = f.load("i64", f.offset(values, flag, "i64")) + field["behind"]
            address = f.convert(_moved(f, word, turns, strides, level), "ptr")
            byte = f.load("i8", address)
            return byte.ne(0).eq(field["wanted"].ne(0))

        another = f.either(flag.ne(-1), told, lambda: yes)
        with f.leave(another.eq(0)):
            f.ret(yes)
        sound = f.call("run", "i1", plan, items, field["items"], values, arguments, turns,
                       level + 1)
        with f.leave(sound.eq(0)):
            f.ret(sound)
    f.ret(yes)


def _write_run_step(module):
    """i1 run_step(plan, step, values, args, turns): false where it reports a fault."""
    parameters = [("ptr", "plan"), ("ptr", "step"), ("ptr", "values"), ("ptr", "args"),
                  ("ptr", "turns")]
    f = module.function("run_step", parameters, "i1", internal=True)
    plan, step, values, arguments, turns = f.arguments
    depth = _head(f, plan, "depth")
    status = f.load("ptr", f.offset(values, _head(f, plan, "values") - 1, "i64"))
    field = {name: _field(f, step, STEP, name) for name in STEP}
    width = depth + 2
    with f.loop(0, field["parts"], carry=(f.offset(step, len(STEP), "i64"), arguments)) as part:
        words, into = part.values
        count, more = (f.load("i64", f.offset(words, k, "i64")) for k in range(2))
        operands = f.offset(words, 2, "i64")
        with f.loop(0, count) as index:
            entry = f.offset(operands, index * width, "i64")
            place, begin = (f.load("i64", f.offset(entry, k, "i64")) for k in range(2))
            strides = f.offset(entry, 2, "i64")
            word = f.load("i64", f.offset(values, place, "i64")) + begin
            f.store(_moved(f, word, turns, strides, depth), f.offset(into, index, "i64"))
        constants = f.offset(operands, count * width, "i64")
        rest = f.offset(into, count, "i64")
        with f.loop(0, more) as index:
            word = f.load("i64", f.offset(constants, index, "i64"))
            f.store(word, f.offset(rest, index, "i64"))
        part.next(f.offset(constants, more, "i64"), f.offset(rest, more, "i64"))
    kernel = f.convert(field["address"], "ptr")

    def share():
        order = (field["units"], field["grain"], field["work"])
        f.call("share", "void", kernel, arguments, *order)

    def alone():
        f.call(kernel, "void", arguments, f.constant("i64", 0), field["units"])

    f.either(field["shared"].ne(0), share, alone)
    with f.leave(f.load("i64", status).ne(0) & field["checked"].ne(0)):
        f.store(field["number"], f.offset(status, STATUS_WORDS - 1, "i64"))
        f.ret(f.constant("i1", 0))
    f.ret(f.constant("i1", 1))


def _moved(f, word, turns, strides, levels):
    """A word, and what it moves by in the turns of so many levels of rounds."""
    with f.loop(0, levels, carry=(word,)) as each:
        turn = f.load("i64", f.offset(turns, each.index, "i64"))
        stride = f.load("i64", f.offset(strides, each.index, "i64"))
        each.next(each.values[0] + turn * stride)
    return each.results[0]


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
    observer = f.load("i64", f.address("observer"))
    with f.leave(observer.eq(0)):
        f.ret(f.call("launch_unobserved", "ptr", self, arguments, count))
    given = f.emit("ptr", f"alloca ptr, {count + 1}, align 16")
    f.store(self, given)
    with f.loop(0, count) as index:
        x = f.load("ptr", f.offset(arguments, index, "ptr"))
        f.store(x, f.offset(given, index + 1, "ptr"))
    observer = f.convert(observer, "ptr")
    f.ret(f.call("PyObject_Vectorcall", "ptr", observer, given, count + 1, null(f)))


def _write_launch_unobserved(module):
    """ptr launch_unobserved(self, args, i64 count): METH_FASTCALL."""
    parameters = [("ptr", "self"), ("ptr", "args"), ("i64", "count")]
    f = module.function("launch_unobserved", parameters, "ptr")
    self, arguments, count = f.arguments
    plan = words(f, item(f, self, 0))
    head = {name: _head(f, plan, name) for name in HEAD}
    inputs, outputs, blocks = head["inputs"], head["outputs"], head["blocks"]
    reject = f.convert(head["reject"], "ptr")
    zero = f.constant("i64", 0)

    def room(count):
        return f.emit("ptr", f"alloca i64, {count}, align 16")

    values, block_words = room(head["values"]), room(head["widest"])
    taken, held, turns = room(blocks), room(inputs), room(head["depth"])
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
    run = (plan, f.offset(layouts, outputs, "i64"), head["items"], values, block_words, turns, zero)
    with f.when(head["shared"].ne(0)):
        start_workers(f)

    def released():
        f.call("hold", "void", letters, arguments, inputs, held)
        thread = f.call("PyEval_SaveThread", "ptr")
        f.call("run", "i1", *run)
        f.call("PyEval_RestoreThread", "void", thread)
        f.call("drop", "void", held, zero, inputs)

    def kept():
        f.call("run", "i1", *run)

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
    f = module.function("explain", parameters, "ptr", internal=True, attributes=SELDOM)
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
