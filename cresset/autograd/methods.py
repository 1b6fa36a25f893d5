"""What autograd puts on tensors: requires_grad, grad_fn, backward, detach, hooks."""

from __future__ import annotations

import weakref
from itertools import count

from cresset.autograd.engine import backward
from cresset.autograd.node import Leaf, alias
from cresset.autograd.record import live
from cresset.core.tensor import Tensor
from cresset.ops.arguments import truth

_hook_numbers = count()


def _requires_grad(x) -> bool:
    """Whether gradients are computed for the tensor."""
    return live(x) is not None


def _set_requires_grad(x, wanted):
    if type(wanted) is not bool:
        raise RuntimeError(f"requires_grad: must be a bool; got {wanted!r}; need True or False")
    if wanted == _requires_grad(x):
        return
    if not wanted:
        if not _is_leaf(x):
            raise RuntimeError(
                "requires_grad: you can only change requires_grad flags of leaf variables; use "
                "detach() to get a tensor that does not require gradients"
            )
        x.history = None
        return
    if not x.layout.dtype.is_differentiable:
        raise RuntimeError(
            "requires_grad: only Tensors of floating point and complex dtype can require "
            f"gradients; got {x.layout.dtype}; convert with .float()"
        )
    x.history = Leaf(x)


def _requires_grad_(x, requires_grad=True):
    """Ask for gradients of the tensor (or no longer); returns it."""
    _set_requires_grad(x, truth("requires_grad_", "requires_grad", requires_grad))
    return x


def _is_leaf(x) -> bool:
    """Whether the tensor was made by the user rather than by a recorded operation."""
    node = live(x)
    return node is None or type(node) is Leaf


def _grad_fn(x):
    """The node of the operation that made the tensor, None for leaves."""
    node = live(x)
    return None if type(node) is Leaf else node


def _backward(x, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Accumulate the gradient of x in the leaves that it depends on; see `autograd.backward`."""
    gradients = None if gradient is None else (gradient,)
    backward((x,), gradients, retain_graph, create_graph, inputs=inputs)


def _detach(input):
    """The same elements without history."""
    return alias(input)


def _detach_(input):
    """Forget the history of the tensor itself."""
    if input.base is not None and live(input) is not None:
        raise RuntimeError("detach_: can't detach views in-place; use detach() instead")
    input.history = None
    return input


def _register_hook(x, hook):
    """Call hook(gradient) when the tensor's gradient is known; what it returns replaces it."""
    node = live(x)
    if node is None:
        raise RuntimeError(
            "register_hook: cannot register a hook on a tensor that doesn't require gradient; "
            "call requires_grad_() first"
        )
    if node.hooks is None:
        node.hooks = {}
    return _entered(node.hooks, hook)


def _register_post_accumulate_grad_hook(x, hook):
    """Call hook(x) whenever backward has added to `x.grad`; for leaves that require gradients.

    >>> import cresset
    >>> x = cresset.ones(2, requires_grad=True)
    >>> handle = x.register_post_accumulate_grad_hook(lambda x: print(x.grad))
    >>> (x * 3).sum().backward()
    tensor([3., 3.])
    """
    node = live(x)
    if type(node) is not Leaf:
        what = "a tensor that doesn't require gradient" if node is None else "non-leaf tensors"
        raise RuntimeError(
            "register_post_accumulate_grad_hook: post accumulate grad hooks cannot be registered "
            f"on {what}; register_hook() is for the results of operations"
        )
    if node.told is None:
        node.told = {}
    return _entered(node.told, hook)


def _entered(hooks, hook) -> RemovableHandle:
    """The handle of a hook that is entered in a table."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


class RemovableHandle:
    """What registering a hook returns; `remove()` takes the hook away."""

    def __init__(self, hooks):
        self.hooks = hooks
        self.id = next(_hook_numbers)

    def remove(self):
        self.hooks.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.remove()


def _retain_grad(x):
    """Keep the gradient of a tensor that is not a leaf in its `.grad`."""
    node = live(x)
    if node is None:
        raise RuntimeError(
            "retain_grad: can't retain_grad on Tensor that has requires_grad=False; call "
            "requires_grad_() first"
        )
    if type(node) is not Leaf:
        node.retain = weakref.ref(x)


def _data(x):
    """The same elements without history, and with writes that autograd does not see."""
    out = alias(x)
    out.memory = x.memory.alias()
    return out


def _set_data(x, new):
    if not isinstance(new, Tensor):
        raise TypeError(f"data: must be a tensor; got {type(new).__name__}")
    x.memory, x.layout, x.ptr = new.memory, new.layout, new.ptr


def _make_subclass(cls, data, require_grad=False):
    """The elements of `data` as an instance of a subclass of Tensor, without history."""
    out = object.__new__(cls)
    out.memory, out.layout, out.ptr = data.memory, data.layout, data.ptr
    out.base = out.history = out.grad = None
    if require_grad:
        _set_requires_grad(out, True)
    return out


def _as_subclass(x, cls):
    return _make_subclass(cls, x)


Tensor.requires_grad = property(_requires_grad, _set_requires_grad, doc=_requires_grad.__doc__)
Tensor.requires_grad_ = _requires_grad_
Tensor.is_leaf = property(_is_leaf, doc=_is_leaf.__doc__)
Tensor.grad_fn = property(_grad_fn, doc=_grad_fn.__doc__)
Tensor.backward = _backward
Tensor.detach = _detach
Tensor.detach_ = _detach_
Tensor.register_hook = _register_hook
Tensor.register_post_accumulate_grad_hook = _register_post_accumulate_grad_hook
Tensor.retain_grad = _retain_grad
Tensor.retains_grad = property(
    lambda x: x.history is not None and getattr(x.history, "retain", None) is not None,
    doc="Whether the gradient of this tensor, which is not a leaf, is kept.",
)
Tensor.data = property(_data, _set_data, doc=_data.__doc__)
Tensor.as_subclass = _as_subclass
Tensor._make_subclass = staticmethod(_make_subclass)
Tensor._version = property(lambda x: x.memory.version, doc="In-place writes so far.")
Tensor._base = property(lambda x: x.base, doc="The tensor that this one is a view of.")
Tensor._is_view = lambda x: x.base is not None
