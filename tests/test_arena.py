"""Plans of temporaries: nothing that lives at one time overlaps, and little room is wasted."""

import random
from itertools import combinations

import pytest

from cresset.compiler.programs.arena import ALIGNMENT, Temporary, aligned, plan
from cresset.runtime.heap import block_bytes


def some(seed):
    """Temporaries of a program of some launches, and its outputs."""
    choose = random.Random(seed)
    launches = choose.randint(1, 40)

    def temporary(k):
        first = choose.randrange(launches)
        last = min(launches - 1, first + choose.choice([0, 1, 3, 20]))
        return Temporary(choose.choice([1, 64, 100, 4096, 5000, 1 << 16]), first, last, k)

    wanted = [temporary(k) for k in range(choose.randint(0, 40))]
    outputs = [(choose.choice([8, 256, 6000, 1 << 15]), choose.randrange(launches))
               for _ in range(choose.randint(0, 6))]
    return wanted, outputs


@pytest.mark.parametrize("alone", [True, False])
def test_what_lives_at_one_time_does_not_overlap(alone):
    for seed in range(300):
        wanted, outputs = some(seed)
        found = plan(wanted, outputs, alone)
        rooms = [aligned(nbytes) for nbytes, _ in outputs] + list(found.blocks)
        assert len(found.blocks) <= 1 + alone
        for t in wanted:
            room, at = found.places[t.value]
            assert at % ALIGNMENT == 0
            assert at + t.nbytes <= rooms[room]
            if room < len(outputs):
                assert alone
                assert t.last < outputs[room][1]
        for a, b in combinations(wanted, 2):
            if a.first <= b.last and b.first <= a.last:
                (own, at), (other, there) = found.places[a.value], found.places[b.value]
                assert own != other or at + a.nbytes <= there or there + b.nbytes <= at


def test_rooms_are_used_before_the_block():
    """What dies before an output is made lies there; what lives as long as can be comes first."""
    wanted = [Temporary(8192, *life, value) for value, life in
              enumerate([(0, 1), (1, 18), (15, 17), (16, 18), (18, 19)])]
    found = plan(wanted, [(16384, 17), (16384, 19)], True)
    assert found.blocks == (8192,)
    assert plan(wanted, [(16384, 17), (16384, 19)], False).blocks == (24576,)


def test_a_block_is_cut_where_the_allocator_would_waste_much():
    sizes = [1 << 25, 1 << 22, 1 << 19]
    wanted = [Temporary(size, 0, 0, size) for size in sizes]
    found = plan(wanted, [], True)
    assert len(found.blocks) == 2
    assert sum(found.blocks) == sum(sizes)
    assert found.taken() <= 0.95 * block_bytes(sum(sizes))
    assert plan(wanted, [], False).blocks == (sum(sizes),)
