"""`compile`: what cannot be played, and why; faults; ways to turn it off."""

import threading
from types import SimpleNamespace

import pytest
from compiling import plays

import cresset
from cresset import nn


# --- what cannot be played ------------------------------------------------------------------------
def refused(function, reason, *arguments, calls=5):
    """Assert that a function runs in immediate mode, and that the reason is told."""
    compiled = cresset.compile(function)
    results = [compiled(*arguments) for _ in range(calls)]
    assert reason in compiled.explain(), compiled.explain()
    assert not plays(compiled)
    return results


def test_elements_decide_after_a_step():
    w = cresset.ones(1, requires_grad=True)
    optimizer = cresset.optim.SGD([w], lr=0.1)

    def steps(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()
        return x * 2 if w.sum() > 0 else x - 1

    refused(steps, "looks at an element after something was done", cresset.ones(1))
    assert abs(w.item() - (1 - 0.1 * 5)) < 1e-6


def test_elements_that_never_decide_the_same():
    compiled = cresset.compile(lambda x: x * 2 if x.sum().item() > 1 else x)
    for k in range(60):
        x = cresset.full((1,), k / 20)
        assert compiled(x).item() == (x * 2 if k > 20 else x).item()
    assert "otherwise at every call" in compiled.explain()


def test_python_objects_that_are_changed():
    state = SimpleNamespace(count=0)
    seen = []

    def counts(x):
        state.count += 1
        return x * state.count

    def collects(x):
        seen.append(x + 1)
        return x

    assert [r.item() for r in refused(counts, "attribute", cresset.ones(1))] == [1, 2, 3, 4, 5]
    refused(collects, "append", cresset.ones(1))
    assert len(seen) == 5


def test_generators_and_clocks():
    numbers = iter(range(100))
    results = refused(lambda x: x + next(numbers), "next()", cresset.zeros(1))
    assert [r.item() for r in results] == [0, 1, 2, 3, 4]
    import random

    results = refused(lambda x: x + random.random(), "random", cresset.zeros(1))
    assert len({r.item() for r in results}) == 5


def test_generators_of_random_numbers():
    def seeds(x):
        cresset.manual_seed(3)
        return x + cresset.rand(1)

    def makes(x):
        return x + cresset.rand(1, generator=cresset.Generator().manual_seed(5))

    for function in (seeds, makes):
        assert len({r.item() for r in refused(function, "generator", cresset.zeros(1))}) == 1

    own = cresset.Generator().manual_seed(1)
    compiled = cresset.compile(lambda x: x + cresset.rand(1, generator=own))
    results = [compiled(cresset.zeros(1)).item() for _ in range(5)]
    own.manual_seed(1)
    assert results == [cresset.rand(1, generator=own).item() for _ in range(5)]
    assert plays(compiled)


def test_numpy_is_not_played():
    pytest.importorskip("numpy")
    results = refused(lambda x: cresset.linalg.eigvalsh(x), "NumPy", cresset.eye(3))
    assert results[-1].tolist() == [1, 1, 1]


def test_fullgraph_raises():
    compiled = cresset.compile(lambda x: cresset.linalg.eigvalsh(x), fullgraph=True)
    compiled(cresset.eye(2))
    with pytest.raises(RuntimeError, match="NumPy"):
        compiled(cresset.eye(2))


# --- faults and modes -----------------------------------------------------------------------------
def test_faults_are_those_of_the_function():
    table = cresset.arange(4.0)
    compiled = cresset.compile(lambda i: table.index_select(0, i) * 2)
    for _ in range(3):
        assert compiled(cresset.tensor([1, 3])).tolist() == [2, 6]
    assert plays(compiled)
    with pytest.raises(IndexError, match="index 9"):
        compiled(cresset.tensor([1, 9]))
    assert compiled(cresset.tensor([1, 2])).tolist() == [2, 4]

    loss = cresset.compile(nn.functional.cross_entropy)
    scores = cresset.zeros(2, 3)
    for _ in range(3):
        loss(scores, cresset.tensor([0, 2]))
    assert plays(loss)
    with pytest.raises(IndexError, match="Target 7 is out of bounds"):
        loss(scores, cresset.tensor([0, 7]))


def test_errors_of_python_pass_through():
    def function(x):
        raise KeyError("own")

    compiled = cresset.compile(function)
    for _ in range(4):
        with pytest.raises(KeyError, match="own"):
            compiled(cresset.ones(1))
    assert cresset.ones(1).add(1).item() == 2


def test_compiled_functions_call_each_other():
    inner = cresset.compile(lambda x: x + 1)
    outer = cresset.compile(lambda x: inner(x) * 2)
    for k in range(5):
        assert outer(cresset.full((1,), float(k))).item() == 2 * (k + 1)
    assert plays(outer)


def test_other_threads_are_not_recorded():
    done, go = threading.Event(), threading.Event()

    def other():
        go.wait()
        for _ in range(50):
            cresset.ones(3) + 1
        done.set()

    def function(x):
        go.set()
        done.wait()
        return x + 1

    thread = threading.Thread(target=other)
    thread.start()
    compiled = cresset.compile(function)
    for k in range(4):
        assert compiled(cresset.full((1,), float(k))).item() == k + 1
    thread.join()
    assert plays(compiled)


def test_turned_off(monkeypatch):
    def function(x):
        return x

    assert cresset.compile(function, disable=True) is function
    monkeypatch.setenv("CRESSET_COMPILE", "0")
    assert cresset.compile(function) is function
    with pytest.raises(TypeError, match="something that can be called"):
        cresset.compile(3)


def test_compiling_looks_like_the_function():
    def function(x):
        """What it does."""
        return x

    compiled = cresset.compile(function)
    assert compiled.__name__ == "function"
    assert compiled.__doc__ == "What it does."
    assert "function" in repr(compiled)
    assert cresset.compile(fullgraph=True)(function).fullgraph


def test_functions_that_are_not_to_be_compiled():
    seen = []

    @cresset.compiler.disable(reason="it counts")
    def counts(x):
        seen.append(cresset.compiler.is_compiling())
        return x + len(seen)

    results = refused(lambda x: counts(x) * 2, "not to be compiled: it counts", cresset.ones(1))
    assert [r.item() for r in results] == [4, 6, 8, 10, 12]
    assert seen == [True, True, False, False, False]
    assert cresset.compiler.disable(counts)(cresset.ones(1)).item() == 7
