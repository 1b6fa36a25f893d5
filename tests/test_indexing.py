"""Indexing beyond the table of samples: errors, warnings, overlap, duplicates, any item size."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest

import cresset

# --- errors ---------------------------------------------------------------------------------------
ONE = "t.tensor([[1, 0], [7, 0]])"
OUT_OF_RANGE = {
    "x[index]": (IndexError, f"x[{ONE}]"),
    "x[:, index]": (IndexError, f"x[:, {ONE}]"),
    "x[index] = 0": (IndexError, f"x.__setitem__({ONE}, 0.0)"),
    "index_put_": (IndexError, f"x.index_put_(({ONE},), t.ones(4), True)"),
    "index_select": (IndexError, "x.index_select(0, t.tensor([1, 0, 7, 0]))"),
    "index_add_": (RuntimeError, "x.index_add_(0, t.tensor([1, 0, 7, 0]), t.ones(4, 4))"),
    "index_copy_": (IndexError, "x.index_copy_(0, t.tensor([1, 0, 7, 0]), t.ones(4, 4))"),
    "index_fill_": (IndexError, "x.index_fill_(0, t.tensor([1, 0, 7, 0]), 1.0)"),
    "index_reduce_": (IndexError,
                      "x.index_reduce_(0, t.tensor([1, 0, 7, 0]), t.ones(4, 4), 'mean')"),
    "index_reduce_ alone": (IndexError, "x.index_reduce_(0, t.tensor([1, 0, 7, 0]), t.ones(4, 4), "
                                        "'amax', include_self=False)"),
    "gather": (RuntimeError, f"x.gather(1, {ONE})"),
    "scatter_": (RuntimeError, f"x.scatter_(1, {ONE}, 1.0)"),
    "scatter_add_": (RuntimeError, f"x.scatter_add_(1, {ONE}, t.ones(2, 2))"),
    "scatter_reduce_": (RuntimeError, f"x.scatter_reduce_(1, {ONE}, t.ones(2, 2), 'mean')"),
    "take": (IndexError, "x.take(t.tensor([1, 0, 77]))"),
    "put_": (IndexError, "x.put_(t.tensor([1, 0, 77]), t.ones(3))"),
    "embedding": (IndexError, f"t.nn.functional.embedding({ONE}, x)"),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_a_bad_index_is_named_and_nothing_is_written(name):
    error, call = OUT_OF_RANGE[name]
    x = cresset.arange(12.0).view(3, 4)
    before = x.clone()
    with pytest.raises(error, match=r"index 77? is out of bounds .* at flat position 2 "):
        eval(call, {"t": cresset, "x": x})
    assert cresset.equal(x, before)


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_pytorch_raises_the_same_class(name, torch):
    error, call = OUT_OF_RANGE[name]
    with pytest.raises(error), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        eval(call, {"t": torch, "x": torch.arange(12.0).view(3, 4)})


LONG = "t.tensor([0, 1])"
REFUSED = {
    "a float": (IndexError, "x[1.5]"),
    "a float tensor": (IndexError, "x[t.tensor([1.0])]"),
    "a short tensor": (IndexError, f"x[{LONG}.short()]"),
    "too many": (IndexError, "x[0, 0, 0]"),
    "too many tensors": (IndexError, f"x[{LONG}, {LONG}, {LONG}]"),
    "a mask of another shape": (IndexError, "x[t.tensor([True])]"),
    "a mask written of another shape": (IndexError, "x.__setitem__(t.tensor([True]), 1.0)"),
    "shapes that do not broadcast": (IndexError, f"x[{LONG}, t.tensor([0, 1, 2])]"),
    "ellipses that are too long": (IndexError, "x[..., ..., 0]"),
    "a negative step": (ValueError, "x[::-1]"),
    "a bound that is no integer": (TypeError, "x[:1.5]"),
    "a list for a value": (TypeError, "x.__setitem__(0, [1.0, 2.0])"),
    "None for a value": (TypeError, "x.__setitem__(0, None)"),
    "a list for a value at a list": (TypeError, "x.__setitem__([0], [1.0])"),
    "a complex number": (RuntimeError, "x.__setitem__([0], 1j)"),
    "a value of another type": (RuntimeError, "x.__setitem__([0], t.ones(4).long())"),
    "a value of another shape": (RuntimeError, "x.__setitem__([0], t.ones(3))"),
    "a byte mask filled": (RuntimeError, "x.__setitem__(t.ones(3).byte(), 1.0)"),
    "index_put_ by lists": (TypeError, "x.index_put_(([0],), t.ones(4))"),
    "index_put_ of a number": (TypeError, f"x.index_put_(({LONG},), 1.0)"),
    "index_put_ of another type": (RuntimeError, f"x.index_put_(({LONG},), t.tensor(1))"),
    "gather by shorts": (RuntimeError, "x.gather(0, t.zeros(1, 1).short())"),
    "gather by a vector": (RuntimeError, f"x.gather(0, {LONG})"),
    "gather of more": (RuntimeError, "x.gather(0, t.zeros(1, 5).long())"),
    "gather dim": (IndexError, "x.gather(2, t.zeros(1, 1).long())"),
    "scatter of another type": (RuntimeError,
                                "x.scatter(0, t.zeros(1, 1).long(), t.ones(1, 1).double())"),
    "scatter of less": (RuntimeError, "x.scatter(0, t.zeros(2, 1).long(), t.ones(1, 1))"),
    "scatter by what": (RuntimeError, "x.scatter(0, t.zeros(1, 1).long(), 1, reduce='mean')"),
    "scatter_reduce by what": (RuntimeError,
                               "x.scatter_reduce(0, t.zeros(1, 1).long(), t.ones(1, 1), 'add')"),
    "scatter_reduce of another type": (RuntimeError, "x.scatter_reduce_(0, t.zeros(1, 1).long(), "
                                       "t.ones(1, 1).long(), 'mean', include_self=False)"),
    "index_select by a matrix": (IndexError, "x.index_select(0, t.tensor([[0]]))"),
    "index_add of less": (RuntimeError, f"x.index_add(0, {LONG}, t.ones(1, 4))"),
    "index_add of another type": (RuntimeError, f"x.index_add(0, {LONG}, t.ones(2, 4).long())"),
    "index_copy by ints": (RuntimeError, f"x.index_copy(0, {LONG}.int(), t.ones(2, 4))"),
    "index_copy of less": (IndexError, f"x.index_copy(0, {LONG}, t.ones(1, 4))"),
    "index_fill with a vector": (RuntimeError, f"x.index_fill(0, {LONG}, t.ones(1))"),
    "index_reduce by sum": (RuntimeError, f"x.index_reduce(0, {LONG}, t.ones(2, 4), 'sum')"),
    "take by ints": (RuntimeError, f"x.take({LONG}.int())"),
    "put of less": (IndexError, f"x.put({LONG}, t.ones(3))"),
    "put of another type": (RuntimeError, f"x.put({LONG}, t.tensor([1, 2]))"),
    "masked_fill by numbers": (RuntimeError, "x.masked_fill(x, 1.0)"),
    "masked_fill with a vector": (RuntimeError, "x.masked_fill(x > 1, t.ones(1))"),
    "masked_fill_ that grows": (RuntimeError, "x.masked_fill_(t.ones(2, 3, 4).bool(), 1.0)"),
    "masked_select by bytes": (RuntimeError, "x.masked_select(x.byte())"),
    "masked_scatter of less": (RuntimeError, "x.masked_scatter_(x > -1, t.ones(3))"),
    "masked_scatter of another type": (RuntimeError,
                                       "x.masked_scatter_(x > 1, t.ones(12).double())"),
    "take_along_dim by ints": (RuntimeError, "x.take_along_dim(t.zeros(1, 4).int(), 0)"),
    "unravel_index of floats": (TypeError, "t.unravel_index(t.ones(2), (2, 3))"),
    "select_scatter of another shape": (RuntimeError, "x.select_scatter(t.ones(3), 0, 0)"),
    "one_hot of less": (RuntimeError, f"t.nn.functional.one_hot({LONG}, 1)"),
    "one_hot of ints": (RuntimeError, f"t.nn.functional.one_hot({LONG}.int(), 3)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    error, call = REFUSED[name]
    x = cresset.arange(12.0).view(3, 4)
    before = x.clone()
    with pytest.raises(error), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        eval(call, {"t": cresset, "x": x})
    assert cresset.equal(x, before)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_pytorch_as_well(name, torch):
    error, call = REFUSED[name]
    with pytest.raises(error), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        eval(call, {"t": torch, "x": torch.arange(12.0).view(3, 4)})


# --- warnings -------------------------------------------------------------------------------------
def test_deprecated_indices_warn_at_the_line_that_uses_them():
    x = cresset.arange(6).view(2, 3)
    mask = cresset.tensor([1, 0], dtype=cresset.uint8)
    for use in (lambda: x[mask], lambda: x[np.array([1, 0], "uint8")], lambda: x[[slice(1), 0]],
                lambda: x.__setitem__(mask, cresset.zeros(1, 3, dtype=cresset.int64))):
        with pytest.warns(UserWarning, match="deprecated") as seen:
            use()
        assert seen[0].filename == __file__


# --- writes ---------------------------------------------------------------------------------------
def test_of_several_writes_the_last_stays():
    places = cresset.zeros(5000, dtype=cresset.int64)
    values = cresset.arange(5000.0)
    line = values.view(-1, 1)
    for write in (lambda x: x.__setitem__(places, values),
                  lambda x: x.index_put_((places,), values),
                  lambda x: x.index_copy_(0, places, values),
                  lambda x: x.scatter_(0, places, values),
                  lambda x: x.put_(places, values)):
        x = cresset.zeros(3)
        write(x)
        assert x.tolist() == [4999, 0, 0]
    wide = cresset.zeros(3, 40)
    wide[places] = line
    assert wide.tolist() == [[4999.0] * 40, [0.0] * 40, [0.0] * 40]


def test_sums_are_added_up_in_order():
    """Float sums depend on the order: it is that of the indices."""
    generator = np.random.default_rng(0)
    places = generator.integers(0, 4, 3000)
    values = (generator.standard_normal(3000) * 10.0 ** generator.integers(0, 8, 3000)).astype("f4")
    expected = np.zeros(4, "f4")
    for k, value in zip(places, values):
        expected[k] += value
    index, source = cresset.from_numpy(places), cresset.from_numpy(values)
    for added in (cresset.zeros(4).index_add(0, index, source),
                  cresset.zeros(4).scatter_add(0, index, source),
                  cresset.zeros(4).index_put((index,), source, True),
                  cresset.zeros(4).put(index, source, True)):
        assert (added.numpy() == expected).all()


def test_a_source_that_overlaps_is_read_first():
    shifted = [1, 2, 3, 0]
    index = cresset.tensor(shifted)
    for write in (lambda x: x.__setitem__(index, x), lambda x: x.index_copy_(0, index, x),
                  lambda x: x.scatter_(0, index, x), lambda x: x.put_(index, x),
                  lambda x: x.masked_scatter_(cresset.ones(4).bool(), x[shifted].roll(-2))):
        x = cresset.arange(4.0)
        write(x)
        assert x.tolist() == [3, 0, 1, 2]
    x = cresset.arange(6.0)
    x[1:][cresset.tensor([0, 1, 2, 3, 4])] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3, 4]
    # An index tensor that is written over itself.
    x = cresset.tensor(shifted)
    x.scatter_(0, x, x)
    assert x.tolist() == [0, 1, 2, 3]


def test_a_view_is_written_through():
    base = cresset.zeros(4, 6)
    base.t()[2:][cresset.tensor([0, 3])] = 1.0
    assert base.nonzero()[:, 1].unique().tolist() == [2, 5]
    base[:, None, ::2][base[:, None, ::2] > 0] = 7.0
    assert base[:, 2].tolist() == [7.0] * 4 and base[:, 5].tolist() == [1.0] * 4


def test_expanded_memory_is_not_written():
    x = cresset.zeros(1, 3).expand(4, 3)
    with pytest.raises(RuntimeError, match="single memory location"):
        x[[0, 2]] = 1.0


def test_gradient_of_a_write_through_an_index():
    x = cresset.arange(6.0, requires_grad=True)
    value = cresset.tensor(3.0, requires_grad=True)
    y = x * 1
    y[cresset.tensor([1, 1, 4])] = value
    y[y > 4.5] = value * 2
    y.backward(cresset.arange(1.0, 7.0))
    assert x.grad.tolist() == [1, 0, 3, 4, 0, 0]
    assert value.grad.item() == 2 + 2 + 5 + 2 * 6


def test_embedding_beyond_the_rows(torch):
    """Gradients over frequencies, none of the padding, and rows shortened in the table."""
    table = np.arange(10.0).reshape(5, 2)
    for keywords in ({"scale_grad_by_freq": True}, {"padding_idx": 1}, {"max_norm": 3.0},
                     {"max_norm": 9.0, "norm_type": 1.0, "padding_idx": -1}):
        results = []
        for package in (torch, cresset):
            weight = package.from_numpy(table.copy()).requires_grad_()
            index = package.tensor([[1, 1, 4], [0, 1, 3]])
            rows = package.nn.functional.embedding(index, weight, **keywords)
            rows.backward(package.from_numpy(np.arange(12.0).reshape(2, 3, 2)))
            results.append([a.detach().numpy() for a in (rows, weight, weight.grad)])
        for expected, got in zip(*results):
            np.testing.assert_allclose(got, expected, rtol=1e-12)


# --- any element ----------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float16", "bfloat16", "uint32",
                                   "float32", "uint64", "float64", "complex64", "complex128",
                                   "float8_e4m3fn"])
def test_elements_of_any_size_are_moved(dtype):
    d = getattr(cresset, dtype)
    flat = cresset.arange(24).remainder(2 if dtype == "bool" else 16).to(d)
    x, places = flat.view(4, 6), [2, 0, 2]
    index, mask = cresset.tensor(places), cresset.arange(24).view(4, 6).remainder(3).eq(0)
    of_three = [k for k in range(24) if k % 3 == 0]

    def same(got, numbers):
        expected = cresset.stack([flat[k] for k in numbers])
        assert got.dtype is d and cresset.equal(got.reshape(-1), expected)

    rows = [6 * r + c for r in places for c in range(6)]
    for got in (x[index], x.index_select(0, index), x[places],
                x.gather(0, index.view(3, 1).expand(3, 6))):
        same(got, rows)
    same(x[:, index], [6 * r + c for r in range(4) for c in places])
    same(x.t()[index], [6 * r + c for c in places for r in range(4)])
    for got in (x[mask], x.masked_select(mask), x.take(cresset.tensor(of_three))):
        same(got, of_three)
    written = cresset.zeros(4, 6, dtype=d)
    written[mask] = x[mask]
    written[cresset.tensor([1, 3])] = x[cresset.tensor([1, 3])]
    kept = {*of_three, *range(6, 12), *range(18, 24)}
    expected = [k if k in kept else None for k in range(24)]
    zero = cresset.zeros((), dtype=d)
    assert cresset.equal(written.view(-1), cresset.stack(
        [zero if k is None else flat[k] for k in expected]))


# --- at random ------------------------------------------------------------------------------------
def random_part(draw, sizes):
    """(a maker of a part of an index from a package, how many dims it takes up)."""
    n = sizes[0] if sizes else 0
    kind = draw.choice("iissnebttlmMr" if sizes else "neb")
    if kind == "i":
        value = draw.randint(-n, max(n - 1, 0))
        return (lambda package: value), 1
    if kind == "s":
        bounds = [draw.choice([None, draw.randint(-5, 5)]) for _ in range(2)]
        part = slice(*bounds, draw.choice([None, 1, 2]))
        return (lambda package: part), 1
    if kind in "neb":
        value = {"n": None, "e": Ellipsis, "b": draw.random() < 0.5}[kind]
        return (lambda package: value), 0
    if kind in "mM":
        # PyTorch counts an array, unlike a tensor, as one dim when it resolves an ellipsis.
        shape = sizes[: draw.randint(1, min(2, len(sizes))) if kind == "m" else 1]
        mask = np.array([draw.random() < 0.5 for _ in range(np.prod(shape, dtype=int))], bool)
        mask = mask.reshape(shape)
        return (lambda package: package.from_numpy(mask) if kind == "m" else mask), len(shape)
    shape = draw.choice([(2,), (3,), (1,), (2, 3), (), (0,), (3, 1)]) if n else (0,)
    if kind == "r":
        return (lambda package: range(n)), 1
    places = np.array([draw.randint(-n, n - 1) for _ in range(np.prod(shape, dtype=int))], "i8")
    places = places.reshape(shape)
    return (lambda package: package.from_numpy(places) if kind == "t" else places.tolist()), 1


@pytest.mark.parametrize("seed", range(4))
def test_random_indices_agree_with_pytorch(torch, seed):
    draw = random.Random(seed)
    for _ in range(250):
        shape = tuple(draw.choice([0, 1, 2, 3, 4]) for _ in range(draw.randint(0, 4)))
        values = np.arange(np.prod(shape, dtype=int), dtype="f4").reshape(shape)
        parts, left = [], shape
        for _ in range(draw.randint(1, 4)):
            part, taken = random_part(draw, left)
            parts.append(part)
            left = left[taken:]
        turned, writes, number = draw.random() < 0.3, draw.random() < 0.5, draw.choice([3, 2.5])
        results = []
        for package in (torch, cresset):
            x = package.from_numpy(values.copy())
            if turned and shape:
                x = x.transpose(0, -1).contiguous().transpose(0, -1)
            index = tuple(part(package) for part in parts)
            try:
                if writes:
                    x[index] = number
                else:
                    x = x[index]
                results.append(x.numpy())
            except (IndexError, RuntimeError) as error:
                results.append(type(error))
        expected, got = results
        if isinstance(expected, type) or isinstance(got, type):
            assert expected is got, index
        else:
            assert expected.shape == got.shape and (expected == got).all(), (shape, index)
