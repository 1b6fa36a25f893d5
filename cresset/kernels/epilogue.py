"""Epilogues: loops over a kernel's result, run box by box while it is in the caches.

A kernel that takes an epilogue (`Step.tiled`) does its result in boxes: rows and columns. Where it
is given loops that follow (`Step.epilogue`), it leaves a box in scratch memory and calls them on
it, and only what they store goes to memory. They are a kernel of their own, so an epilogue needs no
other kernel of products, and what is called for each box costs little beside its sums.

The loops are a nest over all points of the result, with an operand at BOX for what is in scratch.
Strides of that tell which dims of the nest are the result's rows and which its columns.

Behind the constants of a kernel that takes an epilogue is NONE, or the address of `run`, and the
words of that: those of HEAD, which say how many words the kernel of the loops takes and which of
them are what; then come its address and these words.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.layout import contiguous_strides
from cresset.kernels.nest import Nest, Operand, Store, launch, row_by_row
from cresset.runtime.ir import Function, Module, Value
from cresset.runtime.program import STATUS, Step

BOX = -2  # the place of a nest's operand in scratch
NONE = (0,)
HEAD = ("words", "box", "columns", "arrays", "each", "first", "itemsize")
MOST_WORDS = 160  # of the loops' kernel, which are copied to the stack


class Tiled(NamedTuple):
    """What a kernel makes in boxes: operand number `operand` of its step.

    It has a shape and strides in elements, the last dims those of rows and columns; all rows are
    numbered through. Boxes are of one matrix, have `narrowest` columns at the least, and `pitch`
    elements from row to row in scratch. Where they `overlap` some points are done twice.
    """

    operand: int
    dtype: dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    narrowest: int
    pitch: int
    overlap: bool

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def stored(self, place: int, offset: int) -> Nest:
        """What the kernel does by itself: boxes are copied to memory."""
        box = Operand(BOX, self.dtype, contiguous_strides(self.shape))
        target = Operand(place, self.dtype, self.strides, offset)
        body = (Store(1, scalar.argument(0, self.dtype), False),)
        return Nest(self.shape, frozenset(), (box, target), body)


def reads_box(nest: Nest) -> bool:
    """Whether the result of the kernel is read at all."""
    return any(o.place == BOX for o in nest.operands)


def is_plain(nest: Nest) -> bool:
    """Whether boxes are copied to memory, and nothing else is done."""
    return len(nest.operands) == 2 and nest.body[0].value.name == "argument"


def with_epilogue(step: Step, nest: Nest) -> Step | None:
    """The step with a nest over its boxes instead of their store; None where it can have none."""
    tiled: Tiled = step.tiled
    if nest.in_place and tiled.overlap:
        return None
    box = next(k for k, o in enumerate(nest.operands) if o.place == BOX)
    steps, columns = nest.operands[box].strides or (), tiled.shape[-1]
    dims = sorted(range(len(steps)), key=lambda d: -steps[d])
    within = [d for d in dims if steps[d] < columns]
    scratch = tuple(s if s < columns else s // columns * tiled.pitch for s in steps)
    operands = list(nest.operands)
    operands[box] = operands[box]._replace(place=STATUS, strides=scratch)
    nest = nest._replace(operands=tuple(operands))
    rows = [d for d in dims if d not in within]
    arrangement = row_by_row(nest, rows, within, (tiled.shape[-2], tiled.pitch, tiled.narrowest))
    if arrangement is None:
        return None
    loops = launch(nest, arrangement)._replace(nest=None)
    numbers = [o.value is not None for o in operands]
    sizes, kept = len(loops.operands) + sum(numbers), len(arrangement.kept)
    head = {
        "words": len(loops.operands) + len(loops.constants),
        "box": box - sum(numbers[:box]),
        "columns": sizes + kept - 1,
        "arrays": len(arrangement.where),
        "each": 1 + kept,
        "first": sizes + kept,
        "itemsize": tiled.dtype.itemsize,
    }
    if head["words"] > MOST_WORDS:
        return None
    runs = Step("epilogue", run, (), tuple(head[name] for name in HEAD), epilogue=loops)
    # The kernel itself stores nothing.
    places, moves = list(step.operands), list(step.moves or ((0,),) * len(step.operands))
    places[tiled.operand], moves[tiled.operand] = places[0], moves[0]
    return step._replace(
        operands=tuple(places), moves=tuple(moves), constants=step.constants[: -len(NONE)],
        work=step.work + loops.work, epilogue=runs,
    )


def run() -> Module:
    """What a kernel calls on a box: its epilogue, over rows and columns from one to another.

    Arguments: the words of HEAD, behind which are the address of the loops' kernel and its words;
    the box, elements from row to row in it, the rows and the columns.
    """
    parameters = [("ptr", "words"), ("ptr", "box"),
                  *(("i64", name) for name in ("pitch", "begin", "end", "left", "right"))]
    module = Module()
    f = module.function("kernel", parameters)
    words, box, pitch, begin, end, left, right = f.arguments
    head = {name: f.load("i64", f.offset(words, k, "i64")) for k, name in enumerate(HEAD)}
    kernel = f.load("ptr", f.offset(words, len(HEAD), "i64"))
    source = f.offset(words, len(HEAD) + 1, "i64")
    target = f.alloca("i64", MOST_WORDS)

    def put(place, word):
        f.store(word, f.offset(target, place, "i64"))

    with f.loop(0, head["words"]) as k:
        put(k, f.load("i64", f.offset(source, k, "i64")))
    put(head["columns"], right - left)
    with f.loop(0, head["arrays"], carry=[head["first"]]) as array:
        (at,) = array.values
        following = at + head["each"]
        step = f.load("i64", f.offset(source, following - 1, "i64"))
        put(at, f.load("i64", f.offset(source, at, "i64")) + left * step)
        array.next(following)
    # Where the first row and column of all would lie.
    put(head["box"], f.offset(box, 0 - (begin * pitch + left) * head["itemsize"]))
    f.call(kernel, "void", target, begin, end)
    f.ret()
    return module


class Epilogue:
    """The epilogue of a kernel that is being written: whether there is one, and to call it.

    `words` is where the constants end.
    """

    def __init__(self, f: Function, words: Value):
        self.f, self.words = f, words
        self.wanted = f.load("i64", words).ne(0)

    def call(self, box: Value, pitch: Value, rows: tuple[Value, Value],
             columns: tuple[Value, Value]):
        """Call it on rows and columns from one to another, `pitch` elements from row to row."""
        f = self.f
        kernel = f.load("ptr", self.words)
        f.call(kernel, "void", f.offset(self.words, 1, "i64"), box, pitch, *rows, *columns)
