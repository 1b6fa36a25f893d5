"""Verification under CRESSET_CHECK=1: broken graphs and nests are refused, at the line at fault."""

import os
import subprocess
import sys

import pytest

import cresset
from cresset.capture import graph as graphs
from cresset.capture.verify import GraphError
from cresset.capture.verify import verify as verify_graph
from cresset.compiler.programs.fuse import fuse
from cresset.core import check, scalar
from cresset.core.dtype import float32, float64, int64
from cresset.core.layout import Layout
from cresset.kernels import nest as nests
from cresset.kernels.nest import Nest, Operand, Reduce, Store
from cresset.kernels.verify import NestError, describe
from cresset.kernels.verify import verify as verify_nest


# --- graphs ---------------------------------------------------------------------------------------
def graph():
    """def captured(v0): v1 = mul(v0, 2); v2 = exp(v1); v3 = sum(v2, 1); return v3"""
    return graphs.capture(lambda x: (x * 2).exp().sum(1), cresset.ones(2, 3))


def swap_calls(g):
    g.calls[0], g.calls[1] = g.calls[1], g.calls[0]


def repeat_a_call(g):
    g.calls.insert(1, g.calls[0])


def repeat_a_name(g):
    g.calls[1].outputs[0].name = "v1"


def drop_an_argument(g):
    g.calls[2] = g.calls[2]._replace(args=g.calls[2].args[:-1])


def drop_a_result(g):
    g.calls[1] = g.calls[1]._replace(outputs=())


def put_in_a_tensor(g):
    g.calls[0] = g.calls[0]._replace(args=(cresset.ones(2, 3), 2))


def change_a_shape(g):
    g.calls[1].outputs[0].actual = Layout.packed((3, 2), float32)


def change_a_type(g):
    g.calls[1].outputs[0].actual = Layout.packed((2, 3), float64)


def ask_for_no_dim(g):
    g.calls[2] = g.calls[2]._replace(args=(g.calls[2].args[0], 5, False, None))


def return_a_stranger(g):
    g.outputs = (g.value(Layout.packed((2,), float32)),)


BROKEN_GRAPHS = {
    swap_calls: "v1 is used before it is defined; at line 2: v2 = exp(v1)",
    repeat_a_call: "v1 is defined twice; at line 3: v1 = mul(v0, 2)",
    repeat_a_name: "two values are called v1; at line 3: v1 = exp(v1)",
    drop_an_argument: "3 arguments for 4 parameters; at line 4: v3 = sum(v2, 1, False",
    drop_a_result: "0 results, the rules infer 1; at line 3",
    put_in_a_tensor: "an argument is a tensor and no value of the graph; at line 2: v1 = mul(",
    change_a_shape: "v2 is Layout(shape=(3, 2), strides=(2, 1), float32), the rules infer Layout("
                    "shape=(2, 3), strides=(3, 1), float32); at line 3: v2 = exp(v1)",
    change_a_type: "float64), the rules infer Layout(shape=(2, 3), strides=(3, 1), float32); at l",
    ask_for_no_dim: "the rules refuse the call: sum: Dimension out of range",
    return_a_stranger: "v4 is used before it is defined; at line 5: return v4",
}


@pytest.mark.parametrize("damage", BROKEN_GRAPHS, ids=lambda damage: damage.__name__)
def test_broken_graph_is_refused(damage):
    broken = graph()
    verify_graph(broken)
    damage(broken)
    with pytest.raises(GraphError) as caught:
        verify_graph(broken)
    assert str(caught.value).startswith("verify graph: ")
    assert BROKEN_GRAPHS[damage] in str(caught.value)


# --- nests ----------------------------------------------------------------------------------------
A, B = scalar.argument(0, float32), scalar.argument(1, float32)
STATE = scalar.accumulator(0, float32)
SUM = Reduce((A,), (A + B,), (0,))
ONCE = Store(1, STATE, True)
IN, OUT = Operand(1, float32, (8, 1)), Operand(0, float32, (1, 0))
ROW_SUMS = Nest((4, 8), frozenset({1}), (IN, OUT), (SUM, ONCE))


def nest(**changes):
    return ROW_SUMS._replace(**changes)


def body(*statements):
    return nest(body=statements)


BROKEN_NESTS = [
    (nest(shape=(4, -8)), "a size is no size; at line 1: nest over (4, -8), reduced dims [1]"),
    (nest(reduced=frozenset({2})), "a reduced dim is none of the 2 dims; at line 1"),
    (nest(position_strides=(1,)), "1 position strides for 2 dims; at line 1"),
    (body(SUM), "nothing is stored; at line 1"),
    (nest(operands=(IN, Operand(0, float32, (1,)))), "1 strides for 2 dims; at line 3: a1: v"),
    (nest(operands=(Operand(1, float32, (8, 1), -4), OUT)), "the offset is negative; at line 2"),
    (nest(operands=(IN, Operand(0, float32, None))), "a number is of type 'd' or 'i'; at line 3"),
    (body(Reduce((), (), ()), ONCE), "there is no state; at line 4"),
    (body(Reduce((A,), (A + B,), ()), ONCE),
     "1 lifted, 1 merged and 0 starting components; at line 4"),
    (body(Reduce((scalar.argument(2, float32),), (A + B,), (0,)), ONCE),
     "a2 is no operand; at line 4"),
    (body(Reduce((A,), (A + scalar.argument(2, float32),), (0,)), ONCE),
     "a2 is neither side of the merge; at line 4"),
    (body(Reduce((A,), (scalar.cast(A + B, float64),), (0,)), ONCE),
     "component 0 is float32, merged float64; at line 4"),
    (body(Reduce((scalar.argument(0, float64),), (A + B,), (0,)), ONCE),
     "a0 is float32, read as float64; at line 4"),
    (body(Reduce((B,), (A + B,), (0,)), ONCE), "a1 is written, not read; at line 4"),
    (body(Reduce((scalar.cast(scalar.position(), float32),), (A + B,), (0,)), ONCE),
     "the position is read and has no strides; at line 4"),
    (body(ONCE, SUM), "accumulator0 is read before it is reduced; at line 4: store"),
    (body(SUM, Store(2, STATE, True)), "the target is no operand; at line 5: store a2 once = acc"),
    (body(SUM, Store(1, scalar.cast(STATE, int64), True)), "int64 is stored as float32; at line 5"),
    (body(SUM, Store(1, STATE * A, True)), "a0 changes over reduced dims; at line 5"),
    (body(SUM, Store(1, STATE, False)), "all of dim 1 is written to one place; at line 5"),
    (nest(operands=(IN, Operand(0, float32, (1, 4)))),
     "the target moves along dim 1, which is reduced; at line 5: store a1 once = accumulator0"),
    (nest(operands=(IN, Operand(0, float32, None, 0, "d"))), "the target is a number; at line 5"),
]


@pytest.mark.parametrize("broken, problem", BROKEN_NESTS, ids=[p for _, p in BROKEN_NESTS])
def test_broken_nest_is_refused(broken, problem):
    verify_nest(ROW_SUMS)
    with pytest.raises(NestError) as caught:
        verify_nest(broken)
    assert str(caught.value).startswith(f"verify nest: {problem}")


def test_nest_reads_as_text():
    assert describe(ROW_SUMS) == [
        "nest over (4, 8), reduced dims [1]",
        "a0: value 1, float32, strides (8, 1) from 0",
        "a1: value 0, float32, strides (1, 0) from 0",
        "reduce (a0,) from (0,) by (add(a0, a1),)",
        "store a1 once = accumulator0",
    ]


# --- where they are called ------------------------------------------------------------------------
def test_every_stage_checks_what_it_takes(monkeypatch):
    broken = graph()
    change_a_type(broken)
    monkeypatch.setattr(check, "ENABLED", False)
    nests.steps(body(SUM, Store(1, STATE * A, True)))
    monkeypatch.setattr(check, "ENABLED", True)
    with pytest.raises(GraphError):
        fuse(broken)
    with pytest.raises(NestError):
        nests.steps(body(SUM, Store(1, STATE * A, True)))


@pytest.mark.parametrize("setting", ["1", "0", None])
def test_checks_are_asked_for_by_the_environment(setting):
    environment = {k: v for k, v in os.environ.items() if k != "CRESSET_CHECK"}
    if setting is not None:
        environment["CRESSET_CHECK"] = setting
    code = "from cresset.core import check; print(check.ENABLED)"
    output = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert output.strip() == str(setting == "1")
