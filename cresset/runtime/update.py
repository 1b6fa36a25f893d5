"""The emitted builtin that runs one kernel over many tensors at once: an optimizer's step.

It takes lists of tensors (parameters, gradients, averages, ...) and numbers. The k-th tensors of
all lists are updated together, so they must share one dense layout. Large ones are cut into rows of
`ROW` elements; the kernel gets a table of rows, each the tensors' addresses and a count.
"""

from __future__ import annotations

import math
import struct
from functools import partial

from cresset.core.dtype import dtype as DType
from cresset.runtime.ir import SELDOM, Module
from cresset.runtime.launch import reject_call
from cresset.runtime.objects import (
    constant,
    item,
    named,
    slot,
    type_of,
    words,
)
from cresset.runtime.plan import RELEASE_FROM
from cresset.runtime.pool import SHARE_FROM, start_workers
from cresset.runtime.rejections import check_tensor

ROW = 16384
MOST_TENSORS = 64  # lists, so that a word can say which are written
# A plan's words, and whether each is an address.
PLAN = ("kernel", "tensors", "numbers", "writes", "dtype", "reject")


def pack(address: int, tensors: int, numbers: int, writes, dtype: DType | None) -> tuple:
    """The `self` of an updater. Raises ValueError where the numbers contradict each other."""
    if not 1 <= tensors <= MOST_TENSORS or numbers < 0:
        raise ValueError(f"update: got {tensors} lists and {numbers} numbers; need 1 to 64 lists")
    if not all(0 <= index < tensors for index in writes):
        raise ValueError(f"update: lists {tuple(writes)} are written; there are {tensors}")
    reject = partial(rejected, tensors, numbers)
    mask = sum(1 << index for index in set(writes))
    wanted = 0 if dtype is None else id(dtype)
    plan = struct.pack("<6Q", address, tensors, numbers, mask, wanted, id(reject))
    return plan, reject, dtype


def rejected(tensors: int, numbers: int, *arguments) -> None:
    """Raise the error of a call that `update` could not read."""
    if len(arguments) != tensors + numbers:
        raise TypeError(
            f"update: got {len(arguments)} arguments; need {tensors} lists and {numbers} numbers"
        )
    lists = arguments[:tensors]
    for index, values in enumerate(lists):
        if not isinstance(values, list):
            raise TypeError(f"update: argument {index + 1} is a {type(values).__name__}; "
                            "need a list of tensors")
    lengths = [len(values) for values in lists]
    if len(set(lengths)) != 1:
        raise TypeError(f"update: the lists have {lengths} tensors; need as many in each")
    for index, number in enumerate(arguments[tensors:], tensors + 1):
        try:
            math.isnan(number)  # a conversion as emitted code does it
        except TypeError:
            raise TypeError(f"update: argument {index} is a {type(number).__name__}; "
                            "need a real number") from None
    for index, values in enumerate(lists):
        for place, tensor in enumerate(values):
            check_tensor(f"update: tensor {place} of list {index}", tensor)
    raise TypeError("update: the arguments cannot be used")


# --- emitting -------------------------------------------------------------------------------------
def write(module: Module) -> None:
    """Add `update` to a module."""
    _write_fitting(module)
    _write_fill_rows(module)
    _write_update(module)


def _entry(f, lists, index, place):
    """A tensor of a list, borrowed."""
    values = f.load("ptr", f.offset(lists, index, "ptr"))
    return f.call("PyList_GetItem", "ptr", values, place)


def _write_fitting(module):
    """i64 fitting(lists, i64 tensors, i64 place, dtype): bytes of the tensors at one place.

    -1 where their layouts differ, are not dense or not of the type; -2 where one is no tensor.
    """
    parameters = [("ptr", "lists"), ("i64", "tensors"), ("i64", "place"), ("ptr", "dtype")]
    f = module.function("fitting", parameters, "i64", internal=True)
    lists, tensors, place, dtype = f.arguments
    wrong, unfit = f.constant("i64", -2), f.constant("i64", -1)
    with f.loop(0, tensors) as index:
        x = _entry(f, lists, index, place)
        with f.leave(f.call("is_tensor", "i1", x).eq(0)):
            f.ret(wrong)
        pointer = f.call("pointer_of", "i64", x)
        storage = f.call("storage_of", "ptr", x)
        with f.leave(pointer.eq(-1) | storage.eq(0)):
            f.ret(wrong)
        with f.leave(pointer.eq(0)):  # a tensor without memory
            f.ret(unfit)
        version = f.call("count_of", "i64", slot(f, storage, "Storage.version"))
        with f.leave(version.eq(-1)):  # memory that must not be written
            f.ret(unfit)
    layout = slot(f, _entry(f, lists, 0, place), "Tensor.layout")
    with f.leave(layout.eq(0)):
        f.ret(wrong)
    with f.leave(type_of(f, layout).ne(named(f, "Layout"))):
        f.ret(wrong)
    with f.loop(0, tensors) as index:
        with f.leave(slot(f, _entry(f, lists, index, place), "Tensor.layout").ne(layout)):
            f.ret(unfit)
    dense = slot(f, layout, "Layout.dense").eq(named(f, "True"))
    typed = dtype.eq(0) | slot(f, layout, "Layout.dtype").eq(dtype)
    with f.leave((dense & typed).eq(0)):
        f.ret(unfit)
    f.ret(f.call("count_of", "i64", slot(f, layout, "Layout.nbytes")))


def _numel_of(f, tensor):
    layout = slot(f, tensor, "Tensor.layout")
    return f.call("count_of", "i64", slot(f, layout, "Layout.numel"))


def _write_fill_rows(module):
    """void fill_rows(lists, i64 tensors, i64 place, rows, owners, i64 writes)

    Write the rows of the tensors at one place, hold their memory, count the writes.
    """
    parameters = [("ptr", "lists"), ("i64", "tensors"), ("i64", "place"), ("ptr", "rows"),
                  ("ptr", "owners"), ("i64", "writes")]
    f = module.function("fill_rows", parameters, internal=True)
    lists, tensors, place, rows, owners, writes = f.arguments
    first = _entry(f, lists, 0, place)
    numel = _numel_of(f, first)
    nbytes = f.call("count_of", "i64", slot(f, slot(f, first, "Tensor.layout"), "Layout.nbytes"))
    itemsize = nbytes.udiv(f.select(numel > 0, numel, f.constant("i64", 1)))
    width = tensors + 1
    with f.loop(0, tensors) as index:
        x = _entry(f, lists, index, place)
        pointer = f.call("pointer_of", "i64", x)
        with f.loop(0, numel, ROW) as begin:
            row = f.offset(rows, begin.udiv(ROW) * width, "i64")
            f.store(pointer + begin * itemsize, f.offset(row, index, "i64"))
            f.store(f.minimum(numel - begin, ROW), f.offset(row, tensors, "i64"))
        owner = slot(f, f.call("storage_of", "ptr", x), "Storage.owner")
        f.call("Py_IncRef", "void", owner)  # the slot may be unset
        f.store(owner, f.offset(owners, index, "ptr"))
        with f.when((writes.lshr(index) & 1).ne(0)):
            f.call("raise_version", "void", x)
    f.ret()


def _write_update(module):
    """ptr update(self, args, i64 count): METH_FASTCALL."""
    parameters = [("ptr", "self"), ("ptr", "args"), ("i64", "count")]
    f = module.function("update", parameters, "ptr", attributes=SELDOM)
    self, lists, count = f.arguments
    plan = words(f, item(f, self, 0))
    field = {name: f.load("i64", f.offset(plan, k, "i64")) for k, name in enumerate(PLAN)}
    tensors, numbers = field["tensors"], field["numbers"]
    reject, dtype = f.convert(field["reject"], "ptr"), f.convert(field["dtype"], "ptr")
    zero = f.constant("i64", 0)
    doubles = f.emit("ptr", f"alloca double, {numbers}, align 16")
    block = f.alloca("ptr", 2)

    with f.leave(count.ne(tensors + numbers)):
        reject_call(f, reject, lists, count)
    with f.loop(0, numbers) as index:
        x = f.load("ptr", f.offset(lists, tensors + index, "ptr"))
        number = f.call("PyFloat_AsDouble", "double", x)
        f.store(number, f.offset(doubles, index, "double"))
        with f.leave(f.call("PyErr_Occurred", "ptr").ne(0)):
            reject_call(f, reject, lists, count)
    # From here on no Python code is run until the lists have been read.
    with f.loop(0, tensors) as index:
        values = f.load("ptr", f.offset(lists, index, "ptr"))
        with f.leave(f.call("PyType_IsSubtype", "i32", type_of(f, values), named(f, "list")).eq(0)):
            reject_call(f, reject, lists, count)
    length = f.call("PyList_Size", "i64", f.load("ptr", lists))
    with f.loop(0, tensors) as index:
        other = f.call("PyList_Size", "i64", f.load("ptr", f.offset(lists, index, "ptr")))
        with f.leave(other.ne(length)):
            reject_call(f, reject, lists, count)

    with f.loop(0, length, carry=(zero, zero)) as turn:
        rows, nbytes = turn.values
        size = f.call("fitting", "i64", lists, tensors, turn.index, dtype)
        with f.leave(size.eq(-2)):
            reject_call(f, reject, lists, count)
        with f.leave(size < 0):
            f.ret(constant(f, "NotImplemented"))
        numel = _numel_of(f, _entry(f, lists, zero, turn.index))
        turn.next(rows + (numel + (ROW - 1)).udiv(ROW), nbytes + size)
    rows, nbytes = turn.results
    with f.leave(rows.eq(0)):
        f.ret(constant(f, "None"))

    holding = length * tensors
    table = f.call("PyMem_Malloc", "ptr", (rows * (tensors + 1) + holding) * 8)
    with f.leave(table.eq(0)):
        f.ret(f.call("PyErr_NoMemory", "ptr"))
    owners = f.offset(table, rows * (tensors + 1), "i64")
    with f.loop(0, length, carry=(table,)) as turn:
        held = f.offset(owners, turn.index * tensors, "ptr")
        order = (lists, tensors, turn.index, *turn.values, held, field["writes"])
        f.call("fill_rows", "void", *order)
        filled = (_numel_of(f, _entry(f, lists, zero, turn.index)) + (ROW - 1)).udiv(ROW)
        turn.next(f.offset(turn.values[0], filled * (tensors + 1), "i64"))

    f.store(table, block)
    f.store(doubles, f.offset(block, 1, "ptr"))
    kernel = f.convert(field["kernel"], "ptr")
    work = (nbytes * tensors).lshr(3)  # some 8 bytes a nanosecond
    grain = (rows * SHARE_FROM).udiv(work + 1) + 1
    with f.when((rows > grain) & (work >= SHARE_FROM)):
        start_workers(f)

    def released():
        thread = f.call("PyEval_SaveThread", "ptr")
        f.call("share", "void", kernel, block, rows, grain, work)
        f.call("PyEval_RestoreThread", "void", thread)

    def kept():
        f.call("share", "void", kernel, block, rows, grain, work)

    f.either(work > RELEASE_FROM, released, kept)
    f.call("drop", "void", owners, zero, holding)
    f.call("PyMem_Free", "void", table)
    f.ret(constant(f, "None"))
