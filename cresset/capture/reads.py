"""Reads: what a function takes from Python while it runs, so that a change of it is noticed.

A recorded call holds for as long as what the function read is as it was: attributes, globals,
variables of enclosing functions, entries of lists and dicts. The interpreter tells of every
instruction of the function's own code, and of layers; what an instruction reads is found by looking
at the names before it. The same way shows what a function changes in objects that outlive it, which
no replay could do.
"""

from __future__ import annotations

import builtins
import gc
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from cresset.capture.frames import function_in
from cresset.capture.given_numbers import GivenNumbers
from cresset.capture.instructions import instructions
from cresset.core.tensor import Tensor
from cresset.runtime import watch

# Code of the package whose reads count: that of layers, and of the scale of losses. The rest reads
# nothing that changes.
READING = ("cresset.nn.module", "cresset.nn.functional", "cresset.nn.losses",
           "cresset.amp.grad_scaler")
# Code of the package whose objects remember what was done with them: its assignments count.
REMEMBERING = ("cresset.amp.grad_scaler", "cresset.optim")
# Code of the package that puts other tensors in the place of parameters for a while.
REPLACING = ("cresset.func.functional_call",)
# What the package calls.
LIBRARIES = {"llvmlite", "numpy"}
# Methods that change the object of Python's that they are called on.
CHANGING = {"add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert",
            "pop", "popitem", "popleft", "remove", "reverse", "setdefault", "sort", "update"}
CONTAINERS = (list, dict, set)
# What gives another answer at every call.
UNSTEADY = {"random", "time", "datetime", "secrets", "uuid"}
PLAIN = (bool, int, float, complex, str, bytes, type(None))
REGISTRIES = ("_parameters", "_buffers", "_modules")
LOADS = {"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_NAME", "LOAD_GLOBAL",
         "LOAD_DEREF", "LOAD_CLASSDEREF"}
MISSING = object()


class Change(NamedTuple):
    """Something that outlives the call was changed: the object, what was done, and where."""

    owner: Any
    reason: str
    line: tuple[str, int]


class Reads:
    """Notes what the code that runs between `__enter__` and `__exit__` reads and changes.

    `found` maps (where, name) to (owner, value), `where` being the owner's identity; `changes` are
    those that a replay would leave out; `prints` are the lines that print. `kept` maps the same to
    the objects in which layers keep something, such as whether they train: that is not what a call
    finds, and is put there again. What becomes of `numbers` is followed.
    """

    def __init__(self, numbers: GivenNumbers):
        self.numbers = numbers
        self.found: dict[tuple[int, str, Any], tuple[Any, Any]] = {}
        self.changes: list[Change] = []
        self.kept: dict[tuple[int, str, Any], Any] = {}
        self.prints: list[tuple[str, int]] = []
        # What the instructions do of code that was run, None for code whose reads do not count; by
        # identity, since code is compared instruction by instruction.
        self._tables: dict[int, tuple[types.CodeType, dict[int, tuple] | None]] = {}
        self._before: Any = None

    def __enter__(self):
        self._before = sys.gettrace()
        # Python 3.12 tells of instructions only where a frame asked for it before.
        sys._getframe().f_trace_opcodes = True
        sys.settrace(self._call)
        return self

    def __exit__(self, *problem):
        sys.settrace(self._before)
        self._prune()

    # --- tracing ----------------------------------------------------------------------------------
    def _call(self, frame, event, argument):
        code = frame.f_code
        try:
            _, table = self._tables[id(code)]
        except KeyError:
            watched = _is_watched(frame.f_globals.get("__name__", ""))
            table = _actions(code) if watched else None
            self._tables[id(code)] = code, table
        if table is None:
            return None

        follow = self.numbers.follower(frame) if self.numbers else None

        def step(frame, event, argument):
            if event == "opcode":
                if follow is not None:
                    follow(frame)
                action = table.get(frame.f_lasti)
                if action is not None:
                    self._note(frame, *action)
            return step

        # Python 3.13 tells of instructions only where the frame is traced already.
        frame.f_trace = step
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return step

    def _note(self, frame, kind, chain, name):
        line = (frame.f_code.co_filename, frame.f_lineno)
        if kind == "global" or kind == "cell":
            scope, value = _named(frame, kind, name)
            if value is print:
                self.prints.append(line)
            elif value is next:
                self.changes.append(Change(builtins, "it takes from an iterator by next()", line))
            elif scope is not None:
                self._read(kind, scope, name, value)
            elif kind == "cell":
                problem = f"it reads {name} of an enclosing function, which this Python hides"
                self.changes.append(Change(builtins, problem, line))
            return
        if kind == "store global" or kind == "store cell":
            self.changes.append(Change(builtins, f"it assigns to {name} outside of itself", line))
            return
        module = frame.f_globals["__name__"]
        own = module.startswith("cresset.")
        keeps = own and kind.startswith("store") and not module.startswith(REMEMBERING)
        if own and not kind.startswith("store") and name not in CHANGING and (
            not module.startswith(READING) or name == "__dict__"
        ):
            return
        owner = MISSING if chain is None else _evaluated(frame, chain)
        if keeps:
            key = name if kind == "store" or name is None else _evaluated(frame, name)
            self._keep(owner, kind, key)
            return
        if owner is MISSING and kind.startswith("store"):
            self.changes.append(Change(builtins, "it assigns to a part of something", line))
        if owner is MISSING or isinstance(owner, Tensor):
            return
        if kind == "store":
            self.changes.append(Change(owner, f"it assigns to an attribute, {name}", line))
        elif kind == "store item":
            if isinstance(owner, CONTAINERS):
                self.changes.append(Change(owner, "it assigns to an entry of a container", line))
        elif kind == "item":
            key = _evaluated(frame, name)
            if isinstance(owner, CONTAINERS) and isinstance(key, PLAIN):
                self._read("item", owner, key, _item(owner, key))
        elif isinstance(owner, types.ModuleType):
            if owner.__name__.partition(".")[0] in UNSTEADY or owner.__name__ == "numpy.random":
                self.changes.append(Change(builtins, f"it asks {owner.__name__}.{name}", line))
            elif isinstance(getattr(owner, name, None), PLAIN):
                self._read("attribute", owner, name, getattr(owner, name))
        elif isinstance(owner, CONTAINERS):
            if name in CHANGING:
                self.changes.append(Change(owner, f"it calls {name}() of a container", line))
        elif not isinstance(owner, type):
            value = _attribute(owner, name)
            if not isinstance(value, (types.MethodType, types.BuiltinMethodType)):
                self._read("attribute", owner, name, value)

    def _read(self, kind, owner, name, value):
        if value is MISSING or kind != "attribute" and isinstance(
            value, (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type)
        ):
            return
        registries = [vars(owner).get(r) for r in REGISTRIES] if hasattr(owner, "__dict__") else []
        places = [(owner, kind), *((found, "item") for found in registries)]
        if not any((id(where), how, name) in self.kept for where, how in places):
            self.found.setdefault((id(owner), kind, name), (owner, value))

    def _keep(self, owner, kind, name):
        """Note that the package has put something into an attribute or an entry."""
        if kind == "store" and hasattr(owner, "__dict__"):
            self.kept[id(owner), "attribute", name] = owner
        elif kind == "store item" and isinstance(owner, dict) and isinstance(name, PLAIN):
            self.kept[id(owner), "item", name] = owner

    # --- afterwards -------------------------------------------------------------------------------
    def _prune(self):
        """Forget what the call made and dropped, which nothing but these notes hold."""
        while True:
            held = Counter(id(x) for pair in self.found.values() for x in pair)
            changed = [*(change.owner for change in self.changes), *self.kept.values()]
            held.update(map(id, changed))
            owners = {id(pair[0]): pair[0] for pair in self.found.values()}
            owners.update((id(owner), owner) for owner in changed)
            del changed
            # What nobody else holds shows how many references counting takes by itself.
            nobody = object()
            owners[id(nobody)], held[id(nobody)] = nobody, 1
            counts = {key: sys.getrefcount(owner) for key, owner in owners.items()}
            loose = {
                key for key in owners
                if counts[key] - held[key] <= counts[id(nobody)] - 1 and owners[key] is not nobody
            }
            del owners
            if not loose:
                return
            self.changes = [c for c in self.changes if id(c.owner) not in loose]
            self.found = {k: pair for k, pair in self.found.items() if id(pair[0]) not in loose}
            self.kept = {k: owner for k, owner in self.kept.items() if id(owner) not in loose}

    def assignments(self) -> list[tuple[dict, str, Any]]:
        """(attributes, name, value) of the plain values that layers keep at the end of the call."""
        found = [
            (vars(owner), name) for (_, kind, name), owner in self.kept.items()
            if kind == "attribute"
        ]
        return [
            (scope, name, scope[name]) for scope, name in found
            if isinstance(scope.get(name, MISSING), PLAIN)
        ]

    def conditions(self, known: Callable[[Any], str]) -> Iterator[Condition]:
        """What holds while everything is as it was read.

        `known(value)` is the name by which an expression finds a value.
        """
        for (_, kind, name), (owner, value) in tuple(self.found.items()):
            words: list[watch.Word | None] = []
            if kind == "cell":
                place, what = f"{known(owner)}.cell_contents", f"the variable {name}"
                words = [watch.in_cell(owner)]
            elif kind == "attribute":
                place, scopes = _place(owner, name, known)
                what = f"{name} of a {type(owner).__name__}"
                words = [watch.in_dict(scope) for scope in scopes]
            else:
                place = f"{known(owner)}[{name!r}]"
                what = f"the global {name}" if kind == "global" else f"the entry {name!r}"
                # A program's globals change all the time.
                if kind == "item" and isinstance(owner, dict):
                    words = [watch.in_dict(owner)]
            if isinstance(value, dict):
                words.append(watch.in_dict(value))
                steady = not any(isinstance(v, (tuple, *CONTAINERS)) for v in value.values())
            else:
                steady = not isinstance(value, CONTAINERS)
                steady = steady and not (isinstance(value, tuple) and not _plain(value))
            watched = tuple(words) if words and steady and all(words) else None
            yield Condition(_condition(place, value, known), what, watched)


class Condition(NamedTuple):
    """An expression that is true while something is as it was, and what that is in words.

    `words` are places in memory; while what stands there is the same, so is the expression. None
    where no words tell.
    """

    test: str
    what: str
    words: tuple | None = None


def _plain(values: tuple) -> bool:
    return all(isinstance(v, PLAIN) or isinstance(v, tuple) and _plain(v) for v in values)


def _condition(place: str, value, known) -> str:
    if value is None or value is True or value is False:
        return f"{place} is {value}"
    if isinstance(value, PLAIN):
        return f"same({place}, {known(value)})"
    if isinstance(value, (tuple, *CONTAINERS)):
        entries = ".values()" if isinstance(value, dict) else ""
        kinds = [*map(type, value.values() if isinstance(value, dict) else value)]
        typed = f" and [*map(type, {place}{entries})] == {known(kinds)}"
        return f"{place} == {known(copied(value))}" + typed * (not {*kinds}.isdisjoint(PLAIN))
    return f"{place} is {known(value)}"


def _place(owner, name, known) -> tuple[str, list[dict]]:
    """The expression of an attribute, without a call where it is found in a dict of the owner's.

    And the dicts that say what it is: none where that cannot be told.
    """
    attributes = getattr(owner, "__dict__", {})
    if name in attributes:
        return f"{known(attributes)}[{name!r}]", [attributes]
    for registry in REGISTRIES:
        found = attributes.get(registry, {})
        if name in found:
            return f"{known(found)}[{name!r}]", [found]
    searched = [attributes]
    for kind in type(owner).__mro__:
        # Of a class only a proxy of its dict is given out, which refers to it.
        searched += [d for d in gc.get_referents(vars(kind)) if isinstance(d, dict)]
        if name in vars(kind):
            break
    else:
        searched = []
    return f"getattr({known(owner)}, {name!r})", searched


def same(value, before) -> bool:
    """Whether a plain value is what it was, its type, the sign of a zero and NaN included."""
    if type(value) is not type(before):
        return False
    if value and value == before and type(value) is not complex:
        return True
    return repr(value) == repr(before)


def copied(value):
    """A value to compare with later: containers copied, since they may change, others themselves.

    Python compares what is one object as equal before it asks, so tensors are told by identity.
    """
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        parts = map(copied, value)
        return list(parts) if isinstance(value, list) else tuple(parts)
    return set(value) if isinstance(value, set) else value


def _is_watched(module: str) -> bool:
    """Whether the reads of a module's code count."""
    root = module.partition(".")[0]
    if root == "cresset":
        return module.startswith(READING + REMEMBERING + REPLACING)
    # Code without a module was written out at run time.
    return bool(root) and root not in LIBRARIES and root not in sys.stdlib_module_names


# --- what instructions mean -----------------------------------------------------------------------
@lru_cache(1024)
def _actions(code: types.CodeType) -> dict[int, tuple]:
    """(kind, chain, name) of the instructions that read or change something, by offset."""
    return dict(_found_actions(code))


def _found_actions(code: types.CodeType) -> Iterator[tuple[int, tuple]]:
    found = list(instructions(code))
    for k, i in enumerate(found):
        if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield i.offset, ("global", None, i.argval)
        elif i.opname in ("LOAD_DEREF", "LOAD_CLASSDEREF"):
            if i.argval in code.co_freevars:
                yield i.offset, ("cell", None, i.argval)
        elif i.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            chain = _chain(found, k - 1)
            if chain is not None:
                yield i.offset, ("attribute", chain[0], i.argval)
        elif i.opname == "BINARY_SUBSCR":
            chain, key = _entry(found, k)
            if chain is not None and key is not None:
                yield i.offset, ("item", chain, key)
        elif i.opname == "STORE_GLOBAL":
            yield i.offset, ("store global", None, i.argval)
        elif i.opname == "STORE_DEREF" and i.argval in code.co_freevars:
            yield i.offset, ("store cell", None, i.argval)
        elif i.opname == "STORE_ATTR":
            place = _loaded(found, k, "LOAD_ATTR") if found[k - 1].opname == "SWAP" else k
            chain = None if place is None else _chain(found, place - 1)
            yield i.offset, ("store", chain and chain[0], i.argval)
        elif i.opname == "STORE_SUBSCR":
            place = _loaded(found, k, "BINARY_SUBSCR") if found[k - 1].opname == "SWAP" else k
            chain, key = (None, None) if place is None else _entry(found, place)
            yield i.offset, ("store item", chain, key)


def _loaded(found, k, opname):
    """The place of the load of `x.a += ...` or `x[i] += ...`, whose store is k; None if unclear."""
    loads = (j for j in range(k - 1, 0, -1)
             if found[j].opname == opname and found[j - 1].opname == "COPY")
    return next(loads, None)


def _entry(found, k):
    """(the chain of the container, that of the key) of x[i], either None where it is unclear."""
    before = k - 1
    while found[before].opname == "COPY":
        before -= 1
    key = _chain(found, before)
    start = _start(found, before)
    container = None if start is None else _chain(found, start - 1)
    return container and container[0], key and key[0]


def _start(found, k):
    """The place of the first instruction of the expression that ends with k; None if unclear."""
    depth = 0
    while k >= 0:
        effect = found[k].effect
        if effect is None:
            return None
        depth += effect
        if depth == 1:
            return k
        k -= 1
    return None


def _chain(found, k):
    """(how the value is found that instruction k leaves, the place before it); None if unclear.

    A chain is a name, or a constant, and the attributes and entries taken from it.
    """
    while k >= 0 and found[k].opname == "COPY":
        k -= 1
    if k < 0:
        return None
    i = found[k]
    if i.opname in LOADS:
        return ((i.opname, i.argval),), k - 1
    if i.opname == "LOAD_CONST":
        return (("constant", i.argval),), k - 1
    if i.opname == "LOAD_ATTR":
        before = _chain(found, k - 1)
        return before and ((*before[0], ("attribute", i.argval)), before[1])
    if i.opname == "BINARY_SUBSCR":
        key = _chain(found, k - 1)
        before = key and _chain(found, key[1])
        return before and ((*before[0], ("item", key[0])), before[1])
    return None


def _evaluated(frame, chain):
    """The value that a chain leads to in a frame, MISSING where it cannot be told."""
    (how, name), *rest = chain
    if how == "constant":
        value = name
    elif how == "LOAD_GLOBAL":
        value = _named(frame, "global", name)[1]
    else:
        value = frame.f_locals.get(name, MISSING)
        if value is MISSING and how == "LOAD_NAME":
            value = _named(frame, "global", name)[1]
    for kind, name in rest:
        if value is MISSING:
            return MISSING
        if kind == "attribute":
            value = _attribute(value, name)
        else:
            value = _item(value, _evaluated(frame, name))
    return value


def _attribute(owner, name):
    """An attribute; MISSING where it is computed, since that may do anything."""
    kind = getattr(type(owner), name, None)
    if isinstance(kind, property) and not isinstance(owner, Tensor):
        return MISSING
    try:
        return getattr(owner, name, MISSING)
    except Exception:
        return MISSING


def _item(owner, key):
    if not isinstance(owner, (list, dict, tuple)):
        return MISSING
    try:
        return owner[key]
    except Exception:
        return MISSING


def _named(frame, kind, name) -> tuple[Any, Any]:
    """(the dict or cell of a name outside of the function, its value)."""
    if kind == "cell":
        cell = _cell(frame, name)
        return cell, MISSING if cell is None else _contents(cell)
    if name in frame.f_globals:
        return frame.f_globals, frame.f_globals[name]
    return None, getattr(builtins, name, MISSING)


def _cell(frame, name):
    """The cell of a variable of an enclosing function, None where it cannot be found."""
    function = function_in(frame)
    if function is None or not function.__closure__:
        return None
    return function.__closure__[frame.f_code.co_freevars.index(name)]


def _contents(cell):
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING
