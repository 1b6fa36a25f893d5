"""What a picture of tensors shows of them: which elements, at which places of which storage."""

from __future__ import annotations

from itertools import product

import cresset

# Elements shown along each dim, by the number of dims. The last two are rows and columns of a grid.
MOST_SHOWN = ((), (16,), (8, 10), (4, 6, 6), (3, 4, 6, 6), (3, 3, 3, 3, 4))
# Elements shown of a storage, and how many letters they may have together.
MOST_PLACES, MOST_LETTERS = 28, 110


class View:
    """A tensor to be drawn: `axes` has the indices that are shown of each dim, None for a gap."""

    def __init__(self, name: str, tensor):
        if not isinstance(tensor, cresset.Tensor):
            raise TypeError(
                f"draw: can draw tensors; got {type(tensor).__name__}"
                f"{f' for {name}' if name else ''}; make a tensor of it with cresset.tensor(...)"
            )
        self.name = name
        self.tensor = tensor
        self.shape, self.strides = tuple(tensor.shape), tuple(tensor.stride())
        self.absent = tensor.device.type == "meta"
        self.offset = 0 if self.absent else tensor.storage_offset()
        rank = len(self.shape)
        known = min(rank, len(MOST_SHOWN) - 1)
        limits = (3,) * (rank - known) + MOST_SHOWN[known]
        self.axes = [ends(n, most) for n, most in zip(self.shape, limits)]

    def place(self, index) -> int:
        """The place in the storage of an element."""
        return self.offset + sum(k * s for k, s in zip(index, self.strides))

    def shown(self) -> list[int]:
        """The places of all elements that are shown."""
        axes = [[k for k in axis if k is not None] for axis in self.axes]
        return [self.place(index) for index in product(*axes)]

    def last(self) -> int:
        """The place of the element with the greatest indices."""
        return self.place(n - 1 for n in self.shape)

    def owns(self, place: int) -> bool:
        """Whether an element of the tensor lies at a place of its storage."""
        dims = sorted(((s, n) for s, n in zip(self.strides, self.shape) if s and n > 1),
                      reverse=True)
        return 0 not in self.shape and _reached(place - self.offset, dims)


class Memory:
    """One storage, and the views that are drawn over it.

    `places` are those shown of its `length` elements, in order, with None for a gap; `rank` orders
    all that are shown, here or in a view, and belong to a view. `letters` is the longest spelling.
    """

    def __init__(self, views: list[View]):
        self.views = views
        self.dtype = views[0].tensor.dtype
        self.absent = views[0].absent
        self.nbytes = 0 if self.absent else views[0].tensor.memory.nbytes
        self.length = self.nbytes // self.dtype.itemsize
        self._flat = None
        if self.length:
            self._flat = views[0].tensor.detach().as_strided((self.length,), (1,), 0)
        shown = {p for view in views for p in view.shown()}
        self.letters = max((len(self.spelled(p)) for p in shown), default=1)
        most = min(MOST_PLACES, max(MOST_LETTERS // (self.letters + 1), 10))
        self.places = self._chosen(most)
        shown.update(p for p in self.places if p is not None)
        self.letters = max((len(self.spelled(p)) for p in shown), default=1)
        owned = sorted(p for p in shown if any(view.owns(p) for view in views))
        self.rank = {p: k for k, p in enumerate(owned)}

    @staticmethod
    def under(views: list[View]) -> list[Memory]:
        """The storages under tensors; one that is read as several types counts several times."""
        groups: dict = {}
        for view in views:
            x = view.tensor
            key = id(view) if view.absent or not x.memory.nbytes else (x.memory.ptr, x.dtype)
            groups.setdefault(key, []).append(view)
        return [Memory(group) for group in groups.values()]

    def spelled(self, place: int) -> str:
        """The element at a place, in few characters."""
        return "" if self._flat is None else spell(self._flat[place].item())

    def _chosen(self, most: int) -> list:
        """At most so many places, gaps counted: what says most about the views comes first."""
        if self.length <= most:
            return list(range(self.length))
        wanted = [0, self.length - 1]
        whole = [view for view in self.views if 0 not in view.shape]
        for view in whole:
            wanted.append(view.offset)
            wanted += [view.offset + s for s, n in zip(view.strides, view.shape) if n > 1]
        wanted += [view.last() for view in whole]
        # What is left goes to the places behind the first elements, for strides to step over.
        wanted += [p for k in range(most) for view in whole if (p := view.offset + k) < self.length]
        chosen: set[int] = set()
        for p in wanted:
            if len(_with_gaps(chosen | {p})) <= most:
                chosen.add(p)
        return _with_gaps(chosen)


def _with_gaps(places) -> list:
    """Places in order, None where some are left out; a single one is not left out."""
    out: list = []
    last = -1
    for p in sorted(places):
        if p == last + 2:
            out.append(p - 1)
        elif p > last + 2:
            out.append(None)
        out.append(p)
        last = p
    return out


def _reached(distance: int, dims) -> bool:
    """Whether a distance is a sum of steps, given (stride, size) of the dims, widest first."""
    if not dims or distance <= 0:
        return distance == 0
    (stride, size), *rest = dims
    reach = sum(s * (n - 1) for s, n in rest)
    least = max(0, -(-(distance - reach) // stride))
    most = min(size - 1, distance // stride)
    return any(_reached(distance - k * stride, rest) for k in range(least, most + 1))


def ends(size: int, most: int) -> list:
    """The indices to show of a dim: all, or those at its ends around a gap.

    >>> ends(4, 5), ends(100, 5)
    ([0, 1, 2, 3], [0, 1, 2, None, 99])
    """
    if size <= most:
        return list(range(size))
    last = (most - 1) // 2 if most > 5 else 1
    return [*range(most - 1 - last), None, *range(size - last, size)]


def spell(value) -> str:
    """A number in at most nine or so characters.

    >>> spell(0.123456), spell(12345678901), spell(2 - 0.5j), spell(True)
    ('0.123', '1.23e+10', '2-0.5j', 'True')
    """
    if isinstance(value, complex):
        return f"{value.real:.3g}{value.imag:+.3g}j"
    if isinstance(value, float) or abs(value) >= 10**7:
        return f"{value:.3g}"
    return str(value)
