"""Checkpoints: `save` and `load` of tensors and plain Python values, in files that hold no code.

A value with anything else in it, such as a whole module, is pickled, as PyTorch does with all.

A checkpoint is a zip file, nothing in it compressed: `manifest.json` describes the value and its
tensors, `storages/0`, `storages/1`, ... are their bytes, little-endian and aligned to 64 bytes.
Tensors that share memory share a storage, and do so again when loaded. PyTorch's own checkpoints
can be loaded as well. Loading runs nothing of what a file says, unless it is told to trust it.
"""

from __future__ import annotations

import json
import pickle
import sys
from os import PathLike
from typing import IO, Any

from cresset.serialization import objects, pytorch
from cresset.serialization.archive import Archive, AtomicFile, write_archive
from cresset.serialization.manifest import Decoder, Encoder, NotPlainError
from cresset.serialization.objects import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)
from cresset.serialization.storage import StorageReader

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals",
           "save"]

FORMAT = "cresset checkpoint"
VERSION = 1
MANIFEST = "manifest.json"

Target = str | PathLike[str] | IO[bytes]


def save(
    obj: Any, f: Target, pickle_module: Any = None, pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Writes a value to a path or a binary file.

    The value may hold tensors, parameters, NumPy arrays and numbers, None, bools, numbers, text,
    bytes, dtypes, devices and shapes, in dicts, OrderedDicts, Counters, lists, tuples and sets. Of
    memory that tensors view, the part that they reach is stored. A file at a path is replaced at
    once when the new one is complete, so a crash loses nothing.

    A value that holds anything else, such as a module, is pickled, by `pickle_module` and its
    protocol; `load` restores it with `weights_only=False` and where its classes are found. Raises
    what pickling raises: `PicklingError`, `AttributeError` or `TypeError`.

    >>> import io, cresset
    >>> file = io.BytesIO()
    >>> save({"weight": cresset.ones(2), "epoch": 3}, file)
    >>> load(file)["weight"].tolist()
    [1.0, 1.0]
    """
    if sys.byteorder != "little":
        raise NotImplementedError("save: this machine is big-endian; need a little-endian one")
    encoder = Encoder()
    try:
        value = encoder.encode(obj)
    except NotPlainError:
        encoder = Encoder()
        content = objects.pickled(obj, encoder.storages, pickle_module or pickle, pickle_protocol)
        value = {"pickle": encoder.storages.add_bytes(content)}
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "storages": [len(part) for part in encoder.storages.parts()],
        "value": value,
    }
    entries: list[tuple[str, Any]] = [(MANIFEST, json.dumps(manifest).encode())]
    entries += [(_name(k), part) for k, part in enumerate(encoder.storages.parts())]
    if hasattr(f, "write"):
        write_archive(f, entries)
        return
    with AtomicFile(f) as file:
        write_archive(file, entries)


def load(
    f: Target, map_location: Any = None, pickle_module: Any = None, *,
    weights_only: bool | None = None, mmap: bool | None = None, **pickle_load_args: Any,
) -> Any:
    """Reads what `save`, or PyTorch's `torch.save`, wrote to a path or a binary file.

    `map_location` says where tensors go: a device, a dict from the device they were on to another,
    or a function of (tensor, its device) to a tensor on the wanted device; by default they come to
    the CPU. Tensors and plain values are read; what else was pickled runs code, and is
    restored with `weights_only=False`, for files whose origin you trust. (Modules of PyTorch's own
    are not: save their `state_dict()`.) `mmap` has no effect.

    Raises RuntimeError for a file that is no checkpoint, is damaged, or asks for more memory than
    it fills; `pickle.UnpicklingError` for what only running code could restore; FileNotFoundError
    as `open` does.

    >>> import io
    >>> load(io.BytesIO(b"text"))
    Traceback (most recent call last):
    RuntimeError: load: the file is no checkpoint: it is no zip file; need one that `save` wrote
    """
    with Archive(f) as archive:
        if MANIFEST in archive:
            return _load_manifest(
                archive, map_location, weights_only is False, pickle_module or pickle,
                pickle_load_args,
            )
        return pytorch.load(archive, map_location, weights_only is False)


def _load_manifest(
    archive: Archive, map_location: Any, trusting: bool, pickle_module: Any, options: Any
) -> Any:
    try:
        manifest = json.loads(archive.read(MANIFEST))
    except (ValueError, RecursionError) as error:
        raise RuntimeError(f"load: the manifest is damaged: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise RuntimeError(f"load: the manifest does not describe a {FORMAT}")
    if manifest.get("version") != VERSION:
        raise RuntimeError(
            f"load: the checkpoint has version {manifest.get('version')!r}; this Cresset reads "
            f"{VERSION}; a newer Cresset may be needed"
        )
    sizes = manifest.get("storages")
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise RuntimeError("load: the manifest is damaged: its storages are no list of sizes")
    for number, size in enumerate(sizes):
        archive.check_size(_name(number), size)
    storages = StorageReader(archive, [_name(number) for number in range(len(sizes))], map_location)
    value = manifest.get("value")
    if isinstance(value, dict) and [*value] == ["pickle"]:
        content = storages.content(value["pickle"])
        return objects.unpickled(content, storages, trusting, pickle_module, options)
    try:
        return Decoder(storages).decode(value)
    except RecursionError:
        raise RuntimeError("load: the manifest is damaged: values lie too deep in it") from None


def _name(number: int) -> str:
    return f"storages/{number}"
