"""oneDNN: not used, since kernels are our own."""


def is_available() -> bool:
    """Whether the library is used: no."""
    return False
