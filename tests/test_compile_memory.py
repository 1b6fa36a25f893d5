"""What a played training step takes at its peak, and what it computes twice for that."""

import gc

import pytest
from compiling import plays, same, training_step
from test_compile_random import compare

import cresset
from cresset import nn
from cresset.compiler.programs import recompute
from cresset.runtime.memory import memory_stats, reset_peak_memory_stats


class Residual(nn.Module):
    """A layer with a normalization before it, beside what it is given."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.layer = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, x):
        return x + self.layer(self.norm(x)).relu()


def images():
    layers = []
    for channels in (3, 8, 8, 8):
        layers += [nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return model, cresset.randn(16, 3, 24, 24)


def rows():
    return nn.Sequential(*(Residual(64) for _ in range(6))), cresset.randn(1024, 64)


def peak_of(run, *args):
    """The bytes that a call has allocated at its peak beyond those before."""
    gc.collect()
    before = memory_stats()["allocated_bytes.all.current"]
    reset_peak_memory_stats()
    run(*args)
    return memory_stats()["allocated_bytes.all.peak"] - before


@pytest.mark.parametrize("make, share", [(images, 0.8), (rows, 0.9)])
def test_a_step_takes_less_memory_than_in_immediate_mode(make, share):
    peaks, losses, weights = [], [], []
    for wrap in (lambda step: step, cresset.compile):
        cresset.manual_seed(0)
        model, x = make()
        y = cresset.randint(0, 8, (len(x),))
        step = wrap(training_step(model, cresset.optim.SGD(model.parameters(), lr=0.1)))
        losses.append([step(x, y).item() for _ in range(5)])
        peaks.append(peak_of(step, x, y))
        weights.append([p.detach() for p in model.parameters()])
    assert losses[0] == losses[1] and same(*weights)
    assert peaks[1] <= share * peaks[0]
    assert plays(step) == 4
    part = step._variants[0].replay.segments[0]
    again = [entry.name for launch in part.launches if launch.again for entry in launch.entries]
    assert again
    assert not any("conv" in name or "linear" in name for name in again)


def test_what_is_computed_twice_is_verified():
    model, x = rows()
    step = cresset.compile(
        training_step(model, cresset.optim.SGD(model.parameters(), lr=0.1)), verify=True
    )
    y = cresset.randint(0, 8, (len(x),))
    for _ in range(4):
        step(x, y)
    part = step._variants[0].replay.segments[0]
    assert any(launch.again for launch in part.launches)
    assert sum(row.launches for _, rows in step.profile(x, y).parts for row in rows)


def test_what_is_overwritten_is_not_computed_again():
    scale = cresset.full((512, 1024), 2.0)

    def function(x):
        y = (x + scale) * 3
        total = y.cumsum(0).sum()
        scale.add_(1)
        other = x.cumsum(0).cumsum(1)
        return total + other.sum() + y.cumsum(1).sum()

    compiled = cresset.compile(function)
    found = []
    for run in (function, compiled):
        scale.fill_(2.0)
        found.append([run(cresset.full((512, 1024), k + 1.0)).item() for k in range(4)])
    assert found[0] == found[1]
    assert plays(compiled) == 2


@pytest.mark.parametrize("start", [700100, 704000])
def test_random_programs_that_compute_all_they_can_again(start, monkeypatch):
    """Seed 704001 once had a fold made again that reads what it adds up from elsewhere."""
    for name, value in (("FROM", 1), ("WORTH", -1), ("SHARE", 10), ("LEAST", 0)):
        monkeypatch.setattr(recompute, name, value)
    assert sum(map(compare, range(start, start + 2)))
