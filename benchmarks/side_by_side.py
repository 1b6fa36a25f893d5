#!/usr/bin/env python3
"""Time the same programs on several libraries, taking turns in one run, and print the ratios.

The workloads are written once, against PyTorch's API; a library is the name of a module that offers
it. Every measurement runs in a process of its own (measure.py), so that thread pools and allocators
never meet, and the libraries take turns, round after round, so that a slow spell of the machine
hits all alike.

    benchmarks/side_by_side.py --libs torch,cresset --group small
    benchmarks/side_by_side.py --libs torch,cresset --only mlp_train,gpt_train
    benchmarks/side_by_side.py --libs torch,torch:compile --only gpt_train
    benchmarks/side_by_side.py --libs torch,cresset --group models --cold --warm
    benchmarks/side_by_side.py --libs torch,cresset --group conv --markdown
    benchmarks/side_by_side.py --libs torch,jax,cresset:compile --python jax=../jax/bin/python

`LIBRARY:compile` wraps the step with the library's `compile`. JAX has programs of its own, for some
workloads (jax_steps.py); a library that has none leaves its cell empty. `--python` names the Python
that a library is installed for, where that is not the one that runs this.

The figure of a library is the median over the rounds of the median seconds a step; `x2.00` says
that it needs half the time of the library named first, `83% of the limit` that the machine could at
best take 0.83 of that time, where the workload says what it moves and computes (limits.py measures
the machine, once per run). Beside it stand the seconds of the first step (what compilation costs),
the peak memory of the process, and the result, where the step returns one.

With `--cold` every library runs once more with empty caches; a row then says how much longer than
three other steps the first three took, and how many kernels were compiled until their end in how
many milliseconds, where the library counts them. With `--warm` it runs again, with what it then has
on disk; the row says how long it took from the start of the process to the end of the second step.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from measure import BEGINNING, load
from report import STARTS, module_of, print_heading, print_markdown, print_means, print_row

WORKLOADS = pathlib.Path(__file__).resolve().with_name("workloads.py")
LIMITS = WORKLOADS.with_name("limits.py")
MEASURE = WORKLOADS.with_name("measure.py")
FIGURES = ("seconds", "first", "peak_mib")
STARTED = 3  # processes whose warm start is timed


def measure_apart(options, name, library, seconds, caches=None):
    """Measure in a fresh process; returns the figures, or `{"failed": reason}`.

    `caches` is the folder in which the libraries keep what they compile, if not the usual ones.
    """
    python = options.pythons.get(module_of(library), sys.executable)
    command = [python, str(MEASURE), options.workloads, name, library, str(options.threads)]
    try:
        run = subprocess.run(
            [*command, str(seconds), str(time.time())], env=environment(caches),
            capture_output=True, text=True, timeout=options.timeout,
        )
        figures = json.loads(run.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"failed": f"over {options.timeout:.0f} s"}
    except (IndexError, ValueError):
        complaint = run.stderr.strip().splitlines() or ["no output"]
        return {"failed": complaint[-1][:120]}
    if samples := figures.pop("samples", None):
        figures["seconds"] = statistics.median(samples)
    return figures


def environment(caches):
    """The environment of a measurement. Byte code is kept on disk, as it is unless one forbids."""
    found = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    if caches is not None:
        found.pop("CRESSET_CACHE", None)
        found |= {"XDG_CACHE_HOME": caches, "TORCHINDUCTOR_CACHE_DIR": f"{caches}/torch"}
        found |= {
            "JAX_COMPILATION_CACHE_DIR": f"{caches}/jax",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    return found


def measure_starts(options, name, library, seconds):
    """Measure in a process with empty caches, and in others that find what it left in them.

    Returns the figures of the first as `cold`, those of the median of the others as `warm`. What
    the steps themselves take, `seconds` each, is no part of the cold ones.
    """
    with tempfile.TemporaryDirectory() as caches:
        cold = measure_apart(options, name, library, 0, caches)
        if "failed" in cold:
            return {}
        cold["cold"] = max(0, cold["cold"] - BEGINNING * seconds)
        found = {"cold": cold}
        if options.warm:
            starts = [measure_apart(options, name, library, 0, caches) for _ in range(STARTED)]
            starts.sort(key=lambda start: start.get("warm", float("inf")))
            found["warm"] = starts[len(starts) // 2]
    return found


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
            figures = measure_apart(options, name, library, options.seconds)
            if "seconds" not in figures:
                failures[library] = figures
            else:
                rounds[library].append(figures)
    row = {
        library: summarize(rounds[library]) if rounds[library] else failures[library]
        for library in libraries
    }
    if options.cold or options.warm:
        for library in libraries:
            if library in failures:
                continue
            row[library] |= measure_starts(options, name, library, row[library]["seconds"])
    return row


def summarize(rounds):
    """The median of every figure; the result is the first round's."""
    medians = {key: statistics.median(figures[key] for figures in rounds) for key in FIGURES}
    return {**medians, "result": rounds[0]["result"]}


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
    parser.add_argument("--warm", action="store_true", help="and again, with what they then hold")
    parser.add_argument("--markdown", action="store_true", help="print a table in Markdown")
    parser.add_argument("--python", action="append", default=[], metavar="LIBRARY=PATH",
                        help="the Python that has a library, where it is another")
    parser.add_argument("--timeout", type=float, default=300, help="seconds before giving up")
    parser.add_argument("--json", default="", help="a file that receives all figures")
    return parser.parse_args()


def main():
    """Compare the chosen workloads, print a row for each and the means at the end."""
    options = read_options()
    options.pythons = dict(given.split("=", 1) for given in options.python)
    libraries = options.libs.split(",")
    only = options.only.split(",") if options.only else []
    table = {}
    chosen = {
        name: workload for name, workload in load(options.workloads).WORKLOADS.items()
        if options.group in ("", workload.group) and (not only or name in only)
    }
    workloads = chosen.values()
    kinds = [kind for kind in STARTS if getattr(options, kind)]
    limits = limits_of(options, workloads)
    if options.markdown:
        print_heading(libraries, workloads, kinds)
    for name, workload in chosen.items():
        table[name] = row = compare(options, name, libraries)
        if limits and (workload.bytes or workload.flops):
            for figures in row.values():
                if "seconds" in figures:
                    figures["limit"] = share_of(limits, workload, figures["seconds"])
        if options.markdown:
            print_markdown(name, row, workloads, kinds)
        else:
            print_row(name, row)
    print_means(table, libraries)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
