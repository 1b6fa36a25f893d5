"""Hosted operations: computed by NumPy, on arrays over the tensors' own memory.

The declaration is one rule for the layouts of the results, which sees no element (so shapes are
known and wrong ones refused without data), one body over arrays, and the gradient, stated as
operations of ours, which exist on every order.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import meta
from cresset.ops.operation import Operation
from cresset.runtime import native
from cresset.runtime.program import Program


class Late:
    """A module that is imported when something of it is first asked for."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute):
        found = getattr(import_module(self._name), attribute)
        setattr(self, attribute, found)
        return found


# Programs that need no array start without NumPy.
np: Any = Late("numpy")


class Hosted(Operation):
    """out = body(arrays and parameters)."""

    def __init__(self, body, results):
        super().__init__(body)
        self.results = results

    def infer(self, specs):
        made = self.results(*specs)
        return made if type(made) is tuple else (made,)

    def plan(self, specs):
        if meta.concerned(specs):
            return super().plan(specs)
        layouts = self.infer(specs)

        def launch(*operands):
            given = iter(operands)
            args = [spec if kind == "static" else array_over(next(given))
                    for kind, spec in zip(self.parameter_kinds, specs)]
            found = self.body(*args)
            found = found if isinstance(found, tuple) else (found,)
            outs = tuple(map(tensor_over, found, layouts))
            return outs[0] if len(outs) == 1 else outs

        return launch

    def program(self, specs) -> Program:
        raise NotImplementedError(
            f"{self.label}: NumPy computes it, so it has no place in a compiled program; call it "
            "outside of the composite operation"
        )


def array_over(x):
    """A tensor's elements as an array, without a copy; numbers as they are."""
    return x.numpy(force=True) if isinstance(x, Tensor) else x


def tensor_over(array, layout: Layout) -> Tensor:
    """The tensor over a new array's memory, which is put into the layout's type and order."""
    array = np.require(array, layout.dtype.numpy, "CAW")
    if array.shape != layout.shape:
        raise AssertionError(f"a hosted operation made {array.shape} for {layout}")
    return native.adopt(layout, array.__array_interface__["data"][0], array.nbytes, array)


def hosted(results: Callable):
    """Declare an operation by a body over NumPy arrays, which returns new ones.

    `results` takes what the operation takes, with layouts in the place of tensors, and returns the
    layout of the result, or a tuple of several.

    >>> from cresset.core.layout import Layout
    >>> @hosted(lambda x: Layout.packed(x.shape, x.dtype))
    ... def doctest_reversed(x: Tensor):
    ...     return x[::-1]
    >>> doctest_reversed.gradient(lambda g: doctest_reversed(g))  # doctest: +ELLIPSIS
    <function ...>
    """
    return lambda body: Hosted(body, results).declare()
