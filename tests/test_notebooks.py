"""The notebooks of docs/notes: built from their sources, run, and equal to what is kept of them."""

import importlib.util
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "docs" / "notes").glob("*.md"))


@pytest.fixture(scope="module")
def build():
    """The script that builds notebooks."""
    spec = importlib.util.spec_from_file_location("build_notes", ROOT / "scripts/build_notes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_notebook_has_a_source():
    notebooks = sorted((ROOT / "docs" / "notes").glob("*.ipynb"))
    assert [path.stem for path in notebooks] == [path.stem for path in SOURCES]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_notebook_is_what_its_source_makes(build, source):
    kept = json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))
    made = build.notebook(source.read_text(encoding="utf-8"))
    assert len(kept["cells"]) == len(made["cells"])
    for old, new in zip(kept["cells"], made["cells"]):
        assert old == new, "run scripts/build_notes.py"
    assert kept == made


def test_the_picture_of_the_readme(build):
    assert (ROOT / "docs/notes/views.svg").read_text(encoding="utf-8") == build.views()
    assert "(docs/notes/views.svg)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_notebook_is_in_the_format(source):
    """Of version 4.5: the keys that readers need, and pictures that are SVG."""
    path = source.with_suffix(".ipynb")
    assert path.stat().st_size < 300_000
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    pictures = 0
    for cell in notebook["cells"]:
        assert cell["cell_type"] in ("markdown", "code")
        for output in cell.get("outputs", ()):
            assert output["output_type"] in ("stream", "execute_result")
            svg = output.get("data", {}).get("image/svg+xml")
            if svg:
                pictures += 1
                assert ElementTree.fromstring("".join(svg)).tag.endswith("}svg")
    assert pictures > 5
