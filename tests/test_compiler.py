"""The compiler: what composites become, what kernels depend on, and other targets."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

import cresset
from cresset import nn, show
from cresset.kernels import loops
from cresset.nn import functional as F
from cresset.ops import dispatch
from cresset.ops.kinds.composite import Composite
from cresset.ops.neural import loss
from cresset.ops.operation import Operation, registry
from cresset.ops.reductions import normalization
from cresset.optim.adam import _adam_update
from cresset.runtime import build, codegen, elf, ir, native, target
from cresset.runtime.target import Target, host, writing_for

AVX2 = Target("x86_64-unknown-linux-gnu", "x86-64-v3", "", 32)
ARM = target.arm({"asimd", "asimdhp"})


def listings(function, *arguments):
    """The listings of the kernels that a function becomes on a processor with AVX2."""
    return show(function, *arguments, stages=("loops",), target=AVX2).loops


# --- listings -------------------------------------------------------------------------------------
SOFTMAX = """\
nest kept=1 reduced=1 width=32 lanes=reduced in place
  a0: in float32 stride 1
  a1: known float32 stride d still
  a2: out float32 stride 1
  a3: in float32 stride 1
  t5 = maximum(arg0:f32, arg1:f32) : f32
  reduce arg0:f32 from (-inf,) by t5
  t7 = sub(arg0:f32, acc0:f32) : f32
  t8 = exp(t7) : f32
  t9 = cast(t8) : f64
  t10 = add(arg0:f64, arg1:f64) : f64
  reduce t8 first, t9 from (0,) by t10
  keep a2 = t8
  t13 = cast(acc1:f64) : f32
  t14 = div(arg1:f32, t13) : f32
  t15 = mul(arg3:f32, t14) : f32
  store a2 = t15"""

LOG_SOFTMAX = """\
nest kept=1 reduced=1 width=32 lanes=reduced
  a0: in float32 stride 1
  a1: out float32 stride 1
  t3 = maximum(arg0:f32, arg1:f32) : f32
  reduce arg0:f32 from (-inf,) by t3
  t5 = sub(arg0:f32, acc0:f32) : f32
  t6 = exp(t5) : f32
  t7 = cast(t6) : f64
  t8 = add(arg0:f64, arg1:f64) : f64
  reduce t6 first, t7 from (0,) by t8
  t10 = cast(acc1:f64) : f32
  t11 = log(t10) : f32
  t12 = sub(t5, t11) : f32
  store a1 = t12"""

LAYER_NORM = """\
nest kept=1 reduced=1 width=32 lanes=reduced
  a0: in float32 stride 1
  a1: known float32 stride d still
  a2: known float32 stride d still
  a3: in float32 stride 1
  a4: in float32 stride 1
  a5: out float32 stride 1
  t7 = cast(arg0:f32) : f64
  t8 = add(arg0:f64, arg1:f64) : f64
  reduce arg0:f32 first, t7 from (0,) by t8
  t10 = cast(acc0:f64) : f32
  t11 = div(t10, arg1:f32) : f32
  t12 = sub(arg0:f32, t11) : f32
  t13 = mul(t12, t12) : f32
  t14 = cast(t13) : f64
  reduce t13 first, t14 from (0,) by t8
  t16 = cast(acc1:f64) : f32
  t17 = div(t16, arg1:f32) : f32
  t18 = add(t17, arg2:f32) : f32
  t19 = rsqrt(t18) : f32
  t20 = mul(t12, t19) : f32
  t21 = mul(t20, arg3:f32) : f32
  t22 = add(t21, arg4:f32) : f32
  store a5 = t22"""

SCALED_MEAN = """\
nest kept=1 reduced=1 width=32 lanes=reduced
  a0: in float32 stride 1
  a1: known float32 stride d still
  a2: known float32 stride i still
  a3: out float32 stride 0 still
  t5 = cast(arg0:f32) : f64
  t6 = add(arg0:f64, arg1:f64) : f64
  reduce arg0:f32 first, t5 from (0,) by t6
  t8 = cast(acc0:f64) : f32
  t9 = div(t8, arg1:f32) : f32
  t10 = mul(t9, arg2:f32) : f32
  store a3 once = t10"""

ROWS, CHANNELS = cresset.ones(32, 64), cresset.ones(64)


@pytest.mark.parametrize(
    "function, arguments, listing",
    [
        (cresset.softmax, (ROWS, 1), SOFTMAX),
        (cresset.log_softmax, (ROWS, 1), LOG_SOFTMAX),
        (cresset.layer_norm, (ROWS, (64,), CHANNELS, CHANNELS), LAYER_NORM),
        (lambda x: x.mean(1) * 2, (ROWS,), SCALED_MEAN),
    ],
    ids=["softmax", "log_softmax", "layer_norm", "scaled_mean"],
)
def test_composite_is_one_nest(function, arguments, listing):
    assert listings(function, *arguments) == [listing]


def test_immediate_mode_runs_what_is_shown():
    (step,) = normalization.softmax_rows.op.program((ROWS.layout, 1)).steps
    assert [step.key] == show(cresset.softmax, ROWS, 1, stages=("loops",)).loops


IMAGES, PER_CHANNEL = cresset.ones(8, 4, 12, 12), cresset.ones(4)
TARGETS, CLASSES = cresset.zeros(32, dtype=cresset.int64), cresset.arange(64)
LONG = cresset.ones(1 << 18)
# function, arguments, the number of kernels that it is launched as
KERNELS = {
    "softmax over columns": (cresset.softmax, (ROWS, 0), 1),
    "softmax of a long row": (cresset.softmax, (LONG, 0), 5),
    "softmax backward": (normalization.softmax_backward, (ROWS, ROWS, 1), 1),
    "log_softmax backward": (normalization.log_softmax_backward, (ROWS, ROWS, 1), 1),
    "layer_norm backward": (normalization.layer_norm_backward, (ROWS, ROWS, 1, CHANNELS, 1e-5), 1),
    "rms_norm": (cresset.rms_norm, (ROWS, (64,), CHANNELS), 1),
    "batch_norm": (normalization.batch_norm_train, (IMAGES, PER_CHANNEL, PER_CHANNEL, 1e-5), 1),
    "cross_entropy": (loss.cross_entropy_terms, (ROWS, TARGETS, CLASSES, 1, -100), 2),
    "mse_loss": (F.mse_loss, (ROWS, ROWS), 1),
    "var": (cresset.var, (ROWS, 1), 1),
    "norm": (cresset.norm, (ROWS,), 1),
    "max with its place": (cresset.max, (ROWS, 1), 1),
    "long sum": (cresset.sum, (LONG,), 3),
    "views in between": (lambda x: (x.t() * 2).t().exp().sum(0).unsqueeze(0) + 1, (ROWS,), 1),
}


@pytest.mark.parametrize("name", KERNELS)
def test_number_of_kernels(name):
    function, arguments, count = KERNELS[name]
    assert len(listings(function, *arguments)) == count


def test_optimizer_step_is_one_launch(monkeypatch):
    launches, make = [], native.make_updater

    def make_counted(*plan):
        updater = make(*plan)
        return lambda *lists: launches.append(plan) or updater(*lists)

    monkeypatch.setattr(native, "make_updater", make_counted)
    _adam_update.cache_clear()
    model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Linear(4, 300))
    optimizer = cresset.optim.Adam(model.parameters())
    model(cresset.rand(5, 8)).sum().backward()
    optimizer.step()
    _adam_update.cache_clear()
    assert len(launches) == 1


CROSSED = {
    "sum": lambda x: x.exp().unsqueeze(0) + x.exp().unsqueeze(1),
    "product of one": lambda x: (lambda y: y.unsqueeze(0) * y.unsqueeze(1))(x.exp()),
    "reductions": lambda x: (lambda y: y.sum(1, True) + y.sum(1).unsqueeze(0))(x.outer(x)),
}


@pytest.mark.parametrize("name", CROSSED)
def test_a_value_may_cross_itself(name):
    """One dim of a value along two of a result is no point of one loop nest."""
    x = cresset.tensor([1.0, 2.0, 3.0])
    function = CROSSED[name]
    composed = Composite(lambda x: function(x), name=f"crossed {name}")
    composed.parameter_kinds, composed.parameter_names = ("tensor",), ("x",)
    assert dispatch.launcher_of(composed, (x,))(x).tolist() == function(x).tolist()


THREADED = {
    "exp": lambda x: x.exp(),
    "sum": lambda x: x.sum(),
    "sum of rows": lambda x: x.sum(1),
    "sum of columns": lambda x: x.sum(0),
    "softmax": lambda x: x.softmax(1),
    "softmax of all": lambda x: x.flatten().softmax(0),
    "matmul": lambda x: x[:300, :500] @ x[:500, :300],
    "cumsum": lambda x: x.cumsum(0),
    "conv2d": lambda x: F.conv2d(x.view(256, 4, 32, 32), x[0, :576].view(16, 4, 3, 3)),
}


@pytest.mark.parametrize("name", THREADED)
def test_results_do_not_depend_on_threads(name):
    cresset.manual_seed(0)
    x = cresset.randn(1024, 1024)
    before, results = cresset.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            cresset.set_num_threads(threads)
            results.append(THREADED[name](x).numpy().tobytes())
    finally:
        cresset.set_num_threads(before)
    assert results[0] == results[1] == results[2]


# --- what a kernel depends on ---------------------------------------------------------------------
def rows(*shape):
    return cresset.ones(*shape)


CLASSES_OF_SHAPES = {
    "add": (lambda x: x + x, rows(300), rows(40, 99)),
    "broadcast": (lambda x: x + x[0], rows(32, 64), rows(5, 200)),
    "sum": (lambda x: x.sum(1), rows(32, 64), rows(5, 200)),
    "softmax": (lambda x: x.softmax(1), rows(32, 64), rows(5, 200)),
    "argmax": (lambda x: x.argmax(1), rows(32, 64), rows(5, 200)),
    "matmul": (lambda x: x @ x.t(), rows(64, 64), rows(80, 200)),
}


@pytest.mark.parametrize("name", CLASSES_OF_SHAPES)
def test_sizes_are_no_part_of_a_kernel(name):
    function, *shapes = CLASSES_OF_SHAPES[name]
    first, second = (listings(function, x) for x in shapes)
    assert first == second


@pytest.mark.parametrize("function", [lambda x: x.mean(1), lambda x: x.var(1)], ids=["mean", "var"])
def test_sizes_are_no_part_of_a_mean(function):
    assert listings(function, rows(32, 64)) == listings(function, rows(5, 200))


def test_layout_is_part_of_a_kernel():
    def add(x, y):
        return x + y

    x = rows(64, 64)
    assert len({listings(add, a, b)[0] for a, b in [(x, x), (x, x.t()), (x, x[:, :1])]}) == 3


def test_width_follows_the_target():
    for vector_bytes in (16, 32, 64):
        with writing_for(AVX2._replace(vector_bytes=vector_bytes)):
            (listing,) = show(cresset.neg, ROWS, stages="loops").loops
        assert f"width={vector_bytes} " in listing


def test_nothing_is_built_for_another_machine():
    foreign = ARM if host().triple.startswith("x86") else AVX2
    with writing_for(foreign), pytest.raises(RuntimeError, match="cannot run on this machine"):
        build.load("a kernel that no test builds", ir.Module)


WARM = """
import sys
from types import SimpleNamespace
import cresset as torch
from cresset.runtime import build
layer = torch.nn.Linear(4, 3)
optimizer = torch.optim.Adam(layer.parameters())
torch.nn.functional.cross_entropy(layer(torch.rand(5, 4)), torch.tensor([0, 1, 2, 0, 1])).backward()
optimizer.step()
llvm = any(name.startswith("llvmlite.binding") for name in sys.modules)
print(build.statistics()["compiled"] > 0, llvm)
"""


def test_warm_cache_needs_no_llvm(tmp_path):
    environment = {**os.environ, "CRESSET_CACHE": str(tmp_path / "kernels")}
    command = [sys.executable, "-c", WARM]
    said = [subprocess.check_output(command, env=environment, text=True) for _ in range(2)]
    assert [line.split() for line in said] == [["True", "True"], ["False", "False"]]


# --- AArch64 --------------------------------------------------------------------------------------
def assembled(module):
    """The machine that an object of the module's code for AArch64 says it is for."""
    return elf.read(codegen.assemble(module.text(), ARM)).machine


def run_every_kind_of_kernel():
    x, y = cresset.rand(6, 40), cresset.randn(6, 40)
    whole, places = cresset.randint(0, 9, (6, 40)), cresset.randperm(6)
    _ = x + y, x.t() * 2.5, whole // 3, x > y, x.double(), x.exp(), x.tanh(), x.sin(), x.pow(y)
    _ = x.sum(), x.sum(0), x.mean(1), x.amax(), x.argmax(1), x.max(0), whole.prod(1), x.softmax(1)
    _ = x @ y.t(), x[0] @ y.t(), whole @ whole.t(), x.double() @ y.t().double()
    _ = x.cumsum(1), x.cumsum(0), x.sort(1), cresset.rand(5000).sort(), x.topk(3, 1)
    _ = x.unique(return_inverse=True, return_counts=True), x.mode(), x.histc(), cresset.isin(x, y)
    _ = x.view(-1).topk(3), x.kthvalue(9, 1), x.view(-1).double().sort(), cresset.bucketize(x, y[0])
    _ = x[places], x.gather(1, whole), x.index_add(0, places, y), x.scatter(1, whole, y)
    _ = x.nonzero(), x[x > 0.5], cresset.cat([x, y]), F.dropout(x), cresset.rand(3, 7)
    images, filters = cresset.rand(2, 4, 12, 12), cresset.rand(8, 4, 3, 3)
    images.requires_grad_()
    filters.requires_grad_()
    for stride in (1, 2):
        F.max_pool2d(F.conv2d(images, filters, stride=stride, padding=1), 2).sum().backward()
    F.avg_pool2d(F.conv2d(images, cresset.rand(4, 1, 1, 1), groups=4), 2).sum().backward()
    _ = F.conv2d(cresset.rand(2, 32, 16, 16), cresset.rand(32, 32, 3, 3), padding=1)
    nn.LayerNorm(40)(x).sum().backward()
    square = cresset.eye(6, dtype=cresset.complex64)
    _ = cresset.linalg.solve_triangular(square, square, upper=True), cresset.linalg.lu(square)


def test_every_kind_of_kernel_assembles_for_arm(monkeypatch):
    planned, plan = [], Operation.plan

    def remember(op, specs):
        planned.append((op, specs))
        return plan(op, specs)

    monkeypatch.setattr(Operation, "plan", remember)
    dispatch.forget()
    run_every_kind_of_kernel()
    done = set()
    with writing_for(ARM):
        for op, specs in planned:
            for step in op.program(specs).steps:
                if step.key not in done:
                    done.add(step.key)
                    assert assembled(step.write()) == elf.AARCH64, step.key
    assert len(done) > 50


def test_update_assembles_for_arm():
    with writing_for(ARM):
        _, write = _adam_update(True, "coupled", False).kernel(cresset.float32)
        assert assembled(write()) == elf.AARCH64


def test_native_part_assembles_for_arm(monkeypatch):
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="aarch64"))
    assert assembled(native._write()) == elf.AARCH64


# --- show -----------------------------------------------------------------------------------------
def test_show_gives_the_stages_that_are_asked_for():
    stages = show(cresset.softmax, ROWS, 1, stages=("graph", "assembly"), target=ARM)
    assert stages.graph.startswith("def captured(v0):\n    v1 = amax(v0, 1, True)\n")
    assert stages.loops is stages.ir is None
    assert "fmla" in stages.assembly[0]
    assert str(stages).startswith("--- graph\ndef captured(v0):")
    assert "\n\n--- assembly, kernel 1 of 1\n" in str(stages)
    with pytest.raises(ValueError, match="there is no stage 'loop'"):
        show(cresset.softmax, ROWS, 1, stages=("loop",))


def test_graphs_run_as_they_are_printed():
    x = cresset.rand(5, 7)
    stages = show(cresset.log_softmax, x, 1, stages="graph")
    scope = {name: op.function for name, op in registry.items()}
    exec(stages.graph, scope)
    assert (scope["captured"](x) - x.log_softmax(1)).abs().max().item() < 1e-6


def test_show_takes_updates():
    stages = show(_adam_update(False, "none", False), *[[ROWS]] * 4, target=ARM)
    assert stages.graph is None
    assert stages.loops[0].startswith("update of 4 lists of float32 with 8 numbers\n")
    assert "fsqrt" in stages.assembly[0]


def test_show_takes_tensors_that_are_met_for_inputs():
    """Such as the range of classes inside a loss, and the mask of a dropout."""
    scores, classes = cresset.rand(4, 5), cresset.tensor([0, 1, 2, 3])
    functional = cresset.nn.functional
    assert cresset.show(functional.cross_entropy, scores, classes, stages="loops").loops
    dropped = cresset.show(lambda x: functional.dropout(x, 0.5, True), scores, stages="graph")
    assert dropped.graph.startswith("def captured(v0, v1):")
    count = cresset.arange(5)
    stages = cresset.show(lambda x: (x + count) * count, scores, stages="graph")
    assert stages.graph == (
        "def captured(v0, v1):\n"
        "    v2 = add(v0, v1)\n"
        "    v3 = mul(v2, v1)\n"
        "    return v3"
    )
    written = cresset.show(lambda x: (x + 1).mul_(1.5), scores, stages="graph")
    assert written.graph.endswith("v2 = mul(v1, 1.5)\n    return v2")


def test_show_runs_nothing():
    x = cresset.ones(3)
    before = x._version
    with pytest.raises(NotImplementedError, match="while capturing"):
        show(lambda x: x.add_(1), x)
    with pytest.raises(TypeError, match="must return tensors"):
        show(lambda x: 3, x)
    assert x._version == before


def test_listing_names_the_code():
    """Forms that differ in anything that the code depends on have different listings."""
    float32 = cresset.float32
    leaf = loops.scalar.argument(0, float32)
    store = (type("Store", (), {"operand": 1, "kept": False, "value": leaf + leaf})(),)
    roles = (loops.Role("in", float32, "1", True), loops.Role("out", float32, "1", True))
    form = loops.Form(1, 0, "kept", 8, 1, roles, store, False)
    others = [
        form._replace(width=4),
        form._replace(kept=2),
        form._replace(in_place=True),
        form._replace(roles=(roles[0]._replace(along="s"), roles[1])),
        form._replace(roles=(roles[0]._replace(dtype=cresset.float64), roles[1])),
    ]
    assert len({loops.listing(f) for f in (form, *others)}) == 6
