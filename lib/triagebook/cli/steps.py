"""What goes on, while it goes on: steps with their times, and a run cell by cell."""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from triagebook.cli.output import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from rich.console import Console

    from triagebook.core.models import Progress as Line

# Beside a bar there is no room for more.
_TITLE_WIDTH = 36


@dataclass
class Step:
    """One step that goes on: `say` tells how far it is, `done` is its line once it is over."""

    done: str
    say: Callable[[str], None]


@contextmanager
def step(out: Console, doing: str) -> Iterator[Step]:
    """Show a step: a spinner on a terminal; a line with its time when it is over.

    Yields
    ------
    Step
        Set its `done` to say more than `doing` did. What it is told with `say` is shown on a
        terminal only, where it can be replaced.
    """
    started = time.monotonic()
    now = Step(done=doing, say=lambda _: None)
    try:
        with out.status(Text(f"{doing} …")) if out.is_terminal else nullcontext() as status:
            if status is not None:
                now.say = lambda text: status.update(Text(plain(text)))
            yield now
    except BaseException:
        _line(out, "✗", doing, time.monotonic() - started, "red")
        raise
    _line(out, "✓", now.done, time.monotonic() - started, "green")


def _line(out: Console, mark: str, text: str, took_s: float, style: str) -> None:
    head = Text(mark, style=style).append(f" {plain(text)}", style="not bold default")
    time_ = f"{took_s:.1f} s"
    gap = out.width - head.cell_len - len(time_)
    out.print(head.append(" " * max(gap, 2) + time_, style="dim"), soft_wrap=True)


class RunView:
    """Shows a run as its lines of progress arrive: a bar on a terminal, else one line a cell.

    Attributes
    ----------
    cells, failed : int
        Cells seen to end, and those of them that failed.
    answered_s, took_s : float or None
        Seconds from the start of this view to the diagnosis, and to its end.
    """

    def __init__(self, out: Console) -> None:
        self.out = out
        self.cells = 0
        self.failed = 0
        self.answered_s: float | None = None
        self.took_s: float | None = None
        self._bar = Progress(
            TextColumn("  "),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),  # titles come from the notebook
            TimeElapsedColumn(),
            console=out,
            transient=True,
            disable=not out.is_terminal,
        )
        self._task = self._bar.add_task("waiting for its turn", total=None)
        self._started = time.monotonic()
        self._told = False

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        self.took_s = time.monotonic() - self._started

    def see(self, line: Line) -> None:
        """Take one line of progress."""
        if line.event == "started":
            self._bar.update(self._task, total=line.total, description="kernel starts")
        elif line.event == "answer":
            self._answer(line)
        elif line.event == "cell":
            self._cell(line)
        elif line.message:
            self._bar.console.print(Text(f"  {plain(line.message)}", style="yellow"))

    def _answer(self, line: Line) -> None:
        # The engine says that there is one, the notebook what it is.
        if self.answered_s is None:
            self.answered_s = time.monotonic() - self._started
        if line.message and not self._told:
            self._told = True
            self._bar.console.print(Text(f"  → {plain(line.message)}", style="bold"))

    def _cell(self, line: Line) -> None:
        if line.index is None or line.status is None:
            # A cell that takes long tells what it is at.
            question = plain(line.message or line.title or "")
            self._bar.update(self._task, description=question[:_TITLE_WIDTH])
            return
        title = plain(line.title or line.cell or "")
        if line.status == "running":
            self._bar.update(self._task, total=line.total, description=title[:_TITLE_WIDTH])
            return
        self.cells += 1
        self._bar.update(self._task, total=line.total, completed=line.index)
        good = line.status == "done"
        self.failed += not good
        if good and self.out.is_terminal:
            return
        place = f"{line.index}/{line.total}"
        took = "" if line.took_s is None else f"{line.took_s:.1f} s"
        why = "" if good else f"  {line.status}: {plain(line.message or 'see the notebook')}"
        text = Text(f"  {place:>5}  {took:>6}  {title}{why}", style="" if good else "yellow")
        self._bar.console.print(text, soft_wrap=True)
