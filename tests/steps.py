"""Running a schedule without a runtime: its steps over a table of values, in pieces, in any order.

Arrays lie against pages that must not be touched, so a kernel that reads or writes a byte too far
does not survive.
"""

import ctypes
import mmap
import random

import numpy as np

from cresset.core import dtype
from cresset.core.layout import Layout
from cresset.runtime.build import load

KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
PAGE = mmap.PAGESIZE
_protect = ctypes.CDLL(None).mprotect


def guard(block):
    """Forbid the first and the last page of a block; returns the address of what lies between."""
    base = ctypes.addressof(ctypes.c_char.from_buffer(block))
    for page in (base, base + len(block) - PAGE):
        assert _protect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0) == 0
    return base + PAGE


def guarded(array, low=False):
    """A copy of an array, in row order, whose memory ends (or begins) at a forbidden page."""
    array = np.asarray(array)
    pages = -(-max(array.nbytes, 1) // PAGE)
    block = mmap.mmap(-1, (pages + 2) * PAGE)
    guard(block)
    offset = PAGE if low else (pages + 1) * PAGE - array.nbytes
    copy = np.frombuffer(block, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    return copy


def layout(array):
    """The layout of a NumPy array."""
    strides = tuple(step // array.itemsize for step in array.strides)
    return Layout.of(array.shape, strides, dtype.FROM_NUMPY[array.dtype.name])


def run(schedule, values):
    """Run (steps, temporaries) over arrays and words; returns the four words of the status block.

    The value table holds `values`, the temporaries, and the status block.
    """
    steps, temporaries = schedule
    rooms = [guarded(np.full(size, 0xA5, np.uint8)) for size in temporaries]
    status = np.zeros(4, np.int64)
    arrays = [*values, *rooms, status]
    table = [v.ctypes.data if isinstance(v, np.ndarray) else int(v) for v in arrays]
    for step in steps:
        words = [*(table[place] for place in step.operands), *step.constants]
        arguments = guarded(np.array([word % 2**64 for word in words], np.uint64))
        kernel = KERNEL(load(step.key, step.write))
        # Small work is cut as well, in the middle of a row if there are rows.
        grain = min(step.grain, step.units // 3 + 1)
        pieces = list(range(0, step.units, grain))
        random.shuffle(pieces)
        for begin in pieces:
            kernel(arguments.ctypes.data, begin, min(begin + grain, step.units))
        if status[0]:
            break
    return status.tolist()
