"""A run's progress lines as the page shows them: how far, at what, how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from triagebook.web.wording import clean

if TYPE_CHECKING:
    from triagebook.core.models import Progress


@dataclass(frozen=True)
class Step:
    """One cell: its heading, and running, done, failed or not_run."""

    title: str
    status: str
    took_s: float | None


@dataclass(frozen=True)
class Advance:
    """How far a run has come; `total` is null until the notebook is open."""

    done: int
    total: int | None
    now: str
    steps: list[Step]
    notes: list[str]


def advance(lines: list[Progress]) -> Advance:
    """Fold progress lines, a cell's later line over its earlier one."""
    steps: dict[object, Step] = {}
    notes: list[str] = []
    total = None
    for line in lines:
        total = line.total or total
        if line.event == "cell":
            key = line.cell or line.index
            title = clean(line.title or f"cell {line.index}")
            steps[key] = Step(title, line.status or "running", line.took_s)
        if line.message:
            notes.append(clean(line.message))
    running = [step.title for step in steps.values() if step.status == "running"]
    done = sum(step.status in {"done", "failed"} for step in steps.values())
    return Advance(
        done=done if total is None else min(done, total),
        total=total,
        now=running[-1] if running else "",
        steps=list(steps.values()),
        notes=notes,
    )
