"""Ways to compute attention, as PyTorch names them; here it is one kernel whatever they say."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cresset.backends import cuda

__all__ = ["SDPBackend", "sdpa_kernel"]


class SDPBackend(enum.IntEnum):
    """A way to compute `scaled_dot_product_attention`."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


# The switch of each way, and how to ask for it.
_SWITCHES = {
    SDPBackend.MATH: (cuda.enable_math_sdp, cuda.math_sdp_enabled),
    SDPBackend.FLASH_ATTENTION: (cuda.enable_flash_sdp, cuda.flash_sdp_enabled),
    SDPBackend.EFFICIENT_ATTENTION: (cuda.enable_mem_efficient_sdp, cuda.mem_efficient_sdp_enabled),
    SDPBackend.CUDNN_ATTENTION: (cuda.enable_cudnn_sdp, cuda.cudnn_sdp_enabled),
}


@contextmanager
def sdpa_kernel(
    backends: SDPBackend | Iterable[SDPBackend], set_priority: bool = False
) -> Iterator[None]:
    """The ways that are switched on for a while: one, or several in the order of preference.

    `cresset.backends.cuda` tells which are; the numbers are the same with all.

    Raises TypeError for what is no SDPBackend.

    >>> import cresset
    >>> q = cresset.ones(1, 2, 4)
    >>> with sdpa_kernel(SDPBackend.MATH):
    ...     cresset.nn.functional.scaled_dot_product_attention(q, q, q).shape
    torch.Size([1, 2, 4])
    """
    chosen = (backends,) if isinstance(backends, SDPBackend) else tuple(backends)
    for backend in chosen:
        if not isinstance(backend, SDPBackend):
            raise TypeError(
                f"sdpa_kernel: Backend must be an instance of SDPBackend or a list of SDPBackend "
                f"instances; got {backend!r}; give such as SDPBackend.MATH"
            )
    before = {backend: enabled() for backend, (_, enabled) in _SWITCHES.items()}
    for backend, (enable, _) in _SWITCHES.items():
        enable(backend in chosen)
    try:
        yield
    finally:
        for backend, (enable, _) in _SWITCHES.items():
            enable(before[backend])
