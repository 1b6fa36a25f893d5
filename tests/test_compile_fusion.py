"""Folds over the same rows in one launch: as many launches as are to be expected, the same bits."""

import pytest
from compiling import plays, same

import cresset
from cresset import nn

SHAPES = [(50, 64), (3, 5000), (1, 300000), (1000, 3), (1, 1), (2, 9, 70)]
norm = nn.LayerNorm(64)


def launches(function, shape):
    """Check that a compiled function has the bits of immediate mode; what its programs launch."""
    compiled = cresset.compile(function)
    with cresset.no_grad():
        for _ in range(4):
            x = cresset.randn(shape)
            assert same(compiled(x), function(x))
    assert plays(compiled) == 2
    return sum(len(part.program.steps) for part in compiled._variants[0].replay.segments)


def moments(x):
    return x.sum(-1), (x * x).sum(-1), x.amax(-1)


def spread(x):
    y = x * 0.5
    return y.mean(-1), y.var(-1)


def central(x):
    off = x - x.mean(-1, keepdim=True)
    return (off * off).mean(-1), (off * off * off).mean(-1), off


def normalized(x):
    y = norm(x)
    return y, y.sum(-1), (y * y).amax(-1)


def columns(x):
    return x.sum(0), (x * x).sum(0), x.amin(0)


def loss_and_accuracy(x):
    right = x.argmax(-1) == 2
    return x.logsumexp(-1).mean(), right.float().mean()


def of_halves(x):
    half = x.bfloat16()
    return half.sum(-1), (half + 1).amax(-1), half.float().mean(-1)


def of_integers(x):
    whole = (x * 10).int()
    return whole.sum(-1), whole.amin(-1), whole.argmax(-1)


def of_what_is_left(x):
    """Folds of folds, and of the other dim: these are launches of their own."""
    rows = x.sum(-1)
    return rows, rows.sum(), x.sum(0), rows.amax()


@pytest.mark.parametrize("function", [
    moments, spread, central, normalized, columns, loss_and_accuracy, of_halves, of_integers,
    of_what_is_left,
])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_folds_give_the_same_bits(function, shape):
    if function is normalized and shape[-1] != 64:
        shape = (*shape[:-1], 64)
    launches(function, shape)


@pytest.mark.parametrize("function, shape, count", [
    (moments, (50, 64), 1), (moments, (3, 5000), 1), (spread, (50, 64), 1), (central, (50, 64), 1),
    (normalized, (50, 64), 1), (columns, (50, 64), 1), (of_what_is_left, (50, 64), 3),
])
def test_folds_over_the_same_rows_are_one_launch(function, shape, count):
    assert launches(function, shape) == count


def test_what_is_overwritten_after_a_fold_read_it():
    def function(x):
        y = x * 2
        total = y.sum(-1, keepdim=True)
        y.add_(total)
        again = y.sum(-1)
        y.mul_(2)
        return total, again, y.amax(-1), y

    for shape in SHAPES:
        launches(function, shape)


def test_a_fold_that_is_not_used():
    def function(x):
        rows = x.sum(-1)
        rows.mul_(2)
        return (x * x).sum(-1), x.amax(-1)

    assert launches(function, (50, 64)) == 1
