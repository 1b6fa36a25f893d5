"""`cresset.array_api`: the array API standard 2024.12, https://data-apis.org/array-api.

    >>> import cresset
    >>> x = cresset.tensor([3.0, 1.0, 2.0])
    >>> xp = x.__array_namespace__()
    >>> xp.sort(x), xp.std(x)
    (tensor([1., 2., 3.]), tensor(0.8165))

Its arrays are Cresset's tensors, and its names are Cresset's where the standard means the same by
them as PyTorch. The modules of this folder state the others: each says in what they differ.
Operators and methods are the tensors' own, and keep PyTorch's meaning.
"""

from __future__ import annotations

import cresset
from cresset import fft
from cresset.array_api import elementwise, linalg, reductions, shapes, types
from cresset.core.missing import found_late

_AS_THEY_ARE = (
    "__array_api_version__", "__array_namespace_info__",
    # Constants and types.
    "e", "inf", "nan", "newaxis", "pi",
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32",
    "float64", "complex64", "complex128",
    # Making arrays.
    "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "ones",
    "ones_like", "tril", "triu", "zeros", "zeros_like",
    # Types.
    "astype", "finfo", "iinfo", "isdtype",
    # Functions of every element.
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitwise_invert", "ceil", "conj",
    "cos", "cosh", "exp", "floor", "imag", "isfinite", "isinf", "isnan", "log", "log10", "log1p",
    "log2", "logical_not", "negative", "positive", "real", "reciprocal", "round", "signbit", "sin",
    "sinh", "sqrt", "square", "tan", "trunc",
    # Shapes.
    "broadcast_arrays", "expand_dims", "flip", "moveaxis", "permute_dims",
    "repeat", "reshape", "tile", "unstack",
    # Order, places, sets, products.
    "argmax", "argmin", "argsort", "diff", "matrix_transpose", "searchsorted", "take",
    "take_along_axis", "unique_all", "unique_counts", "unique_inverse", "unique_values",
)

globals().update({name: getattr(cresset, name) for name in _AS_THEY_ARE})
matmul, tensordot, vecdot = linalg.matmul, linalg.tensordot, linalg.vecdot

__all__ = [*_AS_THEY_ARE, "fft", "linalg", "matmul", "tensordot", "vecdot"]
for _part in (types, elementwise, shapes, reductions):
    _names = [name for name in _part.__all__ if name != "promoted"]
    globals().update({name: getattr(_part, name) for name in _names})
    __all__ += _names

__getattr__, __dir__ = found_late(globals())
