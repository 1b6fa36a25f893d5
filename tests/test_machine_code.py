"""Machine code: targets, code generation, loading, and the cache on disk."""

import ctypes
import hashlib
import itertools
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cresset.runtime import codegen, elf, loader, target
from cresset.runtime.cache import AT_ONCE, Cache

ARM = target.arm({"asimd", "asimdhp", "bf16"})


def test_host_is_known_without_llvm():
    script = ("import sys; from cresset.runtime.target import host; host()\n"
              "print([name for name in sys.modules if 'llvmlite.binding' in name])")
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, capture_output=True, check=True).stdout.strip() == b"[]"


def test_avx512_only_where_all_of_it_is():
    some = target.x86({"avx2", "fma", "bmi1", "bmi2", "f16c", "abm", "movbe", "avx512f"})
    assert some.vector_bytes == 32
    assert "avx512" not in some.features
    assert target.x86(set()).vector_bytes == 16


SAMPLE = """
@table = external global i8
@count = internal global i64 5
@zeros = internal global [100 x i64] zeroinitializer
declare ptr @memcpy(ptr, ptr, i64)
define i64 @bump(ptr %to, ptr %from, i64 %n) {
  %c = call ptr @memcpy(ptr %to, ptr %from, i64 %n)
  %v = load i64, ptr @count
  %w = add i64 %v, 1
  store i64 %w, ptr @count
  %z = load i64, ptr @zeros
  %s = add i64 %w, %z
  ret i64 %s
}
define double @tenth() {
  ret double 0x3FB999999999999A
}
define ptr @where() {
  ret ptr @table
}
"""


def test_loader_runs_what_was_assembled():
    found = loader.load(codegen.assemble(SAMPLE, target.host()), {"table": 1 << 60})
    void, number = ctypes.c_void_p, ctypes.c_int64
    bump = ctypes.CFUNCTYPE(number, void, void, number)(found["bump"])
    to, source = ctypes.create_string_buffer(8), ctypes.create_string_buffer(b"carried")
    assert [bump(to, source, 7), bump(to, source, 7)] == [6, 7]
    assert to.value == b"carried"
    assert ctypes.CFUNCTYPE(ctypes.c_double)(found["tenth"])() == 0.1
    assert ctypes.CFUNCTYPE(ctypes.c_uint64)(found["where"])() == 1 << 60


def test_loaded_code_is_not_writable():
    address = loader.load(codegen.assemble(SAMPLE, target.host()), {"table": 0})["bump"]
    for line in Path("/proc/self/maps").read_text().splitlines():
        begin, _, end = line.split()[0].partition("-")
        if int(begin, 16) <= address < int(end, 16):
            assert line.split()[1] == "r-xp"
            return
    pytest.fail("the code is not mapped")


def test_threads_assemble_at_once():
    """What comes out does not depend on who else assembles meanwhile, or fails to."""
    texts = [SAMPLE.replace("i64 5", f"i64 {k}") for k in range(12)]
    expected = [codegen.assemble(text, target.host()) for text in texts]
    texts.insert(3, "define void @f() {\n  ret i64 %nothing\n}")

    def assembled(text):
        try:
            return codegen.assemble(text, target.host())
        except codegen.AssemblyError:
            return None

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(assembled, texts))
    assert found.pop(3) is None
    assert found == expected


def test_loader_names_what_is_missing():
    code = codegen.assemble(SAMPLE.replace("@memcpy", "@no_such_function"), target.host())
    with pytest.raises(elf.LoadError, match="no_such_function"):
        loader.load(code, {"table": 0})


@pytest.mark.parametrize("machine", [target.host(), ARM], ids=["host", "arm"])
def test_damaged_objects_are_errors(machine):
    code = codegen.assemble(SAMPLE, machine)
    random = np.random.default_rng(0)
    for turn in range(1500):
        damaged = bytearray(code)
        if turn % 2:
            del damaged[random.integers(len(damaged)) :]
        else:
            for place in random.integers(len(damaged), size=3):
                damaged[place] = random.integers(256)
        try:
            loader.place(elf.read(bytes(damaged)), {"table": 0})
        except elf.LoadError:
            pass


def test_bad_ir_quotes_its_line():
    with pytest.raises(codegen.AssemblyError, match=r"line 2.*%a = add i32 1, %nothing"):
        codegen.assemble("define void @f() {\n  %a = add i32 1, %nothing\n  ret void\n}", ARM)


def test_arm_code_assembles_and_links():
    text = codegen.assembly(SAMPLE, ARM)
    assert "ret" in text
    code = elf.read(codegen.assemble(SAMPLE, ARM))
    found = loader.place(code, {"table": 0x123456789ABC})
    words = np.ctypeslib.as_array((ctypes.c_uint32 * 64).from_address(found["bump"]))
    # What follows the function in memory is not its code.
    own = words[: list(words).index(0xD65F03C0)]  # up to its ret
    calls = [k for k, word in enumerate(own) if word >> 26 == 0b100101]  # bl
    (call,) = calls
    distance = int(words[call] & 0x3FFFFFF)
    distance -= (distance >> 25) << 26
    stub = ctypes.string_at(found["bump"] + 4 * (call + distance), 16)
    assert stub[:8] == bytes.fromhex("5000005800021fd6")  # ldr x16, #8; br x16
    libc = ctypes.cast(ctypes.CDLL(None).memcpy, ctypes.c_void_p).value
    assert int.from_bytes(stub[8:], "little") == libc
    with pytest.raises(elf.LoadError, match="machine 183"):
        loader.load(codegen.assemble(SAMPLE, ARM))


# --- the cache ------------------------------------------------------------------------------------
def _cache(tmp_path, **options):
    return Cache(tmp_path / "kernels", **options)


def test_cache_keeps_entries_of_their_own(tmp_path):
    cache = _cache(tmp_path)
    name = cache.name("key", target.host())
    assert name != cache.name("other", target.host())
    assert name != cache.name("key", ARM)
    cache.write(name, b"code")
    assert _cache(tmp_path).read(name) == b"code"
    assert (tmp_path / "kernels").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:-1] + b"!", lambda b: b""])
def test_altered_entry_is_ignored(tmp_path, change):
    cache = _cache(tmp_path)
    cache.write("name", b"code")
    entry = tmp_path / "kernels" / "name"
    whole = entry.read_bytes()
    entry.write_bytes(change(whole))
    assert cache.read("name") is None
    (tmp_path / "kernels" / "other").write_bytes(whole)
    assert cache.read("other") is None


def test_directory_that_others_write_is_refused_once(tmp_path):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels").chmod(0o777)
    cache = _cache(tmp_path)
    with pytest.warns(RuntimeWarning, match="others can write it"):
        assert cache.read("name") is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.write("name", b"code")
        assert cache.read("name") is None
    assert not list((tmp_path / "kernels").iterdir())


def test_cache_survives_its_directory(tmp_path):
    cache = _cache(tmp_path)
    cache.write("first", b"1")
    (tmp_path / "kernels" / "first").unlink()
    (tmp_path / "kernels").rmdir()
    assert cache.read("first") is None
    cache.write("second", b"2")
    cache.write("third", b"3")
    assert cache.read("third") == b"3"


def test_cache_is_bounded(tmp_path):
    cache = _cache(tmp_path, most_bytes=10_000)
    for index in range(40):
        cache.write(f"{index}", bytes(1000))
        os.utime(tmp_path / "kernels" / f"{index}", (index, index))
    assert 0 < cache.size() <= 10_000 + 1100
    assert cache.read("39") is not None
    assert cache.read("0") is None


def test_a_write_drops_few_entries(tmp_path):
    """A full cache is emptied over many writes: tens of thousands of files take a disk seconds."""
    (tmp_path / "kernels").mkdir(mode=0o700)
    names = [hashlib.sha256(b"%d" % index).hexdigest() for index in range(1030)]
    for name in names[:1000]:
        (tmp_path / "kernels" / name).write_bytes(bytes(1000))
    cache = _cache(tmp_path, most_bytes=500_000)
    left = []
    for name in names[1000:]:
        cache.write(name, bytes(1000))
        left.append(len(list((tmp_path / "kernels").iterdir())))
    assert all(a - b <= AT_ONCE for a, b in itertools.pairwise(left))
    assert cache.size() <= 500_000


BUILDS = """
import sys
from cresset.runtime import build
from cresset.runtime.ir import Module
def write():
    module = Module()
    module.kernel().ret()
    return module
for index in range(20):
    build.load(f"k{index}", write)
print(build.statistics()["compiled"], any(m.startswith("llvmlite.b") for m in sys.modules))
"""


def test_processes_share_the_cache(tmp_path):
    environment = {**os.environ, "CRESSET_CACHE": str(tmp_path / "kernels")}
    command = [sys.executable, "-c", BUILDS]
    options = {"env": environment, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **options) for _ in range(2)]
    assert all(process.wait() == 0 for process in both)
    for process in both:
        process.stdout.close()
    assert len(list((tmp_path / "kernels").iterdir())) == 20
    warm = subprocess.run(command, **options, check=True)
    assert warm.stdout.split() == ["0", "False"]  # nothing compiled, LLVM not loaded
