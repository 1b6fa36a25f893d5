"""Tracing: graphs print as Python that runs, run with other numbers, and have gradients."""

import inspect

import pytest
from sample import built
from samples import SAMPLES

import cresset
from cresset.capture.verify import verify

F = cresset.nn.functional


def source(graph):
    """The function in a graph's source, without what stands above it."""
    text = str(graph)
    assert text.startswith("import cresset as torch\n")
    return text[text.index("def ") :]


def run(graph, *tensors):
    """What the printed source computes."""
    scope = dict(graph.constants)
    exec(str(graph), scope)
    return scope[graph.name](*tensors)


def equal(a, b):
    a, b = (x if isinstance(x, tuple) else (x,) for x in (a, b))
    assert len(a) == len(b)
    for x, y in zip(a, b):
        assert x.dtype is y.dtype
        assert x.shape == y.shape
        assert cresset.allclose(x.double(), y.double(), rtol=1e-5, atol=1e-6)


# --- the neuron of the notes ----------------------------------------------------------------------
def neuron(w, x, b):
    return cresset.tanh(w * x + b)


@pytest.fixture
def graph():
    number = cresset.tensor(1.0)
    return cresset.trace(neuron, number, number, number)


def test_a_neuron_prints_as_python(graph):
    assert source(graph) == inspect.cleandoc("""
        def neuron(w, x, b):
            t0 = w * x
            t1 = t0 + b
            t2 = torch.tanh(t1)
            return t2
    """)


def test_a_neuron_is_evaluated_with_other_numbers(graph):
    for numbers in ((2.0, 0.5, -1.0), (0.1, -3.0, 0.7)):
        w, x, b = map(cresset.tensor, numbers)
        equal(graph(w, x, b), neuron(w, x, b))
        equal(run(graph, w, x, b), neuron(w, x, b))


def test_the_gradient_of_a_neuron_is_a_graph(graph):
    gradient = graph.gradient()
    assert source(gradient) == inspect.cleandoc("""
        def neuron_gradient(w, x, b):
            t0 = w * x
            t1 = t0 + b
            t2 = torch.tanh(t1)
            t3 = t2 * t2
            t4 = 1.0 - t3
            t5 = t4 * x
            t6 = t4 * w
            return t5, t6, t4
    """)
    numbers = [cresset.tensor(n, requires_grad=True) for n in (2.0, 0.5, -0.7)]
    neuron(*numbers).backward()
    plain = [n.detach() for n in numbers]
    equal(gradient(*plain), tuple(n.grad for n in numbers))
    equal(run(gradient, *plain), tuple(n.grad for n in numbers))


def test_gradients_of_some_inputs_and_of_gradients(graph):
    w, x, b = map(cresset.tensor, (2.0, 0.5, -0.7))
    slope = graph.gradient("x")
    y = cresset.tanh(w * x + b)
    equal(slope(w, x, b), (1 - y * y) * w)
    equal(slope.gradient("x")(w, x, b), -2 * y * (1 - y * y) * w * w)
    equal(graph.gradient("b", "w")(w, x, b), (1 - y * y, (1 - y * y) * x))


# --- many functions -------------------------------------------------------------------------------
FUNCTIONS = {
    "operators": lambda x: (2 - x) * x / 3 + x**2 - (-x) ** 3,
    "comparison": lambda x: cresset.where(x > 0.5, x, 0.0),
    "sum of squares": lambda x: (x * x).sum(),
    "mean": lambda x: x.mean(0),
    "variance": lambda x: x.var(1, keepdim=True),
    "softmax": lambda x: cresset.softmax(x, 1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "gelu": F.gelu,
    "layer norm": lambda x: F.layer_norm(x, (4,)),
    "matrix product": lambda x: x.t() @ x,
    "linear": lambda x: F.linear(x, cresset.ones(2, 4), cresset.tensor([1.0, 2.0])),
    "views": lambda x: x.reshape(2, 6).unsqueeze(0).transpose(1, 2).squeeze(),
    "index": lambda x: x[1:, ::2, None] * x[0, ..., 1],
    "pieces": lambda x: [piece.exp() for piece in x.split(2)],
    "unbind": lambda x: x.unbind(1)[1] * 2,
    "cat": lambda x: cresset.cat([x, x.sin()], 1),
    "stack": lambda x: cresset.stack([x, x + 1]).sum(0),
    "maximum": lambda x: x.max(1),
    "sort": lambda x: x.sort(1, descending=True)[0],
    "cumsum": lambda x: x.cumsum(1),
    "conversion": lambda x: x.to(cresset.float64).sqrt(),
    "clamp": lambda x: x.clamp(0.2, 0.8),
    "powers": lambda x: x.sqrt() + x.rsqrt() + x.pow(1.5),
    "broadcast": lambda x: x * x.sum(0) + x.sum(1, keepdim=True),
    "expanded": lambda x: x[0].expand(3, 4) * 2,
    "norm": lambda x: x.norm(),
    "einsum": lambda x: cresset.einsum("ij,kj->ik", x, x),
    "constant": lambda x: x + cresset.arange(4.0),
    "large constant": lambda x: x * cresset.arange(12.0).reshape(3, 4),
    "detached": lambda x: x * x.detach(),
    "convolution": lambda x: F.conv1d(x[None], cresset.ones(2, 3, 2)),
    "two results": lambda x: (x.sum(), x * 3),
    "untouched": lambda x: x.float(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    """Graph, source and gradient are those of the function."""
    function = FUNCTIONS[name]
    x = cresset.linspace(0.1, 0.9, 12).reshape(3, 4)
    graph = cresset.trace(function, x)
    verify_parts(graph)
    y = cresset.linspace(1.0, 0.3, 12).reshape(3, 4)
    expected = function(y)
    expected = tuple(expected) if isinstance(expected, list) else expected
    equal(graph(y), expected)
    equal(run(graph, y), expected)

    y.requires_grad_()
    results = function(y)
    results = results if isinstance(results, (tuple, list)) else (results,)
    results = [r for r in results if r.is_floating_point()]
    gs = [cresset.linspace(-1.0, 2.0, r.numel()).reshape(r.shape).to(r.dtype) for r in results]
    (wanted,) = cresset.autograd.grad(results, y, [
        g if r.dim() else cresset.ones_like(r) for g, r in zip(gs, results)
    ])
    gradient = graph.gradient()
    verify_parts(gradient)
    given = [g for g, r in zip(gs, results) if r.dim()]
    y = y.detach()
    equal(gradient(y, *given), wanted)
    equal(run(gradient, y, *given), wanted)


def verify_parts(graph):
    """What must hold of every graph, constants counted as inputs."""
    inputs = graph.inputs
    graph.inputs = [*inputs, *(value for value, _ in graph.held.values())]
    try:
        verify(graph)
    finally:
        graph.inputs = inputs


def test_calls_are_spelled_as_people_write_them():
    def function(x, y):
        a = cresset.softmax(x, 1)
        b = 1 - a[1:, ::2]
        c = cresset.cat([a, y], 0)
        d = (c > 0.5).sum(1)
        return b.t(), c.reshape(-1), d, F.relu(y), x.to(cresset.int32)

    x = cresset.ones(3, 4)
    assert source(cresset.trace(function, x, x)) == inspect.cleandoc("""
        def function(x, y):
            t0 = torch.softmax(x, 1)
            t1 = t0[1:, ::2]
            t2 = 1 - t1
            t3 = torch.cat([t0, y], 0)
            t4 = t3 > 0.5
            t5 = torch.sum(t4, 1)
            t6 = torch.t(t2)
            t7 = t3.view((-1,))
            t8 = torch.relu(y)
            t9 = x.to(torch.int32)
            return t6, t7, t5, t8, t9
    """)


# --- constants, modules, names --------------------------------------------------------------------
def test_a_module_keeps_its_parameters():
    module = cresset.nn.Sequential(cresset.nn.Linear(4, 5), cresset.nn.Tanh(),
                                   cresset.nn.Linear(5, 2))
    x = cresset.ones(3, 4)
    graph = cresset.trace(module, x)
    assert set(graph.constants) == {"p0_weight", "p0_bias", "p2_weight", "p2_bias"}
    assert graph.constants["p2_bias"] is module[2].bias
    assert "# constant p0_weight: (5, 4), torch.float32" in str(graph)
    equal(graph(x), module(x))
    with cresset.no_grad():
        module[0].weight.mul_(3)
    equal(graph(x), module(x))
    equal(run(graph, x), module(x))
    graph(x).sum().backward()
    assert module[0].weight.grad is not None


def test_tensors_around_a_function_keep_their_names():
    weight = cresset.ones(4, requires_grad=True)
    graph = cresset.trace(lambda x: x * weight, cresset.ones(4))
    assert graph.constants["weight"] is weight
    assert source(graph).splitlines()[1] == "    t0 = x * weight"


def test_small_constants_stand_in_the_source():
    graph = cresset.trace(lambda x: x + cresset.tensor([1, 2]), cresset.ones(2))
    assert source(graph).splitlines()[1] == "    t0 = x + torch.tensor([1, 2], dtype=torch.int64)"
    assert not graph.constants


def test_names_do_not_meet():
    def function(torch, t0, c0):
        return torch + t0 * c0 + cresset.arange(12.0).reshape(3, 4)

    x = cresset.ones(3, 4)
    graph = cresset.trace(function, x, x, x)
    equal(graph(x, 2 * x, x), function(x, 2 * x, x))


def test_arguments_that_are_no_tensors_are_part_of_the_graph():
    graph = cresset.trace(lambda x, times, flip: x.flip(0) * times if flip else x,
                          cresset.ones(3), 4, True)
    assert [value.name for value in graph.inputs] == ["x"]
    equal(graph(cresset.arange(3.0)), cresset.tensor([8.0, 4.0, 0.0]))


def test_what_is_not_needed_is_left_out():
    def function(x):
        x.exp()
        return x + 1

    assert len(cresset.trace(function, cresset.ones(2)).calls) == 1


def test_unused_inputs_have_zero_gradients():
    x = cresset.ones(2)
    gradient = cresset.trace(lambda x, y: x.sum(), x, x).gradient()
    equal(gradient(x, x), (cresset.ones(2), cresset.zeros(2)))


def test_a_graph_draws_itself():
    graph = cresset.trace(neuron, *map(cresset.tensor, (1.0, 2.0, 3.0)))
    picture = cresset.draw_graph(graph)
    written = {shape.content for shape in picture.scene.shapes if hasattr(shape, "content")}
    assert {"w", "x", "b", "w * x", "t0 + b", "torch.tanh(t1)"} <= written


# --- what cannot be traced ------------------------------------------------------------------------
@pytest.mark.parametrize("function", [
    lambda x: x if x.sum() > 0 else -x,
    lambda x: x * x.max().item(),
    lambda x: x * float(x[0]),
    lambda x: cresset.tensor(x.tolist()),
    lambda x: cresset.from_numpy(x.numpy()),
    lambda x: x[int(x[0])],
])
def test_elements_are_not_known(function):
    with pytest.raises(RuntimeError, match="elements.*where"):
        cresset.trace(function, cresset.ones(3))


def test_random_numbers_are_refused_and_not_used_up():
    cresset.manual_seed(3)
    expected = cresset.rand(2)
    cresset.manual_seed(3)
    with pytest.raises(RuntimeError, match="random numbers"):
        cresset.trace(lambda x: x + cresset.rand(3), cresset.ones(3))
    equal(cresset.rand(2), expected)


def test_results_may_be_overwritten():
    def function(x):
        y = x * 2
        z = y
        z += 1
        return F.relu(y, inplace=True) * y

    x = cresset.tensor([-2.0, 0.5])
    graph = cresset.trace(function, x)
    assert source(graph) == inspect.cleandoc("""
        def function(x):
            t0 = x * 2
            t1 = t0 + 1
            t2 = torch.relu(t1)
            t3 = t2 * t2
            return t3
    """)
    equal(graph(x), function(x))
    equal(graph.gradient()(x, cresset.ones(2)), cresset.tensor([0.0, 8.0]))


@pytest.mark.parametrize("function", [
    lambda x: x.add_(1),
    lambda x: x[0].add_(1),
    lambda x: (x * 2)[0].fill_(1),
    lambda x: cresset.ones(3).mul_(x),
])
def test_writing_into_shared_memory_is_refused(function):
    with pytest.raises(NotImplementedError, match="cannot write here while capturing"):
        cresset.trace(function, cresset.ones(3))


def test_wrong_calls():
    x = cresset.ones(3)
    graph = cresset.trace(lambda x, y: x + y, x, x)
    with pytest.raises(TypeError, match=r"takes 2 tensors \(x, y\); got 1"):
        graph(x)
    with pytest.raises(TypeError, match="y must be a tensor; got float"):
        graph(x, 1.0)
    with pytest.raises(RuntimeError, match=r"y has shape \(2,\).*trace the function again"):
        graph(x, cresset.ones(2))
    with pytest.raises(RuntimeError, match=r"x has shape \(3,\) and type torch.float64"):
        graph(x.double(), x)
    with pytest.raises(ValueError, match="no floating input is called 'z'; need some of x, y"):
        graph.gradient("z")
    with pytest.raises(TypeError, match="no tensor among the examples"):
        cresset.trace(lambda x: x, 1.0)
    with pytest.raises(TypeError, match="must return a tensor.*float"):
        cresset.trace(lambda x: 1.0, x)
    with pytest.raises(RuntimeError, match="meta tensor"):
        cresset.trace(lambda y: y + cresset.empty(3, device="meta"), x)


# --- the sample table -----------------------------------------------------------------------------
def first_samples():
    """The first sample of each function of tensors."""
    found = {}
    for sample in SAMPLES:
        if sample.operands and not sample.writes and not sample.seeded:
            found.setdefault(sample.name, sample)
    return found


FIRST = first_samples()
INTEGERS = {"bincount", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or",
            "bitwise_right_shift", "bitwise_xor", "gcd", "lcm", "nn.functional.one_hot"}
UNTRACEABLE = {
    # The size of the result, or how it is computed, depends on elements.
    "Tensor.nonzero", "Tensor.unique", "argwhere", "bincount", "histogram",
    "masked_scatter", "masked_select", "nonzero", "nonzero_static",
    "unique", "unique_consecutive",
    # They write into a view of a copy.
    "as_strided_scatter", "diagonal_scatter", "select_scatter", "slice_scatter",
}


@pytest.mark.parametrize("name", FIRST)
def test_samples(name):
    """Graph and source are the function, for every function of the table."""
    dtype = "int64" if name in INTEGERS else "float64"
    leaves = [cresset.from_numpy(a) for a in built(FIRST[name], dtype)]

    def function(*tensors):
        return FIRST[name].call(cresset, tensors)

    if name in UNTRACEABLE:
        with pytest.raises((RuntimeError, NotImplementedError), match="elements|cannot write here"):
            cresset.trace(function, *leaves)
        return
    expected = function(*leaves)
    parts = expected if isinstance(expected, (tuple, list)) else (expected,)
    if not all(isinstance(x, cresset.Tensor) for x in parts):
        with pytest.raises((TypeError, RuntimeError), match="must return a tensor|elements"):
            cresset.trace(function, *leaves)
        return
    graph = cresset.trace(function, *leaves)
    equal(graph(*leaves), expected if isinstance(expected, cresset.Tensor) else tuple(parts))
    equal(run(graph, *(x.contiguous() for x in leaves)), graph(*leaves))
