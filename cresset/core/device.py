"""Devices: where tensors live, and where new ones are made.

Every device that PyTorch names can be spoken of; tensors live on two of them, the processor and
"meta", which has shapes and no memory. A layout names its device by one of those two words.
"""

from __future__ import annotations

import threading

TYPES = ("cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga",
         "maia", "xla", "lazy", "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone")
# What layouts call the devices that are here. A value that is captured will be on the processor.
HERE = {"cpu": "cpu", "meta": "meta", "captured": "cpu"}


class device:
    """A device by its type and index, such as device("cpu") or device("cuda", 1).

    As a context manager it is where new tensors are made that name no device.

    Raises RuntimeError for what is the name of none.

    >>> device("cpu:0")
    device(type='cpu', index=0)
    >>> device("cpu:0") == device("cpu")
    False
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type, index: int | None = None):
        if isinstance(type, device):
            type, index = type.type, type.index
        if isinstance(type, int) and not isinstance(type, bool):
            raise RuntimeError(
                f"device: Cannot access accelerator device when none is available; got {type}, "
                "which names one by its number; need 'cpu' or 'meta'"
            )
        if not isinstance(type, str):
            raise TypeError(f"device: need the name of a device; got {type!r}; give such as 'cpu'")
        if index is not None and not isinstance(index, int):
            raise TypeError(f"device: argument 'index' must be int; got {index!r}; 'cpu' has none")
        name, colon, number = type.partition(":")
        if name not in TYPES:
            raise RuntimeError(
                f"device: Expected one of {', '.join(TYPES)} device type at start of device "
                f"string: {type!r}; need 'cpu' or 'meta' here; a type is no string: cresset.float32"
            )
        if colon and (not number.isdecimal() or index is not None):
            raise RuntimeError(
                f"device: Invalid device string: {type!r}; need a type, or a type and a number as "
                "in 'cpu:0'"
            )
        self.type = name
        self.index = int(number) if colon else index

    def __eq__(self, other):
        if not isinstance(other, device):
            return NotImplemented
        return (self.type, self.index) == (other.type, other.index)

    def __hash__(self):
        return hash((self.type, self.index))

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self):
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"

    def __reduce__(self):
        return device, (self.type, self.index)

    def __enter__(self):
        default.before.append(default.device)
        set_default_device(self)
        return self

    def __exit__(self, *problem):
        default.device = default.before.pop()


class _Default(threading.local):
    """The device of tensors that name none, and those it was before in open contexts.

    Each thread has its own.
    """

    def __init__(self):
        self.device = "cpu"
        self.before: list[str] = []


default = _Default()


def get_default_device() -> device:
    """Where new tensors are made that name no device, the processor unless set.

    >>> get_default_device()
    device(type='cpu')
    """
    return device(default.device)


def set_default_device(device) -> None:
    """Make new tensors on this device, where they name none; None sets the processor again.

    It holds for the thread that calls it. Raises as `placed` does for a device that is not here.
    """
    default.device = placed("set_default_device", "cpu" if device is None else device)


def placed(operation: str, where) -> str:
    """The word in layouts for a device; None is the default one.

    Raises AssertionError for a device that PyTorch has to be built for, as it does, RuntimeError
    for others that are not here.

    >>> placed("zeros", device("cpu:0"))
    'cpu'
    """
    if where is None:
        return default.device
    if type(where) is str and where in HERE:
        return HERE[where]
    name = device(where).type
    if name in HERE:
        return name
    problem = AssertionError if name in ("cuda", "xpu") else RuntimeError
    raise problem(
        f"{operation}: Torch not compiled with {name.upper()} enabled: there is no device "
        f"{str(where)!r} here; need 'cpu' or 'meta'; let {name}.is_available() choose"
    )
