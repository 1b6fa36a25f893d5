"""`hub` takes files of this machine and of its cache, and downloads nothing."""

import hashlib

import pytest

import cresset
from cresset import hub


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "_folder", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_where_the_cache_is(monkeypatch):
    monkeypatch.setattr(hub, "_folder", None)
    monkeypatch.setenv("TORCH_HOME", "/somewhere")
    assert hub.get_dir() == "/somewhere/hub"
    hub.set_dir("~/there")
    assert hub.get_dir().endswith("/there") and "~" not in hub.get_dir()


def test_state_dicts(cache, tmp_path):
    state = cresset.nn.Linear(2, 1).state_dict()
    cresset.save(state, tmp_path / "a.pt")
    digest = hashlib.sha256((tmp_path / "a.pt").read_bytes()).hexdigest()
    url = (tmp_path / "a.pt").as_uri()
    name = f"a-{digest[:8]}.pt"
    again = hub.load_state_dict_from_url(url, check_hash=True, file_name=name)
    assert cresset.equal(again["weight"], state["weight"])
    assert (cache / "checkpoints" / name).exists()
    # What is in the cache is as if it had been downloaded.
    hub.load_state_dict_from_url(f"https://example.org/{name}")
    with pytest.raises(RuntimeError, match="downloads nothing.*put it at .*/b.pt"):
        hub.load_state_dict_from_url("https://example.org/b.pt")
    with pytest.raises(RuntimeError, match="invalid hash value"):
        hub.load_state_dict_from_url(url, check_hash=True, file_name="a-0123abcd.pt")
    with pytest.raises(FileNotFoundError):
        hub.download_url_to_file((tmp_path / "c").as_uri(), str(tmp_path / "d"))
    assert sorted(path.name for path in cache.glob("*/*")) == [name]


def test_models(tmp_path):
    (tmp_path / "hubconf.py").write_text("def made(n, bias=True):\n    return n, bias\n")
    assert hub.load(str(tmp_path), "made", 3, source="local", bias=False) == (3, False)
    with pytest.raises(RuntimeError, match="Cannot find callable other"):
        hub.load(str(tmp_path), "other", source="local")
    with pytest.raises(RuntimeError, match="downloads nothing"):
        hub.load("pytorch/vision", "resnet18")


def test_marks():
    assert cresset.fx.wrap(len) is len and cresset.fx.wrap("len") == "len"
    assert not cresset.onnx.is_in_onnx_export()
    assert not hasattr(cresset.fx, "symbolic_trace") and not hasattr(cresset.onnx, "export")
