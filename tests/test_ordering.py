"""Reductions, scans and orders where samples do not reach: zeros, NaN, ties, sizes, refusals."""

import numpy as np
import pytest

import cresset
from cresset import tensor

inf, nan = float("inf"), float("nan")


# --- counts ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("count, below",
                         [(1, 1), (9, 4), (70_003, 10), (300_000, 3000), (99, 9999)])
def test_counts_in_several_tables_and_pieces(count, below):
    places = np.random.default_rng(count).integers(0, below, count)
    for kind in (np.int64, np.int32, np.int16):
        found = cresset.bincount(cresset.from_numpy(places.astype(kind)))
        np.testing.assert_array_equal(found.numpy(), np.bincount(places))
    found = cresset.bincount(cresset.from_numpy(places)[::3], minlength=below + 5)
    np.testing.assert_array_equal(found.numpy(), np.bincount(places[::3], minlength=below + 5))


# --- derivatives at zero --------------------------------------------------------------------------
def hessian(function, values):
    """The second derivatives of a function of a vector to a number."""
    x = tensor(values, dtype=cresset.float64, requires_grad=True)
    (g,) = cresset.autograd.grad(function(x), x, create_graph=True)
    rows = [cresset.autograd.grad(part, x, retain_graph=True)[0] for part in g]
    return g.tolist(), [row.tolist() for row in rows]


def test_second_derivatives_of_prod_at_zeros():
    gradient, second = hessian(lambda x: x.prod(), [0.0, 3.0, 0.0, 2.0])
    assert gradient == [0, 0, 0, 0]
    assert second == [[0, 0, 6, 0], [0, 0, 0, 0], [6, 0, 0, 0], [0, 0, 0, 0]]
    gradient, second = hessian(lambda x: x.prod(), [2.0, 0.0, 5.0])
    assert gradient == [0, 10, 0]
    assert second == [[0, 5, 0], [5, 0, 2], [0, 2, 0]]


def test_second_derivatives_of_cumprod_at_zeros():
    weights = tensor([1.0, 2.0, 3.0, 4.0], dtype=cresset.float64)
    gradient, second = hessian(lambda x: (x.cumprod(0) * weights).sum(), [2.0, 0.0, 3.0, 0.0])
    assert gradient == [1, 22, 0, 0]
    assert second == [[0, 11, 0, 0], [11, 0, 6, 24], [0, 6, 0, 0], [0, 24, 0, 0]]


def test_third_derivatives_of_prod_at_zeros():
    x = cresset.zeros(3, dtype=cresset.float64, requires_grad=True)
    first = cresset.autograd.grad(x.prod(), x, create_graph=True)[0]
    second = cresset.autograd.grad(first[0], x, create_graph=True)[0]
    third = cresset.autograd.grad(second[1], x)[0]
    assert third.tolist() == [0, 0, 1]


# --- scans ----------------------------------------------------------------------------------------
def test_running_extremes_name_the_last_of_equals_and_keep_nan():
    values, indices = cresset.cummax(tensor([1.0, 3.0, 3.0, nan, 5.0, nan]), 0)
    assert np.array_equal(values.numpy(), [1, 3, 3, nan, nan, nan], equal_nan=True)
    assert indices.tolist() == [0, 1, 2, 3, 3, 5]
    values, indices = cresset.cummin(tensor([255, 3, 255], dtype=cresset.uint8), 0)
    assert values.tolist() == [255, 3, 3]
    assert indices.tolist() == [0, 1, 1]


@pytest.mark.parametrize("shape", [(3, 1000), (1000, 3), (40, 40), (2, 70, 33)])
def test_running_extremes_of_many_elements(shape):
    rng = np.random.default_rng(0)
    x = rng.integers(-50, 50, shape).astype("f4")
    for dim in range(len(shape)):
        values, _ = cresset.cummax(cresset.from_numpy(x), dim)
        assert np.array_equal(values.numpy(), np.maximum.accumulate(x, dim))
        values, _ = cresset.cummin(cresset.from_numpy(x), dim)
        assert np.array_equal(values.numpy(), np.minimum.accumulate(x, dim))


def test_logcumsumexp_neither_overflows_nor_vanishes():
    x = tensor([-inf, -1000.0, 0.0, 1000.0, -5.0, inf, 1.0])
    assert cresset.logcumsumexp(x, 0).tolist() == [-inf, -1000, 0, 1000, 1000, inf, inf]
    x = tensor([-1000.0, 0.0, 700.0], dtype=cresset.float64, requires_grad=True)
    (g,) = cresset.autograd.grad(cresset.logcumsumexp(x, 0).sum(), x)
    assert g.tolist() == [1, 1, 1]


# --- results with names ---------------------------------------------------------------------------
def test_results_have_names():
    result = tensor([[1, 5], [7, 3]]).max(dim=1)
    assert type(result) is cresset.return_types.max
    values, indices = result
    assert values is result.values
    assert indices is result.indices
    assert repr(result) == (
        "torch.return_types.max(\nvalues=tensor([5, 7]),\nindices=tensor([1, 0]))")
    assert cresset.aminmax(tensor([1, 5])).max == 5
    with pytest.raises(TypeError, match="takes a 2-sequence"):
        cresset.return_types.sort((1,))


# --- ranks ----------------------------------------------------------------------------------------
def test_quantiles_know_nan():
    x = tensor([[1.0, nan, 3.0], [nan, nan, nan], [4.0, 5.0, 6.0]])
    q = tensor([0.0, 0.5, 1.0])
    ignored = cresset.nanquantile(x, q, dim=1).numpy()
    assert np.array_equal(ignored, [[1, nan, 4], [2, nan, 5], [3, nan, 6]], equal_nan=True)
    kept = cresset.quantile(x, 0.5, dim=1).numpy()
    assert np.array_equal(kept, [nan, nan, 5], equal_nan=True)
    medians = cresset.nanmedian(x, 1).values.numpy()
    assert np.array_equal(medians, [1, nan, 5], equal_nan=True)


def test_all_medians_share_their_gradient():
    for values in ([1.0, 2.0, 2.0, 3.0], [1.0, nan, nan, 3.0]):
        x = tensor(values, requires_grad=True)
        x.median().backward()
        assert x.grad.tolist() == [0, 0.5, 0.5, 0]


# --- histograms -----------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [cresset.float32, cresset.float64, cresset.bfloat16])
def test_parts_of_a_range_hold_what_lies_in_them(kind):
    x = tensor([[-3.0, -1.0, 0.0], [0.5, 1.0, nan]], dtype=kind)
    assert cresset.histc(x, 2, -1, 1).tolist() == [1, 3]
    assert cresset.histc(x.t(), 4, -2, 2).tolist() == [0, 1, 2, 1]
    assert cresset.histc(x[0], 3).tolist() == [1, 0, 2]
    assert cresset.histc(x[0, :1], 2).tolist() == [0, 1]
    assert cresset.histc(x[:0], 2).tolist() == [0, 0]


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 8, 9, 1000])
def test_search_is_as_numpys(length, right):
    rng = np.random.default_rng(length)
    boundaries = np.sort(rng.integers(0, 40, length)).astype("f8")
    values = rng.integers(-2, 42, (3, 5)).astype("f8")
    got = cresset.searchsorted(cresset.from_numpy(boundaries), cresset.from_numpy(values),
                               right=right)
    expected = np.searchsorted(boundaries, values, side="right" if right else "left")
    assert np.array_equal(got.numpy(), expected)


def test_search_row_by_row():
    boundaries = tensor([[1, 3, 5], [2, 2, 9]])
    values = tensor([[0, 3, 6, 5], [2, 3, 9, 10]])
    assert cresset.searchsorted(boundaries, values).tolist() == [[0, 1, 3, 2], [0, 2, 2, 3]]
    order = tensor([2, 0, 1])
    assert cresset.searchsorted(tensor([3, 5, 1]), tensor([4]), sorter=order).tolist() == [2]


def test_histograms_of_points_are_as_numpys():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((50, 2))
    edges = [np.array([-2.0, 0.0, 0.5, 2.0]), np.array([-1.0, 1.0])]
    expected, _ = np.histogramdd(points, edges)
    got = cresset.histogramdd(cresset.from_numpy(points), [cresset.from_numpy(e) for e in edges])
    assert np.array_equal(got.hist.numpy(), expected)
    expected, expected_edges = np.histogramdd(points, (3, 4), [(-2, 2), (-1, 1)], density=True)
    got = cresset.histogramdd(cresset.from_numpy(points), [3, 4], range=[-2, 2, -1, 1],
                              density=True)
    assert np.allclose(got.hist.numpy(), expected, rtol=1e-14)
    for found, edge in zip(got.bin_edges, expected_edges):
        assert np.allclose(found.numpy(), edge, rtol=1e-14)


# --- sets -----------------------------------------------------------------------------------------
def test_unique_rows_are_as_numpys():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (40, 3))
    rows, inverse, counts = cresset.unique(cresset.from_numpy(x), dim=0, return_inverse=True,
                                           return_counts=True)
    expected, places, times = np.unique(x, axis=0, return_inverse=True, return_counts=True)
    assert np.array_equal(rows.numpy(), expected)
    assert np.array_equal(inverse.numpy(), places.reshape(-1))
    assert np.array_equal(counts.numpy(), times)


@pytest.mark.parametrize("kind", ["f4", "f8", "i8", "i2", "u1", "i1", "?"])
def test_elements_are_told_apart_as_by_numpy(kind):
    rng = np.random.default_rng(0)
    for count in (0, 1, 2, 7, 64, 65, 1000, 20_000):
        for high in (2, 100, 10**9):
            x = rng.integers(-high, high, count).astype(kind)
            values, places, sizes = cresset.unique(cresset.from_numpy(x), return_inverse=True,
                                                   return_counts=True)
            wanted = np.unique(x, return_inverse=True, return_counts=True)
            for found, expected in zip((values, places, sizes), wanted):
                assert np.array_equal(found.numpy(), expected.reshape(-1))
            entry, stood = cresset.mode(cresset.from_numpy(x)) if count else (values, places)
            if count:
                assert entry.item() == wanted[0][wanted[2].argmax()]
                assert stood.item() == np.flatnonzero(x == entry.item())[-1]


def test_a_few_of_many_elements_leave_their_memory():
    x = cresset.arange(100_000) % 7
    values, sizes = cresset.unique(x, return_counts=True)
    assert values.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert values.untyped_storage().nbytes() == sizes.untyped_storage().nbytes() == 7 * 8
    # There was room for all.
    total, room = cresset.ops.ordering.sets.runs(x[:9], True, False, False)
    assert (total.item(), room.shape) == (7, (9,))


def test_unique_in_recorded_calls():
    def distinct(x):
        values, sizes = cresset.unique(x, return_counts=True)
        return values * 2, sizes + 1

    recorded = cresset.compile(distinct)
    for high in (5, 9, 5, 9, 9):
        x = cresset.arange(40) % high
        for found, expected in zip(recorded(x), distinct(x)):
            assert found.tolist() == expected.tolist()


def test_search_takes_several_types_and_arrangements():
    edges, x = tensor([1, 3, 5, 7]), cresset.arange(16.0).view(4, 4).t()
    assert cresset.bucketize(x[0], edges).tolist() == [0, 2, 4, 4]
    assert cresset.bucketize(x[0].half(), edges[::3]).tolist() == [0, 1, 2, 2]
    assert cresset.isin(x, edges[1:3]).sum().item() == 2
    assert cresset.isin(tensor([1.0, 2.5]).bfloat16(), 2.5).tolist() == [False, True]
    assert cresset.isin(tensor([1, 2]), tensor([], dtype=cresset.int64)).tolist() == [False] * 2
    assert cresset.isin(tensor([1, 2]), tensor([]), invert=True).tolist() == [True] * 2
    with pytest.raises(RuntimeError, match="isin: Unsupported input type"):
        cresset.isin(tensor([True]), tensor([1]))


def test_nan_equals_nothing():
    x = tensor([nan, 1.0, nan, 0.0, -0.0])
    values, counts = cresset.unique(x, return_counts=True)
    assert np.array_equal(values.numpy(), [0, 1, nan, nan], equal_nan=True)
    assert counts.tolist() == [2, 1, 1, 1]
    assert cresset.isin(tensor([nan]), tensor([nan])).tolist() == [False]


# --- refusals -------------------------------------------------------------------------------------
REFUSED = [
    (lambda: cresset.amax(cresset.empty(0, 3), 0), IndexError, "amax: Expected reduction dim"),
    (lambda: cresset.empty(0).max(), RuntimeError, "Expected reduction dim"),
    (lambda: cresset.empty(0).argmax(), IndexError, "argmax: Expected reduction dim"),
    (lambda: cresset.prod(cresset.ones(2, 2), (0, 1)), TypeError, "prod: dim must be one integer"),
    (lambda: cresset.ones(2).sum((0, 0)), RuntimeError, "appears multiple times"),
    (lambda: cresset.ones(2).long().std(), RuntimeError, "var only support floating point"),
    (lambda: cresset.ones(2).long().norm(), RuntimeError, "norm: Expected a floating point"),
    (lambda: cresset.kthvalue(cresset.ones(3), 4), RuntimeError, "selected number k out of range"),
    (lambda: cresset.mode(cresset.empty(0)), IndexError, "mode: Expected reduction dim"),
    (lambda: cresset.quantile(cresset.ones(3), 1.5), RuntimeError, "must be in the range"),
    (lambda: cresset.topk(cresset.ones(3), 4), RuntimeError, "selected index k out of range"),
    (lambda: cresset.searchsorted(cresset.ones(3), tensor([1.0]), sorter=tensor([0, 1, 3])),
     RuntimeError, "sorter index out of range"),
    (lambda: cresset.bincount(tensor([1, -1])), RuntimeError, "non-negative"),
    (lambda: cresset.histc(tensor([1.0, nan])), RuntimeError, "is not finite"),
    (lambda: cresset.unique(cresset.empty(0, 3), dim=1), RuntimeError, "0 sized dimensions"),
    (lambda: cresset.diff(tensor(1.0)), RuntimeError, "at least one-dimensional"),
    (lambda: cresset.cumsum(cresset.ones(2), 1), IndexError, "Dimension out of range"),
    (lambda: cresset.renorm(cresset.ones(2), 2, 0, 1), RuntimeError, "at least 2 dimensions"),
    (lambda: cresset.split(cresset.ones(3), -1), RuntimeError, "split_size to be positive"),
    (lambda: cresset.hsplit(cresset.ones(3), 2), RuntimeError, "is not divisible"),
    (lambda: cresset.rot90(cresset.ones(2, 2), 1, (0, 0)), RuntimeError, "to be different"),
    (lambda: cresset.roll(cresset.ones(2), (1, 2), 0), RuntimeError, "must align"),
    (lambda: cresset.diag(cresset.ones(1, 1, 1)), RuntimeError, "Supports 1D or 2D"),
    (lambda: cresset.tril(cresset.ones(3)), RuntimeError, "at least 2 dimensions"),
    (lambda: cresset.meshgrid(cresset.ones(2), indexing="yx"), RuntimeError, "must be one of"),
    (lambda: cresset.hann_window(-1), RuntimeError, "non-negative window_length"),
    (lambda: cresset.ones(2, 3).contiguous(memory_format=cresset.channels_last), RuntimeError,
     "required rank 4"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- memory formats -------------------------------------------------------------------------------
def test_channels_last():
    x = cresset.arange(24.0).view(1, 2, 3, 4)
    y = x.contiguous(memory_format=cresset.channels_last)
    assert y.stride() == (24, 1, 8, 2)
    assert y.tolist() == x.tolist()
    assert y.is_contiguous(memory_format=cresset.channels_last)
    assert not y.is_contiguous()
    assert y.contiguous(memory_format=cresset.channels_last) is y
    assert (y + 1).stride() == y.clone().stride() == y.stride()
    assert y.to(memory_format=cresset.contiguous_format).is_contiguous()
    assert repr(cresset.channels_last) == "torch.channels_last"
    module = cresset.nn.Conv2d(2, 3, 2).to(memory_format=cresset.channels_last)
    assert module.weight.is_contiguous(memory_format=cresset.channels_last)


# --- the few of many ------------------------------------------------------------------------------
ROWS = {
    "random": lambda n: np.cos(np.arange(n) * 1.7),
    "ascending": lambda n: np.arange(n),
    "descending": lambda n: -np.arange(n),
    "equal": lambda n: np.ones(n),
    "in few values": lambda n: np.arange(n) % 3,
    "with NaN": lambda n: np.where(np.arange(n) % 7, np.sin(np.arange(n) * 2.1), np.nan),
}


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "float16"])
def test_the_first_of_a_long_row_are_those_of_the_sorted_row(kind, dtype):
    for n in (65, 200, 1000, 5000):
        with np.errstate(invalid="ignore"):
            row = ROWS[kind](n).astype(dtype)
        x = cresset.from_numpy(np.stack([row, row[::-1]]))
        for largest in (True, False):
            values, places = x.sort(1, descending=largest, stable=True)
            for k in (1, 3, 10, 40, n // 3):
                found = x.topk(k, largest=largest)
                assert found.indices.equal(places[:, :k])
                np.testing.assert_array_equal(found.values.numpy(), values[:, :k].numpy())
        for k in (1, n // 2, n):
            assert x.kthvalue(k, 1).indices.equal(places[:, k - 1])


LONG_KEYS = {
    "few": lambda n: np.arange(n) * 7919 % 10,
    "within 32 bits": lambda n: np.arange(n) * 2654435761 % (1 << 32),
    "within 64 bits": lambda n: np.arange(n) * -0x61C8864680B583EB,  # wraps
    "all but two alike in their leading bits": lambda n: np.concatenate(
        [[-1 << 63, (1 << 63) - 1], np.arange(n - 2)[::-1] // 2]),
    "close to one": lambda n: 1 + np.arange(n) * 7919 % n * 1e-15,
    "close to one but for one": lambda n: np.concatenate(
        [[-1e300], 1 + np.arange(n - 1) * 7919 % n * 1e-15]),
    "with zeros and NaN": lambda n: np.where(np.arange(n) % 3, -0.0 * np.arange(n), np.nan),
}


@pytest.mark.parametrize("kind", LONG_KEYS)
def test_keys_of_64_bits_are_sorted_by_all_of_them(kind):
    for n in (65, 300, 5000):
        row = LONG_KEYS[kind](n)
        row = row.astype("f8" if row.dtype.kind == "f" else "i8")
        for array in (row, row[::-1].copy()):
            values, places = cresset.from_numpy(array).sort(stable=True)
            order = np.argsort(array, kind="stable")
            assert np.array_equal(places.numpy(), order)
            np.testing.assert_array_equal(values.numpy(), array[order])
            backwards = cresset.from_numpy(array).sort(stable=True, descending=True).values
            np.testing.assert_array_equal(backwards.numpy(), array[order][::-1])
