"""Loop fusion: nests of a compiled program that are done as one, and those that must not be."""

import pytest
from compiling import plays

import cresset


def compiled(function, *inputs, calls=4):
    """The compiled function after some calls, each of which gave the function's bits."""
    own = cresset.compile(function)
    for _ in range(calls):
        given, expected = ([x.clone() for x in inputs] for _ in range(2))
        results = [own(*given), function(*expected)]
        first, second = (r if isinstance(r, tuple) else (r,) for r in results)
        for a, b in zip((*first, *given), (*second, *expected), strict=True):
            assert a.dtype is b.dtype and a.shape == b.shape
            assert a.tolist() == b.tolist()
    assert plays(own)
    return own


def launches(own):
    """How many launches its one recording takes."""
    (variant,) = own._variants
    return sum(len(part.program.steps) for part in variant.replay.segments)


def peak(own):
    return max(part.peak for part in own._variants[0].replay.segments)


X = cresset.randn(64, 100, generator=cresset.Generator().manual_seed(0))
Y = cresset.randn(100, generator=cresset.Generator().manual_seed(1))


@pytest.mark.parametrize("function, count", [
    (lambda x, y: (x * 2 + y).relu(), 1),
    (lambda x, y: (x.reshape(-1) * 2).reshape(32, 200).sigmoid(), 1),
    (lambda x, y: (x.t() + 1).exp().t() * x, 1),
    (lambda x, y: (x * y).sum(1), 1),
    (lambda x, y: (x * y).sum(0), 1),
    (lambda x, y: (x - 1).abs().amax(1) * 3 + 1, 1),
    (lambda x, y: x - x.mean(1, keepdim=True), 1),
    (lambda x, y: (x * 0.5 + y).softmax(1), 1),
    (lambda x, y: cresset.nn.functional.layer_norm(x + y, (100,)), 1),
    (lambda x, y: (x.double() * y.half().float()).bfloat16(), 2),
    (lambda x, y: (x > 0) & (y < 1), 2),
    (lambda x, y: cresset.cat([x * 2, x * 3]), 3),
    (lambda x, y: (x * 2, x * 2 + 1), 1),
])
def test_chains_become_one_launch(function, count):
    assert launches(compiled(function, X, Y)) <= count


@pytest.mark.parametrize("dtype", [cresset.float16, cresset.bfloat16])
def test_small_floats_are_rounded_between_operations(dtype):
    x, y = X.to(dtype), Y.to(dtype)
    own = compiled(lambda x, y: ((x * y * y).exp() - x, (x * y + y).sum(0)), x, y)
    assert launches(own) < 6


def test_what_nobody_reads_is_not_written():
    own = compiled(lambda x: (x * 2).exp().sin().cos(), cresset.randn(1000))
    assert launches(own) == 1
    assert peak(own) == 0


def test_what_nobody_needs_is_not_computed():
    def function(x):
        x.exp().sum()
        return x + 1

    assert launches(compiled(function, cresset.randn(10))) == 1


def test_what_is_needed_at_other_points_is_in_memory_first():
    def function(x):
        doubled = x * 2
        return doubled + doubled.t() + doubled.flip(0), doubled[1:] - doubled[:-1]

    compiled(function, cresset.randn(50, 50))


def test_writes_in_place_happen_in_their_order():
    def function(x):
        before = x * 3
        x.add_(1)
        after = x * 5
        x.mul_(before)
        return before + after, x.sum(), x + 0

    compiled(function, cresset.randn(37))
    compiled(function, cresset.randn(3, 129))


def test_writes_through_other_views():
    def function(x):
        y = x + 1
        y.t().mul_(2)
        y[0].add_(y[1])
        y.view(-1)[::2].zero_()
        z = y * 2
        y[:, 1:].copy_(z[:, :-1])
        return y, z

    compiled(function, cresset.randn(20, 20))


def test_a_fold_of_what_is_overwritten_later():
    def function(x):
        total = x.sum(1)
        x.mul_(2)
        again = (x * 3).sum(1)
        x.zero_()
        return total, again

    compiled(function, cresset.randn(9, 70))


def test_running_statistics_follow_the_fold():
    def function(x, running):
        mean = x.mean(0)
        running.mul_(0.9).add_(mean, alpha=0.1)
        return x - mean

    compiled(function, cresset.randn(40, 70), cresset.zeros(70))
    compiled(function, cresset.randn(40, 1029), cresset.zeros(1029))


def test_numbers_that_compare_equal_stay_apart():
    compiled(lambda x: (1 / (x * 0.0), 1 / (x * -0.0), x + 1, x + 1.0), cresset.ones(5))


def test_large_work_stays_shared():
    """A whole sum of a million costly values is not pulled into one thread's fold."""
    own = compiled(lambda x: x.exp().sum(), cresset.randn(1000, 100), calls=3)
    steps = own._variants[0].replay.segments[0].program.steps
    assert any(step.units > 1 for step in steps)


def test_a_nest_of_another_order_does_not_disturb_a_fold():
    """Broadcast operands would change in which order the elements are added."""
    x, y = cresset.randn(33, 65), cresset.randn(33, 1)
    compiled(lambda x, y: ((x * y).sum(), (x + y).mean(), (x * y).sum((0, 1))), x, y)


def test_blocks_are_no_longer_than_columns_are_neighbours():
    """What is broadcast to rows of columns cuts them into short ones."""
    x, y = cresset.randn(20, 4, 16), cresset.randn(4, 1)
    assert launches(compiled(lambda x, y: x.sum(0) + y, x, y)) == 1
    assert launches(compiled(lambda x, y: (x * y).sum(0), x, y)) == 1


@pytest.mark.parametrize("function", [
    lambda x, y: x.softmax(1) * y,
    lambda x, y: (x.softmax(1) * y, x.softmax(1)),
    lambda x, y: x.masked_fill(x > 1, -1e9).softmax(1).triu(),
    lambda x, y: x.softmax(0) * y + 1,
    lambda x, y: x.log_softmax(1) * y,
    lambda x, y: (x.log_softmax(1) * y).sum(1),
    lambda x, y: x.log_softmax(1).exp(),
    lambda x, y: x.logsumexp(1, keepdim=True) - x,
    lambda x, y: cresset.nn.functional.gelu(cresset.nn.functional.layer_norm(x, (100,))).sum(1),
    lambda x, y: (x / x.norm(dim=1, keepdim=True)).triu(),
    lambda x, y: (x.sum(1) + x.var(1), (x * y).double().sum(1)),
    lambda x, y: (x.argmax(0), (x - x.mean(0)).tril()),
    lambda x, y: (x.softmax(1).bfloat16() * 2, x.softmax(1)),
])
@pytest.mark.parametrize("shape", [(64, 100), (3, 5), (5, 1000)], ids=str)
def test_what_follows_a_fold_is_one_launch_with_it(function, shape):
    """Costly values are computed once, and kept where a result will be."""
    x, y = cresset.randn(shape), cresset.randn(shape[1])
    if "layer_norm" in function.__code__.co_names and shape[1] != 100:
        return
    assert launches(compiled(function, x, y)) <= 2


@pytest.mark.parametrize("function, count", [
    (lambda x, y: (x - x.mean()) * (x.mean() / 3 + 1), 1),
    (lambda x, y: ((x - 1).pow(2) * y).sum(1) * (y.sum() / 7), 2),
    (lambda x, y: x * (x[:, :1] * 2 + 1) - (x[:, 1:2] - 3), 1),
    (lambda x, y: (x * (x[:, :1] / 3)).sum(1), 1),
    (lambda x, y: (x * (y / 3), y / 3), 2),
])
def test_what_is_made_once_for_several_points_is_made_there(function, count):
    """Where it costs little, and nobody else reads it."""
    assert launches(compiled(function, X, Y)) <= count


@pytest.mark.parametrize("shape", [(8, 16, 5, 5), (4, 3, 70, 70), (64, 33, 1, 1), (2, 300, 2, 2)])
def test_batch_normalisation_moves_its_statistics_in_the_same_launch(shape):
    def function(x, mean, variance, weight):
        normalized = cresset.nn.functional.batch_norm(x, mean, variance, weight, training=True)
        return normalized.relu(), variance * 2

    vector = cresset.rand(shape[1])
    own = compiled(function, cresset.randn(shape), vector, vector + 1, vector)
    assert launches(own) == 1


def test_an_optimizer_written_by_hand_is_one_launch():
    def function(parameter, gradient, first, second):
        first.mul_(0.9).add_(gradient, alpha=0.1)
        second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        parameter.sub_(0.01 * (first / 0.1) / ((second / 0.001).sqrt() + 1e-8))
        return parameter.sum()

    assert launches(compiled(function, X, X * 2, X * 3, X.abs())) <= 2


def test_halves_of_what_is_the_same_in_all_rows():
    """What is known of a column is stored as it is known."""
    def function(x, y):
        scale = (x.abs().mean(0, keepdim=True) + 1).sqrt()
        z = ((x - x.mean(0, keepdim=True)) / scale * y[:1]).half()
        return z, z.double().abs(), (x.sum(0, keepdim=True) * 2).expand(3, -1).half()

    compiled(function, cresset.randn(1, 70), cresset.randn(70))
    compiled(function, cresset.randn(9, 70), cresset.randn(70))
