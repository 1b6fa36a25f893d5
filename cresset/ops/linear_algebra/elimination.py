"""Elimination on batches of arrays, which NumPy does not offer: LU, and triangular systems.

Both are recursive, so that nearly all of the work is products of matrices (Toledo, Locality of
reference in LU decomposition with partial pivoting, 1997).
"""

from __future__ import annotations

from cresset.ops.kinds.hosted import np

# Columns that are eliminated one at a time.
NARROW = 16


def factor(a, pivot: bool = True):
    """(packed L and U, pivots, info) of P A = L U with partial pivoting, as LAPACK's getrf.

    L, whose diagonal of ones is left out, lies below the diagonal of the first array and U from it
    on. `pivots[i]`, counted from 1, is the row that row i was exchanged with in the i-th step.
    `info` is 0, or the place, counted from 1, of the first zero on U's diagonal.
    """
    shape = a.shape
    m, n = shape[-2:]
    batch = int(np.prod(shape[:-2]))
    lu = np.array(a, order="C").reshape(batch, m, n)
    steps = min(m, n)
    pivots = np.tile(np.arange(steps), (batch, 1))
    with np.errstate(all="ignore"):
        _eliminate(lu, pivots, pivot)
    zero = np.diagonal(lu, 0, 1, 2) == 0
    info = np.where(zero.any(1), zero.argmax(1) + 1, 0) if steps else np.zeros(batch, int)
    return (lu.reshape(shape), (pivots + 1).astype("i4").reshape(*shape[:-2], steps),
            info.astype("i4").reshape(shape[:-2]))


def _eliminate(a, pivots, pivot):
    """Factor the matrices of a batch in place; `pivots` receives the rows, counted from 0."""
    m, n = a.shape[1:]
    steps = min(m, n)
    if steps <= NARROW:
        for j in range(steps):
            _eliminate_column(a, j, pivots, pivot)
        return
    half = steps // 2
    left, right = a[:, :, :half], a[:, :, half:]
    _eliminate(left, pivots[:, :half], pivot)
    exchange(right, pivots[:, :half])
    right[:, :half] = solve_lower(left[:, :half], right[:, :half], unit=True)
    right[:, half:] -= left[:, half:] @ right[:, :half]
    rest = pivots[:, half:]
    rest -= half
    _eliminate(right[:, half:], rest, pivot)
    exchange(left[:, half:], rest)
    rest += half


def _eliminate_column(a, j, pivots, pivot):
    every = np.arange(len(a))
    if pivot:
        # LAPACK measures complex numbers by the sum of the parts' sizes.
        size = np.abs(a[:, j:, j].real) + np.abs(a[:, j:, j].imag)
        found = j + size.argmax(1)
        pivots[:, j] = found
        held = a[every, found].copy()
        a[every, found] = a[:, j]
        a[:, j] = held
    column = a[:, j + 1 :, j]
    head = a[:, j, j, None]
    column /= np.where(head == 0, 1, head)
    a[:, j + 1 :, j + 1 :] -= column[:, :, None] * a[:, j, None, j + 1 :]


def exchange(a, pivots):
    """Exchange the rows of the matrices of a batch in place, step by step."""
    every = np.arange(len(a))
    for i in range(pivots.shape[1]):
        held = a[every, pivots[:, i]].copy()
        a[every, pivots[:, i]] = a[:, i]
        a[:, i] = held


def permutation(pivots, rows: int):
    """The order into which such exchanges bring rows: row i of P A is row order[i] of A.

    `pivots` counts from 1, with any batch dims.
    """
    flat = pivots.reshape(int(np.prod(pivots.shape[:-1])), pivots.shape[-1]) - 1
    order = np.tile(np.arange(rows), (len(flat), 1))[:, :, None]
    exchange(order, flat)
    return order.reshape(*pivots.shape[:-1], rows)


def solve_upper(a, b, unit: bool = False):
    """x with triu(a) x = b over batches that broadcast; ones for the diagonal where `unit`."""
    n = a.shape[-1]
    if n <= NARROW:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        x = np.array(np.broadcast_to(b, (*batch, *b.shape[-2:])))
        for i in reversed(range(n)):
            if i < n - 1:
                x[..., i, :] -= (a[..., i, None, i + 1 :] @ x[..., i + 1 :, :])[..., 0, :]
            if not unit:
                x[..., i, :] /= a[..., i, i, None]
        return x
    half = n // 2
    below = solve_upper(a[..., half:, half:], b[..., half:, :], unit)
    rest = b[..., :half, :] - a[..., :half, half:] @ below
    return np.concatenate([solve_upper(a[..., :half, :half], rest, unit), below], -2)


def solve_lower(a, b, unit: bool = False):
    """x with tril(a) x = b: the upper system with rows and columns in reverse order."""
    return solve_upper(a[..., ::-1, ::-1], b[..., ::-1, :], unit)[..., ::-1, :]


def cholesky(a):
    """(L, info) with A = L L^H from the lower triangles of a, column by column.

    `info` is 0, or the order of the first leading minor that is not positive; from there on L holds
    NaN.
    """
    n = a.shape[-1]
    lower = np.zeros(a.shape, a.dtype)
    info = np.zeros(a.shape[:-2], "i4")
    with np.errstate(all="ignore"):
        for j in range(n):
            row = lower[..., j, :j]
            head = a[..., j, j].real - (np.abs(row) ** 2).sum(-1)
            info = np.where((info == 0) & ~(head > 0), j + 1, info)
            head = np.sqrt(np.where(info == 0, head, np.nan))
            lower[..., j, j] = head
            column = a[..., j + 1 :, j] - (lower[..., j + 1 :, :j] @ row.conj()[..., None])[..., 0]
            lower[..., j + 1 :, j] = column / head[..., None]
    return lower, info.astype("i4")
