"""Replays: a recorded call of a function, to be made again without running the function.

The tape is cut at the calls that have to be made anew (an optimizer's step); each stretch between
them is one program. What plays them is a Python function that is written out: it finds the tensors,
runs the programs, hands on the gradients, makes the calls and builds the result.
"""

from __future__ import annotations

import gc
import types
from enum import Enum
from typing import Any, NamedTuple

from cresset.autograd.node import Leaf, Node
from cresset.capture.reads import PLAIN, same
from cresset.capture.tape import MOST_HELD, Earlier, Launched, Live, Looked, Memory, Place, Tape
from cresset.compiler.backward import Backward, PlayedNode, storages_of, with_graph
from cresset.compiler.programs.segment import Segment, segment
from cresset.compiler.structure import Form, form_of, leaves_of, tensors_of
from cresset.compiler.undo import Undo
from cresset.core.device import device
from cresset.core.dtype import dtype, uint8
from cresset.core.generator import Generator
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import meta
from cresset.ops.exchange.numbers import READ
from cresset.ops.generated import function_of
from cresset.runtime.heap import block_bytes

# Types whose objects may be returned again: they do not change.
LASTING = (
    *PLAIN, tuple, frozenset, range, slice, type, Enum, dtype, device, types.FunctionType,
    types.BuiltinFunctionType, types.ModuleType,
)


class NotReplayable(Exception):
    """Why a recorded call cannot be made again without running the function."""

    def __init__(self, reason: str, line: tuple[str, int] | None = None):
        super().__init__(reason)
        self.line = line


class Mispredicted(Exception):
    """An element by which Python decides is another than when the call was recorded."""


class Replay(NamedTuple):
    """`play(leaves)` makes the call again over the tensors among its arguments.

    `found` are the tensors that were there before beside them. `gradients` are those of tensors on
    which the call depends: None, the layout that is read, or True where it is only replaced.
    `released` are those that a play lets go of before it makes any, as bytes in memory.
    `parts` are what a play does in order: programs, which it knows as `program1` and so on, the
    calls that are made anew, and the looks; the program of the way back comes last. `generators`
    are those that random numbers are drawn from.
    """

    play: Any
    found: tuple[Tensor, ...]
    gradients: dict[Tensor, Any]
    parts: tuple[Segment | Live | Looked, ...]
    generators: list[Generator]
    released: int

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The programs."""
        return tuple(part for part in self.parts if isinstance(part, Segment))

    @property
    def way_back(self) -> Segment | None:
        """The program of the way back, where there is one."""
        return self.segments[-1] if "back" in self.play.__globals__ else None


def replay(
    tape: Tape, result: Any, leaves: list[Tensor], numbers: list[float],
    backward: Backward | None, assignments: list[tuple[dict, str, Any]],
) -> Replay:
    """The replay of what a tape has recorded; `leaves` are the tensors among the arguments.

    Behind these a play is given others for the `numbers`, which launches know by identity.
    `backward` is the way back from the results, where it was recorded; `assignments` are entries of
    dicts, which come to hold a value.

    Raises NotReplayable where playing again would not do what the function does.
    """
    made = _Writer(tape, result, leaves, numbers, backward).replay(assignments)
    for memory in tape.memories:
        # Found through its tensor from now on, which may be given other memory.
        memory.kept = None
    return made


class _Writer:
    def __init__(self, tape, result, leaves, numbers, backward):
        self.tape = tape
        self.numbers = numbers
        self.backward = backward
        self.result = result
        self.leaves = leaves
        tape.entries = [self._as_seen(entry) for entry in tape.entries]
        places = (a for e in tape.entries if isinstance(e, Launched) for a in e.arguments)
        self.used = {a.memory for a in places if isinstance(a, Place)}
        # Results may lie in memory that no launch has touched.
        self.results = {id(x): (x, tape.place(x)) for x in tensors_of(result)}
        self.last = tape.gradients()
        # The elements that Python sees of the results, which it has to see again.
        self.looks = [e for e in tape.entries if isinstance(e, Looked) and e.last]
        self._refuse_decisions()
        self._refuse_leaks()
        self.scope: dict[str, Any] = {"shown": shown, "new": meta.new, "same": same}
        self.globals: dict[tuple[str, int], str] = {}
        self.lines: list[str] = []
        self.names: dict[Memory, str] = {}
        self.offsets: dict[Memory, int] = {}
        self.given: dict[Tensor, str] = {}
        # The gradients that the call depends on, as they were.
        self.gradients = {x: g for x, g in tape.earlier.items() if self._touched(x, g)}
        self._name_tensors()
        # The gradient that each tensor has been given so far.
        self.handed: dict[Tensor, Place | Earlier | None] = {
            x: None if g is None else tape.place_of(g) or g for x, g in tape.earlier.items()
        }
        # The names of results that lead to a way back.
        self.outs: dict[int, str] = {}
        self.parts: list[Segment | Live | Looked] = []
        self.released = self._release()
        self.undo = self._prepare_undo()

    def _as_seen(self, entry):
        """An entry of the tape; a look whose element is not returned, as within a call of a library
        that gives something else, is one by which Python may decide.
        """
        if not isinstance(entry, Looked) or not entry.last:
            return entry
        return entry._replace(last=any(value is entry.value for value in leaves_of(self.result)))

    def _refuse_decisions(self):
        """Raise where Python looks at an element and a play could not follow what it does by it.

        Where it is only returned it is returned again. Else another element means another way
        through the function, on which it begins anew: what was done before has to be undone.
        """
        plain = [value for value in leaves_of(self.result) if not isinstance(value, Tensor)]
        for k, entry in enumerate(self.tape.entries):
            if not isinstance(entry, Looked):
                continue
            if entry.last:
                followed = not self._changes(entry, k) and (
                    sum(value is entry.value for value in plain)
                    == sum(other.value is entry.value for other in self.looks)
                )
            else:
                earlier = self.tape.entries[:k]
                followed = not any(isinstance(e, Live) for e in earlier) and (
                    sum(_bytes(memory) for memory in _overwritten(earlier)) <= MOST_HELD
                )
            if entry.memory is None or not followed:
                raise NotReplayable(
                    "Python looks at an element after something was done that cannot be undone, "
                    "and may decide by it", entry.line,
                )

    def _changes(self, look: Looked, k: int) -> bool:
        """Whether what is looked at may be another when the call ends; the look is entry k."""
        later = self.tape.entries[k + 1 :]
        if any(isinstance(entry, Live) for entry in later):
            gradients = {place.memory for place in self.last.values() if place is not None}
            if look.memory is None or not look.memory.made or look.memory in gradients:
                return True
        return any(look.memory in _written(entry) for entry in later)

    def _refuse_leaks(self):
        """Raise where something that was made lives on beside the results and the gradients."""
        kept = {place.memory for _, place in self.results.values()}
        places = [*self.last.values()]
        for entry in self.tape.entries:
            if isinstance(entry, Live):
                places += entry.gradients.values()
        if self.backward is not None:
            for entry in self.tape.entries[self.backward.start :]:
                places += [a for a in entry.arguments if isinstance(a, Place)]
            # The graph of the results goes; in a play one node stands for it.
            held = storages_of(self.backward.outs)
            kept |= {m for m in self.tape.memories if m.storage() in held}
        kept |= {place.memory for place in places if place is not None}
        for again in range(2):
            living = [m for m in self.tape.memories
                      if m.made and m not in kept and m.storage() is not None]
            if not living:
                return
            if not again:
                gc.collect()
        lines = [e.line for e in self.tape.entries
                 if isinstance(e, Launched) and set(e.results) & set(living)]
        raise NotReplayable(
            "a tensor that the function made is still held by something else than its result",
            lines[0] if lines else None,
        )

    def _touched(self, x: Tensor, gradient: Earlier | None) -> bool:
        """Whether the call reads, writes or replaces the gradient that x had."""
        if gradient is None:
            return x.grad is not None
        return not gradient.is_still(x.grad) or self._is_used(gradient)

    def _is_used(self, gradient: Earlier) -> bool:
        """Whether launches read or write an earlier gradient."""
        place = self.tape.place_of(gradient)
        return place is not None and place.memory in self.used

    def _name_tensors(self):
        """Give names to the tensors through which memories come that were there before."""
        for k, x in enumerate(self.leaves):
            self.given.setdefault(x, f"a[{k}]")
            memory = self.tape.place(x).memory
            if memory not in self.names:
                self._name(memory, x, f"a[{k}]")
        earlier = {
            x: self.tape.place_of(g) for x, g in self.gradients.items() if g is not None
        }
        for x, place in earlier.items():
            if place is not None and place.memory in self.used and place.memory not in self.names:
                name = f"e{len(self.names)}"
                target = self.given.get(x) or self._global("s", x)
                self.lines.append(f"    {name} = {target}.grad")
                self.names[place.memory], self.offsets[place.memory] = name, place.offset
        handed = [self.last, *(e.gradients for e in self.tape.entries if isinstance(e, Live))]
        places = [place for gradients in handed for place in gradients.values()]
        places += [place for _, place in self.results.values()]
        needed = self.used | {place.memory for place in places if place is not None}
        # Gradients that were only replaced are not kept.
        replaced = {place.memory for place in earlier.values() if place is not None}
        holders = self.tape.holders()
        for memory in self.tape.memories:
            if memory.made or memory in self.names or memory in replaced - needed:
                continue
            x = holders.get(memory)
            if x is None:
                # Nobody else has it: it is a constant of the recording.
                x = _over(memory)
            self._name(memory, x, self._global("s", x))

    def _release(self) -> int:
        """Let go of gradients that the function replaced before anything could end a play.

        So new ones may lie where they lay. Returns the bytes that this leaves.
        """
        entries = self.tape.entries
        ends = [k for k, entry in enumerate(entries) if _ends(entry)]
        storages = {}
        for x, number in self.tape.replaced.items():
            gradient = self.gradients[x]
            assert gradient is not None
            if number <= min(ends, default=number) and not self._is_used(gradient):
                self.lines.append(f"    {self.given.get(x) or self._global('s', x)}.grad = None")
                self.handed[x] = None
                storages[gradient.key] = block_bytes(gradient.nbytes)
        return sum(storages.values())

    def _prepare_undo(self) -> str:
        """Keep what is changed before Python decides last; returns what puts it back."""
        entries = self.tape.entries
        last = max((k for k, entry in enumerate(entries) if _decides(entry)), default=0)
        written = [self.names[memory] for memory in _overwritten(entries[:last])]
        drawn = self.tape.drawn is not None and self.tape.drawn <= last
        if not written and not drawn:
            return ""
        self.scope.update(Undo=Undo, generators=self.tape.generators if drawn else ())
        self.lines.append(f"    undo = Undo(({_listed(written)}), generators)")
        return "undo(); "

    def _name(self, memory, x, name):
        self.names[memory] = name
        self.offsets[memory] = x.ptr - x.memory.ptr

    def _global(self, letter, value) -> str:
        name = self.globals.get((letter, id(value)))
        if name is None:
            name = self.globals[letter, id(value)] = f"{letter}{len(self.scope)}"
            self.scope[name] = value
        return name

    # --- writing ----------------------------------------------------------------------------------
    def replay(self, assignments) -> Replay:
        stretches: list[list] = [[]]
        entries = self.tape.entries
        if self.backward is not None:
            entries = entries[: self.backward.start]
        for entry in entries:
            if isinstance(entry, Live) or _decides(entry):
                stretches += [[entry], []]
            elif isinstance(entry, Launched):
                stretches[-1].append(entry)
        before: set[Memory] = set()
        for k, stretch in enumerate(stretches):
            if k % 2:
                (self._live if isinstance(stretch[0], Live) else self._decide)(stretch[0])
                self.parts.append(stretch[0])
            elif stretch:
                after = self._needed(stretches[k + 1 :])
                part = segment(
                    stretch, before, after, self.offsets, True, self.numbers, self.tape.fast_math
                )
                self._launch(part)
                before.update(part.outputs)
        self._hand(self.last)
        for scope, name, value in assignments:
            # Only where it is another: who watches the dict would take it for changed.
            entry, known = f"{self._global('d', scope)}[{name!r}]", self._global("k", value)
            self.lines.append(f"    if not same({entry}, {known}): {entry} = {known}")
        built = self._built(self.result)
        if self.backward is not None:
            self._write_backward(before)
        self.lines.append(f"    return {built}")
        text = "\n".join(["def play(a):", *self.lines])
        found = tuple(self.scope[name] for (letter, _), name in self.globals.items()
                      if letter == "s")
        play = function_of(text, self.scope)
        gradients = {
            x: None if g is None else g.layout if self._is_used(g) else True
            for x, g in self.gradients.items()
        }
        return Replay(
            play, found, gradients, tuple(self.parts), self.tape.generators, self.released
        )

    def _needed(self, stretches) -> set[Memory]:
        """The memories that are used after a stretch."""
        places = [place for _, place in self.results.values()]
        places += self.last.values()
        if self.backward is not None:
            stretches = [*stretches, self.tape.entries[self.backward.start :]]
        for stretch in stretches:
            for entry in stretch:
                if isinstance(entry, Live):
                    places += entry.gradients.values()
                elif not isinstance(entry, Looked):
                    places += entry.arguments
        looks = [e for s in stretches for e in s if isinstance(e, Looked)]
        seen = {look.memory for look in (*self.looks, *looks) if look.memory is not None}
        return seen | {place.memory for place in places if isinstance(place, Place)}

    def _program(self, part: Segment) -> str:
        """The name by which a program is launched."""
        self.parts.append(part)
        name = f"program{sum(isinstance(p, Segment) for p in self.parts)}"
        self.scope[name] = part.launcher()
        return name

    def _launch(self, part: Segment):
        launch = self._program(part)
        for memory in part.outputs:
            self.names[memory] = f"m{len(self.names)}"
            self.offsets[memory] = 0
        words = {id(x): f"a[{k}]" for k, x in enumerate(self.numbers, start=len(self.leaves))}
        given = [words[id(x)] for x in part.given]
        inputs = ", ".join(["None", *(self.names[m] for m in part.inputs), *given])
        made = ", ".join(self.names[m] for m in part.outputs)
        self.lines.append(f"    {made + ' = ' if made else ''}{launch}({inputs})")

    def _live(self, entry: Live):
        self._hand(entry.gradients)
        self.lines.append(f"    {self._global('call', entry.call)}()")

    def _decide(self, entry: Looked):
        """Go on only where Python would see what it saw."""
        self.scope["Mispredicted"] = Mispredicted
        seen = self._global("k", entry.value)
        self.lines.append(f"    if {self._looked(entry)} != {seen}: {self.undo}raise Mispredicted")

    def _hand(self, gradients):
        """Give the tensors the gradients that they have now."""
        for x, place in gradients.items():
            if x in self.handed and self.handed[x] == place:
                continue
            self.handed[x] = place
            target = self.given.get(x) or self._global("s", x)
            if place is None:
                self.lines.append(f"    {target}.grad = None")
            else:
                self.lines.append(f"    {target}.grad = {self._shown(place)}")

    def _shown(self, place: Place) -> str:
        memory = place.memory
        name = self.names.get(memory)
        if name is None:
            # A new tensor that nothing was written to.
            name = f"new({self._global('l', memory.layout)})"
        return self._shown_as(name, place, place.offset - self.offsets.get(memory, 0))

    def _shown_as(self, name: str, place: Place, offset: int) -> str:
        """A place behind the first element of the tensor that its memory comes as."""
        if place.layout is place.memory.layout and not place.offset:
            return name
        return f"shown({name}, {self._global('l', place.layout)}, {offset})"

    def _built(self, value) -> str:
        """The expression that builds a result."""
        if isinstance(value, Tensor):
            return self._built_tensor(value)
        form = form_of(value)
        if form is not None:
            return self._built_container(form, [self._built(part) for part in form.parts(value)])
        kind = type(value)
        look = next((look for look in self.looks if look.value is value), None)
        if look is not None:
            self.looks.remove(look)
            return self._looked(look)
        if value is None or kind in (bool, int, str):
            return repr(value)
        if not isinstance(value, LASTING):
            raise NotReplayable(f"the result is a {kind.__name__}, another one at every call")
        return self._global("k", value)

    def _built_container(self, form: Form, parts: list[str]) -> str:
        if form.kind is dict:
            pairs = (f"{self._global('k', key)}: {part}" for key, part in zip(form.keys, parts))
            return f"{{{', '.join(pairs)}}}"
        if form.kind is tuple:
            return f"({_listed(parts)})"
        held = f"[{', '.join(parts)}]"
        if form.kind is list:
            return held
        return f"{self._global('form', form)}.filled({held})"

    def _looked(self, look: Looked) -> str:
        """The expression that reads an element."""
        memory = look.memory
        assert memory is not None
        read, at = self._global("r", READ[look.dtype]), look.offset - self.offsets[memory]
        return f"{read}({self.names[memory]}.ptr + {at}).value"

    def _built_tensor(self, x) -> str:
        place = self.results[id(x)][1]
        if not place.memory.made:
            if x in self.given:
                return self.given[x]
            if ("s", id(x)) in self.globals:
                return self._global("s", x)
        if x.history is not None and type(x.history) is Leaf:
            raise NotReplayable("the result is a new tensor that requires gradients")
        built = self._shown(place)
        if self.backward is not None and any(x is out for out in self.backward.outs):
            name = self.outs.get(id(x))
            if name is None:
                name = self.outs[id(x)] = f"o{len(self.outs)}"
                self.lines.append(f"    {name} = {built}")
            return name
        if isinstance(x.history, Node):
            # Gone backward through: what is left of the graph says so.
            self.scope["with_history"] = with_history
            return f"with_history({built}, {self._global('h', x.history)})"
        return built

    # --- the way back -----------------------------------------------------------------------------
    def _write_backward(self, before):
        """Write the function that goes backward, and the node through which results lead to it."""
        backward = self.backward
        entries = self.tape.entries[backward.start :]
        staying = {place.memory for place in backward.found}
        given = {self.tape.place(x).memory: k for k, x in enumerate(backward.given)}
        part = segment(
            entries, before, staying, self.offsets, alone=True, fast_math=self.tape.fast_math
        )
        saved: list[str] = []
        inputs = ["None"]
        for memory in part.inputs:
            if memory in given:
                inputs.append(f"g[{given[memory]}]")
            else:
                inputs.append(f"s[{len(saved)}]")
                saved.append(self.names[memory])
        names = {m: f"m{k}" for k, m in enumerate(part.outputs)}
        made = ", ".join(names.values())
        gradients = []
        for place in backward.found:
            if place.memory in names:
                gradients.append(self._shown_as(names[place.memory], place, place.offset))
            elif place.memory in given:
                gradients.append(f"g[{given[place.memory]}]")
            else:
                raise NotReplayable("a gradient is a tensor of the function")
        text = "\n".join([
            "def back(g, s):",
            f"    {made + ' = ' if made else ''}{self._program(part)}({', '.join(inputs)})",
            f"    return [{', '.join(gradients)}]",
        ])
        self.scope["back"] = function_of(text, self.scope)
        self.scope["outputs"] = tuple(x.layout for x in backward.given)
        self.scope.update(PlayedNode=PlayedNode, with_graph=with_graph)
        wanted = [self.given.get(x) or self._global("s", x) for x in backward.wanted]
        outs = [self.outs[id(x)] for x in backward.outs]
        self.lines += [
            f"    node = PlayedNode(back, outputs, ({_listed(wanted)}), ({_listed(saved)}))",
            f"    with_graph(node, ({_listed(outs)}))",
        ]


def _ends(entry) -> bool:
    """Whether a play may end at an entry, or do there what depends on more than memory."""
    if isinstance(entry, Launched):
        return entry.program.explain is not None
    return isinstance(entry, Live) or _decides(entry)


def _written(entry) -> set[Memory]:
    """The memories that were there and that an entry writes."""
    if not isinstance(entry, Launched):
        return set()
    return {place.memory for place in entry.overwritten()}


def _overwritten(entries) -> dict[Memory, None]:
    """The memories that were there before the call and that some entries write."""
    return dict.fromkeys(
        memory for entry in entries for memory in _written(entry) if not memory.made
    )


def _bytes(memory: Memory) -> int:
    """How many bytes a memory has that was there before the call."""
    assert memory.kept is not None
    return memory.kept.nbytes


def _decides(entry) -> bool:
    """Whether Python looks at an element by which it may decide."""
    return isinstance(entry, Looked) and not entry.last


def _listed(names) -> str:
    return "".join(f"{name}, " for name in names)


def _over(memory: Memory) -> Tensor:
    """A tensor over a memory that none is over."""
    storage = memory.kept
    assert storage is not None
    return meta.over(storage, Layout.packed((storage.nbytes,), uint8), storage.ptr)


def shown(x: Tensor, layout, offset: int) -> Tensor:
    """A tensor of a layout over the memory of x, so many bytes behind its first element."""
    return meta.over(x.memory, layout, x.ptr + offset)


def with_history(x: Tensor, history) -> Tensor:
    x.history = history
    return x
