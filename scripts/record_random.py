"""Record random numbers that PyTorch draws, for tests where PyTorch is absent.

    python scripts/record_random.py

writes tests/recorded/random.json: for every call of tests/random_calls.py and every seed, the type,
shape and some values of the result, and a number that is drawn after it.
"""

import json
import sys
import warnings
from pathlib import Path

import torch

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

from random_calls import SEEDS, calls, drawn  # noqa: E402


def main():
    warnings.simplefilter("ignore")
    lines = [f' "torch": {json.dumps(torch.__version__)}']
    for call in calls():
        results = [drawn(torch, call, seed) for seed in SEEDS]
        lines.append(f" {json.dumps(call)}: {json.dumps(results)}")
    target = TESTS / "recorded" / "random.json"
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
