"""The rules of the tree: who may import whom, first lines, length, and what a notebook may hold."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lib" / "triagebook"
MODULES = sorted(PACKAGE.rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MAX_LINES = 500
MAX_CELLS = 30
MAX_CODE_LINES = 10


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_point_down_and_never_across_the_halves():
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_there_is_something_to_check():
    assert len(MODULES) > 20
    assert {path.stem for path in NOTEBOOKS} >= {"drift", "generic"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_says_its_job_in_its_first_line(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, "no module docstring"
    assert docstring.splitlines()[0].strip()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_is_not_too_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_has_a_telling_name(path):
    assert path.stem not in {"utils", "util", "helpers", "misc", "common"}


# --- notebooks: narrative over a tested library (one fault each is planted below) -----------------


def faults_of(notebook: nbformat.NotebookNode) -> list[str]:
    """List what breaks the rules, one line each, the cell's id first."""
    faults = []
    ids = [cell.get("id", "") for cell in notebook.cells]
    if len(ids) > MAX_CELLS:
        faults.append(f"notebook: {len(ids)} cells, at most {MAX_CELLS}")
    if len(set(ids)) != len(ids):
        faults.append("notebook: cell ids repeat")
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if [cell.cell_type for cell in tagged] != ["code"]:
        faults.append("notebook: not exactly one code cell tagged `parameters`")
    for cell in notebook.cells:
        # nbformat's own ids are eight random hex digits: they would change at every save elsewhere.
        if len(cell.get("id", "")) == 8 and set(cell.id) <= set("0123456789abcdef"):
            faults.append(f"{cell.id}: a random id; give the cell a telling one")
        if cell.cell_type == "code":
            faults += [f"{cell.get('id')}: {fault}" for fault in code_faults(cell)]
    return faults


def code_faults(cell: nbformat.NotebookNode) -> list[str]:
    faults = []
    if cell.outputs:
        faults.append("has outputs")
    if cell.execution_count is not None:
        faults.append("has an execution count")
    lines = [x for x in cell.source.splitlines() if x.strip() and not x.lstrip().startswith("#")]
    if len(lines) > MAX_CODE_LINES:
        faults.append(f"{len(lines)} lines of code, at most {MAX_CODE_LINES}")
    for node in ast.walk(ast.parse(cell.source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            faults.append("defines something; put it into the library")
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"locals", "globals"}:
            faults.append(f"calls {node.func.id}()")
        if isinstance(node, ast.Import) and {alias.name for alias in node.names} != {
            "triagebook.nb"
        }:
            faults.append(f"imports {', '.join(alias.name for alias in node.names)}")
        if isinstance(node, ast.ImportFrom) and not (
            node.module == "triagebook.nb"
            or (node.module == "triagebook" and [alias.name for alias in node.names] == ["nb"])
        ):
            faults.append(f"imports from {node.module}")
    return faults


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_notebook_keeps_the_rules(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert faults_of(notebook) == []


def sample(*sources: str) -> nbformat.NotebookNode:
    notebook = nbformat.v4.new_notebook()
    first = nbformat.v4.new_code_cell("x = 1", id="parameters", metadata={"tags": ["parameters"]})
    cells = [nbformat.v4.new_code_cell(s, id=f"cell-{n}") for n, s in enumerate(sources)]
    notebook.cells = [first, *cells]
    return notebook


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("def f(): pass", "defines something"),
        ("class C: pass", "defines something"),
        ("'x' in locals()", "calls locals()"),
        ("globals()['x']", "calls globals()"),
        ("import pandas", "imports pandas"),
        ("from triagebook.core import models", "imports from triagebook.core"),
        ("\n".join("y = 1" for _ in range(11)), "11 lines of code"),
    ],
)
def test_the_rules_find_a_planted_fault(source, fault):
    assert any(fault in found for found in faults_of(sample(source)))


@pytest.mark.parametrize(
    "source",
    ["from triagebook import nb", "import triagebook.nb", "\n".join("y = 1" for _ in range(10))],
)
def test_the_rules_let_good_cells_pass(source):
    assert faults_of(sample(source)) == []


def test_the_rules_find_repeated_random_and_too_many_cells():
    notebook = sample(*["y = 1"] * MAX_CELLS)
    notebook.cells[1]["id"] = notebook.cells[2]["id"]
    notebook.cells[3]["id"] = "0f1e2d3c"
    found = faults_of(notebook)
    assert "notebook: 31 cells, at most 30" in found
    assert "notebook: cell ids repeat" in found
    assert "0f1e2d3c: a random id; give the cell a telling one" in found


def test_the_rules_find_outputs_and_missing_parameters():
    notebook = sample("y = 1")
    notebook.cells[0].metadata["tags"] = []
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="left over")]
    assert faults_of(notebook) == [
        "notebook: not exactly one code cell tagged `parameters`",
        "cell-0: has outputs",
    ]
