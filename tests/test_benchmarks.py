"""The benchmarks run, and say what their columns promise. What they measure is no matter here."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cresset

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(script, *arguments):
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def benchmark(monkeypatch):
    """Import a module of the benchmarks."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def test_large_workloads_state_what_they_cost(benchmark):
    """At least as much as their operands, so that no row is held against a limit of nothing."""
    workloads = benchmark("workloads").WORKLOADS
    for name, workload in workloads.items():
        if workload.group in ("big", "matmul", "conv"):
            assert max(workload.bytes, workload.flops) >= 1 << 16, name
    assert workloads["matmul_512x512x512"].flops == 2 * 512**3
    assert workloads["big_add"].bytes == 3 * 4 << 20
    convolution = workloads["conv_1x3x224_64k7s2g1"]
    assert convolution.flops == 2 * (64 * 112 * 112) * (3 * 7 * 7)


def test_limits_are_measured(benchmark, monkeypatch):
    limits = benchmark("limits")
    monkeypatch.setattr(limits, "SIZES", {"cache": 1 << 20, "memory": 1 << 21})
    monkeypatch.setattr(limits, "best", lambda call: (call(), 0.5)[1])
    threads = cresset.get_num_threads()
    found = limits.measure(1)
    cresset.set_num_threads(threads)
    lanes = limits.host().vector_bytes // 4
    assert found.gflops == pytest.approx(2 * lanes * 12 * 200_000 * 4 / 0.5 / 1e9)
    moved = [2 << 20, 3 << 20, 4 << 20, 6 << 20]
    assert found[1:] == pytest.approx([bytes / 0.5 / 1e9 for bytes in moved])
    assert "arrays of 1 MiB: copy 0.0 GB/s" in found.summary(1)


def test_a_triad_adds_twice_the_second(benchmark):
    limits = benchmark("limits")
    count = 2 * limits.PIECE
    x, y = cresset.rand(count), cresset.rand(count)
    for past_caches in (False, True):
        run = limits.launcher(
            f"stream.2.{past_caches}", lambda past=past_caches: limits.write_stream(2, past), "tt",
            x.layout, 2,
        )
        assert cresset.equal(run(x, y), x + 2 * y)


def test_a_row_has_its_columns(tmp_path, benchmark):
    figures = tmp_path / "figures.json"
    printed = run(
        "side_by_side.py", "--libs", "cresset", "--only", "mlp_train", "--rounds", "1",
        "--seconds", "0.01", "--threads", "1", "--cold", "--json", str(figures),
    )
    assert re.search(r"result 2.3\d* cold [\d.]+ s \d+ kernels in \d+ ms\n", printed)
    kept = json.loads(figures.read_text())["mlp_train"]["cresset"]
    assert kept["cold"]["compiled"][0] > 10
    limits = {"gflops": 2.0, "bandwidth": 4.0}
    side_by_side, workload = benchmark("side_by_side"), benchmark("workloads").Workload
    assert side_by_side.share_of(limits, workload("", None, 4e9, 1e9), 2.0) == 0.5
    assert side_by_side.share_of(limits, workload("", None, 1e9, 4e9), 2.0) == 1.0
    assert "50% of the limit" in side_by_side.cell("cresset", kept | {"limit": 0.5}, 1.0)
