"""The array API standard: what the namespace tells, and the names that only the standard has."""

import numpy as np
import pytest

import cresset


def test_namespace():
    x = cresset.ones(2)
    assert x.__array_namespace__() is cresset is x.__array_namespace__(api_version="2024.12")
    assert cresset.__array_api_version__ == "2024.12"
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
