"""Views: no copy, PyTorch's layouts, one memory for all aliases, and writes that overlap."""

import numpy as np
import pytest

import cresset

VIEWS = {
    "t": ((3, 4), lambda x: x.t()),
    "t of a vector": ((3,), lambda x: x.t()),
    "T": ((2, 3, 4), lambda x: x.T if x.ndim == 2 else x.permute(2, 1, 0)),
    "mT": ((2, 3, 4), lambda x: x.mT),
    "transpose": ((2, 3, 4), lambda x: x.transpose(0, -1)),
    "permute": ((2, 3, 4), lambda x: x.permute(2, 0, 1)),
    "permute by a tuple": ((2, 3, 4), lambda x: x.permute((1, -1, 0))),
    "movedim": ((2, 3, 4), lambda x: x.movedim(0, 2)),
    "view": ((2, 3, 4), lambda x: x.view(6, -1)),
    "view of a view": ((4, 6), lambda x: x[:, 1:5].view(2, 2, 2, 2)),
    "view with ones": ((2, 3), lambda x: x.view(1, 2, 1, 3, 1)),
    "view of a transposed": ((2, 3, 4), lambda x: x.permute(2, 0, 1).view(2, 2, 6)),
    "reshape": ((2, 3, 4), lambda x: x.reshape(4, 6)),
    "narrow": ((5, 3), lambda x: x.narrow(0, 1, 3)),
    "narrow from the end": ((5, 3), lambda x: x.narrow(0, -2, 2)),
    "select": ((2, 3, 4), lambda x: x.select(1, 2)),
    "select from the end": ((2, 3, 4), lambda x: x.select(-1, -1)),
    "unsqueeze": ((2, 3), lambda x: x.unsqueeze(1)),
    "unsqueeze last": ((2, 3), lambda x: x.unsqueeze(-1)),
    "unsqueeze first": ((2, 3), lambda x: x.t().unsqueeze(0)),
    "squeeze": ((1, 3, 1, 2), lambda x: x.squeeze()),
    "squeeze a dim": ((1, 3, 1), lambda x: x.squeeze(-1)),
    "squeeze nothing": ((2, 3), lambda x: x.squeeze(0)),
    "expand": ((3, 1), lambda x: x.expand(2, 3, 4)),
    "expand keeping": ((3, 1), lambda x: x.expand(-1, 4)),
    "as_strided": ((3, 4), lambda x: x.as_strided((2, 2), (4, 2), 1)),
    "as_strided of a view": ((3, 4), lambda x: x[1:].as_strided((2, 3), (3, 1))),
    "flatten": ((2, 3, 4), lambda x: x.flatten(1)),
    "flatten all": ((2, 3, 4), lambda x: x.flatten()),
    "unflatten": ((2, 12), lambda x: x.unflatten(1, (3, -1))),
    "unbind": ((3, 4), lambda x: x.unbind(1)),
    "split": ((5, 2), lambda x: x.split(2)),
    "split into sizes": ((2, 6), lambda x: x.split([1, 2, 3], 1)),
    "chunk": ((7, 2), lambda x: x.chunk(3)),
    "diagonal": ((3, 4), lambda x: x.diagonal()),
    "diagonal above": ((2, 3, 4), lambda x: x.diagonal(1, 1, 2)),
    "diagonal below": ((4, 3), lambda x: x.diagonal(-1)),
    "unfold": ((7, 2), lambda x: x.unfold(0, 3, 2)),
    "unfold overlapping": ((2, 7), lambda x: x.unfold(-1, 3, 1)),
    "detach": ((2, 3), lambda x: x.detach()),
    "iteration": ((3, 2), lambda x: tuple(x)),
    "[int]": ((3, 4), lambda x: x[1]),
    "[-int]": ((3, 4), lambda x: x[-1]),
    "[int, int]": ((3, 4), lambda x: x[1, 2]),
    "[slice]": ((5, 2), lambda x: x[1:4]),
    "[step]": ((7, 2), lambda x: x[1::2]),
    "[steps]": ((7, 5), lambda x: x[:-1:3, 1:5:2]),
    "[beyond]": ((5,), lambda x: x[2:100]),
    "[:, int]": ((3, 4), lambda x: x[:, 1]),
    "[None]": ((3, 4), lambda x: x[None]),
    "[:, None]": ((3, 4), lambda x: x[:, None]),
    "[..., None]": ((3, 4), lambda x: x[..., None]),
    "[...]": ((3, 4), lambda x: x[...]),
    "[..., int]": ((2, 3, 4), lambda x: x[..., 1]),
    "[int, ..., slice]": ((2, 3, 4), lambda x: x[0, ..., ::2]),
    "[mixture]": ((2, 3, 4), lambda x: x[1, None, ..., 1:4:2]),
    "[empty]": ((3, 4), lambda x: x[2:2]),
}
every_view = pytest.mark.parametrize("name", VIEWS)


def counting(package, shape):
    """0, 1, 2, ... in a shape."""
    return package.arange(int(np.prod(shape)), dtype=package.float32).view(shape)


def pieces(result):
    return result if isinstance(result, (tuple, list)) else (result,)


def viewed(package, name):
    """(the base, its views) of one line of the table."""
    shape, make = VIEWS[name]
    base = counting(package, shape)
    return base, pieces(make(base))


@every_view
def test_layouts_are_pytorchs(name, torch):
    base, views = viewed(cresset, name)
    expected_base, expected = viewed(torch, name)
    assert len(views) == len(expected)
    for got, wanted in zip(views, expected):
        assert tuple(got.shape) == tuple(wanted.shape)
        if got.numel():
            assert got.stride() == wanted.stride()
            assert got.storage_offset() == wanted.storage_offset()
        assert got.is_contiguous() == wanted.is_contiguous()
        assert got.tolist() == wanted.tolist()


@every_view
def test_views_copy_nothing(name):
    base, views = viewed(cresset, name)
    begin = base.memory.ptr
    for part in views:
        assert part.memory is base.memory
        assert begin <= part.data_ptr() <= begin + base.memory.nbytes



@every_view
def test_writes_are_seen_by_every_alias(name):
    shape, make = VIEWS[name]
    base, views = viewed(cresset, name)
    alias, again = base.view(-1), pieces(make(base))
    places = [v.long().numpy().copy() for v in views]
    flat = base.numpy().reshape(-1).copy()
    for k, (part, same, place) in enumerate(zip(views, again, places)):
        if len(np.unique(place)) != place.size:
            with pytest.raises(RuntimeError, match="single memory location"):
                part.fill_(-1.0)
            continue
        part.fill_(-1.0 - k)
        flat[place] = -1.0 - k
        assert (part.numpy() == -1.0 - k).all()
        assert (same.numpy() == -1.0 - k).all()
        np.testing.assert_array_equal(alias.numpy(), flat)
    alias.copy_(cresset.arange(base.numel(), dtype=cresset.float32) * 2)
    for part, place in zip(views, places):
        np.testing.assert_array_equal(part.numpy(), place * 2)


@every_view
def test_writes_of_tensors_through_views(name):
    base, views = viewed(cresset, name)
    flat = base.numpy().reshape(-1).copy()
    for part in views:
        place = part.long().numpy().copy()
        if len(np.unique(place)) != place.size:
            continue
        values = np.random.default_rng(0).random(tuple(part.shape), np.float32)
        part.mul_(2)
        part.add_(cresset.from_numpy(values))
        flat[place] = flat[place] * np.float32(2) + values
        np.testing.assert_array_equal(base.numpy().reshape(-1), flat)
        part.copy_(counting(cresset, tuple(part.shape) or (1,)).view(part.shape))
        flat[place] = np.arange(place.size).reshape(place.shape)
        np.testing.assert_array_equal(base.numpy().reshape(-1), flat)
        # What is compared next has to hold its own places again.
        base.view(-1).copy_(cresset.arange(base.numel()))
        flat = np.arange(base.numel(), dtype=np.float32)


@every_view
def test_versions_are_shared(name):
    base, views = viewed(cresset, name)
    for part in views:
        assert part._version == base._version
    base.add_(1)
    version = base._version
    assert version > 0
    for part in views:
        assert part._version == version


def test_every_kind_of_write_raises_the_version():
    x = counting(cresset, (2, 3))
    source = cresset.ones(2, 3)
    writes = [
        lambda: x.add_(1),
        lambda: x.copy_(source),
        lambda: x.fill_(2),
        lambda: x.zero_(),
        lambda: cresset.add(source, 1, out=x),
        lambda: x.t().mul_(2),
        lambda: x[0].fill_(1),
        lambda: x.__setitem__(0, 3),
        lambda: x.__setitem__((slice(None), 1), source[:, 0]),
        lambda: x.__setitem__(x > 1, 0),
        lambda: x.__setitem__([0, 1], 5),
        lambda: x.masked_fill_(x > 100, 0),
        lambda: x.scatter_(0, cresset.tensor([[0]]), 1.0),
        lambda: x.index_add_(0, cresset.tensor([0]), source[:1]),
        lambda: x.uniform_(),
        lambda: x.normal_(),
        lambda: x.clamp_(0, 1),
    ]
    for number, write in enumerate(writes):
        before = x._version
        write()
        assert x._version > before, number
    reads = [lambda: x + 1, lambda: x.sum(), lambda: x.clone(), lambda: x.t(), lambda: x.tolist()]
    for read in reads:
        before = x._version
        read()
        assert x._version == before


def test_reshape_copies_where_no_view_will_do():
    x = counting(cresset, (3, 4))
    with pytest.raises(RuntimeError, match="view"):
        x.t().view(12)
    copied = x.t().reshape(12)
    assert copied.memory is not x.memory
    assert copied.tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    assert x.contiguous() is x
    assert x.t().contiguous().stride() == (3, 1)


# --- writes whose source overlaps their destination -----------------------------------------------
def assigned(target, source):
    """The program `x[target] = x[source]`, where the source may come from a copy s."""

    def program(x, s):
        x[target] = s[source]

    return program


def increased(target, source):
    """The program `x[target] += x[source]`."""

    def program(x, s):
        x[target] += s[source]

    return program


ALL, UP, DOWN = slice(None), slice(1, None), slice(None, -1)
OVERLAPS = {
    "x[1:] = x[:-1]": ((9,), assigned(UP, DOWN)),
    "x[:-1] = x[1:]": ((9,), assigned(DOWN, UP)),
    "long x[1:] = x[:-1]": ((5000,), assigned(UP, DOWN)),
    "long x[:-1] = x[1:]": ((5000,), assigned(DOWN, UP)),
    "rows down": ((40, 33), assigned(UP, DOWN)),
    "rows up": ((40, 33), assigned(DOWN, UP)),
    "columns": ((33, 40), assigned((ALL, UP), (ALL, DOWN))),
    "every second": ((12,), assigned(slice(0, None, 2), slice(0, 6))),
    "thinned out": ((12,), assigned(slice(0, 6), slice(0, None, 2))),
    "from one row": ((6, 5), assigned(ALL, 2)),
    "disjoint": ((2, 9), assigned(0, 1)),
    "x[1:] += x[:-1]": ((70,), increased(UP, DOWN)),
    "x[:-1] += x[1:]": ((70,), increased(DOWN, UP)),
    "long x[1:] += x[:-1]": ((5000,), increased(UP, DOWN)),
    "x[:] += x[0]": ((6, 5), increased(ALL, 0)),
    "x[:] += x[-1]": ((6, 5), increased(ALL, -1)),
    "x[:] += x[1, 1]": ((6, 5), increased(ALL, (1, 1))),
    "x += x": ((6, 5), lambda x, s: x.__iadd__(s)),
    "x += x.T": ((17, 17), lambda x, s: x.__iadd__(s.T)),
    "x *= x.T": ((5, 5), lambda x, s: x.__imul__(s.T)),
    "x.T -= x": ((65, 65), lambda x, s: x.T.__isub__(s)),
    "x += x[:, 1:2]": ((5, 7), lambda x, s: x.__iadd__(s[:, 1:2])),
}


@pytest.mark.parametrize("name", OVERLAPS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_overlapping_writes_are_as_if_the_source_had_been_copied(name, dtype):
    shape, program = OVERLAPS[name]
    array = (np.arange(np.prod(shape)) % 11).astype(dtype).reshape(shape)
    x = cresset.from_numpy(array.copy())
    program(x, x)
    # NumPy itself does not copy `x[::2] = x[:6]`, so it is given a copy.
    program(array, array.copy())
    np.testing.assert_array_equal(x.numpy(), array)


METHODS = {
    "copy_ of t": lambda x, s: x.copy_(s.t()),
    "copy_ of rows": lambda x, s: x[1:].copy_(s[:-1]),
    "copy_ of columns": lambda x, s: x[:, 1:].copy_(s[:, :-1]),
    "copy_ of elements": lambda x, s: x.view(-1)[2:].copy_(s.view(-1)[:-2]),
    "copy_ of a row": lambda x, s: x.copy_(s[1].expand(x.shape)),
    "add_": lambda x, s: x.add_(s.t()),
    "mul_": lambda x, s: x[1:].mul_(s[:-1]),
    "sub_": lambda x, s: x.t().sub_(s),
    "addcmul_": lambda x, s: x.addcmul_(s.t(), s.t()),
    "lerp_": lambda x, s: x.lerp_(s.t(), 0.25),
    "masked_fill_": lambda x, s: x.masked_fill_(s.t() > 3, 0),
    "matmul into its operand": lambda x, s: x.copy_(s @ s.t()),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("size", [4, 17, 64])
def test_overlapping_methods(name, size):
    x = cresset.from_numpy(np.arange(size * size, dtype="f4").reshape(size, size) % 7)
    expected = x.clone()
    METHODS[name](expected, expected.clone())
    METHODS[name](x, x)
    assert x.tolist() == expected.tolist()


def test_out_that_overlaps_an_operand():
    x = counting(cresset, (50,))
    cresset.add(x[:-1], x[1:], out=x[1:])
    assert x.tolist() == [0, *[2.0 * k + 1 for k in range(49)]]
    y = counting(cresset, (6, 6))
    expected = y.t().exp() + y
    cresset.add(y.t().exp(), y, out=y)
    assert y.tolist() == expected.tolist()
    z = counting(cresset, (6, 6))
    expected = z.t() + 1
    cresset.add(z.t(), 1, out=z)
    assert z.tolist() == expected.tolist()


def test_advanced_writes_that_overlap():
    array = np.arange(12.0)
    x = cresset.from_numpy(array.copy())
    index = [11, 0, 5, 3]
    x[cresset.tensor(index)] = x[2:6]
    array[index] = array[2:6].copy()
    np.testing.assert_array_equal(x.numpy(), array)
    x[1:][x[:-1] > 4] = 0
    array[1:][array[:-1].copy() > 4] = 0
    np.testing.assert_array_equal(x.numpy(), array)


@pytest.mark.parametrize("write", [
    lambda x: x.add_(1),
    lambda x: x.fill_(1),
    lambda x: x.zero_(),
    lambda x: x.copy_(cresset.ones(3, 4)),
    lambda x: x.mul_(cresset.ones(3, 4)),
    lambda x: x.__setitem__(slice(None), 1),
    lambda x: x.__setitem__((slice(None), slice(1, 3)), 1),
    lambda x: cresset.add(cresset.ones(3, 4), 1, out=x),
    lambda x: x.t().add_(1),
    lambda x: x.masked_fill_(cresset.ones(3, 4) > 0, 1),
    lambda x: x.normal_(),
    lambda x: x.uniform_(),
    lambda x: x.scatter_(0, cresset.zeros(3, 4, dtype=cresset.int64), 1.0),
])
def test_writes_to_expanded_tensors_raise(write):
    base = cresset.zeros(3, 1)
    with pytest.raises(RuntimeError, match="single memory location"):
        write(base.expand(3, 4))
    assert base.tolist() == [[0], [0], [0]]


def test_writes_to_overlapping_windows_raise():
    x = cresset.zeros(7)
    with pytest.raises(RuntimeError, match="single memory location"):
        x.unfold(0, 3, 1).add_(1)
    x.unfold(0, 3, 3).add_(1)
    assert x.tolist() == [1, 1, 1, 1, 1, 1, 0]
    with pytest.raises(RuntimeError, match="single memory location"):
        x.as_strided((3, 3), (1, 1)).zero_()


def test_zero_dim_and_empty_views():
    x = cresset.tensor(5.0)
    assert x.view(1, 1).tolist() == [[5]]
    assert x[None].tolist() == [5]
    assert x[...].tolist() == 5
    assert x.expand(2, 2).tolist() == [[5, 5], [5, 5]]
    assert x.flatten().tolist() == [5]
    x[...] = 6
    x[()] += 1
    assert x.item() == 7
    empty = cresset.zeros(0, 3)
    assert tuple(empty.t().shape) == (3, 0)
    assert tuple(empty.view(3, 0, 2).shape) == (3, 0, 2)
    assert empty.unbind(0) == ()
    empty[:] = 1
    empty += cresset.ones(3)
    assert empty.tolist() == []


ERRORS = {
    "index out of range": (IndexError, lambda x: x[3]),
    "too many indices": (IndexError, lambda x: x[0, 0, 0]),
    "step below one": (ValueError, lambda x: x[::-1]),
    "select": (IndexError, lambda x: x.select(0, 3)),
    "dim": (IndexError, lambda x: x.transpose(0, 2)),
    "permute twice": (RuntimeError, lambda x: x.permute(0, 0)),
    "view of another size": (RuntimeError, lambda x: x.view(5)),
    "two unknown sizes": (RuntimeError, lambda x: x.view(-1, -1)),
    "narrow beyond": (RuntimeError, lambda x: x.narrow(0, 2, 2)),
    "expand of a size": (RuntimeError, lambda x: x.expand(5, 4)),
    "expand to fewer dims": (RuntimeError, lambda x: x.expand(4)),
    "as_strided beyond": (RuntimeError, lambda x: x.as_strided((4, 4), (4, 1))),
    "as_strided before": (RuntimeError, lambda x: x.as_strided((1,), (1,), -1)),
    "split that does not add up": (RuntimeError, lambda x: x.split([1, 1])),
    "no chunks": (RuntimeError, lambda x: x.chunk(0)),
    "same dims": (RuntimeError, lambda x: x.diagonal(0, 1, 1)),
    "window too large": (RuntimeError, lambda x: x.unfold(0, 4, 1)),
    "no step": (RuntimeError, lambda x: x.unfold(0, 2, 0)),
    "t of three dims": (RuntimeError, lambda x: x[None].t()),
    "value of another shape": (RuntimeError, lambda x: x.__setitem__(0, cresset_like(x, 3))),
}


def cresset_like(x, size):
    """A vector of the package that x is from."""
    return x.new_zeros(size)


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    kind, program = ERRORS[name]
    x = counting(cresset, (3, 4))
    with pytest.raises(kind):
        program(x)
    assert x.sum().item() == 66


@pytest.mark.parametrize("name", ERRORS)
def test_error_classes_are_pytorchs(name, torch):
    kind, program = ERRORS[name]
    with pytest.raises(kind):
        program(counting(torch, (3, 4)))
