"""Random calls with bad arguments: nothing may crash, hang, or be left half-written.

`python tests/fuzz.py --calls 100000` (`make fuzz`) makes that many; the suite makes a few thousand.
The calls run in a child process with little memory and a clock, which notes each call before it is
made. A failure prints the seed and the call; `--seed S --calls 1` makes it again.
"""

from __future__ import annotations

import argparse
import ctypes
import inspect
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import cresset

MEMORY = 3 << 30  # bytes of address space beyond which allocations fail
SECONDS = 20  # that one call may take
BATCH = 2000  # calls of one child
WRONG = 3  # the child's exit status where a call did not end as it should
SPEAKING = re.compile(r"\w[\w.]*: \w")  # an error that says of what it speaks

# What a call may raise. Anything else is a mistake of ours, such as an AssertionError or KeyError.
RAISED = (
    ArithmeticError, AttributeError, BufferError, EOFError, IndexError, MemoryError,
    NotImplementedError, RuntimeError, TypeError, ValueError,
)

# Not called: they end, wait, write files, change the process, or ask for input.
LEFT_OUT = {
    "set_num_threads", "set_default_dtype", "set_default_tensor_type", "set_printoptions", "save",
    "load", "seed", "set_default_device", "compile", "set_rng_state", "show", "set_grad_enabled",
    "share_memory_", "set_default_generator", "share_memory", "from_file", "apply_", "map_",
}

SHAPES = [(), (0,), (1,), (3,), (7,), (2, 3), (3, 3), (1, 4), (0, 3), (2, 0), (2, 3, 4), (1, 1, 1),
          (2, 2, 2, 2), (1, 3, 8, 8), (2, 1, 5), (33,), (17, 5)]
INTEGERS = [0, 1, 2, 3, -1, -2, 5, 7, 64, 1000, -1000, 2**31 - 1, -(2**31), 2**31, 2**40, 2**63 - 1,
            -(2**63), 2**63, 2**64, 10**30]
FLOATS = [0.0, -0.0, 1.0, 0.5, -1.5, 1e-30, 1e38, 1e300, float("inf"), float("-inf"), float("nan")]
WORDS = ["", "mean", "sum", "none", "max", "cpu", "cuda", "meta", "linear", "float32", "int64",
         "reflect", "constant", "ij", "ij,jk->ik", "...", "bogus", "floor", "trunc", "left"]


def tensor(rng: random.Random):
    """A tensor of any type, shape and arrangement, now and then one that wants gradients."""
    shape = rng.choice(SHAPES)
    names = [d for d in ("float32", "float64", "int64", "int32", "uint8", "bool", "float16",
                         "bfloat16", "complex64") if hasattr(cresset, d)]
    d = getattr(cresset, rng.choice(["float32", "float32", "int64", *names]))
    count = 1
    for n in shape:
        count *= n
    values = [rng.choice([0, 1, 2, 3, -1, 100, 0.5]) for _ in range(count)]
    x = cresset.tensor(values, dtype=cresset.float64).reshape(shape).to(d)
    turn = rng.random()
    if turn < 0.1 and x.dim() >= 2:
        x = x.transpose(0, -1)
    elif turn < 0.15:
        x = x.expand(2, *shape)
    elif turn < 0.2 and x.dim():
        x = x[::2]
    elif turn < 0.25 and x.dim():
        x = x.flip(0)
    if rng.random() < 0.15 and d.is_floating_point:
        x = x.detach().requires_grad_()
    return x


def thing(rng: random.Random, depth=0):
    """Any argument at all."""
    kind = rng.randrange(14 if depth < 2 else 10)
    if kind < 3:
        return tensor(rng)
    if kind < 5:
        return rng.choice(INTEGERS)
    if kind == 5:
        return rng.choice(FLOATS)
    if kind == 6:
        return rng.choice([None, True, False, Ellipsis, complex(1, -2)])
    if kind == 7:
        return rng.choice(WORDS)
    if kind == 8:
        return rng.choice([cresset.float32, cresset.int64, cresset.bool, cresset.device("cpu"),
                           cresset.float16, object(), int, b"bytes", {}, slice(None), slice(5, 1)])
    if kind == 9:
        return rng.choice([0, 1, -1, 2])
    made = [thing(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 10:
        return tuple(made)
    if kind == 11:
        return made
    return [rng.choice([0, 1, 2, -1, 3]) for _ in range(rng.randrange(4))]


def plausible(rng: random.Random, name: str):
    """An argument that a parameter of this name may well take."""
    if name in ("dim", "dim0", "dim1", "axis", "dims", "start_dim", "end_dim"):
        return rng.choice([0, 1, -1, 2, -5, (0,), (0, 1), None])
    if name in ("keepdim", "sorted", "descending", "stable", "largest", "inplace", "training"):
        return rng.choice([True, False])
    if name == "dtype":
        return rng.choice([None, cresset.float64, cresset.int32, cresset.bool])
    if name in ("size", "shape", "sizes", "repeats", "kernel_size", "stride", "padding"):
        return rng.choice([1, 2, 0, -1, (2, 3), (1,), (0,), (), (2, -1)])
    if name in ("index", "indices", "target"):
        return cresset.tensor([rng.choice([0, 1, 2, -1, 9]) for _ in range(rng.randrange(4))],
                              dtype=cresset.int64)
    if name in ("x", "input", "tensor", "other", "y", "weight", "mat2", "source", "src", "mask"):
        return tensor(rng)
    if name in ("tensors", "xs"):
        return [tensor(rng) for _ in range(rng.randrange(3))]
    return thing(rng)


def functions() -> list[tuple[str, object]]:
    """(name, callable) of what is called: functions, methods, and those of the submodules."""
    found = []
    places = {"": cresset, "Tensor.": cresset.Tensor, "nn.functional.": cresset.nn.functional}
    for name in ("linalg", "fft", "special"):
        if hasattr(cresset, name):
            places[f"{name}."] = getattr(cresset, name)
    for prefix, place in places.items():
        for name in sorted(getattr(place, "__all__", None) or dir(place)):
            if name.startswith("_") and not name.startswith("__get") or name in LEFT_OUT:
                continue
            function = getattr(place, name, None)
            if callable(function) and not inspect.isclass(function):
                found.append((prefix + name, function))
    return found


def parameters(function) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def arguments(rng: random.Random, function):
    """(positional, keywords), mostly what the parameters' names suggest, and some that is not."""
    args, keywords = [], {}
    for p in parameters(function):
        if p.kind is p.VAR_KEYWORD:
            continue
        if p.kind is p.VAR_POSITIONAL:
            args += [plausible(rng, "size") for _ in range(rng.randrange(3))]
            continue
        if p.default is not p.empty and rng.random() < 0.6:
            continue
        value = plausible(rng, p.name) if rng.random() < 0.75 else thing(rng)
        if p.kind is p.KEYWORD_ONLY or keywords:
            keywords[p.name] = value
        else:
            args.append(value)
    if rng.random() < 0.05:
        args = args[:-1]
    if rng.random() < 0.03:
        args.append(thing(rng))
    return args, keywords


def tensors(value):
    """The tensors within an argument or a result."""
    if isinstance(value, cresset.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors(part)
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))


def state(x) -> tuple:
    """What must not change where a call fails: the layout, and the memory it reaches over."""
    layout = x.layout
    return layout, ctypes.string_at(x.ptr, layout.reach() * layout.dtype.itemsize)


def within(x) -> bool:
    """Whether a tensor's elements lie in its storage."""
    layout, memory = x.layout, x.memory
    if layout.numel == 0 or layout.device == "meta":
        return True
    end = x.ptr + layout.reach() * layout.dtype.itemsize
    return memory.ptr <= x.ptr and end <= memory.ptr + memory.nbytes


def spelled(value) -> str:
    """An argument as source, roughly."""
    if isinstance(value, cresset.Tensor):
        return f"<{value.dtype} {list(value.shape)} strides {list(value.stride())}>"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(spelled, value))}]"
    return repr(value)


def attempt(seed: int, candidates, note) -> str | None:
    """Make one call; returns what is wrong with what happened, None if nothing."""
    rng = random.Random(seed)
    name, function = rng.choice(candidates)
    args, keywords = arguments(rng, function)
    named = "".join(f", {k}={spelled(v)}" for k, v in keywords.items())
    call = f"seed {seed}: {name}({', '.join(map(spelled, args))}{named})"
    note(call)
    given = list(tensors([args, keywords]))
    before = [state(x) for x in given]
    cresset.manual_seed(seed)
    signal.alarm(SECONDS)
    try:
        result = function(*args, **keywords)
    except (*RAISED, AssertionError) as error:
        result = None
        # PyTorch has a few that are meant: those that speak as errors do.
        if isinstance(error, AssertionError) and not SPEAKING.match(str(error)):
            return f"{call}\n  raised AssertionError: {error}"
        for x, old in zip(given, before):
            if state(x) != old:
                return f"{call}\n  raised, and left a tensor changed"
    except Exception as error:
        return f"{call}\n  raised {type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    for x in [*tensors(result), *given]:
        if not within(x):
            return f"{call}\n  a tensor reaches beyond its storage"
    return None


def work(start: int, stop: int, noted: str) -> int:
    """The child: calls with the seeds from start to stop; the exit status says if all went well."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    candidates = functions()
    wrong = 0
    with open(noted, "w") as file:
        def note(call):
            file.seek(0)
            file.truncate()
            file.write(call)
            file.flush()

        for seed in range(start, stop):
            problem = attempt(seed, candidates, note)
            if problem:
                print(problem, flush=True)
                wrong += 1
    return WRONG if wrong else 0


def run(calls: int, first: int = 0) -> list[str]:
    """Make so many calls in children; returns the problems."""
    problems = []
    environment = {**os.environ, "PYTHONPATH": str(Path(cresset.__file__).parents[1])}
    with tempfile.TemporaryDirectory() as folder:
        noted = os.path.join(folder, "call")
        start, end = first, first + calls
        while start < end:
            stop = min(start + BATCH, end)
            command = [sys.executable, __file__, "--child", noted, "--seed", str(start), "--calls",
                       str(stop - start)]
            child = subprocess.run(command, capture_output=True, text=True, env=environment)
            problems += [p for p in child.stdout.split("\nseed") if p.strip()]
            if child.returncode in (0, WRONG):
                start = stop
                continue
            call = Path(noted).read_text() if os.path.exists(noted) else ""
            if not call:
                raise RuntimeError(f"the child did not start: {child.stderr}")
            timed_out = child.returncode == -signal.SIGALRM
            ending = "did not return" if timed_out else "ended the process"
            problems.append(f"{call}\n  {ending} ({child.returncode}) {child.stderr[-800:]}")
            # On behind the call that ended it.
            start = int(call.split(":")[0].removeprefix("seed ")) + 1
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        return work(chosen.seed, chosen.seed + chosen.calls, chosen.child)
    problems = run(chosen.calls, chosen.seed)
    print("\n".join(problems))
    print(f"{chosen.calls} calls, {len(problems)} problems")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
