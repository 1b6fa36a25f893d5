"""Groups of one process: collective operations, wrapped models, and shares of a dataset."""

import os

import pytest

import cresset
from cresset import distributed, nn
from cresset.utils.data import DataLoader, DistributedSampler


@pytest.fixture
def group():
    distributed.init_process_group("gloo", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_joining_and_leaving(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert distributed.is_available() and not distributed.is_initialized()
    assert not distributed.is_torchelastic_launched()
    with pytest.raises(ValueError, match="environment variable WORLD_SIZE expected, but not set"):
        distributed.init_process_group("gloo")
    with pytest.raises(RuntimeError, match="doesn't have NCCL built in"):
        distributed.init_process_group("nccl", rank=0, world_size=1)
    with pytest.raises(NotImplementedError, match="world size of 2"):
        distributed.init_process_group("gloo", rank=0, world_size=2)
    for call in (distributed.get_rank, distributed.get_world_size, distributed.barrier,
                 lambda: distributed.all_reduce(cresset.ones(1)),
                 lambda: nn.parallel.DistributedDataParallel(nn.Linear(1, 1))):
        with pytest.raises(ValueError, match="has not been initialized"):
            call()
    monkeypatch.setitem(os.environ, "RANK", "0")
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "1")
    distributed.init_process_group()
    try:
        assert distributed.is_initialized() and distributed.group.WORLD.size() == 1
        assert (distributed.get_rank(), distributed.get_world_size()) == (0, 1)
        assert distributed.get_backend() == "gloo"
        with pytest.raises(ValueError, match="twice"):
            distributed.init_process_group("gloo")
        with pytest.raises(ValueError, match="rank"):
            distributed.new_group([0, 1])
    finally:
        distributed.destroy_process_group()
    assert distributed.group.WORLD is None
    assert not hasattr(distributed, "send")


def test_collective_operations(group):
    x, others = cresset.arange(3.0), [cresset.zeros(3)]
    assert distributed.all_reduce(x, distributed.ReduceOp.AVG) is None
    assert distributed.all_reduce(x, async_op=True).wait()
    distributed.broadcast(x, 0)
    distributed.all_gather(others, x)
    assert others[0].tolist() == [0, 1, 2]
    distributed.reduce_scatter_tensor(others[0], x + 1)
    distributed.scatter(x, others)
    assert x.tolist() == [1, 2, 3]
    objects = [None]
    distributed.all_gather_object(objects, "a")
    distributed.broadcast_object_list(objects)
    assert objects == ["a"]
    with pytest.raises(ValueError, match="one entry for each process"):
        distributed.all_gather([], x)
    with pytest.raises(TypeError, match="Expected a torch.Tensor"):
        distributed.all_reduce([1.0])


def test_a_wrapped_model(group):
    inner = nn.Linear(2, 1)
    model = nn.parallel.DistributedDataParallel(inner)
    with model.no_sync():
        model(cresset.ones(3, 2)).sum().backward()
    assert model.module is inner and inner.weight.grad.tolist() == [[3, 3]]
    assert [*model.state_dict()] == ["module.weight", "module.bias"]
    with pytest.raises(ValueError, match="device_ids"):
        nn.parallel.DistributedDataParallel(inner, device_ids=[0])
    with pytest.raises(RuntimeError, match="requires a gradient"):
        nn.parallel.DistributedDataParallel(nn.ReLU())


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("length", [0, 1, 5, 12, 13])
def test_shares_are_those_of_pytorch(shuffle, drop_last, length, torch):
    shares = []
    for rank in range(4):
        options = {"num_replicas": 4, "rank": rank, "shuffle": shuffle, "drop_last": drop_last}
        ours = DistributedSampler(range(length), seed=3, **options)
        theirs = torch.utils.data.DistributedSampler(range(length), seed=3, **options)
        for epoch in (0, 2):
            ours.set_epoch(epoch)
            theirs.set_epoch(epoch)
            assert len(ours) == len(theirs) and list(ours) == list(theirs)
        shares.append(list(ours))
    if length >= 4 and not drop_last:
        assert {number for share in shares for number in share} == {*range(length)}


def test_a_sampler_of_the_group(group):
    sampler = DistributedSampler(range(4), shuffle=False)
    assert [x.tolist() for x in DataLoader(range(4), 2, sampler=sampler)] == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="Invalid rank 2"):
        DistributedSampler(range(4), num_replicas=2, rank=2)
