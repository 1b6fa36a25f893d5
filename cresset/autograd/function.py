"""Custom functions: an operation with a backward that the user writes."""

from __future__ import annotations

from functools import wraps

from cresset.autograd.mode import mode, no_grad
from cresset.autograd.node import Node, Pick, alias, zeros_of
from cresset.autograd.record import live
from cresset.autograd.saved import packer, read_output, read_tensor, save_output
from cresset.core.tensor import Tensor


class FunctionCtx:
    """What `forward` hands to `backward`: saved tensors, and any attributes."""

    def __init__(self):
        self._to_save = ()
        self._saved = None
        self._node = None
        self.needs_input_grad: tuple[bool, ...] = ()
        self._non_differentiable = ()
        self._dirty = ()
        self._materialize = True

    def save_for_backward(self, *tensors):
        """Save tensors for backward; a later in-place write to them is detected."""
        self._to_save = tensors

    @property
    def saved_tensors(self):
        """The tensors that were saved, as they were then."""
        if self._saved is None:
            raise RuntimeError(
                "backward: trying to backward through the graph a second time: the saved tensors "
                "have been freed; pass retain_graph=True to the first backward"
            )
        return tuple(self._read(*item) for item in self._saved)

    def _read(self, how, saved):
        if how == "input":
            return read_tensor(self._node, saved)
        if how == "output":
            saved, k, total = saved
            history = self._node if total == 1 else Pick(self._node, k, total)
            if type(saved) is tuple:
                return read_output(self._node, saved, history)
            x = saved.tensor(self._node)
            x.history = history
            return x
        return saved.tensor(self._node) if how == "packed" else saved

    def mark_non_differentiable(self, *tensors):
        """Say that these outputs have no gradient."""
        self._non_differentiable = tensors

    def mark_dirty(self, *tensors):
        """Say that these inputs were written in place."""
        self._dirty = tensors

    def set_materialize_grads(self, value: bool):
        """Whether gradients of unused outputs come as zeros (the default) or as None."""
        self._materialize = value


class FunctionNode(Node):
    """The node of a custom function."""

    __slots__ = ("context", "function", "outputs")

    def __init__(self, function, context, edges, layouts, outputs):
        super().__init__(None, edges, layouts)
        self.function = function
        self.context = context
        self.outputs = outputs

    def name(self):
        return f"{self.function.__name__}Backward"

    def apply(self, g):
        gradients = list(g) if isinstance(g, tuple) else [g]
        found = self.function.backward(self.context, *gradients)
        found = list(found) if isinstance(found, tuple) else [found]
        if len(found) < len(self.edges):
            raise RuntimeError(
                f"{self.name()}: returned an incorrect number of gradients (expected "
                f"{len(self.edges)}, got {len(found)})"
            )
        return found

    def complete(self, gradients):
        """The gradients of several outputs, as zeros where nothing used one, unless told not to."""
        if not self.context._materialize:
            return tuple(gradients)
        return tuple(
            zeros_of(layout) if g is None and layout is not None else g
            for g, layout in zip(gradients, self.outputs)
        )

    def release(self):
        self.context._saved = None


class Function:
    """Subclass with static methods `forward(ctx, *args)` and `backward(ctx, *gradients)`.

    Call it by `apply`. `backward` returns one gradient for every argument of `forward`, None for
    those that are no tensors. A separate `setup_context(ctx, inputs, output)` may do the saving;
    the forward then takes no context.

    >>> import cresset
    >>> class Double(cresset.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return g * 2
    >>> x = cresset.ones(2, requires_grad=True)
    >>> Double.apply(x).sum().backward()
    >>> x.grad
    tensor([2., 2.])
    """

    @staticmethod
    def forward(ctx, *args):
        raise NotImplementedError("Function: define a static method forward(ctx, *args)")

    @staticmethod
    def backward(ctx, *gradients):
        raise NotImplementedError("Function: define a static method backward(ctx, *gradients)")

    @classmethod
    def apply(cls, *args):
        """Run forward, and enter the function into the graph."""
        context = FunctionCtx()
        edges = [live(a) if isinstance(a, Tensor) else None for a in args]
        context.needs_input_grad = tuple(edge is not None for edge in edges)
        separate = "setup_context" in {n for c in cls.__mro__ for n in vars(c)}
        with no_grad():
            if separate:
                result = cls.forward(*args)
                cls.setup_context(context, args, result)
            else:
                result = cls.forward(context, *args)
        if not mode.enabled or not any(context.needs_input_grad):
            return result
        return cls._record(context, args, edges, result)

    @classmethod
    def _record(cls, context, args, edges, result):
        outputs = result if isinstance(result, tuple) else (result,)
        layouts = tuple(a.layout if isinstance(a, Tensor) else None for a in args)
        node = FunctionNode(
            cls, context, tuple(edges), layouts,
            tuple(o.layout if isinstance(o, Tensor) else None for o in outputs),
        )
        tracked = []
        for k, o in enumerate(outputs):
            if not isinstance(o, Tensor) or not o.layout.dtype.is_differentiable or any(
                o is other for other in context._non_differentiable
            ):
                tracked.append(o)
                continue
            if any(o is a for a in args) and not any(o is d for d in context._dirty):
                o = o.view(o.shape) if o.layout.contiguous else o.clone()
            o.history = node if len(outputs) == 1 else Pick(node, k, len(outputs))
            o.base = None
            tracked.append(o)
        context._node = node
        context._saved = tuple(_saved(t, tracked) for t in context._to_save)
        # What was only marked is not to live as long as the graph.
        context._to_save = context._non_differentiable = context._dirty = ()
        return tuple(tracked) if isinstance(result, tuple) else tracked[0]


def _saved(t, outputs):
    """A saved tensor with how it is to be read; an output must not hold its own node."""
    if not isinstance(t, Tensor):
        return "value", t
    hooks = packer()
    for k, o in enumerate(outputs):
        if t is o:
            kept = save_output(t) if hooks is None else hooks.packed(alias(t), None)
            return "output", (kept, k, len(outputs))
    if hooks is not None:
        return "packed", hooks.packed(t, live(t))
    if t.memory.writer is None:
        t.memory.writer = ()
    return "input", (t, t.memory.version)


def once_differentiable(backward):
    """Decorator of a `backward` that cannot itself be differentiated.

    Its results have no history; differentiating them raises RuntimeError.
    """

    @wraps(backward)
    def detached(ctx, *gradients):
        recorded = mode.enabled and any(
            isinstance(g, Tensor) and g.requires_grad for g in gradients
        )
        with no_grad():
            found = backward(ctx, *gradients)
        if not recorded:
            return found
        several = isinstance(found, tuple)
        found = tuple(
            _Refuse.apply(g, *gradients) if isinstance(g, Tensor) else g
            for g in (found if several else (found,))
        )
        return found if several else found[0]

    return detached


class _Refuse(Function):
    """The first tensor, with a derivative by the others that raises."""

    @staticmethod
    def forward(ctx, g, *others):
        return g.detach()

    @staticmethod
    def backward(ctx, *gradients):
        raise RuntimeError(
            "once_differentiable: trying to differentiate twice a function that was marked with "
            "@once_differentiable; leave the mark away where its backward is made of operations"
        )
