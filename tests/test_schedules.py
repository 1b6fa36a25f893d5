"""The schedules of loop nests, at the sizes where each of them begins, ends and changes."""

import numpy as np
import pytest

import cresset
from cresset.compiler.inspection.show import show
from cresset.kernels import nest
from cresset.kernels.columns import COLUMNS
from cresset.kernels.turned import SIDE

SIDES = (1, 3, 4, 8, 15, 16, 17, 33, SIDE - 1, SIDE, SIDE + 1, 2 * SIDE + 5)
TYPES = ("float32", "float64", "float16", "int64", "int32", "int16", "int8", "bool", "complex64")


def numbers(*shape, dtype="float32"):
    """Small whole numbers, the same for the same shape."""
    made = np.random.default_rng(len(shape)).integers(-50, 50, shape)
    return (made > 0 if dtype == "bool" else made).astype(dtype)


def schedules(function, *arguments):
    """The schedules of the nests that a program runs."""
    lines = [text.splitlines()[0] for text in show(function, *arguments, stages=("loops",)).loops]
    return [line.split("lanes=")[1].split()[0] for line in lines]


@pytest.mark.parametrize("dtype", TYPES)
def test_transposed_copies(dtype):
    for rows in SIDES:
        for columns in SIDES:
            a = numbers(rows, columns, dtype=dtype)
            got = cresset.from_numpy(a).t().contiguous().numpy()
            assert np.array_equal(got, a.T), (rows, columns)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8"])
def test_transposed_operands(dtype):
    for rows, columns in ((16, 16), (17, 40), (SIDE, SIDE + 1), (200, 130), (40, 1100)):
        a, b = numbers(rows, columns, dtype=dtype), numbers(columns, rows, dtype=dtype)
        x, y = cresset.from_numpy(a), cresset.from_numpy(b)
        assert np.array_equal((x + y.t()).numpy(), a + b.T)
        assert np.array_equal((x + y.t()).double().t().contiguous().numpy(), (a + b.T).T)
        # In place, nothing may be added twice where tiles and vectors overlap.
        x = cresset.from_numpy(a.copy())
        assert np.array_equal(x.add_(y.t()).numpy(), a + b.T)


def test_dims_in_any_order():
    a = numbers(5, 20, 33, 18)
    x = cresset.from_numpy(a)
    for order in ((0, 2, 3, 1), (0, 3, 1, 2), (3, 2, 1, 0), (1, 0, 3, 2), (2, 3, 0, 1)):
        got = x.permute(order)
        assert np.array_equal(got.contiguous().numpy(), a.transpose(order))
        into = cresset.zeros(a.shape).permute(order)
        assert np.array_equal(into.copy_(got.contiguous()).numpy(), a.transpose(order))
    for order in ((0, 2, 1), (1, 2, 0), (2, 1, 0)):
        b = numbers(7, 50, 3).transpose(order)
        assert np.array_equal((cresset.from_numpy(numbers(7, 50, 3)).permute(order) + 1).numpy(),
                              b + 1)


def test_dims_turned_round():
    for size in (1, 7, 8, 31, 32, 33, 100):
        a = numbers(3, size)
        x = cresset.from_numpy(a)
        for dims in ((0,), (1,), (0, 1)):
            assert np.array_equal(x.flip(dims).numpy(), np.flip(a, dims))


def test_schedules_are_chosen_by_where_neighbours_lie():
    x, y = cresset.zeros(100, 200), cresset.zeros(200, 100)
    assert schedules(lambda x: x * 2, x) == ["kept"]
    assert schedules(lambda x, y: x + y.t(), x, y) == ["turned"]
    assert schedules(lambda x: x.sum(1), x) == ["reduced"]
    assert schedules(lambda x: x.sum(0), x) == ["columns"]
    assert schedules(lambda x: x.softmax(0), x) == ["columns"]


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 8, 50])
@pytest.mark.parametrize("columns", [8, 31, 32, 33, 200, COLUMNS, COLUMNS + 1, 2 * COLUMNS + 77])
def test_columns(rows, columns):
    a = numbers(rows, columns)
    x = cresset.from_numpy(a)
    assert np.array_equal(x.sum(0).numpy(), a.sum(0))
    assert np.array_equal(x.amax(0).numpy(), a.max(0))
    assert np.array_equal(x.argmax(0).numpy(), a.argmax(0))
    assert np.array_equal((x > 45).any(0).numpy(), (a > 45).any(0))
    e = np.exp(a.astype("f8") - a.max(0))
    np.testing.assert_allclose(x.softmax(0).numpy(), e / e.sum(0), 1e-6, 1e-37)
    np.testing.assert_allclose(x.var(0, correction=0).numpy(), a.astype("f8").var(0), 1e-6)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 15, 16, 17, 31, 32, 33, 1000])
def test_rows(size):
    a = numbers(6, size) / 8
    x = cresset.from_numpy(a.astype("f4"))
    e = np.exp(a - a.max(1, keepdims=True))
    np.testing.assert_allclose(x.softmax(1).numpy(), e / e.sum(1, keepdims=True), 1e-6)
    np.testing.assert_allclose(x.log_softmax(1).numpy(), np.log(e / e.sum(1, keepdims=True)),
                               1e-5, 1e-6)
    assert np.array_equal(x.argmin(1).numpy(), a.argmin(1))
    assert np.array_equal(x.sum(1).numpy(), a.sum(1))


def test_values_kept_by_few_long_rows():
    """Rows that are cut into chunks: what the fold left in the result is what the store reads."""
    a = np.random.default_rng(0).standard_normal((2, 300_001)).astype("f4")
    e = np.exp(a.astype("f8") - a.max(1, keepdims=True))
    np.testing.assert_allclose(cresset.from_numpy(a).softmax(1).numpy(),
                               e / e.sum(1, keepdims=True), 1e-6)


def test_softmax_computes_each_exponential_once():
    x = cresset.zeros(4, 100)
    for dim in (0, 1):
        (listing,) = show(lambda x: x.softmax(dim), x, stages=("loops",)).loops  # noqa: B023
        assert listing.count("exp(") == 1
        assert "keep" in listing


def test_positions_are_short_where_they_fit():
    (listing,) = show(lambda x: x.argmax(1), cresset.zeros(4, 100), stages=("loops",)).loops
    assert "position() : i32" in listing
    assert cresset.zeros(4, 100).argmax(1).dtype is cresset.int64


@pytest.mark.parametrize("dtype", TYPES)
def test_large_results_go_past_the_caches(dtype, monkeypatch):
    """Wherever they lie: only what is aligned can. Sizes are ones that no other test plans."""
    monkeypatch.setattr(nest, "PAST_CACHES", 0)
    for size in (1, 7, 19, 97, 131, 1021, 20_011):
        a = numbers(size, 3, dtype=dtype)
        x = cresset.from_numpy(a)
        assert np.array_equal((x + x).numpy(), a + a)
        for offset in (0, 1, 2):
            room = cresset.zeros(3 * size + 2 + offset, dtype=x.dtype)
            target = room[offset : offset + 3 * size].view(size, 3)
            cresset.add(x, x, out=target)
            assert np.array_equal(target.numpy(), a + a)
            assert not room[:offset].any() and not room[offset + 3 * size :].any()
            assert np.array_equal(target.copy_(x).numpy(), a)
            assert np.array_equal(target.clone().numpy(), a)
        wide = cresset.from_numpy(a).unsqueeze(1).expand(size, 4, 3)
        assert np.array_equal((wide + 0).numpy(), np.repeat(a[:, None], 4, 1) + 0)
        b = numbers(size, 35, dtype=dtype)
        assert np.array_equal(cresset.from_numpy(b).t().contiguous().numpy(), b.T)


def test_large_results_of_folds_go_past_the_caches(monkeypatch):
    """Rows begin anywhere; what is computed in double does not go past them here."""
    functional = cresset.nn.functional
    functions = [
        lambda x: x.log_softmax(-1), lambda x: x.log_softmax(0), lambda x: x.softmax(-1),
        lambda x: functional.layer_norm(x, x.shape[1:]), lambda x: (x - x.mean(0)).t(),
        lambda x: functional.batch_norm(x[None], None, None, training=True),
    ]
    for shape in ((19, 35), (37, 1027), (300, 131)):
        x = cresset.from_numpy(numbers(*shape)) / 7
        expected = [function(x.double()) for function in functions]
        with monkeypatch.context() as patched:
            patched.setattr(nest, "PAST_CACHES", 0)
            results = [function(x) for function in functions]
        for result, exact in zip(results, expected):
            cresset.testing.assert_close(result, exact.float())


def test_a_large_result_goes_past_the_caches():
    x = cresset.ones(1 << 22)
    assert "past caches" in str(show(lambda x: x + 1, x, stages=("loops",)))
    assert "past caches" not in str(show(lambda x: x + 1, x[: 1 << 20], stages=("loops",)))
    assert (x + 1).eq(2).all()


def test_sums_are_as_good_as_pairwise_ones():
    """The error of n numbers is below that of two additions and a rounding, for any n and order."""
    random = np.random.default_rng(0)
    for shape in ((1 << 20,), (1000, 1000), (7, 140_001)):
        a = (random.standard_normal(shape) * np.exp2(random.uniform(-20, 20, shape))).astype("f4")
        x = cresset.from_numpy(a)
        for dim in (None, 0, -1):
            exact, size = a.sum(dim, dtype="f8"), np.abs(a).sum(dim, dtype="f8")
            assert (np.abs(x.sum(dim).numpy() - exact) <= 3 * 2.0**-24 * size).all()


def test_a_sum_in_double_adds_in_double():
    a = np.array([1, 2.0**-30] * 64, "f4")
    assert cresset.from_numpy(a).sum(dtype=cresset.float64).item() == 64 + 64 * 2.0**-30


def test_results_do_not_depend_on_the_number_of_threads():
    x = cresset.rand(700, 900, generator=cresset.Generator().manual_seed(1))
    functions = (lambda: x.sum(), lambda: x.sum(0), lambda: x.softmax(0), lambda: x.softmax(1),
                 lambda: x.t().contiguous(), lambda: x.norm(), lambda: x.var(1))
    before = cresset.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            cresset.set_num_threads(threads)
            found.append([f().numpy() for f in functions])
    finally:
        cresset.set_num_threads(before)
    for other in found[1:]:
        for one, two in zip(found[0], other):
            assert np.array_equal(one, two)
