"""Order: launches that have nothing to do with one another, in the order that takes less memory.

Of two that follow one another that goes first with which less lives at once: one that lets go of
much before one that makes much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cresset.compiler.programs.loop_fusion import Launch

# Places by which a launch moves forward at most.
MOST_PLACES = 8


def eased(launches: Sequence[Launch], nbytes: Mapping[int, int]) -> list[Launch]:
    """The launches in such an order; `nbytes` are those of the values that are temporaries."""
    order = list(launches)
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for k, launch in enumerate(order):
        for value in launch.reads | launch.writes:
            if value in nbytes:
                first.setdefault(value, k)
                last[value] = k

    def made_and_dropped(one: Launch, other: Launch, places: tuple[int, int]) -> tuple[int, int]:
        """The bytes that a launch of two makes, and those that it alone of them lets go of."""
        own = (one.reads | one.writes) & nbytes.keys()
        made = sum(nbytes[value] for value in own if first[value] in places)
        met = other.reads | other.writes
        return made, sum(nbytes[v] for v in own if last[v] in places and v not in met)

    for k in range(1, len(order)):
        for j in range(k, max(0, k - MOST_PLACES), -1):
            before, after = order[j - 1], order[j]
            if before.pinned or after.pinned or before.meets(after):
                break
            places = j - 1, j
            made, dropped = made_and_dropped(before, after, places)
            later_made, later_dropped = made_and_dropped(after, before, places)
            as_it_is = max(made, made - dropped + later_made)
            if max(later_made, later_made - later_dropped + made) >= as_it_is:
                break
            order[j - 1], order[j] = after, before
            for launch, other, place in ((after, before, j - 1), (before, after, j)):
                met = other.reads | other.writes
                for value in (launch.reads | launch.writes) & nbytes.keys():
                    if value not in met:
                        first[value] = place if first[value] in places else first[value]
                        last[value] = place if last[value] in places else last[value]
    return order
