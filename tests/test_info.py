"""The command line: what `cresset info` says, usage, and commands that do not exist."""

import os
import platform
import subprocess
import sys

import pytest

import cresset
from cresset.__main__ import info, main
from cresset.runtime.pool import get_num_threads
from cresset.runtime.target import host

TITLES = ["Cresset", "Python", "NumPy", "llvmlite", "LLVM", "processor", "target", "features",
          "vectors", "threads", "kernel cache", "memory"]


def rows(text):
    """The titles of a report, each with the texts that stand beside it."""
    found, heading = {}, ""
    column = len(max(TITLES, key=len)) + 2
    for line in text.splitlines():
        heading = line[:column].strip() or heading
        assert line[column - 1] == " " and line[column] != " ", f"not aligned: {line!r}"
        found.setdefault(heading, []).append(line[column:])
    return found


def test_info_says_it_all_in_order():
    assert list(rows(info())) == TITLES


def test_info_tells_the_truth():
    said = rows(info())
    assert said["Cresset"] == [cresset.__version__]
    assert said["Python"][0].startswith(platform.python_version())
    assert said["LLVM"][0].split(".")[0].isdecimal()
    assert said["target"] == [host().cpu]
    assert said["vectors"] == [f"{host().vector_bytes * 8} bits"]
    assert said["threads"] == [f"{get_num_threads()} of {os.cpu_count()} processors"]


def test_info_lists_the_features():
    said = " ".join(rows(info())["features"]).split()
    assert said == host().features.replace("+", "").split(",")


def test_info_follows_the_environment(tmp_path):
    (tmp_path / "abc").write_bytes(bytes(3 << 20))
    (tmp_path / "def").write_bytes(bytes(1 << 20))
    (tmp_path / "def.12.34").write_bytes(bytes(1 << 20))
    environment = {**os.environ, "CRESSET_CACHE": str(tmp_path), "CRESSET_NUM_THREADS": "7"}
    command = [sys.executable, "-m", "cresset", "info"]
    text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    said = rows(text.stdout)
    assert said["kernel cache"] == [str(tmp_path), "2 kernels, 4.0 MiB of 256 MiB at most"]
    assert said["threads"][0].startswith("7 of ")


def test_info_makes_no_cache(tmp_path, monkeypatch):
    place = tmp_path / "not" / "there"
    monkeypatch.setenv("CRESSET_CACHE", str(place))
    assert rows(info())["kernel cache"][1].startswith("0 kernels, 0.0 MiB")
    assert not place.exists()


def test_info_says_why_the_cache_cannot_be_read(tmp_path, monkeypatch):
    place = tmp_path / "file"
    place.touch()
    monkeypatch.setenv("CRESSET_CACHE", str(place))
    assert rows(info())["kernel cache"] == [f"{place} cannot be read: Not a directory"]


def test_info_counts_this_process():
    kept = cresset.zeros(1 << 20)
    held = float(rows(info())["memory"][1].split()[0])
    assert held >= kept.nbytes / (1 << 20)


def test_no_command_prints_the_usage(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: cresset")
    assert "info" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["inform"], "invalid choice: 'inform' (choose from"), (["info", "all"], "all")],
)
def test_wrong_commands(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
