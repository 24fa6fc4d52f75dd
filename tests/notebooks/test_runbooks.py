"""The runbooks as committed: their form, and that they and the specs speak of the same sections."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from triagebook.core.paths import notebooks_dir
from triagebook.diagnosis.diagnose import spec_for
from triagebook.diagnosis.spec import TYPES
from triagebook.nb import Run

if TYPE_CHECKING:
    from nbformat import NotebookNode

NAMES = sorted(path.stem for path in notebooks_dir().glob("*.ipynb"))

# Links, bookmarks and the cells of published runs hang on these ids: append, never rename.
FRAME_BEFORE = ["title", "parameters", "open-run", "answer", "acknowledge", "severity"]
FRAME_AFTER = [
    "decide",
    "hypotheses",
    "actions",
    "escalation",
    "postmortem-heading",
    "postmortem",
    "human-causes",
    "human-actions",
    "provenance",
]


@pytest.fixture(params=NAMES)
def book(request: pytest.FixtureRequest) -> NotebookNode:
    found = nbformat.read(notebooks_dir() / f"{request.param}.ipynb", as_version=4)
    nbformat.validate(found)
    return found


def _name(book: NotebookNode) -> str:
    return str(book.metadata.triagebook.runbook)


def _code(book: NotebookNode) -> dict[str, Any]:
    return {cell.id: cell for cell in book.cells if cell.cell_type == "code"}


def _calls(book: NotebookNode) -> list[tuple[str, str, list[Any]]]:
    """Return (cell, method, arguments) of each call of `run`, in order."""
    return [
        (name, node.func.attr, [ast.literal_eval(a) for a in node.args])
        for name, cell in _code(book).items()
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "run"
    ]


def test_there_is_a_runbook_for_each_spec_and_a_generic_one():
    assert set(NAMES) == set(TYPES.names())
    assert "generic" in NAMES


def test_a_runbook_knows_its_name(book: NotebookNode):
    assert _name(book) in NAMES


def test_cells_come_in_the_order_of_every_runbook(book: NotebookNode):
    ids = [cell.id for cell in book.cells]
    assert ids[: len(FRAME_BEFORE)] == FRAME_BEFORE
    assert ids[-len(FRAME_AFTER) :] == FRAME_AFTER
    assert len(set(ids)) == len(ids) <= 30


def test_each_section_of_the_spec_has_its_cell_under_its_question(book: NotebookNode):
    spec = spec_for(_name(book))
    shown = [(cell, args[0]) for cell, method, args in _calls(book) if method == "show"]
    assert all(cell == section for cell, section in shown)
    assert sorted(section for _, section in shown) == sorted(s.id for s in spec.sections)
    before = {after.id: cell for cell, after in pairwise(book.cells)}
    for section in spec.sections:
        assert before[section.id].id == f"{section.id}-question"
        assert before[section.id].source.startswith(f"## {section.question}\n")


def test_every_check_of_the_spec_is_shown_by_a_cell(book: NotebookNode):
    spec = spec_for(_name(book))
    assert {spec.cell_of(check) for check in spec.checks} <= set(_code(book))


def test_every_call_is_one_that_a_run_has(book: NotebookNode):
    for cell, method, _ in _calls(book):
        assert callable(getattr(Run, method, None)), (cell, method)


def test_cells_are_short_calls_of_the_library_without_outputs(book: NotebookNode):
    for name, cell in _code(book).items():
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= 10, name
        assert cell.outputs == []
        assert cell.execution_count is None
        assert cell.metadata.jupyter.source_hidden is True
        nodes = list(ast.walk(ast.parse(cell.source)))
        assert not [n for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
        imports = [n.module for n in nodes if isinstance(n, ast.ImportFrom)]
        assert not [n for n in nodes if isinstance(n, ast.Import)]
        assert set(imports) <= {"triagebook.nb"}
        assert not re.search(r"\b(locals|globals)\(", cell.source)


def test_parameters_are_typed_by_their_defaults_and_explained(book: NotebookNode):
    cell = _code(book)["parameters"]
    assert cell.metadata.tags == ["parameters"]
    for line in cell.source.splitlines():
        assert re.fullmatch(r'[a-z_]+ = ("[a-z_]*"|\d+\.\d+)  # \S.*', line), line
    names = [line.partition(" ")[0] for line in cell.source.splitlines()]
    tree = ast.parse(_code(book)["open-run"].source)
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    given = [a.id for a in calls[0].args if isinstance(a, ast.Name)]
    assert given == names


def test_human_cells_are_tagged_and_say_what_good_looks_like(book: NotebookNode):
    tagged = {c.id: c for c in book.cells if "human" in c.metadata.get("tags", [])}
    assert set(tagged) == {"human-causes", "human-actions"}
    assert all("Good looks like" in cell.source for cell in tagged.values())
