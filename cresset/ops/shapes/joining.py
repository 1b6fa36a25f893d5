"""Joining: cat, stack."""

from __future__ import annotations

from functools import cache

from cresset.core import scalar
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.ops.kinds import special
from cresset.ops.kinds.promotion import kept, result_type
from cresset.ops.out import with_out
from cresset.ops.shapes.shape import canonical_dim, narrow
from cresset.ops.shapes.splitting import unbind
from cresset.runtime.program import Program

__all__ = ["cat", "concat", "concatenate", "stack"]


@cache
def join(name, count):
    """The operation, `cat` or `stack`, on a given number of tensors; there is one for each."""
    names = [f"x{k}" for k in range(count)]
    typed = ", ".join(f"{n}: Tensor" for n in names)
    layouts = ", ".join(f"{n}_layout" for n in names)
    plan, parts = {"cat": (plan_cat, cat_parts), "stack": (plan_stack, stack_parts)}[name]
    scope = {"plan": plan, "parts": parts}
    exec(f"def {name}({typed}, dim):\n    return plan(({', '.join(names)},), dim)\n"
         f"def gradient(g, dim, {layouts}):\n"
         f"    return parts(g, dim, ({layouts},))\n", scope)
    declared = special(scope[name], moves=True)
    declared.gradient(scope["gradient"])
    return declared


def plan_cat(layouts, dim) -> Program:
    """Copies of all tensors side by side into one."""
    # As in PyTorch, empty vectors may be joined with anything.
    full_ones = [x for x in layouts if tuple(x.shape) != (0,)] or list(layouts[:1])
    first = full_ones[0]
    if not first.ndim:
        raise RuntimeError("cat: zero-dimensional tensors cannot be concatenated; use stack")
    d = canonical_dim("cat", dim, first.ndim)
    for k, x in enumerate(full_ones):
        same = x.ndim == first.ndim and all(
            n == m for j, (n, m) in enumerate(zip(x.shape, first.shape)) if j != d
        )
        if not same:
            raise RuntimeError(
                f"cat: Sizes of tensors must match except in dimension {d}. Expected "
                f"{tuple(first.shape)} but got {tuple(x.shape)} for tensor number {k} in the list; "
                "reshape it, or join along another dim"
            )
    target = kept("cat", result_type(full_ones))
    shape = list(first.shape)
    shape[d] = sum(x.shape[d] for x in full_ones)
    out = Layout.packed(tuple(shape), target)
    launches, start = [], 0
    for k, x in enumerate(layouts):
        if tuple(x.shape) == (0,) and len(shape) != 1 or x.numel == 0:
            continue
        launches += _copy(k, x, out, out.strides, start * out.strides[d])
        start += x.shape[d]
    return Program("t" * len(layouts), (out,), tuple(launches))


def plan_stack(layouts, dim) -> Program:
    """Copies of all tensors into one, each at its index of a new dim."""
    shape = layouts[0].shape
    d = canonical_dim("stack", dim, len(shape) + 1)
    target = kept("stack", result_type(layouts))
    out = Layout.packed((*shape[:d], len(layouts), *shape[d:]), target)
    strides = out.strides[:d] + out.strides[d + 1 :]
    launches = []
    for k, x in enumerate(layouts):
        launches += _copy(k, x, out, strides, k * out.strides[d])
    return Program("t" * len(layouts), (out,), tuple(launches))


def _copy(k, x, out, strides, offset):
    """The launches that copy operand k into a part of the result."""
    operands = (Operand(1 + k, x.dtype, x.strides), Operand(0, out.dtype, strides, offset))
    value = scalar.cast(scalar.argument(0, x.dtype), out.dtype)
    return steps(Nest(tuple(x.shape), frozenset(), operands, (Store(1, value, False),)))[0]


def stack_parts(g, dim, layouts):
    """The entries of a gradient that belong to each of the stacked tensors."""
    return unbind(g, dim)


def cat_parts(g, dim, layouts):
    """The stretches of a gradient that belong to each of the joined tensors."""
    parts: list = []
    start = 0
    for x in layouts:
        if tuple(x.shape) == (0,) and g.layout.ndim != 1:
            parts.append(None)
            continue
        length = x.shape[dim]
        parts.append(narrow(g, dim, start, length))
        start += length
    return tuple(parts)


@with_out
def cat(tensors, dim=0):
    """The tensors joined along a dim that they all have; types promote.

    With None for the dim, as the array API standard has it, they are flattened first.

    >>> import cresset
    >>> cresset.cat([cresset.tensor([1, 2]), cresset.tensor([3])])
    tensor([1, 2, 3])
    """
    _check_list("cat", tensors)
    if not tensors:
        raise ValueError("cat: expected a non-empty list of Tensors; got none; give one or more")
    if dim is None:
        tensors, dim = [x.flatten() for x in tensors], 0
    return join("cat", len(tensors))(*tensors, dim)


concat = concatenate = cat


def _check_list(operation, tensors):
    if isinstance(tensors, Tensor):
        raise TypeError(
            f"{operation}(): argument 'tensors' must be a list or tuple of tensors; got one tensor "
            f"of shape {tuple(tensors.layout.shape)}; write {operation}([a, b])"
        )


@with_out
def stack(tensors, dim=0):
    """The tensors, all of one shape, joined along a new dim."""
    _check_list("stack", tensors)
    if not tensors:
        raise RuntimeError("stack: expects a non-empty list of tensors; got none; give one or more")
    shape = tensors[0].layout.shape
    for k, x in enumerate(tensors):
        if x.layout.shape != shape:
            raise RuntimeError(
                f"stack: expects each tensor to be equal size, but got {list(shape)} at entry 0 "
                f"and {list(x.layout.shape)} at entry {k}; use cat() to join sizes that differ"
            )
    return join("stack", len(tensors))(*tensors, dim)
