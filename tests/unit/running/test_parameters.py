"""Only declared names and plain values reach a notebook."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.running.conftest import code
from triagebook.core.errors import BadParameterError
from triagebook.running.parameters import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    check_parameters,
    declared_names,
    split_parameters,
)
from triagebook.running.progress import read_progress
from triagebook.running.runbook import load_runbook
from triagebook.running.supervise import execute_attempt

if TYPE_CHECKING:
    from tests.unit.running.conftest import MakeAttempt, WriteRunbook

DECLARED = "threshold = 0.5  # share\nwindow: str = '48h'  # duration\ncolumns = []\nlimits = {}\nnote = ''"
HOSTILE_NAMES = [
    "open('hacked', 'w')  #",
    "x = open('hacked', 'w'); threshold",
    "threshold = open('hacked', 'w')  #",
    "threshold\nopen('hacked', 'w')\nx",
    "__import__('os').system('touch hacked')  #",
    "class",
    "",
]
HOSTILE_TEXTS = [
    '"; open("hacked", "w"); "',
    "'); open('hacked', 'w')  #",
    "\\",
    '\\"; open("hacked", "w")  #',
    "a\nopen('hacked', 'w')",
    "{window}",
    "\x00\u2028\u202e",
]


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_declared_names_are_read_with_their_units_and_types(write_runbook: WriteRunbook):
    path = write_runbook(code(DECLARED, tags=["parameters"]), code("undeclared = 1"))
    assert declared_names(load_runbook(path)) == [
        "threshold",
        "window",
        "columns",
        "limits",
        "note",
    ]


def test_a_runbook_without_a_parameters_cell_declares_nothing(write_runbook: WriteRunbook):
    assert declared_names(load_runbook(write_runbook(code("x = 1")))) == []


def test_hostile_parameters_never_become_code(make_attempt: MakeAttempt):
    given: dict[str, Any] = dict.fromkeys(HOSTILE_NAMES, 1)
    given["columns"] = HOSTILE_TEXTS
    given["limits"] = {text: text for text in HOSTILE_TEXTS}
    given["note"] = HOSTILE_TEXTS[0]
    given["threshold"] = float("nan")
    show = (
        "import json; json.dump([columns, limits, note, threshold != threshold], open('got', 'w'))"
    )
    attempt = make_attempt(code(DECLARED, tags=["parameters"]), code(show), parameters=given)
    # JSON has no NaN: the request carries null, as any route would.
    result = execute_attempt(attempt)

    assert result.failed_cells == []
    assert not list(attempt.folder.rglob("hacked"))
    columns, limits, note, _ = json.loads((attempt.folder / "got").read_text())
    assert columns == HOSTILE_TEXTS
    assert limits == {text: text for text in HOSTILE_TEXTS}
    assert note == HOSTILE_TEXTS[0]
    left_out = json.loads(attempt.notebook.read_text())["metadata"]["triagebook"][
        "parameters_left_out"
    ]
    assert set(left_out) == set(HOSTILE_NAMES)
    said = [line.message for line in read_progress(attempt.folder) if line.message]
    assert len(said) == len(HOSTILE_NAMES)


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        (None, True),
        (True, True),
        (2**1_023, True),
        (2**1_024, False),
        (1.5, True),
        (float("inf"), True),
        ("x" * MAX_CHARACTERS, True),
        ("x" * (MAX_CHARACTERS + 1), False),
        (nested(MAX_DEPTH), True),
        (nested(MAX_DEPTH + 1), False),
        (nested(50_000), False),
        ({"a": [1, {"b": None}]}, True),
        ({1: "a"}, False),
        ("a\ud800", False),
        ({"\udfff": 1}, False),
        ("\ud7ff\ue000", True),
        ((1, 2), False),
        ({1, 2}, False),
        (b"x", False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_plain_and_of_bounded_size(value: Any, passes: bool):
    passed, refused = split_parameters({"note": value}, ["note"])
    assert (("note" in passed), ("note" in refused)) == (passes, not passes)


def test_a_person_is_told_which_names_there_are():
    with pytest.raises(BadParameterError, match=r"'treshold'.*declares no such") as caught:
        check_parameters({"treshold": 1}, ["threshold", "window"], "drift")
    assert "threshold, window" in str(caught.value)
