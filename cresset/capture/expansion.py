"""Expansion: a derived elementwise operation as calls of public ones.

The gradient of an elementwise operation is one that nobody declared: it has a body and no public
name. In a graph that people read it stands as the arithmetic of its body.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from cresset import ops
from cresset.core import scalar
from cresset.core.layout import broadcast_shapes
from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.ops.creation.tensors import filled

OPERATORS: dict[str, Callable] = {
    "abs": operator.abs, "add": operator.add, "bit_and": operator.and_,
    "bit_not": operator.invert, "bit_or": operator.or_, "bit_xor": operator.xor,
    "div": operator.truediv, "eq": operator.eq, "le": operator.le, "lt": operator.lt,
    "mul": operator.mul, "ne": operator.ne, "neg": operator.neg, "pow": operator.pow,
    "remainder": operator.mod, "shift_left": operator.lshift, "shift_right": operator.rshift,
    "sub": operator.sub,
}
# Primitives that tensors know by another name, and what a number bounds in one of two operands.
RENAMED = {"join": "complex", "normal_weight": "ndtr"}
BOUNDS = {"maximum": "min", "minimum": "max"}
# (primitive, place, number) where a number at that place leaves the other operand as it is.
NEUTRAL = {("mul", 0, 1), ("mul", 1, 1), ("div", 1, 1), ("pow", 1, 1)}


def expand(op, args, uniform):
    """The results of a derived operation, computed by public ones.

    `uniform(a)` is the number that fills a constant tensor, None where no single one does. Such a
    constant counts as a number wherever the result has its shape without it.

    Raises NotImplementedError where the body has a primitive without a function for tensors.
    """
    specs = dispatch.specs_of(op, args)
    shape = tuple(op.infer(specs)[0].shape)
    operands = _plain_operands(dispatch.operands(op, args), shape, uniform)
    expressions = op.expressions(specs)
    done: dict = {}
    for e in scalar.topological(*expressions):
        if e.name == "argument":
            done[e] = operands[e.value]
        elif e.name == "constant":
            done[e] = e.value
        elif e.name == "cast":
            done[e] = _cast(done[e.args[0]], e.dtype)
        else:
            done[e] = _applied(op, e, [done[a] for a in e.args])
    results = tuple(
        done[e] if isinstance(done[e], Tensor) else filled(shape, e.dtype, done[e])
        for e in expressions
    )
    return results[0] if len(results) == 1 else results


def _plain_operands(operands, shape, uniform) -> list:
    """The operands, with numbers for constants that are needed for nothing but their number."""
    found = list(operands)
    for k, a in enumerate(found):
        number = uniform(a) if isinstance(a, Tensor) else None
        others = [b.layout.shape for b in found if b is not a and isinstance(b, Tensor)]
        if number is not None and others and broadcast_shapes(*others) == shape:
            found[k] = number
    return found


def _cast(value, d):
    if isinstance(value, Tensor):
        return value if value.layout.dtype is d else value.to(d)
    return scalar.constant(value, d).value


def _applied(op, e, args):
    """The primitive of an expression, of numbers and tensors."""
    name, numbers = e.name, [a for a in args if not isinstance(a, Tensor)]
    for k, a in enumerate(args):
        if not isinstance(a, Tensor) and (name, k, a) in NEUTRAL:
            return args[1 - k]
    if name == "where":
        condition, x, y = args
        if not isinstance(condition, Tensor):
            return x if condition else y
        # Two numbers would meet in the default type.
        typed = filled((), e.dtype, x) if len(numbers) == 2 else x
        return ops.where(condition, typed, y)
    if name in BOUNDS and len(numbers) == 1:
        (x,) = (a for a in args if isinstance(a, Tensor))
        return x.clamp(**{BOUNDS[name]: numbers[0]})
    function = OPERATORS.get(name)
    if function is None:
        place = math if len(numbers) == len(args) else ops
        function = getattr(place, RENAMED.get(name, name), None)
    if function is None:
        raise NotImplementedError(
            f"trace: {op.label} computes {name!r}, for which there is no function of tensors; "
            "compute this gradient with autograd.grad"
        )
    return function(*args)
