"""Copies and conversions: clone, contiguous, to, copy_, fill_."""

from __future__ import annotations

import numbers

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.device import placed
from cresset.core.layout import Layout
from cresset.core.limits import RANGES, fitted
from cresset.core.memory_format import contiguous_format, preserve_format
from cresset.core.memory_format import memory_format as MemoryFormat
from cresset.core.tensor import Number, Tensor
from cresset.ops import dispatch, meta
from cresset.ops.kinds.elementwise import Elementwise, refuse_overlapping
from cresset.ops.kinds.promotion import kept
from cresset.ops.operation import Operation, called
from cresset.runtime.program import Program

__all__ = ["clone", "fill", "fill_", "zero_"]


class Copy(Elementwise):
    """out[i] = x[i], as another type or in another order of dims."""

    default_kind = "static"
    write_label = "copy_"

    def infer(self, specs):
        x, target, order = specs
        d = kept(self.label, target or x.dtype)
        if order is preserve_format:
            return (x.like(d),)
        return (Layout.of(x.shape, order.strides(x.shape), d, x.device),)

    def expressions(self, specs):
        x, target, order = specs
        return (scalar.cast(scalar.argument(0, kept(self.label, x.dtype)), target or x.dtype),)

    def plan_into(self, out, specs, same):
        x, *how = specs
        if out.device == "cpu" and x.device == "meta":
            raise NotImplementedError(
                f"{self.label}: Cannot copy out of meta tensor; no data! It has the shape "
                f"{tuple(x.shape)} alone; make the tensor on the cpu"
            )
        # A copy may come from anywhere else.
        return super().plan_into(out, (x.on(out.device), *how), same)

    def program_into(self, out, specs, same) -> Program:
        x = specs[0]
        shape = out.shape
        if x.ndim > out.ndim or any(
            n not in (1, m) for n, m in zip(reversed(x.shape), reversed(shape))
        ):
            raise RuntimeError(
                f"{self.label}: the shape {tuple(x.shape)} does not broadcast to the written "
                f"tensor's {tuple(shape)}; need equal sizes or 1 in every dim; reshape or "
                "unsqueeze it"
            )
        # Unlike arithmetic, a copy may go to any type.
        refuse_overlapping(self.label, out)
        leaf = scalar.argument(0, kept(self.label, x.dtype))
        value = scalar.cast(leaf, kept(self.label, out.dtype))
        steps = self.launches((value,), (out,), [x], (0,), 1, in_place=same)
        return Program("wt", (), tuple(steps))


def copy_as(x: Tensor, dtype, order):
    """A copy as `dtype` (None: its own), in an order of dims, a memory format."""
    return x


copy_as = called("clone")(Copy(copy_as).declare())
COPY = copy_as.op


@copy_as.gradient
def _copy_gradient(g, dtype, order):
    # The engine converts a gradient to the type of what it belongs to.
    return g


class Meta(Operation):
    """The shape of x without its elements, as another type; the gradient has no way back."""

    def infer(self, specs):
        x, target = specs
        return (x.like(kept(self.label, target or x.dtype)),)

    def plan(self, specs):
        return meta.launcher(self.infer(specs))


def as_meta(x: Tensor, dtype):
    """x on the device "meta", as `dtype` (None: its own)."""


as_meta = called("to_copy")(Meta(as_meta).declare())


@as_meta.gradient
def _meta_gradient(g, x_layout):
    return to(g, device=x_layout.device)


def clone(input, *, memory_format=preserve_format):
    """A copy in memory of its own, in input's order of dims or another; the gradient flows through.

    >>> import cresset
    >>> a = cresset.zeros(2)
    >>> b = a.clone()
    >>> b += 1
    >>> a
    tensor([0., 0.])
    """
    return copy_as(input, None, memory_format or preserve_format)


def contiguous(x, memory_format=contiguous_format):
    """x itself if its elements lie in row order, or that of another format, else a copy that does.

    >>> import cresset
    >>> x = cresset.zeros(1, 3, 2, 2).contiguous(memory_format=cresset.channels_last)
    >>> x.stride()
    (12, 1, 6, 3)
    """
    if type(memory_format) is not MemoryFormat:
        raise TypeError(
            "contiguous(): argument 'memory_format' must be torch.memory_format; got "
            f"{memory_format!r}; need such as cresset.channels_last"
        )
    if memory_format.fits(x.layout):
        return x
    if memory_format is preserve_format:
        raise RuntimeError("contiguous: preserve memory format is unsupported; need another")
    return copy_as(x, None, memory_format)


def _copy_(x, other, non_blocking=False):
    """Overwrite x with the elements of another tensor, broadcast and converted."""
    try:
        launch = dispatch.plans[
            "into", False, x.layout, COPY, other.layout, None, preserve_format
        ]
    except (KeyError, AttributeError):
        launch = None
    if launch is not None and x.history is None and other.history is None and (
        other.memory is not x.memory
    ):
        launch(x, other)
        if x.memory.writer is not None:
            dispatch.note_write(x, COPY)
        return x
    if not isinstance(other, Tensor):
        if not isinstance(other, numbers.Number):
            raise TypeError(
                f"copy_(): argument 'other' must be Tensor; got {type(other).__name__}; make a "
                "tensor of it with cresset.tensor(...)"
            )
        other = dispatch.namespace["tensor"](other)
    if other is x:
        return x
    return dispatch.miss_into(copy_as.op, (other, None, preserve_format), x)


Tensor.clone = clone
Tensor.contiguous = contiguous
Tensor.copy_ = _copy_


class Fill(Elementwise):
    """out[...] = value."""

    def expressions(self, specs):
        x, value = specs
        if value is complex and not x.dtype.is_complex:
            raise RuntimeError(
                f"fill_: value cannot be converted to type {x.dtype.name} without overflow; got a "
                "complex number; need a real one, or a complex tensor"
            )
        d = value.dtype if isinstance(value, Layout) else self._number_type(value, x.dtype)
        return (scalar.cast(scalar.argument(1, d), x.dtype),)

    @staticmethod
    def _number_type(kind, common):
        return {float: types.float64, complex: types.complex128}.get(kind, types.int64)

    def shape(self, specs):
        x, value = specs
        if isinstance(value, Layout) and value.ndim:
            raise RuntimeError(
                f"fill_: only supports 0-dimension value tensor but got tensor with {value.ndim} "
                f"dimensions; got shape {tuple(value.shape)}; use copy_() to write its elements"
            )
        return x.shape


def fill(x: Tensor, value: Tensor | Number):
    """x's shape and type with one value everywhere; a tensor value must have no dims.

    >>> import cresset
    >>> cresset.zeros(2).fill_(3.0)
    tensor([3., 3.])
    """
    return value


fill = Fill(fill).declare()


@fill.gradient
def _fill_gradient(g, x, value):
    return scalar.constant(0, g.dtype), g


def fill_(input, value):
    """Overwrite input with one value; RuntimeError where its type does not hold the number."""
    d = input.layout.dtype
    kind = type(value)
    if (kind is int or kind is float) and not RANGES[d][0] <= value <= RANGES[d][1]:
        value = fitted("fill_", value, d)
    return fill.in_place(input, value)


Tensor.fill_ = fill_


def zero_(input):
    """Overwrite input with zeros."""
    return fill.in_place(input, 0)


Tensor.zero_ = zero_


def to(x, *args, dtype=None, device=None, non_blocking=False, copy=False,
       memory_format=preserve_format, tensor=None):
    """x as another type or on another device; x itself where nothing changes.

    Accepts `to(dtype)`, `to(device)`, `to(device, dtype)` and `to(other tensor)`, then whether not
    to wait for the copy, which makes no difference here, and whether to copy in any case.

    >>> import cresset
    >>> cresset.tensor([1.7]).to(cresset.int64)
    tensor([1])
    """
    flags = [a for a in args if isinstance(a, bool)]
    copy = copy or len(flags) > 1 and flags[1]
    for a in (*args, tensor):
        if isinstance(a, (types.dtype, type)):
            dtype = types.asked("to", a)
        elif isinstance(a, Tensor):
            dtype, device = a.layout.dtype, a.layout.device
        elif a is not None and not isinstance(a, bool):
            device = a
    memory_format = memory_format or preserve_format
    if device is not None:
        where, here = placed("to", device), x.layout.device
        if where == "meta" != here:
            return as_meta(x, dtype)
        if where == "cpu" and here == "meta":
            raise NotImplementedError(
                "to: Cannot copy out of meta tensor; no data! Please use Module.to_empty() instead "
                f"of Module.to() when moving a module; got shape {tuple(x.layout.shape)}; for a "
                "tensor use empty_like(x, device='cpu')"
            )
    same = memory_format is preserve_format or memory_format.fits(x.layout)
    if not copy and same and (dtype is None or dtype is x.layout.dtype):
        return x
    return copy_as(x, dtype, memory_format)


Tensor.to = to
Tensor.type_as = lambda x, other: to(x, other.layout.dtype)
Tensor.cpu = lambda x, memory_format=None: to(x, device="cpu")
Tensor.cuda = lambda x, device=None, non_blocking=False, memory_format=None: to(
    x, device="cuda" if device is None else device
)

for _name, _target in {
    "float": types.float32, "double": types.float64, "half": types.float16,
    "bfloat16": types.bfloat16, "bool": types.bool, "byte": types.uint8, "char": types.int8,
    "short": types.int16, "int": types.int32, "long": types.int64,
    "cfloat": types.complex64, "cdouble": types.complex128,
}.items():
    def _convert(x, *, memory_format=None, _target=_target):
        return x if x.layout.dtype is _target else copy_as(x, _target, preserve_format)

    _convert.__name__ = _name
    _convert.__doc__ = f"x as {_target.name}."
    setattr(Tensor, _name, _convert)


def detached_copy(x):
    """A packed copy outside of autograd."""
    args = (x, None, contiguous_format)
    return dispatch.launcher_of(copy_as.op, args)(x)


dispatch.namespace["detached_copy"] = detached_copy
