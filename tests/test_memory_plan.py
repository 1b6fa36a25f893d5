"""What training steps take in memory when recorded and played: what is planned, and no more than in
immediate mode.
"""

import gc
import sys
from pathlib import Path

import pytest
from compiling import plays

import cresset
from cresset.compiler.inspection.memory_plan import peak_of
from cresset.runtime.memory import empty_cache, memory_stats, reset_peak_memory_stats

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

from workloads import gpt, lenet, mlp, training


def wide(torch):
    """A model with far more parameters than elements at work."""
    nn = torch.nn
    return nn.Sequential(nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 10))


def step_of(name, wrap):
    """A step of training."""
    cresset.manual_seed(0)
    if name == "gpt":
        model = gpt(cresset, width=64, heads=2, depth=2, context=64)
        x, y = cresset.randint(0, 65, (4, 64)), cresset.randint(0, 65, (4 * 64,))
        return training(cresset, wrap, cresset.optim.AdamW(model.parameters()),
                        lambda: model(x).reshape(-1, 65), y)
    models = {"mlp": (mlp, (32, 64)), "lenet": (lenet, (8, 1, 28, 28)), "wide": (wide, (4, 300))}
    make, shape = models[name]
    model, x, y = make(cresset), cresset.randn(shape), cresset.randint(0, 10, shape[:1])
    optimizer = cresset.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return training(cresset, wrap, optimizer, lambda: model(x), y)


def measured(name, wrap):
    """What a step has allocated before it, at most in it, and after it, once steps are alike."""
    gc.collect()
    start = memory_stats()["allocated_bytes.all.current"]
    step = step_of(name, wrap)
    for _ in range(4):
        step()
    gc.collect()
    reset_peak_memory_stats()
    before = memory_stats()["allocated_bytes.all.current"]
    step()
    stats = memory_stats()
    found = before, stats["allocated_bytes.all.peak"], stats["allocated_bytes.all.current"]
    return [nbytes - start for nbytes in found]


def begun(name, wrap):
    """The most that the first two steps have allocated, of which the second is recorded, and that
    the first four have had from the system.
    """
    gc.collect()
    empty_cache()
    start = memory_stats()["allocated_bytes.all.current"]
    reset_peak_memory_stats()
    step = step_of(name, wrap)
    step(), step()
    allocated = memory_stats()["allocated_bytes.all.peak"]
    step(), step()
    return allocated - start, memory_stats()["reserved_bytes.all.peak"] - start


@pytest.mark.parametrize("name", ["mlp", "lenet", "gpt", "wide"])
def test_first_steps(name):
    """Being recorded keeps nothing alive, and plays begin without what immediate mode has cached.
    """
    immediate = begun(name, lambda function: function)
    compiled = begun(name, cresset.compile)
    # Up to the numbers that operations keep.
    assert all(one <= other + 4096 for one, other in zip(compiled, immediate))


@pytest.mark.parametrize("name", ["mlp", "lenet", "gpt", "wide"])
def test_training_steps(name):
    """The plan says what is measured; nothing is kept beyond what immediate mode keeps."""
    kept = []

    def wrap(function):
        kept.append(cresset.compile(function))
        return kept[0]

    immediate = measured(name, lambda function: function)
    before, peak, after = measured(name, wrap)
    assert plays(kept[0]) == 3
    # Up to the numbers that operations keep.
    assert abs(before - immediate[0]) <= 1024 and abs(after - immediate[2]) <= 1024
    planned = peak_of(kept[0]._variants[0].replay)
    assert abs(planned - (peak - before)) <= 0.05 * (peak - before)
    assert f"1. takes {planned:,} bytes at its peak, after " in kept[0].memory_plan()
    assert peak - before <= immediate[1] - immediate[0]
