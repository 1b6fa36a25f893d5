"""Printing: the same characters as PyTorch's, by strings kept here and beside PyTorch itself."""

import itertools
import math
import random
import re
import time

import pytest

import cresset

INF, NAN = math.inf, math.nan

ROWS = {
    "nothing": [],
    "zero": [0.0],
    "zeros": [0.0, -0.0, 0.0],
    "whole": [1.0, -20.0, 300.0],
    "whole and wide": [1.0, 99999999.0],
    "whole in scientific notation": [1.0, 100000001.0],
    "fractions": [0.5, -1.25, 3.0],
    "rounded": [0.00005, 0.99999, -0.00015],
    "small": [0.0001, 0.00009],
    "just small": [0.0001, 0.05],
    "wide range": [0.001, 1.01],
    "just narrow": [0.001, 0.999],
    "great": [1.5e8, 2.5e8],
    "greatest": [3.4e38, 1e-45],
    "not finite": [INF, -INF, NAN],
    "not finite beside whole": [INF, 1.0, NAN, -INF, -100.0],
    "not finite beside fractions": [INF, 1.5, NAN, -INF, 0.0],
    "not finite beside scientific": [INF, 1e-9, NAN, -INF, 0.0],
    "one line and more": [k / 7 for k in range(40)],
    "signs over lines": [(-1) ** k * k * 1.5 for k in range(30)],
    "thousand": [k / 8 for k in range(1000)],
    "thousand and one": [k / 8 for k in range(1001)],
    "ends decide": [0.5] * 3 + [1e9] * 1000 + [-0.25] * 3,
    "many whole": [float(k) for k in range(1200)],
}
NUMBERS = [0, 1, 7, 23, 100, 127]
SHAPES = [(), (1,), (0,), (2, 3), (3, 0), (0, 3), (1, 1, 1), (2, 3, 4), (2, 1, 2, 3), (2, 0, 3),
          (1, 30), (40, 2), (1001,), (26, 40), (7, 200), (200, 7), (6, 200), (8, 9, 15),
          (2, 10, 60), (3, 2, 2, 100)]
INTEGERS = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
OPTIONS = [
    {"precision": 0},
    {"precision": 2},
    {"precision": 10},
    {"threshold": 5},
    {"threshold": 0},
    {"threshold": 5, "edgeitems": 1},
    {"threshold": 5, "edgeitems": 0},
    {"edgeitems": 0},
    {"threshold": 50, "edgeitems": 20},
    {"linewidth": 120},
    {"linewidth": 20},
    {"linewidth": 1},
    {"sci_mode": True},
    {"sci_mode": False},
    {"profile": "short"},
    {"profile": "full"},
    {"profile": "full", "precision": 6},
    {"profile": "short", "linewidth": 40, "sci_mode": True},
]


@pytest.fixture(autouse=True)
def default_options():
    """Every test starts with the options of a new process, and leaves them."""
    yield
    cresset.set_printoptions(profile="default")


@pytest.fixture
def both(torch):
    """Cresset and PyTorch, printing with the same options."""
    yield cresset, torch
    torch.set_printoptions(profile="default")


def prints(tensor, expected):
    assert repr(tensor) == expected
    assert str(tensor) == expected


def same(both, make, *arguments):
    """What `make(library, *arguments)` yields prints the same with either library."""
    ours, theirs = (make(lib, *arguments) for lib in both)
    assert repr(ours) == repr(theirs)


# --- strings that need no PyTorch -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (1.5, "tensor(1.5000)"),
        (3, "tensor(3)"),
        (True, "tensor(True)"),
        (1e9, "tensor(1.0000e+09)"),
        (INF, "tensor(inf)"),
        ([], "tensor([])"),
        ([1, -20], "tensor([  1, -20])"),
        ([True, False], "tensor([ True, False])"),
        ([1.0, 2.0], "tensor([1., 2.])"),
        ([0.5, -10.0], "tensor([  0.5000, -10.0000])"),
        ([1e-5, 0.25], "tensor([1.0000e-05, 2.5000e-01])"),
        ([NAN, 1.0], "tensor([nan, 1.])"),
        ([NAN, 1.5], "tensor([   nan, 1.5000])"),
        ([[1, 2], [3, 40]], "tensor([[ 1,  2],\n        [ 3, 40]])"),
        ([[[1, 2]], [[3, 4]]], "tensor([[[1, 2]],\n\n        [[3, 4]]])"),
    ],
)
def test_values(values, expected):
    prints(cresset.tensor(values), expected)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda lib: lib.tensor([1.5, -2], dtype=lib.float16),
         "tensor([ 1.5000, -2.0000], dtype=torch.float16)"),
        (lambda lib: lib.tensor([0.1], dtype=lib.bfloat16),
         "tensor([0.1001], dtype=torch.bfloat16)"),
        (lambda lib: lib.tensor([0.1, 448.0]).to(lib.float8_e4m3fn),
         "tensor([1.0156e-01, 4.4800e+02], dtype=torch.float8_e4m3fn)"),
        (lambda lib: lib.tensor([1 + 2j, -3.5]), "tensor([ 1.0000+2.j, -3.5000+0.j])"),
        (lambda lib: lib.tensor(complex(1, -0.0)), "tensor(1.-0.j)"),
        (lambda lib: lib.tensor([complex(NAN, INF), complex(-INF, NAN)]),
         "tensor([nan+infj, -inf+nanj])"),
        (lambda lib: lib.tensor([1j], dtype=lib.complex128),
         "tensor([0.+1.j], dtype=torch.complex128)"),
        (lambda lib: lib.empty(2, 3, device="meta"), "tensor(..., device='meta', size=(2, 3))"),
        (lambda lib: lib.empty((), dtype=lib.int64, device="meta"),
         "tensor(..., device='meta', size=(), dtype=torch.int64)"),
        (lambda lib: lib.tensor([3, 7, 5]).max(0),
         "torch.return_types.max(\nvalues=tensor(7),\nindices=tensor(1))"),
    ],
)
def test_other_types_and_results(make, expected):
    prints(make(cresset), expected)


def test_lines_break_between_elements():
    prints(
        cresset.arange(30),
        "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
        "        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])",
    )


def test_large_tensors_are_shortened():
    prints(cresset.zeros(1001), "tensor([0., 0., 0.,  ..., 0., 0., 0.])")
    prints(
        cresset.arange(2000).reshape(1000, 2),
        "tensor([[   0,    1],\n        [   2,    3],\n        [   4,    5],\n        ...,\n"
        "        [1994, 1995],\n        [1996, 1997],\n        [1998, 1999]])",
    )


def test_the_type_is_said_where_it_is_not_evident():
    prints(cresset.zeros(2, dtype=cresset.float64), "tensor([0., 0.], dtype=torch.float64)")
    prints(cresset.zeros(2, dtype=cresset.int32), "tensor([0, 0], dtype=torch.int32)")
    prints(cresset.zeros(0, dtype=cresset.int64), "tensor([], dtype=torch.int64)")
    prints(cresset.zeros(2, 0, dtype=cresset.bool), "tensor([], size=(2, 0), dtype=torch.bool)")


def test_the_default_type_is_evident():
    cresset.set_default_dtype(cresset.float64)
    try:
        prints(cresset.tensor([0.5]), "tensor([0.5000])")
        prints(cresset.tensor([0.5]).float(), "tensor([0.5000], dtype=torch.float32)")
    finally:
        cresset.set_default_dtype(cresset.float32)


def test_types_print_as_in_pytorch():
    assert repr(cresset.float32) == str(cresset.float32) == f"{cresset.float32}" == "torch.float32"


def test_history():
    x = cresset.ones(2, requires_grad=True)
    prints(x, "tensor([1., 1.], requires_grad=True)")
    prints(x * 2, "tensor([2., 2.], grad_fn=<MulBackward0>)")
    prints((x * 2).detach(), "tensor([2., 2.])")
    with cresset.no_grad():
        prints(x * 2, "tensor([2., 2.])")


def test_printing_records_nothing():
    y = cresset.ones(50, 50, requires_grad=True) * 2
    node = y.grad_fn
    assert "..." in repr(y)
    assert y.grad_fn is node
    y.sum().backward()


def test_a_deep_history_prints():
    x = cresset.ones(1, requires_grad=True)
    for _ in range(20_000):
        x = x + 1
    prints(x, "tensor([20001.], grad_fn=<AddBackward0>)")


def test_parameters_say_what_they_are():
    parameter = cresset.nn.Parameter(cresset.zeros(2))
    prints(parameter, "Parameter containing:\ntensor([0., 0.], requires_grad=True)")
    prints(cresset.nn.Buffer(cresset.zeros(2)), "tensor([0., 0.])")


def test_subclasses_print_under_their_name():
    class Picture(cresset.Tensor):
        pass

    prints(cresset.ones(2, 1).as_subclass(Picture), "Picture([[1.],\n         [1.]])")


def test_views_print_their_own_elements():
    x = cresset.arange(6).reshape(2, 3)
    prints(x.t(), "tensor([[0, 3],\n        [1, 4],\n        [2, 5]])")
    prints(x[:, ::2], "tensor([[0, 2],\n        [3, 5]])")
    prints(x[0, 0].expand(3), "tensor([0, 0, 0])")


def test_large_views_are_read_at_their_ends_alone():
    """A view of 10**14 elements, which no list could hold."""
    x = cresset.tensor(0.5).expand(10**7, 10**7)
    start = time.perf_counter()
    text = repr(x)
    assert time.perf_counter() - start < 1
    assert text.count("0.5000") == 36


def test_format():
    assert f"{cresset.tensor(0.98765):.2f}" == "0.99"
    assert f"{cresset.tensor(1.5, requires_grad=True):6.1f}" == "   1.5"
    assert f"{cresset.tensor(42):05d}" == "00042"
    assert f"{cresset.tensor(True)}" == "True"
    assert f"{cresset.tensor(0.5)}" == "0.5"
    assert f"{cresset.tensor([0.5])}" == "tensor([0.5000])"
    assert f"{cresset.tensor(0.5)!r}" == "tensor(0.5000)"


@pytest.mark.parametrize("shape", [(1,), (2, 3)])
def test_format_of_many_elements_takes_no_specification(shape):
    with pytest.raises(TypeError, match="unsupported format string.*'.2f'"):
        f"{cresset.zeros(shape):.2f}"


def test_options_that_make_no_sense():
    with pytest.raises(ValueError, match="profile 'tall'; need one of default, short, full"):
        cresset.set_printoptions(profile="tall")
    with pytest.raises(ValueError, match="edgeitems is -1"):
        cresset.set_printoptions(edgeitems=-1, precision=1)
    prints(cresset.tensor(0.5), "tensor(0.5000)")


def test_options_stay_until_they_are_set_again():
    cresset.set_printoptions(precision=2)
    cresset.set_printoptions(sci_mode=True)
    prints(cresset.tensor([0.125]), "tensor([1.25e-01])")
    cresset.set_printoptions()
    prints(cresset.tensor([0.125]), "tensor([0.12])")
    cresset.set_printoptions(profile="default")
    prints(cresset.tensor([0.125]), "tensor([0.1250])")


# --- beside PyTorch -------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ROWS)
def test_rows_of_floats(both, name, dtype):
    same(both, lambda lib: lib.tensor(ROWS[name], dtype=getattr(lib, dtype)))


@pytest.mark.parametrize("first", [value for row in ROWS.values() for value in row[:3]])
def test_floats_without_dims(both, first):
    same(both, lambda lib: lib.tensor(first))


@pytest.mark.parametrize("dtype", [*INTEGERS, "bool"])
def test_integers(both, dtype):
    same(both, lambda lib: lib.tensor(NUMBERS, dtype=getattr(lib, dtype)))
    same(both, lambda lib: lib.tensor(1, dtype=getattr(lib, dtype)))
    same(both, lambda lib: lib.tensor([], dtype=getattr(lib, dtype)))


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_integers_at_their_bounds(both, bits):
    bounds = [-(2 ** (bits - 1)), 0, 2 ** (bits - 1) - 1]
    same(both, lambda lib: lib.tensor(bounds, dtype=getattr(lib, f"int{bits}")))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int16", "bool"])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(both, shape, dtype):
    def make(lib):
        values = (lib.arange(math.prod(shape)) % 37).reshape(shape)
        return (values.to(lib.float64) / 8 - 1).to(getattr(lib, dtype))

    same(both, make)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options(both, options):
    for lib in both:
        lib.set_printoptions(**options)
    rows = [ROWS[name] for name in ("nothing", "whole", "fractions", "wide range", "zeros",
                                    "not finite", "not finite beside fractions",
                                    "signs over lines")]
    for row in rows:
        same(both, lambda lib, row: lib.tensor(row), row)
    for shape in ((), (3,), (8, 3), (3, 8), (2, 7, 9)):
        same(both, lambda lib, shape: lib.zeros(shape), shape)
        same(both, lambda lib, shape: lib.ones(shape, dtype=lib.int32), shape)


def test_remarks_go_to_a_line_of_their_own_where_they_do_not_fit(both):
    """Every length of the last line, around where a remark still fits."""
    for count, width in itertools.product(range(1, 24), (40, 80)):
        for lib in both:
            lib.set_printoptions(linewidth=width)
        same(both, lambda lib, count: lib.ones(count, dtype=lib.float64), count)
        same(both, lambda lib, count: lib.ones(count, dtype=lib.float64, requires_grad=True), count)
        same(both, lambda lib, count: lib.ones(2, count, requires_grad=True).exp(), count)


def test_strided(both):
    same(both, lambda lib: lib.arange(24).reshape(2, 3, 4).permute(2, 0, 1))
    same(both, lambda lib: lib.arange(4000).reshape(40, 100).t()[::3, 5:])
    same(both, lambda lib: lib.arange(10).expand(300, 10)[:, 1])


HISTORIES = """x + 1; x - 1; 1 - x; x * 2; x / 2; 2 / x; x ** 2; x ** 1.5; 2 ** x; x ** x; -x
    x.exp(); x.log(); x.sqrt(); x.log1p(); x.expm1(); x.atan2(x); x.abs(); x.tanh(); x.relu()
    x.sum(); x.sum(0); x.sum((0, 1)); x.mean(); x.mean(1); x.prod(); x.prod(0); x.max(); x.min()
    x.max(0)[0]; x.amax(0); x.var(); x.std(0); x.norm(); x.cumsum(0); x.logsumexp(0)
    x.t(); x.T; x.mT; x.transpose(0, 1); x.permute(1, 0); x.view(-1); x.reshape(-1); x.flatten()
    x.unsqueeze(0); x.squeeze(); x.squeeze(0); x.expand(2, 3, 3); x.narrow(0, 0, 1); x.select(0, 1)
    x[0]; x[0:2]; x[:, 1]; x[0:1, 1]; x[0, 0:2]; x[None]; x[..., 0]; x[0, None]; x[::2]
    x[[0, 1]]
    x.split(1)[0]; x.unbind()[0]; x.clone(); x.double(); x.to(lib.float64); x.half()
    x @ x; x.mm(x); x @ x[0]; x[0] @ x[1]; lib.mv(x, x[0]); lib.bmm(x[None], x[None]); x[None] @ x
    lib.cat([x, x]); lib.stack([x, x]); lib.where(x > 0, x, x); x.clamp(0, 1); x.clamp(min=0)
    lib.addmm(x, x, x); lib.maximum(x, x); x.tril(); x.triu(); x.flip(0)
    x.gather(0, lib.zeros_like(x).long()); x.masked_fill(x > 0, 0.0); x.topk(1)[0]; x.sort()[0]
    F.linear(x, x); F.linear(x, x, x[0]); F.linear(x[None], x); F.linear(x[None], x, x[0])
    F.softmax(x, 0); F.log_softmax(x, 0); F.gelu(x); F.silu(x); F.layer_norm(x, (3,)); F.dropout(x)
    F.mse_loss(x, x); F.l1_loss(x, x); F.smooth_l1_loss(x, x); F.huber_loss(x, x)
    F.cross_entropy(x, lib.tensor([0, 1, 2])); F.nll_loss(x, lib.tensor([0, 1, 2]))
    F.binary_cross_entropy_with_logits(x, x.detach()); F.conv1d(x[None], x[None])
    F.embedding(lib.tensor([0]), x); F.pad(x, (1, 1)); F.max_pool2d(x[None, None], 2)"""


@pytest.mark.parametrize("expression", re.split(r"[;\n]\s*", HISTORIES))
def test_nodes_have_the_names_of_pytorch(both, expression):
    names = []
    for lib in both:
        x = lib.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 10]], requires_grad=True)
        made = eval(expression, {"lib": lib, "F": lib.nn.functional, "x": x})
        names.append(re.search(r"grad_fn=<(\w+)>", repr(made))[1])
    assert names[0] == names[1]


# --- random tensors -------------------------------------------------------------------------------
FLOATS = ["float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"]
COMPLEX = ["complex64", "complex128"]
WIDEST = {"float16": 4, "float8_e4m3fn": 2, "float8_e5m2": 4, "float64": 200, "complex128": 200}
"""The powers of ten over which random values of a type are spread at most; 30 for others."""


def random_options(draw):
    if draw.random() < 0.3:
        return {"profile": draw.choice(["default", "short", "full"])}
    return {"precision": draw.randrange(8), "threshold": draw.choice([0, 10, 1000]),
            "edgeitems": draw.randrange(4), "linewidth": draw.randrange(10, 130),
            "sci_mode": draw.choice([None, None, True, False])}


def random_float(draw, spread):
    if draw.random() < 0.15:
        return draw.choice([0.0, -0.0, NAN, INF, -INF, 3.0, -2.0])
    return draw.choice([-1, 1]) * 10 ** draw.uniform(-spread, spread)


def random_values(draw, name, count):
    spread = draw.choice([0.5, 2, WIDEST.get(name, 30)])
    if name in FLOATS:
        return [random_float(draw, spread) for _ in range(count)]
    if name in COMPLEX:
        return [complex(random_float(draw, spread), random_float(draw, spread))
                for _ in range(count)]
    if name == "bool":
        return [draw.random() < 0.5 for _ in range(count)]
    bits, signed = int(name.lstrip("uint")), name.startswith("int")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return [draw.choice([draw.randint(low, high), draw.randrange(100), 0]) for _ in range(count)]


def made(lib, values, shape, name):
    """The values as a tensor; float8 is only ever converted to."""
    if name.startswith("float8"):
        return lib.tensor(values).reshape(shape).to(getattr(lib, name))
    return lib.tensor(values, dtype=getattr(lib, name)).reshape(shape)


@pytest.mark.parametrize("name", [*FLOATS, *COMPLEX, *INTEGERS, "bool"])
def test_random_tensors(both, name):
    """Shapes, magnitudes and options drawn at random."""
    draw = random.Random(name)
    for _ in range(120):
        options = random_options(draw)
        for lib in both:
            lib.set_printoptions(**options)
        sizes = [0, 1, 2, 3, 5, 9] if draw.random() < 0.15 else [1, 2, 3, 5, 9]
        shape = tuple(draw.choice(sizes) for _ in range(draw.randrange(4)))
        values = random_values(draw, name, math.prod(shape))
        same(both, made, values, shape, name)


@pytest.mark.parametrize("name", [*FLOATS, *COMPLEX, "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 3)])
def test_tensors_without_memory(both, name, shape):
    same(both, lambda lib: lib.empty(shape, dtype=getattr(lib, name), device="meta"))


def test_results_of_several_parts(both):
    same(both, lambda lib: lib.arange(6).reshape(2, 3).max(1))
    same(both, lambda lib: lib.tensor([[3.0, 1.0], [2.0, 5.0]]).sort(0))
    same(both, lambda lib: lib.tensor([3.0, 1.0, 2.0]).topk(2))


def test_formats_of_every_type(both):
    for name in ("float16", "float64", "int8", "bool"):
        ours, theirs = (lib.tensor(1, dtype=getattr(lib, name)) for lib in both)
        assert f"{ours}" == f"{theirs}"
        assert f"{ours:.3f}" == f"{theirs:.3f}"
    ours, theirs = (lib.tensor(1.5 - 2j) for lib in both)
    assert f"{ours}" == f"{theirs}"
    assert f"{ours:.2f}" == f"{theirs:.2f}"


def test_complex_under_another_default(both):
    for lib in both:
        lib.set_default_dtype(lib.float64)
    try:
        for name in COMPLEX:
            same(both, lambda lib, name: lib.tensor([1j], dtype=getattr(lib, name)), name)
    finally:
        for lib in both:
            lib.set_default_dtype(lib.float32)
