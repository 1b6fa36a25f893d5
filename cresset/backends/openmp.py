"""OpenMP: not used, since threads are our own."""


def is_available() -> bool:
    """Whether the library is used: no."""
    return False
