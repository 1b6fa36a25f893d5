"""Kernels of index, compaction, random, scan and sort: against NumPy and PyTorch, guarded."""

import math

import numpy as np
import pytest
from steps import guarded, layout, run

from cresset.core.generator import EXCHANGED, Generator
from cresset.kernels import compaction, index, random, scan, selection, sort, topk
from cresset.runtime.target import host

TYPES = ["f4", "f8", "i8", "i4", "i2", "u1", "i1", "?"]


WIDTHS = [16, 32, 64]


def write_for(monkeypatch, width):
    """Have kernels written for a width of vectors: any processor runs them, if not as quickly."""
    target = host()._replace(vector_bytes=width)
    for module in (index, compaction, random, scan, selection, sort, topk):
        monkeypatch.setattr(module, "host", lambda: target)


@pytest.fixture(params=WIDTHS)
def vector_bytes(request, monkeypatch):
    """Each width of vectors, in the bytes that kernels are then written for."""
    write_for(monkeypatch, request.param)
    return request.param


def numbers(rng, shape, kind):
    """Random numbers of a type, small if integers."""
    kind = np.dtype(kind)
    if kind.kind == "f":
        return rng.standard_normal(shape).astype(kind)
    return rng.integers(0, 2 if kind.kind == "b" else 100, shape).astype(kind)


def placed(rng, array):
    """The array in guarded memory: contiguous, permuted or with gaps."""
    choice = rng.integers(0, 4)
    if choice == 1 and array.ndim > 1:
        order = rng.permutation(array.ndim)
        return guarded(array.transpose(order)).transpose(np.argsort(order))
    if choice == 2 and array.ndim:
        wide = guarded(np.zeros([max(2 * n - 1, 0) for n in array.shape], array.dtype))
        wide = wide[(slice(None, None, 2),) * array.ndim]
        wide[...] = array
        return wide
    return guarded(array, low=choice == 3)


def shape_of(rng, trial, most=9):
    """A shape of up to 4 dims; now and then with an empty or a long dim."""
    shape = [int(n) for n in rng.integers(0 if trial % 11 == 0 else 1, most, rng.integers(0, 5))]
    if shape and trial % 3 == 0:
        shape[int(rng.integers(0, len(shape)))] = int(rng.integers(1, 200))
    return tuple(shape)


def done(schedule, values):
    """Run a schedule that finds no fault."""
    assert run(schedule, values) == [0, 0, 0, 0]


def equal(a, b):
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


# --- index ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("trial", range(60))
def test_index_select_and_index_add(trial):
    rng = np.random.default_rng(trial)
    shape = shape_of(rng, trial) or (5,)
    dim = int(rng.integers(0, len(shape)))
    x = placed(rng, numbers(rng, shape, TYPES[trial % 8]))
    count = int(rng.integers(0, 12)) if shape[dim] else 0
    places = rng.integers(0, max(shape[dim], 1), count).astype(["i8", "i4"][trial % 2])
    places = placed(rng, places)
    out = placed(rng, np.zeros(shape[:dim] + (count,) + shape[dim + 1:], x.dtype))
    layouts = layout(x), dim, layout(places), layout(out)
    done(index.index_select(*layouts, (0, 1, 2), 3), [x, places, out])
    assert equal(out, np.take(x, places, dim))

    source = placed(rng, numbers(rng, out.shape, x.dtype))
    want, total = np.array(x), placed(rng, x)
    np.add.at(np.moveaxis(want, dim, 0), places, np.moveaxis(source, dim, 0))
    layouts = layout(total), dim, layout(places), layout(source)
    done(index.index_add(*layouts, (0, 1, 2), 3), [total, places, source])
    assert equal(total, want)


@pytest.mark.parametrize("trial", range(60))
def test_gather_and_scatter(trial):
    rng = np.random.default_rng(trial)
    shape = shape_of(rng, trial) or (5,)
    dim = int(rng.integers(0, len(shape)))
    x = placed(rng, numbers(rng, shape, TYPES[trial % 8]))
    space = [int(rng.integers(min(n, 1), n + 1)) for n in shape]
    space[dim] = int(rng.integers(0, 12)) if shape[dim] else 0
    places = rng.integers(0, max(shape[dim], 1), space).astype(["i8", "i4"][trial % 2])
    places = placed(rng, places)
    corner = tuple(np.indices(space))
    where = (*corner[:dim], places, *corner[dim + 1:])
    out = placed(rng, np.zeros(space, x.dtype))
    done(index.gather(layout(x), dim, layout(places), layout(out), (0, 1, 2), 3), [x, places, out])
    assert equal(out, x[where])

    source = placed(rng, numbers(rng, space, x.dtype))
    for reduce, ufunc in [("add", np.add), ("maximum", np.maximum), ("minimum", np.minimum),
                          ("multiply", np.multiply), ("put", None)]:
        want, target = np.array(x), placed(rng, x)
        if ufunc:
            ufunc.at(want, where, source)
        else:
            for place in np.ndindex(*space):  # in order: the last of several writes wins
                want[tuple(axis[place] for axis in where)] = source[place]
        layouts = layout(target), dim, layout(places), layout(source)
        done(index.scatter(*layouts, (0, 1, 2), 3, reduce), [target, places, source])
        assert equal(target, want), reduce


@pytest.mark.parametrize("trial", range(60))
def test_advanced_indexing(trial):
    rng = np.random.default_rng(trial)
    shape = shape_of(rng, 1 + trial, most=6) or (5,)
    x = placed(rng, numbers(rng, shape, TYPES[trial % 8]))
    space = tuple(rng.integers(1, 5, rng.integers(0, 3)).tolist())
    named = rng.integers(0, 2, len(shape))
    named[rng.integers(0, len(shape))] = 1
    indices = []
    for n, chosen in zip(shape, named):
        narrow = [size if rng.integers(0, 3) else 1 for size in space]
        places = placed(rng, rng.integers(-n, n, narrow)) if n else np.zeros([1] * len(space), "i8")
        indices.append(np.broadcast_to(places, space) if chosen else None)
    if any(n == 0 and chosen for n, chosen in zip(shape, named)):
        pytest.skip("there is nothing to index")
    where = tuple(slice(None) if places is None else places for places in indices)
    want = x[where] if space else x[tuple(slice(None) if i is None else int(i) for i in indices)]
    tensors = [places for places in indices if places is not None]
    values = tuple(range(len(tensors) + 2))
    layouts = [None if places is None else layout(places) for places in indices]
    assert index.indexed_shape(shape, indices, space) == want.shape

    out = placed(rng, np.zeros(want.shape, x.dtype))
    done(index.index(layout(x), layouts, layout(out), values, len(values)), [x, *tensors, out])
    assert equal(out, want)

    value = placed(rng, numbers(rng, want.shape, x.dtype))
    for accumulate in (False, True):
        want, target = np.array(x), placed(rng, x)
        if accumulate:
            np.add.at(want, where, value)
        else:
            want[where] = value
        schedule = index.index_put(layout(target), layouts, layout(value), values, len(values),
                                   accumulate)
        done(schedule, [target, *tensors, value])
        assert equal(target, want)


@pytest.mark.parametrize("position, value", [(0, -1), (17, 5), (999, 1 << 40), (998, -6)])
def test_a_bad_index_is_reported_and_nothing_written(position, value):
    places = guarded(np.arange(1000) % 5)
    places[position] = value
    for columns in (3, 9):  # few are compared on the way, many ahead
        x, out = (guarded(make((n, columns), "f4")) for make, n in ((np.ones, 5), (np.zeros, 1000)))
        schedule = index.take_rows(layout(x), layout(places), layout(out), (0, 1, 2), 3)
        assert run(schedule, [x, places, out]) == [1, position, value, 0]
        assert not out[position].any()
    total = x.copy()
    schedule = index.index_add(layout(total), 0, layout(places), layout(out), (0, 1, 2), 3)
    assert run(schedule, [total, places, out])[0] == 1
    assert equal(total, x)


def test_a_bad_index_among_several_tensors_names_its_tensor():
    x, out = guarded(np.ones((5, 4), "f4")), guarded(np.zeros((2, 3), "f4"))
    rows = guarded(np.zeros((2, 3), "i8"))
    columns = guarded(np.array([[0, -4], [1, 2], [3, 4]])).T
    schedule = index.index(layout(x), [layout(rows), layout(columns)], layout(out), (0, 1, 2, 3), 4)
    assert run(schedule, [x, rows, columns, out]) == [1, 5, 4, 1]


def test_index_of_every_vector_width(vector_bytes):
    rng = np.random.default_rng(0)
    for columns in (1, 3, 4, 31, 32, 33, 100):
        x, places = guarded(numbers(rng, (9, columns), "f4")), guarded(rng.integers(0, 9, 20))
        out = guarded(np.zeros((20, columns), "f4"))
        layouts = layout(x), layout(places), layout(out)
        done(index.take_rows(*layouts, (0, 1, 2), 3), [x, places, out])
        assert equal(out, x[places])
        total = guarded(np.zeros_like(x))
        layouts = layout(total), 0, layout(places), layout(out)
        done(index.index_add(*layouts, (0, 1, 2), 3), [total, places, out])
        assert np.allclose(total, x * np.bincount(places, minlength=9)[:, None])


# --- compaction -----------------------------------------------------------------------------------
@pytest.mark.parametrize("trial", range(40))
def test_nonzero_and_masked(trial):
    rng = np.random.default_rng(trial)
    shape = shape_of(rng, trial)
    if trial % 4 == 0 and shape:
        shape = (*shape[:-1], int(rng.integers(1, 3000)))
    x = numbers(rng, shape, TYPES[trial % 8])
    x = placed(rng, (x * (rng.random(shape) < rng.random())).astype(x.dtype))
    mask = placed(rng, x != 0)
    counts = guarded(np.full(compaction.counts_shape(layout(x)), 77))
    done(compaction.count_nonzero(layout(x), layout(counts), (0, 1), 2), [x, counts])
    total = np.count_nonzero(x)
    assert counts[-1] == total

    out = placed(rng, np.zeros((total, x.ndim), "i8"))
    schedule = compaction.nonzero(layout(x), layout(counts), layout(out), (0, 1, 2), 3)
    done(schedule, [x, counts, out])
    assert equal(out, np.argwhere(x))

    chosen = guarded(np.zeros(total, x.dtype))
    layouts = layout(x), layout(mask), layout(counts), layout(chosen)
    done(compaction.masked_select(*layouts, (0, 1, 2, 3), 4), [x, mask, counts, chosen])
    assert equal(chosen, x[mask])

    source, target = guarded(numbers(rng, total + 2, x.dtype)), placed(rng, x)
    want = np.array(x)
    if total:
        np.place(want, mask, source[:total])
    layouts = layout(target), layout(mask), layout(counts), layout(source)
    done(compaction.masked_scatter(*layouts, (0, 1, 2, 3), 4), [target, mask, counts, source])
    assert equal(target, want)


def test_nonzero_of_every_vector_width(vector_bytes):
    rng = np.random.default_rng(0)
    for kind in ("?", "i2", "f4", "f8"):
        x = guarded((rng.random(9001) < 0.3).astype(kind))
        counts = guarded(np.zeros(compaction.counts_shape(layout(x)), "i8"))
        done(compaction.count_nonzero(layout(x), layout(counts), (0, 1), 2), [x, counts])
        out = guarded(np.zeros((counts[-1], 1), "i8"))
        layouts = layout(x), layout(counts), layout(out)
        done(compaction.nonzero(*layouts, (0, 1, 2), 3), [x, counts, out])
        assert equal(out, np.argwhere(x))


# --- random ---------------------------------------------------------------------------------------
SIZES = (0, 1, 2, 7, 15, 16, 17, 312, 313, 623, 624, 625, 1000, 1249)


def bits(number):
    """A float64 as the word that an input "d" is."""
    return int(np.float64(number).view("i8"))


def stream(seed, words):
    """The first 32-bit words of mt19937, from NumPy."""
    return np.frombuffer(np.random.RandomState(seed).bytes(4 * words), "<u4")


def test_uniform_numbers_are_words_of_the_stream(vector_bytes):
    generator, size = Generator().manual_seed(123), 2000
    words = stream(123, 5 * size)
    out = guarded(np.zeros(size, "f4"))
    values = [generator.address, bits(0), bits(1), out]
    done(random.fill_uniform(layout(out), (0, 1, 2, 3), 4), values)
    assert equal(out, (words[:size] & 0xFFFFFF).astype("f4") * np.float32(2**-24))
    out = guarded(np.zeros(size, "f8"))
    done(random.fill_uniform(layout(out), (0, 1, 2, 3), 4), [*values[:3], out])
    pairs = words[size : 3 * size].astype("u8").reshape(-1, 2)
    long = pairs[:, 0] << np.uint64(32) | pairs[:, 1]
    assert equal(out, (long & np.uint64(2**53 - 1)).astype("f8") * 2.0**-53)


def states_agree(generator, other):
    """Whether two states are the same, the cached normal within a few units of its last place."""
    a, b = (list(EXCHANGED.unpack(state)) for state in (
        generator.state_bytes(), bytes(other.get_state().tolist())))
    normals = [fields.pop(-4) if fields[-2] & 1 else fields.pop(-4) * 0 for fields in (a, b)]
    a[-2:], b[-2:] = [field & 0xFF for field in a[-2:]], [field & 0xFF for field in b[-2:]]
    return a == b and math.isclose(*normals, rel_tol=1e-14)


def outputs(size, kind):
    """Memory to fill with `size` elements: contiguous, transposed, with gaps."""
    yield guarded(np.zeros(size, kind))
    if size and size % 2 == 0:
        yield guarded(np.zeros((2, size // 2), kind)).T
        yield guarded(np.zeros((size // 2, 5), kind))[:, 1:3]


def against_torch(torch, schedule, words, fill, kinds, distance=0):
    """Compare a fill with PyTorch's: the values, and the state after, from several states before.

    `distance` is how far apart values may be, in units of the last place of 1 or, if more, theirs.
    """
    values = tuple(range(2 + len(words)))
    for kind in kinds:
        for size in SIZES:
            for out in outputs(size, kind):
                theirs, ours = torch.Generator().manual_seed(size), Generator()
                torch.rand([0, 1, 3, 622, 623, 624][size % 6], generator=theirs)
                ours.restore(bytes(theirs.get_state().tolist()))
                type = torch.from_numpy(out).dtype
                want = torch.empty_strided(out.shape, layout(out).strides, dtype=type)
                fill(want, theirs)
                done(schedule(layout(out), values, len(values)), [ours.address, *words, out])
                want = want.numpy()
                assert states_agree(ours, theirs), (kind, out.shape)
                if distance:
                    room = distance * np.finfo(kind).eps * np.maximum(1, np.abs(want))
                    assert (np.abs(out - want) <= room).all(), (kind, out.shape)
                else:
                    assert equal(out, want), (kind, out.shape)


@pytest.mark.parametrize("low, high", [(0, 1), (-0.3, 0.7), (3, 3)])
def test_uniform(torch, low, high):
    against_torch(torch, random.fill_uniform, [bits(low), bits(high)],
                  lambda x, g: x.uniform_(low, high, generator=g), ["f4", "f8"])


@pytest.mark.parametrize("mean, std", [(0, 1), (-0.3, 2.7)])
def test_normal(torch, mean, std):
    words = [bits(mean), bits(std)]

    def fill(x, generator):
        x.normal_(mean, std, generator=generator)

    against_torch(torch, random.fill_normal, words, fill, ["f4"])
    against_torch(torch, random.fill_normal, words, fill, ["f8"], distance=4 * std)


def test_normal_in_float32_agrees_in_every_bit(torch):
    ours, theirs = Generator().manual_seed(9), torch.Generator().manual_seed(9)
    out = guarded(np.zeros(1 << 20, "f4"))
    values = [ours.address, bits(0), bits(1), out]
    done(random.fill_normal(layout(out), (0, 1, 2, 3), 4), values)
    assert equal(out, torch.randn(1 << 20, generator=theirs).numpy())


@pytest.mark.parametrize("low, high, kinds", [
    (0, 2, ["i8", "i4", "i2", "i1", "u1", "?", "f4", "f8"]), (-5, 117, ["i8", "i4", "i1", "f4"]),
    (0, 2**28 - 1, ["i8", "i4"]), (0, 2**28, ["i8", "i4"]), (-(2**62), 2**62, ["i8"]),
])
def test_integers(torch, low, high, kinds):
    against_torch(torch, random.fill_integers, [low, high - low],
                  lambda x, g: x.random_(low, high, generator=g), kinds)


@pytest.mark.parametrize("kind, span, words", [
    ("f4", 2**24 + 1, 1), ("f8", 2**53 + 1, None), ("i8", 2**63, None), ("i4", 2**31, 1),
    ("i2", 2**15, 1), ("i1", 2**7, 1), ("u1", 2**8, 1), ("?", 2, 1),
])
def test_integers_without_bounds(torch, kind, span, words):
    against_torch(torch, lambda *a: random.fill_integers(*a, words=words), [0, span],
                  lambda x, g: x.random_(generator=g), [kind])


def test_integers_of_all_64_bits(torch):
    against_torch(torch, random.fill_integers, [0, 0],
                  lambda x, g: x.random_(-(2**63), None, generator=g), ["i8"])


def test_bernoulli(torch):
    x, theirs, ours = torch.empty(10), torch.Generator().manual_seed(1), Generator().manual_seed(1)
    x.bernoulli_(0.5, generator=theirs)
    ours.restore(bytes(theirs.get_state().tolist()))
    if int.from_bytes(ours.state_bytes()[16:24], "little") != 20:
        pytest.skip("on Intel's processors PyTorch draws these from a stream of MKL's")
    for p in (0, 0.3, 1):
        against_torch(torch, random.fill_bernoulli, [bits(p)],
                      lambda x, g, p=p: x.bernoulli_(p, generator=g), ["f4", "f8", "?", "i8"])


def test_exponential(torch):
    theirs = torch.Generator().manual_seed(1)
    torch.empty(10).exponential_(generator=theirs)
    if int.from_bytes(bytes(theirs.get_state()[16:24].tolist()), "little") != 20:
        pytest.skip("on Intel's processors PyTorch draws these from a stream of MKL's")
    for rate in (1, 0.7):
        against_torch(torch, random.fill_exponential, [bits(rate)],
                      lambda x, g, rate=rate: x.exponential_(rate, generator=g), ["f4", "f8"], 8)


def test_permutation(torch):
    for size in (*SIZES, 30000):
        for kind in ("i8", "i4", "f4"):
            ours, theirs = Generator().manual_seed(size), torch.Generator().manual_seed(size)
            out = guarded(np.zeros(size, kind))
            done(random.permutation(layout(out), (0, 1), 2), [ours.address, out])
            type = torch.from_numpy(out).dtype
            assert equal(out, torch.randperm(size, generator=theirs, dtype=type).numpy())
            assert states_agree(ours, theirs)


def test_random_numbers_do_not_depend_on_the_vector_width(monkeypatch):
    kinds = [("f4", random.fill_normal, [bits(1), bits(2)]),
             ("f8", random.fill_normal, [bits(1), bits(2)]),
             ("i8", random.fill_integers, [-3, 1000]), ("i8", random.fill_integers, [0, 2**40]),
             ("u1", random.fill_bernoulli, [bits(0.4)])]
    for size in (7, 1000, 3001):
        for kind, fill, words in kinds:
            drawn = []
            for width in WIDTHS:
                write_for(monkeypatch, width)
                generator, out = Generator().manual_seed(5), guarded(np.zeros(size, kind))
                values = tuple(range(2 + len(words)))
                done(fill(layout(out), values, len(values)), [generator.address, *words, out])
                drawn.append(out.tobytes() + generator.state_bytes())
            assert len(set(drawn)) == 1, kind


def test_state_is_exchanged_with_torch(torch):
    for seed in (0, 7, -3, 2**64 - 1):
        ours, theirs = Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
        assert ours.initial_seed() == theirs.initial_seed()
        assert ours.state_bytes() == bytes(theirs.get_state().tolist())
        torch.randn(3, generator=theirs)
        state = bytes(theirs.get_state().tolist())
        ours.restore(state)
        assert ours.state_bytes() == state == ours.clone_state().state_bytes()


def test_generator_refuses_what_is_no_seed_and_no_state():
    generator = Generator()
    with pytest.raises(RuntimeError, match="manual_seed: .* float"):
        generator.manual_seed(1.5)
    with pytest.raises(ValueError, match="manual_seed: .* range"):
        generator.manual_seed(2**64)
    with pytest.raises(RuntimeError, match="10 bytes"):
        generator.restore(bytes(10))
    with pytest.raises(RuntimeError, match="no state"):
        generator.restore(bytes(5056))
    with pytest.raises(RuntimeError, match="'xyz'"):
        Generator("xyz")


# --- scan -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("trial", range(60))
def test_scans(trial):
    rng = np.random.default_rng(trial)
    shape = shape_of(rng, trial)
    dim = int(rng.integers(0, max(len(shape), 1)))
    x = placed(rng, numbers(rng, shape, TYPES[trial % 8]))
    kind = x.dtype if x.dtype.kind == "f" else np.dtype("i8")
    carrier = "f8" if kind.kind == "f" else "i8"
    for fill, ufunc in ((scan.cumsum, np.add), (scan.cumprod, np.multiply)):
        for reverse in (False, True):
            line = np.atleast_1d(x).astype(carrier)
            line = np.flip(line, dim) if reverse else line
            want = ufunc.accumulate(line, axis=dim).astype(kind)
            want = (np.flip(want, dim) if reverse else want).reshape(shape)
            out = placed(rng, np.zeros(shape, kind))
            done(fill(layout(x), dim, layout(out), (0, 1), 2, reverse), [x, out])
            if carrier == "i8":
                assert equal(out, want)
            else:
                # Each of two orders rounds as often as there are elements.
                size = np.abs(line).sum(dim).max(initial=0) if ufunc is np.add else np.abs(want)
                bound = line.shape[dim] * np.finfo(kind).eps * size
                assert (np.abs(out - want) <= bound).all()


@pytest.mark.parametrize("size", (*range(7, 18), 100))
@pytest.mark.parametrize("kind", TYPES)
def test_scans_by_blocks(kind, size):
    rng = np.random.default_rng(size)
    x = guarded(numbers(rng, (5, size), kind))
    wide = np.dtype(kind) if np.dtype(kind).kind == "f" else np.dtype("i8")
    for reverse in (False, True):
        line = np.cumsum(x[:, ::-1] if reverse else x, 1, "f8" if wide.kind == "f" else "i8")
        out = guarded(np.zeros(x.shape, wide))
        done(scan.cumsum(layout(x), 1, layout(out), (0, 1), 2, reverse), [x, out])
        assert np.allclose(out, line[:, ::-1] if reverse else line, 1e-6, 1e-6)
    if wide.kind == "f":
        x[0, size // 2], x[1, 0], x[2, -1], x[3] = np.nan, np.nan, np.nan, -np.inf
        x[4, ::2] = 0.0, *[-0.0] * (len(x[4, ::2]) - 1)
    for greatest in (True, False):
        out, places = guarded(np.zeros(x.shape, kind)), guarded(np.zeros(x.shape, "i8"))
        done(scan.extreme(layout(x), 1, layout(out), layout(places), (0, 1, 2), greatest),
             [x, out, places])
        assert equal(out, (np.maximum if greatest else np.minimum).accumulate(x, 1))
        hit = (x == out) | (x != x)
        assert equal(places, np.maximum.accumulate(np.where(hit, np.arange(size), 0), 1))


def test_scan_of_every_vector_width(vector_bytes):
    rng = np.random.default_rng(0)
    for columns in (7, 8, 32, 33, 100):
        x, out = (guarded(numbers(rng, (20, columns), "f4")) for _ in range(2))
        done(scan.cumsum(layout(x), 0, layout(out), (0, 1), 2), [x, out])
        assert equal(out, np.cumsum(x, 0, "f8").astype("f4"))


# --- sort -----------------------------------------------------------------------------------------
def order_of(x, dim, descending):
    """The stable order along a dim, NaN as the greatest."""
    keys = np.moveaxis(x, dim, -1)
    _, keys = np.unique(keys + 0 if keys.dtype.kind == "f" else keys, return_inverse=True)
    keys = keys.reshape(np.moveaxis(x, dim, -1).shape)
    return np.moveaxis(np.argsort(-keys if descending else keys, -1, kind="stable"), -1, dim)


@pytest.mark.parametrize("trial", range(60))
def test_sort_and_topk(trial):
    rng = np.random.default_rng(trial)
    shape = shape_of(rng, trial, most=7) or (1,)
    dim = int(rng.integers(0, len(shape)))
    if trial % 4 == 0:
        shape = (*shape[:dim], int(rng.integers(60, 800)), *shape[dim + 1:])
    x = numbers(rng, shape, TYPES[trial % 8])
    if x.dtype.kind == "f" and trial % 3 == 0:
        special = np.array([np.nan, -0.0, 0.0, np.inf, -np.inf, 1, -1e-40], x.dtype)
        x = np.where(rng.random(shape) < 0.7, rng.choice(special, shape), x)
    elif x.dtype.kind == "i":
        x = x - x.dtype.type(50)
        x *= x.dtype.type(1 if x.itemsize < 8 else 10**14)
    x = placed(rng, x)
    for descending in (False, True):
        order = order_of(x, dim, descending)
        for k in {shape[dim], min(3, shape[dim]), shape[dim] // 4, shape[dim] // 3}:
            want = np.take(order, range(k), dim)
            out = placed(rng, np.zeros(want.shape, x.dtype))
            places = placed(rng, np.zeros_like(want))
            layouts = layout(out), layout(places), (0, 1, 2), 3
            if k == shape[dim]:
                schedule = sort.sort(layout(x), dim, *layouts, descending)
            else:
                schedule = topk.topk(layout(x), k, dim, *layouts, descending)
            done(schedule, [x, out, places])
            assert equal(places, want)
            assert np.array(out).tobytes() == np.take_along_axis(x, want, dim).tobytes()


def test_sort_of_every_vector_width(vector_bytes):
    rng = np.random.default_rng(0)
    for kind in ("f4", "f8"):
        for count in (1, 5, 63, 64, 65, 300):
            x = guarded(numbers(rng, (40, count), kind))
            out, places = guarded(np.zeros_like(x)), guarded(np.zeros(x.shape, "i8"))
            schedule = sort.sort(layout(x), 1, layout(out), layout(places), (0, 1, 2), 3)
            done(schedule, [x, out, places])
            assert equal(places, order_of(x, 1, descending=False))


def test_selection_of_every_vector_width(vector_bytes):
    rng = np.random.default_rng(0)
    for kind in ("f4", "i8", "u1", "i2"):
        for count in (1, 39, 40, 41, 65, 300, 3000):
            x = numbers(rng, (3, count), kind)
            x = guarded(np.where(rng.random(x.shape) < 0.5, x, x[:, :1]))
            want = order_of(x, 1, descending=False)
            out, place = guarded(np.zeros((3, 1), kind)), guarded(np.zeros((3, 1), "i8"))
            rank = count // 3
            done(selection.kth(layout(x), rank, 1, layout(out), layout(place), (0, 1, 2), 3),
                 [x, out, place])
            assert equal(place[:, 0], want[:, rank])
            k = -(-count // 5)
            out, places = guarded(np.zeros((3, k), kind)), guarded(np.zeros((3, k), "i8"))
            done(topk.topk(layout(x), k, 1, layout(out), layout(places), (0, 1, 2), 3, False),
                 [x, out, places])
            assert equal(places, want[:, :k])


# --- kernels --------------------------------------------------------------------------------------
def test_equal_keys_mean_equal_kernels():
    """Layouts of other sizes and strides use the same kernels."""
    texts = {}
    for n in (40, 50):
        x, out = np.zeros((n, n)), np.zeros((n, n))
        places = np.zeros((n, n), "i8")
        schedules = [
            index.take_rows(layout(x), layout(places[0]), layout(out), (0, 1, 2), 3),
            index.scatter_add(layout(x), 1, layout(places), layout(out), (0, 1, 2), 3),
            scan.cumsum(layout(x), 1, layout(out), (0, 1), 2),
            sort.sort(layout(x), 1, layout(out), layout(places), (0, 1, 2), 3),
            random.fill_uniform(layout(out), (0, 1, 2, 3), 4),
            random.fill_normal(layout(out), (0, 1, 2, 3), 4),
        ]
        for steps, _ in schedules:
            for step in steps:
                assert texts.setdefault(step.key, text := step.write().text()) == text
    assert len(texts) == 7
