"""Kill the service in the middle of a notebook, at random moments: does every run finish, truthfully?

`python -m tests.chaos.midway [--times 50] [--warm 2] [--seed 1] [--json]`, from the top of the checkout.
All the while a reader polls what is written: each file has to be whole JSON at any moment, and a cell
that is called completed has to have come to its end (it leaves a mark there). What came of the killed
service has to be gone within 5 s, by itself. Ends with 1 where any of it is not so.
"""

# ruff: noqa: T201 - its output

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.chaos.serving import Serving, alert, counted, machine, none_left, parsed, posted
from tests.live.workers import wait_until
from triagebook.running.progress import read_progress

if TYPE_CHECKING:
    from collections.abc import Iterator

CELLS = 8
FINISH_WITHIN_S = 120.0
_FIRST = (
    "import json, os, pathlib, time\n"
    "marks = pathlib.Path(json.load(open('request.json'))['home']) / 'marks'\n"
    "marks.mkdir(exist_ok=True)\n"
    "me = f'{os.getpid()}-{time.time_ns()}'\n"
)
_FILES = ("request.json", "result.json", "investigation.ipynb")


def main(arguments: list[str] | None = None) -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--times", type=int, default=50)
    asked.add_argument("--warm", type=int, default=2)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--json", action="store_true")
    told = asked.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = played(Path(folder) / "home", told.times, told.warm, told.seed)
    print(json.dumps(found, indent=2) if told.json else "\n".join(lines(found)))
    good = found["published"] == told.times and not (
        found["invalid_files"] or found["falsely_completed"] or found["orphans"] or found["doubled"]
    )
    return 0 if good else 1


def cell(number: int) -> str:
    """Return a cell that computes in C for half of its time, where a kernel hears nothing.

    Its last word is its mark.
    """
    return (
        (_FIRST if number == 0 else "")
        + "print(me)\ntime.sleep(0.1)\nsum(range(4_000_000))\n"
        + f"(marks / ('{number}-' + me)).touch()\n"
    )


def played(root: Path, times: int, warm: int, seed: int) -> dict[str, Any]:
    """Kill so often; return the figures."""
    draw = random.Random(seed)  # noqa: S311 - moments, not secrets
    seen = Seen(root / "marks")
    orphans: list[str] = []
    hit: list[str | None] = []
    with Serving(root, [cell(number) for number in range(CELLS)], warm=warm) as site:
        length = 0.0
        for number in range(times + 1):
            site.start()
            if posted(site, alert(number)) != 202:
                raise RuntimeError("the alert was not taken")
            incident = site.wait_opened(number + 1)
            folder = site.home.attempt_dir(incident, 1)
            with seen.reading(folder, site.home.run_dir(incident)):
                wait_until("it has begun", lambda f=folder: began(f))
                if number == 0:  # how long an execution takes, and nothing is killed
                    since = time.monotonic()
                    site.wait_published(1, FINISH_WITHIN_S)
                    length = time.monotonic() - since
                    site.stop()
                    continue
                time.sleep(draw.uniform(0, length))  # the random moment
                hit.append(running(folder))
                site.kill()
                orphans += none_left(site)
                site.start()
                site.wait_published(number + 1, FINISH_WITHIN_S)
            site.stop()
        kept = counted(site)
        orphans += none_left(site)
    return {
        "killed": times,
        "in_a_cell": sum(cell is not None for cell in hit),
        "cells_hit": len({cell for cell in hit if cell}),
        "published": kept["published"] - 1,
        "doubled": sum(count for name, count in kept.items() if "doubled" in name)
        + kept["published_twice"],
        "orphans": len(orphans),
        "reads": seen.reads,
        "invalid_files": len(seen.invalid),
        "falsely_completed": len(seen.false),
        "examples": (seen.invalid + seen.false + orphans)[:5],
        "warm": warm,
        "machine": machine(),
    }


def began(folder: Path) -> bool:
    return any(line.event == "cell" for line in read_progress(folder))


def running(folder: Path) -> str | None:
    """Return the cell that was running when the last line was written."""
    lines_ = [line for line in read_progress(folder) if line.event == "cell"]
    return lines_[-1].cell if lines_ and lines_[-1].status == "running" else None


class Seen:
    """What a reader saw that polls the files of a run."""

    def __init__(self, marks: Path) -> None:
        self.marks = marks
        self.reads = 0
        self.invalid: list[str] = []
        self.false: list[str] = []

    @contextmanager
    def reading(self, attempt: Path, published: Path) -> Iterator[None]:
        over = threading.Event()

        def look() -> None:
            while not over.wait(0.002):
                for name in _FILES:
                    self._look(attempt / name)
                for name in ("investigation.ipynb", "diagnosis.json"):
                    self._look(published / name)

        reader = threading.Thread(target=look)
        reader.start()
        try:
            yield
        finally:
            over.set()
            reader.join()

    def _look(self, path: Path) -> None:
        content = parsed(path, self.invalid)
        if content is None:
            return
        self.reads += 1
        if path.suffix != ".ipynb":
            return
        for number, cell in enumerate(content["cells"]):
            if cell["metadata"].get("papermill", {}).get("status") != "completed":
                continue
            said = "".join(cell["outputs"][0]["text"]).strip() if cell["outputs"] else ""
            if not (self.marks / f"{number}-{said}").exists():
                self.false.append(f"{path.parent.name}/{cell['id']} of {said or 'nobody'}")


def lines(found: dict[str, Any]) -> list[str]:
    return [
        (
            f"{found['killed']} times killed in mid-notebook, {found['in_a_cell']} of them within a cell "
            f"({found['cells_hit']} different ones); {found['published']} published, "
            f"{found['doubled']} doubled, {found['orphans']} orphans"
        ),
        (
            f"{found['reads']:,} files read meanwhile: {found['invalid_files']} invalid, "
            f"{found['falsely_completed']} cells falsely called completed"
        ),
        *found["examples"],
        f"warm = {found['warm']}; {found['machine']}",
    ]


if __name__ == "__main__":
    sys.exit(main())
