"""LDL of symmetric and Hermitian matrices: PyTorch's factors and pivots, solutions, errors."""

from __future__ import annotations

import numpy as np
import pytest

import cresset

ldl_factor, ldl_solve = cresset.linalg.ldl_factor, cresset.linalg.ldl_solve


def matrices(n, dtype, hermitian):
    """Some that need blocks of two, one with nothing on its diagonal."""
    source = np.random.default_rng(n)
    a = source.uniform(-1, 1, (2, 3, n, n))
    if np.dtype(dtype).kind == "c":
        a = a + 1j * source.uniform(-1, 1, a.shape)
    a = a + (np.swapaxes(a, -1, -2).conj() if hermitian else np.swapaxes(a, -1, -2))
    a[0, 0][np.diag_indices(n)] = 0
    return a.astype(dtype)


@pytest.mark.parametrize("hermitian", (False, True))
@pytest.mark.parametrize("dtype", ("float32", "float64", "complex64", "complex128"))
def test_factors_are_those_of_pytorch_and_solve(dtype, hermitian, torch):
    bound = 1e-9 if dtype in ("float64", "complex128") else 2e-2
    for n in (0, 2, 3, 9, 40):
        a = matrices(n, dtype, hermitian)
        b = np.ones((3, n, 2), dtype)
        got, expected = (
            p.linalg.ldl_factor_ex(p.from_numpy(a), hermitian=hermitian) for p in (cresset, torch)
        )
        assert got.pivots.tolist() == expected.pivots.tolist()
        assert got.info.tolist() == expected.info.tolist()
        np.testing.assert_allclose(got.LD.numpy(), expected.LD.numpy(), atol=bound)
        x = ldl_solve(got.LD, got.pivots, cresset.from_numpy(b), hermitian=hermitian)
        np.testing.assert_allclose(a @ x.numpy(), np.broadcast_to(b, (2, 3, n, 2)), atol=bound)


def test_only_the_lower_triangle_is_read():
    a = cresset.tensor([[2.0, 7.0], [1.0, 3.0]])
    assert ldl_factor(a).LD.tolist() == ldl_factor(a.tril()).LD.tolist()


def test_zero_blocks_are_told():
    a = cresset.zeros(2, 2, 2)
    a[0] = cresset.eye(2)
    assert cresset.linalg.ldl_factor_ex(a).info.tolist() == [0, 1]
    with pytest.raises(cresset.linalg.LinAlgError, match=r"\(Batch element 1\): the block of D at"):
        ldl_factor(a)


@pytest.mark.parametrize("hermitian", (False, True))
def test_gradients_by_the_right_side(hermitian):
    a = cresset.from_numpy(matrices(3, "complex128", hermitian))
    factors = ldl_factor(a, hermitian=hermitian)
    b = cresset.randn(3, 1, dtype=cresset.complex128, requires_grad=True)
    cresset.autograd.gradcheck(lambda b: ldl_solve(*factors, b, hermitian=hermitian), (b,))


def test_errors():
    a, pivots = ldl_factor(cresset.eye(2))
    b = cresset.ones(2, 1)
    for wrong in (pivots * 3, pivots * 0, pivots * -9):
        with pytest.raises(RuntimeError, match="pivots must be places of rows"):
            ldl_solve(a, wrong, b)
    with pytest.raises(RuntimeError, match="Expected pivots to be integers. Got torch.float32"):
        ldl_solve(a, pivots.float(), b)
    with pytest.raises(RuntimeError, match="Expected LD.shape.* and pivots.shape to be the same"):
        ldl_solve(a, pivots[:1], b)
    with pytest.raises(RuntimeError, match="must be batches of square matrices"):
        ldl_factor(cresset.ones(2, 3))
    with pytest.raises(NotImplementedError, match="ldl_factor"):
        ldl_factor(cresset.eye(2, requires_grad=True)).LD.sum().backward()
