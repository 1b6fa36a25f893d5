"""The rules of the house: layers, dependencies, sizes, names, and commands that exist."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "cresset"
FOLDERS = ("cresset", "tests", "benchmarks", "examples")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

LAYERS = ("core", "runtime", "kernels", "ops", "autograd", "capture", "compiler", "export")
"""From the lowest to the highest; a layer imports itself and those before it."""

ABOVE_THE_LAYERS = {"cresset/__init__.py", "cresset/__main__.py"}
"""These join the layers and may import all of them."""

NAMESPACES_NEED = "cresset.core.missing"
"""The error for a name that is not there, which every public namespace raises."""

LONGEST_FILE = 600
LONGEST_LINE = 100


def name_of(path):
    """A path relative to the repository, as it stands in messages."""
    return path.relative_to(ROOT).as_posix()


def is_module(dotted):
    """Whether a dotted name is a package or a module of ours."""
    path = ROOT.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def is_type_checking(node):
    """Whether a statement is `if TYPE_CHECKING:`, whose body never runs."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements_that_run(node):
    """Every node below `node`, without what stands under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            continue
        yield child
        yield from statements_that_run(child)


def imports_of(path):
    """Yield the line and the full name of every module that a file imports, anywhere in it."""
    package = path.relative_to(ROOT).parent.parts
    for node in statements_that_run(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield node.lineno, inner if is_module(inner) else source


def may_import(path, module):
    """Whether the layer rule lets a file of the package import a module of the package."""
    if name_of(path) in ABOVE_THE_LAYERS:
        return True
    own = path.relative_to(PACKAGE).parts[0]
    target = module.split(".")[1] if "." in module else None
    if own in LAYERS:
        return target in LAYERS[: LAYERS.index(own) + 1]
    return target not in LAYERS or target == "ops" or module == NAMESPACES_NEED


def test_layers_import_downward_only():
    """A layer imports lower layers; all else uses `cresset`, `cresset.ops` and its like."""
    offences = [
        f"{name_of(path)}:{line} imports {module}"
        for path in SOURCES
        if path.is_relative_to(PACKAGE)
        for line, module in imports_of(path)
        if module.split(".")[0] == "cresset" and not may_import(path, module)
    ]
    assert not offences, "\n".join(offences)


def test_the_package_imports_its_declared_dependencies_alone():
    """`numpy` and `llvmlite`, beside the standard library, and nothing more."""
    declared = {re.match(r"[\w-]+", text)[0] for text in PROJECT["project"]["dependencies"]}
    assert declared == {"numpy", "llvmlite"}
    allowed = declared | sys.stdlib_module_names | {"cresset"}
    offences = [
        f"{name_of(path)}:{line} imports {module}"
        for path in SOURCES
        if path.is_relative_to(PACKAGE)
        for line, module in imports_of(path)
        if module.split(".")[0] not in allowed
    ]
    assert not offences, "\n".join(offences)


def test_importing_the_package_loads_neither_llvm_nor_numpy():
    """They wait for the first kernel, and for the first array."""
    code = (
        "import sys, cresset; cresset.nn, cresset.optim, cresset.compile; "
        "print({'llvmlite', 'numpy'} & {*sys.modules})"
    )
    output = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert output == "set()\n"


def test_files_are_short():
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    offences = {name: length for name, length in lengths.items() if length > LONGEST_FILE}
    assert not offences, f"longer than {LONGEST_FILE} lines: {offences}"


def test_lines_are_short():
    offences = [
        f"{name_of(path)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if len(line) > LONGEST_LINE
    ]
    assert not offences, f"longer than {LONGEST_LINE} columns: {offences}"


def test_files_are_named_after_what_they_hold():
    """A file called `utils` holds anything, and soon everything."""
    vague = {"common", "helper", "helpers", "misc", "util", "utils"}
    offences = [name_of(path) for path in SOURCES if path.stem in vague]
    assert not offences, offences


def blocks(page, language):
    """The contents of a page's fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def commands():
    """Every command in a `sh` block of our pages, with the page that gives it."""
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.splitlines():
                if command := line.partition("#")[0].strip():
                    yield pytest.param(command, id=f"{name_of(page)}: {command}")


@pytest.mark.parametrize("command", list(commands()))
def test_commands_on_our_pages_exist(command):
    """A command is a target of the Makefile, a script of ours, or `cresset` itself."""
    program, *arguments = [word for word in shlex.split(command) if "=" not in word]
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(arguments) <= {*targets, '"big', "matmul", 'conv"'}, f"Makefile has {targets}"
    elif Path(program).name == "cresset":
        assert "cresset" in PROJECT["project"]["scripts"]
    else:
        script = arguments[0] if Path(program).name in ("python", "python3") else program
        assert (ROOT / script).is_file(), f"{script} does not exist"
