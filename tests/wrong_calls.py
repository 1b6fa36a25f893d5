"""Wrong calls: each with its exception, in PyTorch's class, and its whole message.

`{here}` stands for the place of a line of `test_errors.py`.
"""

from cresset.core.errors import LinAlgError

SHAPES = [
    ("torch.ones(2, 3) + torch.ones(4)", RuntimeError,
     "add: cannot broadcast (2, 3) with (4,); dim 1 is 3 and 4, counted from the left of the "
     "longer shape; need equal sizes or 1 in every dim; reshape or unsqueeze one"),
    ("torch.ones(2, 3).mul_(torch.ones(4, 3))", RuntimeError,
     "mul: cannot broadcast (2, 3) with (4, 3); dim 0 is 2 and 4, counted from the left of the "
     "longer shape; need equal sizes or 1 in every dim; reshape or unsqueeze one"),
    ("torch.where(torch.ones(2) > 0, torch.ones(3), torch.ones(2))", RuntimeError,
     "where: cannot broadcast (2,) with (3,) with (2,); dim 0 is 2 and 3, counted from the left "
     "of the longer shape; need equal sizes or 1 in every dim; reshape or unsqueeze one"),
    ("torch.broadcast_shapes((2, 3), (4,))", RuntimeError,
     "broadcast_shapes: cannot broadcast (2, 3) with (4,); dim 1 is 3 and 4, counted from the "
     "left of the longer shape; need equal sizes or 1 in every dim; reshape or unsqueeze one"),
    ("torch.broadcast_to(torch.ones(3), (2, 4))", RuntimeError,
     "broadcast_to: the expanded size (4) must match the existing size (3) at non-singleton "
     "dimension 1; got (2, 4) for shape (3,); only dims of size 1 can grow; use repeat() to copy "
     "others"),
    ("torch.ones(2, 3) @ torch.ones(2, 3)", RuntimeError,
     "matmul: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3); got shapes (2, 3) and (2, "
     "3); need the last dim of the first, 3, to equal the second to last dim of the second, 2"),
    ("torch.mm(torch.ones(3), torch.ones(3, 3))", RuntimeError,
     "mm: the first operand must be 2-D; got shape (3,); matmul() takes operands of any rank"),
    ("torch.bmm(torch.ones(2, 3, 3), torch.ones(3, 3, 3))", RuntimeError,
     "bmm: Expected size for first two dimensions of batch2 tensor to be: [2, 3] but got: [3, "
     "3]; need as many matrices, and as many rows as the first has columns"),
    ("torch.dot(torch.ones(2, 2), torch.ones(2, 2))", RuntimeError,
     "dot: the first operand must be 1-D; got shape (2, 2); matmul() takes operands of any rank"),
    ("torch.mv(torch.ones(2, 3), torch.ones(2))", RuntimeError,
     "mv: size mismatch, got input (2), mat (2x3), vec (2); need a vector of 3"),
    ('torch.einsum("ij,jk->ik", torch.ones(2, 3), torch.ones(2, 3))', RuntimeError,
     "einsum(): subscript j has size 2 for operand 1 which does not broadcast with previously "
     "seen size 3; need one size for each letter"),
    ("torch.cat([torch.ones(2, 3), torch.ones(3, 2)])", RuntimeError,
     "cat: Sizes of tensors must match except in dimension 0. Expected (2, 3) but got (3, 2) for "
     "tensor number 1 in the list; reshape it, or join along another dim"),
    ("torch.cat([])", ValueError,
     "cat: expected a non-empty list of Tensors; got none; give one or more"),
    ("torch.stack([torch.ones(2), torch.ones(3)])", RuntimeError,
     "stack: expects each tensor to be equal size, but got [2] at entry 0 and [3] at entry 1; "
     "use cat() to join sizes that differ"),
    ("torch.ones(6).view(4)", RuntimeError,
     "view: shape '[4]' is invalid for input of size 6; need the same number of elements"),
    ("torch.ones(2, 3).t().view(6)", RuntimeError,
     "view: view size is not compatible with input tensor's size and stride; got shape (3, 2) "
     "with strides (1, 3) for (6,); at least one dimension spans across two subspaces that are "
     "not joined in memory; use .reshape(...) instead"),
    ("torch.ones(6).reshape(-1, -1)", RuntimeError,
     "reshape: only one dimension can be inferred; got (-1, -1); need one -1 at most"),
    ("torch.ones(6).reshape(5, -1)", RuntimeError,
     "reshape: shape '[5, -1]' is invalid for input of size 6; need the same number of elements"),
    ("torch.ones(2, 3).expand(2, 4)", RuntimeError,
     "expand: the expanded size (4) must match the existing size (3) at non-singleton dimension "
     "1; got (2, 4) for shape (2, 3); only dims of size 1 can grow; use repeat() to copy others"),
    ("torch.ones(2, 3).expand(3)", RuntimeError,
     "expand: the number of sizes provided (1) must be greater or equal to the number of "
     "dimensions in the tensor (2); got (3,) for shape (2, 3)"),
    ("torch.ones(2, 3).permute(0, 0)", RuntimeError,
     "permute: dims must name each dim once; got (0, 0) for 2 dims"),
    ("torch.ones(2, 3, 4).t()", RuntimeError,
     "t: expects a tensor with <= 2 dimensions; got 3; use transpose"),
    ("torch.ones(4).unfold(0, 5, 1)", RuntimeError,
     "unfold: maximum size for tensor at dimension 0 is 4 but size is 5; need a window of 4 at "
     "most"),
    ("torch.ones(3).split(0)", RuntimeError,
     "split: expects split_size to be positive; got 0; need 1 or more"),
    ("torch.ones(5).split([2, 2])", RuntimeError,
     "split: split_sizes must sum to 5, the size of dim 0, and none be negative; got [2, 2]"),
    ("torch.ones(3).narrow(0, 2, 3)", RuntimeError,
     "narrow: start (2) + length (3) exceeds dimension size (3) of dim 0; need start + length <= "
     "3"),
    ("torch.ones(2, 2).repeat(2)", RuntimeError,
     "repeat: Number of dimensions of repeat dims can not be smaller than number of dimensions "
     "of tensor; got 1 and 2; need one number for each dim"),
    ("torch.ones(2, 2).flatten(1, 0)", RuntimeError,
     "flatten: start_dim cannot come after end_dim; got 1 and 0; swap them"),
    ("torch.tril(torch.ones(3))", RuntimeError,
     "tril: input tensor must have at least 2 dimensions; got shape (3,); need (..., rows, "
     "columns)"),
    ("torch.meshgrid(torch.ones(2, 2))", RuntimeError,
     "meshgrid: Expected 0D or 1D tensor in the tensor list but got: shape (2, 2); need vectors; "
     "flatten() it"),
    ("torch.as_strided(torch.ones(4), (5,), (1,))", RuntimeError,
     "as_strided: sizes (5,) and strides (1,) reach outside of the storage; they end at element "
     "5, the storage has 4; need sizes, strides and an offset that end within it"),
    ("torch.tensor([[1, 2], [3]])", ValueError,
     "tensor: expected sequence of length 2 at dim 1 (got 1); need lists of one length, as a "
     "tensor has no ragged rows"),
    ("torch.linalg.inv(torch.ones(2, 3))", RuntimeError,
     "linalg.inv: A must be batches of square matrices, but they are 2 by 3 matrices; got shape "
     "(2, 3); need (..., n, n)"),
    ("torch.linalg.inv(torch.zeros(2, 2))", LinAlgError,
     "linalg.inv: The diagonal element 1 is zero, the inversion could not be completed because "
     "the input matrix is singular; pinv gives its pseudo-inverse"),
    ("torch.view_as_complex(torch.ones(3))", RuntimeError,
     "view_as_complex: Tensor must have a last dimension of size 2; got shape (3,); need (..., "
     "2): a real and an imaginary part"),
]
DIMS = [
    ("torch.ones(2, 3).sum(2)", IndexError,
     "sum: Dimension out of range (expected to be in range of [-2, 1], but got 2); the tensor "
     "has 2 dims"),
    ("torch.ones(2, 3).sum((0, 0))", RuntimeError,
     "sum: dim 0 appears multiple times in the list of dims; name each dim once"),
    ("torch.ones(2, 3).softmax(2)", IndexError,
     "softmax: Dimension out of range (expected to be in range of [-2, 1], but got 2); the "
     "tensor has 2 dims"),
    ("torch.ones(2, 3).max(3)", IndexError,
     "max: Dimension out of range (expected to be in range of [-2, 1], but got 3); the tensor "
     "has 2 dims"),
    ("torch.ones(2, 0).max(1)", IndexError,
     "max: Expected reduction dim to have non-zero size, as there is no identity; got shape (2, "
     "0) and dim 1; reduce another dim, or look whether numel() is 0 before"),
    ("torch.ones(0).max()", RuntimeError,
     "max: Expected reduction dim to have non-zero size, as there is no identity; got shape (0,) "
     "and dim None; reduce another dim, or look whether numel() is 0 before"),
    ("torch.ones(0).argmax()", IndexError,
     "argmax: Expected reduction dim to have non-zero size, as there is no identity; got shape "
     "(0,) and dim None; reduce another dim, or look whether numel() is 0 before"),
    ('torch.ones(3).sum("a")', TypeError,
     "sum: dim must be an integer or a tuple of them; got 'a'"),
    ("torch.ones(2, 3).transpose(0, 2)", IndexError,
     "transpose: Dimension out of range (expected to be in range of [-2, 1], but got 2); the "
     "tensor has 2 dims"),
    ("torch.ones(3).unsqueeze(5)", IndexError,
     "unsqueeze: Dimension out of range (expected to be in range of [-2, 1], but got 5); the "
     "tensor has 2 dims"),
    ("torch.ones(2, 3).topk(4)", RuntimeError,
     "topk: selected index k out of range; got 4 for a dim of size 3; need 0 <= k <= 3"),
    ("torch.ones(2, 3).kthvalue(4)", RuntimeError,
     "kthvalue: selected number k out of range for dimension 1; got k=4; need 1 <= k <= 3"),
    ("torch.ones(2, 2).rot90(1, (0, 0))", RuntimeError,
     "rot90: expected rotation dims to be different; got (0, 0); name the two dims of a plane"),
    ("torch.fft.fft(torch.ones(2), dim=3)", IndexError,
     "fft: Dimension out of range (expected to be in range of [-1, 0], but got 3); the tensor "
     "has 1 dims"),
]
INDICES = [
    ("torch.ones(3)[3]", IndexError,
     "index: index 3 is out of bounds for dimension 0 with size 3; need -3 <= index < 3"),
    ("torch.ones(3)[0, 0]", IndexError,
     "index: too many indices for tensor of dimension 1; got 2; need 1 at most"),
    ("torch.ones(())[0]", IndexError,
     "index: too many indices for tensor of dimension 0; got 1; need 0 at most: use x.item() for "
     "its number"),
    ("torch.ones(3)[2**70]", ValueError,
     "index: Overflow when unpacking long long; got index 1180591620717411303424 for dimension 0 "
     "with size 3; need -3 <= index < 3"),
    ("torch.ones(3)[1.5]", IndexError,
     "index: only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
     "valid indices (got float)"),
    ('torch.ones(3)["a"]', TypeError,
     "index: invalid data type 'str'; got 'a'; need integers, slices, tensors or masks"),
    ("torch.ones(3)[::-1]", ValueError,
     "index: step must be greater than zero; got -1 at dim 0; use flip"),
    ("torch.ones(3)[torch.tensor([0, 5])]", IndexError,
     "index: index 5 is out of bounds for dimension with size 3; it stands at flat position 1 of "
     "the index tensor; need -3 <= index < 3"),
    ("torch.ones(3)[torch.tensor([0.5])]", IndexError,
     "index: tensors used as indices must be long, int, byte or bool tensors; got torch.float32; "
     "convert with .long()"),
    ("torch.ones(3)[torch.tensor([True, False])]", IndexError,
     "index: The shape of the mask [2] at index 0 does not match the shape of the indexed tensor "
     "[3] at index 0; need a mask of the shape of the dims that it stands for"),
    ("torch.ones(3, 3)[[0, 1, 2], [0, 1]]", IndexError,
     "index: shape mismatch: indexing tensors could not be broadcast together with shapes [3], "
     "[2]; dim 0 is 3 and 2; need equal sizes or 1 in every dim"),
    ("torch.ones(3).select(0, 3)", IndexError,
     "select: index 3 is out of range for dim 0 with size 3; need -3 <= index < 3"),
    ("torch.ones(3).index_select(0, torch.tensor([1, 4]))", IndexError,
     "index_select: index 4 is out of bounds for dimension with size 3; it stands at flat "
     "position 1 of the index tensor; need 0 <= index < 3"),
    ("torch.ones(3).index_select(0, torch.tensor([0.0]))", RuntimeError,
     "index_select: Expected dtype int64 or int32 for index; got torch.float32; convert with "
     ".long()"),
    ("torch.ones(3).gather(0, torch.tensor([3]))", RuntimeError,
     "gather: index 3 is out of bounds for dimension with size 3; it stands at flat position 0 "
     "of the index tensor; need 0 <= index < 3"),
    ("torch.ones(3).gather(0, torch.tensor([[0]]))", RuntimeError,
     "gather: Index tensor must have the same number of dimensions as input tensor; got 2 and 1; "
     "unsqueeze or reshape the index"),
    ("torch.zeros(3).scatter(0, torch.tensor([5]), torch.ones(1))", RuntimeError,
     "scatter: index 5 is out of bounds for dimension with size 3; it stands at flat position 0 "
     "of the index tensor; need 0 <= index < 3"),
    ("torch.ones(3).index_add(0, torch.tensor([7]), torch.ones(1))", IndexError,
     "index_add: index 7 is out of bounds for dimension with size 3; it stands at flat position "
     "0 of the index tensor; need 0 <= index < 3"),
    ("torch.ones(3).index_fill(0, torch.tensor([7]), 1.0)", IndexError,
     "index_fill: index 7 is out of bounds for dimension with size 3; it stands at flat position "
     "0 of the index tensor; need -3 <= index < 3"),
    ("torch.ones(3).take(torch.tensor([9]))", IndexError,
     "take: index 9 is out of bounds for dimension with size 3; it stands at flat position 0 of "
     "the index tensor; need -3 <= index < 3"),
    ("torch.ones(3).put_(torch.tensor([9]), torch.ones(1))", IndexError,
     "put: index 9 is out of bounds for dimension with size 3; it stands at flat position 0 of "
     "the index tensor; need -3 <= index < 3"),
    ("assign(torch.ones(3), 5, 1.0)", IndexError,
     "index: index 5 is out of bounds for dimension 0 with size 3; need -3 <= index < 3"),
    ("assign(torch.ones(3), slice(0, 2), torch.ones(3))", RuntimeError,
     "index: the shape (3,) does not broadcast to the written tensor's (2,); need equal sizes or "
     "1 in every dim; reshape or unsqueeze it"),
    ("assign(torch.ones(3), torch.tensor([7]), 1.0)", IndexError,
     "index: index 7 is out of bounds for dimension with size 3; it stands at flat position 0 of "
     "the index tensor; need -3 <= index < 3"),
    ('assign(torch.ones(3), 0, "a")', TypeError,
     "index: can't assign a str to a float32 tensor; need a number or a tensor; make one with "
     "cresset.tensor(...)"),
    ("torch.ones(3).masked_fill(torch.tensor([1, 0, 1]), 0)", RuntimeError,
     "masked_fill: only supports boolean masks; got a mask with dtype int64; convert it with "
     ".bool()"),
    ("torch.ones(3).masked_select(torch.ones(2) > 0)", RuntimeError,
     "masked_select: the mask of shape [2] does not broadcast with the tensor's [3]; dim 0 is 3 "
     "and 2; need equal sizes or 1 in every dim"),
    ("torch.nn.functional.embedding(torch.tensor([7]), torch.ones(3, 2))", IndexError,
     "embedding: index 7 is out of bounds for dimension with size 3; it stands at flat position "
     "0 of the index tensor; need 0 <= index < 3"),
    ("torch.nn.functional.one_hot(torch.tensor([5]), 3)", RuntimeError,
     "one_hot: index 5 is out of bounds for dimension with size 3; it stands at flat position 0 "
     "of the index tensor; need 0 <= index < 3"),
    ("torch.nn.functional.cross_entropy(torch.ones(2, 3), torch.tensor([0, 4]))", IndexError,
     "cross_entropy: Target 4 is out of bounds; it stands at flat position 1 of the target; need "
     "0 <= target < the number of classes, or ignore_index"),
]
TYPES = [
    ("torch.ones(2, dtype=torch.int64).mean()", RuntimeError,
     "mean: could not infer output dtype. Input dtype must be a floating point; got torch.int64; "
     "convert with .float() or give dtype="),
    ("torch.ones(2, dtype=torch.int64).add_(0.5)", RuntimeError,
     "add: result type float32 can't be cast to the desired output type int64; convert the "
     "written tensor first, or use the form that returns a new one"),
    ("torch.ones(2, dtype=torch.int64) @ torch.ones(2)", RuntimeError,
     "matmul: expected both operands to have the same dtype, but got torch.int64 and "
     "torch.float32; convert one with .to(...)"),
    ("torch.ones(2) & torch.ones(2)", NotImplementedError,
     "bitwise_and: there are no bits to work on; got torch.float32; need integers or booleans; "
     "convert with .to(cresset.int64)"),
    ('torch.ones(2) + "a"', TypeError,
     "add(): argument 'other' has the wrong type; got str; need a tensor or a number; make a "
     "tensor of it with cresset.tensor(...)"),
    ("(torch.ones(2) > 0) - (torch.ones(2) > 0)", RuntimeError,
     "sub: Subtraction, the `-` operator, with a bool tensor is not supported; need numbers; use "
     "`^` or logical_xor() for the difference of masks, `~` or logical_not() to invert one"),
    ("torch.ones(2, dtype=torch.complex64) < 1", NotImplementedError,
     "lt: not implemented for complex numbers; got torch.complex64; need a real type; take "
     "abs(), .real or .imag of it"),
    ("torch.tensor(1, requires_grad=True)", RuntimeError,
     "tensor: only Tensors of floating point and complex dtype can require gradients; got "
     "torch.int64; convert with .float()"),
    ('torch.zeros(2, dtype="float")', TypeError,
     "zeros(): argument 'dtype' must be a torch.dtype; got 'float'; need one such as "
     "cresset.float32"),
    ('torch.ones(2).sum(dtype="a")', TypeError,
     "sum(): argument 'dtype' must be a torch.dtype; got 'a'; need one such as cresset.float32"),
    ("torch.ones(3).view(torch.float64)", RuntimeError,
     "view: torch.float32 cannot be seen as torch.float64, whose elements are of 8 bytes and not "
     "4; got shape (3,) with strides (1,); need a last dim of stride 1 that holds whole "
     "elements, like all other strides; use .contiguous()"),
    ('torch.ones(2).type("torch.Foo")', ValueError,
     "type: invalid type: 'torch.Foo'; need a dtype, or a name such as 'torch.FloatTensor'"),
    ("torch.finfo(torch.int64)", TypeError,
     "finfo: requires a floating point input type; got torch.int64; use iinfo for integers"),
    ("torch.iinfo(torch.float32)", TypeError,
     "iinfo: requires an integer input type; got torch.float32; use finfo for floating types"),
    ("torch.imag(torch.ones(2))", RuntimeError,
     "imag: imag is not implemented for tensors with non-complex dtypes; got torch.float32; need "
     "complex64 or complex128; a real number has no such part"),
    ("torch.tensor(object())", RuntimeError,
     "tensor: Could not infer dtype of object; need numbers, or lists of numbers"),
    ('torch.tensor([1, "a"])', TypeError,
     "tensor: new(): invalid data type 'str'; got 'a'; need numbers, or lists of numbers"),
    ("torch.tensor(300, dtype=torch.uint8)", RuntimeError,
     "tensor: value cannot be converted to type uint8 without overflow; got 300; need one that "
     "uint8 holds; use a wider type"),
    ("torch.from_numpy([1, 2])", TypeError,
     "from_numpy: expected np.ndarray (got list); use as_tensor() for numbers and lists"),
    ("torch.zeros(3).scatter_(0, torch.tensor([0]), torch.ones(1).double())", RuntimeError,
     "scatter: Expected self.dtype to be equal to src.dtype; got torch.float32 and "
     "torch.float64; convert the source with .to(torch.float32)"),
]
DEVICES = [
    ('torch.device("bogus")', RuntimeError,
     "device: Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, "
     "maia, xla, lazy, vulkan, mps, meta, hpu, mtia, privateuseone device type at start of "
     "device string: 'bogus'; need 'cpu' or 'meta' here; a type is no string: cresset.float32"),
    ('torch.zeros(2, device="cuda")', AssertionError,
     "zeros: Torch not compiled with CUDA enabled: there is no device 'cuda' here; need 'cpu' or "
     "'meta'; let cuda.is_available() choose"),
    ("torch.ones(2).cuda()", AssertionError,
     "cuda: Torch not compiled with CUDA enabled: there is no device 'cuda' here; need 'cpu' or "
     "'meta'; let cuda.is_available() choose"),
    ('torch.ones(2).to("float32")', RuntimeError,
     "device: Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, "
     "maia, xla, lazy, vulkan, mps, meta, hpu, mtia, privateuseone device type at start of "
     "device string: 'float32'; need 'cpu' or 'meta' here; a type is no string: cresset.float32"),
    ('torch.ones(2, device="meta").item()', RuntimeError,
     "item: a Tensor with 2 elements cannot be converted to Scalar; got shape (2,); index or "
     "reduce it to one element"),
    ('torch.ones(2, device="meta").tolist()', NotImplementedError,
     "tolist: Cannot copy out of meta tensor; no data! It has the shape (2,) alone; make the "
     "tensor on the cpu"),
]
VALUES = [
    ("torch.ones(2, dtype=torch.int64) // 0", RuntimeError,
     "floor_divide: ZeroDivisionError: integers have no quotient or remainder by zero; got a "
     "divisor of 0, the first at flat position 0; need another; divide as floating numbers, or "
     "choose with where()"),
    ("torch.ones(2, dtype=torch.int64) ** -1", RuntimeError,
     "pow: integers to negative integer powers are not allowed; got exponent -1; convert the "
     "base to a floating type"),
    ("bool(torch.ones(2))", RuntimeError,
     "bool: Boolean value of Tensor with 2 values is ambiguous; use any() or all()"),
    ("float(torch.ones(2))", ValueError,
     "float: only one element tensors can be converted to Python scalars; got shape (2,); index "
     "or reduce it to one element, or call tolist()"),
    ("int(torch.ones(0))", ValueError,
     "int: only one element tensors can be converted to Python scalars; got shape (0,); index or "
     "reduce it to one element, or call tolist()"),
    ("torch.ones(2).item()", RuntimeError,
     "item: a Tensor with 2 elements cannot be converted to Scalar; got shape (2,); index or "
     "reduce it to one element"),
    ("torch.arange(0, 1, 0)", RuntimeError,
     "arange: step must be nonzero; got 0; need a positive step to count up, or a negative one "
     "to count down"),
    ("torch.arange(1, 0, 1)", RuntimeError,
     "arange: upper bound and lower bound inconsistent with step sign; got start 1, end 0, step "
     "1; a negative step counts down"),
    ('torch.arange(0, float("nan"))', RuntimeError,
     "arange: unsupported range: 0 -> nan by 1; need finite numbers"),
    ("torch.randint(5, 2, (3,))", RuntimeError,
     "randint: expects 'from' to be less than 'to', but got from=5 >= to=2"),
    ("torch.multinomial(torch.tensor([-1.0, 2.0]), 1)", RuntimeError,
     "multinomial: probability tensor contains either `inf`, `nan` or element < 0; need weights "
     "that are finite and 0 or more; softmax() makes such of any numbers"),
    ("torch.multinomial(torch.ones(2), 3)", RuntimeError,
     "multinomial: cannot sample n_sample > prob_dist.size(-1) samples without replacement; got "
     "3 and 2; pass replacement=True to draw an index more than once"),
    ("torch.bernoulli(torch.tensor([2.0]))", RuntimeError,
     "bernoulli_: expects every p to be in [0, 1]; got 2.0 at flat position 0; need "
     "probabilities; apply sigmoid() or clamp(0, 1) first"),
    ("torch.normal(0.0, -1.0, (2,))", RuntimeError,
     "normal_: expects std >= 0.0, but found std -1.0; need 0 or more"),
    ("torch.quantile(torch.ones(3), 2.0)", RuntimeError,
     "quantile: q must be in the range [0, 1] but got 2.0; the median is 0.5"),
    ("torch.linspace(0, 1, -1)", RuntimeError,
     "linspace: number of steps must be non-negative; got -1; need how many numbers to make"),
    ("torch.ones(-1)", RuntimeError,
     "ones: trying to create tensor with negative dimension -1: [-1]; need sizes of 0 or more"),
    ("torch.eye(-1)", RuntimeError,
     "eye: trying to create tensor with negative dimension -1: [-1, -1]; need sizes of 0 or more"),
    ("torch.linalg.cholesky(-torch.eye(2))", LinAlgError,
     "linalg.cholesky: The factorization could not be completed because the input is not "
     "positive-definite (the leading minor of order 1 is not positive-definite)"),
]
ARGUMENTS = [
    ('torch.ones("a")', TypeError,
     "ones(): argument 'size' must be a tuple of ints; got 'a'; need sizes such as 2, 3 or (2, 3)"),
    ('torch.full((2,), "a")', TypeError,
     "full(): argument 'fill_value' must be a number; got 'a'; fill with one number, or give all "
     "of them to cresset.tensor(...)"),
    ("torch.exp(2)", TypeError,
     "exp(): argument 'input' has the wrong type; got int; need a tensor; make a tensor of it "
     "with cresset.tensor(...)"),
    ("torch.maximum(1, 2)", TypeError,
     "maximum(): argument 'input' has the wrong type; got int; need a tensor; make a tensor of "
     "it with cresset.tensor(...)"),
    ("torch.ones(2).sum({})", TypeError,
     "sum(): argument 'dim' has the wrong type; got dict; see help(cresset.sum)"),
    ("torch.rot90(torch.ones(2, 2), 1.5)", TypeError,
     "rot90(): argument 'k' must be int; got 1.5; need a whole number"),
    ("torch.ones(2).clamp()", RuntimeError,
     "clamp: at least one of 'min' or 'max' must not be None; got neither; give one"),
    ("torch.randn(3, generator=5)", TypeError,
     "randn(): argument 'generator' must be torch.Generator, not int; make one with "
     "cresset.Generator(), or leave it out"),
    ('torch.ones(2).expand("a")', TypeError,
     "expand(): argument 'size' must be int; got 'a'; need a whole number"),
    ("torch.add(torch.ones(2))", TypeError,
     "add() missing 1 required positional argument: 'other'"),
    ("torch.ones(2).sum(0, bogus=1)", TypeError,
     "sum() got an unexpected keyword argument 'bogus'"),
    ('torch.div(torch.ones(2), 2, rounding_mode="up")', RuntimeError,
     "div: expected rounding_mode to be one of None, 'trunc', or 'floor'; got 'up'"),
    ("torch.nn.functional.pad(torch.ones(2), (1,))", RuntimeError,
     "pad: Padding length must be divisible by 2 and at most twice the number of dims; got [1] "
     "for 1 dims; need a pair (before, after) for each padded dim, the last dim first"),
    ('torch.nn.functional.mse_loss(torch.ones(2), torch.ones(2), reduction="all")', ValueError,
     "mse_loss: all is not a valid value for reduction; need 'mean', 'sum' or 'none'"),
    ("torch.baddbmm(torch.ones(2), 1, 2)", TypeError,
     "baddbmm(): an argument has the wrong type; got int; need a tensor; make a tensor of it "
     "with cresset.tensor(...)"),
]
GRADIENTS = [
    ("torch.ones(2, requires_grad=True).add_(1)", RuntimeError,
     "add_: a leaf Variable that requires grad is being used in an in-place operation; do it "
     "under no_grad(), or write to a clone()"),
    ("view_of_leaf()", RuntimeError,
     "add_: a view of a leaf Variable that requires grad is being used in an in-place operation; "
     "do it under no_grad(), or write to a clone()"),
    ("torch.ones(2, requires_grad=True).backward()", RuntimeError,
     "backward: grad can be implicitly created only for scalar outputs; got shape (2,); reduce "
     "it, e.g. with sum(), or give its gradient"),
    ("torch.ones(2).backward()", RuntimeError,
     "backward: element 0 of tensors does not require grad and does not have a grad_fn: shape "
     "(2,); nothing that it was made of requires gradients"),
    ("twice()", RuntimeError,
     "backward: trying to backward through the graph a second time: what MulBackward0 saved has "
     "been freed; pass retain_graph=True to the first backward"),
    ("overwritten()", RuntimeError,
     "backward: one of the variables needed for gradient computation has been modified by an "
     "inplace operation: a tensor of shape (2,) that ExpBackward0 saved is at version 1; "
     "expected version 0 instead; it was overwritten last by add_ at {here}; write to a clone() "
     "of it, or use the form that returns a new tensor"),
    ("torch.ones(2, requires_grad=True).numpy()", RuntimeError,
     "numpy: Can't call numpy() on Tensor that requires grad; an array has no gradient; use "
     "tensor.detach().numpy() instead"),
    ("unused()", RuntimeError,
     "grad: one of the differentiated Tensors appears to not have been used in the graph: input "
     "0 of shape (1,); set allow_unused=True if this is the desired behavior"),
    ("torch.ones(2, requires_grad=True).sum().backward(torch.ones(2))", RuntimeError,
     "backward: Mismatch in shape: grad_output has a shape of (2,) and output has a shape of (); "
     "need a gradient of the output's shape"),
    ('torch.ones(2, requires_grad=True).sum().backward("a")', TypeError,
     "backward: gradients can be either Tensors or None, but got str; make one with "
     "cresset.tensor(...)"),
    ("torch.ones(2, requires_grad=True).sum().requires_grad_(False)", RuntimeError,
     "requires_grad: you can only change requires_grad flags of leaf variables; use detach() to "
     "get a tensor that does not require gradients"),
    ("torch.ones(2).register_hook(print)", RuntimeError,
     "register_hook: cannot register a hook on a tensor that doesn't require gradient; call "
     "requires_grad_() first"),
    ("torch.ones(2).retain_grad()", RuntimeError,
     "retain_grad: can't retain_grad on Tensor that has requires_grad=False; call "
     "requires_grad_() first"),
    ("torch.ones(2, requires_grad=True).resize_(3)", RuntimeError,
     "resize_: cannot resize variables that require grad; detach() it first"),
    ("torch.exp(torch.ones(2, requires_grad=True), out=torch.ones(2))", RuntimeError,
     "exp: functions with out=... arguments don't support automatic differentiation, but one of "
     "the arguments requires grad; leave out= away, or call it under no_grad()"),
]
MODULES = [
    ("torch.nn.Linear(3, 2)(torch.ones(4))", RuntimeError,
     "linear: mat1 and mat2 shapes cannot be multiplied: the input has shape (4,) and the weight "
     "(2, 3); need the input's last dim to be the weight's last, in_features"),
    ("torch.nn.Conv2d(3, 4, 3)(torch.ones(1, 2, 8, 8))", RuntimeError,
     "conv2d: Given groups=1, weight of size [4, 3, 3, 3], expected input[1, 2, 8, 8] to have 3 "
     "channels, but got 2 channels instead; channels are dim 1, and of an image alone dim 0"),
    ("torch.nn.Conv2d(3, 4, 5)(torch.ones(1, 3, 2, 2))", RuntimeError,
     "conv2d: Calculated padded input size per channel: [2, 2]. Kernel size: [5, 5]. Kernel size "
     "can't be greater than actual input size; give a larger input, padding, or a smaller kernel"),
    ("torch.nn.Conv3d(2, 4, 3)(torch.ones(2, 8, 8))", RuntimeError,
     "conv3d: Expected 4D (unbatched) or 5D (batched) input and a 5D weight; got shapes (2, 8, 8) "
     "and (4, 2, 3, 3, 3)"),
    ("torch.nn.ConvTranspose1d(3, 4, 3)(torch.ones(2, 8))", RuntimeError,
     "conv_transpose1d: Given groups=1, weight of size [3, 4, 3], expected input[1, 2, 8] to have "
     "3 channels, but got 2 channels instead; channels are dim 1, and of a signal alone dim 0"),
    ("torch.nn.ConvTranspose2d(3, 4, 3, output_padding=1)(torch.ones(1, 3, 8, 8))", RuntimeError,
     "conv_transpose2d: output padding must be smaller than either stride or dilation; got "
     "output_padding (1, 1), stride (1, 1) and dilation (1, 1)"),
    ("torch.nn.functional.conv2d(torch.ones(1, 3, 8, 8), torch.ones(4, 3, 3, 3), stride=(1, 1, 1))",
     RuntimeError, "conv2d: expected stride to be a single integer value or a list of 2 values; "
     "got (1, 1, 1)"),
    ("torch.nn.functional.conv2d(torch.ones(1, 3, 8, 8), torch.ones(4, 3, 3, 3), torch.ones(3))",
     RuntimeError, "conv2d: Given weight of size [4, 3, 3, 3], expected bias to be 1-dimensional "
     "with 4 elements; got bias of size [3]"),
    ("torch.nn.functional.unfold(torch.ones(1, 3, 2, 2), 3)", RuntimeError,
     "unfold: Given image of size (2, 2), kernel_size (3, 3), dilation (1, 1), padding (0, 0) and "
     "stride (1, 1), calculated shape of the array of sliding blocks as (0, 0), but its components "
     "must be at least one"),
    ("torch.nn.functional.fold(torch.ones(1, 5, 4), (3, 3), 2)", RuntimeError,
     "fold: Expected size of input's dimension 1 to be divisible by the product of kernel_size; "
     "got (1, 5, 4) and kernel_size (2, 2); need (images, channels * 4, blocks), or one image of "
     "these"),
    ("torch.nn.functional.fold(torch.ones(1, 4, 5), (3, 3), 2)", RuntimeError,
     "fold: Given output_size (3, 3), kernel_size (2, 2), dilation (1, 1), padding (0, 0) and "
     "stride (1, 1), expected size of input's dimension 2 to match the calculated number of "
     "sliding blocks 2 * 2 = 4; got 5"),
    ("torch.nn.functional.adaptive_avg_pool3d(torch.ones(2, 3, 3), 2)", RuntimeError,
     "adaptive_avg_pool3d: Expected 4D or 5D (batch mode) tensor with non-zero planes; got "
     "(2, 3, 3)"),
    ("torch.nn.functional.max_unpool2d(torch.ones(1, 2, 2), torch.zeros(1, 2, 2).long(), 2, "
     "output_size=(9, 9))", ValueError,
     "max_unpool2d: invalid output_size; got (9, 9); need a number for each of the last 2 dims, "
     "within a stride (2, 2) of (4, 4)"),
    ("torch.nn.BatchNorm1d(3)(torch.ones(1, 3))", ValueError,
     "batch_norm: Expected more than 1 value per channel when training, got input size (1, 3); "
     "give a larger batch, or call eval()"),
    ("torch.nn.LayerNorm(3)(torch.ones(2, 4))", RuntimeError,
     "layer_norm: given normalized_shape=[3], expected input with shape [*, 3], but got input of "
     "size [2, 4]; the last dims must be those that are normalized"),
    ("torch.nn.Embedding(3, 2)(torch.tensor([3]))", IndexError,
     "embedding: index 3 is out of bounds for dimension with size 3; it stands at flat position "
     "0 of the index tensor; need 0 <= index < 3"),
    ("torch.nn.Embedding(3, 2, padding_idx=5)", AssertionError,
     "Embedding: padding_idx is 5; need a row of the table, -3 to 2"),
    ("torch.nn.BCELoss()(torch.tensor([0.5, 2.0]), torch.ones(2))", RuntimeError,
     "binary_cross_entropy: all elements of input should be between 0 and 1; got 2.0 at flat "
     "position 1; apply sigmoid() first, or use binary_cross_entropy_with_logits"),
    ('torch.nn.MSELoss(reduction="all")(torch.ones(2), torch.ones(2))', ValueError,
     "mse_loss: all is not a valid value for reduction; need 'mean', 'sum' or 'none'"),
    ("torch.nn.CrossEntropyLoss()(torch.ones(2, 3), torch.ones(3, dtype=torch.int64))", ValueError,
     "cross_entropy: expected target size [2], got [3]; the input has shape (2, 3), classes "
     "along dim 1"),
    ("torch.nn.MaxPool2d(3)(torch.ones(1, 1, 2, 2))", RuntimeError,
     "max_pool2d: Given input size (1, 2, 2). Calculated output size: (1, 0, 0). Output size is "
     "too small; give a larger input or padding, or a smaller kernel_size"),
    ("torch.nn.Linear(3, 2)(torch.ones(3, dtype=torch.int64))", RuntimeError,
     "linear: expected both operands to have the same dtype, but got torch.int64 and "
     "torch.float32; convert one with .to(...)"),
    ("torch.nn.CrossEntropyLoss()(torch.ones(2, 3), torch.ones(2))", RuntimeError,
     "cross_entropy: expected scalar type Long for target; got torch.float32; convert with "
     ".long()"),
    ("torch.nn.CrossEntropyLoss()(torch.ones(2, 3), torch.tensor([0, 3]))", IndexError,
     "cross_entropy: Target 3 is out of bounds; it stands at flat position 1 of the target; need "
     "0 <= target < the number of classes, or ignore_index"),
    ("torch.nn.Linear(2, 2).load_state_dict({'weight': torch.ones(2, 2)})", RuntimeError,
     "Error(s) in loading state_dict for Linear:\n\tMissing key(s) in state_dict: \"bias\". "),
    ("torch.nn.Sequential(torch.nn.ReLU)", TypeError,
     "Sequential: the class ReLU is not a Module subclass; write ReLU()"),
    ("torch.nn.Sequential([torch.nn.ReLU()])", TypeError,
     "Sequential: list is not a Module subclass; unpack it: Sequential(*modules)"),
    ("torch.optim.SGD([])", ValueError,
     "SGD: optimizer got an empty parameter list; give model.parameters() of a model that has "
     "some; what they were read from once, such as a generator, is empty afterwards"),
    ("torch.optim.SGD(torch.nn.Linear(2, 2))", TypeError,
     "SGD: params must be an iterable of Tensors or dicts; got Linear; give model.parameters()"),
    ("torch.optim.SGD([torch.ones(2, requires_grad=True) * 2])", ValueError,
     "SGD: can't optimize a non-leaf Tensor; got the result of an operation, of shape (2,); give "
     "what it was computed from, or .detach().requires_grad_()"),
    ("torch.utils.data.default_collate([torch.ones(2), torch.ones(3)])", RuntimeError,
     "default_collate: stack expects each tensor to be equal size; got samples of shapes (2,), "
     "(3,) in one batch; pad them, or give the DataLoader a collate_fn, such as one that calls "
     "pad_sequence"),
    ("torch.nn.LSTM(3, 4)(torch.ones(2, 2, 5))", RuntimeError,
     "LSTM: input.size(-1) must be equal to input_size. Expected 3, got 5; features are the last "
     "dim of shape (2, 2, 5)"),
]

TABLE = [*SHAPES, *DIMS, *INDICES, *TYPES, *DEVICES, *VALUES, *ARGUMENTS, *GRADIENTS, *MODULES]
