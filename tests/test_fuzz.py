"""Random calls with bad arguments: a few thousand here, a hundred thousand by `make fuzz`."""

import fuzz


def test_random_calls_end_in_an_error_or_a_result():
    """In child processes: one that crashes or hangs is a problem to report, not the end."""
    assert fuzz.run(calls=2500) == []


def test_a_child_that_crashes_or_hangs_is_noticed(monkeypatch, tmp_path):
    script = tmp_path / "child.py"
    script.write_text(
        "import os, pathlib, sys\n"
        "noted, seed = sys.argv[2], int(sys.argv[4])\n"
        "pathlib.Path(noted).write_text(f'seed {seed}: the call')\n"
        "os.abort() if seed == 0 else sys.exit(0)\n"
    )
    monkeypatch.setattr(fuzz, "__file__", str(script))
    (problem,) = fuzz.run(calls=2)
    assert problem.startswith("seed 0: the call\n  ended the process (-6)")
