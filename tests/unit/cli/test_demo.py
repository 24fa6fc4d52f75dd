"""`demo` from its first line to Ctrl-C, with a runbook that does not take long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.unit.cli.samples import write_runbooks
from triagebook.drills.worlds import flight_delay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAYS_UP = "The page stays up at "


@pytest.fixture
def place(tmp_path, world_cache) -> Path:
    """Return a folder to run the demo in, where the world has been built before."""
    flight_delay.build(tmp_path / "built-before", cache=world_cache)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / ".demo-cache").symlink_to(world_cache)
    return tmp_path


def _hear_ctrl_c() -> None:
    # What was started in the background of a script ignores it, and so do its children.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def demo(place: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    own = write_runbooks(place / "own-notebooks")
    process = subprocess.Popen(
        [sys.executable, "-m", "triagebook", "demo", *arguments],
        cwd=place,
        env={**os.environ, "TRIAGEBOOK_SERVER__NOTEBOOKS": str(own), "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_ctrl_c,  # noqa: PLW1509 - it only makes one call to the system
    )
    try:
        yield process
    finally:
        # A test that failed must not wait for a demo that stays up.
        process.kill()
        process.communicate()


def processes_about(folder: Path) -> list[str]:
    """List the command lines that name a folder: service, runner and kernel all do."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True
    )
    return [line for line in listed.stdout.splitlines() if str(folder) in line]


def lines_until_it_stays_up(process: subprocess.Popen[str]) -> list[str]:
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if STAYS_UP in line:
            return lines
    pytest.fail("\n".join(lines) + process.stderr.read())


@pytest.mark.slow
def test_two_demos_at_once_show_the_result_and_leave_nothing_behind(place):
    with demo(place) as one, demo(place) as other:
        shown = [lines_until_it_stays_up(one), lines_until_it_stays_up(other)]
        pages = [next(x.split()[1] for x in lines if x.startswith("  page ")) for lines in shown]
        assert len({page.split("/")[2] for page in pages}) == 2
        for page in pages:
            assert httpx.get(page, trust_env=False).status_code == 200
        assert processes_about(place / "runs")
        for process in (one, other):
            process.send_signal(signal.SIGINT)
        assert [process.wait(60) for process in (one, other)] == [0, 0]
        assert [process.stderr.read() for process in (one, other)] == ["", ""]
    assert processes_about(place / "runs") == []
    assert len(list((place / "runs").glob("demo-*"))) == 2

    text = "\n".join(shown[0])
    assert "answered 202: inc-" in text
    assert "4/4" in text
    assert "4 cells, 1 of them failed" in text
    assert "SEV2 · cause found" in text
    assert "From alert to investigation: " in text
    for label in ("notebook", "report"):
        path = next(line.split()[1] for line in shown[0] if line.startswith(f"  {label} "))
        assert (place / path).is_file()


@pytest.mark.slow
def test_exit_and_json_print_the_result_alone_and_write_only_below_runs(place):
    before = {path.name for path in place.iterdir()}
    with demo(place, "--exit", "--json", "--port", "0") as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["diagnosis"]["incident_id"] == found["incident"]
    assert found["alert_to_answer_s"] <= found["alert_to_result_s"] <= found["start_to_result_s"]
    assert "answered 202" in err
    assert {path.name for path in place.iterdir()} - before == {"own-notebooks"}
    assert processes_about(place / "runs") == []


def test_a_folder_that_is_in_use_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with demo(tmp_path, "--home", str(tmp_path)) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "is not empty" in err
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_a_run_that_fails_is_1_and_says_why(place):
    with demo(place, "--exit", "--port", "0") as process:
        (place / "own-notebooks" / "drift.ipynb").write_text("no notebook")
        _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "failed: " in err
    assert "service.log" in err
    assert processes_about(place / "runs") == []
