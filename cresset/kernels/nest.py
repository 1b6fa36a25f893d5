"""Loop nests: the one form in which elementwise work, reductions and row kernels are described.

A nest is an iteration space, some of whose dims are reduced, and a body that is run for every point
of the kept dims: passes over the reduced dims that either reduce or store. Elementwise work is a
nest without reduced dims; a sum has one reducing pass; softmax has two, and a pass that stores.

This file describes nests, simplifies their dims, chooses a schedule and cuts the work into
launches; `lanes`, `columns` and `turned` write the machine code. All know nothing of operations.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from math import prod
from typing import NamedTuple

from cresset.core import check, scalar
from cresset.core.dtype import dtype
from cresset.core.scalar import Expression
from cresset.kernels import loops
from cresset.kernels.as_bits import as_bits
from cresset.kernels.columns import Columns
from cresset.kernels.costs import computed, cost, heavy, names
from cresset.kernels.lanes import KeptLanes, ReducedLanes, WholeRows
from cresset.kernels.pairs import paired
from cresset.kernels.rewrites import rewritten
from cresset.kernels.turned import SIDE, Turned
from cresset.kernels.verify import verify
from cresset.kernels.widths import LEAST, block_width, half_will_do
from cresset.runtime import ir
from cresset.runtime.program import Step
from cresset.runtime.target import host


class Operand(NamedTuple):
    """One operand of a nest: where it is in the value table and how it lies over the space.

    `strides` are in elements, one per dim of the space; None for a Python number, whose word is a
    float64 or an int64 as `number` ("d" or "i") says. A number that the plan knows has its `value`
    here and no place: it is one of the step's constants, so that another one needs no new kernel.
    `part` says that it is the real ("re") or the imaginary ("im") part of complex numbers.
    """

    place: int
    dtype: dtype
    strides: tuple[int, ...] | None
    offset: int = 0
    number: str = ""
    value: float | int | None = None
    part: str = ""

    def word(self) -> int:
        """The value as the word that the kernel reads."""
        assert self.value is not None
        if self.number == "i":
            return int(self.value)
        return struct.unpack("<q", struct.pack("<d", self.value))[0]

    def identity(self) -> tuple:
        """What it has in common with no other operand: 0.0 and -0.0 are equal, 1 and 1.0 too."""
        return self, type(self.value), repr(self.value)


class Reduce(NamedTuple):
    """A pass that folds the space into states, one for each point of the kept dims.

    `lift` makes an element a state; `merge` joins two, given as arguments 0..n-1 and n..2n-1;
    `start` is the state of nothing. Later passes read the state as accumulators, numbered through.
    On the way expressions are written to outputs, where a later store finds them: `keep` holds
    (operand, expression). `narrow` are float32 numbers that may be added up a few at a time before
    they are lifted. `block` is (lanes, rows) that are folded at once, (0, 0) where that is as in
    the rest of the nest.
    """

    lift: tuple[Expression, ...]
    merge: tuple[Expression, ...]
    start: tuple
    keep: tuple = ()
    narrow: tuple[Expression, ...] = ()
    block: tuple[int, int] = (0, 0)


class Store(NamedTuple):
    """Write an expression to output `operand`: at every point, or once for each kept point."""

    operand: int
    value: Expression
    kept: bool


class Nest(NamedTuple):
    """The work itself: space, reduced dims, operands and the passes over them, in order.

    `position_strides` give the flat index that `position` reads; `in_place` says that an output may
    lie exactly over an input. `order` is that of its arrangement where it may be no other.
    """

    shape: tuple[int, ...]
    reduced: frozenset
    operands: tuple[Operand, ...]
    body: tuple
    position_strides: tuple[int, ...] = ()
    position_start: int = 0
    in_place: bool = False
    order: tuple = ()

    @property
    def folds(self) -> bool:
        """Whether some pass reduces."""
        return any(isinstance(s, Reduce) for s in self.body)


# --- tuning: sizes at which the schedule changes --------------------------------------------------
TILE = 8192  # elements of the innermost kept dim that one unit takes
PIECE = 32768  # elements that a unit of shared work should at least have
SPLIT_FROM = 1 << 17  # reduced elements from which few rows are cut into chunks
CHUNK = 1 << 15  # elements of such a chunk
FEW_ROWS = 8
COLUMNS = (256, 512)  # columns of a unit that folds rows, the least and the most
PAST_CACHES = 3 << 22  # bytes of a result from which it goes past the caches
ROWS = 4  # that are joined before the state of every column takes them in
TURNED = (512, 64)  # rows and columns of a unit that turns operands over
TURN_FROM = 16  # rows and columns
LEAST_LANES = 8  # of blocks that are made narrower lest the last one overlaps
SCHEDULES = {
    "kept": KeptLanes, "reduced": ReducedLanes, "columns": Columns, "turned": Turned,
    "whole": WholeRows,
}


def outputs(body) -> list[int]:
    """The operands that statements write."""
    stored = [s.operand for s in body if isinstance(s, Store)]
    kept = [k for s in body if isinstance(s, Reduce) for k, _ in s.keep]
    return stored + [k for k in kept if k not in stored]


def goes_past(nest: Nest) -> bool:
    """Whether a result is too large for the caches, and none is read here again."""
    if nest.in_place or any(isinstance(s, Reduce) and s.keep for s in nest.body):
        return False
    wide = [nest.operands[s.operand].dtype.itemsize for s in nest.body
            if isinstance(s, Store) and not s.kept]
    return prod(nest.shape) * max(wide, default=0) >= PAST_CACHES


def steps(nest: Nest, temporary: int = 0) -> tuple[list[Step], list[int]]:
    """The launches that do a nest, and the bytes of the temporaries they need.

    `temporary` is the value-table index that the first temporary will have.
    """
    nest = rewritten(paired(as_bits(nest)))
    rows = prod(n for d, n in enumerate(nest.shape) if d not in nest.reduced)
    if 0 in nest.shape:
        if rows == 0 or not nest.folds:
            return [], []
        nest = _of_nothing(nest)
    total = prod(nest.shape)
    if nest.reduced and total // rows >= SPLIT_FROM and rows < FEW_ROWS:
        return _split(nest, temporary)
    return [launch(nest)], []


def _of_nothing(nest: Nest) -> Nest:
    """What a nest that folds nothing stores for each kept point: its states are as they start."""
    starts = [(e, n) for s in nest.body if isinstance(s, Reduce) for e, n in zip(s.lift, s.start)]
    states = {
        scalar.accumulator(k, e.dtype): scalar.constant(n, e.dtype)
        for k, (e, n) in enumerate(starts)
    }
    stores = tuple(
        Store(s.operand, scalar.substitute(s.value, states), False)
        for s in nest.body if isinstance(s, Store) and s.kept
    )
    operands, body = compact(nest.operands, stores)
    shape = tuple(1 if d in nest.reduced else n for d, n in enumerate(nest.shape))
    return Nest(shape, frozenset(), operands, body)


class Arrangement(NamedTuple):
    """The loops of a nest: dims as [(size, strides of each array)], the schedule and its blocks.

    `where` gives the column of strides of each array operand.
    """

    kept: list
    reduced: list
    where: dict[int, int]
    lanes: str
    width: int
    rows: int

    def order(self) -> tuple:
        """What the order depends on in which elements are folded, but for the blocks of folds."""
        return tuple([n for n, _ in self.reduced]), self.lanes


def arranged(nest: Nest) -> Arrangement:
    """The loops that a nest becomes on the machine that code is written for."""
    return _arranged(nest, host().vector_bytes)


def settled(nest: Nest) -> Nest:
    """The nest with the order settled in which it folds, whatever else is done in its passes."""
    own = arranged(nest)
    # Lanes along a kept dim fold for themselves, however many there are.
    block = own.width if own.lanes == "reduced" else 0, own.rows
    body = tuple([
        s._replace(block=block) if isinstance(s, Reduce) and s.block == (0, 0) else s
        for s in nest.body
    ])
    return nest._replace(body=body, order=own.order())


# Fusion asks several times for each nest.
@lru_cache(256)
def _arranged(nest: Nest, vector_bytes: int) -> Arrangement:
    kept, reduced = _ordered(nest)
    arrays = [k for k, o in enumerate(nest.operands) if o.strides is not None]
    columns: list = [nest.operands[k].strides for k in arrays]
    columns.append(nest.position_strides or None)
    kept_dims = _collapse(nest.shape, kept, columns)
    reduced_dims = _collapse(nest.shape, reduced, columns)
    single = (1, (0,) * len(columns))
    if not kept_dims and not reduced_dims:
        kept_dims = [single]
    if nest.folds and not reduced_dims:
        reduced_dims = [single]
    where = {k: column for column, k in enumerate(arrays)}
    lanes = nest.order[1] if nest.order else _schedule(nest, kept_dims, reduced_dims, where)
    extent = (reduced_dims[-1] if lanes == "reduced" else kept_dims[-1])[0]
    extent = min(extent, SIDE) if lanes == "turned" else extent
    one_row = len(kept_dims) == 1 and not reduced_dims
    width = block_width(nest, extent, vector_bytes, one_row)
    if half_will_do(nest, lanes, reduced_dims or kept_dims):
        width = min(width, max(block_width(nest, 1 << 30, vector_bytes) // 2, LEAST))
    blocks = [s.block[0] for s in nest.body if isinstance(s, Reduce) and s.block[0]]
    width, rows = min(blocks, default=width), 1
    if lanes == "columns" and reduced_dims[-1][0] >= ROWS and not heavy(*computed(nest.body)):
        rows = ROWS
    return Arrangement(kept_dims, reduced_dims, where, lanes, width, rows)


def row_by_row(nest: Nest, rows: list[int], columns: list[int], box: tuple[int, int, int]):
    """The loops of a nest that does boxes of it: some of so many rows, and some columns.

    `rows` and `columns` are its dims, from the outermost to the innermost; `box` is how many rows
    in order a box is of, and how many columns it has, and has at the least. None where columns are
    not one dim, along which operands are neighbours or stand still, or rows of a box not of one.
    """
    together, usual, least = box
    arrays = [k for k, o in enumerate(nest.operands) if o.strides is not None]
    strides = [nest.operands[k].strides for k in arrays]
    within = _collapse(nest.shape, columns, strides)
    fits = len(within) == 1 and not positioned(nest.body)
    if not fits or any(o.part for o in nest.operands) or not {0, 1}.issuperset(within[0][1]):
        return None
    kept = _collapse(nest.shape, rows, strides) or [(1, (0,) * len(arrays))]
    if kept[-1][0] % together:
        return None
    where = {k: column for column, k in enumerate(arrays)}
    width = block_width(nest, least, host().vector_bytes)
    while usual % width and width > LEAST_LANES:
        width //= 2
    return Arrangement([*kept, *within], [], where, "whole", width, 1)


def launch(nest: Nest, arrangement: Arrangement | None = None) -> Step:
    """One kernel launch over the whole nest, by its own arrangement or another."""
    if check.ENABLED:
        verify(nest)
    kept_dims, reduced_dims, where, lanes, width, rows = arrangement or arranged(nest)
    extent = (reduced_dims[-1] if lanes == "reduced" else kept_dims[-1])[0]
    written = outputs(nest.body)
    roles = tuple([
        _role(k, o, written, where, lanes, kept_dims, reduced_dims)
        for k, o in enumerate(nest.operands)
    ])
    # Blocks of one lane do not overlap, and where nothing is read nothing can be read back.
    in_place = nest.in_place and width > 1 and any(role.kind == "in" for role in roles)
    body = nest.body
    if nest.order:
        own = (width, rows) if lanes == "reduced" else (0, rows)
        body = tuple([
            s._replace(block=(0, 0)) if isinstance(s, Reduce) and s.block == own else s
            for s in body
        ])
    points = prod(nest.shape)
    past = goes_past(nest) and lanes != "whole"
    form = loops.Form(
        len(kept_dims), len(reduced_dims), lanes, width, rows, roles, body, in_place, past
    )
    units = prod(n for n, _ in kept_dims)
    tiling: list[int] = []
    if lanes not in loops.UNCUT:
        most = TURNED[1] if lanes == "turned" else TILE
        if lanes == "columns":
            least, most = COLUMNS
            while most > least and most * prod(n for n, _ in reduced_dims) > PIECE:
                most //= 2
        tiling += _tiles(extent, most)
        units = units // max(extent, 1) * tiling[1]
    if lanes == "whole":
        units //= extent
    if lanes == "turned":
        tiling += _tiles(kept_dims[-2][0], TURNED[0])
        units = units // kept_dims[-2][0] * tiling[3]
    constants = [o.word() for o in nest.operands if o.value is not None]
    constants += [n for n, _ in kept_dims] + [n for n, _ in reduced_dims] + tiling
    for k, operand in enumerate(nest.operands):
        if operand.strides is not None:
            size = operand.dtype.itemsize
            constants.append(operand.offset * size)
            constants += [dim[1][where[k]] * size for dim in kept_dims + reduced_dims]
    if positioned(nest.body):
        constants.append(nest.position_start)
        constants += [dim[1][-1] for dim in kept_dims + reduced_dims]
    work = int(points * cost(computed(nest.body))) if points < 1 << 50 else 1 << 50
    grain = max(1, PIECE * units // max(points, 1))
    return Step(
        key=form.key(),
        write=lambda: _written(form),
        operands=tuple(o.place for o in nest.operands if o.value is None),
        constants=tuple(constants),
        units=units,
        grain=grain,
        work=work,
        nest=nest,
    )


def _written(form: loops.Form) -> ir.Module:
    """The kernel of a form."""
    module = ir.Module()
    SCHEDULES[form.lanes](module.kernel(), form).write()
    return module


def _tiles(size: int, tile: int) -> tuple[int, int]:
    """The length and the number of the tiles that a dim is cut into; the last takes the rest."""
    return (tile, size // tile) if size >= 2 * tile else (size, 1)


def _role(k, operand, written, where, lanes, kept_dims, reduced_dims) -> loops.Role:
    """What the code of a nest knows of an operand."""
    if operand.strides is None:
        kind = "number" if operand.value is None else "known"
        return loops.Role(kind, operand.dtype, operand.number, True)
    lane_dim = reduced_dims[-1] if lanes == "reduced" else kept_dims[-1]
    stride = lane_dim[1][where[k]]
    along = str(stride) if stride in (0, 1, -1) else "s"
    if operand.part and stride == 2:
        along = operand.part
    if lanes == "turned" and along == "s" and kept_dims[-2][1][where[k]] == 1 and k not in written:
        along = "turned"
    still = all(dim[1][where[k]] == 0 for dim in reduced_dims)
    return loops.Role("out" if k in written else "in", operand.dtype, along, still)


def _schedule(nest, kept_dims, reduced_dims, where) -> str:
    """The schedule for these dims, the last of which may change places for it."""
    if reduced_dims:
        return "columns" if _lanes_along_kept(kept_dims, reduced_dims, nest) else "reduced"
    if len(kept_dims) == 1:
        return "kept"
    written = outputs(nest.body)
    read = [k for k in where if k not in written]

    def unit(d, operands):
        return any(kept_dims[d][1][where[k]] == 1 for k in operands)

    outer = range(len(kept_dims) - 1)
    extent, strides = kept_dims[-1]
    turned = [k for k in read if strides[where[k]] not in (-1, 0, 1)]
    for d in outer:
        if extent >= TURN_FROM <= kept_dims[d][0] and unit(d, turned):
            kept_dims.insert(-1, kept_dims.pop(d))
            return "turned"
    if extent < 4:
        # Too short for vectors: the lanes scatter what they read side by side elsewhere.
        longest = max(outer, key=lambda d: (unit(d, read), kept_dims[d][0]))
        kept_dims.append(kept_dims.pop(longest))
    return "kept"


def _ordered(nest: Nest) -> tuple[list[int], list[int]]:
    """The kept and the reduced dims, each from the outermost to the innermost in memory."""
    dims = range(len(nest.shape))
    kept = [d for d in dims if d not in nest.reduced]
    return _in_order(nest, kept), _in_order(nest, [d for d in dims if d in nest.reduced])


def _in_order(nest: Nest, dims: list[int]) -> list[int]:
    """Some dims from the outermost to the innermost in memory."""
    if len(dims) < 2:
        return dims
    written = outputs(nest.body)
    chosen: list = [
        o.strides for k, o in enumerate(nest.operands) if o.strides and k not in written
    ]
    full = [nest.operands[k].strides for k in written]
    first = chosen + full if nest.reduced else full + chosen
    # Dims that nothing distinguishes keep their order (sorted is stable).
    return sorted(dims, key=lambda d: [-s[d] for s in first])


def _collapse(shape, dims, columns):
    """[(size, strides per column)] with dims of size 1 dropped and neighbours joined."""
    out: list = []
    for d in dims:
        if shape[d] == 1:
            continue
        strides = tuple(0 if c is None else c[d] for c in columns)
        if out:
            size, outer = out[-1]
            if all(a == b * shape[d] for a, b in zip(outer, strides)):
                out[-1] = (size * shape[d], strides)
                continue
        out.append((shape[d], strides))
    return out


def _lanes_along_kept(kept, reduced, nest) -> bool:
    """Whether vector lanes hold neighbours of the innermost kept dim, or of the reduced one."""
    if not reduced:
        return True
    if not kept:
        return False
    kept_size, kept_strides = kept[-1]
    reduced_size, reduced_strides = reduced[-1]
    if kept_strides[0] == 1 and kept_size >= 8:
        return True
    if reduced_strides[0] == 1 and reduced_size >= 8:
        return False
    return kept_size > reduced_size


def folding(nest: Nest) -> tuple[list[int], tuple[int, ...]]:
    """The reduced dims that have elements to fold, from the outermost to the innermost, and the
    lengths of the loops over them.
    """
    dims = _in_order(nest, [d for d in sorted(nest.reduced) if nest.shape[d] != 1])
    columns: list = [o.strides for o in nest.operands if o.strides is not None]
    columns.append(nest.position_strides or None)
    return dims, tuple([n for n, _ in _collapse(nest.shape, dims, columns)]) or (1,)


def positioned(body) -> bool:
    """Whether a body reads where a point is."""
    return "position" in names(computed(body))


def _split(nest: Nest, temporary: int) -> tuple[list[Step], list[int]]:
    """Few long rows: every reducing pass as chunks into a temporary and a merge of the chunks.

    The cut depends on sizes alone, so the result does not depend on the number of threads.
    """
    kept, reduced = _ordered(nest)
    cut = max(reduced, key=lambda d: nest.shape[d])
    rest = prod(nest.shape[d] for d in reduced if d != cut)
    length = nest.shape[cut]
    chunk = max(1, min(length, CHUNK // rest))
    chunks, left = divmod(length, chunk)
    kept_shape = tuple(1 if d in nest.reduced else n for d, n in enumerate(nest.shape))
    launches, temporaries = [], []
    states: dict[Expression, Expression] = {}
    operands = list(nest.operands)
    count = 0
    for statement in nest.body:
        if isinstance(statement, Store):
            continue
        lifted = tuple(scalar.substitute(e, states) for e in statement.lift)
        keep = tuple((k, scalar.substitute(e, states)) for k, e in statement.keep)
        narrow = tuple(scalar.substitute(e, states) for e in statement.narrow)
        folded = statement._replace(lift=lifted, keep=keep, narrow=narrow)
        partial = []
        for e in lifted:
            temporaries.append(e.dtype.itemsize * prod(kept_shape) * (chunks + (left > 0)))
            partial.append((temporary + len(temporaries) - 1, e.dtype))
        pieces = [(0, chunk, chunks)] + ([(chunks, left, 1)] if left else [])
        for first, size, times in pieces:
            launches += _chunk_step(nest, operands, folded, partial, cut,
                                    first, size, times, chunk, kept_shape)
        # Merge the chunks' states, one more temporary holding the state of each row.
        total = chunks + (left > 0)
        merged = []
        for e in lifted:
            temporaries.append(e.dtype.itemsize * prod(kept_shape))
            merged.append((temporary + len(temporaries) - 1, e.dtype))
        launches.append(_merge_step(statement, partial, merged, total, kept_shape))
        strides = _packed(kept_shape, nest.reduced)
        for index, d in merged:
            states[scalar.accumulator(count, d)] = scalar.argument(len(operands), d)
            operands.append(Operand(index, d, strides))
            count += 1
    for statement in nest.body:
        if isinstance(statement, Store):
            value = scalar.substitute(statement.value, states)
            launches += _store_step(nest, operands, statement, value, kept_shape)
    return launches, temporaries


def _packed(kept_shape, reduced) -> tuple[int, ...]:
    """Row-order strides over the kept dims, zero along the reduced ones."""
    strides, step = [], 1
    for d in reversed(range(len(kept_shape))):
        strides.append(0 if d in reduced else step)
        step *= kept_shape[d]
    return tuple(reversed(strides))


def compact(operands, body):
    """Only the operands that a body uses, renumbered."""
    used = []
    for s in body:
        expressions = s.lift if isinstance(s, Reduce) else (s.value,)
        for e in scalar.arguments(*expressions):
            if e.value not in used:
                used.append(e.value)
    order = sorted(used) + outputs(body)
    new = {old: k for k, old in enumerate(order)}
    kept = tuple(operands[k] for k in order)

    def rename(e):
        moved = [a for a in scalar.arguments(e) if new[a.value] != a.value]
        leaves = {a: scalar.argument(new[a.value], a.dtype) for a in moved}
        return scalar.substitute(e, leaves) if leaves else e

    renamed = tuple(
        s._replace(lift=tuple(map(rename, s.lift)),
                   keep=tuple((new[k], rename(e)) for k, e in s.keep),
                   narrow=tuple(map(rename, s.narrow)))
        if isinstance(s, Reduce)
        else Store(new[s.operand], rename(s.value), s.kept)
        for s in body
    )
    return kept, renamed


def _chunk_step(nest, operands, folded, partial, cut, first, size, times, chunk, kept_shape):
    """Reduce `times` chunks of `size` along dim `cut`, from chunk number `first` on."""
    rank = len(nest.shape)
    rows = prod(kept_shape)

    def widen(strides, by):
        return strides + (strides[cut] * by,)

    shape = tuple(size if d == cut else n for d, n in enumerate(nest.shape)) + (times,)
    moved = [
        o if o.strides is None
        else o._replace(
            strides=widen(o.strides, chunk), offset=o.offset + first * chunk * o.strides[cut]
        )
        for o in operands
    ]
    packed = _packed(kept_shape, nest.reduced)
    body: list = [folded]
    for k, (index, d) in enumerate(partial):
        moved.append(Operand(index, d, packed + (rows,), first * rows))
        body.append(Store(len(moved) - 1, scalar.accumulator(k, d), True))
    used, body = compact(moved, body)
    position = nest.position_strides
    start = nest.position_start + (first * chunk * position[cut] if position else 0)
    inner = Nest(shape, frozenset(nest.reduced), used, tuple(body),
                 widen(position, chunk) if position else (), start)
    assert len(shape) == rank + 1
    return [launch(inner)]


def _merge_step(statement, partial, merged, total, kept_shape) -> Step:
    rows = prod(kept_shape)
    operands = [Operand(index, d, (1, rows)) for index, d in partial]
    lift = tuple(scalar.argument(k, d) for k, (_, d) in enumerate(partial))
    body: list = [Reduce(lift, statement.merge, statement.start)]
    for k, (index, d) in enumerate(merged):
        operands.append(Operand(index, d, (1, 0)))
        body.append(Store(len(operands) - 1, scalar.accumulator(k, d), True))
    return launch(Nest((rows, total), frozenset({1}), tuple(operands), tuple(body)))


def _store_step(nest, operands, statement, value, kept_shape):
    shape = kept_shape if statement.kept else nest.shape
    used, body = compact(operands, (Store(statement.operand, value, False),))
    if 0 in shape:
        return []
    return [launch(Nest(shape, frozenset(), used, body, in_place=nest.in_place))]
