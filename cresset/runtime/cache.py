"""The disk cache of machine code, shared by all processes of one user.

One file per entry, named by a digest of all that its content depends on, in a directory that its
owner alone can write: loading code from elsewhere is running it. Entries appear whole (written
aside, then renamed) and carry a checksum, so a damaged one is ignored and made anew. Whatever goes
wrong with the disk, the cache is only ever a cache: the code is compiled instead.
"""

from __future__ import annotations

import os
import stat
import threading
import time
import warnings
from _blake2 import blake2b

from cresset.runtime.target import Target

# Digests are those of `hashlib` without OpenSSL, whose loading takes as long as many kernels';
# `tempfile` is imported where it is used, and paths are text: importing the package needs no more.
FORMAT = 1
MOST_BYTES = 256 << 20  # when entries take more, the least recently used are dropped
AT_ONCE = 32  # entries dropped at one write: a program that compiles is not to wait for a disk
_MAGIC = b"cresset\n"
_DIGEST = 32
_DAY = 86400
# The folders of this package that cannot change what a kernel's text is.
_ABOVE = {"array_api", "autograd", "backends", "capture", "compiler", "distributed",
          "distributions", "export", "nn", "optim", "pictures", "serialization", "utils",
          "__pycache__"}


def directory() -> str:
    """Where entries lie: $CRESSET_CACHE, else cresset under $XDG_CACHE_HOME or ~/.cache.

    >>> os.environ["CRESSET_CACHE"] = "/tmp/kernels"
    >>> directory()
    '/tmp/kernels'
    >>> del os.environ["CRESSET_CACHE"]
    """
    chosen = os.environ.get("CRESSET_CACHE")
    if chosen:
        return chosen
    caches = os.environ.get("XDG_CACHE_HOME")
    if caches:
        return os.path.join(caches, "cresset")
    home = os.path.expanduser("~")
    if home != "~":
        return os.path.join(home, ".cache", "cresset")
    # A user without a home, as in some containers.
    import tempfile

    return os.path.join(tempfile.gettempdir(), f"cresset-{os.geteuid()}")


def fingerprint() -> bytes:
    """A digest of the compiler's sources, by path, size and time of change, and of LLVM's version.

    Editing any of them turns every entry stale.
    """
    import llvmlite  # its Python part alone; LLVM itself is not loaded by this

    root = os.path.dirname(os.path.dirname(__file__))
    found, folders = [], [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    found.append(f"{entry.path} {status.st_size} {status.st_mtime_ns}")
                elif entry.name not in _ABOVE and entry.is_dir():
                    folders.append(entry.path)
    return _digest("\n".join([str(FORMAT), llvmlite.__version__, *sorted(found)]).encode())


class Cache:
    """A directory of entries.

    >>> import tempfile
    >>> cache = Cache(os.path.join(tempfile.mkdtemp(), "kernels"))
    >>> name = cache.name("add", Target("x86_64-unknown-linux-gnu", "x86-64", "", 16))
    >>> cache.read(name) is None
    True
    >>> cache.write(name, b"code")
    >>> cache.read(name)
    b'code'
    """

    def __init__(self, place: str | os.PathLike, most_bytes: int = MOST_BYTES):
        self.place = place
        self.most_bytes = most_bytes
        self._folder: int | None = None  # the open directory; all access goes through it
        self._broken = False
        self._written: int | None = None  # bytes that entries take, once counted
        self._leaving: list = []  # entries that are being dropped, the oldest last
        self._fingerprint: bytes | None = None
        self._lock = threading.Lock()

    def name(self, key: str, target: Target) -> str:
        """The name of the entry for a kernel's key on a target."""
        if self._fingerprint is None:
            self._fingerprint = fingerprint()
        return _digest(self._fingerprint + repr((key, tuple(target))).encode()).hex()

    def has(self, name: str) -> bool:
        """Whether there is such an entry."""
        folder = self._open()
        if folder is None:
            return False
        try:
            os.stat(name, dir_fd=folder)
        except OSError:
            return False
        return True

    def read(self, name: str) -> bytes | None:
        """The content of an entry, None where there is none or it was altered."""
        folder = self._open()
        if folder is None:
            return None
        try:
            file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            return None
        try:
            status = os.fstat(file)
            entry = os.read(file, status.st_size)
            if time.time() - status.st_mtime > _DAY:
                os.utime(file)  # the time of change is the time of last use, by a day
        except OSError:
            return None
        finally:
            os.close(file)
        head = len(_MAGIC) + _DIGEST
        content = entry[head:]
        return content if entry[:head] == _MAGIC + _checksum(name, content) else None

    def write(self, name: str, content: bytes) -> None:
        """Store an entry; a disk that refuses is no error."""
        folder = self._open()
        if folder is None:
            return
        entry = _MAGIC + _checksum(name, content) + content
        aside = f"{name}.{os.getpid()}.{threading.get_ident()}"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            file = os.open(aside, flags, 0o600, dir_fd=folder)
            try:
                with open(file, "wb") as stream:
                    stream.write(entry)
                os.replace(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                os.unlink(aside, dir_fd=folder)
                raise
            self._bound(folder, len(entry))
        except FileNotFoundError:
            self._close()  # the directory was removed; the next access makes it again
        except OSError:
            pass

    def size(self) -> int:
        """Bytes that the entries take on disk."""
        folder = self._open()
        return 0 if folder is None else sum(size for _, size, _ in _entries(folder))

    def _bound(self, folder, added):
        """Drop the entries used longest ago once there are too many bytes of them."""
        with self._lock:
            if self._written is None:
                # Names are digests, so those that begin alike stand for all.
                self._written = 16 * sum(size for _, size, _ in _entries(folder, "0"))
            else:
                self._written += added
            if self._written > self.most_bytes and not self._leaving:
                entries = sorted(_entries(folder))
                self._written = sum(size for _, size, _ in entries)
                # Some room is made, so that the next entries do not each start another round.
                excess = self._written - self.most_bytes * 3 // 4
                for entry in entries if self._written > self.most_bytes else ():
                    if excess <= 0:
                        break
                    self._leaving.append(entry)
                    excess -= entry[1]
                self._leaving.reverse()
            for _ in range(min(len(self._leaving), AT_ONCE)):
                _, size, name = self._leaving.pop()
                try:
                    os.unlink(name, dir_fd=folder)
                except FileNotFoundError:
                    pass  # another process dropped it
                self._written -= size

    def _open(self):
        """A descriptor of the directory, None where it cannot be used."""
        if self._folder is not None or self._broken:
            return self._folder
        with self._lock:
            if self._folder is None and not self._broken:
                try:
                    self._folder = _open_directory(self.place)
                except OSError as error:
                    self._broken = True
                    warnings.warn(
                        f"cresset: kernels are not kept on disk and are compiled anew in every "
                        f"process: {error}; set CRESSET_CACHE to a directory of yours that nobody "
                        "else can write",
                        RuntimeWarning,
                        stacklevel=2,
                    )
        return self._folder

    def _close(self):
        with self._lock:
            if self._folder is not None:
                os.close(self._folder)
                self._folder = None
                self._written = None


def _checksum(name, content):
    return _digest(name.encode() + content)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=_DIGEST).digest()


def _entries(folder, beginning=""):
    """(time of last use, bytes, name) of each file whose name begins so."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(beginning):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                found.append((status.st_mtime, status.st_size, entry.name))
    return found


def _open_directory(place):
    """Open the directory, made if need be; raises OSError unless it is its owner's alone."""
    os.makedirs(place, mode=0o700, exist_ok=True)
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    status = os.fstat(folder)
    fault = None
    if status.st_uid != os.geteuid():
        fault = f"it belongs to user {status.st_uid}, not to you ({os.geteuid()})"
    elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        fault = f"others can write it (mode {stat.S_IMODE(status.st_mode):o}; need 700)"
    if fault:
        os.close(folder)
        raise PermissionError(f"{place} is not safe to load code from: {fault}")
    return folder
