"""What types say of themselves, and the constructors and conversions that go by type."""

import pickle

import pytest

import cresset
from cresset.core import dtype as types
from cresset.ops.creation import legacy

FLOATING = [d for d in types.ALL if d.is_differentiable]


def test_types_are_pytorchs(torch):
    for d in types.ALL:
        other = getattr(torch, d.name)
        assert repr(d) == repr(other)
        for name in ("itemsize", "is_floating_point", "is_complex", "is_signed"):
            assert getattr(d, name) == getattr(other, name), (d, name)
        assert repr(d.to_real()) == repr(other.to_real())
        assert pickle.loads(pickle.dumps(d)) is d
    for name, d in types.ALIASES.items():
        assert repr(getattr(torch, name)) == repr(d)


def test_complex_of_real():
    assert types.float64.to_complex() is types.complex128
    assert types.bfloat16.to_complex() is types.complex64
    for d in (types.int64, types.float8_e5m2):
        with pytest.raises(RuntimeError, match="no complex type"):
            d.to_complex()


def test_finfo_is_pytorchs(torch):
    for d in FLOATING:
        got, expected = cresset.finfo(d), torch.finfo(getattr(torch, d.name))
        if d is types.float8_e5m2fnuz:
            # From 1 to the next number is a quarter; PyTorch gives half of that.
            assert got.eps == 0.25
            continue
        assert repr(got) == repr(expected)
        for name in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"):
            assert getattr(got, name) == getattr(expected, name), (d, name)


def test_iinfo_is_pytorchs(torch):
    for d in types.COMPUTED:
        if d.category == d.INTEGER:
            got, expected = cresset.iinfo(d), torch.iinfo(getattr(torch, d.name))
            assert repr(got) == repr(expected)
            for name in ("bits", "min", "max", "dtype"):
                assert getattr(got, name) == getattr(expected, name)


def test_limits_hold():
    """They are where the types end: the next numbers beyond round to something else."""
    for d in FLOATING:
        if d.is_complex:
            continue
        info = cresset.finfo(d)
        limits = [info.max, info.min, info.tiny, 1 + info.eps]
        assert cresset.tensor(limits, dtype=cresset.float64).to(d).double().tolist() == limits
        if info.bits < 64:
            beside = cresset.tensor([1 + info.eps / 4], dtype=cresset.float64)
            assert beside.to(d).double().item() == 1.0


def test_limits_of_other_types_raise():
    assert cresset.finfo() == cresset.finfo(cresset.float32) != cresset.finfo(cresset.float64)
    for wrong in (lambda: cresset.finfo(cresset.int64), lambda: cresset.iinfo(cresset.float32),
                  lambda: cresset.iinfo(cresset.bool), lambda: cresset.iinfo(5),
                  lambda: hash(cresset.finfo())):
        with pytest.raises(TypeError):
            wrong()


# --- constructors by type -------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(legacy.NAMES.values()))
def test_constructors_are_pytorchs(name, torch):
    def made(package):
        constructor = getattr(package, name)
        x = constructor([1, 0, 1])
        yield from (x, constructor(), constructor((1, 0)), constructor([[1], [0]]))
        yield from (constructor(x), x.new(), x.new([1, 1]), x.new(x), x.new_tensor([1]))
        yield from (x.type("torch.ByteTensor"), x.type(package.LongTensor), x.type(package.half))
        yield constructor(2, 3).zero_()
        yield constructor(package.Size([2, 0]))
        yield x.new(1, 2).zero_()

    for k, (got, expected) in enumerate(zip(made(cresset), made(torch), strict=True)):
        assert repr(got) == repr(expected), k
        assert got.type() == expected.type()
        assert isinstance(got, cresset.Tensor)
        assert isinstance(got, getattr(cresset, name)) == isinstance(expected, getattr(torch, name))
    assert repr(getattr(cresset, name)) == repr(getattr(torch, name))
    assert repr(getattr(cresset, name).dtype) == repr(getattr(torch, name).dtype)


def test_a_tensor_given_to_a_constructor_is_shared():
    x = cresset.zeros(2)
    cresset.FloatTensor(x)[0] = 3
    x.new(x)[1] = 4
    assert x.tolist() == [3.0, 4.0]


def test_what_constructors_refuse():
    x = cresset.ones(2)
    for wrong, error in {
        lambda: cresset.LongTensor(x): TypeError,
        lambda: cresset.FloatTensor(2.5): TypeError,
        lambda: cresset.Tensor(cresset.float32): TypeError,
        lambda: cresset.FloatTensor(2, device="cuda"): RuntimeError,
        lambda: x.type("LongTensor"): ValueError,
        lambda: cresset.set_default_tensor_type(cresset.LongTensor): TypeError,
        lambda: cresset.set_default_dtype(cresset.float8_e5m2): TypeError,
    }.items():
        with pytest.raises(error):
            wrong()


def test_the_default_type_by_constructor():
    try:
        cresset.set_default_tensor_type("torch.DoubleTensor")
        assert cresset.Tensor([1]).dtype is cresset.ones(1).dtype is cresset.float64
        cresset.set_default_tensor_type(cresset.HalfTensor)
        assert cresset.Tensor(2).dtype is cresset.get_default_dtype() is cresset.float16
    finally:
        cresset.set_default_tensor_type(cresset.FloatTensor)
    assert cresset.Tensor(2, 3).type() == "torch.FloatTensor"


def test_conversions_by_name(torch):
    names = ("float", "double", "half", "bfloat16", "bool", "byte", "char", "short", "int", "long",
             "cfloat", "cdouble")

    def made(package):
        x = package.tensor([0.0, 1.7, -2.3])
        for name in names:
            yield getattr(x, name)()
            yield x.to(getattr(x, name)().dtype)
            yield x.type_as(getattr(x, name)())

    for got, expected in zip(made(cresset), made(torch), strict=True):
        assert repr(got.dtype) == repr(expected.dtype)
        if expected.dtype is not torch.uint8:  # of a negative number, which is left open
            assert got.tolist() == expected.tolist()


def test_questions_about_types(torch):
    def answers(package):
        x = package.tensor([1.0])
        yield from (x.is_floating_point(), package.is_floating_point(x.int()), x.is_signed())
        yield from (x.is_complex(), package.is_nonzero(x), package.is_nonzero(x * 0))
        yield repr(package.result_type(x.int(), 1.5))
        yield repr(package.result_type(x.half(), package.tensor(1.0)))
        yield repr(package.result_type(1, 2.0))
        for wrong in (lambda: package.is_floating_point(3), lambda: package.is_nonzero(3)):
            try:
                wrong()
            except TypeError:
                yield "TypeError"
        for wrong in (package.ones(2), package.ones(0)):
            try:
                package.is_nonzero(wrong)
            except RuntimeError:
                yield "RuntimeError"

    assert list(answers(cresset)) == list(answers(torch))


FLOATING_ALONE = ("elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "leaky_relu",
                  "logsigmoid", "hardsigmoid", "hardswish", "hardshrink", "softshrink")
NO_BOOLEANS = {
    "floor_divide": lambda p, x: x // x, "remainder": lambda p, x: x % x,
    "fmod": lambda p, x: p.fmod(x, x), "relu": lambda p, x: p.relu(x),
    "div": lambda p, x: p.div(x, x, rounding_mode="trunc"),
    "softsign": lambda p, x: p.nn.functional.softsign(x),
}


def test_types_that_an_operation_refuses(torch):
    """Activations of integers, quotients of booleans."""
    for package in (cresset, torch):
        for x in (package.ones(2, dtype=package.int64), package.ones(2, dtype=package.bool)):
            for name in FLOATING_ALONE:
                with pytest.raises(NotImplementedError, match="not implemented for"):
                    getattr(package.nn.functional, name)(x)
        for call in NO_BOOLEANS.values():
            assert call(package, package.ones(2, dtype=package.int64)).tolist() is not None
            with pytest.raises(RuntimeError, match="not implemented for|not supported"):
                call(package, package.ones(2, dtype=package.bool))


# --- the same bytes as another type ---------------------------------------------------------------
VIEWS = {
    "same size": lambda p, x: x.view(p.int32),
    "smaller": lambda p, x: x.view(p.float16),
    "bytes": lambda p, x: x.view(p.uint8),
    "greater": lambda p, x: x.view(p.float64),
    "complex": lambda p, x: x.view(p.complex64),
    "by keyword": lambda p, x: x.view(dtype=p.int32),
    "columns": lambda p, x: x.t().view(p.int32),
    "every second row": lambda p, x: x[::2].view(p.float64),
    "half a row": lambda p, x: x[:, :2].view(p.int64),
    "one element": lambda p, x: x[0, 0].view(p.int32),
    "nothing": lambda p, x: x[:0].view(p.int16),
    "columns of another size": lambda p, x: x.t().view(p.int16),
    "an odd start": lambda p, x: x[:, 1:3].view(p.float64),
    "an odd row": lambda p, x: x[:, :3].view(p.float64),
    "one element in parts": lambda p, x: x[0, 0].view(p.int16),
}


@pytest.mark.parametrize("name", VIEWS)
def test_bytes_as_another_type(name, torch):
    def outcome(package):
        x = package.arange(12, dtype=package.float32).reshape(3, 4)
        try:
            view = VIEWS[name](package, x)
        except RuntimeError:
            return "RuntimeError"
        return repr(view.dtype), view.shape, view.stride(), view.storage_offset(), view.tolist()

    assert outcome(cresset) == outcome(torch)


def test_bytes_as_another_type_are_shared_and_have_no_gradient():
    x = cresset.zeros(2)
    x.view(cresset.int32)[0] = 1 << 30
    assert x.tolist() == [2.0, 0.0]
    w = cresset.ones(2, requires_grad=True)
    assert not w.view(cresset.float16).requires_grad
    assert w.view(cresset.float32).requires_grad


def test_ranges_are_lists_of_numbers():
    assert cresset.tensor([range(3), range(3)]).tolist() == [[0, 1, 2], [0, 1, 2]]
    assert cresset.tensor([[5, 6], range(2)]).tolist() == [[5, 6], [0, 1]]
    with pytest.raises(TypeError, match="a sequence cannot be interpreted as a number"):
        cresset.tensor([1, range(2)])
