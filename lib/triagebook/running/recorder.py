"""papermill's record of a run: true statuses, saved by rename, a line of progress a cell."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import nbformat
from papermill.engines import NotebookExecutionManager

from triagebook.running.atomic import write_whole
from triagebook.running.statuses import is_runnable, mark_cell, sum_up

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode

    from triagebook.running.progress import ProgressLog

SAVE_EVERY_S = 0.5
"""A cell's start is saved only this long after the last save; its end always is."""

_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)


class Recorder(NotebookExecutionManager):  # type: ignore[misc]  # papermill has no types
    """papermill's record of a run, saved by rename, with a line of progress for each cell."""

    def __init__(
        self,
        nb: NotebookNode,
        target: Path | None,
        progress: ProgressLog | None,
        labels: dict[str, Any],
    ) -> None:
        super().__init__(nb, output_path=None, progress_bar=False, autosave_cell_every=2)
        self.target = target
        self.progress = progress
        self.why: str | None = None
        self._lazy = False
        self._saved_at = float("-inf")
        self._answered = False
        nb.metadata.setdefault("triagebook", {}).update(labels)
        # papermill's entries are paths of this machine, or the whole notebook handed over.
        nb.metadata.setdefault("papermill", nbformat.from_dict({})).update(  # type: ignore[no-untyped-call]
            input_path=labels.get("runbook", "runbook.ipynb"),
            output_path=target.name if target else None,
        )
        for cell in nb.cells:
            if _is_injected(cell):  # papermill's own; folded like every other cell of code
                cell.metadata.setdefault("jupyter", nbformat.from_dict({}))["source_hidden"] = True  # type: ignore[no-untyped-call]
        self.cells = [cell for cell in nb.cells if is_runnable(cell)]
        self._titles = _titles(nb)

    def save(self, **_: Any) -> None:
        """Save by rename; called for a cell's start it may wait for the next save."""
        recent = time.monotonic() - self._saved_at < SAVE_EVERY_S
        if self.target is not None and not (self._lazy and recent):
            # nbformat's own `writes` validates the whole notebook each time; once is enough.
            # Only the whole one has to outlive a power cut: a run that was cut off begins anew.
            write_whole(self.target, _text(self.nb), durable=self.end_time is not None)
            self._saved_at = time.monotonic()
        self.last_save_time = self.now()

    def notebook_start(self, **_: Any) -> None:
        """Reset all statuses, save, and say that the run has started."""
        for cell in self.nb.cells:
            cell.metadata.get("triagebook", {}).pop("status", None)
        super().notebook_start()
        self._say("started", total=len(self.cells))

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **_: Any) -> None:
        """Record that a cell has started."""
        self._lazy = True
        try:
            super().cell_start(cell, cell_index)
        finally:
            self._lazy = False
        self._say_cell(cell, "running")

    def cell_complete(self, cell: NotebookNode, cell_index: int | None = None, **_: Any) -> None:
        """Record that a cell has ended, however it did, and save."""
        super().cell_complete(cell, cell_index)
        own = cell.metadata.get("triagebook", {})
        failed = cell.metadata.papermill["status"] == self.FAILED
        self._say_cell(
            cell,
            "failed" if failed else "done",
            took_s=cell.metadata.papermill["duration"],
            message=own.get("why") if failed else None,
        )
        diagnosis = self.target.with_name("diagnosis.json") if self.target else None
        if not self._answered and diagnosis is not None and diagnosis.is_file():
            self._answered = True
            self._say("answer")

    def skip(self, cell: NotebookNode, why: str) -> None:
        """Record that a cell will not run."""
        mark_cell(cell, "not_run", why)
        self._say_cell(cell, "not_run", message=why)

    def pass_by(self, cell: NotebookNode) -> None:
        """Record a cell with nothing to run, such as text."""
        cell.metadata.papermill.update(status=self.COMPLETED, exception=False)

    def notebook_complete(self, **_: Any) -> None:
        """Write final statuses and save; a cell that never ran is not called completed."""
        self.end_time = self.now()
        self.nb.metadata.papermill.update(
            end_time=self.end_time.isoformat(),
            duration=(self.end_time - self.start_time).total_seconds(),
        )
        for cell in self.cells:
            if cell.metadata.papermill["status"] in (self.PENDING, self.RUNNING):
                mark_cell(cell, "not_run", self.why)
        sum_up(self.nb, self.why)
        self.save()

    def _say(self, event: str, **fields: Any) -> None:
        if self.progress is not None:
            self.progress.add(event, **fields)

    def _say_cell(self, cell: NotebookNode, status: str, **fields: Any) -> None:
        index = next(n for n, known in enumerate(self.cells, 1) if known is cell)
        self._say(
            "cell",
            cell=cell.get("id"),
            title=self._titles[index - 1],
            index=index,
            total=len(self.cells),
            status=status,
            **fields,
        )


def _is_injected(cell: NotebookNode) -> bool:
    return "injected-parameters" in cell.metadata.get("tags", [])


def _titles(nb: NotebookNode) -> list[str | None]:
    """Return each runnable cell's own title, else the nearest heading above it, else None.

    A cell's own title is `metadata.triagebook.title`.
    """
    titles: list[str | None] = []
    title = None
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            headings = _HEADING.findall(cell.source)
            title = headings[-1] if headings else title
        elif is_runnable(cell):
            if _is_injected(cell):
                titles.append("Parameters of this run")
                continue
            own = cell.metadata.get("triagebook", {}).get("title")
            titles.append(own if isinstance(own, str) else title)
    return titles


def _text(nb: NotebookNode) -> str:
    text: str = nbformat.v4.writes(nb)  # type: ignore[no-untyped-call]
    return f"{text}\n"
