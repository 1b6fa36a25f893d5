"""CUDA, of a machine without it: what asks is answered truthfully, what needs a device raises.

Programs choose their device by `cuda.is_available()`, seed "all devices" and print their memory:
all of that works, with none of them. What cannot work without one raises as PyTorch's build for the
processor does: AssertionError.
"""

from __future__ import annotations

from typing import Any, NoReturn

from cresset import OutOfMemoryError
from cresset.core.missing import found_late

__all__ = ["OutOfMemoryError", "device_count", "empty_cache", "get_arch_list", "is_available",
           "is_bf16_supported", "is_initialized", "manual_seed", "manual_seed_all",
           "max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved",
           "seed", "seed_all"]


def is_available() -> bool:
    """Whether there is a device: no.

    >>> is_available()
    False
    """
    return False


def is_initialized() -> bool:
    """Whether a device is in use: no."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether a device computes with bfloat16: no, as there is none."""
    return False


def device_count() -> int:
    """The number of devices, 0."""
    return 0


def get_arch_list() -> list[str]:
    """The architectures that code is made for: none."""
    return []


def manual_seed(seed: int) -> None:
    """Seed the generator of the current device: there is none."""


manual_seed_all = manual_seed


def seed() -> None:
    """Seed the generators of devices from the system: there are none."""


seed_all = seed


def memory_allocated(device: Any = None) -> int:
    """Bytes in use on a device, 0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def empty_cache() -> None:
    """Give back memory that is kept on devices: none is."""


def _absent_function(name: str):
    def raises(*args: Any, **options: Any) -> NoReturn:
        raise AssertionError(
            f"cuda.{name}: Torch not compiled with CUDA enabled: there is no such device here; let "
            "cuda.is_available() choose, and use 'cpu'"
        )

    raises.__name__ = name
    raises.__doc__ = "What takes a device: raises AssertionError, there is none."
    return raises


for _name in ("current_device", "current_stream", "default_stream", "get_device_capability",
              "get_device_name", "get_device_properties", "get_rng_state", "get_rng_state_all",
              "ipc_collect", "max_memory_cached", "mem_get_info", "memory_stats", "memory_summary",
              "reset_max_memory_allocated", "reset_peak_memory_stats", "set_device",
              "set_per_process_memory_fraction", "set_rng_state", "set_rng_state_all",
              "set_stream", "synchronize", "utilization"):
    globals()[_name] = _absent_function(_name)

# Classes that nothing is an instance of.
for _name in ("CUDAGraph", "Event", "Stream", "device", "stream",
              *(f"{kind}Tensor" for kind in ("BFloat16", "Bool", "Byte", "Char", "Double", "Float",
                                             "Half", "Int", "Long", "Short"))):
    globals()[_name] = type(_name, (), {"__new__": _absent_function(_name)})

__getattr__, __dir__ = found_late(globals(), {"amp": ()})
