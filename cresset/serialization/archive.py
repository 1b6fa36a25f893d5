"""The zip file of a checkpoint: written aligned and all at once, read with every size checked."""

from __future__ import annotations

import os
import secrets
import stat
import struct
import zipfile
from collections.abc import Iterable
from types import TracebackType
from typing import IO, Any

ALIGNMENT = 64
_LOCAL_HEADER = 30
_ZIP64_EXTRA = 20
# An extra field for padding; its number is in nobody's list.
_PADDING_FIELD = 0xC4E5


def path_of(operation: str, f: Any) -> Any:
    """f, a path; TypeError for what is neither that nor a file, such as a number."""
    if not isinstance(f, (str, os.PathLike)):
        raise TypeError(
            f"{operation}: needs a path or a binary file; got {type(f).__name__}; give such as "
            "'model.pt'"
        )
    return f


class AtomicFile:
    """A file written beside `path` that takes its place when it is complete, and never otherwise.

    Links are followed, and what is no ordinary file, such as a pipe, is written to directly.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.realpath(path_of("save", path))
        folder = os.path.dirname(self.path)
        if not os.path.isdir(folder):
            raise RuntimeError(
                f"save: Parent directory {folder} does not exist; make it with os.makedirs(...)"
            )
        self.mode: int | None = None
        try:
            self.mode = os.stat(self.path).st_mode
        except FileNotFoundError:
            pass
        self.direct = self.mode is not None and not stat.S_ISREG(self.mode)
        self.written = self.path
        if not self.direct:
            self.written = f"{self.path}.{secrets.token_hex(6)}.part"

    def __enter__(self) -> IO[bytes]:
        # "x": a file that is there already, under whatever name, is never written into.
        self.file: IO[bytes] = open(self.written, "wb" if self.direct else "xb")
        return self.file

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.direct:
            self.file.close()
            return
        try:
            if kind is None:
                self.file.flush()
                os.fsync(self.file.fileno())
            self.file.close()
            if kind is None:
                if self.mode is not None:
                    os.chmod(self.written, stat.S_IMODE(self.mode))
                os.replace(self.written, self.path)
        finally:
            if os.path.exists(self.written):
                os.unlink(self.written)


def write_archive(file: Any, entries: Iterable[tuple[str, Any]]) -> None:
    """Writes entries of a name and bytes, each beginning at a multiple of 64 bytes of the file."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries:
            # One date for all, so that equal values give equal files.
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.file_size = len(content)
            large = info.file_size >= zipfile.ZIP64_LIMIT // 2
            header = _LOCAL_HEADER + len(name.encode()) + (_ZIP64_EXTRA if large else 0)
            start = archive.fp.tell() + header + 4  # type: ignore[union-attr]
            padding = -start % ALIGNMENT
            info.extra = struct.pack("<HH", _PADDING_FIELD, padding) + bytes(padding)
            with archive.open(info, "w", force_zip64=large) as stream:
                stream.write(content)


class Archive:
    """A zip file opened for reading, of which no entry is compressed or larger than the file.

    Raises RuntimeError for everything else.
    """

    def __init__(self, f: Any) -> None:
        self._owned = None
        if not hasattr(f, "read"):
            f = self._owned = open(path_of("load", f), "rb")
        elif not hasattr(f, "seek"):
            raise RuntimeError(
                "load: the file cannot be rewound; need one with seek; read it into an io.BytesIO"
            )
        try:
            f.seek(0, os.SEEK_END)
            self._length = f.tell()
            self._zip = zipfile.ZipFile(f)
        except zipfile.BadZipFile:
            if not self._length:
                self.close()
                raise EOFError(
                    "load: the file is empty; need one that `save` wrote; was it closed after that?"
                ) from None
            f.seek(0)
            pickled = f.read(1) == b"\x80"
            self.close()
            what = "a bare pickle, as PyTorch wrote before 1.6" if pickled else "no zip file"
            raise RuntimeError(
                f"load: the file is no checkpoint: it is {what}; need one that `save` wrote"
            ) from None
        except BaseException:
            self.close()
            raise
        self._entries = {info.filename: info for info in self._zip.infolist()}

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file if it was opened here."""
        if self._owned is not None:
            self._owned.close()

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def names(self) -> list[str]:
        """The names of all entries."""
        return list(self._entries)

    def size(self, name: str) -> int:
        """How many bytes an entry has; as many are in the file."""
        info = self._entries.get(name)
        if info is None:
            raise RuntimeError(f"load: the checkpoint is damaged: there is no {name!r} in it")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise RuntimeError(f"load: {name!r} is compressed or encrypted; need it as it is")
        if info.compress_size != info.file_size or info.file_size > self._length:
            raise RuntimeError(
                f"load: the checkpoint is damaged: {name!r} claims {info.file_size} bytes; the "
                f"file has {self._length}"
            )
        return info.file_size

    def check_size(self, name: str, size: int) -> None:
        """Raises RuntimeError unless the entry has exactly `size` bytes."""
        found = self.size(name)
        if found != size:
            raise RuntimeError(
                f"load: the checkpoint is damaged: {name!r} has {found} bytes; need {size}"
            )

    def read(self, name: str) -> bytes:
        """The bytes of an entry, their checksum verified."""
        content = bytearray(self.size(name))
        self.read_into(name, memoryview(content))
        return bytes(content)

    def read_into(self, name: str, target: memoryview) -> None:
        """Fills `target` with the bytes of an entry of that size, their checksum verified."""
        self.check_size(name, len(target))
        try:
            with self._zip.open(self._entries[name]) as stream:
                done = 0
                while done < len(target):
                    count = stream.readinto(target[done : done + (1 << 20)])
                    if not count:
                        raise EOFError
                    done += count
        except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError) as error:
            raise RuntimeError(
                f"load: the checkpoint is damaged: {name!r} cannot be read: "
                f"{error or 'it ends too early'}"
            ) from None
