"""The study notes the project started from, from their first page to their last.

The notes learn PyTorch from its fundamentals: immediate and deferred execution, a neuron, tensors
over storages. Here every program in them is retold and run, and every claim is asserted, in their
order; `docs/notes/` tells them anew, with the chapter on numeric types that they end before.
"""

import math
import sys
import time

import numpy as np
import pytest

import cresset as torch


# --- what the library is --------------------------------------------------------------------------
def test_tensors_are_similar_to_numpy_arrays():
    x, a = torch.arange(6.0).reshape(2, 3), np.arange(6.0, dtype=np.float32).reshape(2, 3)
    assert x.shape == a.shape
    assert x.tolist() == a.tolist()
    assert (x * 2 + 1)[1].tolist() == (a * 2 + 1)[1].tolist()
    assert x.sum(0).tolist() == a.sum(0).tolist()
    assert np.shares_memory(x.numpy(), torch.from_numpy(x.numpy()).numpy())


# --- immediate and deferred execution -------------------------------------------------------------
def test_an_expression_runs_when_it_is_met():
    a = 30
    b = 40
    assert (a**2 + b**2) ** 0.5 == 50

    a = torch.tensor(30.0)
    b = torch.tensor(40.0)
    c = (a**2 + b**2) ** 0.5
    assert c.item() == 50
    assert repr(c) == "tensor(50.)"


def test_a_debugger_sees_every_intermediate_value():
    """Whoever stops between two lines finds tensors with values, not placeholders."""
    seen = []

    def watch(frame, event, argument):
        if event == "line" and frame.f_code is hypotenuse.__code__:
            seen.append({name: x.item() for name, x in frame.f_locals.items()})
        return watch

    def hypotenuse(a, b):
        squares = a**2 + b**2
        root = squares**0.5
        return root

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        hypotenuse(torch.tensor(3.0), torch.tensor(4.0))
    finally:
        sys.settrace(before)
    assert seen[-1] == {"a": 3, "b": 4, "squares": 25, "root": 5}


def test_an_error_appears_on_the_line_that_caused_it():
    x = torch.ones(2, 3)
    with pytest.raises(RuntimeError, match=r"\(2, 3\)") as caught:
        x.t() + x
    assert caught.traceback[0].lineno == test_an_error_appears_on_the_line_that_caused_it \
        .__code__.co_firstlineno + 2


def test_a_function_fails_when_it_is_called_not_when_it_is_defined():
    def expression(c1, c2):
        return (c1**2 + c2**2) ** 0.5 + torch.ones(2) @ torch.ones(3)

    with pytest.raises(RuntimeError):
        expression(torch.tensor(30.0), torch.tensor(40.0))


def test_placeholders_have_no_values():
    """Deferred execution: what the function computes with while it becomes a graph."""
    placeholders = []

    def expression(c1, c2):
        placeholders.append(c1)
        return (c1**2 + c2**2) ** 0.5

    graph = torch.trace(expression, torch.tensor(0.0), torch.tensor(0.0))
    with pytest.raises(RuntimeError, match="elements"):
        placeholders[0].item()
    assert graph(torch.tensor(30.0), torch.tensor(40.0)).item() == 50


def test_static_graphs_do_not_mix_with_flow_control():
    def folded(x):
        return x if x > 0 else -x

    assert folded(torch.tensor(-2.0)).item() == 2
    with pytest.raises(RuntimeError, match="where"):
        torch.trace(folded, torch.tensor(-2.0))
    graph = torch.trace(lambda x: torch.where(x > 0, x, -x), torch.tensor(0.0))
    assert [graph(torch.tensor(x)).item() for x in (-2.0, 3.0)] == [2, 3]


# --- the neuron: output = tanh(w x + b) -----------------------------------------------------------
def neuron(w, x, b):
    return torch.tanh(w * x + b)


NUMBERS = {"w": 2.0, "x": 0.5, "b": -0.7}


def by_hand():
    """The neuron and its gradients in plain Python."""
    w, x, b = NUMBERS.values()
    y = math.tanh(w * x + b)
    slope = 1 - y * y
    return y, {"w": slope * x, "x": slope * w, "b": slope}


def test_backpropagation_gives_the_gradient_and_saves_the_writing():
    tensors = {name: torch.tensor(n, requires_grad=True) for name, n in NUMBERS.items()}
    y = neuron(**tensors)
    y.backward()
    value, gradients = by_hand()
    assert y.item() == pytest.approx(value, rel=1e-6)
    for name, x in tensors.items():
        assert x.grad.item() == pytest.approx(gradients[name], rel=1e-6)


def test_weights_are_tweaked_after_errors_are_assigned_to_them():
    w, b = (torch.tensor(k, requires_grad=True) for k in (1.0, 0.0))
    x = torch.linspace(-1, 1, 20)
    target = torch.tanh(0.3 * x - 0.8)
    errors = []
    for _ in range(50):
        error = ((neuron(w, x, b) - target) ** 2).mean()
        error.backward()
        with torch.no_grad():
            for weight in (w, b):
                weight -= weight.grad
                weight.grad = None
        errors.append(error.item())
    assert errors[-1] < 0.01 * errors[0]


def test_the_static_graph_row_by_row():
    """Operations on placeholders; numbers put in; the gradient, a graph as well; its formula."""
    number = torch.tensor(0.0)
    graph = torch.trace(neuron, number, number, number)
    assert [str(call.op.label) for call in graph.calls] == ["mul", "add", "tanh"]
    source = str(graph)
    for line in ("t0 = w * x", "t1 = t0 + b", "t2 = torch.tanh(t1)"):
        assert line in source
    values = [torch.tensor(n) for n in NUMBERS.values()]
    value, gradients = by_hand()
    assert graph(*values).item() == pytest.approx(value, rel=1e-6)

    gradient = graph.gradient()
    for line in ("t3 = t2 * t2", "t4 = 1.0 - t3", "t5 = t4 * x"):
        assert line in str(gradient)
    found = dict(zip(NUMBERS, gradient(*values)))
    for name in NUMBERS:
        assert found[name].item() == pytest.approx(gradients[name], rel=1e-6)

    scope = {}
    exec(source, scope)
    assert scope["neuron"](*values).item() == pytest.approx(value, rel=1e-6)


def test_the_gradient_is_the_product_of_those_at_the_nodes():
    w, x, b = (torch.tensor(n, requires_grad=True) for n in NUMBERS.values())
    product = w * x
    total = product + b
    y = torch.tanh(total)
    at_nodes = [torch.autograd.grad(*pair, retain_graph=True)[0]
                for pair in ((y, total), (total, product), (product, w))]
    (whole,) = torch.autograd.grad(y, w)
    assert whole.item() == pytest.approx(math.prod(g.item() for g in at_nodes), rel=1e-6)


def test_the_dynamic_graph_grows_line_by_line():
    w, x, b = (torch.tensor(n, requires_grad=True) for n in NUMBERS.values())
    assert w.grad_fn is None
    t = w * x
    assert t.grad_fn.name() == "MulBackward0"
    t2 = t + b
    assert t2.grad_fn.name() == "AddBackward0"
    assert t2.grad_fn.next_functions[0][0] is t.grad_fn
    y = torch.tanh(t2)
    assert y.grad_fn.next_functions[0][0] is t2.grad_fn
    leaves = [node.variable for node, _ in t.grad_fn.next_functions]
    assert leaves[0] is w
    assert leaves[1] is x
    # Every value was there before the next line ran.
    assert t.item() == 1.0
    assert t2.item() == pytest.approx(0.3)


def test_dynamic_graphs_change_from_pass_to_pass():
    """Other nodes are met according to what came out before, without a word of it in a graph."""
    w = torch.tensor(1.5, requires_grad=True)

    def operations(limit):
        y, names = w * 1, []
        while y < limit:
            y = y * w if y < 4 else y + w
        node = y.grad_fn
        while node.next_functions:
            names.append(node.name())
            node = node.next_functions[0][0]
        return names

    assert operations(2) == ["MulBackward0"] * 2
    assert operations(6) == ["AddBackward0"] + ["MulBackward0"] * 4


# --- batteries ------------------------------------------------------------------------------------
def test_what_a_project_needs(tmp_path):
    """Data and its bridge to tensors, an optimizer, a device, and a program for production."""

    class Measurements(torch.utils.data.Dataset):
        def __len__(self):
            return 40

        def __getitem__(self, k):
            return [k / 40, 1.0], 3 * k / 40 - 1

    device = torch.device("cpu")
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    loader = torch.utils.data.DataLoader(Measurements(), batch_size=8, shuffle=True)
    for _ in range(80):
        for (first, second), target in loader:
            points = torch.stack([first, second], 1).float().to(device)
            loss = torch.nn.functional.mse_loss(model(points)[:, 0], target.float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert loss.item() < 1e-3
    torch.save(model.state_dict(), tmp_path / "model.pt")
    again = torch.nn.Linear(2, 1)
    again.load_state_dict(torch.load(tmp_path / "model.pt"))
    assert torch.equal(again.weight, model.weight)


def test_instructions_are_kept_and_fused():
    """A set of instructions that runs without its Python function, and what they compile to."""
    x = torch.linspace(-1, 1, 12)
    graph = torch.trace(neuron, torch.tensor(2.0), x, torch.tensor(0.5))
    assert graph(torch.tensor(1.0), x, torch.tensor(0.0)).tolist() == torch.tanh(x).tolist()
    number = torch.tensor(1.0)
    assert len(torch.show(neuron, number, x, number, stages="loops").loops) == 1


# --- it starts with a tensor ----------------------------------------------------------------------
def test_input_becomes_floating_point_numbers():
    image = torch.tensor([[0, 128, 255]], dtype=torch.uint8)
    x = image.float() / 255
    assert x.dtype is torch.float32
    assert x.max().item() == 1


@pytest.mark.parametrize("rank", range(6))
def test_a_scalar_is_referred_to_by_as_many_indices_as_there_are_dims(rank):
    x = torch.arange(2.0**rank).reshape((2,) * rank)
    assert x.dim() == rank
    assert x[(1,) * rank].shape == ()
    assert x[(1,) * rank].item() == 2**rank - 1
    if rank:
        with pytest.raises(IndexError):
            x[(1,) * (rank + 1)]


def test_numbers_are_not_boxed():
    """A Python number is an object; an element is its bits."""
    assert sys.getsizeof(1.0) > 4 == torch.tensor(1.0).element_size()
    x = torch.zeros(1000)
    assert x.nbytes == 4000
    addresses = [x[k].data_ptr() for k in range(1000)]
    assert addresses == list(range(x.data_ptr(), x.data_ptr() + 4000, 4))


def test_lists_do_not_compute():
    one, two = [1.0, 2.0], [3.0, 4.0]
    with pytest.raises(TypeError):
        one @ two
    assert one + two == [1, 2, 3, 4]
    assert (torch.tensor(one) @ torch.tensor(two)).item() == 11
    assert (torch.tensor(one) + torch.tensor(two)).tolist() == [4, 6]


def test_compiled_code_is_faster_than_the_interpreter():
    numbers = [0.5] * 1_000_000
    x = torch.tensor(numbers)
    x.sum()

    def seconds(work):
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    assert min(seconds(x.sum) for _ in range(3)) < min(seconds(lambda: sum(numbers))
                                                       for _ in range(3))


def test_tensors_are_made_of_lists():
    points = torch.tensor([1, 2, 3, 4, 5, 6, 7])
    assert points.shape == (7,)
    points = torch.tensor([[1, 2], [3, 4], [5, 6]])
    assert points.dtype is torch.int64
    points = torch.FloatTensor([[1, 2], [3, 4], [5, 6]])
    assert points.dtype is torch.float32
    assert points.tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.fixture
def points():
    return torch.tensor([[1, 2], [3, 4], [5, 6]])


def place(x):
    """Where a tensor's storage begins."""
    return x.untyped_storage().data_ptr()


def test_an_element_of_a_tensor_is_a_tensor_over_the_same_memory(points):
    one_tensor = points[0]
    another_tensor = points[0, 1]
    for x in (one_tensor, another_tensor):
        assert isinstance(x, torch.Tensor)
        assert place(x) == place(points)
    assert one_tensor.tolist() == [1, 2]
    assert another_tensor.item() == 2
    points[0, 1] = 20
    assert one_tensor.tolist() == [1, 20]
    assert another_tensor.item() == 20


# --- tensors and storages -------------------------------------------------------------------------
def test_a_storage_is_one_dimensional(points, capsys):
    print(points.storage())
    assert capsys.readouterr().out.split("\n")[:6] == [" 1", " 2", " 3", " 4", " 5", " 6"]
    for x in (points, points.t(), points.reshape(1, 3, 2, 1), points[1]):
        assert x.storage().tolist() == [1, 2, 3, 4, 5, 6]
        assert len(x.storage()) == 6
    assert points.storage()[3] == 4
    points.storage()[3] = 40
    assert points.tolist() == [[1, 2], [3, 40], [5, 6]]


def allocations():
    return torch.memory_stats()["allocation.all.allocated"]


def test_memory_is_allocated_once_for_all_views():
    x = torch.zeros(1000, 1000)
    before = allocations()
    views = [x.t(), x[3], x[:, 5], x.reshape(-1), x[::2, 1:], x.unsqueeze(0).expand(7, 1000, 1000)]
    assert allocations() == before
    assert {place(view) for view in views} == {place(x)}


def test_views_take_no_longer_where_there_is_more():
    def seconds(x):
        start = time.perf_counter()
        for _ in range(200):
            x.t()[1:]
        return time.perf_counter() - start

    small, large = torch.zeros(2, 2), torch.zeros(2000, 2000)
    seconds(small), seconds(large)
    assert min(seconds(large) for _ in range(5)) < 3 * min(seconds(small) for _ in range(5))


# --- size, storage offset, and strides ------------------------------------------------------------
def test_what_defines_a_tensor(points):
    second_point = points[1]
    assert second_point.storage_offset() == 2
    assert second_point.size() == torch.Size([2])
    assert second_point.shape == second_point.size()
    assert second_point.stride() == (1,)
    assert points.size() == (3, 2)
    assert points.stride() == (2, 1)


@pytest.mark.parametrize("view", [
    lambda x: x, lambda x: x[1], lambda x: x.transpose(0, 2), lambda x: x[:, 1:, ::2],
    lambda x: x.permute(1, 2, 0)[1:], lambda x: x[1, 2, 3], lambda x: x[:, :1].expand(2, 3, 4),
])
def test_offset_and_strides_lead_to_every_element(view):
    x = view(torch.arange(24).reshape(2, 3, 4))
    storage = x.storage()
    for index in np.ndindex(*x.shape):
        at = x.storage_offset() + sum(k * s for k, s in zip(index, x.stride()))
        assert storage[at] == x[index].item()


def test_changing_a_subtensor_changes_the_tensor(points):
    second_point = points[1]
    second_point[0] = 10
    assert points.tolist() == [[1, 2], [10, 4], [5, 6]]


def test_a_clone_stands_alone(points):
    second_point = points[1].clone()
    assert place(second_point) != place(points)
    second_point[0] = 10
    assert points.tolist() == [[1, 2], [3, 4], [5, 6]]
    # To give a name to something else changes no tensor.
    second_point = 10
    assert points.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert second_point == 10


# --- transposing ----------------------------------------------------------------------------------
def test_transposing_makes_a_tensor_and_no_memory(points):
    before = allocations()
    points_t = points.t()
    assert allocations() == before
    same = id(points.storage()) == id(points_t.storage())
    assert same
    assert points.storage() is points_t.storage()
    assert place(points) == place(points_t)
    assert points_t.tolist() == [[1, 3, 5], [2, 4, 6]]
    assert points.stride() == (2, 1)
    assert points_t.stride() == (1, 2)
    for i in range(3):
        for j in range(2):
            assert points[i, j] == points_t[j, i]


def test_transposing_is_not_limited_to_matrices():
    points = torch.ones(3, 4, 5)
    points_partial_t = points.transpose(0, 2)
    assert points_partial_t.shape == (5, 4, 3)
    assert points.stride() == (20, 5, 1)
    assert points_partial_t.stride() == (1, 5, 20)
    assert place(points) == place(points_partial_t)


def test_values_laid_out_from_the_rightmost_dim_are_contiguous():
    points = torch.ones(3, 4, 5)
    points_partial_t = points.transpose(0, 2)
    assert points.is_contiguous()
    assert not points_partial_t.is_contiguous()


def test_contiguous_reshuffles_the_storage(points):
    points_t = points.t()
    assert points_t.storage().tolist() == [1, 2, 3, 4, 5, 6]
    points_t_cont = points_t.contiguous()
    assert points_t_cont.tolist() == points_t.tolist()
    assert points_t_cont.is_contiguous()
    assert points_t_cont.stride() == (3, 1) != points_t.stride()
    assert place(points_t_cont) != place(points_t)
    assert points_t_cont.storage().tolist() == [1, 3, 5, 2, 4, 6]
    # What is contiguous already is not copied.
    assert points.contiguous() is points


# --- numeric types: where the notes break off, and docs/notes goes on -----------------------------
SIZES = {"bool": 1, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8, "int8": 1, "int16": 2,
         "int32": 4, "int64": 8, "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8,
         "complex64": 8, "complex128": 16, "float8_e4m3fn": 1, "float8_e5m2": 1}


@pytest.mark.parametrize("name", SIZES)
def test_a_type_says_what_an_element_costs(name):
    x = torch.zeros(10).to(getattr(torch, name))
    assert x.dtype is getattr(torch, name)
    assert x.element_size() == SIZES[name]
    assert x.nbytes == 10 * SIZES[name]


def test_the_type_is_given_or_follows_from_the_numbers():
    assert torch.tensor([1, 2]).dtype is torch.int64
    assert torch.tensor([1.0, 2]).dtype is torch.float32
    assert torch.tensor([True]).dtype is torch.bool
    assert torch.tensor([1j]).dtype is torch.complex64
    assert torch.ones(2, dtype=torch.double).dtype is torch.float64
    for convert in (lambda x: x.double(), lambda x: x.to(torch.double),
                    lambda x: x.type(torch.double)):
        assert convert(torch.ones(2)).dtype is torch.float64


def test_tensors_of_two_types_meet_in_one_that_holds_both():
    i, h, f, d = (torch.ones(2, dtype=t) for t in (
        torch.int64, torch.float16, torch.float32, torch.float64))
    assert (i + h).dtype is torch.float16
    assert (h + f).dtype is torch.float32
    assert (f + d).dtype is torch.float64
    assert (f + 1.5).dtype is torch.float32
    assert (i + 1.5).dtype is torch.float32
    assert (f + torch.tensor(1.5, dtype=torch.float64)).dtype is torch.float32
