"""`cresset.hub`: state dicts and models from this machine. Nothing is downloaded.

Programs name what they load by its address. What is at `file:` addresses is copied, and what is in
the cache is used, as after a download; for everything else the error says where to put it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import cresset
from cresset.core.missing import found_late

__all__ = ["download_url_to_file", "get_dir", "load", "load_state_dict_from_url", "set_dir"]

# The start of the file's hash, in names such as resnet18-f37072fd.pth.
HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")

_folder: str | None = None


def get_dir() -> str:
    """The folder of the cache: that of `set_dir`, or PyTorch's.

    That is `hub` in `$TORCH_HOME`, by default in `$XDG_CACHE_HOME/torch`, by default in
    `~/.cache/torch`.
    """
    if _folder is not None:
        return _folder
    return os.path.join(_get_torch_home(), "hub")


def _get_torch_home() -> str:
    caches = os.getenv("XDG_CACHE_HOME", "~/.cache")
    return os.path.expanduser(os.getenv("TORCH_HOME", os.path.join(caches, "torch")))


def set_dir(d: str | os.PathLike[str]) -> None:
    """Has the cache be in a folder."""
    global _folder
    _folder = os.path.expanduser(d)


def download_url_to_file(
    url: str, dst: str, hash_prefix: str | None = None, progress: bool = True
) -> None:
    """Copies what is at a `file:` address to a path.

    Raises RuntimeError for other addresses, and where the file's SHA-256 does not start with
    `hash_prefix`; FileNotFoundError where there is nothing.
    """
    parts = urlparse(url)
    if parts.scheme != "file":
        raise RuntimeError(
            f"hub: Cresset downloads nothing; got {url}; fetch it by other means and put it at "
            f"{dst}"
        )
    source = Path(url2pathname(parts.path))
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    if hash_prefix is not None and not found.startswith(hash_prefix):
        raise RuntimeError(
            f'hub: invalid hash value (expected "{hash_prefix}", got "{found}"); the file is '
            "damaged, or another"
        )
    partial = f"{dst}.{os.getpid()}.part"
    try:
        shutil.copyfile(source, partial)
        os.replace(partial, dst)
    finally:
        Path(partial).unlink(missing_ok=True)


def load_state_dict_from_url(
    url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True,
    check_hash: bool = False, file_name: str | None = None, weights_only: bool = False,
) -> dict[str, Any]:
    """The state dict at an address, from the cache where it is in it; see `cresset.load`.

    The cache is `model_dir`, by default `checkpoints` in `get_dir()`, and has it by `file_name` or
    the last part of the address. `check_hash` compares the file with the hash in that name. Raises
    RuntimeError for what is not in the cache and has no `file:` address.
    """
    folder = Path(model_dir or os.path.join(get_dir(), "checkpoints"))
    folder.mkdir(parents=True, exist_ok=True)
    cached = folder / (file_name or os.path.basename(urlparse(url).path))
    if not cached.exists():
        named = HASH_REGEX.search(cached.name) if check_hash else None
        download_url_to_file(url, str(cached), named.group(1) if named else None, progress)
    return cresset.load(cached, map_location=map_location, weights_only=weights_only)


def load(
    repo_or_dir: str, model: str, *args: Any, source: str = "github", **kwargs: Any
) -> Any:
    """What the function `model` of a folder's `hubconf.py` returns, with `source="local"`.

    Raises RuntimeError for other sources, and for a function that is not there.
    """
    if source != "local":
        raise RuntimeError(
            f"hub.load: Cresset downloads nothing; got {repo_or_dir!r} of {source}; fetch the "
            'folder by other means and give its path with source="local"'
        )
    sys.path.insert(0, repo_or_dir)
    try:
        sys.modules.pop("hubconf", None)
        entries = import_module("hubconf")
    finally:
        sys.path.remove(repo_or_dir)
    entry = getattr(entries, model, None)
    if not callable(entry):
        raise RuntimeError(f"hub.load: Cannot find callable {model} in hubconf")
    return entry(*args, **kwargs)


__getattr__, __dir__ = found_late(globals())
