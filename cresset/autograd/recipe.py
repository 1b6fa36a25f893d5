"""Recipes: what the calls of one operation save, and how its gradient reads what was saved.

There is one for each pattern of operands that want gradients. Its two functions are generated, like
those that operations are called by, because every recorded call runs both:
`print(recipe.source)` shows them.
"""

from __future__ import annotations

import re

from cresset.autograd.node import Pick
from cresset.autograd.redo import redo
from cresset.autograd.saved import freed, overwritten, read_output, save_output
from cresset.core.tensor import Tensor
from cresset.ops.generated import function_of
from cresset.ops.kinds.composite import Composite
from cresset.ops.kinds.elementwise import Elementwise
from cresset.ops.kinds.view import View
from cresset.ops.placement import placed

# How a value that a gradient reads is saved: a tensor with its version, the output as (storage,
# layout, address, version) because the node must not hold what holds the node, one of several
# outputs likewise, any other argument as it is, or the layout of an operand alone.
TENSOR, OUT, ONE_OUT, PLAIN, LAYOUT = range(5)
# How rules name one of several outputs.
ONE_OUT_NAME = re.compile(r"out(\d)")
# What gradient rules name that is not saved.
ARRIVING = ("g", "gs", "arrived", "needs")
# What a call's pattern says of one operand: a number, a tensor, one with a history, none at all.
NUMBER, GIVEN, WANTED, ABSENT = range(4)
# The pattern of a call with one operand, with a history.
ONE_WANTED = 4 + WANTED


class Recipe:
    """What calls of one operation with the same operands wanting gradients save and compute.

    `items` are (how, place among the arguments) for each of `names`, which the gradient rule has
    for them. `save(out, args)` gives the values to keep; `gradients(node, g)` gives the gradients
    of the operands, None where none is wanted, from what the node kept.
    """

    def __init__(self, op, args, pattern):
        needs = [False] * len(args)
        for place in reversed(op.tensor_places):
            pattern, operand = divmod(pattern, 4)
            needs[place] = operand == WANTED
        self.op = op
        self.parameters = tuple(None if isinstance(a, Tensor) else a for a in args)
        self.needs = tuple(needs[place] for place in op.tensor_places)
        self.form = None
        if isinstance(op, Elementwise) and (op.gradient_rule is None or op.outputs == 1):
            present = tuple(
                a if kind == "static" else None if a is None else True
                for kind, a in zip(op.parameter_kinds, args)
            )
            self.form = op.backward_form(tuple(needs), present)
            names = self.form.reads
        else:
            redone = op.parameter_names if isinstance(op, Composite) else ()
            names = redone if op.gradient_rule is None else op.saves
        self.names, self.items = [], []
        for name in names:
            if op.gradient_rule is not None and name in ARRIVING:
                continue
            self.names.append(name)
            self.items.append(self._item(args, name))
        # Whether calls keep memory alive that backward is to let go of.
        self.holds = any(how in (TENSOR, OUT, ONE_OUT) for how, _ in self.items)
        saving, reading = self._saving(), [*self._reading(), *self._computing()]
        self.source = "\n".join([*saving, "", "", *reading])
        scope = {
            "form": self.form and self.form.function,
            "Pick": Pick,
            "freed": freed,
            "needs": self.needs,
            "node_op": op,
            "overwritten": overwritten,
            "placed": placed,
            "read_output": read_output,
            "redo": redo,
            "rule": op.gradient_rule,
            "save_output": save_output,
            "underivable": underivable,
        }
        self.save = function_of("\n".join(saving), scope)
        self.gradients = function_of("\n".join(reading), scope)

    def _item(self, args, name):
        op = self.op
        # A composite that is done again reads its operands, whatever their names.
        redone = isinstance(op, Composite) and op.gradient_rule is None
        if name == "out" and not redone:
            return OUT, -1
        if found := ONE_OUT_NAME.fullmatch(name):
            return ONE_OUT, int(found[1])
        if name in op.parameter_names:
            place = op.parameter_names.index(name)
            return (TENSOR if isinstance(args[place], Tensor) else PLAIN), place
        if name.endswith("_layout"):
            return LAYOUT, op.parameter_names.index(name[:-7])
        raise TypeError(f"{op.label}: its gradient names {name!r}, which is no parameter of it")

    def _saving(self) -> list[str]:
        """The source of `save`."""
        lines, kept = ["def save(out, args):"], []
        for k, (how, place) in enumerate(self.items):
            if how == TENSOR:
                lines += [
                    f"    x{k} = args[{place}]",
                    f"    s{k} = x{k}.memory",
                    f"    if s{k}.writer is None:",
                    f"        s{k}.writer = ()",
                ]
                kept.append(f"(x{k}, s{k}.version)")
            else:
                kept.append({
                    OUT: "save_output(out)",
                    ONE_OUT: f"save_output(out[{place}])",
                    PLAIN: f"args[{place}]",
                    LAYOUT: f"args[{place}].layout",
                }[how])
        return [*lines, f"    return [{', '.join(kept)}]"]

    def _reading(self) -> list[str]:
        """The first lines of `gradients`: what was saved, as v0, v1, ..."""
        lines = ["def gradients(node, g):"]
        if self.holds:
            lines += ["    if node.saved is None:", "        raise freed(node)"]
        if self.items:
            values = ", ".join(f"v{k}" for k in range(len(self.items)))
            lines.append(f"    [{values}] = node.saved")
        for k, (how, place) in enumerate(self.items):
            if how == TENSOR:
                lines += [
                    f"    v{k}, version = v{k}",
                    f"    if v{k}.memory.version != version:",
                    f"        raise overwritten(node, v{k}.memory, v{k}.layout, version)",
                ]
            elif how == OUT:
                lines.append(f"    v{k} = read_output(node, v{k}, node)")
            elif how == ONE_OUT:
                pick = f"Pick(node, {place}, len(node.outputs))"
                lines.append(f"    v{k} = read_output(node, v{k}, {pick})")
        return lines

    def _computing(self) -> list[str]:
        """The last lines of `gradients`."""
        op, form = self.op, self.form
        values = [f"v{k}" for k in range(len(self.items))]
        named = ", ".join(f"{name}={v}" for name, v in zip(self.names, values))
        if form is not None:
            parts = dict.fromkeys(form.through, "g")
            parts.update((place, f"p{k}") for k, place in enumerate(form.computed))
            lines = []
            if form.computed:
                results = ", ".join(f"p{k}" for k in range(len(form.computed)))
                operands = ", ".join(["*g" if op.outputs > 1 else "g", *values])
                lines = [f"    {results} = form({operands})"]
            out = ", ".join(parts.get(place, "None") for place in op.tensor_places)
            return [*lines, f"    return [{out}]"]
        if op.gradient_rule is not None:
            given = [f"{name}=g" for name in ("g", "gs", "arrived") if name in op.saves]
            given += ["needs=needs"] if "needs" in op.saves else []
            return [
                f"    found = rule({', '.join([*given, *([named] if named else [])])})",
                "    return found if type(found) is tuple else (found,)",
            ]
        if isinstance(op, View):
            return ["    return [placed(g, node_op, node.args[1:], node.layouts[0])]"]
        if isinstance(op, Composite):
            return [f"    return redo(node, g, dict({named}))"]
        return ["    raise underivable(node_op)"]


def recipe_of(op, args, pattern) -> Recipe:
    """The recipe of a call; there is one for each pattern of operands and other parameters."""
    key = pattern if op.plain else (pattern, *[args[k] for k in op.static_places],
                                    *[args[k] is None for k in op.number_places])
    found = op.recipes.get(key)
    if found is None:
        found = op.recipes[key] = Recipe(op, args, pattern)
    return found


def underivable(op) -> NotImplementedError:
    """The error for an operation without a gradient."""
    return NotImplementedError(
        f"backward: the derivative of {op.label} is not implemented; detach() its operands, "
        "or state a gradient with @operation.gradient"
    )
