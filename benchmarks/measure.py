"""Run one workload on one library in this process, and print its figures as a line of JSON.

    benchmarks/measure.py WORKLOADS NAME LIBRARY THREADS SECONDS BEGAN

`BEGAN` is the clock when the process was started, so that `warm` (until the end of the second
step) has in it what every start has: the interpreter, the imports, the model. For the same reason
nothing is imported here that a start could do without. With no seconds to time the steps for, it
ends after the third step. `side_by_side.py` calls this.
"""

import importlib
import json
import os
import resource
import sys
import time

# The first steps, in which libraries compile: some only record in the second.
BEGINNING = 3


def load(path):
    """The module in the file at `path`."""
    sys.path.insert(0, os.path.dirname(path))
    return importlib.import_module(os.path.basename(path).removesuffix(".py"))


def prepare(path, name, library, threads):
    """The step of a workload on a library, made ready to be called; None where it has none.

    A library that has not PyTorch's API has a file of its own beside the workloads.
    """
    module, _, mode = library.partition(":")
    own = os.path.join(os.path.dirname(path), f"{module}_steps.py")
    if os.path.exists(own):
        # It uses as many threads as the process has processors.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
        make = load(own).STEPS.get(name)
        return make and make()
    torch = importlib.import_module(module)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    wrap = torch.compile if mode == "compile" else lambda function: function
    return load(path).WORKLOADS[name].make(torch, wrap)


def seconds_of(step, times=1):
    """Seconds for one call of `step`, averaged over so many calls."""
    began = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - began) / times


def timed(step, seconds):
    """The seconds a step took, again and again for so many seconds."""
    inner = max(1, int(0.02 / max(seconds_of(step), 1e-7)))
    samples = []
    deadline = time.perf_counter() + seconds
    while len(samples) < 5 or (len(samples) < 200 and time.perf_counter() < deadline):
        samples.append(seconds_of(step, times=inner))
    return samples


def compiled_by(library):
    """The kernels that this process has compiled, and the milliseconds; None if nobody counts."""
    build = sys.modules.get(f"{library.partition(':')[0]}.runtime.build")
    if build is None:
        return None
    counts = build.statistics()
    return counts["compiled"], sum(counts[part] for part in ("write_ms", "assemble_ms", "load_ms"))


def measure(path, name, library, threads, seconds, began):
    """The figures of a workload on a library, as side_by_side.py reads them; {} without one."""
    step = prepare(path, name, library, threads)
    if step is None:
        return {}
    prepared = time.perf_counter()
    result = step()
    first = time.perf_counter() - prepared
    step()
    warm = time.time() - began
    for _ in range(BEGINNING - 2):
        step()
    cold = time.perf_counter() - prepared
    return {
        "first": first,
        "warm": warm,
        "cold": cold,
        "compiled": compiled_by(library),
        "samples": timed(step, seconds) if seconds else [],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "result": result if isinstance(result, float) else None,
    }


if __name__ == "__main__":
    path, name, library, threads, seconds, began = sys.argv[1:]
    print(json.dumps(measure(path, name, library, int(threads), float(seconds), float(began))))
