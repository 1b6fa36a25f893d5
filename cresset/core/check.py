"""Whether the stages of the compiler verify what they are given, which CRESSET_CHECK=1 asks for."""

from __future__ import annotations

import os

ENABLED = os.environ.get("CRESSET_CHECK", "0") not in ("", "0")
