"""Layouts: how a tensor's elements lie over its storage.

A `Layout` is the interned tuple (shape, strides, dtype, device). Equal layouts are the same object,
so they are compared and hashed by identity: that is what makes the plan table a cheap dispatcher.
"""

from __future__ import annotations

from math import prod
from operator import index

from cresset.core.dtype import dtype

# Kernels count elements and bytes in 64 bits.
LARGEST = (1 << 63) - 1


class Size(tuple):
    """The shape of a tensor: a tuple that prints as PyTorch's `torch.Size`."""

    __slots__ = ()

    def numel(self) -> int:
        return prod(self)

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def __add__(self, other):
        return Size(tuple.__add__(self, other))

    def __getitem__(self, index):
        item = tuple.__getitem__(self, index)
        return Size(item) if type(item) is tuple else item


class Layout:
    """Shape, strides (in elements), element type and device of a tensor; interned.

    Make one with `Layout.of`; never by the constructor. `dense` says that the elements fill one
    block of memory without gaps or overlaps, in any order of the dims; `contiguous` that they do so
    in row order. `absent` says that there are no elements to read: on the device "meta", which has
    no memory, and for values of a program that is being captured.
    """

    __slots__ = ("__weakref__", "absent", "contiguous", "dense", "device", "dtype", "nbytes",
                 "ndim", "numel", "shape", "strides")

    table: dict[tuple, Layout] = {}
    # Interned layouts are dropped all at once when there are this many; the plans that hold some of
    # them keep theirs, and lookups of those simply miss once.
    most = 1 << 16

    @classmethod
    def of(cls, shape: tuple, strides: tuple, dtype: dtype, device: str = "cpu") -> Layout:
        """The one layout with these properties."""
        key = (shape, strides, dtype, device)
        layout = cls.table.get(key)
        return layout if layout is not None else cls._make(key)

    @classmethod
    def packed(cls, shape: tuple, dtype: dtype, device: str = "cpu") -> Layout:
        """The contiguous layout of a shape."""
        shape = tuple(shape)
        layout = cls.table.get((shape, dtype, device))
        if layout is None:
            layout = cls.of(shape, contiguous_strides(shape), dtype, device)
            # Under a second key, so that strides are not counted out again.
            cls.table[shape, dtype, device] = layout
        return layout

    @classmethod
    def _make(cls, key):
        shape, strides, dtype, device = key
        layout = object.__new__(cls)
        # Integers alone: 2.0 == 2, and who asks for 2 later finds what was made first.
        layout.shape = shape = Size(map(index, shape))
        layout.strides = strides = tuple(map(index, strides))
        layout.dtype = dtype
        layout.device = device
        layout.absent = device != "cpu"
        layout.ndim = len(shape)
        layout.numel = prod(shape)
        layout.nbytes = layout.numel * dtype.itemsize
        layout.contiguous = is_contiguous(shape, strides)
        layout.dense = layout.contiguous or is_dense(shape, strides)
        if max(layout.numel, layout.reach() * dtype.itemsize) > LARGEST:
            raise RuntimeError(
                f"layout: Storage size calculation overflowed with sizes={list(shape)} and "
                f"strides={list(strides)} of {dtype}; need fewer than 2**63 bytes"
            )
        if len(cls.table) >= cls.most:
            cls.table.clear()
        cls.table[key] = layout
        return layout

    def restride(self, shape, strides) -> Layout:
        """The layout with another shape and strides over the same type and device."""
        return Layout.of(tuple(shape), tuple(strides), self.dtype, self.device)

    def on(self, device: str) -> Layout:
        """The layout on another device."""
        return Layout.of(self.shape, self.strides, self.dtype, device)

    def cast(self, dtype: dtype) -> Layout:
        """The layout with another element type."""
        return Layout.of(self.shape, self.strides, dtype, self.device)

    def like(self, dtype: dtype | None = None) -> Layout:
        """The layout of a new tensor of this shape: dims in its order if dense, else packed."""
        strides = self.strides if self.dense else contiguous_strides(self.shape)
        return Layout.of(self.shape, strides, dtype or self.dtype, self.device)

    def reach(self) -> int:
        """Elements of storage from the first to one past the last that the layout touches."""
        if self.numel == 0 or self.dense:
            return self.numel
        return 1 + sum((n - 1) * s for n, s in zip(self.shape, self.strides))

    def __repr__(self) -> str:
        return f"Layout(shape={tuple(self.shape)}, strides={self.strides}, {self.dtype.name})"


def contiguous_strides(shape) -> tuple:
    """Strides of row order.

    >>> contiguous_strides((2, 3, 4))
    (12, 4, 1)
    """
    strides = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def is_contiguous(shape, strides) -> bool:
    """Whether the strides are those of row order, dims of size 1 aside."""
    if 0 in shape:
        return True
    step = 1
    for n, s in zip(reversed(shape), reversed(strides)):
        if n != 1:
            if s != step:
                return False
            step *= n
    return True


def is_dense(shape, strides) -> bool:
    """Whether some order of the dims makes the layout contiguous."""
    order = sorted((s, n) for n, s in zip(shape, strides) if n != 1)
    step = 1
    for s, n in order:
        if s != step:
            return False
        step *= n
    return True


def broadcast_shapes(*shapes) -> tuple:
    """The shape that all `shapes` expand to; raises ValueError with the dim at fault.

    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    rank = max(map(len, shapes), default=0)
    out = [1] * rank
    for shape in shapes:
        for k, n in enumerate(shape, rank - len(shape)):
            if out[k] == 1:
                out[k] = n
            elif n != 1 and n != out[k]:
                raise ValueError(f"dim {k} is {out[k]} and {n}")
    return tuple(out)


def expand_strides(shape, strides, target) -> tuple:
    """Strides that read a tensor of `shape` as one of the broadcast shape `target`."""
    pad = len(target) - len(shape)
    return (0,) * pad + tuple(
        0 if n == 1 and m != 1 else s for n, m, s in zip(shape, target[pad:], strides)
    )
