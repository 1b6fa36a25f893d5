"""The thread pool: who does which piece, and what happens around it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from test_runtime import adder, array, launcher, layout, tensor

from cresset.core import dtype
from cresset.runtime import native, pool
from cresset.runtime.ir import Module
from cresset.runtime.program import Step

N = 200_000
SHARED = {"grain": 1000, "work": 1_000_000}
MOST_LOOKS = 1 << 31  # at another thread's word, some tens of seconds: nothing here waits for ever


def state(name):
    return native.native().pool[pool.WORD[name]]


@pytest.fixture
def four_threads():
    before = pool.get_num_threads()
    pool.set_num_threads(4)
    yield
    pool.set_num_threads(before)


@pytest.fixture
def two_threads():
    before = pool.get_num_threads()
    pool.set_num_threads(2)
    yield
    pool.set_num_threads(before)


# --- loops ----------------------------------------------------------------------------------------
def test_shared_loop_does_all_of_it(four_threads):
    x, y = tensor(np.arange(N)), tensor(np.arange(N) * 0.5)
    expected = array(x) + array(y)
    run = adder(N, **SHARED)
    for _ in range(200):
        assert np.array_equal(array(run(x, y)), expected)
    assert state("running") == 3
    pool.set_num_threads(2)
    for _ in range(50):
        assert np.array_equal(array(run(x, y)), expected)
    assert state("running") == 1
    pool.set_num_threads(1)
    assert state("running") == 0
    assert np.array_equal(array(run(x, y)), expected)


def test_short_loops_between_sleeps(four_threads):
    run, x = adder(5000, grain=100, work=20_000), tensor(np.arange(5000))
    for _ in range(2000):
        assert array(run(x, x))[-1] == 9998


def test_two_threads_at_once(four_threads):
    x = tensor(np.arange(N))
    run, failures = adder(N, **SHARED), []

    def work():
        for _ in range(100):
            if not np.array_equal(array(run(x, x)), array(x) * 2):
                failures.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_number_of_threads_changes_while_loops_run(four_threads):
    x, run = tensor(np.arange(N)), adder(N, **SHARED)
    stop, failures = threading.Event(), []

    def work():
        while not stop.is_set():
            if not np.array_equal(array(run(x, x)), array(x) * 2):
                failures.append(1)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for turn in range(60):
        pool.set_num_threads(1 + turn % 5)
    stop.set()
    for thread in threads:
        thread.join()
    pool.set_num_threads(3)
    run(x, x)
    assert not failures
    assert state("running") == 2


# --- who does what --------------------------------------------------------------------------------
def _until(f, condition):
    """Look at other threads' words until a condition holds, or give up."""
    with f.repeat(f.constant("i64", 0)) as loop:
        (looks,) = loop.values
        f.call("sched_yield", "i32")
        loop.again((condition() ^ True) & (looks < MOST_LOOKS), looks + 1)


def _watched(name, act):
    """A kernel whose unit i stores at out[i] the thread that does it, once act(f, ...) is over.

    Words: the threads of the units, two counters.
    """

    def write():
        module = Module()
        f = module.kernel()
        block, begin, end = f.arguments
        out, first, second = (f.load("ptr", f.offset(block, k, "ptr")) for k in range(3))
        me = f.call("pthread_self", "i64")
        with f.loop(begin, end) as index:
            act(f, first, second, me)
            f.store(me, f.offset(out, index, "i64"))
        f.ret()
        return module

    return name, write


def _read(f, address):
    return f.emit("i64", f"load atomic i64, {address} seq_cst, align 8")


def _add_one(f, address):
    f.emit("i64", f"atomicrmw add {address}, i64 1 seq_cst")


def _meet(f, arrived, _, me):
    """Wait for another thread, which does another unit."""
    _add_one(f, arrived)
    _until(f, lambda: _read(f, arrived) >= 2)


def _stall(f, caller, done, me):
    """A worker is held up until all units but its own are done; the caller waits for it to begin.

    The low bit of `done` is whether a worker has begun.
    """
    def work():
        f.emit("i64", f"atomicrmw or {done}, i64 1 seq_cst")
        _until(f, lambda: _read(f, done) >= 2 * (UNITS - 1) + 1)

    def call():
        _until(f, lambda: (_read(f, done) & 1).ne(0))
        f.emit("i64", f"atomicrmw add {done}, i64 2 seq_cst")

    f.either(_read(f, caller).eq(me), call, work)


UNITS = 50
RECORD = _watched("test record", lambda *_: None)
MEET = _watched("test meet", _meet)
STALL = _watched("test stall", _stall)


def doers(kernel, units, work, first=0):
    """The threads that did the units of a loop, as it goes through the pool."""
    number = layout(1, dtype=dtype.int64)
    counters = [native.new(number) for _ in range(2)]
    for counter, value in zip(counters, (first, 0)):
        native_array(counter)[0] = value
    run = launcher("tt", (layout(units, dtype=dtype.int64),),
                   Step(*kernel, (0, 1, 2), units=units, grain=1, work=work))
    return native_array(run(*counters)).tolist()


def native_array(x):
    block = (np.ctypeslib.ctypes.c_int64 * x.layout.numel).from_address(x.ptr)
    return np.ctypeslib.as_array(block)


def await_sleep(workers):
    """Until so many workers sleep."""
    end = time.monotonic() + 30
    while state("sleepers") != workers:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_long_loop_wakes_a_sleeper(two_threads):
    doers(RECORD, 2, pool.WAKE_FROM)
    await_sleep(1)
    assert len(set(doers(MEET, 2, pool.WAKE_FROM))) == 2


def test_sleeper_is_not_woken_for_a_short_loop(two_threads):
    doers(RECORD, 2, pool.WAKE_FROM)
    await_sleep(1)
    assert set(doers(RECORD, 50, pool.WAKE_FROM - 1)) == {threading.get_ident()}
    assert state("sleepers") == 1


def test_sleeper_is_woken_when_enough_has_passed_it_by(two_threads):
    doers(RECORD, 2, pool.WAKE_FROM)
    await_sleep(1)
    doers(RECORD, 2, pool.WAKE_FROM // 2)
    assert len(set(doers(MEET, 2, pool.WAKE_FROM // 2))) == 2


def test_loop_too_small_to_share_is_the_callers(two_threads):
    doers(RECORD, 2, pool.WAKE_FROM)
    for _ in range(200):
        assert set(doers(RECORD, 10, pool.SHARE_FROM - 1)) == {threading.get_ident()}


def test_slow_worker_holds_up_its_own_piece_alone(two_threads):
    """All that no one has begun is done by the caller, as where a worker has lost its core."""
    caller = threading.get_ident()
    did = doers(STALL, UNITS, pool.WAKE_FROM, first=caller)
    assert did.count(caller) == UNITS - 1


# --- processes ------------------------------------------------------------------------------------
def _child_is_right(check):
    """Whether check() holds in a forked child."""
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = check()
        finally:
            os._exit(0 if good else 1)
    return os.waitpid(child, 0)[1] == 0


def test_pool_survives_fork(four_threads):
    x, run = tensor(np.arange(N)), adder(N, **SHARED)
    run(x, x)

    def check():
        good = state("running") == 0 and np.array_equal(array(run(x, x)), array(x) * 2)
        return good and state("running") == 3

    assert _child_is_right(check)
    assert np.array_equal(array(run(x, x)), array(x) * 2)


def test_fork_while_another_thread_runs_a_loop(four_threads):
    x, run = tensor(np.arange(N)), adder(N, **SHARED)
    stop = threading.Event()

    def work():
        while not stop.is_set():
            run(x, x)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(10):
            assert _child_is_right(lambda: np.array_equal(array(run(x, x)), array(x) * 2))
    finally:
        stop.set()
        thread.join()


def run_python(script, **environment):
    """Run a script that has this file as `t`, and a loop that is shared as `run(x, x)`."""
    here = Path(__file__).parent
    start = (f"import sys; sys.path.insert(0, {str(here)!r})\n"
             "import test_pool as t\n"
             "run, x = t.adder(t.N, **t.SHARED), t.tensor(t.np.ones(t.N))\n")
    return subprocess.run([sys.executable, "-c", start + script], capture_output=True, text=True,
                          env={**os.environ, "CRESSET_NUM_THREADS": "3", **environment},
                          timeout=60)


def test_exit_with_workers_is_clean():
    done = run_python("run(x, x); print(t.state('running'))")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "2", "")


@pytest.mark.parametrize("wait", [0, 0.001, 0.02])
def test_exit_while_daemon_threads_run_loops(wait):
    done = run_python(f"""
def work():
    while True:
        run(x, x)
for _ in range(3):
    t.threading.Thread(target=work, daemon=True).start()
t.time.sleep({wait})
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_work_at_exit():
    """Functions that run at exit may use the pool."""
    done = run_python("""
import atexit
atexit.register(lambda: print(t.array(run(x, x)).sum() == 2 * t.N))
run(x, x)
""")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "True", "")


# --- signals --------------------------------------------------------------------------------------
def test_ctrl_c_between_loops():
    done = run_python("""
t.threading.Timer(0.05, lambda: t.os.kill(t.os.getpid(), t.signal.SIGINT)).start()
try:
    while True:
        run(x, x)
except KeyboardInterrupt:
    print(t.array(run(x, x)).sum() == 2 * t.N)
""")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "True", "")


class _Alarm(Exception):
    pass


def test_signals_never_leave_the_pool_halfway(four_threads):
    """Handlers that raise may end a call, but no count of the pool is wrong afterwards."""
    x, run = tensor(np.arange(N)), adder(N, **SHARED)
    armed = []

    def ring(*_):
        if armed:
            armed.pop()
            raise _Alarm

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0007)
    alarms, end = 0, time.monotonic() + 30
    while alarms < 100:
        assert time.monotonic() < end
        try:
            armed.append(True)
            for threads in (4, 2, 3):
                pool.set_num_threads(threads)
                run(x, x)
            armed.clear()
        except _Alarm:
            alarms += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    pool.set_num_threads(4)
    assert np.array_equal(array(run(x, x)), array(x) * 2)
    assert state("running") == 3


# --- how many -------------------------------------------------------------------------------------
def test_number_of_threads_from_the_environment():
    script = "print(t.pool.get_num_threads()); run(x, x); print(t.state('running'))"
    assert run_python(script, CRESSET_NUM_THREADS="7").stdout.split() == ["7", "6"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is set as Linux does")
def test_number_of_threads_by_affinity():
    script = "print(t.pool.get_num_threads())"
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert run_python(script, CRESSET_NUM_THREADS="").stdout.strip() == "1"
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize("groups, files, cores", [
    ("0::/", {"cpu.max": "max 100000"}, pool.UNLIMITED),
    ("0::/", {"cpu.max": "150000 100000"}, 2),
    ("0::/", {"cpu.max": "1000 100000"}, 1),
    ("0::/a/b", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
    ("0::/a/b", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "200000 100000"}, 2),
    ("0::/a", {"unified/a/cpu.max": "400000 100000"}, 4),
    # What the paths of another namespace name is not there; the root's limit holds.
    ("0::/elsewhere", {"cpu.max": "200000 100000"}, 2),
    ("4:memory:/m\n1:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "250000",
                                       "cpu/a/cpu.cfs_period_us": "100000"}, 3),
    ("1:cpu:/a", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"},
     pool.UNLIMITED),
    ("1:cpu:/", {}, pool.UNLIMITED),
])
def test_number_of_threads_by_control_groups(tmp_path, groups, files, cores):
    (tmp_path / "membership").write_text(groups + "\n")
    for name, content in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    assert pool._quota(str(tmp_path / "root"), str(tmp_path / "membership")) == cores
    assert pool._quota(str(tmp_path / "root"), str(tmp_path / "none")) == pool.UNLIMITED


@pytest.mark.parametrize("number", [0, 2.5])
def test_bad_number_of_threads(number):
    with pytest.raises(RuntimeError, match="set_num_threads"):
        pool.set_num_threads(number)
