"""Eigenvalues and singular values, with their vectors.

Vectors are determined up to a phase (a sign, where they are real), so only losses that do not
depend on it have gradients; for complex matrices that is checked. Where values coincide, gradients
through the vectors are infinite or NaN; through the values alone they exist.
"""

from __future__ import annotations

from cresset.core.layout import Layout
from cresset.core.return_types import linalg_eig, linalg_eigh, linalg_svd
from cresset.core.tensor import Tensor
from cresset.ops.arguments import truth
from cresset.ops.kinds import hosted
from cresset.ops.kinds.hosted import np
from cresset.ops.linear_algebra.matrices import (
    eye_of,
    fail,
    matrix,
    packed,
    square,
)
from cresset.ops.linear_algebra.systems import solution_ex
from cresset.ops.operation import called
from cresset.ops.out import with_out
from cresset.ops.pointwise.complex_numbers import adjoint
from cresset.ops.shapes.shape import diagonal, narrow, unsqueeze

__all__ = ["eig", "eigh", "eigvals", "eigvalsh", "svd", "svdvals"]

ILL = ("The algorithm failed to converge because the input matrix is ill-conditioned or has too "
       "many repeated {} (error code: {{}})")
NOT_FINITE = ("The algorithm failed to converge because the input matrix contained non-finite "
              "values; find them with isfinite")
# By how much a loss may change with the phase of vectors before its gradient is refused.
PHASE_TOLERANCE = 1e-2


def _computed(name, values, compute, a, *more):
    """What NumPy computes; LinAlgError, naming the matrix at fault, where it does not converge."""
    try:
        return compute(a, *more)
    except np.linalg.LinAlgError:
        pass
    info = np.zeros(a.shape[:-2], "i4")
    for k in np.ndindex(info.shape):
        try:
            compute(a[k], *more)
        except np.linalg.LinAlgError:
            info[k] = 1
    fail(name, info, ILL.format(values))


def _check_finite(name, a):
    if not np.isfinite(a).all():
        place = tuple(int(k) for k in np.argwhere(~np.isfinite(a))[0])
        raise RuntimeError(
            f"{name}: input tensor should not contain infs or NaNs; got {a[place]} at {place}"
        )


def _check_phase(name: str, change: Tensor):
    """RuntimeError if a loss changes with the phase of complex vectors, by `change` each."""
    if change.layout.absent or not change.layout.numel:
        return
    if change.abs().max().item() > PHASE_TOLERANCE:
        raise RuntimeError(
            f"{name}_backward: The vectors in the complex case are specified up to multiplication "
            "by e^{i phi}. The specified loss function depends on this quantity, so it is "
            "ill-defined; use one that depends on subspaces or absolute values"
        )


def _differences(x: Tensor, y: Tensor) -> Tensor:
    """x[j] - y[i] at (i, j), with ones on the diagonal."""
    apart = unsqueeze(x, -2) - unsqueeze(y, -1)
    return apart + eye_of(apart.layout.shape[-1], apart)


def _off_diagonal(x: Tensor) -> Tensor:
    return x.masked_fill(eye_of(x.layout.shape[-1], x).bool(), 0)


def _diagonal_matrix(x: Tensor) -> Tensor:
    return unsqueeze(x, -1) * eye_of(x.layout.shape[-1], x)


def _skew(x: Tensor) -> Tensor:
    return x - adjoint(x)


# --- Hermitian matrices ---------------------------------------------------------------------------
def _eigh_layouts(a: Layout, uplo) -> tuple[Layout, Layout]:
    vectors = square("linalg.eigh", a)
    if uplo not in ("L", "U", "l", "u"):
        raise RuntimeError(f"linalg.eigh: Expected UPLO argument to be 'L' or 'U', but got {uplo}")
    return packed(a, a.shape[-1], dtype=a.dtype.to_real()), vectors


@called("linalg_eigh")
@hosted(_eigh_layouts)
def hermitian_spectrum(a: Tensor, uplo):
    """(eigenvalues, eigenvectors)."""
    return _computed("linalg.eigh", "eigenvalues", np.linalg.eigh, a, uplo.upper())


@hermitian_spectrum.gradient
def _hermitian_gradient(arrived, out0, out1):
    (by_values, by_vectors), (values, vectors) = arrived, (out0, out1)
    if by_vectors is None:
        return _spread(by_values, vectors, adjoint(vectors))
    turned = adjoint(vectors)
    middle = turned @ by_vectors
    if middle.layout.dtype.is_complex:
        _check_phase("linalg_eigh", diagonal(middle, 0, -2, -1).imag)
    inner = _off_diagonal(middle / _differences(values, values))
    if by_values is not None:
        inner = inner + _diagonal_matrix(by_values)
    return vectors @ inner @ turned


def _spread(values, left, right):
    """left diag(values) right."""
    return (left * unsqueeze(values, -2)) @ right


@called("linalg_eigh")
@hosted(lambda a, uplo: _eigh_layouts(a, uplo)[0])
def eigenvalues_of_hermitian(a: Tensor, uplo):
    """The eigenvalues."""
    return _computed("linalg.eigvalsh", "eigenvalues", np.linalg.eigvalsh, a, uplo.upper())


@eigenvalues_of_hermitian.gradient
def _hermitian_values_gradient(g, a, uplo):
    vectors = hermitian_spectrum(a, uplo)[1]
    return _spread(g, vectors, adjoint(vectors))


@with_out
def eigh(A, UPLO="L"):
    """(eigenvalues, eigenvectors) of Hermitian matrices, ascending; A = V diag(values) V^H.

    Only the triangle that UPLO names is read. Eigenvalues are real.

    Raises LinAlgError where the algorithm does not converge.

    >>> import cresset
    >>> cresset.linalg.eigh(cresset.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    return linalg_eigh(hermitian_spectrum(A, UPLO))


@with_out
def eigvalsh(A, UPLO="L"):
    """The eigenvalues of Hermitian matrices, ascending; their gradient always exists."""
    return eigenvalues_of_hermitian(A, UPLO)


# --- square matrices ------------------------------------------------------------------------------
def _eig_layouts(a: Layout) -> tuple[Layout, Layout]:
    d = square("linalg.eig", a).dtype.to_complex()
    return packed(a, a.shape[-1], dtype=d), packed(a, *a.shape[-2:], dtype=d)


@called("linalg_eig")
@hosted(_eig_layouts)
def spectrum(a: Tensor):
    """(eigenvalues, eigenvectors)."""
    _check_finite("linalg.eig", a)
    return _computed("linalg.eig", "eigenvalues", np.linalg.eig, a)


@spectrum.gradient
def _spectrum_gradient(arrived, a, out0, out1):
    # Boeddeker et al., On the computation of complex-valued gradients with application to
    # statistically optimum beamforming (2017), for eigenvectors of norm 1.
    (by_values, by_vectors), (values, vectors) = arrived, (out0, out1)
    turned = adjoint(vectors)
    if by_vectors is None:
        inner = unsqueeze(by_values, -1) * turned
    else:
        middle = turned @ by_vectors
        along = diagonal(middle, 0, -2, -1)
        _check_phase("linalg_eig", along.imag)
        apart = _differences(values, values).conj()
        inner = _off_diagonal((middle - (turned @ vectors) * unsqueeze(along.real, -2)) / apart)
        if by_values is not None:
            inner = inner + _diagonal_matrix(by_values)
        inner = inner @ turned
    made = solution_ex(turned, inner, False)[0]
    return made if a.layout.dtype.is_complex else made.real


@called("linalg_eigvals")
@hosted(lambda a: _eig_layouts(a)[0])
def eigenvalues(a: Tensor):
    """The eigenvalues."""
    _check_finite("linalg.eigvals", a)
    return _computed("linalg.eigvals", "eigenvalues", np.linalg.eigvals, a)


@eigenvalues.gradient
def _eigenvalues_gradient(g, a):
    vectors = spectrum(a)[1]
    turned = adjoint(vectors)
    made = solution_ex(turned, unsqueeze(g, -1) * turned, False)[0]
    return made if a.layout.dtype.is_complex else made.real


@with_out
def eig(A):
    """(eigenvalues, eigenvectors) of square matrices, complex; the vectors are columns of norm 1.

    Raises LinAlgError where the algorithm does not converge, RuntimeError on infinities and NaN.

    >>> import cresset
    >>> cresset.linalg.eig(cresset.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([2.+0.j, 1.+0.j])
    """
    return linalg_eig(spectrum(A))


@with_out
def eigvals(A):
    """The eigenvalues of square matrices, complex, in LAPACK's order."""
    return eigenvalues(A)


# --- singular values ------------------------------------------------------------------------------
def _svd_layouts(a: Layout, full) -> tuple[Layout, Layout, Layout]:
    matrix("linalg.svd", a)
    m, n = a.shape[-2:]
    k = min(m, n)
    values = packed(a, k, dtype=a.dtype.to_real())
    return packed(a, m, m if full else k), values, packed(a, n if full else k, n)


@called("linalg_svd")
@hosted(_svd_layouts)
def singular_spectrum(a: Tensor, full):
    """(U, S, Vh)."""
    finite = np.isfinite(a)
    if not finite.all():
        fail("linalg.svd", ~finite.all((-2, -1)), NOT_FINITE)
    return _computed("linalg.svd", "singular values", np.linalg.svd, a, full)


@singular_spectrum.gradient
def _singular_gradient(arrived, out0, out1, out2):
    # Seeger et al., Auto-differentiating linear algebra (2017).
    (by_u, by_s, by_vh), (u, s, vh) = arrived, (out0, out1, out2)
    m, n, k = u.layout.shape[-2], vh.layout.shape[-1], s.layout.shape[-1]
    u, vh = narrow(u, -1, 0, k), narrow(vh, -2, 0, k)
    if by_u is None and by_vh is None:
        return _spread(by_s, u, vh)
    apart = _differences(s * s, s * s)
    across, down = unsqueeze(s, -2), unsqueeze(s, -1)
    terms, phases = [], []
    if by_s is not None:
        terms.append(_diagonal_matrix(by_s))
    if by_u is not None:
        by_u = narrow(by_u, -1, 0, k)
        skew = _skew(adjoint(u) @ by_u)
        terms.append(_off_diagonal(skew / apart) * across)
        phases.append(diagonal(skew, 0, -2, -1))
        if u.layout.dtype.is_complex:
            terms.append(_diagonal_matrix(phases[0] / (2 * s)))
    if by_vh is not None:
        by_v = adjoint(narrow(by_vh, -2, 0, k))
        skew = _skew(vh @ by_v)
        terms.append(down * _off_diagonal(skew / apart))
        phases.append(diagonal(skew, 0, -2, -1))
    if u.layout.dtype.is_complex:
        _check_phase("linalg_svd", sum(phases).imag)
    made = u @ sum(terms) @ vh
    if by_u is not None and m > k:
        made = made + ((by_u - u @ (adjoint(u) @ by_u)) / across) @ vh
    if by_vh is not None and n > k:
        made = made + (u / across) @ adjoint(by_v - adjoint(vh) @ (vh @ by_v))
    return made


@called("linalg_svd")
@hosted(lambda a: _svd_layouts(a, False)[1])
def singular_values(a: Tensor):
    """The singular values, descending."""
    def values(x):
        return np.linalg.svd(x, compute_uv=False)

    finite = np.isfinite(a)
    if not finite.all():
        fail("linalg.svdvals", ~finite.all((-2, -1)), NOT_FINITE)
    return _computed("linalg.svdvals", "singular values", values, a)


@singular_values.gradient
def _singular_values_gradient(g, a):
    u, _, vh = singular_spectrum(a, False)
    return _spread(g, u, vh)


@with_out
def svd(A, full_matrices=True, *, driver=None):
    """(U, S, Vh) with A = U diag(S) Vh, U and Vh unitary, S real and descending.

    For (..., m, n) and k = min(m, n), shapes (..., m, m), (..., k), (..., n, n); (..., m, k) and
    (..., k, n) without `full_matrices`, which gradients through U and Vh need. `driver` chooses
    among CUDA's algorithms and must be None here.

    Raises LinAlgError where the algorithm does not converge, as on NaN.

    >>> import cresset
    >>> cresset.linalg.svd(cresset.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    _check_driver("linalg.svd", driver)
    truth("linalg.svd", "full_matrices", full_matrices)
    return linalg_svd(singular_spectrum(A, full_matrices))


@with_out
def svdvals(A, *, driver=None):
    """The singular values of matrices, descending; their gradient always exists.

    >>> import cresset
    >>> cresset.linalg.svdvals(cresset.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor([4., 3.])
    """
    _check_driver("linalg.svdvals", driver)
    return singular_values(A)


def _check_driver(name, driver):
    if driver is not None:
        raise RuntimeError(f"{name}: keyword argument `driver=` is only supported on CUDA inputs; "
                           f"got {driver!r}; leave it out")
