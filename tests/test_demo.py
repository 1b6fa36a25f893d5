"""The demo learns to read digits, and is a PyTorch program but for its import line."""

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(script, folder, *options):
    """Run the demo; returns the accuracy in its last line."""
    command = [sys.executable, str(script), str(folder), *options]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=EXAMPLES.parent)
    assert finished.returncode == 0, finished.stderr
    assert (folder / "digits.pt").is_file()
    last_line = finished.stdout.splitlines()[-1]
    return float(re.fullmatch(r"test accuracy: (\d+\.\d\d) %", last_line)[1])


def test_the_demo_reads_digits(tmp_path):
    assert run(EXAMPLES / "digits.py", tmp_path) >= 98


def test_the_demo_runs_under_pytorch_unchanged_but_for_its_import_line(torch, tmp_path):
    program = (EXAMPLES / "digits.py").read_text()
    line = "import cresset as torch\n"
    script = tmp_path / "digits.py"
    script.write_text(program.replace(line, "import torch\n"))
    (tmp_path / "data").symlink_to(EXAMPLES / "data")
    assert run(script, tmp_path / "output", "--epochs", "2") >= 90
