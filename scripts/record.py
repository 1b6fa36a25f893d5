"""Record PyTorch's results of the samples, so that the tests can compare without PyTorch.

    python scripts/record.py

writes tests/recorded/operations.json; a sample that PyTorch refuses is recorded as null.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

from recording import as_array, kept, recorded  # noqa: E402
from sample import built, run  # noqa: E402
from samples import SAMPLES  # noqa: E402


def main():
    """Write the file."""
    lines = []
    for sample in filter(recorded, SAMPLES):
        result = run(sample, torch, built(sample, "float32"))
        entry = None if isinstance(result, Exception) else [kept(as_array(part)) for part in result]
        lines.append(f"{json.dumps(sample.key)}: {json.dumps(entry, separators=(',', ':'))}")
    head = f'{{"torch": {json.dumps(torch.__version__)},\n"results": {{\n'
    path = TESTS / "recorded" / "operations.json"
    path.write_text(head + ",\n".join(lines) + "\n}}\n")
    print(f"{path}: {len(lines)} samples, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
