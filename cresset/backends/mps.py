"""Apple's Metal: no kernels are made for it."""


def is_available() -> bool:
    """Whether there is a device: no."""
    return False


def is_built() -> bool:
    """Whether kernels are made for it: no."""
    return False
