"""Tensors whose elements are counted: each is computed of its index."""

from __future__ import annotations

import math

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.device import placed
from cresset.core.dtype import dtype as DType
from cresset.core.layout import Layout
from cresset.core.scalar import Expression
from cresset.core.tensor import Tensor
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.ops import dispatch
from cresset.ops.arguments import whole
from cresset.ops.creation.tensors import _finish, _one_number, laid_out
from cresset.ops.kinds.promotion import computed
from cresset.runtime.program import Program

__all__ = ["arange", "eye"]


def _counted(name, shape, d: DType, values: tuple, body, device, weights=(1,)) -> Tensor:
    """A tensor whose elements are `body(index, *values)` of their index along the last dim.

    Of several dims the indices are added up, each times its weight. The index is read from nothing:
    it is the position within a nest.
    """
    where = placed(name, device)
    key = (name, shape, d, tuple(map(type, values)), where)
    launch = dispatch.plans.get(key)
    if launch is None:
        launch = dispatch.remember(key, _plan_counted(shape, d, values, body, where, weights))
    return launch(*values)


def _plan_counted(shape, d, values, body, device, weights):
    kinds = "".join("d" if type(v) is float else "i" for v in values)
    leaves = [
        scalar.argument(k, types.float64 if kind == "d" else types.int64)
        for k, kind in enumerate(kinds)
    ]
    operands = [Operand(1 + k, e.dtype, None, 0, kind)
                for k, (e, kind) in enumerate(zip(leaves, kinds))]
    out = Layout.packed(shape, d, device)
    operands.append(Operand(0, d, out.strides))
    value: Expression = scalar.cast(body(scalar.position(), *leaves), d)
    nest = Nest(tuple(shape), frozenset(), tuple(operands),
                (Store(len(operands) - 1, value, False),), weights)
    launches, _ = steps(nest)
    return dispatch.make_launcher(Program(kinds, (out,), tuple(launches)), "arange")


def arange(start=None, end=None, step=1, *, out=None, dtype=None, layout=None, device=None,
           requires_grad=False, pin_memory=False):
    """start, start + step, ... below `end`.

    Integers give int64, floats the default type. Element k is start + k * step, rounded once.

    >>> import cresset
    >>> cresset.arange(1, 10, 3)
    tensor([1, 4, 7])
    """
    if end is None:
        if start is None:
            raise TypeError("arange: where to end is missing; call arange(end) or (start, end)")
        start, end = 0, start
    elif start is None:
        start = 0
    whole_numbers = type(start) is type(end) is type(step) is int
    if not whole_numbers:
        start, end, step = [
            _one_number("arange", n, name)
            for n, name in ((start, "start"), (end, "end"), (step, "step"))
        ]
    if step == 0:
        raise RuntimeError(
            "arange: step must be nonzero; got 0; need a positive step to count up, or a negative "
            "one to count down"
        )
    if not whole_numbers and not all(map(math.isfinite, (start, end, step))):
        raise RuntimeError(
            f"arange: unsupported range: {start} -> {end} by {step}; need finite numbers"
        )
    if (end - start) / step < 0:
        raise RuntimeError(
            f"arange: upper bound and lower bound inconsistent with step sign; got start {start}, "
            f"end {end}, step {step}; a negative step counts down"
        )
    floating = not whole_numbers and float in map(type, (start, end, step))
    d = computed("arange", dtype or (types.get_default_dtype() if floating else types.int64))
    length = math.ceil((end - start) / step)
    if d.is_floating_point:
        values = (float(start), float(step))
        x = _counted("arange float", (length,), d, values, _line, device)
    else:
        x = _counted("arange", (length,), d, (int(start), int(step)), _line, device)
    return _finish("arange", x, requires_grad, None, out, pin_memory)


def _line(index, start, step):
    return start + scalar.cast(index, step.dtype) * step


def eye(n, m=None, *, k=0, out=None, dtype=None, layout=None, device=None, requires_grad=False,
        pin_memory=False):
    """Ones on the `k`-th diagonal of a matrix of zeros."""
    made = laid_out("eye", (n, n if m is None else m), dtype, device)
    k = whole("eye", "k", k)
    x = _counted("eye", tuple(made.shape), made.dtype, (k,), _on_diagonal, made.device, (-1, 1))
    return _finish("eye", x, requires_grad, None, out, pin_memory)


def _on_diagonal(index, k):
    return scalar.eq(index, k)
