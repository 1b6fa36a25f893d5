"""`skip_init`: a layer whose parameters are left as memory happens to be."""

from __future__ import annotations

import inspect
from typing import Any

from cresset.nn.module import Module

__all__ = ["skip_init"]


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """The layer `module_cls(*args, **kwargs)` without initial values, for ones loaded next.

    RuntimeError for what is no class of modules, and for one that takes no `device`.

    >>> from cresset import nn
    >>> skip_init(nn.Linear, 2, 3).weight.shape
    torch.Size([3, 2])
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"skip_init: Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError(f"skip_init: Module must support a 'device' arg; got {module_cls}")
    device = kwargs.pop("device", "cpu")
    kwargs["device"] = "meta"
    return module_cls(*args, **kwargs).to_empty(device=device)
