"""Worker processes of a DataLoader: the same batches, ahead of time; errors come home."""

import os
import time

import pytest

import cresset
from cresset.utils import data


class Squares(data.Dataset):
    def __len__(self):
        return 11

    def __getitem__(self, index):
        return cresset.tensor([float(index**2)]), index


class Told(data.Dataset):
    """What a worker knows of itself, and its first random number."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        info = data.get_worker_info()
        return info.id, info.num_workers, info.seed, os.getpid(), cresset.rand(()).item()


class Stream(data.IterableDataset):
    def __iter__(self):
        info = data.get_worker_info()
        yield from range(info.id, 11, info.num_workers)


class Faulty(data.Dataset):
    def __init__(self, fault):
        self.fault = fault

    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 5:
            self.fault()
        return index


@pytest.mark.parametrize("options", (
    {"batch_size": 3}, {"batch_size": 3, "shuffle": True, "drop_last": True}, {"batch_size": None},
    {"batch_sampler": [[1, 2], [0], [10, 9, 8]]}, {"batch_size": 2, "prefetch_factor": 1},
    {"batch_size": 2, "multiprocessing_context": "spawn"},
))
def test_batches_are_those_of_one_process(options):
    def passed(workers):
        cresset.manual_seed(0)
        more = {k: v for k, v in options.items() if workers or "pre" not in k and "multi" not in k}
        loader = data.DataLoader(Squares(), num_workers=workers, **more)
        return [[part.tolist() if hasattr(part, "tolist") else part for part in batch]
                for _ in range(1 if "multiprocessing_context" in options else 2)
                for batch in loader]

    assert passed(2) == passed(0)


def test_workers_know_who_they_are_and_may_live_on():
    cresset.manual_seed(0)
    loader = data.DataLoader(Told(), num_workers=2, persistent_workers=True)
    first, second = ([[x.item() for x in batch] for batch in loader] for _ in range(2))
    assert [row[:2] for row in first] == [[0, 2], [1, 2], [0, 2], [1, 2]]
    assert first[1][2] == first[0][2] + 1 and first[0][4] != first[1][4]
    assert [row[3] for row in first] == [row[3] for row in second] != [os.getpid()] * 4
    assert first[0][2] == second[0][2] and first[0][4] != second[0][4]
    assert data.get_worker_info() is None


def test_streams_are_shared_out():
    loader = data.DataLoader(Stream(), batch_size=2, num_workers=3)
    found = [batch.tolist() for batch in loader]
    assert found == [[0, 3], [1, 4], [2, 5], [6, 9], [7, 10], [8]]


def fail():
    raise KeyError("five")


def die():
    os._exit(1)


def sleep():
    time.sleep(60)


def test_errors_come_home():
    with pytest.raises(KeyError, match="Caught KeyError in DataLoader worker process 1"):
        list(data.DataLoader(Faulty(fail), num_workers=2))
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(data.DataLoader(Faulty(die), num_workers=2))
    with pytest.raises(RuntimeError, match="timed out after 1 seconds"):
        list(data.DataLoader(Faulty(sleep), num_workers=2, timeout=1))
    with pytest.raises(ValueError, match="worker process 0"):
        list(data.DataLoader(Squares(), num_workers=1, worker_init_fn=lambda number: int("x")))


def test_a_pass_may_be_left():
    loader = data.DataLoader(Squares(), num_workers=2, persistent_workers=True)
    for _ in loader:
        break
    assert [index.item() for _, index in loader] == list(range(11))


def test_batches_may_come_as_they_are_ready():
    loader = data.DataLoader(Squares(), num_workers=2, in_order=False)
    assert sorted(index.item() for _, index in loader) == list(range(11))
