"""`multiprocessing` is Python's, with `spawn`; tensors in shared memory are shared."""

import os
import signal

import pytest

import cresset
from cresset import multiprocessing


def write(number, x):
    x[number] = number + 1


def fail(number):
    if number:
        raise ValueError("wrong in the second")


def leave(number, code):
    os._exit(code) if code >= 0 else os.kill(os.getpid(), -code)


def test_processes_share_memory():
    x = cresset.zeros(3).share_memory_()
    multiprocessing.spawn(write, (x,), nprocs=2)
    process = multiprocessing.Process(target=write, args=(2, x))
    process.start()
    process.join()
    assert x.tolist() == [1, 2, 3]


def test_a_process_that_fails():
    with pytest.raises(multiprocessing.ProcessRaisedException, match="wrong in the second") as told:
        multiprocessing.start_processes(fail, nprocs=2, start_method="fork")
    assert told.value.error_index == 1 and told.value.pid


def test_a_process_that_leaves():
    with pytest.raises(multiprocessing.ProcessExitedException, match="exit code 3") as told:
        multiprocessing.start_processes(leave, (3,), start_method="fork")
    assert told.value.exit_code == 3
    with pytest.raises(multiprocessing.ProcessExitedException, match="SIGTERM"):
        multiprocessing.start_processes(leave, (-signal.SIGTERM,), start_method="fork")


def test_a_context():
    context = multiprocessing.start_processes(leave, (0,), 2, join=False, start_method="fork")
    assert len(context.pids()) == 2
    while not context.join():
        pass


def test_what_python_has():
    assert multiprocessing.cpu_count() == os.cpu_count()
    assert multiprocessing.get_context("fork").Queue().empty()
    assert multiprocessing.get_sharing_strategy() in multiprocessing.get_all_sharing_strategies()
    multiprocessing.set_sharing_strategy("file_descriptor")
    with pytest.raises(AssertionError, match="no 'file_system'"):
        multiprocessing.set_sharing_strategy("file_system")
    assert not hasattr(multiprocessing, "spawned")
