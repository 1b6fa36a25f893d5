"""The array API standard 2024.12, https://data-apis.org/array-api: what a namespace tells.

Programs that are written for any array library ask arrays for their namespace. That of tensors is
`cresset.array_api`, where names mean what the standard says; see docs/array_api.md.
"""

from __future__ import annotations

from importlib import import_module

from cresset.core import dtype as types
from cresset.core.device import device, get_default_device
from cresset.core.tensor import Tensor

__all__ = ["__array_api_version__", "__array_namespace_info__"]

__array_api_version__ = "2024.12"
VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")

# The standard's types, by the kinds that `dtypes` takes.
KINDS = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "integral": ("signed integer", "unsigned integer"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
    "numeric": ("integral", "real floating", "complex floating"),
}


def names_of(kind: str) -> list[str]:
    """The names of the types of a kind; ValueError where there is no such kind."""
    if kind not in KINDS:
        raise ValueError(f"dtypes: got kind {kind!r}; need one of {', '.join(KINDS)}")
    return [
        name for part in KINDS[kind]
        for name in (names_of(part) if part in KINDS and part != kind else [part])
    ]


class Info:
    """What the namespace offers: devices, types and capabilities."""

    def capabilities(self) -> dict:
        """Masks can be indices, shapes can depend on elements, there are up to 64 dims."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> device:
        """Where new tensors are made."""
        return get_default_device()

    def default_dtypes(self, *, device=None) -> dict:
        """The types of new tensors that name none."""
        real = types.get_default_dtype()
        return {"real floating": real, "complex floating": real.to_complex(),
                "integral": types.int64, "indexing": types.int64}

    def devices(self) -> list[device]:
        """Where tensors can be that have elements."""
        return [device("cpu")]

    def dtypes(self, *, device=None, kind=None) -> dict:
        """The types of the standard by name: all, or those of a kind or of a tuple of kinds."""
        kinds = ("bool", "numeric") if kind is None else kind if type(kind) is tuple else (kind,)
        names = [name for k in kinds for name in names_of(k)]
        return {name: getattr(types, name) for name in names}


def __array_namespace_info__() -> Info:
    """What this namespace offers.

    >>> import cresset
    >>> cresset.__array_namespace_info__().dtypes(kind="real floating")
    {'float32': torch.float32, 'float64': torch.float64}
    """
    return Info()


def _array_namespace(x, *, api_version=None):
    """The namespace of the array API standard that works on tensors: `cresset.array_api`.

    Raises ValueError for a version of the standard that it does not follow.
    """
    if api_version not in (None, *VERSIONS):
        raise ValueError(
            f"__array_namespace__: got api_version {api_version!r}; need one of "
            f"{', '.join(VERSIONS)}"
        )
    return import_module("cresset.array_api")


Tensor.__array_namespace__ = _array_namespace
