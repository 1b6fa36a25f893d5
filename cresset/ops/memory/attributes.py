"""What a tensor tells of itself."""

from __future__ import annotations

from cresset.core.device import HERE, device
from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.core.memory_format import contiguous_format
from cresset.core.tensor import Tensor
from cresset.ops.kinds import promotion
from cresset.ops.shapes.shape import canonical_dim

__all__ = ["is_floating_point", "is_nonzero", "is_same_size", "is_signed", "is_tensor", "numel",
           "result_type"]

# The devices of tensors, by what layouts call them.
DEVICES = {name: device(place) for name, place in HERE.items()}

Tensor.shape = property(lambda x: x.layout.shape, doc="The size of every dim, a torch.Size.")
Tensor.dtype = property(lambda x: x.layout.dtype, doc="The element type.")
Tensor.device = property(lambda x: DEVICES[x.layout.device], doc="Where the tensor lives.")
Tensor.ndim = property(lambda x: x.layout.ndim, doc="The number of dims.")
Tensor.nbytes = property(lambda x: x.layout.nbytes, doc="Bytes that the elements take.")
Tensor.itemsize = property(lambda x: x.layout.dtype.itemsize, doc="Bytes of one element.")
Tensor.is_cpu = property(lambda x: x.layout.device != "meta", doc="Whether it has elements.")
Tensor.is_meta = property(lambda x: x.layout.device == "meta", doc="Whether it has a shape alone.")
Tensor.is_cuda = Tensor.is_mps = Tensor.is_xpu = False
Tensor.is_sparse = False
Tensor.is_quantized = False


def _stride(x, dim=None):
    """The strides in elements, or the stride of one dim."""
    if dim is None:
        return x.layout.strides
    return x.layout.strides[canonical_dim("stride", dim, x.layout.ndim)]


def _storage_offset(x):
    """Elements from the start of the storage to the tensor's first."""
    return (x.ptr - x.memory.ptr) // x.layout.dtype.itemsize


def _is_contiguous(x, memory_format=contiguous_format):
    """Whether the elements lie in row order, or that of another format, without gaps."""
    try:
        return memory_format.fits(x.layout)
    except AttributeError:
        raise TypeError(
            "is_contiguous(): argument 'memory_format' must be torch.memory_format; got "
            f"{memory_format!r}; need such as cresset.channels_last"
        ) from None


def _length(x):
    """The size of the first dim."""
    if not x.layout.ndim:
        raise TypeError("len() of a 0-d tensor")
    return x.layout.shape[0]


Tensor.stride = _stride
Tensor.storage_offset = _storage_offset
Tensor.is_contiguous = _is_contiguous
Tensor.__len__ = _length
Tensor.dim = Tensor.ndimension = lambda x: x.layout.ndim
Tensor.numel = Tensor.nelement = lambda x: x.layout.numel
Tensor.element_size = lambda x: x.layout.dtype.itemsize
Tensor.data_ptr = lambda x: 0 if x.layout.device == "meta" else x.ptr
Tensor.is_floating_point = lambda x: x.layout.dtype.is_floating_point
Tensor.is_complex = lambda x: x.layout.dtype.is_complex
Tensor.get_device = lambda x: -1
Tensor.is_pinned = lambda x, device=None: False


def _pin_memory(x, device=None):
    """Move x to memory that an accelerator reads directly: RuntimeError, there is none."""
    raise RuntimeError(
        "pin_memory: Cannot access accelerator device when none is available; leave the tensor "
        "where it is"
    )


Tensor.pin_memory = _pin_memory


def _dim_order(x) -> tuple:
    """The dims from the outermost to the innermost in memory; those that are alike in order."""
    return tuple(sorted(range(x.layout.ndim), key=lambda d: -x.layout.strides[d]))


Tensor.dim_order = _dim_order


def numel(input) -> int:
    """The number of elements."""
    return input.layout.numel


def is_same_size(input, other) -> bool:
    """Whether two tensors have one shape."""
    return input.layout.shape == other.layout.shape


def is_tensor(obj) -> bool:
    """Whether obj is a tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input) -> bool:
    """Whether the element type is a floating one."""
    return _tensor("is_floating_point", input).layout.dtype.is_floating_point


def is_signed(input) -> bool:
    """Whether the element type has negative numbers."""
    return _tensor("is_signed", input).layout.dtype.is_signed


def is_nonzero(input) -> bool:
    """Whether the one element of input is not zero; RuntimeError unless there is exactly one."""
    return bool(_tensor("is_nonzero", input))


def result_type(*tensors) -> dtype:
    """The type that arithmetic of operands, tensors, types or Python numbers, gives.

    Tensors with dims decide; zero-dim tensors and then numbers only where they are of a higher
    category.

    >>> import cresset
    >>> cresset.result_type(cresset.tensor([1, 2], dtype=cresset.int8), 1.5)
    torch.float32
    """
    return promotion.result_type([_specified(a) for a in tensors])


def _specified(operand):
    """What promotion sees of an operand; a type stands for a tensor of it with dims."""
    if isinstance(operand, dtype):
        return Layout.packed((1,), operand)
    return operand.layout if isinstance(operand, Tensor) else type(operand)


def _tensor(operation, x):
    if not isinstance(x, Tensor):
        raise TypeError(f"{operation}(): argument 'input' must be Tensor, not {type(x).__name__}")
    return x


Tensor.is_nonzero = is_nonzero
Tensor.is_signed = is_signed
Tensor.is_same_size = is_same_size
