"""`cresset.linalg`: linear algebra, with PyTorch's names.

    >>> import cresset as torch
    >>> A = torch.tensor([[4.0, 1.0], [1.0, 3.0]], requires_grad=True)
    >>> torch.linalg.solve(A, torch.tensor([5.0, 4.0]))
    tensor([1.0000, 1.0000], grad_fn=<...>)

The functions are declared in `cresset.ops.linear_algebra`. LAPACK, as it comes with NumPy, computes
factorizations; LU, triangular systems and the exponential are ours, in terms of NumPy's products.
"""

from cresset.core.errors import LinAlgError
from cresset.ops import functions

THEMES = ("systems", "triangular", "factors", "lu", "spectra", "least_squares", "norms",
          "functions")

__all__ = ["LinAlgError"]
for _theme in THEMES:
    _found = functions(f"linear_algebra.{_theme}")
    globals().update(_found)
    __all__ += _found
