"""Roots and roundings, which LLVM has instructions for: sqrt, rsqrt, floor, ceil, trunc, round."""

from __future__ import annotations

from cresset.runtime import ir


def sqrt(f: ir.Function, x: ir.Value) -> ir.Value:
    """The square root, rounded correctly; NaN for negative numbers."""
    return f.intrinsic("sqrt", x)


def rsqrt(f: ir.Function, x: ir.Value) -> ir.Value:
    """1 / sqrt x"""
    return 1.0 / f.intrinsic("sqrt", x)


def floor(f: ir.Function, x: ir.Value) -> ir.Value:
    """The greatest integer that is not above x."""
    return f.intrinsic("floor", x)


def ceil(f: ir.Function, x: ir.Value) -> ir.Value:
    """The least integer that is not below x."""
    return f.intrinsic("ceil", x)


def trunc(f: ir.Function, x: ir.Value) -> ir.Value:
    """The integer next to x in the direction of zero."""
    return f.intrinsic("trunc", x)


def round(f: ir.Function, x: ir.Value) -> ir.Value:
    """The integer nearest to x, the even one of two as near."""
    return f.intrinsic("roundeven", x)
