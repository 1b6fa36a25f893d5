"""Low-rank decompositions, which are PyTorch's for the same seed, and a few eigenvalues."""

from __future__ import annotations

import numpy as np
import pytest

import cresset


def low_rank(*shape, dtype="float64"):
    """Matrices of rank 3."""
    source = np.random.default_rng(3)
    *batch, m, n = shape
    a = source.normal(size=(*batch, m, 3)) @ source.normal(size=(*batch, 3, n))
    return a.astype(dtype)


def definite(n, seed=4):
    a = np.random.default_rng(seed).normal(size=(n, n))
    return a @ a.T / n + np.eye(n)


@pytest.mark.parametrize("name", ("svd_lowrank", "pca_lowrank"))
@pytest.mark.parametrize("shape", ((9, 6), (6, 9), (2, 7, 5)))
def test_same_as_pytorch(name, shape, torch):
    a, results = low_rank(*shape), []
    for package in (cresset, torch):
        package.manual_seed(5)
        results.append(getattr(package, name)(package.from_numpy(a), q=3))
    for got, expected in zip(*results):
        np.testing.assert_allclose(np.abs(got.numpy()), np.abs(expected.numpy()), atol=1e-9)


def test_decomposition_of_a_difference():
    a, mean = (cresset.from_numpy(low_rank(8, 6)), cresset.ones(6).double())
    u, s, v = cresset.svd_lowrank(a, q=4, M=mean)
    np.testing.assert_allclose((u * s) @ v.mH + mean, a, atol=1e-9)


@pytest.mark.parametrize("largest", (True, False))
def test_extreme_eigenvalues(largest):
    a, b = definite(30), definite(30, 5)
    lower = np.linalg.inv(np.linalg.cholesky(b))
    every = np.linalg.eigvalsh(lower @ a @ lower.T)
    cresset.manual_seed(0)
    values, vectors = cresset.lobpcg(
        cresset.from_numpy(a), k=2, B=cresset.from_numpy(b), largest=largest)
    np.testing.assert_allclose(values, every[:-3:-1] if largest else every[:2], rtol=1e-8)
    np.testing.assert_allclose(a @ vectors.numpy(), b @ vectors.numpy() * values.numpy(), atol=1e-5)


def test_eigenvalues_of_a_batch_from_given_vectors():
    a = np.stack([definite(12), definite(12, 6)])
    start = cresset.randn(2, 12, 2, dtype=cresset.float64)
    inverse = cresset.from_numpy(np.linalg.inv(a))
    values, vectors = cresset.lobpcg(cresset.from_numpy(a), X=start, iK=inverse, largest=False)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(a)[:, :2], rtol=1e-8)
    assert vectors.shape == (2, 12, 2)


def test_eigenvalues_have_gradients():
    a = cresset.from_numpy(definite(9)).requires_grad_()
    values, vectors = cresset.lobpcg(a, k=1)
    (g,) = cresset.autograd.grad(values.sum(), a)
    np.testing.assert_allclose(g, (vectors @ vectors.mT).numpy(), atol=1e-9)
    assert not vectors.requires_grad


def test_errors():
    with pytest.raises(ValueError, match="lobpcg: LPBPCG algorithm is not applicable"):
        cresset.lobpcg(cresset.eye(5), k=2)
    with pytest.raises(ValueError, match=r"pca_lowrank: q\(=4\) must be non-negative"):
        cresset.pca_lowrank(cresset.ones(3, 5), q=4)
    with pytest.raises(ValueError, match=r"pca_lowrank: niter\(=-1\) must be non-negative"):
        cresset.pca_lowrank(cresset.ones(3, 5), niter=-1)
