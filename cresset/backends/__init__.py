"""What computes: one compiler. PyTorch's switches between libraries are here, and change nothing.

Programs set such switches before they train, often without asking for the library.
"""

from cresset.backends import cuda, cudnn, mkl, mkldnn, mps, openmp, opt_einsum

__all__ = ["cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum"]
