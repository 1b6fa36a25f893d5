"""OpenMP: not used, since loops run on threads of our own and products on kernels of our own."""


def is_available() -> bool:
    """Whether the library is used: no."""
    return False
