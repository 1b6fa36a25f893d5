"""A process whose tensors lie against forbidden pages, all of them: operands, results, temporaries.

Run as a program, it calls operations twice: with memory that begins at such a page and is zero, and
with memory that ends at one, aligned to nothing but an element, and full of ones. A kernel that
reads or writes a byte too far ends the process, and one that reads what nobody wrote gives other
results. What is called stands in `samples.py` and in `families.py`.
"""

import ctypes
import mmap
import sys
import warnings

import numpy as np
from agreement import arrays, disagreement
from steps import PAGE, guard

import cresset
from cresset.runtime import heap, memory, native

# What gives memory as it finds it, or looks at what lies between the elements.
UNWRITTEN = ("empty", "empty_like", "empty_permuted", "empty_strided", "Tensor.new_empty",
             "Tensor.new_empty_strided", "Tensor.resize_", "Tensor.resize_as_", "as_strided",
             "as_strided_copy")


class GuardedHeap:
    """What stands in for the system's memory; `low` is whether blocks begin at a forbidden page."""

    def __init__(self):
        self.low = True
        self.blocks: list[mmap.mmap] = []
        self.free: dict[int, list[int]] = {}
        self.taken: dict[int, tuple[int, int]] = {}
        pointer = ctypes.c_void_p
        self.take_symbol = ctypes.PYFUNCTYPE(pointer, ctypes.c_size_t)(self.take)
        self.give_symbol = ctypes.PYFUNCTYPE(None, pointer)(self.give)

    def take(self, nbytes):
        pages = -(-nbytes // PAGE)
        spare = self.free.get(pages)
        room = pages * PAGE
        if spare:
            base = spare.pop()
        else:
            self.blocks.append(mmap.mmap(-1, room + 2 * PAGE))
            base = guard(self.blocks[-1])
        ctypes.memset(base, 0 if self.low else 255, room)
        at = base if self.low else base + room - nbytes
        self.taken[at] = (base, pages)
        return at

    def give(self, at):
        base, pages = self.taken.pop(at)
        self.free.setdefault(pages, []).append(base)

    def install(self):
        """Have the native part take every block from here, just as large as was asked for."""
        def write_system_take(module):
            f = module.function("system_take", [("i64", "size")], "ptr", internal=True)
            f.ret(f.call("guarded_take", "ptr", *f.arguments))

        def write_system_give(module):
            parameters = [("ptr", "data"), ("i64", "size")]
            f = module.function("system_give", parameters, internal=True)
            # What frees may be an error on its way.
            error = [f.alloca("ptr") for _ in range(3)]
            f.call("PyErr_Fetch", "void", *error)
            f.call("guarded_give", "void", f.arguments[0])
            f.call("PyErr_Restore", "void", *(f.load("ptr", part) for part in error))
            f.ret()

        def write_take(module):
            f = module.function("take", [("i64", "nbytes")], "ptr", internal=True)
            (nbytes,) = f.arguments
            block = f.call("grow", "ptr", f.constant("i64", 0), nbytes, nbytes)
            with f.when(block.ne(0)):
                heap._add(f, "allocated", nbytes)
            f.ret(block)

        symbols = {"guarded_take": self.take_symbol, "guarded_give": self.give_symbol}
        addresses = {name: ctypes.cast(s, ctypes.c_void_p).value for name, s in symbols.items()}
        load_module, key = native.load_module, native._key
        heap._write_system_take = write_system_take
        heap._write_system_give = write_system_give
        heap._write_take = write_take
        native._key = lambda: f"guarded {key()}"
        native.load_module = lambda key, write, bound: load_module(key, write, bound | addresses)
        memory.set_cache_limit(0)

    def lay(self, array, shift=0):
        """A tensor of an array's elements and strides that owns no byte besides, but `shift`
        elements before the first.
        """
        if array.dtype.names:  # a type that NumPy lacks is converted, not laid
            return cresset.from_numpy(array[array.dtype.names[0]]).to(cresset.bfloat16)
        strides = tuple(s // array.itemsize for s in array.strides)
        extent = 1 + sum((n - 1) * s for n, s in zip(array.shape, strides)) if array.size else 0
        line = cresset.empty(extent + shift, dtype=getattr(cresset, array.dtype.name))
        x = line.as_strided(array.shape, strides, shift)
        np.copyto(x.numpy(), array)
        return x


def difference(heap, call, operands, shift=0, errors=True):
    """What differs between results with memory of the one kind and of the other, or None.

    Where it begins at a forbidden page the operands begin `shift` elements behind it.
    """
    results = []
    for low in (False, True):
        heap.low = low
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                result = call([heap.lay(a, shift if low else 0) for a in operands])
                results.append([np.array(a) for a in arrays(result)])
            except Exception as error:
                if not errors:
                    raise
                results.append(error)
    first, second = results
    if isinstance(first, Exception) or isinstance(second, Exception):
        return None if type(first) is type(second) else f"{first!r} and {second!r}"
    return disagreement(first, second)


def samples(heap):
    """Samples, by turns of one type or another, in row order or with steps.

    After the first of a form come those that differ in shapes: every second is run, of elementwise
    ones none.
    """
    from sample import built
    from samples import SAMPLES

    for turn, sample in enumerate(SAMPLES):
        if sample.name in UNWRITTEN:
            continue
        if sample.leads or turn % 2 and not sample.elementwise:
            dtype = sample.types[turn // 2 % len(sample.types)]
            arrangement = ("plain", "stepped")[turn // 2 % 2]
            case = f"{sample.id} {dtype} {arrangement}"
            print(case, flush=True)
            operands = built(sample, dtype, arrangement)
            yield case, difference(heap, lambda t, s=sample: s.call(cresset, t), operands)


def families(heap):
    """Every family, also at addresses that are aligned to an element alone."""
    from families import FAMILIES

    for name, sizes, makers, call in FAMILIES:
        for turn, size in enumerate(sizes):
            print(name, size, flush=True)
            operands = [make(size) for make in makers]
            yield f"{name} {size}", difference(
                heap, lambda t, call=call: call(*t), operands, turn % 2, errors=False)


if __name__ == "__main__":
    guarded_heap = GuardedHeap()
    guarded_heap.install()
    found = {"samples": samples, "families": families}[sys.argv[1]](guarded_heap)
    wrong = [f"{case}: {what}" for case, what in found if what]
    print("\n".join(wrong) if wrong else "done")
