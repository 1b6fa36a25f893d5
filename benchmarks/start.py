#!/usr/bin/env python3
"""How long `import cresset` takes beside `import numpy`, and proof that it loads no LLVM.

Every import is timed inside a fresh process, the libraries take turns, and the medians are
compared. PyTorch is timed too where it is installed. The script fails where LLVM is loaded.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys

IMPORT = """
import sys, time
began = time.perf_counter()
import {library}
print(time.perf_counter() - began, "llvmlite" in sys.modules)
"""


def import_once(library):
    """Import the library in a fresh process; returns the seconds, and whether LLVM came along."""
    command = [sys.executable, "-c", IMPORT.format(library=library)]
    # Byte code is kept on disk, as it is unless this says otherwise.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    seconds, llvm = subprocess.check_output(command, text=True, env=environment).split()
    return float(seconds), llvm == "True"


def main():
    """Time all libraries in turns and print what each import costs beside NumPy's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds

    libraries = ["numpy", "cresset"]
    if importlib.util.find_spec("torch"):
        libraries.append("torch")
    for library in libraries:  # once unmeasured: files come into memory, byte code is written
        import_once(library)
    seconds = {library: [] for library in libraries}
    for _ in range(rounds):
        for library in libraries:
            taken, llvm = import_once(library)
            seconds[library].append(taken)
            if llvm and library == "cresset":
                sys.exit("import cresset loads LLVM: it should wait for the first kernel")

    base = statistics.median(seconds["numpy"])
    for library, samples in seconds.items():
        median = statistics.median(samples)
        print(f"import {library:8} {median * 1e3:7.1f} ms  {median / base:5.2f} times numpy")
    print("import cresset loads no LLVM")


if __name__ == "__main__":
    main()
