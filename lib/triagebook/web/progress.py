"""A run's progress lines as the page shows them: how far, at what, how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from triagebook.web.wording import clean

if TYPE_CHECKING:
    from triagebook.core.models import Progress


_SPOKEN = {"cell", "answer"}


@dataclass(frozen=True)
class Step:
    """One cell: its heading, and running, done, failed or not_run."""

    title: str
    status: str
    took_s: float | None


@dataclass(frozen=True)
class Advance:
    """How far a run has come; `total` is null until the notebook is open.

    `now` is the heading of the cell that runs, `saying` what it told last.
    """

    done: int
    total: int | None
    now: str
    saying: str
    steps: list[Step]
    notes: list[str]


def advance(lines: list[Progress]) -> Advance:
    """Fold progress lines, a cell's later line over its earlier one."""
    steps: dict[object, Step] = {}
    notes: list[str] = []
    total = None
    saying = ""
    for line in lines:
        total = line.total or total
        key = line.index if line.cell is None else line.cell
        if line.event in _SPOKEN and key is None:
            # What the notebook itself says while a cell runs.
            saying = clean(line.message or "")
        elif line.event == "cell":
            saying = ""
            title = clean(line.title or f"cell {line.index}")
            steps[key] = Step(title, line.status or "running", line.took_s)
        if line.message and (key is not None or line.event not in _SPOKEN):
            notes.append(clean(line.message))
    running = [step.title for step in steps.values() if step.status == "running"]
    done = sum(step.status in {"done", "failed"} for step in steps.values())
    return Advance(
        done=done if total is None else min(done, total),
        total=total,
        now=running[-1] if running else "",
        saying=saying if running else "",
        steps=list(steps.values()),
        notes=notes,
    )
