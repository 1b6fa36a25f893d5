"""What is fused: as many launches as are to be expected, the same bits."""

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


# --- numbers that have to fit their type ----------------------------------------------------------
functional = nn.functional
WITH_NUMBERS = [
    lambda x: functional.leaky_relu(x * 2, 0.1) + 1,
    lambda x: functional.elu(x * 2) + 1,
    lambda x: functional.softplus(x * 2) + 1,
    lambda x: functional.hardtanh(x * 2, -0.5, 0.5) + 1,
    lambda x: functional.huber_loss(x * 2, x, delta=0.7) + 1,
    lambda x: (x * 2).clamp(-1.5, 0.5) + 1,
    lambda x: cresset.where(x > 0, x, 0.5) * 2,
    lambda x: (x.abs() * 2).pow(2.5) + 1,
    lambda x: cresset.add(x * 2, x, alpha=0.5) + 1,
    lambda x: cresset.addcmul(x * 2, x, x, value=0.5) + 1,
    lambda x: ((x * 100).long() // 7 + 1) * 2,
    lambda x: ((x * 100).long() % 7 + 1).clamp_min(3) * 2,
]


@pytest.mark.parametrize("function", WITH_NUMBERS)
def test_known_numbers_are_not_checked_again(function):
    assert launches(function, (50, 64)) == 1


def test_numbers_that_change_are_checked():
    compiled = cresset.compile(lambda x, least: (x * 2).clamp_min(least) + 1)
    x = cresset.tensor([0.0, 1.0])
    found = [compiled(x, least).tolist() for least in (0.5, 0.75, 1.0, 3.0)]
    assert found == [[1.5, 3], [1.75, 3], [2, 3], [4, 4]]
    with pytest.raises(RuntimeError, match="^clamp_min: value cannot be converted to type float"):
        compiled(x, 1e300)
    assert compiled(x, 0.25).tolist() == [1.25, 3]


def test_divisors_that_change_are_checked():
    compiled = cresset.compile(lambda x, y: (x * 2) // y + 1)
    x = cresset.tensor([4, 5])
    for _ in range(4):
        assert compiled(x, cresset.tensor([1, 2])).tolist() == [9, 6]
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        compiled(x, cresset.tensor([1, 0]))


def test_a_sum_in_either_order_is_one_kernel():
    """What is put in for an operand comes first; products likewise."""

    def keys_of(function):
        x, y = cresset.randn(2, 3000)
        compiled = cresset.compile(function)
        for _ in range(3):
            compiled(x, y)
        (part,) = compiled._variants[0].replay.segments
        return [step.key for step in part.program.steps]

    for one, other in [
        (lambda x, y: x + (y - 3).exp(), lambda x, y: (y - 3).exp() + x),
        (lambda x, y: x * (y - 3).exp(), lambda x, y: (y - 3).exp() * x),
    ]:
        assert keys_of(one) == keys_of(other)
        assert len(keys_of(one)) == 1
