"""A notebook that was cut short says of each cell what became of it."""

from __future__ import annotations

from typing import Any

from triagebook.running.statuses import close_ended, is_runnable, sum_up


def cell(ident: str, status: str, source: Any = "1") -> dict[str, Any]:
    return {
        "id": ident,
        "cell_type": "code",
        "source": source,
        "outputs": [],
        "metadata": {"papermill": {"status": status}},
    }


def test_running_becomes_timed_out_and_pending_not_run():
    notebook = {"cells": [cell("a", "completed"), cell("b", "running"), cell("c", "pending")]}
    summary = close_ended(notebook, "timed_out", "the deadline", set())

    assert summary["timed_out_cells"] == ["b"]
    assert summary["not_run_cells"] == ["c"]
    assert summary["status"] == "partial"
    states = [one["metadata"]["papermill"]["status"] for one in notebook["cells"]]
    assert states == ["completed", "failed", "pending"]
    assert notebook["cells"][1]["outputs"][0]["output_type"] == "error"
    assert notebook["cells"][2]["outputs"] == []


def test_a_start_that_was_not_saved_yet_counts_as_running():
    notebook = {"cells": [cell("a", "completed"), cell("b", "pending"), cell("c", "pending")]}
    assert close_ended(notebook, "failed", "killed", {"a", "b"})["failed_cells"] == ["b"]
    assert notebook["cells"][0]["metadata"]["papermill"]["status"] == "completed"


def test_only_code_with_something_in_it_counts():
    assert is_runnable(cell("a", "pending"))
    assert is_runnable(cell("a", "pending", ["x = 1\n", "y"]))
    assert not is_runnable(cell("a", "pending", " \n"))
    assert not is_runnable({"cell_type": "markdown", "source": "text"})
    skipped = cell("a", "pending")
    skipped["metadata"]["tags"] = ["skip-execution"]
    assert not is_runnable(skipped)


def test_a_whole_run_is_complete_even_with_failed_cells():
    failed = cell("a", "failed")
    failed["metadata"]["triagebook"] = {"status": "failed"}
    summary = sum_up({"cells": [failed, cell("b", "completed")]})
    assert (summary["status"], summary["failed_cells"], summary["cells"]) == ("complete", ["a"], 2)
