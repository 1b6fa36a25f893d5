"""Record PyTorch's promotion table, for tests where PyTorch is absent.

    python scripts/record_promotion.py

writes tests/recorded/promotion.json: the types by name; for every pair of them the place of
`promote_types` in that list (None where PyTorch has no answer), and whether `can_cast` holds.
"""

import json
from pathlib import Path

import torch

NAMES = ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
         "float16", "bfloat16", "float32", "float64", "complex64", "complex128"]
TYPES = [getattr(torch, name) for name in NAMES]
TARGET = Path(__file__).resolve().parent.parent / "tests" / "recorded" / "promotion.json"


def promoted(a, b):
    """The place of the promoted type, None where there is none."""
    try:
        return TYPES.index(torch.promote_types(a, b))
    except RuntimeError:
        return None


def main():
    tables = {
        "torch": torch.__version__,
        "types": NAMES,
        "promote_types": [[promoted(a, b) for b in TYPES] for a in TYPES],
        "can_cast": [[int(torch.can_cast(a, b)) for b in TYPES] for a in TYPES],
    }
    lines = []
    for name, value in tables.items():
        if name in ("torch", "types"):
            spelled = json.dumps(value)
        else:
            spelled = "[\n  " + ",\n  ".join(json.dumps(row) for row in value) + "\n ]"
        lines.append(f' "{name}": {spelled}')
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
