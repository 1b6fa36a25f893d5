"""Versions: Cresset's own, and those of libraries that it is made for, which are none."""

from cresset import __version__

__all__ = ["__version__", "cuda", "hip"]

cuda = None
hip = None
