"""Parameters have PyTorch's names, order, kinds and defaults, so existing calls carry over.

PyTorch's built-in functions say what they take in the schemas of their overloads, its functions and
classes in Python in their signatures. One declaration of ours has to serve all overloads of a name.
"""

import inspect
import pickle
from fnmatch import fnmatch
from io import BytesIO
from typing import NamedTuple

import pytest

import cresset

torch = pytest.importorskip("torch", reason="PyTorch is not installed (make compare mends it)")

# Namespaces of functions, and what precedes their names in PyTorch's table of schemas.
NAMESPACES = {"": "", "Tensor": "", "nn.functional": "", "linalg": "linalg_", "fft": "fft_",
              "special": "special_", "nn.init": "", "nn.utils": ""}
CLASSES = ("nn", "optim", "optim.lr_scheduler", "utils.data")

# Where a parameter differs deliberately: patterns of `name(parameter)`, and why.
DELIBERATE = {
    "*(alpha)": "the deprecated forms in which alpha has no name",
    **{f"compile({name})": "there is one way to compile"
       for name in ("name", "recompile_limit", "isolate_recompiles", "shapes_spec")},
    "*std*(unbiased)": "one declaration serves unbiased= and correction=, so none is the default",
    "*var*(unbiased)": "as with std",
    "*(value)": "no value leaves the product out; one in third place is scatter's `src`",
    "*max(other)": "a tensor in the place of `dim` is the other",
    "*min(other)": "as with max",
    "arange(end)": "one number alone is the end",
    "randint(high)": "two arguments are high and size",
    "randint(size)": "two arguments are high and size",
    "randint_like(high)": "one number alone is the end",
    "full(size)": "called shape in the array API standard, size by name",
    "norm(*)": "`out` is given by name",
    "tensordot(out)": "`out` is given by name",
    "repeat_interleave(repeats)": "alone, the counts are the first argument",
    "isin(*element)": "a number goes by the name of a tensor",
    "*trapez*(dx)": "dx beside x is refused, so it has to be seen whether it was given",
    "trapz(dx)": "as with trapezoid",
    "gradient(spacing)": "1 is what no spacing means",
    "*.copy_(src)": "the name of the documentation, which PyTorch itself does not take",
    "nn.functional.*(out)": "the places of results of layers are not given",
    "*rrelu*(generator)": "the default generator draws",
    "nuclear_norm(keepdim)": "dims come before, as in its other form",
    "save(_disable_byteorder_record)": "says something of PyTorch's files alone",
    "*(out_dtype)": "of products on GPUs",
    "*(ambiguity_check)": "what a layout says of its order is not ambiguous here",
    "expand_copy(implicit)": "of TorchScript",
    "linalg.*(input)": "called A in the documentation; taken by the name of `input` as well",
    "*cholesky*(input)": "as in linalg",
    "*det(input)": "as in linalg",
    "inverse(input)": "as in linalg",
    "matrix_*(input)": "as in linalg",
    "lu_solve(input)": "as in linalg",
    "*r*q*(input*)": "of products of reflections, whose documentation has A, tau and other",
    "*cholesky_solve(input2)": "called L in the documentation",
    "linalg.lstsq(b)": "called B in the documentation",
    "linalg.tensorsolve(other)": "called B in the documentation",
    "special.*(x)": "of some functions; the documentation has `input` for all",
    "nonzero_static(out)": "for PyTorch's compiler",
    "view_copy(dtype)": "by name, beside the form with a size",
    "*conv*(padding)": "the form whose padding is a word has it for its default",
    "nn.RNNBase(*)": "what a layer computes is its class's to say",
    "nn.RNNCellBase(*)": "as with nn.RNNBase",
}
# Functions of `f(2, 3)` as well as `f((2, 3))`, whose signatures cannot say what they take.
BY_NAME = """
    x.to(dtype=torch.float64)
    x.to(device='cpu', dtype=torch.int32, non_blocking=True, copy=True)
    x.to(tensor=torch.ones(2, dtype=torch.float64))
    torch.zeros(size=(2, 3), dtype=torch.int8, layout=torch.strided, device='cpu')
    torch.ones(size=(2, 3), pin_memory=False, requires_grad=True)
    torch.empty(size=(0, 3), out=None)
    torch.randn(size=(2,), generator=torch.Generator().manual_seed(1))
    torch.rand(size=(2,), generator=torch.Generator().manual_seed(1))
    torch.full(size=(2,), fill_value=3)
    torch.arange(end=3)
    torch.arange(start=1, end=3, step=0.5)
    torch.randint(high=10, size=(3,), generator=torch.Generator().manual_seed(1))
    torch.randint(low=5, high=10, size=(3,), generator=torch.Generator().manual_seed(1))
    torch.normal(mean=1.0, std=2.0, size=(3,), generator=torch.Generator().manual_seed(1))
    torch.normal(mean=x, std=2.0, generator=torch.Generator().manual_seed(1))
    x.view(size=(3, 2))
    x.view(dtype=torch.int32)
    x.reshape(shape=(3, 2))
    x.permute(dims=(1, 0))
    x.expand(size=(4, 2, 3))
    x.repeat(repeats=(2, 1))
    x.tile(dims=(2,))
    torch.tile(input=x, dims=(2,))
    x.flip(dims=(0,))
    torch.flip(input=x, dims=(0, 1))
    x.sum_to_size(size=(1, 3))
    x.clone().resize_(size=(2, 2))
    x.new_zeros(size=(2,), dtype=torch.int8)
    x.new_ones(size=(2,), requires_grad=True)
    x.new_empty(size=(0,), device='cpu')
    x.new_full(size=(2,), fill_value=3)
    x.new_full((2,), fill_value=3, layout=torch.strided, pin_memory=False)
    x.clone().uniform_(to=3, generator=torch.Generator().manual_seed(1))
    x.clone().uniform_(**{'from': -1}, generator=torch.Generator().manual_seed(1))
    x.clone().random_(to=9, generator=torch.Generator().manual_seed(1))
    x.clone().random_(**{'from': 3, 'to': 9}, generator=torch.Generator().manual_seed(1))
    x.split(split_size=2, dim=1)
    torch.split(tensor=x, split_size_or_sections=2, dim=1)
    x.tensor_split(sections=2)
    x.tensor_split(indices=(1,), dim=1)
    torch.tensor_split(input=x, tensor_indices_or_sections=torch.tensor([1]))
    x.hsplit(sections=3)
    x.vsplit(indices=(1,))
    torch.hsplit(input=x, indices=(1, 2))
    torch.vsplit(input=x, sections=2)
    torch.dsplit(input=x.reshape(1, 3, 2), sections=2)
    x.reshape(1, 3, 2).dsplit(indices=(1,))
    torch.max(input=x, dim=1, keepdim=True)
    torch.max(input=x, other=x * 2)
    x.min(other=x * 2)
    x.std(dim=1, unbiased=False, keepdim=True)
    torch.var(input=x, dim=(0, 1), correction=0)
    torch.std(x, False)
    torch.where(condition=x > 2, input=x, other=-x)
    x.where(condition=x > 2, other=-x)
    x.clone().copy_(other=x * 2)
    x.scatter(dim=0, index=torch.tensor([[1, 1, 0]]), value=9.0)
    x.scatter(0, torch.tensor([[1, 1, 0]]), 9.0)
    torch.batch_norm(x, None, None, x[1], x[0] * 0 + 4, False, 0.1, 0.0, False)
    torch.instance_norm(x[None], None, x[:, 0], None, None, True, 0.1, 1e10, False)
    torch.group_norm(input=x, num_groups=3, cudnn_enabled=False)
    torch.layer_norm(input=x, normalized_shape=(3,), cudnn_enable=False)
    torch.dropout(input=x, p=0.5, train=False)
    torch.alpha_dropout(input=x, p=1.0, train=True)
    torch.dropout_(x.clone(), 1.0, True)
    torch.addcmul(input=x, tensor1=x, tensor2=x, value=2)
    torch.swapaxes(x, axis0=0, axis1=1)
    torch.result_type(x, 1)
    torch.cholesky_inverse(input=torch.eye(2) * 4) + 0.0
    torch.det(input=torch.eye(2) * 4)
    torch.slogdet(input=torch.eye(2)).sign
    torch.inverse(input=torch.eye(2) * 4)
    torch.matrix_exp(input=torch.zeros(2, 2))
    torch.matrix_power(input=torch.eye(2) * 4, n=2)
    torch.linalg.cholesky(input=torch.eye(2) * 4)
    torch.linalg.cholesky_ex(input=torch.eye(2) * 4, upper=True)
    torch.linalg.cond(input=torch.eye(2) * 4)
    torch.linalg.eig(input=torch.eye(2))
    torch.linalg.eigh(input=torch.eye(2), UPLO='U')
    torch.linalg.eigvals(input=torch.eye(2))
    torch.linalg.eigvalsh(input=torch.eye(2))
    torch.linalg.householder_product(input=torch.zeros(3, 2), tau=torch.zeros(2)) + 0.0
    torch.linalg.ldl_factor(input=torch.eye(2))
    torch.linalg.ldl_factor_ex(input=torch.eye(2))
    torch.linalg.matrix_exp(input=torch.zeros(2, 2))
    torch.linalg.matrix_norm(input=x, ord=1)
    torch.linalg.matrix_power(input=torch.eye(2), n=3)
    torch.linalg.matrix_rank(input=x)
    torch.linalg.norm(input=x, ord=1)
    torch.linalg.pinv(input=torch.eye(2))
    torch.linalg.solve_triangular(input=torch.eye(2), B=x, upper=True)
    torch.linalg.tensorinv(input=torch.eye(2), ind=1)
    torch.linalg.vector_norm(x=x, ord=1)
    torch.linalg.inv(A=torch.eye(2) * 4)
    torch.linalg.solve(A=torch.eye(2), B=x)
    torch.repeat_interleave(repeats=torch.tensor([1, 2]))
    torch.scalar_tensor(s=2, layout=torch.strided, pin_memory=False)
    torch.empty_strided(size=(0,), stride=(1,), layout=torch.strided, pin_memory=False)
    torch.full_like(input=x, fill_value=2, pin_memory=False)
    torch.tril_indices(row=3, col=2, offset=1, device='cpu', layout=torch.strided)
    torch.histogram(input=x)[0].sum()
    torch.histogramdd(x, [2, 2, 2], [0.0, 6.0, 0.0, 6.0, 0.0, 6.0]).hist.sum()
    torch.randint_like(x, high=9) < 9
    torch.expand_copy(input=x, size=(2, 2, 3), out=torch.empty(0))
    torch.nn.functional.l1_loss(input=x, target=-x, weight=x)
    torch.nn.Hardtanh(min_value=-2, max_value=2)(x)
    torch.promote_types(type1=torch.int8, type2=torch.float16)
    torch.can_cast(from_=torch.int8, to=torch.float16)
"""
CALLS = [line.strip() for line in BY_NAME.strip().splitlines()]
# Names whose parameters change nothing that can be compared, or are of another kind here.
OPEN = {
    "trace": "takes what the traced function takes",
    "result_type": "takes any number of operands, as the array API standard has it",
    **{f"{space}{name}": "its error is that the function is gone"
       for name in ("eig", "lstsq", "matrix_rank", "solve", "symeig")
       for space in ("", "Tensor.")},
}

KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
MISSING = inspect.Parameter.empty
# Defaults that are objects of the package, or say the same as none.
UNCOMPARED = {"dtype", "memory_format", "layout", "device", "pin_memory", "generator",
              "pickle_module", "activation", "weights_only", "worker_init_fn", "orig_func"}


class Parameter(NamedTuple):
    """A parameter of a schema, which may have the name of a word of Python."""

    name: str
    kind: object
    default: object


def found(package, name):
    """What a dotted name of a package stands for; None where there is nothing."""
    for part in filter(None, name.split(".")):
        try:
            package = getattr(package, part)
        except (AttributeError, NotImplementedError):
            return None
    return package


def named(space):
    """The public names that both packages have in a namespace."""
    for name in dir(found(torch, space)):
        full = f"{space}.{name}".removeprefix(".")
        if not name.startswith("_") and callable(found(cresset, full)):
            yield full


# --- what PyTorch takes ---------------------------------------------------------------------------
def of_python(callable_, method=False):
    """The parameters of a function or class; none where it hides them."""
    try:
        parameters = list(inspect.signature(callable_).parameters.values())[method:]
    except ValueError:
        return None
    return None if any(p.kind in VARIADIC for p in parameters) else parameters


def of_schema(schema, method):
    """The parameters of an overload; those that results are written to are one, `out`."""
    parameters = []
    for a in schema.arguments:
        if a.name == "self" and method:
            continue
        written = a.kwarg_only and a.alias_info is not None
        name = "out" if written else "input" if a.name == "self" else a.name
        default = None if written else a.default_value if a.has_default_value() else MISSING
        kind = KEYWORD_ONLY if a.kwarg_only else inspect.Parameter.POSITIONAL_OR_KEYWORD
        if name not in [p.name for p in parameters]:
            parameters.append(Parameter(name, kind, default))
    return parameters


def is_public(schema, method):
    """Whether an overload can be called from Python, and is not TorchScript's or of named dims."""
    names = [a.name for a in schema.arguments]
    if names and names[0] in ("self", "a", "t", "x") and str(schema.arguments[0].type) != "Tensor":
        return False
    if "l" in names or "list" in names:
        return False
    if any(str(a.type) in ("str", "List[str]") and a.name.startswith("dim")
           for a in schema.arguments):
        return False
    if not schema.overload_name.endswith("out"):
        return True
    # Forms that PyTorch generates for its compiler are not there for Python, but of copies.
    overloads = getattr(torch.ops.aten, schema.name.split("::")[1])
    tags = getattr(overloads, schema.overload_name).tags
    return not method and (torch.Tag.generated not in tags or "_copy" in schema.name)


def expected(full):
    """The parameters of each form in which PyTorch has a function or method."""
    space, _, name = full.rpartition(".")
    there, method = found(torch, full), space == "Tensor"
    if inspect.isfunction(there):
        parameters = of_python(there, method)
        return [parameters] if parameters is not None else []
    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{NAMESPACES[space]}{name}")
    return [of_schema(s, method) for s in schemas if is_public(s, method)]


# --- what differs ---------------------------------------------------------------------------------
def plain(default):
    """A default as one value: PyTorch's schemas have lists of what may be one number."""
    if isinstance(default, (list, tuple)):
        default = tuple(default)
        return default[0] if len(set(default)) == 1 else default or None
    return default


def differences(full, forms, method=False):
    """(parameter, what is wrong with it) of a callable of ours, for every form of PyTorch's."""
    try:
        ours = list(inspect.signature(found(cresset, full)).parameters.values())[method:]
    except ValueError:
        return
    if any(p.kind in VARIADIC for p in ours):
        yield "*", "the signature is open"
        return
    by_name = {p.name: p for p in ours}
    order = [p.name for p in ours if p.kind is not KEYWORD_ONLY]
    for form in forms:
        for place, p in enumerate(form):
            if p.name not in by_name:
                yield p.name, "is missing"
                continue
            mine = by_name[p.name]
            if p.kind is not KEYWORD_ONLY and order[place : place + 1] != [p.name]:
                yield p.name, f"is not at place {place}"
            if p.default is not MISSING and p.name not in UNCOMPARED and (
                mine.default is MISSING or plain(mine.default) != plain(p.default)
            ):
                yield p.name, f"has the default {mine.default!r} and not {p.default!r}"


def told(problems):
    """Fail with all differences that are not deliberate."""
    lines = [f"{full}({parameter}) {problem}" for full, parameter, problem in problems
             if not any(fnmatch(f"{full}({parameter})", pattern) for pattern in DELIBERATE)]
    if lines:
        pytest.fail("\n".join(dict.fromkeys(lines)), pytrace=False)


def problems_of(space):
    for full in named(space):
        if inspect.isclass(found(cresset, full)):
            continue
        for parameter, problem in differences(full, expected(full), space == "Tensor"):
            if parameter != "*":
                yield full, parameter, problem


@pytest.mark.parametrize("space", NAMESPACES)
def test_functions_take_what_pytorch_takes(space):
    told(problems_of(space))


@pytest.mark.parametrize("space", CLASSES)
def test_classes_are_made_of_what_pytorch_makes_them(space):
    problems = []
    for full in named(space):
        there = found(torch, full)
        parameters = of_python(there) if inspect.isclass(there) else None
        if parameters is not None:
            problems += [(full, *d) for d in differences(full, [parameters])]
    told(problems)


@pytest.mark.parametrize("space", CLASSES)
def test_methods_of_classes_take_what_pytorch_takes(space):
    problems = []
    for full in named(space):
        there = found(torch, full)
        if not inspect.isclass(there):
            continue
        for name, method in inspect.getmembers(there, inspect.isfunction):
            ours = found(cresset, f"{full}.{name}")
            form = None if name.startswith("_") or ours is None else of_python(method, True)
            if form:
                problems += [(f"{full}.{name}", *d)
                             for d in differences(f"{full}.{name}", [form], True) if d[0] != "*"]
    told(problems)


def test_open_signatures_are_called_below():
    """A function that takes any arguments is called by every name that PyTorch has for them."""
    texts = "\n".join(CALLS)
    forgotten = [
        full for space in NAMESPACES for full in named(space)
        if not inspect.isclass(found(cresset, full)) and full not in OPEN and expected(full)
        and ("*", "the signature is open") in differences(full, expected(full), space == "Tensor")
        and f"{full.removeprefix('Tensor')}(" not in texts
    ]
    assert not forgotten


@pytest.mark.filterwarnings("ignore:keyword argument .* is deprecated:FutureWarning")
@pytest.mark.parametrize("call", CALLS)
def test_calls_by_name(call):
    def result(package):
        x = package.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        return eval(call, {"torch": package, "x": x})

    assert repr(result(cresset)) == repr(result(torch))


def test_save_and_load_take_how_pytorch_pickles():
    file = BytesIO()
    x = cresset.ones(2)
    cresset.save(x, file, pickle_protocol=4, _use_new_zipfile_serialization=True)
    file.seek(0)
    assert cresset.load(file, "cpu", pickle, weights_only=False, encoding="latin1").equal(x)


def test_deliberate_differences_are_there():
    """What no longer differs is no exception."""
    seen = {f"{full}({parameter})" for space in NAMESPACES
            for full, parameter, _ in problems_of(space)}
    seen |= {f"{full}({parameter})" for space in CLASSES for full in named(space)
             if inspect.isclass(found(torch, full))
             for parameter, _ in differences(full, [of_python(found(torch, full)) or []])}
    unused = [p for p in DELIBERATE if not any(fnmatch(name, p) for name in seen)]
    assert not unused
