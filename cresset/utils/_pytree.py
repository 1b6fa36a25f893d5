"""Trees of containers: taken apart into leaves, put together, and mapped.

Tuples, named tuples, lists, dicts and ordered dicts are containers; all else is a leaf, None too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["TreeSpec", "tree_flatten", "tree_leaves", "tree_map", "tree_map_only", "tree_structure",
           "tree_unflatten"]


@dataclass(frozen=True)
class TreeSpec:
    """The structure of a tree: a container's class, its keys where it has any, and its children.

    A leaf has no class. Structures of one form are equal.
    """

    type: type | None = None
    context: tuple = ()
    children_specs: tuple[TreeSpec, ...] = ()

    @property
    def num_leaves(self) -> int:
        """How many leaves a tree of this structure has."""
        return 1 if self.type is None else sum(spec.num_leaves for spec in self.children_specs)

    def is_leaf(self) -> bool:
        """Whether the tree is a leaf itself."""
        return self.type is None


def _children(tree: Any) -> tuple[tuple, Iterable] | None:
    """(what to know of a container beside its class, what it holds); None of a leaf."""
    kind = type(tree)
    if kind in (dict, OrderedDict):
        return tuple(tree), tree.values()
    if kind in (tuple, list) or isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return (), tree
    return None


def tree_flatten(
    tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list, TreeSpec]:
    """(the leaves of a tree in order, its structure); `is_leaf` tells further leaves.

    >>> tree_flatten({"a": [1, 2], "b": None})[0]
    [1, 2, None]
    """
    leaves: list = []

    def structure(tree):
        found = None if is_leaf is not None and is_leaf(tree) else _children(tree)
        if found is None:
            leaves.append(tree)
            return TreeSpec()
        context, children = found
        return TreeSpec(type(tree), context, tuple(map(structure, children)))

    return leaves, structure(tree)


def tree_unflatten(leaves: Iterable, treespec: TreeSpec) -> Any:
    """The tree of a structure with other leaves; ValueError unless they are as many.

    >>> tree_unflatten("xyz", tree_flatten([1, (2, 3)])[1])
    ['x', ('y', 'z')]
    """
    given = list(leaves)
    if len(given) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten: got {len(given)} leaves; the structure has {treespec.num_leaves}"
        )
    remaining = iter(given)

    def built(spec):
        if spec.type is None:
            return next(remaining)
        parts = [built(child) for child in spec.children_specs]
        if issubclass(spec.type, dict):
            return spec.type(zip(spec.context, parts))
        return spec.type(*parts) if hasattr(spec.type, "_fields") else spec.type(parts)

    return built(treespec)


def tree_map(
    func: Callable, tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """The tree with `func` of each leaf; of several trees of one structure, of theirs together.

    >>> tree_map(lambda x, y: x + y, {"a": 1, "b": [2]}, {"a": 10, "b": [20]})
    {'a': 11, 'b': [22]}
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves, *(tree_flatten(rest, is_leaf)[0] for rest in rests)]
    if len({len(column) for column in columns}) > 1:
        raise ValueError("tree_map: the trees have different structures; need one for all")
    return tree_unflatten(map(func, *columns), spec)


def tree_map_only(kind: type | tuple[type, ...], func: Callable, tree: Any) -> Any:
    """The tree with `func` of each leaf of a class; the other leaves stay."""
    return tree_map(lambda leaf: func(leaf) if isinstance(leaf, kind) else leaf, tree)


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list:
    """The leaves of a tree in order."""
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    """The structure of a tree."""
    return tree_flatten(tree, is_leaf)[1]
