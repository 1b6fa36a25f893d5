"""Products, convolutions and pooling: their schedules against NumPy in float64, guarded."""

import itertools

import numpy as np
import pytest
from steps import guarded, layout, run

from cresset.kernels import blocks, convolution, filters, pooling, tile, winograd
from cresset.kernels import matmul as products
from cresset.kernels.matmul import Operand, matmul
from cresset.kernels.pooling import Geometry
from cresset.runtime.target import host

WIDTHS = [16, 32, 64]


def write_for(monkeypatch, width):
    """Have kernels written for a width of vectors: any processor runs them, if not as quickly."""
    target = host()._replace(vector_bytes=width)
    monkeypatch.setattr(tile, "host", lambda: target)


@pytest.fixture(params=WIDTHS)
def vector_bytes(request, monkeypatch):
    """Each width of vectors, in the bytes that kernels are then written for."""
    write_for(monkeypatch, request.param)
    return request.param


def close(found, expected, terms=1):
    """Whether results agree, sums of so many terms of about 1 being rounded."""
    roundings = 8 * max(terms, 1) ** 0.5 * np.finfo(found.dtype).eps
    return np.allclose(found, expected, rtol=roundings, atol=roundings)


def fresh(shape, kind):
    """Guarded memory for a result, with what should not stay there."""
    return guarded(np.full(shape, 77, kind))


# --- matrix products ------------------------------------------------------------------------------
def elements(array):
    """The strides of an array in elements."""
    return tuple(step // array.itemsize for step in array.strides)


def multiply(a, b, out, bias=None):
    """Run the schedule of out = a b (+ bias)."""
    *batch, m, n = out.shape
    k = a.shape[-1]
    shapes = (*batch, m, k), (*batch, k, n), out.shape, out.shape
    values = [a, b, out] + ([] if bias is None else [bias])
    operands = [Operand(place, elements(np.broadcast_to(value, shape)))
                for place, (value, shape) in enumerate(zip(values, shapes))]
    kind = layout(a).dtype
    run(matmul(batch, m, n, k, kind, *operands, first_temporary=len(values)), values)


def check_product(a, b, out, bias=None):
    multiply(a, b, out, bias)
    expected = a.astype("f8") @ b.astype("f8") + (0 if bias is None else bias)
    assert close(out, expected, a.shape[-1])


def normal(rng, shape, kind, flip=False, low=False):
    """Random numbers in guarded memory; their last two dims lie the other way round if `flip`."""
    array = rng.standard_normal(shape).astype(kind)
    if flip:
        return guarded(array.swapaxes(-1, -2), low).swapaxes(-1, -2)
    return guarded(array, low)


SIZES = [(1, 1, 1), (10, 10, 10), (6, 16, 16), (1, 5, 7), (1, 100, 100), (3, 40, 65), (7, 33, 17),
         (13, 1, 9), (33, 65, 130), (8, 64, 64), (3, 3, 3), (20, 400, 40), (5, 0, 20), (0, 3, 4),
         (65, 900, 33)]


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_products_of_any_orientation(size, kind, vector_bytes):
    m, k, n = size
    rng = np.random.default_rng(0)
    for number, flips in enumerate(itertools.product((False, True), repeat=3)):
        low = number % 2 == 1
        a = normal(rng, (m, k), kind, flips[0], low)
        b = normal(rng, (k, n), kind, flips[1], low)
        out = fresh((n, m), kind).T if flips[2] else fresh((m, n), kind)
        check_product(a, b, out)


@pytest.mark.parametrize("shape", [(1, 30), (9, 1), (9, 30), (1, 1), (30,)], ids=str)
@pytest.mark.parametrize("across", [False, True])
def test_products_with_a_bias(shape, across, vector_bytes):
    rng = np.random.default_rng(1)
    for k, flip in itertools.product((7, 500), (False, True)):
        a, b = normal(rng, (9, k), "f4"), normal(rng, (k, 30), "f4", flip=across)
        bias = normal(rng, shape, "f4", flip=flip and len(shape) > 1)
        check_product(a, b, fresh((9, 30), "f4"), bias)
        check_product(a, b, fresh((30, 9), "f4").T, bias)


def test_products_of_spaced_operands(vector_bytes):
    rng = np.random.default_rng(2)
    for m, k, n in [(5, 6, 20), (17, 40, 33), (2, 30, 40)]:
        a = normal(rng, (m, 2 * k), "f4")[:, ::2]
        b = normal(rng, (2 * k, 3 * n), "f4")[::2, ::3]
        out = fresh((m, 2 * n), "f4")
        check_product(a, b, out[:, ::2])
        assert (out[:, 1::2] == 77).all()
        check_product(a, b, fresh((m, n), "f4"))


def test_products_of_operands_that_stand_still(vector_bytes):
    rng = np.random.default_rng(9)
    m, k, n = 17, 300, 40
    a, b = normal(rng, (m, k), "f4"), normal(rng, (k, n), "f4")
    shared = normal(rng, (k, 1), "f4"), normal(rng, (1, n), "f4"), normal(rng, (1, 1), "f4")
    for still in shared:
        check_product(a, np.broadcast_to(still, (k, n)), fresh((m, n), "f4"))
        check_product(np.broadcast_to(still, (k, n)).T, b, fresh((n, n), "f4"))


def test_batches(vector_bytes):
    rng = np.random.default_rng(3)
    a = normal(rng, (4, 5, 6, 7), "f4")
    others = [(7, 20), (4, 1, 7, 20), (1, 5, 7, 20), (4, 5, 7, 20), (1, 1, 7, 1)]
    for shape, flip in itertools.product(others, (False, True)):
        b = normal(rng, shape, "f4", flip)
        check_product(a, b, fresh((4, 5, 6, shape[-1]), "f4"))
        swapped = normal(rng, (4, 6, 5, 7), "f4").transpose(0, 2, 1, 3)
        check_product(swapped, b, fresh((4, 5, 6, shape[-1]), "f4"))
    # Three batch dims that cannot be joined, and an operand without any.
    a = normal(rng, (3, 1, 2, 5, 6), "f4")
    b = normal(rng, (4, 2, 3, 6, 9), "f4").transpose(2, 0, 1, 3, 4)
    check_product(a, b, fresh((3, 4, 2, 5, 9), "f4"))
    check_product(normal(rng, (5, 6), "f4"), b, fresh((3, 4, 2, 5, 9), "f4"))


@pytest.mark.parametrize("kind", ["i8", "i4", "i2", "u1", "i1"])
def test_integers_wrap(kind):
    rng = np.random.default_rng(4)
    a = guarded(rng.integers(0, 100, (3, 5, 6)).astype(kind))
    b = guarded(rng.integers(0, 100, (6, 7)).astype(kind))
    bias = guarded(rng.integers(0, 100, (5, 1)).astype(kind))
    out = fresh((3, 5, 7), kind)
    multiply(a, b, out, bias)
    assert (out == a @ b + bias).all()


def test_infinities_stay_where_they_are():
    rng = np.random.default_rng(5)
    a, b = normal(rng, (13, 9), "f4"), normal(rng, (9, 21), "f4")
    a[12, 3], b[8, 20] = np.inf, np.nan
    out = fresh((13, 21), "f4")
    multiply(a, b, out)
    finite = np.isfinite(out)
    assert finite[:12, :20].all() and not finite[12].any() and not finite[:, 20].any()


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "i4", "u4", "i8"])
@pytest.mark.parametrize("m, k, n", [(1, 7, 40), (5, 0, 33), (17, 31, 9), (3, 300, 3)])
def test_products_of_integers_wrap(kind, m, k, n):
    rng = np.random.default_rng(8)
    bounds = np.iinfo(kind)
    a, b, bias = (guarded(rng.integers(bounds.min, bounds.max, shape, kind, endpoint=True))
                  for shape in ((2, m, k), (k, n), (n,)))
    for left, right in itertools.product((a, turned(a)), (b, turned(b))):
        out = fresh((2, m, n), kind)
        multiply(left, right, out, bias)
        np.testing.assert_array_equal(out, a @ b + bias)


def turned(array):
    """The same matrices, with the rows of one where the columns of the other are."""
    return guarded(array.swapaxes(-1, -2).copy()).swapaxes(-1, -2)


def test_packed_and_deep_products_are_the_plain_ones(monkeypatch, vector_bytes):
    rng = np.random.default_rng(6)
    monkeypatch.setattr(products, "PACKED_BYTES", 1 << 8)
    monkeypatch.setattr(products, "PACKED_COLUMNS", 1)
    monkeypatch.setattr(products, "PACKED_DEPTH", 1)
    monkeypatch.setattr(products, "CACHED_BYTES", 1 << 12)
    monkeypatch.setattr(products, "SPAN_BYTES", 0)
    monkeypatch.setattr(products, "TALL", 12)
    monkeypatch.setattr(products, "LEAST_UNITS", 3)
    depth = 2 * blocks.DEEPEST + 5
    sizes = [(18, 70, 40), (19, depth, 33), (24, depth, 48), (48, 64, 96), (30, depth, 250)]
    for m, k, n in sizes:
        for shape in [(), (2,)]:
            a = normal(rng, (*shape, m, k), "f4", flip=bool(shape))
            b = normal(rng, (k, n), "f4", flip=bool(shape))
            check_product(a, b, fresh((*shape, m, n), "f4"), normal(rng, (n,), "f4"))


def test_a_matrix_streams_past_a_vector(monkeypatch, vector_bytes):
    monkeypatch.setattr(products, "STREAMED_BYTES", 0)
    rng = np.random.default_rng(11)
    for k, n in [(1, 40), (7, 4101), (9, 33), (0, 40)]:
        a, b = normal(rng, (1, k), "f4"), normal(rng, (k, n), "f4")
        check_product(a, b, fresh((1, n), "f4"))
        check_product(a, b, fresh((1, n), "f4"), normal(rng, (n,), "f4"))
        check_product(b.T, a.T, fresh((n, 1), "f4"), normal(rng, (1, 1), "f4"))


# --- convolutions ---------------------------------------------------------------------------------
def along(rank, *values):
    return [(value,) * rank if isinstance(value, int) else value for value in values]


def windows(out, taps, stride, dilation):
    """For each tap its place and the slices of a padded image that it sees."""
    for tap in np.ndindex(*taps):
        yield (..., *tap), (..., *(
            slice(at * d, at * d + (n - 1) * s + 1, s)
            for at, n, s, d in zip(tap, out, stride, dilation)
        ))


def convolve(x, w, gradient, stride, padding, dilation, groups):
    """The convolution of x with w, and the gradients of x and w, in float64."""
    x, w, gradient = (value.astype("f8") for value in (x, w, gradient))
    images, channels = x.shape[:2]
    taps, size = w.shape[2:], gradient.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    padded = padded.reshape(images, groups, channels // groups, *padded.shape[2:])
    filters = w.reshape(groups, -1, *w.shape[1:])
    g = gradient.reshape(images, groups, w.shape[0] // groups, *size)
    out, by_x, by_w = np.zeros_like(g), np.zeros_like(padded), np.zeros_like(filters)
    for tap, seen in windows(size, taps, stride, dilation):
        view = padded[seen]
        out += np.einsum("ngc...,goc->ngo...", view, filters[tap])
        by_x[seen] += np.einsum("ngo...,goc->ngc...", g, filters[tap])
        products = np.einsum("ngo...,ngc...->goc...", g, view)
        by_w[tap] = products.sum(tuple(range(3, products.ndim)))
    inside = tuple(slice(p, p + n) for p, n in zip(padding, x.shape[2:]))
    by_x = by_x[(..., *inside)].reshape(x.shape)
    return out.reshape(gradient.shape), by_x, by_w.reshape(w.shape)


# images, channels in, image, channels out, taps; stride, padding, dilation, groups
CONVOLUTIONS = [
    (2, 3, (9, 11), 5, (3, 3), 1, 1, 1, 1),
    (2, 3, (9, 17), 7, (3, 2), (2, 1), (0, 1), (1, 2), 1),
    (3, 4, (19, 37), 6, (3, 3), 2, 1, 1, 2),
    (3, 4, (19, 37), 8, (3, 5), 3, (2, 3), 2, 4),
    (2, 4, (19, 37), 4, (3, 5), 1, (2, 3), 2, 4),
    (2, 5, (4, 4), 6, (3, 3), 1, 1, 1, 1),
    (5, 6, (4, 4), 9, (3, 3), 2, 1, 1, 3),
    (1, 1, (5, 5), 1, (5, 5), 1, 0, 1, 1),
    (7, 2, (1, 1), 3, (1, 1), 1, 0, 1, 1),
    (2, 6, (8, 9), 4, (1, 1), 1, 0, 1, 2),
    (2, 6, (8, 8), 4, (1, 1), 2, 0, 1, 2),
    (2, 6, (8, 9), 4, (1, 1), 1, 1, 1, 1),
    (3, 1, (28, 28), 32, (3, 3), 1, 1, 1, 1),
    (1, 3, (40, 40), 16, (7, 7), 2, 3, 1, 1),
    (2, 3, (20, 20), 5, (3, 3), 1, 0, 1, 1),
    (2, 3, (20, 20), 5, (3, 3), 1, 4, 1, 1),
    (2, 3, (20, 20), 5, (2, 2), 1, 2, 3, 1),
    (0, 3, (20, 20), 5, (3, 3), 1, 1, 1, 1),
    (2, 16, (12, 17), 70, (3, 3), 1, 1, 1, 1),
    (1, 40, (5, 21), 50, (3, 3), 1, 1, 1, 1),
    (1, 3, (3, 19), 160, (1, 2), 1, 0, 1, 1),
    (3, 5, (11, 19), 1, (3, 3), 1, 1, 1, 1),
    (2, 4, (40,), 4, (5,), 1, 2, 1, 4),
    (25, 2, (6, 7), 70, (3, 3), 1, 1, 1, 2),
    (2, 2, (1100,), 33, (3,), 2, 1, 2, 1),
    (2, 3, (4, 9, 70), 40, (2, 3, 3), (1, 2, 2), 1, 1, 1),
    (2, 3, (9, 40), 4, (1, 1), 2, 0, 1, 1),
    (2, 2, (21, 43), 3, (4, 4), 2, 1, 1, 1),
    (1, 2, (5, 50), 3, (3, 3), (1, 5), 1, 1, 1),
    (2, 4, (50,), 6, (3,), 1, 1, 1, 2),
    (3, 2, (50,), 5, (4,), 3, 2, 2, 1),
    (2, 3, (6,), 5, (3,), 2, 1, 1, 1),
    (2, 6, (21,), 4, (1,), 1, 0, 1, 2),
    (2, 4, (6, 5, 19), 6, (3, 3, 3), 1, 1, 1, 2),
    (2, 3, (7, 9, 37), 5, (2, 3, 3), 2, (1, 2, 0), (2, 1, 2), 1),
    (2, 4, (4, 3, 5), 6, (3, 2, 3), (1, 2, 1), 1, 1, 2),
    (1, 6, (3, 4, 18), 6, (3, 3, 3), 1, 1, 1, 6),
    (2, 6, (3, 4, 5), 4, (1, 1, 1), 1, 0, 1, 1),
]


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolutions_and_their_gradients(case, kind, vector_bytes, monkeypatch):
    monkeypatch.setattr(winograd, "ENABLED", False)  # whose errors have a test of their own
    images, channels, extents, outputs, taps, *parameters, groups = case
    stride, padding, dilation = along(len(taps), *parameters)
    size = [(n + 2 * p - d * (t - 1) - 1) // s + 1
            for n, p, d, t, s in zip(extents, padding, dilation, taps, stride)]
    rng = np.random.default_rng(7)
    x = normal(rng, (images, channels, *extents), kind)
    w = normal(rng, (outputs, channels // groups, *taps), kind)
    g = normal(rng, (images, outputs, *size), kind)
    bias = normal(rng, (outputs,), kind)
    geometry = (stride, padding, dilation, groups)
    expected, by_x, by_w = convolve(x, w, g, *geometry)
    of_x, of_w, of_g = layout(x), layout(w), layout(g)

    out = fresh(g.shape, kind)
    run(convolution.convolution(of_x, of_w, of_g, *geometry, (0, 1, 2), first_temporary=3),
        [x, w, out])
    assert close(out, expected, w[0].size)
    run(convolution.convolution(of_x, of_w, of_g, *geometry, (1, 2, 3), 0, first_temporary=4),
        [bias, x, w, out])
    assert close(out, expected + bias.reshape(-1, *[1] * len(taps)), w[0].size)

    out = fresh(x.shape, kind)
    run(convolution.convolution_input_gradient(
        of_g, of_w, of_x, *geometry, (0, 1, 2), first_temporary=3), [g, w, out])
    assert close(out, by_x, w[:, 0].size)
    bias = normal(rng, (channels,), kind)
    run(convolution.convolution_input_gradient(
        of_g, of_w, of_x, *geometry, (1, 2, 3), 0, first_temporary=4), [bias, g, w, out])
    assert close(out, by_x + bias.reshape(-1, *[1] * len(taps)), w[:, 0].size)

    out = fresh(w.shape, kind)
    run(convolution.convolution_weight_gradient(
        of_g, of_x, of_w, *geometry, (0, 1, 2), first_temporary=3), [g, x, out])
    assert close(out, by_w, images * np.prod(size))


@pytest.mark.parametrize("outputs, last", [(5, "sum_parts"), (40, "filter_sums")])
def test_parts_of_a_gradient_are_added_in_order(monkeypatch, outputs, last):
    monkeypatch.setattr(filters, "CACHED_BYTES", 1 << 14)
    monkeypatch.setattr(filters, "BLOCK_BYTES", 1 << 10)
    rng = np.random.default_rng(8)
    x, g = normal(rng, (40, 3, 12, 12), "f4"), normal(rng, (40, outputs, 12, 12), "f4")
    w = fresh((outputs, 3, 3, 3), "f4")
    geometry = ((1, 1), (1, 1), (1, 1), 1)
    schedule = convolution.convolution_weight_gradient(
        layout(g), layout(x), layout(w), *geometry, (0, 1, 2), first_temporary=3)
    assert last in schedule[0][-1].key
    seen = set()
    for _ in range(3):  # the pieces run in a random order
        run(schedule, [g, x, w])
        seen.add(w.tobytes())
    assert len(seen) == 1
    assert close(w, convolve(x, w, g, *geometry)[2], g[:, 0].size)


# --- pooling --------------------------------------------------------------------------------------
# extents; kernel, stride, padding, dilation, whether the last window may stick out
POOLS = [
    ((20, 37), 2, 2, 0, 1, False),
    ((20, 37), 3, 1, 1, 1, False),
    ((20, 37), 3, 2, 1, 1, True),
    ((20, 37), (3, 2), (3, 4), 1, (2, 1), False),
    ((20, 37), (3, 5), 2, (1, 2), (2, 3), True),
    ((4, 4), 2, 2, 0, 1, False),
    ((5, 5), 5, 1, 2, 1, False),
    ((1, 1), 1, 1, 0, 1, False),
    ((37,), 3, 2, 1, 2, True),
    ((5, 6, 37), 2, 2, 0, 1, False),
    ((5, 4, 20), (3, 2, 3), (2, 1, 2), 1, 1, True),
    ((6, 14), 2, 2, 0, 1, False),
    ((3, 4, 9), 3, 1, 1, 1, False),
]


def pooled_size(extent, kernel, stride, padding, dilation, ceiling):
    span = extent + 2 * padding - dilation * (kernel - 1) - 1
    size = -(-span // stride) + 1 if ceiling else span // stride + 1
    return size - (ceiling and (size - 1) * stride >= extent + padding)


def pool_of(case):
    """The extents of a case, its parameters as pairs, and the size of its result."""
    extents, *numbers, ceiling = case
    parameters = along(len(extents), *numbers)
    size = [pooled_size(*axis, ceiling) for axis in zip(extents, *parameters)]
    return extents, parameters, size


def greatest(volume, parameters, size):
    """The greatest values of windows and their places: the first, but the last NaN."""
    kernel, stride, padding, dilation = parameters
    values, places = np.zeros(size, volume.dtype), np.zeros(size, np.int64)
    for at in np.ndindex(*size):
        best = None
        for tap in np.ndindex(*kernel):
            seen = tuple(a * s - p + t * d
                         for a, s, p, t, d in zip(at, stride, padding, tap, dilation))
            if all(0 <= i < n for i, n in zip(seen, volume.shape)):
                value = volume[seen]
                if best is None or value > best[0] or value != value:
                    best = value, np.ravel_multi_index(seen, volume.shape)
        values[at], places[at] = best
    return values, places


@pytest.mark.parametrize("kind", ["f4", "f8", "i8", "u1"])
@pytest.mark.parametrize("case", POOLS, ids=str)
def test_max_pool(case, kind, vector_bytes, monkeypatch):
    monkeypatch.setattr("cresset.kernels.schedule.PIECE", 1)  # pieces begin at any row
    extents, parameters, size = pool_of(case)
    rng = np.random.default_rng(9)
    x = rng.integers(0, 5, (2, 3, *extents)).astype(kind)
    if x.dtype.kind == "f":
        x[rng.random(x.shape) < 0.1] = np.nan
        x[rng.random(x.shape) < 0.1] = -np.inf
    x = guarded(x)
    out, places = fresh((2, 3, *size), kind), fresh((2, 3, *size), np.int64)
    run(pooling.max_pool(layout(x), layout(out), Geometry.of(*parameters), (0, 1, 2)),
        [x, out, places])
    expected = [greatest(volume, parameters, size) for volume in x.reshape(6, *extents)]
    assert np.array_equal(out, np.reshape([v for v, _ in expected], out.shape), x.dtype.kind == "f")
    assert (places == np.reshape([p for _, p in expected], out.shape)).all()

    if x.dtype.kind == "f":
        g, result = normal(rng, out.shape, kind), fresh(x.shape, kind)
        run(pooling.max_pool_gradient(layout(g), layout(x), (0, 1, 2)), [g, places, result])
        sums = np.zeros((6, np.prod(extents)))
        for plane, at, terms in zip(sums, places.reshape(6, -1), g.reshape(6, -1)):
            np.add.at(plane, at, terms)
        assert close(result, sums.reshape(x.shape), 9)


def averaging(extents, size, parameters, with_padding, divisor):
    """The matrix that averages a flat plane: a row for each window."""
    kernel, stride, padding, _ = parameters
    matrix = np.zeros((*size, *extents))
    for at in np.ndindex(*size):
        start = [a * s - p for a, s, p in zip(at, stride, padding)]
        stop = [min(a + k, n + p) for a, k, n, p in zip(start, kernel, extents, padding)]
        seen = tuple(slice(max(a, 0), max(min(b, n), 0)) for a, b, n in zip(start, stop, extents))
        within = matrix[at][seen]
        counted = np.prod([b - a for a, b in zip(start, stop)]) if with_padding else within.size
        matrix[at][seen] = 1 / max(divisor or counted, 1)
    return matrix.reshape(np.prod(size), -1)


def check_averages(forward, backward, matrix, extents, size, kind):
    rng = np.random.default_rng(10)
    x, g = normal(rng, (2, 3, *extents), kind), normal(rng, (2, 3, *size), kind)
    out, result = fresh(g.shape, kind), fresh(x.shape, kind)
    run(forward(layout(x), layout(out), (0, 1)), [x, out])
    assert close(out, (x.reshape(6, -1).astype("f8") @ matrix.T).reshape(g.shape), 9)
    run(backward(layout(g), layout(x), (0, 1)), [g, result])
    assert close(result, (g.reshape(6, -1).astype("f8") @ matrix).reshape(x.shape), 9)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("with_padding", [False, True])
@pytest.mark.parametrize("divisor", [None, 3])
@pytest.mark.parametrize("case", [case for case in POOLS if case[4] == 1], ids=str)
def test_avg_pool(case, divisor, with_padding, kind, vector_bytes, monkeypatch):
    monkeypatch.setattr("cresset.kernels.schedule.PIECE", 1)
    extents, parameters, size = pool_of(case)
    rest = (Geometry.of(*parameters), with_padding, divisor)
    check_averages(
        lambda x, out, values: pooling.avg_pool(x, out, *rest, values),
        lambda g, x, values: pooling.avg_pool_gradient(g, x, *rest, values),
        averaging(extents, size, parameters, with_padding, divisor), extents, size, kind,
    )


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("extents, size", [
    ((20, 37), (1, 1)), ((20, 37), (3, 5)), ((20, 37), (7, 7)), ((20, 37), (20, 37)),
    ((20, 37), (1, 4)), ((37,), (5,)), ((5, 6, 37), (1, 1, 1)), ((5, 6, 37), (2, 4, 5)),
], ids=str)
def test_pooling_of_shares(extents, size, kind, vector_bytes):
    shares = {at: tuple(slice(a * n // o, -(-(a + 1) * n // o))
                        for a, n, o in zip(at, extents, size)) for at in np.ndindex(*size)}
    matrix = np.zeros((*size, *extents))
    for at, seen in shares.items():
        matrix[at][seen] = 1 / matrix[at][seen].size
    check_averages(
        lambda x, out, values: pooling.avg_pool(x, out, None, False, None, values),
        lambda g, x, values: pooling.avg_pool_gradient(g, x, None, False, None, values),
        matrix.reshape(np.prod(size), -1), extents, size, kind,
    )
    x = normal(np.random.default_rng(11), (2, 3, *extents), kind)
    out, places = fresh((2, 3, *size), kind), fresh((2, 3, *size), np.int64)
    run(pooling.max_pool(layout(x), layout(out), None, (0, 1, 2)), [x, out, places])
    for at, seen in shares.items():
        assert (out[(..., *at)] == x[(..., *seen)].reshape(2, 3, -1).max(-1)).all()
    assert (np.take_along_axis(x.reshape(2, 3, -1), places.reshape(2, 3, -1), 2)
            == out.reshape(2, 3, -1)).all()


def test_nothing_to_do():
    nothing = np.zeros((0, 3, 8, 8), "f4")
    out = np.zeros((0, 3, 4, 4), "f4")
    geometry = Geometry.of((2, 2), (2, 2), (0, 0))
    steps, _ = pooling.max_pool(layout(nothing), layout(out), geometry, (0, 1, 2))
    assert steps == []
    steps, _ = pooling.avg_pool(layout(nothing), layout(out), None, False, None, (0, 1))
    assert steps == []
