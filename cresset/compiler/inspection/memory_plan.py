"""Memory plans: what a play takes at its peak, and what that is."""

from __future__ import annotations

import os

from cresset.compiler.programs.segment import Segment
from cresset.compiler.replay import Replay
from cresset.runtime.heap import block_bytes

# Temporaries that a plan lists.
SHOWN = 8


def peak_of(replay: Replay) -> int:
    """The most bytes that a play has allocated beyond what was allocated before it.

    Gradients that it lets go of at first are less, then what each program makes is more, while it
    runs with its temporaries. What calls that are made anew take for themselves is not counted, nor
    the way back.
    """
    held, most = -replay.released, 0
    for part in replay.segments:
        if part is not replay.way_back:
            held += _made(part)
            most = max(most, held + sum(map(block_bytes, part.program.temporaries)))
    return most


def memory_plan(number: int, replay: Replay) -> list[str]:
    """The lines that show the plan of one recording."""
    released = f", after {replay.released:,} bytes of gradients are let go" * bool(replay.released)
    lines = [f"{number}. takes {peak_of(replay):,} bytes at its peak{released}"]
    for place, part in enumerate(replay.segments, start=1):
        made = sum(layout.nbytes for layout in part.program.outputs)
        alone = sum(nbytes for nbytes, _ in part.held)
        back = ", the way back" * (part is replay.way_back)
        lines.append(
            f"   program {place}{back}: makes {made:,} bytes; a block of {part.peak:,} bytes, of "
            f"which {alone:,} are in use at once:"
        )
        for nbytes, line in part.held[:SHOWN]:
            where = "" if line is None else f"  {os.path.basename(line[0])}:{line[1]}"
            lines.append(f"   {nbytes:>14,}{where}")
    return lines


def _made(part: Segment) -> int:
    """The bytes that what a program makes takes in memory."""
    return sum(block_bytes(memory.nbytes) for memory in part.outputs)
