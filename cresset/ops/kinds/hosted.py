"""Hosted operations: computed by NumPy, on arrays over the tensors' own memory.

The declaration is one rule for the layouts of the results, which sees no element (so shapes are
known and wrong ones refused without data), one body over arrays, and the gradient, stated as
operations of ours, which exist on every order.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib import import_module
from typing import Any

from cresset.core.layout import Layout
from cresset.ops import dispatch, meta
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

# Bytes up to which copying a result takes less time than taking over its array.
COPIED = 1 << 14


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
            return meta.launcher(self.infer(meta.processor(self, specs)))
        finish = [tensor_maker(layout) for layout in self.infer(specs)]
        # What an argument becomes; None where the plan has it already.
        takes = [
            None if kind == "static" else array_maker(self.label, spec)
            for kind, spec in zip(self.parameter_kinds, specs)
        ]
        body = self.body
        def launch(*operands):
            if dispatch.tape is not None:
                dispatch.tape.refuse(f"{self.label} is computed by NumPy")
            given = iter(operands)
            found = body(*[spec if take is None else take(next(given))
                           for take, spec in zip(takes, specs)])
            if len(finish) == 1:
                return finish[0](found)
            return tuple([make(array) for make, array in zip(finish, found)])

        return launch

    def program(self, specs) -> Program:
        raise NotImplementedError(
            f"{self.label}: NumPy computes it, so it has no place in a compiled program; call it "
            "outside of the composite operation"
        )


def array_maker(label: str, spec) -> Callable:
    """The function that makes an array of a tensor of a layout, without a copy, for one call.

    Numbers, and what is left away, stay as they are.
    """
    if not isinstance(spec, Layout):
        return lambda x: x
    shape, type = tuple(spec.shape), spec.dtype.numpy
    if type is None:
        raise TypeError(f"{label}: NumPy, which computes it, has no {spec.dtype}; convert with "
                        ".float()")
    strides = tuple(s * spec.dtype.itemsize for s in spec.strides)
    memory = (ctypes.c_char * (spec.reach() * spec.dtype.itemsize)).from_address
    array = np.ndarray
    if not spec.numel:
        return lambda x: array(shape, type)
    return lambda x: array(shape, type, memory(x.ptr), 0, strides)


def tensor_maker(layout: Layout) -> Callable:
    """The function that makes a tensor of a new array, put into the layout's type and order."""
    def copied(array):
        made = new(layout)
        over(made)[...] = array
        return made

    def adopted(array):
        array = np.require(array, layout.dtype.numpy, "CAW")
        if array.shape != shape:
            raise AssertionError(f"a hosted operation made {array.shape} for {layout}")
        return native.adopt(layout, array.__array_interface__["data"][0], array.nbytes, array)

    new, over, shape = native.native().new, array_maker("", layout), tuple(layout.shape)
    return copied if layout.nbytes <= COPIED else adopted


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
