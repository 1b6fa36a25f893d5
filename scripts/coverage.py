"""How many of the names of PyTorch that real programs use exist here, weighted by use.

`api_usage.tsv` lists names with the programs that use them and how often they occur in those:
counted over public programs that import torch. Run by `make coverage`; `--missing` lists what is
not there, most used first.
"""

from __future__ import annotations

import argparse
import csv
import importlib
from collections import defaultdict
from pathlib import Path

import cresset

USAGE = Path(__file__).with_name("api_usage.tsv")


def exists(name: str) -> bool:
    """Whether `torch.a.b` or `Tensor.a` is there, as an attribute or a module."""
    first, *rest = name.split(".")
    found = cresset if first == "torch" else cresset.Tensor
    for part in rest:
        module = getattr(found, "__name__", "")
        try:
            found = getattr(found, part)
        except AttributeError:
            if not module:
                return False
            try:
                found = importlib.import_module(f"{module}.{part}")
            except ImportError:
                return False
    return True


def usage() -> list[tuple[str, int, int]]:
    """(name, programs, occurrences) of every name in the list."""
    with USAGE.open(newline="") as file:
        return [
            (row["name"], int(row["programs"]), int(row["occurrences"]))
            for row in csv.DictReader(file, delimiter="\t")
        ]


def theme(name: str) -> str:
    """The part of the API that a name belongs to."""
    parts = name.split(".")
    if parts[0] == "Tensor":
        return "Tensor"
    return f"torch.{parts[1]}" if len(parts) > 2 else "torch"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--missing", action="store_true", help="list the names that are not there")
    chosen = parser.parse_args()
    totals: dict = defaultdict(lambda: [0, 0, 0, 0])
    absent = []
    for name, programs, occurrences in usage():
        there = exists(name)
        if not there:
            absent.append((programs, occurrences, name))
        for group in (theme(name), "all"):
            counts = totals[group]
            counts[0] += there
            counts[1] += 1
            counts[2] += there * occurrences
            counts[3] += occurrences
    if chosen.missing:
        for programs, occurrences, name in sorted(absent, reverse=True):
            print(f"{programs:4d} programs  {occurrences:5d} times  {name}")
    print(f"{'part of the API':22s} {'names':>11s}  {'uses':>15s}  {'share of uses':>13s}")
    for group, (there, names, uses, all_uses) in sorted(totals.items(), key=lambda t: -t[1][3]):
        share = 100 * uses / all_uses
        print(f"{group:22s} {there:5d}/{names:5d}  {uses:7d}/{all_uses:7d}  {share:11.1f} %")


if __name__ == "__main__":
    main()
