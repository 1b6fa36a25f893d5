"""Build what docs/notes holds from its sources: `python scripts/build_notes.py`.

A source is a page in Markdown, whose `python` blocks become the notebook's code cells. They are run
here, one after the other, and what they print and what their last expression shows is put into the
notebook as Jupyter would. Beside the notebooks stands the picture of the README. The suite builds
all of it again and compares.
"""

from __future__ import annotations

import ast
import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path

NOTES = Path(__file__).resolve().parent.parent / "docs" / "notes"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# How an object shows itself in a notebook, beside its text.
SHOWN = {"image/svg+xml": "_repr_svg_", "text/html": "_repr_html_"}


def cells_of(page: str) -> list[tuple[str, str]]:
    """[("markdown" or "code", text)] of a page."""
    cells = []
    for k, part in enumerate(re.split(r"^```python\n(.*?)^```$", page, flags=re.M | re.S)):
        if part.strip():
            cells.append(("code" if k % 2 else "markdown", part.strip("\n")))
    return cells


def run(code: str, scope: dict, number: int) -> list[dict]:
    """The outputs of a cell, in the form of a notebook."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    value = None
    with redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, f"cell {number}", "exec"), scope)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), scope)
    outputs: list[dict] = []
    if printed.getvalue():
        outputs.append(
            {"name": "stdout", "output_type": "stream", "text": lines(printed.getvalue())}
        )
    if value is not None:
        data = {"text/plain": lines(repr(value))}
        for kind, method in SHOWN.items():
            if hasattr(value, method):
                data[kind] = lines(getattr(value, method)())
        outputs.append({
            "data": data, "execution_count": number, "metadata": {},
            "output_type": "execute_result",
        })
    return outputs


def lines(text: str) -> list[str]:
    """A text as notebooks keep it."""
    return text.splitlines(keepends=True)


def notebook(page: str) -> dict:
    """The notebook of a page, its code run."""
    scope: dict = {"__name__": "__main__"}
    cells: list[dict] = []
    number = 0
    for place, (kind, text) in enumerate(cells_of(page)):
        cell = {"cell_type": kind, "id": f"cell-{place}", "metadata": {}, "source": lines(text)}
        if kind == "code":
            number += 1
            cell |= {"execution_count": number, "outputs": run(text, scope, number)}
        cells.append(cell)
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def views() -> str:
    """The picture of the README: one storage, and three tensors over it."""
    import cresset

    points = cresset.tensor([[1, 2], [3, 4], [5, 6]])
    return cresset.draw(points=points, transposed=points.t(), second=points[1]).svg + "\n"


def main():
    (NOTES / "views.svg").write_text(views(), encoding="utf-8")
    for source in sorted(NOTES.glob("*.md")):
        built = notebook(source.read_text(encoding="utf-8"))
        text = json.dumps(built, indent=1, ensure_ascii=False, sort_keys=True)
        source.with_suffix(".ipynb").write_text(text + "\n", encoding="utf-8")
        print(source.with_suffix(".ipynb"))


if __name__ == "__main__":
    main()
