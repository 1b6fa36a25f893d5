"""Exchange with NumPy, buffers, DLPack, copy and pickle: memory is shared, and lives on."""

import copy
import ctypes
import gc
import pickle
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

import cresset
from cresset import nn

TYPES = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
         "float16", "float32", "float64", "complex64", "complex128")


def churn():
    """Free what nobody holds, and have its memory written over."""
    gc.collect()
    for n in (4, 16, 64, 256):
        cresset.full((n,), -1.0)


class Array(np.ndarray):
    """An array that can be watched."""


def watched(*shape):
    """An array with the elements 0, 1, ..., and a function that says whether it lives."""
    array = np.arange(float(np.prod(shape))).reshape(shape).view(Array)
    return array, weakref.ref(array)


# --- NumPy ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", TYPES)
def test_arrays_share_memory_both_ways(name):
    array = np.zeros((2, 3), name)
    x = cresset.from_numpy(array)
    assert (x.dtype, x.shape, x.data_ptr()) == (getattr(cresset, name), (2, 3), array.ctypes.data)
    back = x.numpy()
    assert back.dtype == array.dtype and back.ctypes.data == array.ctypes.data
    array[1, 2] = 1
    assert back[1, 2] == 1


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_types_of_ml_dtypes_share_memory(name):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="NumPy has no such type by itself")
    array = np.zeros(3, getattr(ml_dtypes, name))
    x = cresset.from_numpy(array)
    assert x.dtype is getattr(cresset, name)
    back = x.numpy()
    back[1] = 1.5
    assert back.dtype == array.dtype and array[1] == 1.5


def test_types_without_a_counterpart_are_refused(monkeypatch):
    from cresset.ops.exchange import arrays

    arrays.array_type.cache_clear()
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(TypeError, match=r"unsupported ScalarType bfloat16.*convert"):
        cresset.empty(2, dtype=cresset.bfloat16).numpy()
    arrays.array_type.cache_clear()


def test_arrays_of_views_have_their_strides():
    x = cresset.arange(24.0).reshape(2, 3, 4)
    for view in (x.transpose(0, 2), x[1, ::2, 1:], x[:, 1], x[0, 0, 0], x.expand(5, 2, 3, 4)):
        array = view.numpy()
        assert array.strides == tuple(4 * s for s in view.stride())
        assert array.tolist() == view.tolist()
        assert array.ctypes.data == view.data_ptr()
        assert cresset.from_numpy(array).stride() == view.stride()


def test_tensor_goes_first():
    x = cresset.arange(5.0)
    array, interface = x.numpy(), np.asarray(x[1:])
    del x
    churn()
    assert array.tolist() == [0, 1, 2, 3, 4] and interface.tolist() == [1, 2, 3, 4]
    array[1] = 9
    assert interface[0] == 9


def test_array_goes_first():
    array, alive = watched(2, 3)
    view = cresset.from_numpy(array)[1]
    del array
    churn()
    assert alive() is not None and view.tolist() == [3, 4, 5]
    view[0] = 7
    assert alive()[1, 0] == 7
    del view
    gc.collect()
    assert alive() is None


def test_memory_goes_round():
    """Tensor to array to tensor: the first owner lives as long as the last user."""
    x = cresset.arange(3.0)
    last = cresset.from_numpy(np.asarray(cresset.from_numpy(x.numpy())))
    address = x.data_ptr()
    del x
    churn()
    assert last.data_ptr() == address and last.tolist() == [0, 1, 2]


def test_empty_arrays():
    for shape in ((0,), (0, 3), (2, 0)):
        assert cresset.zeros(shape).numpy().shape == shape
        assert cresset.from_numpy(np.zeros(shape)).shape == shape


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(ValueError, match=r"stride.*is negative.*array\.copy\(\)"):
        cresset.from_numpy(np.arange(5)[::-1])
    with pytest.raises(ValueError, match="negative"):
        cresset.tensor(np.arange(5)[::-1])
    with pytest.raises(ValueError, match="byte order"):
        cresset.from_numpy(np.arange(3).astype(">i4"))
    with pytest.raises(ValueError, match="not a multiple of the element byte size"):
        cresset.from_numpy(np.zeros((3, 3), dtype="i4,f8")["f1"])
    with pytest.raises(TypeError, match=r"can't convert np\.ndarray of type"):
        cresset.from_numpy(np.array(["a"]))
    for thing in (3, [1], np.float32(3)):
        with pytest.raises(TypeError, match=r"expected np\.ndarray \(got "):
            cresset.from_numpy(thing)


def test_gradients_are_not_lost_silently():
    x = cresset.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="Can't call numpy"):
        x.numpy()
    with pytest.raises(RuntimeError, match="Can't call numpy"):
        np.asarray(x)
    array = x.numpy(force=True)
    array[0] = 5
    assert x[0].item() == 5


def test_read_only_arrays_are_warned_about():
    array = np.arange(3.0)
    array.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        assert cresset.from_numpy(array).data_ptr() == array.ctypes.data
    with pytest.warns(UserWarning, match="not writable"):
        cresset.as_tensor(array)
    assert cresset.tensor(array).data_ptr() != array.ctypes.data


def test_array_protocol():
    x = cresset.arange(3.0)
    assert np.asarray(x, np.float64).dtype == np.float64
    assert np.array(x).ctypes.data != x.data_ptr() == np.asarray(x).ctypes.data
    assert np.array(x, copy=False).ctypes.data == x.data_ptr()
    with pytest.raises(ValueError, match="Unable to avoid copy"):
        x.__array__(np.float64, copy=False)
    assert x.__array__(copy=True).ctypes.data != x.data_ptr()
    assert x.__array_interface__["shape"] == (3,) and x.__array_interface__["typestr"] == "<f4"


def test_numpys_functions_give_tensors():
    x = cresset.arange(3.0)
    for result in (np.sin(x), np.add(x.numpy(), x), np.float32(2) * x):
        assert isinstance(result, cresset.Tensor)
    assert np.isnan(x).dtype is cresset.uint8


def test_lists_of_numpys():
    x = cresset.tensor([np.array([1, 2]), np.array([3, 4])])
    assert (x.dtype, x.tolist()) == (cresset.int64, [[1, 2], [3, 4]])
    assert cresset.tensor([np.float32(1), np.float32(2)]).dtype is cresset.float32
    assert cresset.tensor([np.float64(1.5)]).dtype is cresset.float32
    assert cresset.tensor([np.int32(1)]).dtype is cresset.int32


def write_everywhere(x):
    """Every way to write to a float64 tensor of three elements."""
    yield lambda: x.add_(1)
    yield lambda: x.fill_(0)
    yield lambda: x.copy_(cresset.zeros(3))
    yield lambda: x[1:].zero_()
    yield lambda: x.__setitem__(0, 1)
    yield lambda: x.__setitem__(cresset.tensor([0, 1]), 1.0)
    yield lambda: x.data.mul_(2)
    yield lambda: x.detach().uniform_()
    yield lambda: cresset.add(x.clone(), 1, out=x)
    yield lambda: x.storage().__setitem__(0, 1)
    yield lambda: x.scatter_(0, cresset.tensor([0]), 1.0)
    yield lambda: x.index_add_(0, cresset.tensor([0]), cresset.ones(1, dtype=cresset.float64))


def test_protected_memory_is_not_written(tmp_path):
    """To write to a page that is mapped to be read would end the process."""
    np.arange(3.0).tofile(tmp_path / "numbers")
    mapped = np.memmap(tmp_path / "numbers", np.float64, "r")
    with pytest.warns(UserWarning, match="not writable"):
        x = cresset.from_numpy(mapped)
    for write in write_everywhere(x):
        with pytest.raises(RuntimeError, match="must not be written"):
            write()
    assert x.tolist() == [0, 1, 2] and (x + 1).tolist() == [1, 2, 3]
    assert not x.numpy().flags.writeable and x.clone().add_(1).tolist() == [1, 2, 3]
    with pytest.warns(UserWarning, match="not writable"):
        p = nn.Parameter(cresset.from_numpy(mapped))
    p.grad = cresset.ones(3, dtype=cresset.float64)
    with pytest.raises(RuntimeError, match="must not be written"):
        cresset.optim.SGD([p], lr=0.1).step()


# --- whatever there is ----------------------------------------------------------------------------
def test_as_tensor():
    x, array = cresset.ones(2), np.zeros(2)
    assert cresset.as_tensor(x) is x
    assert cresset.as_tensor(x, dtype=cresset.float64).dtype is cresset.float64
    assert cresset.as_tensor(array).data_ptr() == array.ctypes.data
    assert cresset.as_tensor(np.float32(3)).tolist() == 3
    assert cresset.as_tensor([1, 2]).tolist() == [1, 2]


def test_asarray():
    x, array = cresset.ones(2, requires_grad=True), np.zeros(2)
    assert cresset.asarray(x) is x and cresset.asarray(x, copy=True) is not x
    assert not cresset.asarray(x, requires_grad=False).requires_grad
    assert cresset.asarray([1.0], requires_grad=True).requires_grad
    assert cresset.asarray(array).data_ptr() == array.ctypes.data
    assert cresset.asarray(array, copy=True).data_ptr() != array.ctypes.data
    assert cresset.asarray(bytearray(8)).tolist() == [0, 0]
    for given in ({"obj": [1], "copy": False},
                  {"obj": array, "dtype": cresset.int8, "copy": False}):
        with pytest.raises(ValueError, match="asarray: can't alias"):
            cresset.asarray(**given)


def test_buffers_are_shared_and_locked():
    buffer = bytearray(16)
    x = cresset.frombuffer(buffer, dtype=cresset.float32)
    x[1] = 1.0
    assert buffer[4:8] == np.float32(1).tobytes()
    with pytest.raises(BufferError):
        buffer.extend(b"more")
    assert cresset.frombuffer(buffer, dtype=cresset.int16, count=2, offset=5).numel() == 2
    part = x[1:]
    del x, buffer
    churn()
    assert part[0].item() == 1.0


@pytest.mark.parametrize("given, problem", [
    ({"buffer": bytearray(8), "count": 3}, "requested buffer length"),
    ({"buffer": bytearray(7)}, "must be a multiple of element size"),
    ({"buffer": bytearray(0)}, "must not be 0"),
    ({"buffer": bytearray(8), "count": 0}, "must not be 0"),
    ({"buffer": bytearray(8), "offset": 8}, "must be non-negative and no greater"),
    ({"buffer": bytearray(8), "offset": -1}, "must be non-negative and no greater"),
    ({"buffer": 3}, "does not implement Python buffer protocol"),
])
def test_buffers_that_do_not_fit(given, problem):
    with pytest.raises(ValueError, match=problem):
        cresset.frombuffer(**given, dtype=cresset.float32)


WRITABLE, FORMAT, ND, STRIDES, C_ORDER, FORTRAN, ANY = 0x1, 0x4, 0x8, 0x18, 0x38, 0x58, 0x98
"""CPython's PyBUF_*, as `inspect.BufferFlags` has them from Python 3.12 on."""


def consume(exporter, flags):
    """Ask an object for its buffer through the C API, as every consumer does."""
    room = ctypes.create_string_buffer(256)
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(exporter), room, flags)
    ctypes.pythonapi.PyBuffer_Release(room)


@pytest.mark.parametrize("name", TYPES)
def test_a_tensors_buffer_is_that_of_its_array(name):
    x = cresset.arange(6).to(getattr(cresset, name)).reshape(2, 3).t()
    view, expected = x.__buffer__(STRIDES), memoryview(x.numpy())
    assert (view.format, view.shape, view.strides) == (
        expected.format, expected.shape, expected.strides)
    assert view.tobytes() == expected.tobytes() and not view.readonly


def test_a_buffer_shares_memory_and_keeps_it():
    x = cresset.arange(4, dtype=cresset.int16)
    view = x.__buffer__(WRITABLE)
    view[2] = 9
    assert x[2].item() == 9
    with pytest.raises(RuntimeError, match="resize"):
        x.resize_(10_000)
    del x
    churn()
    assert view.tolist() == [0, 1, 9, 3]
    assert cresset.zeros(0, 3).__buffer__(0).shape == (0, 3)
    assert cresset.tensor(7).__buffer__(0).tobytes() == np.int64(7).tobytes()


@pytest.mark.parametrize("flags", [
    flags | more for flags in (0, ND, STRIDES, C_ORDER, FORTRAN, ANY, STRIDES | FORMAT)
    for more in (0, WRITABLE)
])
def test_buffers_refuse_what_numpy_refuses(flags):
    protected = np.ones((2, 3))
    protected.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        x = cresset.from_numpy(protected)
    whole = cresset.ones(4, 4)
    for tensor in (whole, whole[:2], whole[1:, ::2], whole[:3].t(), whole[0, 0], x):
        try:
            consume(tensor.numpy(), flags)
        except ValueError:
            with pytest.raises(BufferError, match="the consumer needs"):
                tensor.__buffer__(flags)
        else:
            consume(tensor.__buffer__(flags), flags)


def test_what_has_no_buffer():
    with pytest.raises(RuntimeError, match="requires grad"):
        cresset.ones(2, requires_grad=True).__buffer__(0)
    with pytest.raises(TypeError, match="meta"):
        cresset.empty(2, device="meta").__buffer__(0)
    with pytest.raises((TypeError, BufferError), match="bfloat16"):
        cresset.ones(2, dtype=cresset.bfloat16).__buffer__(0)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python calls __buffer__ from 3.12 on")
def test_python_finds_a_tensors_buffer():
    x = cresset.arange(4, dtype=cresset.uint8)
    assert bytes(x) == bytearray(memoryview(x)) == b"\x00\x01\x02\x03"


# --- DLPack ---------------------------------------------------------------------------------------
def test_dlpack_shares_memory_with_numpy():
    x = cresset.arange(6.0).reshape(2, 3).t()
    array = np.from_dlpack(x)
    assert array.strides == (4, 12) and array.flags.writeable
    array[2, 1] = 9
    assert x[2, 1].item() == 9
    back = cresset.from_dlpack(array)
    assert (back.data_ptr(), back.stride()) == (x.data_ptr(), x.stride())
    del x, array
    churn()
    assert back.tolist() == [[0, 3], [1, 4], [2, 9]]


@pytest.mark.parametrize("name", [*TYPES, "bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_dlpack_carries_every_type(name):
    x = cresset.empty(3, dtype=getattr(cresset, name))
    assert cresset.from_dlpack(x).dtype is x.dtype
    assert cresset.from_dlpack(x.__dlpack__()).data_ptr() == x.data_ptr()


@pytest.mark.parametrize("name", [*TYPES, "bfloat16"])
def test_dlpack_with_pytorch(name, torch):
    x = cresset.zeros(2, 3).to(getattr(cresset, name))
    theirs = torch.from_dlpack(x)
    assert (theirs.dtype, theirs.data_ptr()) == (getattr(torch, name), x.data_ptr())
    ours = cresset.from_dlpack(theirs.t())
    assert (ours.dtype, ours.stride(), ours.data_ptr()) == (x.dtype, (1, 3), x.data_ptr())
    del x, theirs
    churn()
    assert ours.shape == (3, 2)


def test_dlpack_source_lives_as_long_as_the_tensor():
    array, alive = watched(3)
    x = cresset.from_dlpack(array)[1:]
    del array
    churn()
    assert alive() is not None and x.tolist() == [1, 2]
    del x
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("version", [None, (1, 0)])
def test_capsules_give_back_what_nobody_took(version):
    before = cresset.memory_stats()["allocation.all.current"]
    x = cresset.ones(1000)
    capsule = x.__dlpack__(max_version=version)
    copied = x.__dlpack__(max_version=version, copy=True)
    taken = cresset.from_dlpack(copied)
    del x
    assert cresset.memory_stats()["allocation.all.current"] == before + 2
    del capsule
    assert cresset.memory_stats()["allocation.all.current"] == before + 1
    del copied
    assert taken.sum().item() == 1000
    del taken
    gc.collect()
    assert cresset.memory_stats()["allocation.all.current"] == before


def test_capsule_is_taken_once():
    x = cresset.ones(2)
    for version, name in ((None, "dltensor"), ((1, 0), "dltensor_versioned")):
        capsule = x.__dlpack__(max_version=version)
        assert f'"{name}"' in repr(capsule)
        cresset.from_dlpack(capsule)
        assert f'"used_{name}"' in repr(capsule)
        with pytest.raises(ValueError, match="only once"):
            cresset.from_dlpack(capsule)


def test_capsules_die_in_other_threads():
    """A deleter may be called without the GIL; it takes it."""
    before = cresset.memory_stats()["allocation.all.current"]
    capsules = [cresset.ones(100).__dlpack__() for _ in range(20)]
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_SetName", ctypes.pythonapi)
    )
    used = b"used_dltensor"

    def take():
        for capsule in capsules[:10]:
            address = pointer(capsule, b"dltensor")
            rename(capsule, used)
            deleter = ctypes.c_void_p.from_address(address + 56).value
            ctypes.CFUNCTYPE(None, ctypes.c_void_p)(deleter)(address)
        del capsules[10:]

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert cresset.memory_stats()["allocation.all.current"] == before


def test_capsules_outlive_the_interpreter():
    program = """if True:
        import sys, cresset, numpy
        kept = cresset.ones(5).__dlpack__(), cresset.from_dlpack(numpy.ones(3)), \
            numpy.from_dlpack(cresset.ones(3))
        sys.kept = kept
        class Last:
            def __del__(self, kept=[cresset.ones(5).__dlpack__(max_version=(1, 0))]): kept.clear()
        sys.last = Last()
        loop = [cresset.ones(2).__dlpack__()]
        loop.append(loop)
    """
    subprocess.run([sys.executable, "-c", program], check=True)


def test_dlpack_is_refused_where_it_cannot_be():
    x = cresset.ones(2)
    assert x.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError, match="require gradient"):
        cresset.ones(2, requires_grad=True).__dlpack__()
    with pytest.raises(BufferError, match="dl_device"):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(AssertionError, match="stream should be None"):
        x.__dlpack__(stream=1)
    with pytest.raises(BufferError, match="no device 'cuda'"):
        cresset.from_dlpack(x, device="cuda")
    with pytest.raises(ValueError, match="negative strides"):
        cresset.from_dlpack(np.arange(3)[::-1])
    with pytest.raises(RuntimeError, match="need an array or tensor"):
        cresset.from_dlpack(3)


def test_read_only_dlpack_is_warned_about():
    array = np.arange(3.0)
    array.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        assert cresset.from_dlpack(array).data_ptr() == array.ctypes.data


def test_utils_dlpack():
    from cresset.utils.dlpack import from_dlpack, to_dlpack

    x = cresset.ones(2)
    assert from_dlpack(to_dlpack(x)).data_ptr() == x.data_ptr()


# --- copy and pickle ------------------------------------------------------------------------------
def pickled(thing):
    return pickle.loads(pickle.dumps(thing))


@pytest.mark.parametrize("again", [copy.deepcopy, pickled])
def test_copies_share_what_was_shared(again):
    x = cresset.arange(6.0).reshape(2, 3)
    rows = again([x[0], x[1], x.t()])
    assert rows[2].stride() == (1, 3) and rows[1].storage_offset() == 3
    rows[0][1] = 9
    assert rows[2].tolist() == [[0, 3], [9, 4], [2, 5]]
    assert x[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", [*TYPES, "bfloat16", "float8_e5m2"])
def test_pickle_carries_every_type(name, protocol):
    x = cresset.arange(6).reshape(2, 3).t().to(getattr(cresset, name))
    again = pickle.loads(pickle.dumps(x, protocol))
    assert (again.dtype, again.stride()) == (x.dtype, x.stride())
    assert bytes(again.untyped_storage().tolist()) == bytes(x.untyped_storage().tolist())


def test_pickle_out_of_band_shares_memory():
    x, buffers = cresset.arange(3.0), []
    content = pickle.dumps(x, 5, buffer_callback=buffers.append)
    again = pickle.loads(content, buffers=buffers)
    again[0] = 9
    assert x[0].item() == 9


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_copies_keep_class_attributes_and_requires_grad(again):
    p = nn.Parameter(cresset.ones(2))
    p.note = "here"
    found = again(p)
    assert type(found) is nn.Parameter and found.requires_grad and found.tolist() == [1, 1]
    assert found.is_leaf
    if again is not copy.deepcopy:
        assert found.note == "here"
    x = cresset.ones(2, requires_grad=True)
    x.note = "there"
    assert again(x).requires_grad and again(x).note == "there"
    assert (again(x).data_ptr() == x.data_ptr()) == (again is copy.copy)
    assert not again(cresset.ones(2)).requires_grad


def test_deepcopy_of_results_is_refused():
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(cresset.ones(2, requires_grad=True) * 2)
    x = cresset.ones(2, requires_grad=True)
    (x * 2).sum().backward()
    assert copy.deepcopy(x).grad.tolist() == [2, 2]
