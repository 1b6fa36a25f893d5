"""`cresset.linalg`: linear algebra, with PyTorch's names.

    >>> import cresset as torch
    >>> A = torch.tensor([[4.0, 0.0], [0.0, 2.0]], requires_grad=True)
    >>> torch.linalg.solve(A, torch.tensor([2.0, 4.0]))
    tensor([0.5000, 2.0000], grad_fn=<SqueezeBackward1>)

The functions are declared in `cresset.ops.linear_algebra`. LAPACK, as it comes with NumPy, computes
factorizations; LU and triangular systems are kernels of ours, LDL and the exponential ours in terms
of NumPy's products.
"""

from cresset.core.missing import found_late
from cresset.ops import functions
from cresset.ops.exchange import standard
from cresset.ops.linear_algebra.matrices import LinAlgError
from cresset.ops.products import contractions
from cresset.ops.products import matrix_products as products
from cresset.ops.shapes import shape

THEMES = ("systems", "triangular", "factors", "lu", "ldl", "spectra", "least_squares", "norms",
          "functions")

__all__ = ["LinAlgError"]
for _theme in THEMES:
    _found = functions(f"linear_algebra.{_theme}")
    globals().update(_found)
    __all__ += _found

# The array API standard has these here as well.
matrix_transpose, outer, tensordot = shape.matrix_transpose, products.outer, contractions.tensordot
trace = standard.trace

__getattr__, __dir__ = found_late(globals())
