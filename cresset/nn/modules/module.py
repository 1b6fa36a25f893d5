"""`Module` on the path that PyTorch has it on."""

from cresset.nn.module import Module

__all__ = ["Module"]
