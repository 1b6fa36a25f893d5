"""Grad mode: whether operations are recorded, for each thread by itself."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable

from cresset.ops.arguments import truth


class _Mode(threading.local):
    enabled = True
    inference = False
    # The walk backwards that is under way: its number, its roots, what nodes count, None for all.
    walk: tuple | None = None


mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations on tensors that require gradients are recorded."""
    return mode.enabled


def is_inference_mode_enabled() -> bool:
    """Whether the thread is inside `inference_mode`."""
    return mode.inference


class _GradMode:
    """A context manager, and a decorator of functions, that sets grad mode for a while."""

    enabled = False
    inference: bool | None = None

    def __enter__(self):
        # A stack, so that one object can be entered again while it is open.
        self.__dict__.setdefault("before", []).append((mode.enabled, mode.inference))
        mode.enabled = self.enabled
        if self.inference is not None:
            mode.inference = self.inference

    def __exit__(self, *problem):
        mode.enabled, mode.inference = self.before.pop()

    def __call__(self, function):
        if inspect.isgeneratorfunction(function):
            return self._around_generator(function)

        @functools.wraps(function)
        def inside(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return inside

    def _around_generator(self, function):
        """The generator function with its steps in this mode, and nothing between them."""

        @functools.wraps(function)
        def generator(*args, **kwargs):
            with self:
                inner = function(*args, **kwargs)
            step: Callable = inner.send
            given: tuple = (None,)
            try:
                while True:
                    with self:
                        try:
                            item = step(*given)
                        except StopIteration as stop:
                            return stop.value
                    try:
                        step, given = inner.send, ((yield item),)
                    except GeneratorExit:
                        raise
                    except BaseException as problem:
                        step, given = inner.throw, (problem,)
            finally:
                with self:
                    inner.close()

        return generator

    def __new__(cls, function=None, *args, **kwargs):
        self = object.__new__(cls)
        if callable(function):
            return self(function)
        return self


class no_grad(_GradMode):
    """Nothing is recorded inside.

    >>> import cresset
    >>> x = cresset.ones(2, requires_grad=True)
    >>> with cresset.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """


class enable_grad(_GradMode):
    """Operations are recorded inside, also within `no_grad`."""

    enabled = True


class inference_mode(_GradMode):
    """Nothing is recorded inside; `inference_mode(False)` changes nothing."""

    inference: bool | None = True

    def __init__(self, mode=True):
        if mode is False:
            self.enabled = is_grad_enabled()
            self.inference = None


class set_grad_enabled(_GradMode):
    """Set grad mode, for good or as a context manager.

    >>> import cresset
    >>> with cresset.set_grad_enabled(False):
    ...     cresset.is_grad_enabled()
    False
    """

    def __new__(cls, mode):
        return object.__new__(cls)

    def __init__(self, mode):
        self.enabled = truth("set_grad_enabled", "mode", mode)
        self.before = [(is_grad_enabled(), is_inference_mode_enabled())]
        globals()["mode"].enabled = self.enabled

    def __enter__(self):
        globals()["mode"].enabled = self.enabled

    def __call__(self, function):
        # As a decorator the setting is for the function alone.
        globals()["mode"].enabled = self.before[0][0]
        return (enable_grad() if self.enabled else no_grad())(function)
