"""`cresset.fft`: discrete Fourier transforms, with PyTorch's names.

    >>> import cresset as torch
    >>> x = torch.tensor([1.0, 2.0, 3.0, 4.0])
    >>> torch.fft.irfft(torch.fft.rfft(x))
    tensor([1., 2., 3., 4.])

The functions are declared in `cresset.ops.transforms.fourier`; NumPy computes them.
"""

from cresset.core.missing import found_late
from cresset.ops import functions

_found = functions("transforms.fourier")
globals().update(_found)
__all__ = list(_found)

__getattr__, __dir__ = found_late(globals())
