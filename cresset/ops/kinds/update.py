"""Updates: one elementwise function over lists of tensors, written in place, in a single launch.

An optimizer's step is such a function: it reads parameters, gradients and state and overwrites
some of them. All tensors of a group go through one kernel, whatever their number and shapes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.tensor import Tensor
from cresset.kernels.update import listing, write
from cresset.ops import dispatch
from cresset.runtime import build, native
from cresset.runtime.ir import Module


class Update:
    """Callable on lists of tensors and keyword numbers; see `update`."""

    def __init__(self, body, writes):
        self.body = body
        self.name = body.__name__
        self.__doc__ = body.__doc__
        parameters = inspect.signature(body).parameters.values()
        self.lists = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        self.numbers = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        self.writes = tuple(self.lists.index(w) for w in writes)
        self.updaters: dict = {}

    def __call__(self, *lists, **numbers):
        """Run over the k-th tensors of all lists together, for every k."""
        if not lists[0] or lists[0][0].layout.device == "meta":
            return
        if dispatch.tape is not None:
            dispatch.tape.refuse(f"{self.name} updates tensors outside of an optimizer's step")
        # At once, as every step of an optimizer comes by here.
        values = [*map(numbers.__getitem__, self.numbers)]
        d = lists[0][0].layout.dtype
        updater = self.updaters.get(d)
        if updater is None and d.is_complex:
            # The parts of complex numbers are parameters of their own.
            self(*[list(map(_as_real, tensors)) for tensors in lists], **numbers)
            return
        if updater is None:
            updater = self._plan(lists)
        if updater(*lists, *values) is NotImplemented:
            self._one_by_one(lists, values)

    def _plan(self, lists):
        if len(lists) != len(self.lists):
            raise TypeError(
                f"{self.name}: takes {len(self.lists)} lists ({', '.join(self.lists)}); "
                f"got {len(lists)}"
            )
        d = lists[0][0].layout.dtype
        for tensors in lists:
            if tensors[0].layout.dtype is not d or not d.is_floating_point or d in types.STORED:
                raise TypeError(
                    f"{self.name}: needs tensors of one floating type to compute on; got "
                    f"{d.name} and {tensors[0].layout.dtype.name}"
                )
        address = build.load(*self.kernel(d))
        updater = native.make_updater(address, len(lists), len(self.numbers), self.writes, d)
        self.updaters[d] = updater
        return updater

    def kernel(self, d: dtype) -> tuple[str, Callable[[], Module]]:
        """The key of the kernel for an element type, and what writes it."""
        count = len(self.lists)
        leaves = [scalar.argument(k, d) for k in range(count)]
        numbers = {n: scalar.argument(count + k, d) for k, n in enumerate(self.numbers)}
        out = self.body(*leaves, **numbers)
        out = out if isinstance(out, tuple) else (out,)
        if len(out) != len(self.writes):
            raise TypeError(f"{self.name}: the body returns {len(out)} values for "
                            f"{len(self.writes)} written lists")
        work = (d, count, len(self.numbers), self.writes, out)
        return listing(*work), lambda: write(*work)

    def _one_by_one(self, lists, values):
        """The way for tensors that the launch refuses: differing layouts, types or gaps."""
        for tensors in zip(*lists, strict=True):
            for t in tensors:
                if not isinstance(t, Tensor):
                    raise TypeError(f"{self.name}: the lists must hold tensors; got {type(t)}")
                if t.layout.shape != tensors[0].layout.shape:
                    raise RuntimeError(
                        f"{self.name}: tensors that are updated together must have one shape; got "
                        f"{tuple(tensors[0].layout.shape)} and {tuple(t.layout.shape)}"
                    )
            packed = [dispatch.namespace["detached_copy"](t) for t in tensors]
            seen = [[_as_real(t)] for t in packed]
            updater = self.updaters.get(seen[0][0].layout.dtype)
            if updater is None:
                updater = self._plan(seen)
            updater(*seen, *values)
            for w in self.writes:
                # What is written is a parameter or state, outside of the graph.
                tensors[w].data.copy_(packed[w])


def _as_real(x):
    """The parts of a complex tensor, where they lie; another tensor itself."""
    return dispatch.namespace["view_as_real"](x) if x.layout.dtype.is_complex else x


def update(body=None, *, writes=None):
    """Declare an update: body(p, g, ..., *, lr, ...) -> the new values of the lists in `writes`.

    Positional parameters are lists of tensors, keyword-only ones run-time numbers. Without
    `writes` the first parameter is the one that is written.

    >>> @update(writes=("p",))
    ... def doctest_descend(p, g, *, lr):
    ...     return p - lr * g
    """
    if body is None:
        return lambda b: update(b, writes=writes)
    if writes is None:
        writes = (next(iter(inspect.signature(body).parameters)),)
    return Update(body, writes)
