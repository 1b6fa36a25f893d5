"""The runtime: launches, memory."""

import ctypes
import gc
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cresset.core import dtype
from cresset.core.errors import OutOfMemoryError
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.runtime import build, memory, native
from cresset.runtime.cache import Cache
from cresset.runtime.ir import Module
from cresset.runtime.program import STATUS, Program, Round, Step


def layout(*shape, dtype=dtype.float32):
    return Layout.packed(shape, dtype)


def tensor(values):
    """A tensor with the values of a float32 array."""
    values = np.asarray(values, "float32")
    result = native.new(layout(*values.shape))
    array(result)[...] = values
    return result


def array(x):
    """The memory of a packed float32 tensor."""
    block = (ctypes.c_float * x.layout.numel).from_address(x.ptr)
    return np.ctypeslib.as_array(block).reshape(x.layout.shape)


def kernel(name, body, operands):
    """A kernel that runs `body(function, index, *pointers)` for each unit."""

    def write():
        module = Module()
        f = module.kernel()
        block, begin, end = f.arguments
        pointers = [f.load("ptr", f.offset(block, k, "ptr")) for k in range(operands)]
        with f.loop(begin, end) as index:
            body(f, index, *pointers)
        f.ret()
        return module

    return name, write


def _add(f, index, out, x, y):
    left = f.load("float", f.offset(x, index, "float"))
    f.store(left + f.load("float", f.offset(y, index, "float")), f.offset(out, index, "float"))


def _scale(f, index, out, x, factor):
    factor = f.convert(f.bitcast(f.convert(factor, "i64"), "double"), "float")
    f.store(f.load("float", f.offset(x, index, "float")) * factor, f.offset(out, index, "float"))


def _fault(f, index, out, status):
    for word, number in enumerate((1, -7, 8, 1 << 62)):
        f.store(f.constant("i64", number), f.offset(status, word, "i64"))


ADD = kernel("test add", _add, 3)
SCALE = kernel("test scale", _scale, 3)
FAULT = kernel("test fault", _fault, 2)


def launcher(inputs, outputs, *steps, **options):
    steps = tuple(steps)
    addresses = [build.load(step.key, step.write) for step in steps]
    return native.make_launcher(Program(inputs, outputs, steps, **options), addresses)


def adder(n, **options):
    return launcher("tt", (layout(n),), Step(*ADD, (0, 1, 2), units=n, **options))


# --- launches -------------------------------------------------------------------------------------
def test_launch_makes_a_tensor():
    x, y = tensor(np.arange(12).reshape(3, 4)), tensor(np.ones((3, 4)))
    run = launcher("tt", (layout(3, 4),), Step(*ADD, (0, 1, 2), units=12))
    z = run(x, y)
    assert type(z) is Tensor
    assert z.layout is layout(3, 4)
    assert (z.base, z.history, z.grad) == (None, None, None)
    assert (z.memory.ptr, z.memory.nbytes, z.memory.version) == (z.ptr, 48, 0)
    assert z.ptr % 64 == 0
    assert z.memory.owner.ptr == z.ptr
    assert np.array_equal(array(z), array(x) + 1)
    assert not z.__dict__


def test_launch_with_temporaries_and_several_outputs():
    run = launcher("t", (layout(4),), Step(*ADD, (2, 1, 1), units=4),
                   Step(*ADD, (0, 2, 1), units=4), temporaries=(16,))
    assert array(run(tensor([1, 2, 3, 4]))).tolist() == [3, 6, 9, 12]
    run = launcher("tt", (layout(4), layout(2, 2)), Step(*ADD, (0, 2, 3), units=4),
                   Step(*ADD, (1, 0, 3), units=4))
    first, second = run(tensor([1, 2, 3, 4]), tensor([1, 1, 1, 1]))
    assert array(first).tolist() == [2, 3, 4, 5]
    assert array(second).tolist() == [[3, 4], [5, 6]]


def test_steps_are_repeated_over_moving_operands():
    first = Step(*ADD, (0, 1, 1), units=2, moves=((0, 0), (0, 0), (0, 0)))
    row = ((8, 8), (0, 8), (8, 8))  # out[k + 1] = out[k] + x[k + 1], from out[0] = 2 x[0]
    turn = Step(*ADD, (0, 0, 1), units=1, moves=row, rounds=(Round(2, 3),))
    other = Step(*ADD, (0, 0, 1), units=1, moves=[(begin + 4, step) for begin, step in row])
    last = Step(*ADD, (0, 0, 0), units=1)
    x = tensor([[1, 2], [3, 4], [5, 6], [7, 8]])
    run = launcher("t", (layout(4, 2),), first, turn, other, last)
    assert array(run(x)).tolist() == [[4, 4], [5, 8], [10, 14], [17, 22]]


def _below(f, index, flag, x):
    below = f.load("float", f.offset(x, index, "float")) < 100.0
    f.store(f.convert(below, "i8", signed=False), flag)


BELOW = kernel("test below", _below, 2)


def test_rounds_stand_in_rounds():
    # Two rows of three: every element is added three times to that of the row before, twice over.
    inner = Step(*ADD, (0, 1, 0), units=1, moves=((0, 4, 12), (0, 4, 12), (0, 4, 12)),
                 rounds=(Round(2, 2), Round(1, 3)))
    outer = Step(*ADD, (0, 1, 0), units=3, moves=((0, 12), (0, 12), (0, 12)))
    x = tensor([[1, 2, 3], [4, 5, 6]])
    first = Step(*ADD, (0, 1, 1), units=6)
    run = launcher("t", (layout(2, 3),), first, inner, outer)
    assert array(run(x)).tolist() == [[4, 8, 12], [16, 20, 24]]


@pytest.mark.parametrize("start", [1, 40, 100])
def test_a_round_ends_when_its_flag_says_so(start):
    first = Step(*ADD, (0, 1, 2), units=1)
    asked = Step(*BELOW, (3, 0), units=1, moves=((8, 0), (0, 0)))
    told = Round(3, 1 << 62, flag=(3, 8))
    turn = Step(*ADD, (0, 0, 0), units=1, rounds=(told,))
    # A round that begins with another one, which is not entered.
    never = Step(*ADD, (0, 0, 0), units=1, rounds=(Round(1, 9, flag=(3, 8), wanted=False),))
    run = launcher("tt", (layout(1),), first, asked, turn, never, asked, temporaries=(16,))
    expected = start
    while expected < 100:
        expected *= 2
    assert array(run(tensor([start]), tensor([0]))).tolist() == [expected]


def test_flags_move_with_the_rounds_around_them():
    # Each of three rows is doubled while the flag that belongs to it says so.
    asked = Step(*BELOW, (2, 0), units=1, moves=((4, 1), (0, 8)),
                 rounds=(Round(3, 3),))
    turn = Step(*ADD, (0, 0, 0), units=2, moves=((0, 0, 8),) * 3,
                rounds=(Round(2, 1 << 62, flag=(2, 4, 1)),))
    again = Step(*BELOW, (2, 0), units=1, moves=((4, 0, 1), (0, 0, 8)))
    first = Step(*ADD, (0, 1, 1), units=6)
    run = launcher("t", (layout(3, 2),), first, asked, turn, again, temporaries=(16,))
    rows = array(run(tensor([[1, 1], [60, 2], [20, 3]]))).tolist()
    assert rows == [[128, 128], [120, 4], [160, 24]]


def test_a_fault_ends_all_rounds():
    fault = Step(*FAULT, (0, STATUS), units=1, rounds=(Round(1, 3), Round(1, 2)))
    with pytest.raises(RuntimeError, match="nothing explains it"):
        launcher("", (layout(1),), fault, Step(*ADD, (0, 0, 0)))()


@pytest.mark.parametrize("inner", [Round(2, 2), Round(0, 1)])
def test_rounds_do_not_reach_beyond_those_around_them(inner):
    step = Step(*ADD, (0, 1, 2), rounds=(Round(1, 2), inner))
    with pytest.raises(ValueError, match="step 0 of 2 cannot repeat"):
        launcher("tt", (layout(1),), step, Step(*ADD, (0, 1, 2)))


@pytest.mark.parametrize("repeats", [(2, 1), (0, 1), (1, 0)])
def test_steps_that_are_not_there_are_not_repeated(repeats):
    with pytest.raises(ValueError, match="step 0 of 1 cannot repeat"):
        adder(2, rounds=(Round(*repeats),))


def test_kernels_of_a_program_are_built_together(monkeypatch, tmp_path):
    """And once, whoever else asks for them meanwhile; an error does not stop the others."""
    written = []

    def write(k):
        written.append(k)
        if k == 7:
            raise RuntimeError("kernel 7 cannot be written")
        return ADD[1]()

    steps = [
        Step(f"test kernel {k}", lambda k=k: write(k), (0, 1, 2), units=2) for k in range(9)
    ]
    cache = Cache(tmp_path / "kernels")
    monkeypatch.setattr(build, "disk", lambda: cache)
    monkeypatch.setattr(build, "get_num_threads", lambda: 3)
    with ThreadPoolExecutor(3) as threads:
        first, *others = threads.map(build.load_all, [steps[:6]] * 3)
    with pytest.raises(RuntimeError, match="kernel 7"):
        build.load_all([steps[0], *steps[7:]])
    assert len(set(first)) == 6
    assert others == [first, first]
    assert set(written) == {*range(6), 7, 8}
    assert sorted(k for k in written if k != 7) == [*range(6), 8]
    run = native.make_launcher(Program("tt", (layout(2),), (steps[5],)), first[5:])
    assert array(run(tensor([1, 2]), tensor([3, 4]))).tolist() == [4, 6]


def test_kernels_are_built_while_the_interpreter_exits(tmp_path):
    """When no thread can be started any more."""
    script = ("import atexit, cresset, os\n"
              "os.environ['CRESSET_NUM_THREADS'] = '2'\n"
              "x = cresset.ones(1, 2, 5, 5)\n"
              "def last():\n"
              "    y = cresset.nn.functional.conv2d(x, cresset.ones(3, 2, 3, 3))\n"
              "    print(y.sum().item())\n"
              "atexit.register(last)")
    environment = {**os.environ, "CRESSET_CACHE": str(tmp_path / "kernels")}
    command = [sys.executable, "-c", script]
    assert subprocess.check_output(command, env=environment, text=True) == "486.0\n"


def test_launch_in_place_raises_the_version():
    x, y = tensor([1, 2]), tensor([3, 4])
    run = launcher("wt", (), Step(*ADD, (0, 0, 1), units=2))
    assert run(x, y) is x
    assert run(x, y) is x
    assert array(x).tolist() == [7, 10]
    assert (x.memory.version, y.memory.version) == (2, 0)


def test_launch_reads_numbers():
    run = launcher("td", (layout(2),), Step(*SCALE, (0, 1, 2), units=2))
    assert array(run(tensor([1, 2]), 2.5)).tolist() == [2.5, 5]
    assert array(run(tensor([1, 2]), True)).tolist() == [1, 2]
    assert array(run(tensor([1, 2]), np.float32(3))).tolist() == [3, 6]


@pytest.mark.parametrize("arguments, error, words", [
    ((), TypeError, "got 0 arguments; need 3"),
    ((1, 2, 3), TypeError, "argument 1 is a int; need a tensor"),
    (("x", "one", 3), TypeError, "argument 2 is a str; need a real number"),
    (("x", 1j, 3), TypeError, "argument 2 is a complex"),
    (("x", 1, 3.5), TypeError, "argument 3 is a float; need an integer"),
    (("x", 1, 1 << 63), OverflowError, "argument 3 is 9223372036854775808"),
    (("unset", 1, 1), TypeError, "argument 1 is a tensor without ptr"),
])
def test_launch_refuses_bad_arguments(arguments, error, words):
    run = launcher("tdi", (layout(2),), Step(*SCALE, (0, 1, 2), units=2))
    named = {"x": tensor([1, 2]), "unset": object.__new__(Tensor)}
    arguments = [named.get(a, a) if isinstance(a, str) else a for a in arguments]
    before = memory.memory_stats()["allocation.all.current"]
    with pytest.raises(error, match=words):
        run(*arguments)
    assert memory.memory_stats()["allocation.all.current"] == before


def test_launch_takes_subclasses():
    class Parameter(Tensor):
        pass

    parameter, x = object.__new__(Parameter), tensor([1, 2])
    for name in ("memory", "layout", "ptr", "base", "history", "grad"):
        setattr(parameter, name, getattr(x, name))
    result = adder(2)(parameter, parameter)
    assert type(result) is Tensor
    assert array(result).tolist() == [2, 4]


def test_fault_raises_what_explain_says():
    def explain(*words):
        raise IndexError(f"words {words}")

    step = Step(*FAULT, (0, STATUS))
    run = launcher("w", (layout(1),), step, explain=explain)
    x = tensor([1])
    with pytest.raises(IndexError, match=r"words \(-7, 8, 4611686018427387904, 0\)"):
        run(x)
    assert x.memory.version == 0
    with pytest.raises(IndexError, match=r", 1\)"):
        launcher("w", (layout(1),), Step(*ADD, (0, 0, 0)), step, explain=explain)(x)
    with pytest.raises(RuntimeError, match="nothing explains it"):
        launcher("", (layout(1),), step)()
    with pytest.raises(RuntimeError, match="nothing explains it"):
        launcher("", (layout(1),), step, explain=lambda *words: None)()


def test_launch_leaks_nothing():
    # What other tests have left must not go meanwhile.
    gc.collect()
    x, run = tensor(np.ones(8)), adder(8)
    view = native.make_viewer(layout(4), 8)
    references = [sys.getrefcount(thing) for thing in (x, x.memory, x.layout, x.ptr)]
    live = memory.memory_stats()["allocation.all.current"]
    for _ in range(1000):
        run(x, view(x))
        with pytest.raises(TypeError):
            run(x, 1)
    assert [sys.getrefcount(thing) for thing in (x, x.memory, x.layout, x.ptr)] == references
    assert memory.memory_stats()["allocation.all.current"] == live


def test_launcher_keeps_its_plan_alive():
    run = launcher("t", (Layout.packed((1, 7, 1, 1, 3), dtype.float32),),
                   Step(*ADD, (0, 1, 1), units=21))
    Layout.table.clear()
    gc.collect()
    assert run(tensor(np.ones(21))).layout.shape == (1, 7, 1, 1, 3)


def test_view():
    x = tensor(np.arange(12).reshape(3, 4))
    history = object()
    column = Layout.of((3,), (4,), dtype.float32)
    view = native.make_viewer(column, 4, history)(x)
    assert (view.memory, view.layout, view.ptr) == (x.memory, column, x.ptr + 4)
    assert (view.base, view.history, view.grad) == (x, history, None)
    with pytest.raises(TypeError, match="the argument is a int; need a tensor"):
        native.make_viewer(column)(3)
    with pytest.raises(TypeError, match="without ptr"):
        native.make_viewer(column)(object.__new__(Tensor))


# --- updates of many tensors ----------------------------------------------------------------------
def _write_step():
    """x -= rate * gradient over a table of rows."""
    module = Module()
    f = module.kernel()
    block, begin, end = f.arguments
    table = f.load("ptr", block)
    rate = f.convert(f.load("double", f.load("ptr", f.offset(block, 1, "ptr"))), "float")
    with f.loop(begin, end) as unit:
        row = f.offset(table, unit * 3, "i64")
        x, gradient = (f.load("ptr", f.offset(row, k, "i64")) for k in range(2))
        with f.loop(0, f.load("i64", f.offset(row, 2, "i64"))) as index:
            at = f.offset(x, index, "float")
            change = rate * f.load("float", f.offset(gradient, index, "float"))
            f.store(f.load("float", at) - change, at)
    f.ret()
    return module


@pytest.fixture
def update():
    return native.make_updater(build.load("test step", _write_step), 2, 1, (0,), dtype.float32)


def test_update_of_many_sizes(update):
    sizes = [1, 0, 5, 16384, 16385, 100_000, 7]
    values = [tensor(np.full(n, 3)) for n in sizes]
    gradients = [tensor(np.arange(n)) for n in sizes]
    assert update(values, gradients, 0.5) is None
    for n, x in zip(sizes, values):
        assert np.array_equal(array(x), 3 - 0.5 * np.arange(n, dtype="float32"))
    assert [x.memory.version for x in values + gradients] == [1] * 7 + [0] * 7
    assert update([], [], 1) is None


def test_update_leaves_the_unusual_to_python(update):
    x = tensor([[1, 2], [3, 4]])
    turned = native.make_viewer(Layout.of((2, 2), (1, 2), dtype.float32))(tensor(np.ones((2, 2))))
    assert update([x], [turned], 1.0) is NotImplemented
    sparse = native.make_viewer(Layout.of((2,), (2,), dtype.float32))(x)
    assert update([sparse], [sparse], 1.0) is NotImplemented
    wide = native.new(layout(2, dtype=dtype.float64))
    assert update([x, wide], [x, wide], 1.0) is NotImplemented
    assert array(x).tolist() == [[1, 2], [3, 4]]
    assert x.memory.version == 0


@pytest.mark.parametrize("arguments, words", [
    (([], []), "got 2 arguments; need 2 lists and 1 numbers"),
    (([], (), 1), "argument 2 is a tuple; need a list"),
    (([1], [1], 1), "tensor 0 of list 0 is a int"),
    (([], [1], 1), r"the lists have \[0, 1\] tensors"),
    (([], [], "much"), "argument 3 is a str; need a real number"),
])
def test_update_refuses_bad_arguments(update, arguments, words):
    with pytest.raises(TypeError, match=words):
        update(*arguments)


# --- memory ---------------------------------------------------------------------------------------
def test_freed_blocks_are_reused():
    first = native.new(layout(1000))
    address = first.ptr
    del first
    assert native.new(layout(1000)).ptr == address
    assert native.new(layout(990)).ptr == address


def test_blocks_hold_what_was_asked():
    allocate = native.native().allocate
    for nbytes in [*range(0, 2000, 7), 4095, 4096, 4097, (1 << 22) - 1, (1 << 22) + 1]:
        block = allocate(nbytes)
        assert block.ptr % 64 == 0
        assert nbytes <= block.nbytes <= max(64, nbytes + 64, nbytes * 9 // 8 + 64)
        ctypes.memset(block.ptr, 255, nbytes)


def test_stats_and_empty_cache():
    before = memory.memory_stats()
    x = native.new(layout(1 << 20))
    during = memory.memory_stats()
    grown = during["allocated_bytes.all.current"] - before["allocated_bytes.all.current"]
    assert grown == 4 << 20
    assert during["allocation.all.current"] == before["allocation.all.current"] + 1
    del x
    after = memory.memory_stats()
    assert after["allocated_bytes.all.current"] == before["allocated_bytes.all.current"]
    assert after["reserved_bytes.all.current"] >= after["allocated_bytes.all.current"] + (4 << 20)
    memory.empty_cache()
    empty = memory.memory_stats()
    assert empty["reserved_bytes.all.current"] == empty["allocated_bytes.all.current"]
    memory.reset_peak_memory_stats()
    stats = memory.memory_stats()
    assert stats["allocated_bytes.all.peak"] == stats["allocated_bytes.all.current"]


def test_cached_blocks_are_given_back_before_more_is_taken_than_ever():
    """What is asked for again and again is not, beyond half of all that was taken."""
    memory.empty_cache()
    memory.reset_peak_memory_stats()

    def taken(sizes):
        blocks = [native.new(layout(n << 18)) for n in sizes]
        del blocks
        return memory.memory_stats()

    before = taken([6] * 8)
    after = taken([8] * 5)
    assert after["reserved_bytes.all.peak"] == before["reserved_bytes.all.peak"]
    for _ in range(100):
        taken([6] * 8)
        taken([8] * 5)
    settled = memory.memory_stats()
    assert taken([6] * 8)["num_device_free"] == taken([8] * 5)["num_device_free"]
    grown = settled["reserved_bytes.all.peak"] - before["reserved_bytes.all.peak"]
    assert grown <= 5 * 8 << 20
    given_back = settled["reserved_bytes.all.freed"] - before["reserved_bytes.all.freed"]
    assert given_back <= settled["reserved_bytes.all.allocated"] // 2 + (8 << 20)
    memory.empty_cache()


def test_cache_of_blocks_is_bounded():
    limit = memory.get_cache_limit()
    try:
        memory.set_cache_limit(1 << 20)
        blocks = [native.new(layout(1 << 14)) for _ in range(100)]
        del blocks
        stats = memory.memory_stats()
        cached = stats["reserved_bytes.all.current"] - stats["allocated_bytes.all.current"]
        assert cached <= 1 << 20
        memory.set_cache_limit(0)
        del cached
        x = native.new(layout(1 << 14))
        del x
        stats = memory.memory_stats()
        assert stats["reserved_bytes.all.current"] == stats["allocated_bytes.all.current"]
    finally:
        memory.set_cache_limit(limit)
    with pytest.raises(ValueError, match="got -1"):
        memory.set_cache_limit(-1)


def test_out_of_memory_leaves_everything_usable():
    x = tensor([1, 2, 3])
    for shape in [(1 << 40,), (1 << 60,), (memory.machine_memory() // 4,)]:
        with pytest.raises(OutOfMemoryError, match=r"were asked for, tensors hold .* are cached"):
            native.new(layout(*shape))
    with pytest.raises(OutOfMemoryError):
        native.native().allocate(-1)
    with pytest.raises(OutOfMemoryError):
        launcher("tt", (layout(3), layout(1 << 50)), Step(*ADD, (0, 2, 3), units=3))(x, x)
    assert memory.memory_stats()["num_ooms"] >= 5
    assert array(adder(3)(x, x)).tolist() == [2, 4, 6]
