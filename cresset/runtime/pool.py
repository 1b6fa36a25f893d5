"""The thread pool: Python threads that stay inside an emitted loop and take pieces of work.

The caller publishes a loop, works on it itself, and waits for those that joined. Pieces are taken
by an atomic counter as threads come free, so a core that is busy elsewhere delays nobody. Workers
spin for a while between loops, then sleep. Waking one costs more than a short loop takes, so such a
loop is shared with those awake alone, until enough work has passed the sleepers by.

A loop is published by making the generation odd and withdrawn by making it even. A worker first
counts itself in (`active`), then looks whether the generation is still the one it saw; the caller
first withdraws, then waits until nobody is counted in. So one of the two always sees the other, and
nothing of a loop changes while a worker can be inside it.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from itertools import product

from cresset.runtime.ir import SELDOM, Function, Module, Value
from cresset.runtime.objects import decref, named

SHARE_FROM = 10_000  # ns of work from which a loop is shared with workers that are awake
WAKE_FROM = 150_000  # ns of work, in one loop or several, for which sleeping workers are woken
SPINS = 2000  # looks at the generation before a worker goes to sleep, some 50 us
PATIENCE = 2000  # looks at `active` before the caller gives its core away
UNLIMITED = 1 << 30  # threads, where no control group sets a limit

# Words of the pool's state; what several threads write has a cache line of its own.
WORD = {"generation": 0, "next": 8, "active": 16, "sleepers": 24, "busy": 32, "missed": 33,
        "kernel": 40, "arguments": 41, "units": 42, "grain": 43, "wanted": 48, "running": 49,
        "stop": 50, "waits": 51}
WORDS = 56

FUTEX = {"x86_64": 202, "aarch64": 98}  # the system call's number
FUTEX_WAIT, FUTEX_WAKE = 128, 129  # within one process


def pool_word(f: Function, name: str) -> Value:
    """The address of a word of the pool's state."""
    return f.offset(f.address("pool"), WORD[name], "i64")


def start_workers(f: Function) -> None:
    """Have the threads started if they are not; the caller holds the GIL."""
    wanted = f.load("i64", pool_word(f, "wanted"))
    with f.when(f.load("i64", pool_word(f, "running")).ne(wanted)):
        f.call("start_missing", "void")


# --- emitting -------------------------------------------------------------------------------------
def write(module: Module) -> None:
    """Add the pool to a module; `worker`, `share`, `halt` and `pool` are seen from outside."""
    module.globals.append(f"@pool = global [{WORDS} x i64] zeroinitializer, align 64")
    _write_start_missing(module)
    _write_drain(module)
    _write_worker(module)
    _write_share(module)
    _write_halt(module)


def _read(f, name):
    return f.emit("i64", f"load atomic i64, {pool_word(f, name)} seq_cst, align 8")


def _publish(f, name, value):
    f.emit(None, f"store atomic {value}, {pool_word(f, name)} seq_cst, align 8")


def _count(f, name, amount):
    """Add to a word; what it was before."""
    return f.emit("i64", f"atomicrmw add {pool_word(f, name)}, i64 {amount} seq_cst")


def _pause(f):
    """Tell the core that this is a loop of waiting."""
    if os.uname().machine.lower() in ("x86_64", "amd64"):
        f.call("llvm.x86.sse2.pause", "void")
    else:
        f.call("llvm.aarch64.isb", "void", f.constant("i32", 15))


def _futex(f, operation, name, number):
    """Sleep while a word is `number`, or wake `number` of those that sleep at it."""
    f.module.declared["syscall"] = "declare i64 @syscall(i64, ...)"
    call = FUTEX[os.uname().machine]
    operation = f.constant("i32", operation)
    number = f.convert(number, "i32")
    arguments = f"i64 {call}, {pool_word(f, name)}, {operation}, {number}, ptr null"
    f.emit("i64", f"call i64 (i64, ...) @syscall({arguments})")


def _has_futex():
    return sys.platform == "linux" and os.uname().machine in FUTEX


def _sleep(f, name, number):
    """Sleep until another thread wakes those at a word, but not if it is no longer `number`."""
    if _has_futex():
        _futex(f, FUTEX_WAIT, name, number)
    else:
        f.call("usleep", "i32", f.constant("i32", 200))


def _wake(f, name, count):
    if _has_futex():
        _futex(f, FUTEX_WAKE, name, count)


def _write_start_missing(module):
    """void start_missing(): start the workers that are wanted and do not run.

    No Python code runs in here, since with it signal handlers would, which may raise or call us.
    """
    f = module.function("start_missing", [], internal=True, attributes=SELDOM)
    with f.leave(_read(f, "stop").ne(0)):
        f.ret()
    with f.loop(_read(f, "running"), f.load("i64", pool_word(f, "wanted"))):
        _count(f, "running", 1)
        started = f.call("PyObject_CallNoArgs", "ptr", named(f, "start_worker"))
        with f.leave(started.eq(0)):
            # The system grants no more; the work is done by those that are there.
            f.call("PyErr_Clear", "void")
            _count(f, "running", -1)
            f.store(_read(f, "running"), pool_word(f, "wanted"))
            f.ret()
        decref(f, started)
    f.ret()


def _write_drain(module):
    """void drain(): run pieces of the published loop until none is left."""
    f = module.function("drain", [], internal=True)
    kernel = f.load("ptr", pool_word(f, "kernel"))
    arguments = f.load("ptr", pool_word(f, "arguments"))
    units = f.load("i64", pool_word(f, "units"))
    grain = f.load("i64", pool_word(f, "grain"))
    take, run, done = (f.label(stem) for stem in ("take", "run", "done"))
    f.branch(take)
    f.place(take)
    begin = f.emit("i64", f"atomicrmw add {pool_word(f, 'next')}, {grain} seq_cst")
    f.branch(run, begin < units, done)
    f.place(run)
    f.call(kernel, "void", arguments, begin, f.minimum(begin + grain, units))
    f.branch(take)
    f.place(done)
    f.ret()


def _write_worker(module):
    """void worker(): what a worker's thread does all its life."""
    f = module.function("worker", [], attributes=SELDOM)
    idle, spin, wait, again, sleep, changed, odd, join, leave, done = (
        f.label(stem)
        for stem in ("idle", "spin", "wait", "again", "sleep", "changed", "odd", "join", "leave",
                     "done")
    )
    seen = f.alloca("i64")
    turns = f.alloca("i64")
    # Unlike any that it will see, so that it first looks whether it is to stop again.
    f.store(f.constant("i64", -1), seen)
    f.branch(idle)

    f.place(idle)
    f.store(f.constant("i64", 0), turns)
    f.branch(spin)
    f.place(spin)
    generation = _read(f, "generation")
    last = f.load("i64", seen)
    f.branch(wait, generation.eq(last), changed)
    f.place(wait)
    turn = f.load("i64", turns)
    f.store(turn + 1, turns)
    f.branch(sleep, turn > SPINS, again)
    f.place(again)
    _pause(f)
    f.branch(spin)
    f.place(sleep)
    _count(f, "sleepers", 1)
    _sleep(f, "generation", last)
    _count(f, "sleepers", -1)
    f.branch(spin)

    f.place(changed)
    f.store(generation, seen)
    with f.leave(_read(f, "stop").ne(0)):
        _count(f, "running", -1)
        f.ret()
    f.branch(odd, (generation & 1).ne(0), idle)
    f.place(odd)
    _count(f, "active", 1)
    f.branch(join, _read(f, "generation").eq(generation), leave)
    f.place(join)
    f.call("drain", "void")
    f.branch(leave)
    f.place(leave)
    _count(f, "active", -1)
    with f.when(_read(f, "waits").ne(0)):
        _wake(f, "active", f.constant("i64", 1))
    f.branch(done)
    f.place(done)
    f.branch(idle)


def _write_share(module):
    """void share(kernel, args, i64 units, i64 grain, i64 work): run a loop, shared if that pays."""
    parameters = [("ptr", "kernel"), ("ptr", "args"), ("i64", "units"), ("i64", "grain"),
                  ("i64", "work")]
    f = module.function("share", parameters)
    kernel, arguments, units, grain, work = f.arguments
    running, sleepers = _read(f, "running"), _read(f, "sleepers")
    with f.leave((running.eq(0) | (units <= grain)) | (work < SHARE_FROM)):
        _run_alone(f)
    before = f.load("i64", pool_word(f, "missed"))
    missed = f.select(sleepers > 0, before + work, f.constant("i64", 0))
    wake = missed >= WAKE_FROM
    f.store(f.select(wake, f.constant("i64", 0), missed), pool_word(f, "missed"))
    with f.leave((wake ^ 1) & (running <= sleepers)):
        _run_alone(f)
    word = pool_word(f, "busy")
    both = f.emit("{ i64, i1 }", f"cmpxchg {word}, i64 0, i64 1 seq_cst seq_cst")
    with f.leave(f.emit("i1", f"extractvalue {{ i64, i1 }} {both.text}, 1").eq(0)):
        _run_alone(f)
    f.store(kernel, pool_word(f, "kernel"))
    f.store(arguments, pool_word(f, "arguments"))
    f.store(units, pool_word(f, "units"))
    f.store(grain, pool_word(f, "grain"))
    _publish(f, "next", f.constant("i64", 0))
    _count(f, "generation", 1)
    with f.when(wake):
        pieces = (units - 1).udiv(grain)
        _wake(f, "generation", f.minimum(pieces, running))
    f.call("drain", "void")
    _count(f, "generation", 1)
    _wait_until_zero(f, "active", lambda count: _sleep_until_left(f, count))
    _publish(f, "busy", f.constant("i64", 0))
    f.ret()


def _sleep_until_left(f, count):
    """Sleep while `count` workers are in.

    One that has lost its core in the middle of a piece is moved to the core that falls idle.
    """
    _publish(f, "waits", f.constant("i64", 1))
    _sleep(f, "active", count)
    _publish(f, "waits", f.constant("i64", 0))


def _run_alone(f):
    kernel, arguments, units = f.arguments[:3]
    f.call(kernel, "void", arguments, f.constant("i64", 0), units)
    f.ret()


def _wait_until_zero(f, name, rest):
    """Wait for a word to become zero; when that takes long, rest(word) between looks."""
    look, wait, patient, tired, done = (
        f.label(stem) for stem in ("look", "wait", "patient", "tired", "done")
    )
    turns = f.alloca("i64")
    f.store(f.constant("i64", 0), turns)
    f.branch(look)
    f.place(look)
    word = _read(f, name)
    f.branch(done, word.eq(0), wait)
    f.place(wait)
    turn = f.load("i64", turns)
    f.store(turn + 1, turns)
    f.branch(tired, turn > PATIENCE, patient)
    f.place(patient)
    _pause(f)
    f.branch(look)
    f.place(tired)
    rest(word)
    f.branch(look)
    f.place(done)


def _write_halt(module):
    """void halt(): end all workers; waits for the loop that runs and until they are gone."""
    f = module.function("halt", [], attributes=SELDOM)
    lock, wait, locked = (f.label(stem) for stem in ("lock", "wait", "locked"))
    f.branch(lock)
    f.place(lock)
    taken = f.emit("i64", f"atomicrmw xchg {pool_word(f, 'busy')}, i64 1 seq_cst")
    f.branch(locked, taken.eq(0), wait)
    f.place(wait)
    f.call("sched_yield", "i32")
    f.branch(lock)
    f.place(locked)
    _publish(f, "stop", f.constant("i64", 1))
    _count(f, "generation", 2)
    _wake(f, "generation", f.constant("i64", 1 << 30))
    _wait_until_zero(f, "running", lambda count: f.call("sched_yield", "i32"))
    _publish(f, "stop", f.constant("i64", 0))
    _publish(f, "busy", f.constant("i64", 0))
    f.ret()


# --- in Python ------------------------------------------------------------------------------------
class _Pool:
    """The threads of this process, once the native part is there."""

    def __init__(self):
        self.threads: int | None = None  # as set; None until somebody asks
        self.state: ctypes.Array | None = None
        self.worker: Callable[[], None] = lambda: None
        self.halt: Callable[[], None] = lambda: None
        self.lock = threading.RLock()

    def attach(self, state: ctypes.Array, worker: int, halt: int) -> None:
        """Take over the emitted pool."""
        self.worker = ctypes.CFUNCTYPE(None)(worker)
        self.halt = ctypes.CFUNCTYPE(None)(halt)
        self.state = state
        self.state[WORD["wanted"]] = get_num_threads() - 1

    def work(self) -> None:
        """What a new thread does; returns when the workers are halted."""
        self.worker()

    def forked(self) -> None:
        """In a forked child, where no worker exists and no loop runs."""
        self.lock = threading.RLock()
        if self.state is not None:
            wanted = self.state[WORD["wanted"]]
            ctypes.memset(self.state, 0, ctypes.sizeof(self.state))
            self.state[WORD["wanted"]] = wanted


pool = _Pool()
os.register_at_fork(after_in_child=pool.forked)


def get_num_threads() -> int:
    """The number of threads that share the work of one operation, the calling one among them.

    It is $CRESSET_NUM_THREADS, else the number of cores that this process may use.
    """
    if pool.threads is None:
        chosen = os.environ.get("CRESSET_NUM_THREADS", "")
        pool.threads = max(1, int(chosen)) if chosen.isdecimal() else _usable_cores()
    return pool.threads


def set_num_threads(threads: int) -> None:
    """Set the number of threads that share the work of one operation. Results do not depend on it.

    Raises RuntimeError unless it is a positive integer.
    """
    if not isinstance(threads, int) or isinstance(threads, bool):
        raise RuntimeError(
            f"set_num_threads: expects an int; got a {type(threads).__name__}; need a positive "
            "integer"
        )
    if threads < 1:
        raise RuntimeError(f"set_num_threads: got {threads}; need a positive number of threads")
    with pool.lock:
        pool.threads = threads
        if pool.state is not None:
            pool.state[WORD["wanted"]] = threads - 1
            if pool.state[WORD["running"]]:
                pool.halt()


def _usable_cores() -> int:
    """Cores that the process may run on, no more than its share of processor time."""
    try:
        allowed = sorted(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
    cores = {_core_of(number) for number in allowed}
    return max(1, min(len(cores), _quota()))


def _core_of(number):
    """What is the same for two processors that are one core's hardware threads."""
    try:
        with open(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list") as file:
            return file.read()
    except OSError:
        return number


def _quota(root: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> int:
    """Whole cores' worth of time that the control groups of this process grant, at least 1."""
    try:
        with open(membership) as file:
            lines = [line.strip().split(":", 2) for line in file]
    except OSError:
        return UNLIMITED
    granted = [UNLIMITED]
    for _, controllers, path in lines:
        if not controllers:
            tops, names = [root, f"{root}/unified"], ["cpu.max"]
        elif "cpu" in controllers.split(","):
            tops, names = [f"{root}/cpu"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        # Every group around the innermost has a limit of its own.
        parts = [part for part in path.split("/") if part]
        for top, depth in product(tops, range(len(parts) + 1)):
            granted.append(_granted("/".join([top, *parts[:depth]]), names))
    return min(granted)


def _granted(folder, names):
    """What one control group grants, by the files that hold its quota and period."""
    words = []
    try:
        for name in names:
            with open(f"{folder}/{name}") as file:
                words += file.read().split()
        quota, period = map(int, words)
    except (OSError, ValueError):
        return UNLIMITED
    return max(1, -(-quota // period)) if quota > 0 else UNLIMITED
