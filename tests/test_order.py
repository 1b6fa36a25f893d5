"""The order of launches: nothing passes what it has to do with, and no more lives at once."""

import random

from cresset.compiler.programs.loop_fusion import Launch
from cresset.compiler.programs.order import eased


def some(seed):
    """Launches that read and write some values, and the bytes of those that are temporaries."""
    choose = random.Random(seed)
    values = range(choose.randint(2, 12))

    def launch(k):
        reads = frozenset(choose.sample(values, choose.randint(0, min(3, len(values)))))
        writes = frozenset(choose.sample(values, choose.randint(1, 2)))
        return Launch(None, reads, writes, (k,), choose.random() < 0.1)

    launches = [launch(k) for k in range(choose.randint(1, 20))]
    return launches, {v: choose.choice([1, 10, 100]) for v in values if choose.random() < 0.8}


def peak(launches, nbytes):
    """The most bytes that live at one launch."""
    lives = {}
    for k, launch in enumerate(launches):
        for value in launch.reads | launch.writes:
            lives.setdefault(value, [k, k])[1] = k
    return max(
        sum(n for value, n in nbytes.items() if value in lives
            and lives[value][0] <= k <= lives[value][1])
        for k in range(len(launches))
    )


def test_what_meets_keeps_its_order():
    moved = 0
    for seed in range(500):
        launches, nbytes = some(seed)
        found = eased(launches, nbytes)
        assert sorted(x.entries for x in found) == sorted(x.entries for x in launches)
        place = {x.entries: k for k, x in enumerate(found)}
        for k, one in enumerate(launches):
            for other in launches[k + 1 :]:
                if one.pinned or other.pinned or one.meets(other):
                    assert place[one.entries] < place[other.entries]
        assert peak(found, nbytes) <= peak(launches, nbytes)
        moved += found != launches
    assert moved > 20


def test_what_lets_go_of_much_goes_first():
    """As where a gradient is multiplied by weights, and by what those were multiplied with."""
    grow = Launch(None, frozenset({0, 1}), frozenset({2}), (0,))
    shrink = Launch(None, frozenset({0, 3}), frozenset({4}), (1,))
    use = Launch(None, frozenset({2}), frozenset({5}), (2,))
    assert eased([grow, shrink, use], {0: 9, 2: 9, 3: 9}) == [shrink, grow, use]
