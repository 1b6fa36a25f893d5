"""Checkpoints: what is saved comes back, shared memory too; what is damaged is refused."""

import io
import json
import math
import os
import pickle
import zipfile
from collections import Counter, OrderedDict

import numpy
import pytest

import cresset
from cresset import nn, optim
from cresset.serialization import load, save


def round_trip(value):
    file = io.BytesIO()
    save(value, file)
    file.seek(0)
    return load(file)


def assert_same(a, b, place="value"):
    assert type(a) is type(b), place
    if isinstance(a, cresset.Tensor):
        assert a.dtype is b.dtype, place
        assert a.shape == b.shape, place
        assert tuple(a.stride()) == tuple(b.stride()), place
        assert a.requires_grad == b.requires_grad, place
        assert a.tolist() == b.tolist(), place
    elif isinstance(a, dict):
        assert list(a) == list(b), place
        for key in a:
            assert_same(a[key], b[key], f"{place}[{key!r}]")
        assert_same(getattr(a, "_metadata", None), getattr(b, "_metadata", None), place)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), place
        for k, (entry, other) in enumerate(zip(a, b)):
            assert_same(entry, other, f"{place}[{k}]")
    elif isinstance(a, numpy.ndarray):
        assert a.dtype == b.dtype
        assert numpy.array_equal(a, b)
    else:
        assert a == b or (a != a and b != b), place


PLAIN = [
    None,
    True,
    3,
    -(10**40),
    2.5,
    -0.0,
    math.nan,
    -math.inf,
    1 - 2j,
    "text ä\n\0 ☃",
    b"bytes \0\xff",
    [],
    [1, [2, [3]]],
    (),
    (1, (2,)),
    {},
    {"a": 1, 2: {"b": None}, ("c", 3): 4, None: 5, 2.5: 6, True: 7},
    OrderedDict(x=1, y=[2]),
    Counter("abca"),
    {1, 2},
    frozenset("a"),
    cresset.Size([2, 3]),
    cresset.float32,
    cresset.device("cpu"),
    numpy.arange(6).reshape(2, 3).T,
    numpy.float64(2.5),
    numpy.array(["a"])[:0].view("uint8"),
]


@pytest.mark.parametrize("value", PLAIN, ids=str)
def test_plain_values(value):
    assert_same(round_trip(value), value)


def tensors():
    return {
        "float32": cresset.arange(6.0).view(2, 3),
        "float64": cresset.ones(2, dtype=cresset.float64),
        "int64": cresset.arange(5),
        "int8": cresset.tensor([-1, 2], dtype=cresset.int8),
        "bool": cresset.tensor([True, False]),
        "number": cresset.tensor(3.5),
        "empty": cresset.empty(0, 3),
        "transposed": cresset.arange(6.0).view(2, 3).t(),
        "expanded": cresset.ones(1).expand(4, 5),
        "stepped": cresset.arange(10)[1::3],
        "learning": cresset.ones(2).requires_grad_(),
    }


@pytest.mark.parametrize("name", tensors())
def test_tensors(name):
    assert_same(round_trip(tensors()[name]), tensors()[name])


def test_parameters():
    parameter = round_trip(nn.Parameter(cresset.ones(2), requires_grad=False))
    assert isinstance(parameter, nn.Parameter)
    assert not parameter.requires_grad
    assert parameter.tolist() == [1.0, 1.0]
    assert round_trip(nn.Parameter(cresset.ones(2)) * 2).requires_grad


def test_views_stay_views():
    base = cresset.arange(100.0)
    saved = {"a": base[10:20], "b": base[5:15:2], "whole": base}
    loaded = round_trip(saved)
    assert_same(loaded, saved)
    loaded["whole"][11] = -1
    assert loaded["a"][1].item() == -1
    assert loaded["b"][3].item() == -1
    assert base[11].item() == 11


def test_a_small_view_makes_a_small_file():
    file = io.BytesIO()
    save(cresset.zeros(100_000)[500:510], file)
    assert len(file.getvalue()) < 2000


def test_model_and_optimizer(tmp_path):
    # Rows in a line would leave nothing of the gradient behind the normalization but rounding.
    x = cresset.randn(5, 3, generator=cresset.Generator().manual_seed(0))

    def made():
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        return model, optim.Adam(model.parameters(), lr=0.1)

    def step(model, optimizer):
        optimizer.zero_grad()
        model(x).abs().sum().backward()
        optimizer.step()

    model, optimizer = made()
    schedule = optim.lr_scheduler.MultiStepLR(optimizer, [1, 3])
    step(model, optimizer)
    schedule.step()
    saved = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
    }
    path = tmp_path / "checkpoint.pt"
    save(saved, path)
    loaded = load(path)
    assert_same(loaded, saved)
    other, other_optimizer = made()
    other.load_state_dict(loaded["model"])
    other_optimizer.load_state_dict(loaded["optimizer"])
    step(model, optimizer)
    step(other, other_optimizer)
    for a, b in zip(model.parameters(), other.parameters()):
        assert a.tolist() == b.tolist()


def test_places_to_save_to(tmp_path):
    path = tmp_path / "a.pt"
    save([1], str(path))
    assert load(path) == [1]
    with path.open("rb") as file:
        assert load(file) == [1]
    with path.open("wb") as file:
        save([2], file)
    assert load(path) == [2]
    link = tmp_path / "link.pt"
    link.symlink_to(path)
    save([3], link)
    assert link.is_symlink()
    assert load(path) == [3]
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.pt")


def test_a_failing_save_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.pt"
    save([1], path)
    os.chmod(path, 0o640)

    class Failing:
        """A local class, which no pickle can name."""

    with pytest.raises(AttributeError):
        save([1, Failing()], path)
    assert load(path) == [1]
    save([2], path)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pt"]


def test_an_interrupted_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.pt"
    save([1], path)

    def full(file):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        save([2], path)
    monkeypatch.undo()
    assert load(path) == [1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pt"]


def test_equal_values_give_equal_files():
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        save(tensors(), file)
    assert files[0].getvalue() == files[1].getvalue()


def test_payloads_are_aligned_and_stored():
    file = io.BytesIO()
    save([tensors(), "x" * 77], file)
    for info in zipfile.ZipFile(file).infolist():
        assert info.compress_type == zipfile.ZIP_STORED
        file.seek(info.header_offset + 26)
        name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
        assert (info.header_offset + 30 + name + extra) % 64 == 0


def test_map_location():
    file = io.BytesIO()
    save(cresset.ones(2), file)
    calls = []

    def stay(tensor, location):
        calls.append(location)
        return tensor

    for target in ("cpu", cresset.device("cpu"), {"cpu": "cpu"}, {"cuda:0": "cpu"}, stay):
        file.seek(0)
        assert load(file, target).tolist() == [1.0, 1.0]
    assert calls == ["cpu"]


def test_files_that_are_no_checkpoints():
    with pytest.raises(EOFError, match="is empty"):
        load(io.BytesIO())
    for content in (b"text" * 100, pickle.dumps([1])):
        with pytest.raises(RuntimeError, match="no checkpoint"):
            load(io.BytesIO(content))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme", "nothing")
    with pytest.raises(RuntimeError, match="no checkpoint"):
        load(file)


def test_damaged_bytes():
    file = io.BytesIO()
    save(cresset.arange(1000), file)
    content = file.getvalue()
    for cut in (10, 500, len(content) - 30):
        with pytest.raises(RuntimeError):
            load(io.BytesIO(content[:cut]))
        with pytest.raises(RuntimeError):
            load(io.BytesIO(content[cut:]))
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    with pytest.raises(RuntimeError, match="damaged: 'storages/0' cannot be read"):
        load(io.BytesIO(flipped))


def edited(**changes):
    """A checkpoint of two float32 numbers with changes to its manifest."""
    source = io.BytesIO()
    save(cresset.ones(2), source)
    target = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        manifest = json.loads(old.read("manifest.json"))
        manifest.update(changes)
        new.writestr("manifest.json", json.dumps(manifest))
        new.writestr("storages/0", old.read("storages/0"))
    return target


RECORD = {
    "storage": 0,
    "dtype": "float32",
    "shape": [2],
    "strides": [1],
    "offset": 0,
    "requires_grad": False,
}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": "other"}, "does not describe"),
        ({"version": 99}, "version 99"),
        ({"storages": [5]}, "has 8 bytes; need 5"),
        ({"storages": [8, 8]}, "no 'storages/1'"),
        ({"storages": 3}, "no list of sizes"),
        ({"value": {"code": "print()"}}, "a value is described"),
        ({"value": {"dict": [1]}}, "a dict is described"),
        ({"value": {"dict": [[[], 1]]}}, "a key is described"),
        ({"value": {"set": 3}}, "a sequence is described"),
        ({"value": {"bytes": "?"}}, "a bytes object is described"),
        ({"value": {"float": "1e5"}}, "a number is described"),
        ({"value": {"dtype": "eval"}}, "no element type"),
        ({"value": {"tensor": {}}}, "a tensor is described"),
        ({"value": {"tensor": {**RECORD, "shape": [3]}}}, "reaches to byte 12"),
        ({"value": {"tensor": {**RECORD, "shape": [10**15]}}}, "reaches to byte"),
        ({"value": {"tensor": {**RECORD, "shape": [2**70]}}}, "need integers"),
        ({"value": {"tensor": {**RECORD, "shape": [-2]}}}, "need integers"),
        ({"value": {"tensor": {**RECORD, "strides": [-1]}}}, "need integers"),
        ({"value": {"tensor": {**RECORD, "strides": [1, 1]}}}, "has shape"),
        ({"value": {"tensor": {**RECORD, "offset": 1}}}, "reaches to byte 12"),
        ({"value": {"tensor": {**RECORD, "dtype": "float64"}}}, "reaches to byte 16"),
        ({"value": {"tensor": {**RECORD, "dtype": "__class__"}}}, "no element type"),
        ({"value": {"tensor": {**RECORD, "storage": 1}}}, "storage 1 is named"),
        ({"value": {"array": {"storage": 0, "dtype": "O", "shape": [1]}}}, "element type"),
        ({"value": {"array": {"storage": 0, "dtype": "<f8", "shape": [2]}}}, "need 16"),
    ],
)
def test_damaged_manifests(changes, text):
    assert load(edited()).tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match=text):
        load(edited(**changes))


def test_deep_and_compressed_manifests():
    for depth, compression, text in (
        (100_000, zipfile.ZIP_STORED, "damaged"),
        (1, zipfile.ZIP_DEFLATED, "compressed"),
    ):
        file = io.BytesIO()
        nested = "[" * depth + "]" * depth
        with zipfile.ZipFile(file, "w", compression) as archive:
            head = '{"format": "cresset checkpoint", "version": 1, "storages": [], "value": '
            archive.writestr("manifest.json", head + nested + "}")
        with pytest.raises(RuntimeError, match=text):
            load(file)


def test_pytorchs_checkpoints(torch):
    base = torch.arange(10.0)
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(4, 2)).sum().backward()
    optimizer.step()
    saved = {
        "model": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "views": [base[2:4], base[:6].view(2, 3).t(), torch.empty(0, 2)],
        "types": [torch.ones(2, dtype=t) for t in (torch.int64, torch.bool, torch.float64)],
        "parameter": torch.nn.Parameter(torch.ones(2), requires_grad=False),
        "learning": torch.ones(2, requires_grad=True),
        "rest": (1, 2.5, None, "text", b"bytes", 1 + 2j, {3}, torch.float32, Counter("aab")),
    }
    file = io.BytesIO()
    torch.save(saved, file)
    loaded = load(file)
    assert isinstance(loaded["model"], OrderedDict)
    assert loaded["model"]._metadata == saved["model"]._metadata
    for key, value in saved["model"].items():
        assert numpy.array_equal(loaded["model"][key].numpy(), value.numpy())
    assert loaded["optimizer"]["param_groups"] == saved["optimizer"]["param_groups"]
    assert loaded["optimizer"]["state"][0]["step"].item() == 1
    assert [tensor.tolist() for tensor in loaded["views"]] == [t.tolist() for t in saved["views"]]
    loaded["views"][0][0] = -1
    assert loaded["views"][1][2, 0].item() == -1
    assert [str(t.dtype).split(".")[1] for t in loaded["types"]] == ["int64", "bool", "float64"]
    assert isinstance(loaded["parameter"], nn.Parameter)
    assert not loaded["parameter"].requires_grad
    assert loaded["learning"].requires_grad
    assert loaded["rest"][:7] == saved["rest"][:7]
    assert loaded["rest"][7] is cresset.float32
    assert loaded["rest"][8] == Counter("aab")


def test_pytorchs_code_is_never_run(torch, tmp_path):
    target = tmp_path / "ran"

    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(target),)

    for value in (Harmful(), torch.nn.Linear(1, 1), torch.ones):
        file = io.BytesIO()
        torch.save({"x": value}, file)
        file.seek(0)
        with pytest.raises(pickle.UnpicklingError, match="only running code could restore"):
            load(file)
    assert not target.exists()
    for value, trusting in ((torch.nn.Linear(1, 1), True), (torch.nn.Linear(1, 1), False)):
        file = io.BytesIO()
        torch.save({"x": value}, file)
        with pytest.raises(pickle.UnpicklingError, match="restore"):
            load(file, weights_only=not trusting)


def archive_of(pickled):
    """A file as PyTorch would write it, around a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/data/0", numpy.ones(2, numpy.float32).tobytes())
    return file


STORAGE = b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"


def pickled_tensor(count, offset, size, stride):
    """A pickle of one tensor, with numbers of our choice."""
    shape = b"(K" + bytes([size]) + b"t(K" + bytes([stride]) + b"t\x89N"
    storage = STORAGE + bytes([count]) + b"tQ"
    return b"\x80\x02" + TENSOR + storage + b"K" + bytes([offset]) + shape + b"tR."


def test_damaged_checkpoints_of_pytorch():
    assert load(archive_of(pickled_tensor(2, 0, 2, 1))).tolist() == [1.0, 1.0]
    for numbers in ((3, 0, 2, 1), (2, 1, 2, 1), (2, 0, 3, 1), (2, 0, 2, 9)):
        with pytest.raises(RuntimeError, match="damaged"):
            load(archive_of(pickled_tensor(*numbers)))
    tensor = pickled_tensor(2, 0, 2, 1)[2:-1]
    for harmful in (
        b"",
        b"\x80\x02K\x01",
        b"\x80\x02]" + b"(" * 10 + b".",
        # Setting the state of a description, of a dtype, of a function.
        b"\x80\x02" + tensor + b"}X\x05\x00\x00\x00shapeK\x09sb.",
        b"\x80\x02ctorch\nfloat32\n}X\x08\x00\x00\x00itemsizeK\x01sb.",
        b"\x80\x02" + TENSOR + b"}X\x05\x00\x00\x00_makeK\x01sb.",
        b"\x80\x02ctorch\nfloat32\n)R.",
    ):
        with pytest.raises(RuntimeError, match="damaged"):
            load(archive_of(harmful))
    endless = load(archive_of(b"\x80\x02]q\x00h\x00a."))
    assert endless[0] is endless
