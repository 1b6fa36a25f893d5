"""Work done ahead by other threads: kernels of a plan, and plans of the gradients to come."""

import os
import subprocess
import sys
import threading
import time

import pytest

import cresset
from cresset.runtime import ahead

START = """
import cresset as torch, time
from cresset.runtime import ahead, build
torch.manual_seed(0)

def compiled_once_idle():
    while ahead._ahead.threads:
        time.sleep(0.005)
    return build.statistics()["compiled"]
"""


@pytest.fixture
def two_threads():
    before = cresset.get_num_threads()
    cresset.set_num_threads(2)
    yield
    ahead.settle()
    cresset.set_num_threads(before)


def run(script, cache, threads=2):
    environment = {
        **os.environ, "CRESSET_CACHE": str(cache), "CRESSET_NUM_THREADS": str(threads)
    }
    command = [sys.executable, "-c", START + script]
    return subprocess.check_output(command, env=environment, text=True).split()


def test_tasks_are_done_by_another_thread(two_threads):
    """The latest first; one that fails is dropped."""
    begun, go_on, done = threading.Event(), threading.Event(), []

    def first():
        begun.set()
        go_on.wait()
        raise ValueError("nobody asked for this yet")

    ahead.ahead(first)
    begun.wait()
    for k in range(3):
        ahead.ahead(lambda k=k: done.append((k, threading.current_thread())))
    go_on.set()
    while len(done) < 3:
        time.sleep(0.001)
    assert [k for k, _ in done] == [2, 1, 0]
    assert {thread for _, thread in done} != {threading.current_thread()}


def test_settled_is_what_neither_waits_nor_runs(two_threads):
    begun, done = threading.Event(), []

    def first():
        begun.set()
        time.sleep(0.05)
        done.append("first")

    ahead.ahead(first)
    begun.wait()
    ahead.ahead(lambda: done.append("second"))
    ahead.settle()
    assert done == ["first"]


def test_one_thread_does_nothing_ahead():
    before = cresset.get_num_threads()
    cresset.set_num_threads(1)
    try:
        done = []
        ahead.ahead(lambda: done.append("never"))
        ahead.settle()
        assert done == []
    finally:
        cresset.set_num_threads(before)


def test_fork_waits_for_the_task_under_way(two_threads):
    begun, done = threading.Event(), []

    def first():
        begun.set()
        time.sleep(0.05)
        done.append("first")

    ahead.ahead(first)
    begun.wait()
    child = os.fork()
    if child == 0:
        # Nothing waits here, and no thread is counted that is not there.
        os._exit(0 if done == ["first"] and not ahead._ahead.threads else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_backward_finds_its_kernels(tmp_path):
    """They were compiled while nobody had asked for them."""
    script = """
x = torch.randn(4, 3, 12, 12)
conv, norm = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8)
linear = torch.nn.Linear(12, 5)
g = torch.randn(4, 8, 12, 5)
y = torch.nn.functional.gelu(linear(norm(conv(x)))).softmax(-1)
forward = compiled_once_idle()
y.backward(g)
print(forward, compiled_once_idle() - forward)
print(*[float(p.grad.double().sum()) for m in (conv, norm, linear) for p in m.parameters()])
"""
    forward, backward, *sums = run(script, tmp_path / "two")
    forward_alone, backward_alone, *expected = run(script, tmp_path / "one", threads=1)
    assert int(forward) > int(forward_alone)
    assert int(backward) < int(backward_alone) / 4
    assert sums == expected


def test_gradients_that_users_state_are_computed_once(tmp_path):
    script = """
from cresset.ops.kinds.composite import composite
calls = []

@composite
def doubled(x: "Tensor"):
    return x + x

@doubled.gradient
def _(g):
    calls.append(g.shape)
    return g + g

y = doubled(torch.ones(3, requires_grad=True))
compiled_once_idle()
print(len(calls))
y.sum().backward()
print(len(calls))
"""
    assert run(script, tmp_path) == ["0", "1"]
