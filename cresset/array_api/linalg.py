"""The standard's linear algebra: `cresset.linalg`, with the standard's promotion and `vecdot`."""

from __future__ import annotations

import cresset
from cresset import isdtype
from cresset.array_api.types import promoted
from cresset.linalg import (
    cholesky,
    det,
    diagonal,
    eigh,
    eigvalsh,
    inv,
    matrix_norm,
    matrix_power,
    matrix_rank,
    matrix_transpose,
    pinv,
    qr,
    slogdet,
    svd,
    svdvals,
    vector_norm,
)

_OF_TWO = ("cross", "matmul", "outer", "solve", "tensordot")

__all__ = ["cholesky", "det", "diagonal", "eigh", "eigvalsh", "inv", "matrix_norm", "matrix_power",
           "matrix_rank", "matrix_transpose", "pinv", "qr", "slogdet", "svd", "svdvals", "trace",
           "vecdot", "vector_norm", *_OF_TWO]
globals().update({name: promoted(getattr(cresset.linalg, name)) for name in _OF_TWO})

vecdot = promoted(cresset.vecdot)


def trace(x, /, *, offset=0, dtype=None):
    """The sums of a diagonal of the matrices of the last two dims."""
    if dtype is None and isdtype(x.dtype, "unsigned integer"):
        dtype = cresset.uint64
    return cresset.linalg.trace(x, offset=offset, dtype=dtype)
