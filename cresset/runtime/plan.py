"""Plans: programs packed into the words that `launch` interprets."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from cresset.core.layout import Layout
from cresset.runtime.pool import SHARE_FROM
from cresset.runtime.program import STATUS, Program, Step
from cresset.runtime.rejections import rejected

RELEASE_FROM = 20_000  # ns of work from which other Python threads may run meanwhile

LETTERS = {"t": 0, "w": 1, "d": 2, "i": 3, "n": 4}
# A plan's words: these, the letters, the blocks to take (bytes, place in the value table), the
# layouts of the outputs, then the items: each is its length in words, and a step or a round.
HEAD = ("inputs", "outputs", "blocks", "items", "depth", "values", "widest", "shared", "released",
        "explain", "reject")
# A round's words: these, how far the flag moves in every turn of each level of rounds, then the
# items that are in it. The flag is a place in the value table and bytes behind it, the place -1
# where there is none.
ROUND = ("length", "round", "items", "turns", "wanted", "flag", "behind")
# A step's words: these, and of its parts, which are the step and its epilogue, how many operands
# and constants there are, the operands (a place in the value table, and what is added to what
# stands there: bytes at first, and in every turn of each level of rounds), and the constants.
STEP = ("length", "round", "number", "address", "units", "grain", "work", "parts", "shared",
        "checked")


class Bound(NamedTuple):
    """The `self` of a launcher: the plan's bytes, and what these point to."""

    content: bytes
    program: Program
    name: str
    reject: Callable


def pack(program: Program, addresses: Sequence[int], name: str = "program") -> Bound:
    """What a launcher of the program is bound to; `name` is what its launches are called.

    The `addresses` of kernels are those of the steps, each followed by that of its epilogue.
    Raises ValueError where the program contradicts itself.
    """
    outputs, inputs = len(program.outputs), len(program.inputs)
    temporaries = len(program.temporaries)
    status = outputs + inputs + temporaries
    kernels = sum(len(step.parts) for step in program.steps)
    if len(addresses) != kernels:
        raise ValueError(
            f"launch: {len(addresses)} kernels for {kernels} steps; need one for each"
        )
    for layout in program.outputs:
        if type(layout) is not Layout:
            raise TypeError(f"launch: an output's layout is a {type(layout).__name__}")
    items = items_of(program.steps)
    reject = partial(rejected, program.inputs)
    numbers = [layout.nbytes for layout in program.outputs]
    places = [*range(outputs), *range(outputs + inputs, status)]
    head = {
        "inputs": inputs,
        "outputs": outputs,
        "blocks": outputs + temporaries,
        "items": len(items),
        "depth": depth_of(items),
        "values": status + 1,
        "widest": max((width_of(step) for step in program.steps), default=0),
        "shared": any(map(is_shared, program.steps)),
        "released": work_of(items, program.steps) > RELEASE_FROM,
        "explain": 0 if program.explain is None else id(program.explain),
        "reject": id(reject),
    }
    plan = [int(head[name]) for name in HEAD]
    plan += [LETTERS[letter] for letter in program.inputs]
    for nbytes, place in zip([*numbers, *program.temporaries], places):
        plan += [nbytes, place]
    plan += [id(layout) for layout in program.outputs]
    left = iter(addresses)
    found = [[next(left) for _ in step.parts] for step in program.steps]
    pack_step = partial(_packed_step, program.steps, found, status, head["depth"])
    plan += _packed(items, pack_step, head["depth"], 0)
    # Of words of any sign and size their lowest bits are taken.
    content = bytes((ctypes.c_int64 * len(plan))(*plan))
    return Bound(content, program, name, reject)


def items_of(steps: Sequence[Step]) -> list:
    """The steps by place; a round of them as (round, the items that are in it).

    Raises ValueError where a round has more steps than there are, or than the one around it, none,
    or no turn.
    """

    def within(begin, end, opened):
        found: list = []
        place = begin
        while place < end:
            outer = opened if place == begin else 0
            if len(steps[place].rounds) == outer:
                found.append(place)
                place += 1
                continue
            round = steps[place].rounds[outer]
            after = place + round.steps
            if not place < after <= end or round.turns < 1:
                raise ValueError(
                    f"launch: step {place} of {len(steps)} cannot repeat {round.steps} steps "
                    f"{round.turns} times"
                )
            found.append((round, within(place, after, outer + 1)))
            place = after
        return found

    return within(0, len(steps), 0)


def depth_of(items: list) -> int:
    """How many rounds are in one another at most."""
    return max((1 + depth_of(one[1]) for one in items if type(one) is tuple), default=0)


def work_of(items: list, steps: Sequence[Step]) -> int:
    """Rough nanoseconds on one thread, at most; a turn counts one at least."""
    return sum(
        one[0].turns * max(work_of(one[1], steps), 1) if type(one) is tuple else steps[one].work
        for one in items
    )


def _packed(items: list, pack_step, depth: int, level: int) -> list[int]:
    """The words of items that are in so many of `depth` rounds."""
    found: list[int] = []
    for one in items:
        if type(one) is tuple:
            round, inside = one
            place, behind, *strides = round.flag or (-1, 0)
            words = [1, len(inside), round.turns, int(round.wanted), place, behind]
            words += _by_level(strides, depth, level)
            words += _packed(inside, pack_step, depth, level + 1)
        else:
            words = [0, *pack_step(one, level)]
        found += [len(words) + 1, *words]
    return found


def width_of(step: Step) -> int:
    """How many words the kernel of a step is given."""
    return sum(len(part.operands) + len(part.constants) + 1 for part in step.parts)


def _packed_step(steps, addresses, status, depth, number, level) -> list[int]:
    """The words of a step in so many of `depth` rounds; `status` is the place of the block."""
    step = steps[number]
    own, *of_epilogue = addresses[number]
    words = [number, own, step.units, step.grain, step.work, len(step.parts)]
    words += [int(is_shared(step)), int(STATUS in step.operands)]
    for k, part in enumerate(step.parts):
        constants = [*part.constants, *of_epilogue[k : k + 1]]
        operands = [status if place == STATUS else place for place in part.operands]
        moves = part.moves or ((0,),) * len(operands)
        if not all(0 <= place <= status for place in operands) or len(moves) != len(operands):
            raise ValueError(
                f"launch: a step has operands {part.operands}, which move by {part.moves}; the "
                f"value table has {status} values"
            )
        words += [len(operands), len(constants)]
        for place, (begin, *strides) in zip(operands, moves):
            words += [place, begin, *_by_level(strides, depth, level)]
        words += constants
    return words


def _by_level(strides, depth: int, level: int) -> list[int]:
    """Strides that go outwards from something in so many of `depth` rounds, from the outermost."""
    outwards = [*strides, *(0,) * level][:level]
    return [*outwards[::-1], *(0,) * (depth - level)]


def is_shared(step):
    return step.units > step.grain and step.work >= SHARE_FROM
