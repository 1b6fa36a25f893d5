"""Hooks of a module: registering them, and a call that passes through them."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import cresset
from cresset import Tensor
from cresset.utils.hooks import HookTable, RemovableHandle


class Hookable:
    """The part of `Module` that registers hooks and calls them around `forward`.

    `_hooked` says that a hook was ever registered; while it is False a call goes straight to
    `forward`, so hooks cost nothing to those who have none.
    """

    _hooked = False
    forward: Callable[..., Any]

    def _make_hook_tables(self) -> None:
        tables = self.__dict__
        tables["_forward_pre_hooks"] = HookTable()
        tables["_forward_pre_hooks_with_kwargs"] = OrderedDict()
        tables["_forward_hooks"] = HookTable()
        tables["_forward_hooks_with_kwargs"] = OrderedDict()
        tables["_forward_hooks_always_called"] = OrderedDict()
        tables["_backward_pre_hooks"] = HookTable()
        tables["_backward_hooks"] = HookTable()

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, args) -> None or new args` before each `forward`.

        A result that is no tuple is taken as the one argument. With `with_kwargs` the hook is
        called as `hook(module, args, kwargs)` and returns None or `(args, kwargs)`.
        """
        self._hooked = True
        marks = [self._forward_pre_hooks_with_kwargs] if with_kwargs else []
        return self._forward_pre_hooks.add(hook, prepend, marks)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Calls `hook(module, args, output) -> None or new output` after each `forward`.

        With `with_kwargs` it is called as `hook(module, args, kwargs, output)`; with `always_call`
        also when `forward` raises, then with None as the output.
        """
        self._hooked = True
        marks = [self._forward_hooks_with_kwargs] if with_kwargs else []
        marks += [self._forward_hooks_always_called] if always_call else []
        return self._forward_hooks.add(hook, prepend, marks)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, grad_output) -> None or new grad_output` as backward reaches it."""
        self._hooked = True
        return self._backward_pre_hooks.add(hook, prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, grad_input, grad_output) -> None or new grad_input` in backward.

        It is called once the gradients of the module's positional tensor arguments are known;
        arguments that need none appear as None.
        """
        self._hooked = True
        return self._backward_hooks.add(hook, prepend)

    def _call_through_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        called: set[int] = set()
        try:
            args, kwargs = self._run_forward_pre_hooks(args, kwargs)
            boundary = None
            if self._backward_hooks or self._backward_pre_hooks:
                boundary = BackwardBoundary(self)
                args = boundary.enter(args)
            output = self.forward(*args, **kwargs)
            output = self._run_forward_hooks(args, kwargs, output, called)
            return output if boundary is None else boundary.leave(output)
        except Exception:
            self._run_always_called_hooks(args, kwargs, called)
            raise

    def _run_forward_pre_hooks(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for number, hook in tuple(self._forward_pre_hooks.items()):
            if number not in self._forward_pre_hooks_with_kwargs:
                result = hook(self, args)
                if result is not None:
                    args = result if isinstance(result, tuple) else (result,)
                continue
            result = hook(self, args, kwargs)
            if result is None:
                continue
            if not isinstance(result, tuple) or len(result) != 2:
                raise RuntimeError(
                    f"{type(self).__name__}: a forward pre-hook with kwargs returned {result!r}; "
                    "need None or a tuple of new args and new kwargs"
                )
            args, kwargs = result
        return args, kwargs

    def _run_forward_hooks(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any, called: set[int]
    ) -> Any:
        for number, hook in tuple(self._forward_hooks.items()):
            called.add(number)
            if number in self._forward_hooks_with_kwargs:
                result = hook(self, args, kwargs, output)
            else:
                result = hook(self, args, output)
            if result is not None:
                output = result
        return output

    def _run_always_called_hooks(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], called: set[int]
    ) -> None:
        for number in tuple(self._forward_hooks_always_called):
            hook = self._forward_hooks.get(number)
            if hook is None or number in called:
                continue
            try:
                if number in self._forward_hooks_with_kwargs:
                    hook(self, args, kwargs, None)
                else:
                    hook(self, args, None)
            except Exception as error:
                # The error of `forward` is on its way up and must not be replaced.
                warnings.warn(
                    f"{type(self).__name__}: a forward hook with always_call=True failed while "
                    f"another error was handled: {error}",
                    stacklevel=2,
                )


class BackwardBoundary:
    """One call of a module with backward hooks: gates on its inputs and outputs.

    Backward passes the gate on the outputs first, which tells the pre-hooks and keeps the gradient
    of the outputs, and the gate on the inputs last, which tells the hooks.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self.positions: list[int] = []
        self.argument_count = 0
        self.grad_output: tuple[Any, ...] = ()

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, those that need a gradient passed through the gate on the inputs."""
        self.argument_count = len(args)
        if not cresset.is_grad_enabled():
            return args
        self.positions = [
            position
            for position, value in enumerate(args)
            if isinstance(value, Tensor) and value.requires_grad
        ]
        if not self.positions:
            return args
        gated = Gate.apply(self.notify_inputs, *(args[position] for position in self.positions))
        arguments = list(args)
        for position, value in zip(self.positions, gated):
            arguments[position] = value
        return tuple(arguments)

    def leave(self, output: Any) -> Any:
        """The output, its tensors passed through the gate on the outputs."""
        values = output if isinstance(output, tuple) else (output,)
        if not all(isinstance(value, Tensor) for value in values):
            warnings.warn(
                f"{type(self.module).__name__}: backward hooks are not called, since its output is "
                f"{type(output).__name__}; need a Tensor or a tuple of Tensors",
                stacklevel=4,
            )
            return output
        if not any(value.requires_grad for value in values):
            return output
        gated = Gate.apply(self.notify_outputs, *values)
        return gated if isinstance(output, tuple) else gated[0]

    def notify_outputs(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in tuple(self.module._backward_pre_hooks.values()):
            result = hook(self.module, gradients)
            if result is not None:
                gradients = result if isinstance(result, tuple) else (result,)
        self.grad_output = gradients
        if not self.positions:
            self.run_hooks((None,) * self.argument_count)
        return gradients

    def notify_inputs(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        grad_input: list[Any] = [None] * self.argument_count
        for position, gradient in zip(self.positions, gradients):
            grad_input[position] = gradient
        changed = self.run_hooks(tuple(grad_input))
        return tuple(changed[position] for position in self.positions)

    def run_hooks(self, grad_input: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in tuple(self.module._backward_hooks.values()):
            result = hook(self.module, grad_input, self.grad_output)
            if result is None:
                continue
            result = result if isinstance(result, tuple) else (result,)
            if len(result) != len(grad_input):
                raise RuntimeError(
                    f"{type(self.module).__name__}: a backward hook returned {len(result)} "
                    f"gradients; need {len(grad_input)}, one for each positional argument"
                )
            grad_input = result
        return grad_input


class Gate(cresset.autograd.Function):
    """Passes tensors on unchanged; in backward their gradients go through `notify`."""

    @staticmethod
    def forward(ctx: Any, notify: Callable[..., Any], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.notify = notify
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        return None, *ctx.notify(gradients)
