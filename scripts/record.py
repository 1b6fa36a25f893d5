"""Record PyTorch's results of the samples, so that the tests can compare without PyTorch.

    python scripts/record.py

writes tests/recorded/operations.json. A sample that PyTorch refuses is left out by the tests only
while it is refused here too, so every sample of the table has an entry.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

from operands import build, plain  # noqa: E402
from recording import kept, recorded  # noqa: E402
from samples import SAMPLES  # noqa: E402
