"""Move a finished attempt up into the run's folder, by renames, the notebook last.

Whoever reads `runs/<incident>/` sees a whole investigation or none: while `investigation.ipynb` is
there, everything beside it belongs to it. Killed between any two renames, a second call goes on
where the first one stopped.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from triagebook.core.errors import RunError
from triagebook.running.atomic import write_whole
from triagebook.running.attempt import Attempt, attempts

if TYPE_CHECKING:
    from pathlib import Path

NOTEBOOK = "investigation.ipynb"
PUBLISHED = ("evidence", "figures", "diagnosis.json", "evidently.html", "report.html", NOTEBOOK)
"""What is published, in the order it is moved; `postmortem.*` is people's and stays."""

_CLEARED = ".cleared"  # the earlier set is out of the way: what lies above from now on is ours
_DONE = ".published"


def publish(run_dir: Path, number: int) -> None:
    """Publish attempt `number` of a run.

    Parameters
    ----------
    run_dir : Path
        `runs/<incident>`.
    number : int
        The attempt's number, from 1.

    Raises
    ------
    RunError
        The attempt has no notebook, now or before.
    """
    attempt = Attempt(run_dir / "attempts" / str(number))
    if (attempt.folder / _DONE).exists():
        return
    cleared = attempt.folder / _CLEARED
    if not cleared.exists():
        if not attempt.notebook.exists():
            raise RunError(
                f"attempt {number} of {run_dir.name} has no notebook to publish",
                f"see runner.log in {attempt.folder}",
            )
        _clear(run_dir, number)
        write_whole(cleared, b"", durable=True)
    for name in PUBLISHED:
        _move(attempt.folder / name, run_dir / name)
    _sync(run_dir)
    write_whole(attempt.folder / _DONE, b"", durable=True)


def is_published(run_dir: Path, number: int) -> bool:
    """Tell whether that attempt was published to the end."""
    return (run_dir / "attempts" / str(number) / _DONE).exists()


def _clear(run_dir: Path, number: int) -> None:
    """Move an earlier published set to `attempts/<its number>-replaced/`, its notebook first."""
    if not any((run_dir / name).exists() for name in PUBLISHED):
        return
    earlier = [n for n in attempts(run_dir) if n != number and is_published(run_dir, n)]
    aside = run_dir / "attempts" / f"{max(earlier, default=number)}-replaced"
    aside.mkdir(exist_ok=True)
    for name in reversed(PUBLISHED):
        _move(run_dir / name, aside / name)
    _sync(run_dir)


def _move(source: Path, target: Path) -> None:
    if source.exists():
        source.rename(target)


def _sync(folder: Path) -> None:
    """Wait until the disk has the renames in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
