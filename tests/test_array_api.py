"""The array API standard: its namespace, and the names of the package that only it has."""

import math

import numpy as np
import pytest

import cresset
from cresset import array_api

INF, NAN = math.inf, math.nan


def test_namespace():
    x = cresset.ones(2)
    assert x.__array_namespace__() is array_api is x.__array_namespace__(api_version="2024.12")
    assert cresset.__array_api_version__ == array_api.__array_api_version__ == "2024.12"
    assert all(hasattr(array_api, name) for name in array_api.__all__)
    assert array_api.sin is cresset.sin and array_api.fft is cresset.fft
    with pytest.raises(AttributeError, match="array_api has no 'relu'"):
        _ = array_api.relu
    with pytest.raises(ValueError, match="api_version '2020.01'"):
        x.__array_namespace__(api_version="2020.01")


def test_information():
    info = cresset.__array_namespace_info__()
    assert info.capabilities()["boolean indexing"] and info.devices() == [cresset.device("cpu")]
    assert info.default_device() == cresset.device("cpu")
    assert info.default_dtypes()["complex floating"] is cresset.complex64
    assert list(info.dtypes(kind="signed integer")) == ["int8", "int16", "int32", "int64"]
    assert list(info.dtypes(kind=("bool", "real floating"))) == ["bool", "float32", "float64"]
    assert len(info.dtypes()) == 13
    with pytest.raises(ValueError, match="kind 'odd'"):
        info.dtypes(kind="odd")


def test_types():
    assert cresset.isdtype(cresset.uint8, "unsigned integer")
    assert cresset.isdtype(cresset.float64, (cresset.int8, "real floating"))
    assert not cresset.isdtype(cresset.bfloat16, "numeric")
    x = cresset.ones(2)
    assert cresset.astype(x, cresset.int8).dtype is cresset.int8
    assert cresset.astype(x, x.dtype, copy=False) is x is not cresset.astype(x, x.dtype)
    assert cresset.result_type(cresset.int8, cresset.ones(2, dtype=cresset.int16), 1.0) is (
        cresset.float32
    )
    assert cresset.finfo(x).dtype == cresset.float32 and cresset.finfo(x).dtype == "float32"
    assert x.to_device("cpu") is x


def test_shapes():
    x = cresset.arange(6).reshape(1, 2, 3)
    assert cresset.permute_dims(x, (2, 0, 1)).shape == (3, 1, 2)
    assert cresset.expand_dims(x, axis=-1).shape == (1, 2, 3, 1)
    assert [p.shape for p in cresset.unstack(x, axis=1)] == [(1, 3), (1, 3)]
    assert cresset.matrix_transpose(x).shape == (1, 3, 2)
    assert [p.shape for p in cresset.broadcast_arrays(x, cresset.ones(4, 1, 1))] == [(4, 2, 3)] * 2
    assert cresset.repeat(cresset.tensor([1, 2]), 2).tolist() == [1, 1, 2, 2]
    assert cresset.take(x, cresset.tensor([2, 0]), axis=2).tolist() == [[[2, 0], [5, 3]]]
    assert cresset.concat([x, x], axis=None).shape == (12,)
    assert cresset.flip(x).flatten().tolist() == [5, 4, 3, 2, 1, 0]
    assert cresset.flip(x, axis=2).tolist() == [[[2, 1, 0], [5, 4, 3]]]
    assert cresset.reshape(x, (6,), copy=True).data_ptr() != x.data_ptr()
    with pytest.raises(ValueError, match="copy=False"):
        cresset.reshape(x.transpose(1, 2), (6,), copy=False)
    assert cresset.eye(3, k=1).tolist() == np.eye(3, k=1).tolist()
    assert cresset.tril(cresset.ones(2, 2), k=-1).tolist() == [[0, 0], [1, 0]]
    assert cresset.zeros(shape=(2,)).tolist() == cresset.zeros(size=(2,)).tolist() == [0, 0]
    assert cresset.linspace(0, 1, 4, endpoint=False).tolist() == [0, 0.25, 0.5, 0.75]


def test_sums_and_sets():
    x = cresset.tensor([[3, 1], [3, 2]])
    sums = cresset.cumulative_sum(x, axis=1, include_initial=True)
    assert sums.tolist() == [[0, 3, 4], [0, 3, 5]]
    assert cresset.cumulative_prod(x[0]).tolist() == [3, 3]
    with pytest.raises(ValueError, match="axis must be given"):
        cresset.cumulative_sum(x)
    assert cresset.vecdot(x, cresset.tensor([1, 10])).tolist() == [13, 23]
    with pytest.raises(RuntimeError, match="sizes along dim -1 must be equal"):
        cresset.vecdot(x, cresset.tensor([1]))
    assert cresset.linalg.trace(x.expand(2, 2, 2)).tolist() == [5, 5]
    found = cresset.unique_all(x)
    assert [part.tolist() for part in found] == [[1, 2, 3], [1, 3, 0], [[2, 0], [2, 1]], [1, 1, 2]]
    assert cresset.unique_values(x).tolist() == cresset.unique_inverse(x).values.tolist()


# --- where the standard's meaning is not PyTorch's ------------------------------------------------
def same(got, expected):
    """Whether an array has the type and the elements of NumPy's, zeros with their signs."""
    got, expected = got.numpy(), np.asarray(expected)
    if got.dtype != expected.dtype or got.shape != expected.shape:
        return False
    # Numbers print alike where they are alike, NaN whatever its sign.
    return got.astype("O").__repr__() == expected.astype("O").__repr__()


SPECIAL = [-INF, -3.0, -0.0, 0.0, 2.0, INF, NAN]


def test_truths_are_elementwise():
    x = array_api.asarray([1, 2])
    assert array_api.equal(x, array_api.asarray([1, 3])).tolist() == [True, False]
    assert array_api.equal(2, x).tolist() == [False, True]
    assert cresset.equal(x, x) is True


@pytest.mark.parametrize("a", SPECIAL)
def test_special_values_of_quotients(a):
    x, y = array_api.full((7,), a), array_api.asarray(SPECIAL)
    with np.errstate(all="ignore"):
        left, right = np.full(7, a, "f4"), np.array(SPECIAL, "f4")
        rest = np.remainder(left, right)
        quotient = np.floor(left / right)
    assert same(array_api.remainder(x, y), rest) and same(x % y, rest)
    found = array_api.floor_divide(x, y)
    assert same(found, quotient)
    assert array_api.floor_divide(array_api.asarray([-7, 7]), 2).tolist() == [-4, 3]
    assert array_api.remainder(array_api.asarray([-7, 7]), 2).tolist() == [1, 1]


def test_floor_division_is_exact_between_infinities():
    x = array_api.asarray([1.0, 0.3, -0.3])
    assert array_api.floor_divide(x, 0.1).tolist() == cresset.floor_divide(x, 0.1).tolist()


def test_signs():
    assert same(array_api.sign(array_api.asarray(SPECIAL)), np.sign(np.array(SPECIAL, "f4")))
    assert array_api.sign(array_api.asarray([-2, 0])).tolist() == [-1, 0]
    z = array_api.asarray([3 + 4j, complex(-0.0, -0.0)])
    assert same(array_api.sign(z), np.array([0.6 + 0.8j, 0], "c8"))
    assert same(array_api.expm1(array_api.asarray([complex(-0.0, 0.0)])), np.array([0j], "c8"))
    limits = array_api.tanh(array_api.asarray([complex(INF, 2.0), complex(-INF, -2.0), 0.5j]))
    assert same(limits[:2], np.array([1 + 0j, complex(-1, -0.0)], "c8"))
    assert limits[2].item() == pytest.approx(1j * math.tan(0.5))
    x = array_api.asarray([0.5])
    assert array_api.expm1(x).item() == x.expm1().item()
    assert array_api.tanh(x).item() == x.tanh().item()


def test_bounds():
    x = array_api.asarray([1, 5, 9], dtype=array_api.int8)
    copied = array_api.clip(x)
    assert copied.tolist() == [1, 5, 9] and copied.data_ptr() != x.data_ptr()
    assert array_api.clip(x, 2, 6).tolist() == [2, 5, 6]
    found = array_api.clip(x, array_api.asarray([2, 7, 0]), 8)
    assert found.tolist() == [2, 7, 8] and found.dtype is array_api.int8
    assert array_api.clip(array_api.asarray([NAN]), 0.0).isnan().item()


def test_promotion():
    names = list(array_api.__array_namespace_info__().dtypes(kind="integral"))
    for a in names:
        for b in names:
            x, y = (array_api.ones(1, dtype=getattr(array_api, name)) for name in (a, b))
            expected = np.promote_types(a, b)
            if expected.kind == "f":
                with pytest.raises(RuntimeError, match="no common type"):
                    array_api.result_type(x, y)
                continue
            for d in (array_api.result_type(x, y), array_api.add(x, y[0]).dtype,
                      array_api.concat((x, y)).dtype, array_api.stack((x, y)).dtype,
                      array_api.where(x > 0, x, y).dtype, array_api.linalg.outer(x, y).dtype):
                assert d.name == expected.name
            assert array_api.can_cast(x, y.dtype) == np.can_cast(a, b)
    x = array_api.ones(2)
    double = array_api.ones((), dtype=array_api.float64)
    assert array_api.multiply(x, double).dtype is array_api.float64
    assert array_api.maximum(2, x).tolist() == [2, 2] == array_api.maximum(x, 2).tolist()
    assert array_api.result_type(x, 1, 1.0) is array_api.float32
    assert not array_api.can_cast(array_api.uint64, array_api.int64)
    with pytest.raises(TypeError, match="need an array or a type"):
        array_api.result_type(1, 2)


def test_reductions():
    x = array_api.asarray([[3, 1], [2, 4]], dtype=array_api.uint8)
    array = x.numpy()
    for name in ("sum", "prod", "cumulative_sum", "cumulative_prod"):
        function, expected = getattr(array_api, name), getattr(np, name)
        for axis in (0, -1):
            assert same(function(x, axis=axis), expected(array, axis=axis))
    for name in ("sum", "prod", "max", "min", "any", "all", "mean", "std", "var", "count_nonzero"):
        function, expected = getattr(array_api, name), getattr(np, name)
        y = x.to(array_api.float64) if name in ("mean", "std", "var") else x
        for axis in (None, 0, (0, 1), ()):
            for keepdims in (False, True):
                got = function(y, axis=axis, keepdims=keepdims)
                assert same(got, expected(y.numpy(), axis=axis, keepdims=keepdims)), (name, axis)
    assert array_api.sum(x, dtype=array_api.int16).dtype is array_api.int16
    deviation = array_api.std(array_api.asarray([1.0, 4.0, 1.0]), correction=1.0)
    assert deviation.item() == pytest.approx(math.sqrt(3))
    assert array_api.linalg.trace(x).dtype is array_api.uint64
    assert array_api.linalg.vecdot(x, x).tolist() == array_api.vecdot(x, x).tolist() == [10, 20]


def test_making_and_sorting():
    assert array_api.arange(3).tolist() == [0, 1, 2]
    assert array_api.arange(1, 7, 3).tolist() == [1, 4]
    assert array_api.arange(3, 0).shape == (0,) and array_api.arange(3, 0).dtype is array_api.int64
    assert array_api.arange(0.0, 3, -1).dtype is array_api.float32
    assert array_api.linspace(0, 1, num=3).tolist() == [0, 0.5, 1]
    grids = array_api.meshgrid(array_api.arange(2), array_api.arange(3))
    expected = np.meshgrid(np.arange(2), np.arange(3))
    assert type(grids) is list and all(same(g, e) for g, e in zip(grids, expected))
    x = array_api.asarray([[3, 0], [1, 2]])
    assert array_api.sort(x, descending=True).tolist() == [[3, 0], [2, 1]]
    assert array_api.sort(x, axis=0).tolist() == [[1, 0], [3, 2]]
    assert [part.tolist() for part in array_api.nonzero(x)] == [[0, 1, 1], [0, 0, 1]]
    with pytest.raises(ValueError, match="without dims"):
        array_api.nonzero(x[0, 0])
    assert array_api.roll(x, 1, axis=0).tolist() == [[1, 2], [3, 0]]
    assert array_api.broadcast_to(x, shape=(2, 2, 2)).shape == (2, 2, 2)
    assert array_api.squeeze(x[None, :, None], (0, 2)).shape == (2, 2)
    with pytest.raises(ValueError, match="dim 1 has size 2"):
        array_api.squeeze(x[None], axis=(0, 1))


def test_gradients_go_through():
    x = array_api.asarray([3.0, 1.0]).requires_grad_()
    y = array_api.add(array_api.multiply(x, array_api.asarray(2.0, dtype=array_api.float64)), 1)
    (array_api.std(y) + array_api.sum(array_api.clip(y, array_api.asarray(0), 5))).backward()
    assert x.grad.tolist() == [1.0, 1.0] and y.dtype is array_api.float64
