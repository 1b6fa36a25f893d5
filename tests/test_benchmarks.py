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
        "--seconds", "0.01", "--threads", "1", "--cold", "--warm", "--json", str(figures),
    )
    row = r"result 2.3\d* cold [\d.]+ s \d+ kernels in \d+ ms warm [\d.]+ s\n"
    assert re.search(row, printed)
    kept = json.loads(figures.read_text())["mlp_train"]["cresset"]
    assert kept["cold"]["compiled"][0] > 10
    assert kept["warm"]["compiled"][0] == 0
    assert kept["warm"]["warm"] > kept["warm"]["first"]
    limits = {"gflops": 2.0, "bandwidth": 4.0}
    side_by_side, workload = benchmark("side_by_side"), benchmark("workloads").Workload
    assert side_by_side.share_of(limits, workload("", None, 4e9, 1e9), 2.0) == 0.5
    assert side_by_side.share_of(limits, workload("", None, 1e9, 4e9), 2.0) == 1.0
    assert "50% of the limit" in benchmark("report").cell("cresset", kept | {"limit": 0.5}, 1.0)


def test_rows_are_printed_as_markdown(benchmark, capsys):
    report, workload = benchmark("report"), benchmark("workloads").Workload
    workloads = [workload("models", None)]
    row = {
        "torch": {"seconds": 3e-4, "peak_mib": 300, "cold": {"cold": 0.5}},
        "jax": {},
        "torch:compile": {"seconds": 2e-4, "peak_mib": 310, "cold": {"cold": 30.0}},
        "cresset:compile": {"seconds": 5e-5, "peak_mib": 46, "cold": {"cold": 0.75}},
    }
    report.print_heading(list(row), workloads, ["cold"])
    report.print_markdown("mlp", row, workloads, ["cold"])
    report.print_means({"mlp": row}, list(row))
    heading, line, cells, *means = capsys.readouterr().out.splitlines()
    assert heading.startswith("| workload | PyTorch, us | JAX, us | times as fast |")
    assert heading.count("|") == line.count("|") == cells.count("|")
    assert cells == (
        "| mlp | 300 | - | - | 200 | 1.50 | 50.0 | 6.00 | 4.00 | 300, -, 310, 46 "
        "| 0.50, -, 30.00, 0.75 |"
    )
    assert means[-1] == (
        "cold cresset:compile: at most 0.75 s (mlp); torch takes x0.7 or more; torch:compile takes "
        "x40.0 or more"
    )
    assert "beside the best other library: x4.00 over 1 of 1; least x4.00 (mlp)" in means[-2]
