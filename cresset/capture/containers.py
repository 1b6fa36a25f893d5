"""Containers that a call is given, or made for its result.

What these hold is checked with the arguments. What a function does to those that it made a play
need not do, which builds the result as it was at the end. That a container was there before shows
in who else holds it.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from cresset.capture.reads import Reads

# Containers by identity: one, and the identities of what it holds.
Containers = dict[int, tuple[Any, list[int]]]


def forget_given(reads: Reads, containers: Containers) -> None:
    """Forget what was read of containers among the arguments, but of those known from elsewhere."""
    known = {id(value) for owner, value in reads.found.values() if id(owner) not in containers}
    reads.found = {
        key: pair for key, pair in reads.found.items()
        if id(pair[0]) not in containers or id(pair[0]) in known
    }


def forget_made(reads: Reads, containers: Containers, first: Any) -> None:
    """Forget what was read and changed of containers that nothing holds but each other.

    `first` is the one that holds all others, and is the caller's own.
    """
    notes = Counter(id(x) for pair in reads.found.values() for x in pair)
    notes.update(id(change.owner) for change in reads.changes)
    nobody = object()
    # What nobody else holds shows how many references counting takes by itself.
    pairs = {**containers, id(nobody): (nobody, [])}
    counts = {key: sys.getrefcount(x) for key, (x, _) in pairs.items()}
    others = {key: counts[key] - notes[key] - counts[id(nobody)] + 1 for key in containers}
    made = dict(containers)
    while True:
        held = Counter(part for _, parts in made.values() for part in parts)
        shared = [key for key in made if others[key] > held[key] and key != id(first)]
        if not shared:
            break
        for key in shared:
            del made[key]
    reads.changes = [c for c in reads.changes if id(c.owner) not in made]
    reads.found = {k: pair for k, pair in reads.found.items() if id(pair[0]) not in made}
