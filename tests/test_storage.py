"""The storage of a tensor: what it shows, who shares it, how it grows and where it can go."""

import gc
import multiprocessing
import warnings

import numpy as np
import pytest

import cresset
from cresset import TypedStorage, UntypedStorage


def test_typed_storage_is_the_memory_of_all_views():
    x = cresset.arange(6.0).reshape(2, 3)
    storage = x.t()[1:].storage()
    assert (len(storage), storage.size(), storage.nbytes(), storage.element_size()) == (6, 6, 24, 4)
    assert storage.tolist() == list(storage) == [0, 1, 2, 3, 4, 5]
    storage[2] = 5
    storage[-1] = 7
    storage[3:5] = 9
    assert x.tolist() == [[0, 1, 5], [9, 9, 7]]
    x[0, 0] = 8
    assert storage[0] == 8 and storage[-6] == 8
    assert storage.data_ptr() == x.data_ptr() and storage.dtype is cresset.float32
    assert storage.type() == "torch.FloatStorage" and storage.device == cresset.device("cpu")
    assert storage == x.storage() and storage != cresset.ones(6).storage()
    assert hash(storage) == hash(x[1].storage())


def test_untyped_storage_is_bytes():
    x = cresset.tensor([1, 256], dtype=cresset.int16)
    storage = x.untyped_storage()
    assert storage.tolist() == [1, 0, 0, 1] and len(storage) == storage.nbytes() == 4
    storage[1] = 1
    assert x.tolist() == [257, 256]
    part = storage[2:]
    part[0] = 3
    assert x.tolist() == [257, 259]
    assert x.storage().untyped() == storage and isinstance(storage, UntypedStorage)
    del x, storage
    gc.collect()
    assert part.tolist() == [3, 1]


def test_storages_by_themselves():
    assert cresset.FloatStorage([1, 2]).tolist() == [1.0, 2.0]
    assert cresset.LongStorage(3).size() == 3
    assert TypedStorage([1, 2], dtype=cresset.int8).nbytes() == 2
    assert UntypedStorage(4).nbytes() == 4 and UntypedStorage([1, 2]).tolist() == [1, 2]
    storage = cresset.FloatStorage([1, 2])
    assert storage.double().dtype is cresset.float64 and storage.float() is storage
    assert storage.clone().fill_(3).tolist() == [3, 3] and storage.tolist() == [1, 2]
    assert storage.copy_(cresset.LongStorage([5, 6])).tolist() == [5, 6]
    assert cresset.is_storage(storage) and not cresset.is_storage(cresset.ones(2))


def test_storages_print_as_in_pytorch(torch):
    for ours, theirs in ((cresset.arange(3.0), torch.arange(3.0)),
                         (cresset.arange(2), torch.arange(2))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = str(theirs.storage())
        assert repr(ours.storage()) == expected
        assert repr(ours.untyped_storage()) == str(theirs.untyped_storage())


def test_places_outside_are_refused():
    storage = cresset.ones(3).storage()
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"index {index} out of range for storage of size 3"):
            storage[index]
        with pytest.raises(IndexError, match="out of range"):
            storage[index] = 1
    with pytest.raises(RuntimeError, match="slices are only supported"):
        storage[1:]


def test_writes_through_a_storage_are_noticed():
    w = cresset.ones(3, requires_grad=True)
    y = w * 2
    z = (y * y).sum()
    y.storage()[0] = 5
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


def test_set():
    x = cresset.arange(6.0).reshape(2, 3)
    y = cresset.zeros(0).set_(x)
    assert y.is_set_to(x) and x.is_set_to(x.view(2, 3)) and not x.is_set_to(x.view(6))
    assert cresset.zeros(0).set_(x.storage()).tolist() == [0, 1, 2, 3, 4, 5]
    assert cresset.zeros(0).set_(x.storage(), 1, (2,), (2,)).tolist() == [1, 3]
    assert cresset.zeros(0).set_(x.untyped_storage(), 4, (2,)).tolist() == [4, 5]
    assert cresset.zeros(0).set_(x, 1, (2, 2), (1, 1)).tolist() == [[1, 2], [2, 3]]
    assert y.set_().shape == (0,)
    del x
    gc.collect()
    view = cresset.ones(3)[1:].set_(cresset.zeros(2))
    assert not view._is_view() and view.tolist() == [0, 0]


def test_set_refuses():
    x = cresset.ones(4)
    with pytest.raises(RuntimeError, match="Could not set tensor of type"):
        cresset.zeros(0, dtype=cresset.int64).set_(x)
    with pytest.raises(RuntimeError, match="nothing negative"):
        cresset.zeros(0).set_(x.storage(), 0, (3,), (-1,))
    with pytest.raises(RuntimeError, match="not resizable"):
        cresset.zeros(0).set_(cresset.from_numpy(np.zeros(3, "f4")), 0, (4,))
    with pytest.raises(TypeError, match="need a tensor or a storage"):
        cresset.zeros(0).set_([1])


def test_growing_takes_all_views_along():
    x = cresset.arange(6.0).reshape(2, 3)
    row, data, storage = x[1], x.data, x.storage()
    alias = x.detach()
    x.resize_(500, 300)
    assert x.flatten()[:6].tolist() == [0, 1, 2, 3, 4, 5] and x.is_contiguous()
    gc.collect()
    cresset.full((6,), -1.0)
    for view, at in ((row, 3), (data, 0), (alias, 0)):
        view[..., 0] = 70
        assert x.flatten()[at].item() == 70
        x.flatten()[at] = 80
        assert view.flatten()[0].item() == 80
    assert len(storage) == 150000 and row.storage_offset() == 3
    storage[4] = 5
    assert row.tolist() == [70, 5, 5]


def test_shrinking_leaves_nothing_dangling():
    x = cresset.arange(1000.0)
    storage = x.untyped_storage()
    storage.resize_(0)
    assert len(storage) == 0 and x.storage().tolist() == []
    gc.collect()
    cresset.full((1000,), -1.0)
    assert x.sum().item() == 499500
    storage.resize_(4000)
    assert x.storage().tolist() == list(range(1000))


def test_resize_changes_the_shape_alone():
    x = cresset.arange(6.0).reshape(2, 3)
    address = x.data_ptr()
    assert x.resize_(2, 2).tolist() == [[0, 1], [2, 3]] and x.data_ptr() == address
    assert x.resize_((3,)).tolist() == [0, 1, 2]
    assert x.resize_as_(cresset.ones(1, 2)).tolist() == [[0, 1]]
    assert x.t().resize_(2, 1).stride() == (1, 2)
    assert cresset.arange(6.0)[2:].resize_(3).tolist() == [2, 3, 4]


def test_resize_refuses():
    with pytest.raises(RuntimeError, match="cannot resize variables that require grad"):
        cresset.ones(2, requires_grad=True).resize_(3)
    with pytest.raises(RuntimeError, match="must not be negative"):
        cresset.ones(2).resize_(-1)
    with pytest.raises(RuntimeError, match="not resizable"):
        cresset.from_numpy(np.zeros(3)).resize_(20)


@pytest.mark.parametrize("lend", [
    lambda x: x.numpy(), np.asarray, np.from_dlpack, lambda x: x.__dlpack__(),
])
def test_lent_memory_does_not_move(lend):
    x = cresset.arange(3.0)
    lent = lend(x[1:])
    with pytest.raises(RuntimeError, match="an array or another library is using its memory"):
        x.resize_(10000)
    assert x.tolist() == [0, 1, 2]
    del lent
    assert x.resize_(10000)[:3].tolist() == [0, 1, 2]


def test_growing_is_refused_where_views_could_be_overlooked():
    x = cresset.arange(3.0)
    gc.freeze()
    try:
        with pytest.raises(RuntimeError, match=r"gc\.freeze"):
            x.resize_(10000)
    finally:
        gc.unfreeze()


def test_values_that_moved_are_not_read_by_backward():
    w = cresset.ones(3, requires_grad=True)
    y = w.exp()
    y.detach().resize_(10000)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


# --- sharing with other processes -----------------------------------------------------------------
def answer(received, sent, done):
    x = received.get()
    x[0] = 42
    sent.put(x[1:])
    done.wait()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_shared_memory_is_seen_by_processes(method):
    context = multiprocessing.get_context(method)
    received, sent, done = context.Queue(), context.Queue(), context.Event()
    x = cresset.arange(3.0)
    view = x[1:]
    assert x.share_memory_() is x and view.is_shared() and x.storage().is_shared()
    child = context.Process(target=answer, args=(received, sent, done))
    child.start()
    received.put(x)
    back = sent.get(timeout=60)
    assert x[0].item() == 42
    back[0] = 7
    assert view.tolist() == [7, 2]
    done.set()
    child.join()


def test_sharing():
    x = cresset.zeros(0).share_memory_()
    assert x.is_shared() and not cresset.ones(2).is_shared()
    storage = cresset.ones(2).storage()
    assert storage.share_memory_() is storage and storage.tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="not resizable"):
        cresset.from_numpy(np.zeros(3)).share_memory_()


def test_views_of_what_changed_shape_need_no_history():
    x = cresset.zeros(2, 3)
    row = x[0]
    x.resize_(3, 4)
    row[1] = 5
    assert x[0, 1].item() == 5
    with pytest.raises(RuntimeError, match="changed in shape in place"):
        row.add_(cresset.ones(3, requires_grad=True))
