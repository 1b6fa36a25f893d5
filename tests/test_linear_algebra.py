"""`linalg` and its older names: values, gradients and double gradients, singular matrices, errors.

A case calls a function of either package on matrices; where vectors are determined up to a phase
only, it makes something of them that does not depend on it.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import cresset

TYPES = ("float32", "float64", "complex64", "complex128")
TOLERANCE = {"float32": 2e-4, "float64": 1e-10, "complex64": 2e-4, "complex128": 1e-10}


# --- operands -------------------------------------------------------------------------------------
def general(*shape):
    """Matrices that are far from singular, whatever their shape."""
    def make(random):
        return random(*shape) + 2 * np.eye(*shape[-2:])

    return make


def anything(*shape):
    return lambda random: random(*shape)


def turned(x):
    """The adjoint, in either package or as an array."""
    return x.swapaxes(-1, -2).conj() if isinstance(x, np.ndarray) else x.mT.conj()


def hermitian(x):
    return x + turned(x)


def definite(x):
    """A positive definite matrix made of any."""
    return x @ turned(x) + 0.5 * eye(x)


def eye(x):
    return x.new_ones(x.shape[-1]).diag_embed()


CASES: dict = {}


def case(name, function, *operands):
    CASES.setdefault(name, []).append((function, operands))


def pair(result):
    return tuple(result)


for sizes in ((3, 3), (2, 2), (2, 1, 3, 3)):
    square = general(*sizes)
    case("inv", lambda p, a: p.linalg.inv(a), square)
    case("inv_ex", lambda p, a: pair(p.linalg.inv_ex(a)), square)
    case("inverse", lambda p, a: (p.inverse(a), a.inverse()), square)
    case("det", lambda p, a: (p.linalg.det(a), p.det(a), a.det()), square)
    case("slogdet", lambda p, a: pair(p.linalg.slogdet(a)), square)
    case("logdet", lambda p, a: p.logdet(definite(a)), square)
    case("cholesky", lambda p, a: p.linalg.cholesky(definite(a)), square)
    case("cholesky upper", lambda p, a: p.linalg.cholesky(definite(a), upper=True), square)
    case("cholesky_ex", lambda p, a: pair(p.linalg.cholesky_ex(definite(a))), square)
    case("cholesky_inverse", lambda p, a: p.cholesky_inverse(p.linalg.cholesky(definite(a))),
         square)
    case("eigvalsh", lambda p, a: p.linalg.eigvalsh(hermitian(a)), square)
    case("eigh", lambda p, a: rebuilt(p.linalg.eigh(hermitian(a))), square)
    case("matrix_exp", lambda p, a: (p.linalg.matrix_exp(a), p.matrix_exp(0.1 * a)), square)
    case("matrix_power", lambda p, a: p.linalg.matrix_power(a, 3), square)
    case("matrix_power inverse", lambda p, a: a.matrix_power(-2), square)
    case("matrix_power 0", lambda p, a: p.matrix_power(a, 0) + a, square)
for sizes in ((2, 1), (1, 3), (2, 3, 3), (2, 3, 2)):
    any_sizes = general(*sizes)
    case("qr", lambda p, a: pair(p.linalg.qr(a)), any_sizes)
    case("older qr", lambda p, a: pair(p.qr(a)), any_sizes)
    case("svdvals", lambda p, a: p.linalg.svdvals(a), any_sizes)
    case("svd", lambda p, a: rebuilt_singular(*p.linalg.svd(a, full_matrices=False)), any_sizes)
    case("older svd", lambda p, a: (lambda u, s, v: (u.abs(), s, v.abs()))(*p.svd(a)), any_sizes)
    case("pinv", lambda p, a: (p.linalg.pinv(a), p.pinverse(a)), any_sizes)
    case("lu", lambda p, a: pair(p.linalg.lu(a)), any_sizes)
    case("lu_factor", lambda p, a: pair(p.linalg.lu_factor(a)), any_sizes)
    case("lu_factor_ex", lambda p, a: pair(p.linalg.lu_factor_ex(a)), any_sizes)
    case("lu_unpack", lambda p, a: pair(p.lu_unpack(*p.linalg.lu_factor(a))), any_sizes)
    case("cond", lambda p, a: p.linalg.cond(a), any_sizes)
    for order in ("fro", "nuc", 1, -1, 2, -2, float("inf"), float("-inf")):
        case(f"matrix_norm {order}", lambda p, a, o=order: (
            p.linalg.matrix_norm(a, o), p.linalg.matrix_norm(a, o, keepdim=True),
            p.linalg.norm(a, o, (-1, -2))), any_sizes)
case("qr complete", lambda p, a: pair(p.linalg.qr(a, "complete")), general(2, 3))
case("svd full", lambda p, a: p.linalg.svd(a).S, general(3, 2))
for order in (1, 2, 3, 0.5, 0, -1, float("inf"), float("-inf")):
    case(f"vector_norm {order}", lambda p, x, o=order: (
        p.linalg.vector_norm(x, o), p.linalg.vector_norm(x, o, dim=(0, 2), keepdim=True),
        p.linalg.norm(x, o, dim=-1)), anything(2, 2, 3))
for order in (1, float("inf"), "fro"):
    case(f"cond {order}", lambda p, a, o=order: p.linalg.cond(a, o), general(2, 3, 3))
case("norm", lambda p, x: p.linalg.norm(x), anything(2, 3))
case("solve", lambda p, a, b: p.linalg.solve(a, b), general(3, 3), anything(3, 2))
case("solve", lambda p, a, b: p.linalg.solve(a, b), general(2, 1, 2, 2), anything(3, 2, 1))
case("solve vector", lambda p, a, b: p.linalg.solve(a, b), general(2, 3, 3), anything(2, 3))
case("solve vector", lambda p, a, b: p.linalg.solve(a, b), general(2, 3, 3), anything(3))
case("solve right", lambda p, a, b: p.linalg.solve(a, b, left=False), general(3, 3),
     anything(2, 2, 3))
case("solve_ex", lambda p, a, b: pair(p.linalg.solve_ex(a, b)), general(2, 2), anything(2, 1))
for upper in (False, True):
    for unit in (False, True):
        case(f"solve_triangular {upper} {unit}", lambda p, a, b, u=upper, d=unit: (
            p.linalg.solve_triangular(a, b, upper=u, unitriangular=d),
            p.linalg.solve_triangular(a, b.mT, upper=u, left=False, unitriangular=d),
        ), general(2, 3, 3), anything(3, 2))
    case(f"cholesky_solve {upper}", lambda p, a, b, u=upper: p.cholesky_solve(
        b, a.triu() if u else a.tril(), upper=u),
         general(2, 3, 3), anything(2, 3, 2))
    case(f"triangular_solve {upper}", lambda p, a, b, u=upper: (
        p.triangular_solve(b, a, upper=u)[0], b.triangular_solve(a, u, True)[0]),
        general(3, 3), anything(3, 2))
for driver in (None, "gels", "gelsy", "gelsd", "gelss"):
    case(f"lstsq {driver}", lambda p, a, b, d=driver: pair(p.linalg.lstsq(a, b, driver=d)),
         general(4, 2), anything(4, 2))
    case(f"lstsq {driver}", lambda p, a, b, d=driver: pair(p.linalg.lstsq(a, b, driver=d)),
         general(2, 4, 2), anything(2, 4))
case("lstsq", lambda p, a, b: p.linalg.lstsq(a, b).solution, general(2, 2, 3), anything(2, 2, 1))
case("lstsq gelsd", lambda p, a, b: pair(p.linalg.lstsq(a, b, driver="gelsd")), general(3, 3),
     anything(3, 1))
for left in (True, False):
    for flipped in (False, True):
        case(f"lu_solve {left} {flipped}", lambda p, a, b, s=left, f=flipped: p.linalg.lu_solve(
            *p.linalg.lu_factor(a), b if s else b.mT, left=s, adjoint=f),
            general(2, 3, 3), anything(1, 3, 2))
case("older lu", lambda p, a, b: p.lu_solve(b, *a.lu()), general(3, 3), anything(3, 2))
case("householder_product", lambda p, a, t: p.linalg.householder_product(a, t), anything(2, 3, 2),
     anything(2, 2))
case("ormqr", lambda p, a, t, x: (
    p.ormqr(a, t, x), p.ormqr(a, t, x.mT, left=False), p.ormqr(a, t, x, transpose=True),
    p.ormqr(a, t, x.mT, left=False, transpose=True)), anything(3, 2), anything(2), anything(3, 2))
case("multi_dot", lambda p, *x: (p.linalg.multi_dot(x), p.chain_matmul(*x)), anything(2, 3),
     anything(3, 2), anything(2, 3), anything(3, 1))
case("multi_dot vectors", lambda p, *x: p.linalg.multi_dot(x), anything(3), anything(3, 2),
     anything(2))
case("vecdot", lambda p, x, y: (p.linalg.vecdot(x, y), p.linalg.vecdot(x, x, dim=0)),
     anything(2, 3), anything(3))
case("cross", lambda p, x, y: (p.linalg.cross(x, y), p.cross(x, y, dim=-1)), anything(2, 3),
     anything(1, 3))
case("cross first dim of 3", lambda p, x, y: p.cross(x, y), anything(2, 3, 3), anything(2, 3, 3))
case("diagonal", lambda p, a: p.linalg.diagonal(a, offset=1), anything(2, 3, 3))
case("vander", lambda p, x: (p.linalg.vander(x), p.linalg.vander(x, N=5)), anything(2, 3))
case("tensorinv", lambda p, a: p.linalg.tensorinv((a + 2 * eye(a)).reshape(4, 2, 2), ind=1),
     anything(4, 4))
case("tensorsolve", lambda p, a, b: (
    p.linalg.tensorsolve((a + 2 * eye(a)).reshape(2, 2, 4), b),
    p.linalg.tensorsolve((a + 2 * eye(a)).reshape(2, 2, 2, 2), b, dims=(0, 2))),
    anything(4, 4), anything(2, 2))
case("eigvals", lambda p, a: spread(p.linalg.eigvals(a)), general(3, 3))
case("eig", lambda p, a: rebuilt_by_inverse(p, *p.linalg.eig(a)), general(3, 3))
case("eig", lambda p, a: rebuilt_by_inverse(p, *p.linalg.eig(a)), general(2, 2, 2))


def rebuilt(found):
    """Values, sizes of the vectors, and another function of the matrix."""
    values, vectors = found
    return values, vectors.abs(), (vectors * (values * 2).sin().unsqueeze(-2)) @ turned(vectors)


def rebuilt_singular(u, s, vh):
    return u.abs(), s, vh.abs(), (u * (s * 2).sin().unsqueeze(-2)) @ vh


def spread(values):
    """Functions of eigenvalues that their order does not matter for."""
    return (values**2).sum(-1), (values**3).sum(-1)


def rebuilt_by_inverse(p, values, vectors):
    return *spread(values), (vectors * (values * values).unsqueeze(-2)) @ p.linalg.inv(vectors)


# --- agreement ------------------------------------------------------------------------------------
every_case = pytest.mark.parametrize("name", CASES)


def made(operands, dtype):
    """The operands as arrays."""
    source = np.random.default_rng(7)

    def random(*shape):
        x = source.uniform(-1, 1, shape)
        return x + 1j * source.uniform(-1, 1, shape) if dtype.startswith("complex") else x

    return [operand(random).astype(dtype) for operand in operands]


# Its own gradient of these overwrites what it has saved.
PYTORCH_CANNOT = ("cond 1", "cond inf", "cond fro")


def evaluated(package, name, function, arrays):
    """Results and the gradients of a sum of them with different weights."""
    leaves = [package.from_numpy(a.copy()).requires_grad_() for a in arrays]
    results = function(package, *leaves)
    results = results if isinstance(results, tuple) else (results,)
    wanted = [r for r in results if r.requires_grad]
    weights = []
    for r in wanted:
        angle = np.arange(r.numel()).reshape(tuple(r.shape))
        weight = np.cos(angle) + (1j * np.sin(angle) if r.is_complex() else 0)
        weights.append(package.from_numpy(np.asarray(weight, array(r).dtype)))
    if name in PYTORCH_CANNOT or not wanted:
        found = ()
    else:
        found = package.autograd.grad(wanted, leaves, weights, materialize_grads=True)
    return [array(x) for x in (*results, *found)]


def array(x):
    return x.detach().resolve_conj().numpy()


@every_case
@pytest.mark.parametrize("dtype", ("float32", "complex128"))
def test_agrees_with_pytorch(name, dtype, torch):
    for function, operands in CASES[name]:
        arrays = made(operands, dtype)
        expected = evaluated(torch, name, function, arrays)
        got = evaluated(cresset, name, function, arrays)
        assert len(got) == len(expected)
        for g, e in zip(got, expected):
            assert (g.dtype, g.shape) == (e.dtype, e.shape)
            scale = max(1.0, np.abs(e).max(initial=0))
            np.testing.assert_allclose(g, e, atol=TOLERANCE[dtype] * scale, rtol=0)


def differentiated(name, dtype, most):
    """(function, leaves) of a case with at most so many elements."""
    for function, operands in CASES[name]:
        leaves = [cresset.from_numpy(a).requires_grad_() for a in made(operands, dtype)]
        if sum(x.numel() for x in leaves) <= most:
            yield partial(function, cresset), leaves


@every_case
def test_gradients(name):
    for function, leaves in differentiated(name, "float64", 9):
        cresset.autograd.gradcheck(function, leaves)


@every_case
def test_double_gradients(name):
    """Of complex matrices, whose formulas hold for real ones too."""
    for function, leaves in differentiated(name, "complex128", 4):
        cresset.autograd.gradgradcheck(function, leaves, atol=1e-4)


# --- what has no gradient, or no answer -----------------------------------------------------------
def matrices(*shape, dtype="float64"):
    return made([general(*shape)], dtype)[0]


@pytest.mark.parametrize("dtype", TYPES)
def test_reflections(dtype, torch):
    """geqrf gives LAPACK's vectors, and householder_product makes Q of them."""
    for shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2)):
        a = matrices(*shape, dtype=dtype)
        got, expected = (p.geqrf(p.from_numpy(a)) for p in (cresset, torch))
        for g, e in zip(got, expected):
            np.testing.assert_allclose(array(g), array(e), atol=TOLERANCE[dtype])
        if shape[-2] >= shape[-1]:
            q = array(cresset.linalg.householder_product(*got))
            r = np.triu(array(got.a))[..., : shape[-1], :]
            np.testing.assert_allclose(q @ r, a, atol=TOLERANCE[dtype])


def test_rank(torch):
    a = np.diag([3.0, 1.0, 1e-3, 1e-30])
    for package in (cresset, torch):
        x = package.from_numpy(np.stack([a, 0 * a]))
        rank = package.linalg.matrix_rank
        assert rank(x).tolist() == [3, 0]
        assert rank(x, atol=0.1).tolist() == [2, 0]
        assert rank(x, rtol=0.5).tolist() == [1, 0]
        assert rank(x, 0.1).tolist() == [2, 0]
        assert rank(x, hermitian=True).tolist() == [3, 0]
        assert rank(x, atol=package.tensor([0.1, 1.0]).double()).tolist() == [2, 0]
        assert rank(package.zeros(2, 0, 3)).tolist() == [0, 0]
        cut = package.linalg.pinv(x, atol=0.1)
        assert cut.diagonal(0, 1, 2).tolist() == [[1 / 3.0, 1.0, 0.0, 0.0], [0.0] * 4]
        assert package.linalg.pinv(x, hermitian=True)[0, 2, 2].item() == pytest.approx(1e3)


EMPTY = {
    "inv": (0, 0), "det": (2, 0, 0), "slogdet": (0, 0), "cholesky": (0, 0), "eigh": (2, 0, 0),
    "eigvalsh": (0, 0), "eig": (0, 0), "eigvals": (0, 0), "svd": (0, 3), "svdvals": (3, 0),
    "qr": (3, 0), "lu": (0, 2), "lu_factor": (2, 0), "pinv": (0, 3), "matrix_exp": (0, 0),
    "matrix_norm": (0, 3), "matrix_rank": (0, 3), "inv_ex": (0, 2, 2), "norm": (0, 2),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_matrices(name, torch):
    got, expected = (getattr(p.linalg, name)(p.zeros(*EMPTY[name])) for p in (cresset, torch))
    if not isinstance(got, tuple):
        got, expected = (got,), (expected,)
    assert [(tuple(x.shape), array(x).dtype) for x in got] == [
        (tuple(x.shape), array(x).dtype) for x in expected]
    for g, e in zip(got, expected):
        np.testing.assert_array_equal(array(g), array(e))


def test_gradients_at_singular_matrices():
    """Of the determinant, which has one; of singular values that coincide, through values alone."""
    a = cresset.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=cresset.float64, requires_grad=True)
    (g,) = cresset.autograd.grad(cresset.linalg.det(a), a)
    np.testing.assert_allclose(g, [[4.0, -2.0], [-2.0, 1.0]], atol=1e-12)
    same = cresset.eye(3, dtype=cresset.float64).requires_grad_()
    for loss in (lambda x: cresset.linalg.svd(x).S.sum(), lambda x: cresset.linalg.svdvals(x).sum(),
                 lambda x: cresset.linalg.eigh(x).eigenvalues.sum(),
                 lambda x: cresset.linalg.matrix_norm(x, "nuc")):
        (g,) = cresset.autograd.grad(loss(same), same)
        np.testing.assert_allclose(g, np.eye(3), atol=1e-12)


def test_exponential_at_every_degree(torch):
    """The norms on both sides of all bounds of scaling and squaring."""
    a = matrices(3, 3)
    for dtype in TYPES:
        for size in (1e-6, 0.012, 0.2, 0.8, 1.9, 4.0, 30.0):
            x = (a * size / np.abs(a).sum(0).max()).astype(dtype)
            got, expected = (array(p.linalg.matrix_exp(p.from_numpy(x))) for p in (cresset, torch))
            bound = TOLERANCE[dtype] * np.abs(expected).max()
            np.testing.assert_allclose(got, expected, atol=bound)
    assert np.isnan(array(cresset.linalg.matrix_exp(cresset.tensor([[float("inf")]])))).all()


def test_large_matrices_are_eliminated_in_blocks(torch):
    for shape in ((40, 40), (2, 50, 33), (33, 50)):
        a = matrices(*shape)
        got, expected = (p.linalg.lu_factor(p.from_numpy(a)) for p in (cresset, torch))
        np.testing.assert_allclose(got.LU, expected.LU, atol=1e-10)
        assert got.pivots.tolist() == expected.pivots.tolist()


def test_info_tells_which_matrix_is_at_fault(torch):
    a = np.stack([np.eye(3), np.diag([1.0, 0.0, 2.0]), np.diag([2.0, 1.0, 0.0])])
    b = np.ones((3, 1))
    for package in (cresset, torch):
        x = package.from_numpy(a)
        inverse, info = package.linalg.inv_ex(x)
        assert info.tolist() == [0, 2, 3] and info.dtype is package.int32
        assert inverse[0].tolist() == np.eye(3).tolist()
        assert package.linalg.solve_ex(x, package.from_numpy(b)).info.tolist() == [0, 2, 3]
        assert package.linalg.lu_factor_ex(x).info.tolist() == [0, 2, 3]
        assert package.linalg.cholesky_ex(x).info.tolist() == [0, 2, 3]
        assert package.linalg.det(x).tolist() == [1.0, 0.0, 0.0]


def test_triangular_systems_with_zeros_give_infinities(torch):
    for package in (cresset, torch):
        a, b = package.zeros(2, 2), package.ones(2, 1)
        found = package.linalg.solve_triangular(a, b, upper=True).tolist()
        assert np.isnan(found[0][0]) and found[1][0] == float("inf")


def ten(*shape):
    return cresset.ones(*shape)


ERRORS = [
    (lambda: cresset.linalg.inv(ten(2, 2)), cresset.linalg.LinAlgError,
     "linalg.inv: The diagonal element 2 is zero, the inversion could not be completed"),
    (lambda: cresset.linalg.inv(ten(2, 2, 2)), RuntimeError, "linalg.inv: (Batch element 0): "),
    (lambda: cresset.linalg.solve(ten(2, 2), ten(2)), cresset.linalg.LinAlgError,
     "linalg.solve: The solver failed because the input matrix is singular"),
    (lambda: cresset.linalg.cholesky(ten(2, 2) - 2), cresset.linalg.LinAlgError,
     "the leading minor of order 1 is not positive-definite"),
    (lambda: cresset.linalg.lu_factor(ten(2, 2)), RuntimeError,
     "linalg.lu_factor: U[2,2] is zero and using it on lu_solve would result in a division by"),
    (lambda: cresset.linalg.svd(ten(2, 2) / 0), cresset.linalg.LinAlgError,
     "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite"),
    (lambda: cresset.linalg.eig(ten(2, 2) / 0), RuntimeError,
     "linalg.eig: input tensor should not contain infs or NaNs; got inf at (0, 0)"),
    (lambda: cresset.linalg.inv(ten(2, 3)), RuntimeError,
     "linalg.inv: A must be batches of square matrices, but they are 2 by 3 matrices"),
    (lambda: cresset.linalg.inv(ten(2)), RuntimeError,
     "linalg.inv: The input tensor A must have at least 2 dimensions"),
    (lambda: cresset.linalg.inv(ten(2, 2).long()), RuntimeError,
     "linalg.inv: Expected a floating point or complex tensor as input. Got torch.int64"),
    (lambda: cresset.linalg.inv(ten(2, 2).half()), RuntimeError,
     "linalg.inv: Low precision dtypes not supported. Got torch.float16"),
    (lambda: cresset.linalg.solve(cresset.eye(2), ten(3)), RuntimeError,
     "linalg.solve: Incompatible shapes of A and B for the equation AX = B (2x2 and 3x1)"),
    (lambda: cresset.linalg.solve(cresset.eye(2), ten(2).double()), RuntimeError,
     "linalg.solve: Expected A and B to have the same dtype, but found A of type torch.float32"),
    (lambda: cresset.linalg.qr(ten(2, 2), "all"), RuntimeError,
     "linalg.qr: Unrecognized mode 'all'"),
    (lambda: cresset.linalg.vector_norm(ten(2).long()), RuntimeError,
     "linalg.vector_norm: Expected a floating point or complex tensor as input. Got torch.int64"),
    (lambda: cresset.linalg.vector_norm(ten(0), float("inf")), RuntimeError,
     "linalg.vector_norm: cannot compute the inf norm on the dims (0,) of shape (0,)"),
    (lambda: cresset.linalg.matrix_norm(ten(2, 2), 3), RuntimeError,
     "linalg.matrix_norm: Order 3 not supported"),
    (lambda: cresset.linalg.multi_dot([ten(2, 2)]), RuntimeError,
     "linalg.multi_dot: expected at least 2 tensors but got 1"),
    (lambda: cresset.linalg.cross(ten(2, 3), ten(3)), RuntimeError,
     "linalg.cross: inputs must have the same number of dimensions"),
    (lambda: cresset.linalg.eigh(ten(2, 2), "X"), RuntimeError,
     "linalg.eigh: Expected UPLO argument to be 'L' or 'U', but got X"),
    (lambda: cresset.linalg.svd(ten(2, 2), driver="gesvd"), RuntimeError,
     "linalg.svd: keyword argument `driver=` is only supported on CUDA inputs"),
    (lambda: cresset.symeig(ten(2, 2)), RuntimeError,
     "symeig: This function was deprecated since version 1.9 and is now removed"),
]


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number):
    call, kind, message = ERRORS[number]
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)


def test_losses_that_depend_on_phases_have_no_gradient():
    x = cresset.tensor([[1.0 + 1.0j, 2.0], [0.5j, 1.0]], requires_grad=True)
    for loss in (lambda: cresset.linalg.svd(x).U.sum().abs(),
                 lambda: cresset.linalg.eigh(x @ x.mH).eigenvectors.sum().real,
                 lambda: cresset.linalg.eig(x).eigenvectors.sum().real):
        with pytest.raises(RuntimeError, match="is ill-defined"):
            loss().backward()


def test_every_name_of_pytorch(torch):
    public = {n for n in dir(torch.linalg) if not n.startswith("_")}
    missing = public - set(dir(cresset.linalg))
    # Modules and constants of the module, not of the interface.
    assert missing <= {"Tensor", "common_notes", "torch"}


# Whether the rank is full decides the shape of the residuals.
READS_ELEMENTS = ("lstsq gels", "lstsq gelsd", "lstsq gelss")


def test_shapes_without_elements():
    """Every function gives on meta what it gives on the processor."""
    for name, each in CASES.items():
        if name in READS_ELEMENTS:
            continue
        for function, operands in each:
            tensors = [cresset.from_numpy(a) for a in made(operands, "float32")]
            expected = function(cresset, *tensors)
            got = function(cresset, *[x.to("meta") for x in tensors])
            pairs = zip(got, expected) if isinstance(got, tuple) else ((got, expected),)
            for g, e in pairs:
                assert (g.device.type, g.dtype, g.shape) == ("meta", e.dtype, e.shape), name
