#!/usr/bin/env python3
"""Time the same programs on several libraries, taking turns in one run, and print the ratios.

The workloads are written once, against PyTorch's API; a library is the name of a module that offers
it. Every measurement runs in a process of its own, so that thread pools and allocators never meet,
and the libraries take turns, round after round, so that a slow spell of the machine hits all alike.

    benchmarks/side_by_side.py --libs torch,cresset --group small
    benchmarks/side_by_side.py --libs torch,cresset --only mlp_train,gpt_train
    benchmarks/side_by_side.py --libs torch,torch:compile --only gpt_train
    benchmarks/side_by_side.py --libs torch,cresset --group models --cold

`LIBRARY:compile` wraps the step with the library's `compile`. The figure of a library is the median
over the rounds of the median seconds a step; `x2.00` says that it needs half the time of the
library named first, `83% of the limit` that the machine could at best take 0.83 of that time, where
the workload says what it moves and computes (limits.py measures the machine, once per run). Beside
it stand the seconds of the first step (what compilation costs), the peak memory of the process, and
the result, where the step returns one.

With `--cold` every library runs once more with empty caches; a row then says how long the first
step took, and how many kernels were compiled until its end in how many milliseconds, where the
library counts them.
"""

import argparse
import importlib
import importlib.util
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

WORKLOADS = pathlib.Path(__file__).resolve().with_name("workloads.py")
LIMITS = WORKLOADS.with_name("limits.py")
FIGURES = ("seconds", "first", "imported", "peak_mib")


def load_workloads(path):
    """The table of workloads in the file at `path`."""
    spec = importlib.util.spec_from_file_location("workloads", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WORKLOADS


def seconds_of(step, times=1):
    """Seconds for one call of `step`, averaged over so many calls."""
    began = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - began) / times


def compiled_by(module):
    """The kernels that this process has compiled, and the milliseconds; None if nobody counts."""
    try:
        build = importlib.import_module(f"{module}.runtime.build")
    except ImportError:
        return None
    counts = build.statistics()
    return counts["compiled"], sum(counts[part] for part in ("write_ms", "assemble_ms", "load_ms"))


def measure(path, name, library, threads, seconds):
    """Run one workload in this process; print its figures as one line of JSON."""
    began = time.perf_counter()
    module, _, mode = library.partition(":")
    torch = importlib.import_module(module)
    torch.set_num_threads(threads)
    imported = time.perf_counter() - began

    torch.manual_seed(0)
    wrap = torch.compile if mode == "compile" else lambda function: function
    step = load_workloads(path)[name].make(torch, wrap)
    began = time.perf_counter()
    result = step()
    first = time.perf_counter() - began
    compiled = compiled_by(module)

    seconds_of(step, times=2)
    inner = max(1, int(0.02 / max(seconds_of(step), 1e-7)))
    samples = []
    deadline = time.perf_counter() + seconds
    while len(samples) < 5 or (len(samples) < 200 and time.perf_counter() < deadline):
        samples.append(seconds_of(step, times=inner))

    figures = {
        "seconds": statistics.median(samples),
        "first": first,
        "compiled": compiled,
        "imported": imported,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "result": result if isinstance(result, float) else None,
    }
    print(json.dumps(figures))


def measure_apart(options, name, library, environment=None):
    """Measure in a fresh process; returns the figures, or `{"failed": reason}`."""
    command = [sys.executable, __file__, "--measure", name, library]
    command += ["--workloads", options.workloads]
    command += ["--threads", str(options.threads), "--seconds", str(options.seconds)]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=options.timeout, env=environment
        )
        return json.loads(run.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"failed": f"over {options.timeout:.0f} s"}
    except (IndexError, ValueError):
        complaint = run.stderr.strip().splitlines() or ["no output"]
        return {"failed": complaint[-1][:120]}


def measure_cold(options, name, library):
    """Measure in a fresh process whose caches are empty."""
    with tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, "XDG_CACHE_HOME": empty, "TORCHINDUCTOR_CACHE_DIR": empty}
        environment.pop("CRESSET_CACHE", None)
        return measure_apart(options, name, library, environment)


def limits_of(options, workloads):
    """What the machine can do, as limits.py measures it; None where no workload asks for it."""
    if not any(workload.bytes or workload.flops for workload in workloads):
        return None
    command = [sys.executable, str(LIMITS), "--json", "--threads", str(options.threads)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        print(f"the machine was not measured: {run.stderr.strip().splitlines()[-1]}")
        return None
    limits = json.loads(run.stdout)
    print(limits["summary"], flush=True)
    return limits


def share_of(limits, workload, seconds):
    """Which part of its time a step would take if the machine did nothing but what it must."""
    moving = workload.bytes / (limits["bandwidth"] * 1e9)
    computing = workload.flops / (limits["gflops"] * 1e9)
    return max(moving, computing) / seconds


def compare(options, name, libraries):
    """Measure one workload on all libraries in turns; returns the medians of each library."""
    rounds = {library: [] for library in libraries}
    failures = {}
    for _ in range(options.rounds):
        for library in libraries:
            if library in failures:
                continue
            figures = measure_apart(options, name, library)
            if "failed" in figures:
                failures[library] = figures
            else:
                rounds[library].append(figures)
    row = {
        library: summarize(rounds[library]) if rounds[library] else failures[library]
        for library in libraries
    }
    if options.cold:
        for library in rounds:
            row[library]["cold"] = measure_cold(options, name, library)
    return row


def summarize(rounds):
    """The median of every figure; the result is the first round's."""
    medians = {key: statistics.median(figures[key] for figures in rounds) for key in FIGURES}
    return {**medians, "result": rounds[0]["result"]}


def speed_ups(row):
    """Library -> how many times as fast as the first one; empty where the first one failed."""
    base = next(iter(row.values())).get("seconds")
    if base is None:
        return {}
    return {name: base / own["seconds"] for name, own in row.items() if "seconds" in own}


def cell(library, figures, ratio):
    """What a row says of one library."""
    if "failed" in figures:
        return f"{library}: FAILED {figures['failed']}"
    words = [library, f"{figures['seconds'] * 1e6:.1f} us"]
    if ratio is not None:
        words.append(f"x{ratio:.2f}")
    if "limit" in figures:
        words.append(f"{figures['limit']:.0%} of the limit")
    words.append(f"first {figures['first']:.2f} s {figures['peak_mib']:.0f} MiB")
    if figures["result"] is not None:
        words.append(f"result {figures['result']:.6g}")
    cold = figures.get("cold", {})
    if "first" in cold:
        words.append(f"cold {cold['first']:.2f} s")
        if cold["compiled"]:
            words.append("{} kernels in {:.0f} ms".format(*cold["compiled"]))
    return " ".join(words)


def print_row(name, row):
    """One line: the workload, and what every library made of it."""
    ratios = speed_ups(row)
    cells = [cell(library, figures, ratios.get(library)) for library, figures in row.items()]
    print(f"{name:28} {' | '.join(cells)}", flush=True)


def print_means(table, libraries):
    """For every library but the first: the geometric mean of its ratios, and the least of them."""
    for library in libraries[1:]:
        ratios = [ratio for row in table.values() if (ratio := speed_ups(row).get(library))]
        if ratios:
            mean = statistics.geometric_mean(ratios)
            print(
                f"geometric mean {library}: x{mean:.2f} over {len(ratios)} of {len(table)}; "
                f"least x{min(ratios):.2f}"
            )


def read_options():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--libs", default="torch", help="modules to compare, the base first")
    parser.add_argument("--workloads", default=str(WORKLOADS), help="a file with WORKLOADS")
    parser.add_argument("--group", default="", help="only the workloads of this group")
    parser.add_argument("--only", default="", help="only the workloads of these names")
    parser.add_argument("--rounds", type=int, default=3, help="processes a library and workload")
    parser.add_argument("--seconds", type=float, default=1.0, help="timed seconds a process")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--cold", action="store_true", help="run once more with empty caches")
    parser.add_argument("--timeout", type=float, default=300, help="seconds before giving up")
    parser.add_argument("--json", default="", help="a file that receives all figures")
    parser.add_argument("--measure", nargs=2, metavar=("NAME", "LIBRARY"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    """Compare the chosen workloads, print a row for each and the means at the end."""
    options = read_options()
    if options.measure:
        measure(options.workloads, *options.measure, options.threads, options.seconds)
        return
    libraries = options.libs.split(",")
    only = options.only.split(",") if options.only else []
    table = {}
    chosen = {
        name: workload for name, workload in load_workloads(options.workloads).items()
        if options.group in ("", workload.group) and (not only or name in only)
    }
    limits = limits_of(options, chosen.values())
    for name, workload in chosen.items():
        table[name] = row = compare(options, name, libraries)
        if limits and (workload.bytes or workload.flops):
            for figures in row.values():
                if "seconds" in figures:
                    figures["limit"] = share_of(limits, workload, figures["seconds"])
        print_row(name, row)
    print_means(table, libraries)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
