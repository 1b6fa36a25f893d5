"""The kernel of a multi-tensor update: one elementwise body over rows of a table of tensors.

Each row of the table holds the addresses of one stretch of each list's tensor, then its element
count. The stretches are packed, so the loop is the plain one over neighbours; what does not fill a
block is done one element at a time.
"""

from __future__ import annotations

from cresset.core import scalar
from cresset.kernels import loops
from cresset.runtime import ir
from cresset.runtime.ir import Module
from cresset.runtime.target import host


def listing(d, lists: int, numbers: int, writes, values) -> str:
    """The kernel as text, which names it: overwrite list `writes[k]` with `values[k]`."""
    lines = [f"update of {lists} lists of {d.name} with {numbers} numbers"]
    names: dict = {}
    for e in scalar.topological(*values):
        if e.args:
            names[e] = f"t{len(names)}"
            spelled = ", ".join(names.get(a) or repr(a) for a in e.args)
            lines.append(f"  {names[e]} = {e.name}({spelled}) : {e.dtype.code}")
    for w, e in zip(writes, values):
        lines.append(f"  write a{w} = {names.get(e) or repr(e)}")
    return "\n".join(lines)


def write(d, lists: int, numbers: int, writes, values) -> Module:
    """args: the table, the numbers (float64); units: rows."""
    module = Module()
    f = module.kernel()
    args, begin, end = f.arguments
    table = f.load("ptr", args)
    words = f.load("ptr", f.offset(args, 1, "i64"))
    known = {}
    for k in range(numbers):
        leaf = scalar.argument(lists + k, d)
        number = f.load("double", f.offset(words, k, "i64"))
        known[leaf] = f.convert(number, d.register)
    # What depends on the numbers alone is computed once.
    emitter = _Emitter(f, known)
    emitter.still(values)
    width = 2 * host().vector_bytes // ir.size(d.register)
    with f.loop(begin, end) as row:
        start = f.offset(table, row * (lists + 1), "i64")
        pointers = [f.load("ptr", f.offset(start, k, "i64")) for k in range(lists)]
        count = f.load("i64", f.offset(start, lists, "i64"))
        whole = count - (count & (width - 1))
        with f.loop(0, whole, width) as i:
            emitter.turn(d, pointers, i, width, writes, values)
        with f.loop(whole, count) as i:
            emitter.turn(d, pointers, i, 1, writes, values)
    f.ret()
    return module


class _Emitter:
    """Emits the body for some lanes, over values that were computed before the loops."""

    def __init__(self, f, fixed):
        self.f = f
        self.fixed = fixed

    def still(self, values):
        """Compute what depends on numbers alone."""
        for e in scalar.topological(*values):
            if e.args and all(a in self.fixed or a.name == "constant" for a in e.args):
                self._value(e, self.fixed, 1)

    def _value(self, e, known, lanes):
        found = known.get(e)
        if found is None:
            if e in self.fixed:
                found = self.f.splat(self.fixed[e], lanes)
            else:
                args = [self._value(a, known, lanes) for a in e.args]
                found = loops.primitives.emit(self.f, e, args, lanes)
            known[e] = found
        return found

    def turn(self, d, pointers, i, lanes, writes, values):
        f, known = self.f, {}
        for k, pointer in enumerate(pointers):
            at = f.offset(pointer, i, d.llvm)
            known[scalar.argument(k, d)] = loops.load(f, d, at, lanes)
        for e in scalar.topological(*values):
            self._value(e, known, lanes)
        for w, e in zip(writes, values):
            value = loops.to_memory(f, d, self._value(e, known, lanes))
            f.store(value, f.offset(pointers[w], i, d.llvm), d.itemsize)
