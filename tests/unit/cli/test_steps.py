"""Progress: plain lines where there is no terminal, nothing lost where there is one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from triagebook.cli.steps import RunView, step
from triagebook.core.models import Progress


def line(event: str, **fields) -> Progress:
    return Progress.model_validate({"ts": "2013-06-04T22:00:00Z", "event": event, **fields})


def cell(index: int, status: str, **fields) -> Progress:
    return line("cell", index=index, total=3, status=status, cell=f"c{index}", **fields)


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=terminal, highlight=False)


def test_a_step_is_one_line_with_its_time():
    out = console()
    with step(out, "building") as now:
        now.say("half of it")
        now.done = "built"
    text = out.file.getvalue()
    assert text.startswith("✓ built ")
    assert text.rstrip().endswith("0.0 s")
    assert len(text.splitlines()) == 1


def test_a_step_that_fails_is_marked_and_raises():
    out = console()
    with pytest.raises(ValueError, match="no"), step(out, "building"):
        raise ValueError("no")
    assert out.file.getvalue().startswith("✗ building")


def test_a_run_without_a_terminal_is_a_line_for_each_finished_cell():
    out = console()
    with RunView(out) as view:
        view.see(line("started", total=3))
        view.see(cell(1, "running", title="Since when?"))
        view.see(cell(1, "done", title="Since when?", took_s=0.42))
        view.see(line("cell", message="Is it the season?"))
        view.see(line("answer"))
        view.see(line("answer", message="it is the unit"))
        view.see(line("answer", message="told twice"))
        view.see(cell(2, "failed", title="How bad?", took_s=0.1, message="KeyError: \x1b[2Jx"))
        view.see(cell(3, "not_run", message="the kernel died"))
    lines = [text.split() for text in out.file.getvalue().splitlines()]
    assert lines == [
        ["1/3", "0.4", "s", "Since", "when?"],
        ["→", "it", "is", "the", "unit"],
        ["2/3", "0.1", "s", "How", "bad?", "failed:", "KeyError:", "[2Jx"],
        ["3/3", "c3", "not_run:", "the", "kernel", "died"],
    ]
    assert (view.cells, view.failed) == (3, 2)
    assert view.answered_s is not None
    assert view.answered_s <= view.took_s


def test_a_run_on_a_terminal_keeps_only_what_went_wrong():
    out = console(terminal=True)
    with RunView(out) as view:
        view.see(line("started", total=3))
        view.see(cell(1, "done", title="[bold]Since when?[/nosuch]", took_s=0.42))
        view.see(cell(2, "running", title="[/bold]"))
        view.see(cell(2, "failed", title="How bad?", message="KeyError"))
    assert "failed: KeyError" in out.file.getvalue()


def test_a_message_of_the_run_is_shown():
    out = console()
    with RunView(out) as view:
        view.see(line("failed", message="the deadline of 300 s has passed"))
    assert "the deadline of 300 s has passed" in out.file.getvalue()
