"""Memory formats: the orders in which the dims of a new tensor may lie in memory."""

from __future__ import annotations

from cresset.core.layout import Layout, contiguous_strides, is_contiguous


class memory_format:
    """An order of dims in memory, such as `cresset.channels_last`; there is one object of each.

    `outermost` are the dims from the outermost to the innermost in memory, for tensors of so many
    dims; empty for row order, which fits every tensor, and None for that of the copied tensor.
    """

    __slots__ = ("name", "outermost")

    def __init__(self, name: str, outermost: tuple[int, ...] | None = ()):
        self.name = name
        self.outermost = outermost

    def strides(self, shape) -> tuple[int, ...]:
        """The strides of a packed tensor of a shape; RuntimeError where the format needs others.

        >>> channels_last.strides((2, 3, 4, 5))
        (60, 1, 15, 3)
        """
        if not self.outermost:
            return contiguous_strides(shape)
        if len(shape) != len(self.outermost):
            raise RuntimeError(
                f"required rank {len(self.outermost)} tensor to use {self.name} format; got shape "
                f"{tuple(shape)}"
            )
        packed = contiguous_strides([shape[d] for d in self.outermost])
        return tuple(packed[self.outermost.index(d)] for d in range(len(shape)))

    def fits(self, layout: Layout) -> bool:
        """Whether the elements of a layout lie in this order without gaps."""
        if not self.outermost:
            return layout.contiguous
        return len(self.outermost) == layout.ndim and is_contiguous(
            [layout.shape[d] for d in self.outermost], [layout.strides[d] for d in self.outermost]
        )

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self):
        return self.name


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format", None)
channels_last = memory_format("channels_last", (0, 2, 3, 1))
channels_last_3d = memory_format("channels_last_3d", (0, 2, 3, 4, 1))
