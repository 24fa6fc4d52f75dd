"""Which parameters reach a notebook: only names its `parameters` cell declares, only plain values.

papermill escapes values but writes names into the cell as they are: a crafted name would be code.
"""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING, Any

from triagebook.core.errors import BadParameterError
from triagebook.core.paths import runbook_path
from triagebook.running.runbook import load_runbook

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode

MAX_DEPTH = 10
MAX_CHARACTERS = 65_536


def declared_names(notebook: NotebookNode) -> list[str]:
    """List the names that the cell tagged `parameters` assigns; empty where there is no such cell.

    A line with more than one "=" is not understood by papermill's reader, so its name is not
    listed: keep "=" out of the defaults of a parameters cell.
    """
    import papermill  # noqa: PLC0415 - takes half a second, and the service never needs it

    names = papermill.inspect_notebook(notebook)
    return [name for name in names if name.isidentifier() and not keyword.iskeyword(name)]


def split_parameters(
    given: dict[str, Any], declared: list[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Split parameters into those to pass and those to leave out.

    Returns
    -------
    tuple of dict, dict
        Name to value of what may be passed; name to reason of what may not.
    """
    passed: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for name, value in given.items():
        if name not in declared:
            refused[name] = "the runbook declares no such parameter"
            continue
        problem = _problem(value)
        if problem is None:
            passed[name] = value
        else:
            refused[name] = problem
    return passed, refused


def check_parameters(given: dict[str, Any], declared: list[str], runbook: str) -> None:
    """Refuse parameters that would be left out, for a person who typed them.

    Raises
    ------
    BadParameterError
        Naming the parameter, why, and the names that the runbook declares.
    """
    _, refused = split_parameters(given, declared)
    for name, why in refused.items():
        known = ", ".join(declared) or "none"
        raise BadParameterError(
            f"parameter {name[:80]!r} cannot be passed to runbook {runbook!r}: {why}",
            f"the runbook declares: {known}",
            parameter=name,
            runbook=runbook,
        )


def check_declared(runbook: str, parameters: dict[str, Any], notebooks: Path | None) -> None:
    """Refuse parameters that a runbook of that name does not take, for a person who typed them.

    A runbook that is not there is not looked into: preparing the run will say so.

    Parameters
    ----------
    notebooks : Path or None
        A team's own runbooks, looked in first.

    Raises
    ------
    BadParameterError
        As `check_parameters`.
    RunError
        The runbook is no notebook.
    """
    source = runbook_path(runbook, notebooks)
    if source is not None and parameters:
        check_parameters(parameters, declared_names(load_runbook(source)), runbook)


def _problem(value: Any) -> str | None:
    """Say why a value cannot be passed, or None. Walks without recursion: depth is the sender's."""
    characters = 0
    todo: list[tuple[Any, int]] = [(value, 0)]
    while todo:
        item, depth = todo.pop()
        if depth > MAX_DEPTH:
            return f"it is nested deeper than {MAX_DEPTH}"
        if item is None or isinstance(item, bool):
            characters += 5
        elif isinstance(item, int):
            # A very long integer has no text: Python refuses to write it.
            if item.bit_length() > 1_024:
                return "an integer is longer than 1,024 bits"
            characters += 20
        elif isinstance(item, float):
            characters += 20
        elif isinstance(item, str):
            if any("\ud800" <= letter <= "\udfff" for letter in item):
                return "a text holds half a surrogate pair, which no file can"
            characters += len(item)
        elif isinstance(item, list):
            todo += [(part, depth + 1) for part in item]
            characters += 2 * len(item)
        elif isinstance(item, dict):
            if not all(isinstance(key, str) for key in item):
                return "a key is no text"
            todo += [(part, depth + 1) for part in (*item, *item.values())]
        else:
            return f"a {type(item).__name__} cannot be passed; use text, numbers, lists and maps"
        if characters > MAX_CHARACTERS:
            return f"it is longer than {MAX_CHARACTERS:,} characters"
    return None
