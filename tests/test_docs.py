"""The README and docs/: their programs run, and print what they are said to print.

The `python` blocks of a page are one program, run from top to bottom. A `text`, `llvm` or `asm`
block right below one is what it prints, with `...` for anything left out and lines broken anywhere;
an error prints its message. There is no other such block on a page: all that it shows is checked.
"""

import io
import json
import os
import re
import subprocess
import sys
import traceback
from contextlib import redirect_stdout
from difflib import unified_diff
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OUTPUTS = ("text", "llvm", "asm")
LLVM = 22
"""The version that wrote the machine code on the pages; others may choose other instructions."""


def blocks(page):
    """[(language, text, whether nothing but blank lines is above it since the last block)]."""
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    found, end, text = [], 0, page.read_text()
    for block in fence.finditer(text):
        found.append((block[1], block[2], not text[end : block.start()].strip()))
        end = block.end()
    return found


def run(page):
    """What each Python block of a page prints."""
    scope = {"__name__": "__main__"}
    printed = []
    for number, (language, text, _) in enumerate(blocks(page)):
        if language != "python":
            continue
        with redirect_stdout(io.StringIO()) as stream:
            try:
                exec(compile(text, f"{page.name}, block {number}", "exec"), scope)
            except Exception as error:
                print(*traceback.format_exception_only(error), sep="", end="")
        printed.append(stream.getvalue())
    return printed


def expectations(page):
    """What each Python block of a page is said to print: (language, text), None if nothing is."""
    expected = []
    for language, text, adjoining in blocks(page):
        if language == "python":
            expected.append(None)
        elif language in OUTPUTS:
            assert adjoining and expected and expected[-1] is None, f"no program prints: {text}"
            expected[-1] = language, text
    return expected


def told(expected, printed):
    """A comparison of two texts, to read."""
    two = expected.splitlines(), printed.splitlines()
    return "\n".join(unified_diff(*two, "page", "printed", lineterm=""))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page(page, tmp_path):
    from llvmlite.binding import llvm_version_info

    environment = {**os.environ, "CRESSET_CACHE": str(tmp_path / "kernels")}
    command = [sys.executable, "-m", "tests.test_docs", str(page)]
    output = json.loads(subprocess.check_output(command, env=environment, cwd=ROOT))
    for expected, printed in zip(expectations(page), output, strict=True):
        language, text = expected or ("text", "")
        if language == "asm" and llvm_version_info[0] != LLVM:
            continue
        same = OutputChecker().check_output(text, printed, ELLIPSIS | NORMALIZE_WHITESPACE)
        assert same, told(text, printed)


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]))))
