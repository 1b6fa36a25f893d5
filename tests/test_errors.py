"""Errors: their classes are PyTorch's, and their messages teach.

A message is `operation: what is wrong; what was given; what is needed; how to mend it`. The
table of wrong calls pins them whole; where PyTorch is installed, the class is compared with it.
"""

import re
import warnings

import fuzz
import pytest
from wrong_calls import TABLE

import cresset
from cresset.core.errors import LinAlgError
from cresset.ops import dispatch
from cresset.ops.arguments import guards
from cresset.ops.naming import NAME


def helpers(torch):
    """What calls of the table use that takes more than an expression."""

    def assign(x, index, value):
        x[index] = value

    def twice():
        x = torch.ones(2, requires_grad=True)
        y = (x * x).sum()
        y.backward()
        y.backward()

    def overwritten():
        x = torch.ones(2, requires_grad=True)
        y = x.exp()
        y.add_(1)
        y.sum().backward()

    def view_of_leaf():
        torch.ones(2, requires_grad=True)[0].add_(1)

    def unused():
        x, y = (torch.ones(1, requires_grad=True) for _ in range(2))
        torch.autograd.grad(x.sum(), y)

    return locals()


def error_of(call, torch):
    """The exception that a call ends with, None where it ends well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            eval(call, helpers(torch))
        except Exception as error:
            return error
    return None


@pytest.mark.parametrize("call, kind, message", TABLE, ids=[row[0] for row in TABLE])
def test_wrong_call(call, kind, message):
    error = error_of(call, cresset)
    assert isinstance(error, kind), error
    # Where a tensor was overwritten is a line of this file.
    place = re.escape(message).replace(re.escape("{here}"), rf"{re.escape(__file__)}:\d+")
    assert re.fullmatch(place, str(error)), str(error)


def test_classes_are_those_of_pytorch(torch):
    for call, kind, _ in TABLE:
        expected = type(error_of(call, torch))
        # PyTorch's class of failed factorizations has a name of its own.
        same = issubclass(kind, expected) or kind is LinAlgError and "LinAlg" in expected.__name__
        assert same, f"{call}: {kind.__name__} instead of {expected.__name__}"


# --- names ----------------------------------------------------------------------------------------
def test_an_error_speaks_of_the_function_that_was_called():
    """Whatever a function is made of, and whether its plan is there or not."""
    index = cresset.tensor([0])
    assert cresset.ones(3).index_fill(0, index, 1.0).tolist() == [1, 1, 1]
    for wrong in (7, 8):
        with pytest.raises(IndexError, match=f"^index_fill: index {wrong} is out of bounds"):
            cresset.ones(3).index_fill(0, cresset.tensor([wrong]), 1.0)


def test_what_is_no_tensor_is_told_by_every_function():
    """No function fails in Python's words; a method is called on a tensor."""
    wrong = object()
    bare = []
    for name, function in fuzz.functions():
        method = name.startswith("Tensor.")
        if "__" in name:
            continue
        for args in ([cresset.ones(2, 3), wrong], [wrong])[: 2 - method]:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    function(*args)
            except Exception as error:
                if not NAME.match(str(error)):
                    bare.append(f"{name}: {error!r}")
    assert not bare, "\n".join(bare)


def test_errors_of_a_users_function_keep_their_words():
    def function(x):
        raise ValueError("sum: mine")

    with pytest.raises(ValueError, match="^sum: mine$"):
        cresset.trace(function, cresset.ones(2))
    with pytest.raises(TypeError, match="^unsupported operand"):
        cresset.ones(2).map_(cresset.ones(2), lambda a, b: a + [b])
    x = cresset.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: g + "1")
    with pytest.raises(TypeError, match="^add"):
        y.sum().backward()


# --- modules --------------------------------------------------------------------------------------
class Block(cresset.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = cresset.nn.Sequential(cresset.nn.Linear(3, 4), cresset.nn.Linear(3, 4))

    def forward(self, x):
        return self.layers(x)


class Raising(cresset.nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        raise self.error


def notes_of(module, x):
    try:
        module(x)
    except Exception as error:
        return error.__notes__
    raise AssertionError("the module raised nothing")


def test_a_module_is_named_by_its_path():
    net = cresset.nn.Sequential(cresset.nn.Identity(), cresset.nn.ModuleDict({"block": Block()}))
    net.forward = net[1]["block"].forward
    assert notes_of(net, cresset.ones(3)) == ["in module 1.block.layers.1 (Linear)"]


def test_an_error_that_is_raised_again_names_the_place_where_it_is_now():
    raising = Raising(ValueError("once"))
    assert notes_of(cresset.nn.Sequential(raising), 1) == ["in module 0 (Raising)"]
    assert notes_of(cresset.nn.Sequential(cresset.nn.Identity(), Raising(raising.error)), 1) == [
        "in module 1 (Raising)"
    ]


def test_a_module_that_is_not_registered_leaves_the_path_of_the_one_around_it():
    class Hiding(cresset.nn.Module):
        def forward(self, x):
            return cresset.nn.Sequential(cresset.nn.Linear(2, 2))(x)

    assert notes_of(cresset.nn.Sequential(Hiding()), cresset.ones(3)) == ["in module 0 (Hiding)"]


def test_plans_leave_no_guards_behind():
    """What explains a plan's faults goes with the plan."""
    x, place = cresset.arange(4.0), cresset.tensor([1])
    count = len(guards)
    for _ in range(3):
        dispatch.forget()
        x.index_select(0, place)
    assert len(guards) == count


@pytest.mark.parametrize("call", ("x.amax(1, {})", "torch.logsumexp(x, 1, keepdim={})",
                                  "torch.all(x, 1, keepdim={})", "torch.gather(x, 0, i, "
                                  "sparse_grad={})"))
def test_a_number_is_no_flag_whether_or_not_the_call_was_planned(call):
    operands = {"torch": cresset, "x": cresset.ones(2, 2), "i": cresset.zeros(2, 2).long()}
    for _ in range(2):
        with pytest.raises(TypeError, match="must be bool; got 1; need True or False"):
            eval(call.format(1), operands)
        eval(call.format(True), operands)
