"""Error classes that PyTorch adds to Python's own."""

from __future__ import annotations


class OutOfMemoryError(RuntimeError):
    """Memory for a tensor could not be had; everything that exists stays usable."""


class LinAlgError(RuntimeError):
    """A matrix does not have what was asked of it: an inverse, a factor, eigenvalues."""
