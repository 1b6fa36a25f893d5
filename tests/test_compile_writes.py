"""Control flow in compiled functions that writes to what was there before."""

from compiling import leaf, plays, same, with_gradients

import cresset
from cresset import nn


def outside(function, buffers, calls, looks=False):
    """Check a function that writes to buffers in its control flow, and that programs do so."""
    found = []
    compiled = cresset.compile(function)
    for run in (compiled, function):
        for buffer in buffers:
            buffer.zero_()
        cresset.manual_seed(0)
        found.append([[run(*args), *(b.clone() for b in buffers)] for args in calls])
    assert same(*found)
    assert plays(compiled) == len(calls) - 2, compiled.explain()
    assert ("is seen" in compiled.explain()) == looks


def test_turns_and_branches_that_write_to_buffers():
    count, total = cresset.zeros(()), cresset.zeros(3)

    def branches(x):
        def wide():
            total.add_(x)
            return x * count

        return cresset.cond(x.sum() > 0, wide, lambda: x - count.add_(1) * total)

    def scanned(x):
        def turn(c, row):
            count.add_(1)
            total[1:].add_(row)
            return c + total * count, row * count

        carry, ys = cresset.scan(turn, x, cresset.stack([x[1:], x[:2], x[1:]]))
        return carry + ys.sum()

    def loop(x):
        def turn(y):
            count.add_(1)
            return (y * 0.5 + cresset.cond(count > 4, lambda: total.add_(y) * 0, lambda: y * 0),)

        return cresset.while_loop(lambda y: y.abs().sum() > 1, turn, (x,))[0]

    calls = [(cresset.tensor([a, 1.0, 2.0]),) for a in (1.0, -5.0, 3.0, -9.0, -4.0, 0.0)]
    for function in (branches, scanned, loop):
        outside(function, [count, total], calls)


def test_a_flag_that_is_written_to():
    going = cresset.zeros((), dtype=cresset.bool)

    def loop(x):
        def turn(n, y):
            going.copy_(n < 3)
            return n + 1, y * 2

        going.fill_(True)
        return cresset.while_loop(lambda n, y: going, turn, (cresset.tensor(0), x))[1]

    outside(loop, [going], [(cresset.ones(2) * k,) for k in range(5)])


def test_normalization_in_training_within_a_scan():
    """Its running statistics are written to in every turn; gradients do not read them."""
    norm = nn.BatchNorm1d(3)
    w = leaf(1.0, 2.0, 3.0)
    buffers = [norm.running_mean, norm.running_var, norm.num_batches_tracked]
    step = with_gradients(
        lambda x: cresset.scan(lambda c, row: (norm(c * w + row), c.sum()), x[0], x), (w,)
    )

    def function(x):
        (carry, ys), (g,) = step(x)
        return cresset.cat([carry.reshape(-1), ys, g])

    outside(function, buffers, [(cresset.randn(4, 5, 3),) for _ in range(5)])


def test_writes_that_gradients_would_see():
    """They are recorded as Python runs them, with its errors."""
    w, scale = leaf(2.0), cresset.ones(1)

    def read_later(x):
        def turn(c, row):
            scale.add_(1)
            return c * scale * w + row, None

        return cresset.scan(turn, x[0], x)[0]

    def into_history(x):
        total = cresset.zeros(1)

        def turn(c, row):
            total.add_(c * w)
            return c + row, None

        cresset.scan(turn, x[0], x)
        return total

    for function in (read_later, into_history):
        compiled = cresset.compile(with_gradients(function, (w,)))
        for _ in range(4):
            x, found = cresset.randn(3, 1), []
            for run in (compiled, with_gradients(function, (w,))):
                scale.fill_(1.0)
                try:
                    found.append(run(x))
                except RuntimeError as problem:
                    w.grad = None
                    found.append(str(problem)[:60])
            assert found[0] == found[1] if isinstance(found[1], str) else same(*found)


def test_verified_writes():
    count = cresset.zeros(())
    compiled = cresset.compile(
        lambda x: cresset.scan(lambda c, row: (c + row * count.add_(1), None), x[0], x)[0],
        verify=True,
    )
    for _ in range(4):
        compiled(cresset.randn(3, 2))
    assert count.item() == 12 and plays(compiled) == 2
