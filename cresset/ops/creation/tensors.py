"""New tensors: filled, or from Python's numbers and lists."""

from __future__ import annotations

import array
from functools import wraps

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.device import default as default_device
from cresset.core.device import placed
from cresset.core.dtype import dtype as DType
from cresset.core.layout import Layout
from cresset.core.limits import fitted
from cresset.core.memory_format import contiguous_format, preserve_format
from cresset.core.memory_format import memory_format as MemoryFormat
from cresset.core.tensor import Tensor
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.ops import dispatch, meta
from cresset.ops.exchange.arrays import array_of, is_array
from cresset.ops.kinds.promotion import kept
from cresset.ops.naming import renamed
from cresset.ops.out import write_out
from cresset.runtime import native
from cresset.runtime.program import Program

__all__ = ["empty", "empty_like", "empty_permuted", "empty_strided", "full", "full_like", "ones",
           "ones_like", "scalar_tensor", "tensor", "zeros", "zeros_like"]


def _shape(operation: str, size) -> tuple:
    if len(size) == 1 and not isinstance(size[0], int):
        size = size[0]
    try:
        if isinstance(size, (dict, set, str)):
            raise TypeError
        size = tuple([n.__index__() for n in size])
    except (AttributeError, TypeError):
        raise renamed(TypeError(
            f"{operation}(): argument 'size' must be a tuple of ints; got {size!r}; need sizes "
            "such as 2, 3 or (2, 3)"
        )) from None
    for n in size:
        if n < 0:
            raise renamed(RuntimeError(
                f"{operation}: trying to create tensor with negative dimension {n}: {list(size)}; "
                "need sizes of 0 or more"
            ))
    return size


def _sizes(operation: str, shape, more, size) -> tuple:
    """The sizes of `f(2, 3)`, `f((2, 3))` or `f(size=(2, 3))`, as `_shape` takes them."""
    if size is None:
        return (shape, *more)
    if shape is not None or more or isinstance(size, int):
        raise renamed(TypeError(
            f"{operation}(): argument 'size' must be a tuple of ints, given once; got {size!r}"
            f"{f' beside {(shape, *more)}' if shape is not None else ''}; need sizes such as (2, 3)"
        ))
    return (size,)


def laid_out(operation: str, size, dtype, device) -> Layout:
    """The layout of a new tensor of some sizes; what was asked for before is found at once."""
    if len(size) == 1 and type(size[0]) is tuple:
        (size,) = size
    d = types._Default.dtype if dtype is None else dtype
    where = default_device.device if device is None else device
    key = laid_out, size, d, where
    exact = _exact(size)
    try:
        if exact:
            return dispatch.plans[key]
    except (KeyError, TypeError):
        pass
    layout = Layout.packed(_shape(operation, size), kept(operation, d), placed(operation, device))
    if exact:
        dispatch.remember(key, layout)
    return layout


def _exact(size) -> bool:
    """Whether the sizes are Python integers, and so equal to none but themselves: 2.0 == 2."""
    for n in size:
        if type(n) is not int:
            return False
    return True


def _finish(operation, x, requires_grad, device=None, out=None, pin_memory=False):
    if pin_memory and x.layout.device == "cpu":
        raise renamed(RuntimeError(
            f"{operation}: pin_memory=True requires a CUDA or other accelerator backend; there is "
            "none here; leave it out"
        ))
    if device is not None and x.layout.device != placed(operation, device):
        x = x.to(device=device)
    if out is not None:
        return write_out(operation, x, out)
    if requires_grad:
        x.requires_grad_(True)
    return x


def empty(shape=None, *more, size=None, out=None, dtype=None, layout=None, device=None,
          requires_grad=False, pin_memory=False, memory_format=contiguous_format):
    """An uninitialised tensor.

    >>> import cresset
    >>> cresset.empty(2, 3).shape
    torch.Size([2, 3])
    """
    made = laid_out("empty", _sizes("empty", shape, more, size), dtype, device)
    if memory_format not in (None, contiguous_format):
        made = made.restride(made.shape, memory_format.strides(made.shape))
    return _finish("empty", meta.new(made), requires_grad, None, out, pin_memory)


def empty_strided(size, stride, *, dtype=None, layout=None, device=None, requires_grad=False,
                  pin_memory=False):
    """An uninitialised tensor with given strides."""
    d = kept("empty_strided", dtype or types.get_default_dtype())
    reach = Layout.of(tuple(size), tuple(stride), d).reach()
    memory = meta.new(Layout.packed((reach,), d, placed("empty_strided", device)))
    made = memory.as_strided(size, stride)
    return _finish("empty_strided", made, requires_grad, pin_memory=pin_memory)


def empty_permuted(size, physical_layout, *, dtype=None, layout=None, device=None,
                   requires_grad=False, pin_memory=False):
    """An uninitialised tensor whose dims lie in memory in an order, the outermost first.

    >>> import cresset
    >>> cresset.empty_permuted((2, 3, 4), (0, 2, 1)).stride()
    (12, 1, 3)
    """
    shape, order = _shape("empty_permuted", (size,)), tuple(physical_layout)
    if sorted(order) != [*range(len(shape))]:
        raise RuntimeError(
            f"empty_permuted: physical_layout must name each dim once; got {order} for "
            f"{len(shape)} dims"
        )
    strides = MemoryFormat("permuted", order).strides(shape)
    return empty_strided(shape, strides, dtype=dtype, device=device, requires_grad=requires_grad)


def filled(shape, d: DType, value, device=None) -> Tensor:
    """A tensor of `shape` with one number; the launcher is in the plan table.

    Raises RuntimeError where the type does not hold the number.
    """
    return _fitting(laid_out("full", (tuple(shape),), d, device), value)


def _fitting(layout, value) -> Tensor:
    """A tensor of one number; RuntimeError where the type does not hold it."""
    try:
        value = fitted("full", value, layout.dtype)
    except Exception as problem:
        raise renamed(problem) from None
    return _full(layout, value)


def _full(layout, value) -> Tensor:
    """A tensor of one number that its type holds."""
    return _filler(layout, type(value))(value)


def _filler(layout, given):
    """What makes a tensor of one number of a type that Python has."""
    key = _filler, layout, given
    return dispatch.plans.get(key) or dispatch.remember(key, _plan_full(layout, given))


def _plan_full(out, given):
    d = out.dtype
    if given is complex:
        if not d.is_complex:
            raise RuntimeError(
                f"full: value cannot be converted to type {d.name} without overflow; got a complex "
                "number; need a real number, or a complex type"
            )
        # The second part follows the first in the table of values.
        kind, numbers = "c", [Operand(k, types.float64, None, 0, "d") for k in (1, 2)]
        number = scalar.join(*(scalar.argument(k, types.float64) for k in (0, 1)))
    else:
        kind = "d" if given is float else "i"
        number = scalar.argument(0, types.float64 if kind == "d" else types.int64)
        numbers = [Operand(1, number.dtype, None, 0, kind)]
    operands = (*numbers, Operand(0, d, out.strides))
    body = (Store(len(numbers), scalar.cast(number, d), False),)
    launches, _ = steps(Nest(tuple(out.shape), frozenset(), operands, body))
    return dispatch.make_launcher(Program(kind, (out,), tuple(launches)), "full")


def _of_sizes(number: int):
    """Decorator of `make(*sizes, **options)`, which fills with a number.

    Sizes alone, asked for before, find at once what makes such a tensor. (And Python looks each
    option up that is left out, where a function names many.)
    """

    def decorate(make):
        @wraps(make)
        def call(*size, **options):
            if options or not size:
                return make(*size, **options)
            if len(size) == 1 and type(size[0]) is tuple:
                (size,) = size
            for n in size:
                if type(n) is not int:
                    return make(*size)
            key = _of_sizes, size, types._Default.dtype, default_device.device
            launch = dispatch.plans.get(key)
            if launch is None:
                launch = _filler(laid_out(make.__name__, size, None, None), int)
                dispatch.remember(key, launch)
            return launch(number)

        return call

    return decorate


@_of_sizes(0)
def zeros(shape=None, *more, size=None, out=None, dtype=None, layout=None, device=None,
          requires_grad=False, pin_memory=False):
    """A tensor of zeros, of a shape given as one tuple, or as one size after the other.

    >>> import cresset
    >>> cresset.zeros(2)
    tensor([0., 0.])
    """
    x = _full(laid_out("zeros", _sizes("zeros", shape, more, size), dtype, device), 0)
    return _finish("zeros", x, requires_grad, None, out, pin_memory)


@_of_sizes(1)
def ones(shape=None, *more, size=None, out=None, dtype=None, layout=None, device=None,
         requires_grad=False, pin_memory=False):
    """A tensor of ones, of a shape given as for `zeros`."""
    x = _full(laid_out("ones", _sizes("ones", shape, more, size), dtype, device), 1)
    return _finish("ones", x, requires_grad, None, out, pin_memory)


def full(shape=None, fill_value=None, *, size=None, out=None, dtype=None, layout=None, device=None,
         requires_grad=False, pin_memory=False):
    """A tensor of one number; its type follows the number unless given."""
    fill_value = _one_number("full", fill_value)
    d = dtype or types.of_number(fill_value)
    shape = shape if size is None else size
    size = shape if type(shape) is tuple or isinstance(shape, int) else tuple(shape)
    x = _fitting(laid_out("full", (size,), d, device), fill_value)
    return _finish("full", x, requires_grad, None, out, pin_memory)


def _one_number(operation, value, name="fill_value"):
    """The number itself, as one of Python's; TypeError for anything else."""
    if isinstance(value, Tensor) and not value.layout.ndim:
        return value.item()
    number = dispatch.freeze(value)
    if not isinstance(number, (int, float, complex)):
        shown = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else value
        mending = "fill with one number, or give all of them to cresset.tensor(...)"
        raise renamed(TypeError(
            f"{operation}(): argument {name!r} must be a number; got {shown!r}; "
            f"{mending if name == 'fill_value' else 'need an integer or a floating number'}"
        ))
    return number


def _like(x, dtype, device, memory_format) -> Layout:
    layout = x.layout
    if dtype is not None or not layout.dense:
        layout = layout.like(kept("empty_like", dtype or layout.dtype))
    if memory_format not in (None, preserve_format):
        layout = layout.restride(layout.shape, memory_format.strides(layout.shape))
    if device is None and layout.device != "captured":
        return layout
    return layout.on(placed("empty_like", layout.device if device is None else device))


def empty_like(input, *, dtype=None, layout=None, device=None, requires_grad=False,
               pin_memory=False, memory_format=preserve_format):
    """An uninitialised tensor of input's shape and type."""
    made = meta.new(_like(input, dtype, device, memory_format))
    return _finish("empty_like", made, requires_grad, pin_memory=pin_memory)


def zeros_like(input, *, dtype=None, layout=None, device=None, requires_grad=False,
               pin_memory=False, memory_format=preserve_format):
    """Zeros in input's shape and type."""
    made = _full(_like(input, dtype, device, memory_format), 0)
    return _finish("zeros_like", made, requires_grad, pin_memory=pin_memory)


def ones_like(input, *, dtype=None, layout=None, device=None, requires_grad=False,
              pin_memory=False, memory_format=preserve_format):
    """Ones in input's shape and type."""
    made = _full(_like(input, dtype, device, memory_format), 1)
    return _finish("ones_like", made, requires_grad, pin_memory=pin_memory)


def full_like(input, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False,
              pin_memory=False, memory_format=preserve_format):
    """One number in input's shape and type."""
    made = meta.new(_like(input, dtype, device, memory_format)).fill_(fill_value)
    return _finish("full_like", made, requires_grad, pin_memory=pin_memory)


for _name, _make in {"empty": empty, "zeros": zeros, "ones": ones, "full": full}.items():
    def _new(x, *size, _make=_make, dtype=None, device=None, **options):
        return _make(*size, dtype=dtype or x.layout.dtype,
                     device=x.layout.device if device is None else device, **options)

    _new.__name__ = "new_" + _name
    _new.__doc__ = f"{_name}(...) of the tensor's own type unless told otherwise."
    setattr(Tensor, "new_" + _name, _new)


def _new_empty_strided(x, size, stride, *, dtype=None, layout=None, device=None,
                       requires_grad=False, pin_memory=False):
    """empty_strided(...) of the tensor's own type unless told otherwise."""
    return empty_strided(size, stride, dtype=dtype or x.layout.dtype, requires_grad=requires_grad,
                         device=x.layout.device if device is None else device)


Tensor.new_empty_strided = _new_empty_strided


# --- from Python's lists --------------------------------------------------------------------------
CODES = {"b": types.int8, "B": types.uint8, "h": types.int16, "i": types.int32, "q": types.int64,
         "f": types.float32, "d": types.float64}
WRITERS = {d: code for code, d in CODES.items()}

PYTHONS = {bool, int, float, complex}
SEQUENCES = (list, tuple, range)

# What to do about values that make no tensor.
NUMBERS = "need numbers, or lists of numbers"
RAGGED = "need lists of one length, as a tensor has no ragged rows"


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A new tensor with the values of a number, nested lists, an array or a tensor, copied.

    The type is that of the values unless given: bool, int64, or the default float.

    Raises ValueError where the lists are ragged, TypeError where a value is no number.

    >>> import cresset
    >>> cresset.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    if isinstance(data, Tensor):
        x = data.detach().clone()
        x = x.to(dtype) if dtype else x
    elif _is_numpys(data):
        x = array_of(data, copied=True)
        x = x.to(dtype or x.layout.dtype, copy=True)
    else:
        shape = _nested_shape(data)
        flat: list = []
        _flatten(data, shape, 0, flat)
        x = _from_numbers(flat, shape, dtype)
    return _finish("tensor", x, requires_grad, placed("tensor", device), None, pin_memory)


def _is_numpys(data) -> bool:
    """Whether the data is NumPy's, or lists of it."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    if isinstance(data, (int, float, Tensor)):
        return False
    return is_array(data)


def _nested_shape(data) -> tuple:
    shape = []
    while isinstance(data, SEQUENCES):
        shape.append(len(data))
        if not data:
            break
        data = data[0]
    if isinstance(data, str) and shape:
        raise ValueError(f"tensor: too many dimensions 'str'; got {data!r}; {NUMBERS}")
    return tuple(shape)


def _flatten(data, shape, depth, flat):
    if depth == len(shape):
        if isinstance(data, SEQUENCES):
            raise TypeError(
                f"tensor: a sequence cannot be interpreted as a number; got {data!r} at dim "
                f"{depth}, where the first entry is a number; {RAGGED}"
            )
        flat.append(data)
        return
    if not isinstance(data, SEQUENCES):
        raise TypeError(
            f"tensor: not a sequence; got {_number(data)!r} at dim {depth}, where the first entry "
            f"is a list; {RAGGED}"
        )
    if len(data) != shape[depth]:
        raise ValueError(
            f"tensor: expected sequence of length {shape[depth]} at dim {depth} (got {len(data)}); "
            f"{RAGGED}"
        )
    if depth == len(shape) - 1:
        kinds = set(map(type, data))
        if kinds <= PYTHONS or not any(issubclass(kind, SEQUENCES) for kind in kinds):
            flat.extend(data)
            return
    for part in data:
        _flatten(part, shape, depth + 1, flat)


def _from_numbers(flat, shape, d) -> Tensor:
    kinds = set(map(type, flat))
    if not kinds <= PYTHONS:
        flat = [_number(v) for v in flat]
        kinds = set(map(type, flat))
    if complex in kinds:
        return _from_complex_numbers(flat, shape, d)
    natural = (
        types.get_default_dtype() if float in kinds or not flat
        else types.int64 if int in kinds else types.bool
    )
    d = kept("tensor", d or natural)
    # Written in the widest type of the values' category, then converted as any tensor is.
    code = "d" if float in kinds or d.is_differentiable else "q"
    if d is types.bool:
        flat = list(map(bool, flat))
    elif d is types.uint64:
        flat = [fitted("tensor", v, d) for v in flat]
    if d in WRITERS and (d.is_floating_point or code == "q" and d is types.int64):
        code = WRITERS[d]
    try:
        values = array.array(code, flat)
    except OverflowError:
        raise ValueError(
            f"tensor: Overflow when unpacking long long; got {max(flat, key=abs)} for {d}; need 64 "
            "bits at most"
        ) from None
    if d.category == d.INTEGER and (code == "d" or d not in (types.int64, types.uint64)):
        for v in flat:
            fitted("tensor", v, d)
    holder = native.adopt(
        Layout.packed(shape, CODES[code]), values.buffer_info()[0], len(values) * values.itemsize,
        values,
    )
    return holder.clone() if CODES[code] is d else holder.to(d)


def _from_complex_numbers(flat, shape, d) -> Tensor:
    d = kept("tensor", d or types.get_default_dtype().to_complex())
    if not d.is_complex:
        raise TypeError(
            f"tensor: must be real number, not complex; got a complex value for {d}; "
            "need complex64 or complex128"
        )
    values = array.array("d", [part for v in flat for part in (v.real, v.imag)])
    address, count = values.buffer_info()
    holder = native.adopt(
        Layout.packed(shape, types.complex128), address, count * values.itemsize, values
    )
    return holder.to(d, copy=True)


def _number(v):
    if isinstance(v, Tensor):
        if v.layout.numel != 1:
            raise ValueError(
                "tensor: only one element tensors can be converted to Python scalars; got one of "
                f"shape {tuple(v.layout.shape)} in a list; stack() makes one tensor of several"
            )
        return v.item()
    frozen = dispatch.freeze(v)
    if not isinstance(frozen, (bool, int, float, complex)):
        given = type(v).__name__
        if isinstance(v, (str, bytes)):
            raise TypeError(
                f"tensor: new(): invalid data type {given!r}; got {v!r}; {NUMBERS}"
            )
        raise RuntimeError(f"tensor: Could not infer dtype of {given}; {NUMBERS}")
    # A number of a class of its own, such as NumPy's float64, as one of Python's.
    for kind in (bool, int, float):
        if isinstance(frozen, kind):
            return kind(frozen)
    return complex(frozen)


def scalar_tensor(s, *, dtype=None, layout=None, device=None, requires_grad=False,
                  pin_memory=False):
    """A tensor of no dims that holds the number s."""
    number = _one_number("scalar_tensor", s)
    x = filled((), dtype or types.get_default_dtype(), number, device)
    return _finish("scalar_tensor", x, requires_grad, pin_memory=pin_memory)


def _new_tensor(x, data, *, dtype=None, layout=None, device=None, requires_grad=False,
                pin_memory=False):
    """tensor(data) of the tensor's own type unless told otherwise."""
    return tensor(data, dtype=dtype or x.layout.dtype, requires_grad=requires_grad,
                  device=x.device if device is None else device)


Tensor.new_tensor = _new_tensor
dispatch.namespace["tensor"] = tensor
