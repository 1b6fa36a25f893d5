"""Activation checkpointing: what backward needs is computed again instead of kept.

Chen and others (2016). The forward pass keeps the inputs of a part alone; backward runs the part
anew, with the random numbers it drew, and differentiates that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cresset
from cresset import Tensor

__all__ = ["checkpoint", "checkpoint_sequential"]


class _Checkpoint(cresset.autograd.Function):
    """function(*args), of which backward keeps the arguments."""

    @staticmethod
    def forward(ctx, function, preserve, marker, *args):
        ctx.function = function
        ctx.state = cresset.get_rng_state() if preserve else None
        ctx.places = [k for k, x in enumerate(args) if isinstance(x, Tensor)]
        ctx.save_for_backward(*(args[k] for k in ctx.places))
        ctx.others = [None if isinstance(x, Tensor) else x for x in args]
        with cresset.no_grad():
            return function(*args)

    @staticmethod
    def backward(ctx, *gs):
        args = list(ctx.others)
        for place, x in zip(ctx.places, ctx.saved_tensors):
            args[place] = x.detach().requires_grad_(x.requires_grad)
        now = cresset.get_rng_state()
        if ctx.state is not None:
            cresset.set_rng_state(ctx.state)
        with cresset.enable_grad():
            outputs = ctx.function(*args)
        cresset.set_rng_state(now)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [
            (o, g) for o, g in zip(outputs, gs)
            if g is not None and isinstance(o, Tensor) and o.requires_grad
        ]
        if not pairs:
            raise RuntimeError(
                "checkpoint: none of output has requires_grad=True; nothing of it depends on what "
                "is learnt; call the function without checkpoint()"
            )
        cresset.autograd.backward([o for o, _ in pairs], [g for _, g in pairs])
        found = [x.grad if isinstance(x, Tensor) else None for x in args]
        return None, None, None, *found


def checkpoint(
    function: Callable,
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """function(*args, **kwargs), run again in the backward pass instead of keeping what it made.

    The function must give the same results both times; dropout does, since the random numbers are
    the same unless `preserve_rng_state=False`. Gradients reach tensors among `args`, and what the
    function finds around itself, such as parameters. They must be asked for by `backward`; the
    gradients themselves cannot be differentiated. `use_reentrant` says nothing here.

    >>> x = cresset.tensor([2.0], requires_grad=True)
    >>> checkpoint(lambda x: (x * x).exp(), x, use_reentrant=False).backward()
    >>> x.grad
    tensor([218.3926])
    """
    if not cresset.is_grad_enabled():
        return function(*args, **kwargs)
    # Wants a gradient where no argument does, for the sake of the parameters inside.
    marker = cresset.empty(0, requires_grad=True)
    part = (lambda *args: function(*args, **kwargs)) if kwargs else function
    return _Checkpoint.apply(part, preserve_rng_state, marker, *args)


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
) -> Any:
    """Functions one after another, checkpointed in `segments` parts; the last is run as it is.

    `functions` is a `Sequential` or a list.
    """
    parts = list(functions.children() if isinstance(functions, cresset.nn.Module) else functions)
    size = len(parts) // segments

    def run(parts: Sequence[Callable]) -> Callable:
        def through(x: Any) -> Any:
            for part in parts:
                x = part(x)
            return x

        return through

    for start in range(0, size * (segments - 1), size):
        input = checkpoint(run(parts[start : start + size]), input, use_reentrant=use_reentrant,
                           preserve_rng_state=preserve_rng_state)
    return run(parts[size * (segments - 1) :])(input)
