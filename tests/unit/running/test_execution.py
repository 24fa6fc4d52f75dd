"""Real notebooks in real kernels: whatever a cell does, the rest runs and the statuses are true."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.running.conftest import code, text
from triagebook.core.models import to_json
from triagebook.running.limits import NICE
from triagebook.running.processes import family, identify
from triagebook.running.progress import read_progress
from triagebook.running.supervise import execute_attempt

if TYPE_CHECKING:
    from tests.unit.running.conftest import MakeAttempt, Start

RUNNER = "import json, os, signal; runner = json.load(open('.runner.json'))['pid']"
BUSY_IN_C = "sum(range(10**12))"  # one call into C: no interrupt reaches it


def cells_of(notebook: Path) -> dict[str, Any]:
    return {cell["id"]: cell for cell in json.loads(notebook.read_text())["cells"]}


def words(cell: dict[str, Any]) -> str:
    return json.dumps(cell["outputs"])


def statuses(notebook: Path) -> dict[str, tuple[str, str | None]]:
    return {
        name: (
            cell["metadata"]["papermill"]["status"],
            cell["metadata"].get("triagebook", {}).get("status"),
        )
        for name, cell in cells_of(notebook).items()
        if cell["cell_type"] == "code"
    }


def nothing_left(attempt: Any) -> bool:
    return family([who for who, _ in attempt.processes()]) == []


def test_a_failing_cell_keeps_its_error_and_the_rest_runs(make_attempt: MakeAttempt, start: Start):
    attempt = make_attempt(
        text("# Probe"),
        code("print('one')", "one"),
        text("## What broke?"),
        code("1 / 0", "two"),
        code("print('three')", "three"),
    )
    result = execute_attempt(attempt, start=start)

    assert (result.status, result.failed_cells) == ("executed", ["two"])
    assert statuses(attempt.notebook) == {
        "one": ("completed", None),
        "two": ("failed", "failed"),
        "three": ("completed", None),
    }
    found = cells_of(attempt.notebook)
    assert "ZeroDivisionError" in words(found["two"])
    assert "three" in words(found["three"])
    whole = json.loads(attempt.notebook.read_text())
    assert whole["metadata"]["triagebook"]["status"] == "complete"
    assert [cell["cell_type"] for cell in whole["cells"]].count("markdown") == 2  # no banner
    assert (
        "input_path" not in whole["metadata"]["papermill"]
        or "/" not in (whole["metadata"]["papermill"]["input_path"])
    )
    assert (attempt.folder / "report.html").stat().st_size > 0
    assert nothing_left(attempt)

    lines = read_progress(attempt.folder)
    assert lines[0].event == "started"
    assert lines[0].total == 3
    two = [line for line in lines if line.cell == "two"]
    assert [(line.status, line.title, line.index) for line in two] == [
        ("running", "What broke?", 2),
        ("failed", "What broke?", 2),
    ]
    assert [line.event for line in lines][-1] == "executed"


def test_a_notebook_stands_back_behind_the_service(make_attempt: MakeAttempt, start: Start):
    attempt = make_attempt(code("import os; print('nice', os.nice(0))", "one"))
    execute_attempt(attempt, start=start)
    expected = min(19, os.nice(0) + NICE)
    assert f"nice {expected}" in words(cells_of(attempt.notebook)["one"])


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="macOS only: no sessions with shares"
)
def test_so_does_its_session_where_the_system_shares_by_session(
    make_attempt: MakeAttempt, start: Start
):
    read = "import os; print(os.getsid(0) == os.getpid(), open('/proc/self/autogroup').read())"
    attempt = make_attempt(code(read, "one"))
    execute_attempt(attempt, start=start)
    told = words(cells_of(attempt.notebook)["one"])
    assert "True" in told
    assert f"nice {NICE}" in told


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="macOS only: no such limit there")
def test_a_cell_that_wants_too_much_memory_says_so_and_the_rest_runs(
    make_attempt: MakeAttempt, start: Start
):
    attempt = make_attempt(
        code("small = bytearray(64 * 2**20)", "one"),
        code("large = bytearray(3 * 2**30)", "two"),
        code("print(len(small))", "three"),
    )
    asked = attempt.request().model_copy(update={"memory_bytes": 2 * 2**30})
    attempt.request_file.write_text(to_json(asked))
    result = execute_attempt(attempt, start=start)

    assert (result.status, result.failed_cells) == ("executed", ["two"])
    assert "MemoryError" in words(cells_of(attempt.notebook)["two"])
    assert str(64 * 2**20) in words(cells_of(attempt.notebook)["three"])


def test_a_dead_kernel_is_said_and_later_cells_are_not_run(make_attempt: MakeAttempt, start: Start):
    attempt = make_attempt(
        code("print('one')", "one"),
        code("import os; os._exit(7)", "two"),
        code("print('three')", "three"),
    )
    result = execute_attempt(attempt, start=start)

    assert result.status == "executed"
    assert (result.failed_cells, result.not_run_cells) == (["two"], ["three"])
    assert statuses(attempt.notebook) == {
        "one": ("completed", None),
        "two": ("failed", "failed"),
        "three": ("pending", "not_run"),
    }
    assert "exited with status 7" in words(cells_of(attempt.notebook)["two"])
    assert json.loads(attempt.notebook.read_text())["metadata"]["triagebook"]["status"] == "partial"
    assert [line.status for line in read_progress(attempt.folder) if line.cell == "three"] == [
        "not_run"
    ]


def test_a_cell_over_its_limit_is_interrupted_and_the_rest_runs(
    make_attempt: MakeAttempt, start: Start
):
    slow = code("import time; time.sleep(60)", "slow", triagebook={"limit_s": 0.5})
    attempt = make_attempt(slow, code("print('after')", "after"))
    result = execute_attempt(attempt, start=start)

    assert (result.timed_out_cells, result.not_run_cells) == (["slow"], [])
    assert statuses(attempt.notebook) == {
        "slow": ("failed", "timed_out"),
        "after": ("completed", None),
    }


def test_a_cell_that_no_interrupt_reaches_loses_its_kernel(make_attempt: MakeAttempt, start: Start):
    stuck = code(BUSY_IN_C, "stuck", triagebook={"limit_s": 0.5})
    attempt = make_attempt(code("1", "one"), stuck, code("print('after')", "after"))
    result = execute_attempt(attempt, start=start)

    assert (result.timed_out_cells, result.not_run_cells) == (["stuck"], ["after"])
    assert "its kernel was killed" in words(cells_of(attempt.notebook)["stuck"])
    assert result.took_s < 20
    assert nothing_left(attempt)


def test_the_deadline_ends_the_run_within_five_seconds(make_attempt: MakeAttempt, start: Start):
    deadline_s = 15.0  # a slow machine needs several for a kernel to start
    attempt = make_attempt(
        code("print('seen')", "one"),
        code(f"import subprocess; subprocess.Popen(['sleep', '300'])\n{BUSY_IN_C}", "stuck"),
        code("print('after')", "after"),
        deadline_s=deadline_s,
    )
    began = time.monotonic()
    result = execute_attempt(attempt, start=start)
    took_s = time.monotonic() - began

    assert took_s < deadline_s + 5
    assert result.status == "executed"
    assert (result.timed_out_cells, result.not_run_cells) == (["stuck"], ["after"])
    assert "seen" in words(cells_of(attempt.notebook)["one"])
    assert nothing_left(attempt)


def test_the_supervisor_kills_a_runner_that_misses_the_deadline(
    make_attempt: MakeAttempt, start: Start
):
    # The kernel stops the runner itself, so that nothing inside can keep the deadline.
    stop = f"{RUNNER}\nos.kill(runner, signal.SIGSTOP)\nimport time; time.sleep(60)"
    attempt = make_attempt(
        code("print('seen')", "one"), code(stop, "two"), code("3", "three"), deadline_s=15
    )
    began = time.monotonic()
    result = execute_attempt(attempt, start=start)

    assert time.monotonic() - began < 25
    assert result.status == "executed"
    assert statuses(attempt.notebook)["one"] == ("completed", None)
    assert "deadline of 15 s" in result.message
    assert (result.timed_out_cells, result.not_run_cells) == (["two"], ["three"])
    assert nothing_left(attempt)


def test_a_runner_that_is_killed_leaves_a_truthful_notebook(
    make_attempt: MakeAttempt, start: Start
):
    kill = f"{RUNNER}\nos.kill(runner, signal.SIGKILL)\nimport time; time.sleep(60)"
    attempt = make_attempt(code("1", "one"), code(kill, "two"), code("3", "three"))
    result = execute_attempt(attempt, start=start)

    assert result.status == "executed"
    assert result.failed_cells == ["two"]
    assert result.not_run_cells == ["three"]
    assert "ended by itself" in result.message
    assert nothing_left(attempt)


def test_what_a_cell_left_in_the_background_is_ended(make_attempt: MakeAttempt, start: Start):
    # A session of its own, and its parent gone: only adoption by the runner finds it.
    leave = (
        "import subprocess\n"
        "done = subprocess.run(['sh', '-c', 'setsid sleep 300 >/dev/null 2>&1 & echo $!'],"
        " capture_output=True, text=True)\n"
        "open('background.pid', 'w').write(done.stdout)"
    )
    attempt = make_attempt(code(leave, "one"))
    execute_attempt(attempt, start=start)

    pid = int((attempt.folder / "background.pid").read_text())
    assert pid > 1
    assert identify(pid) is None


def test_a_reader_never_sees_a_part_of_the_notebook(make_attempt: MakeAttempt, start: Start):
    big = "print('x' * 3_000_000)"
    attempt = make_attempt(*(code(big) for _ in range(6)))
    seen: list[int] = []
    torn: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            try:
                content = attempt.notebook.read_bytes()
            except FileNotFoundError:
                continue
            try:
                json.loads(content)
            except ValueError as error:
                torn.append(str(error))
            seen.append(len(content))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        result = execute_attempt(attempt, start=start)
    finally:
        over.set()
        reader.join()

    assert result.status == "executed"
    assert torn == []
    assert len(set(seen)) >= 5  # it did look while the notebook grew


def test_the_kernel_works_in_the_attempts_folder_and_says_when_the_answer_is_there(
    make_attempt: MakeAttempt, start: Start
):
    source = (
        "import json, os\n"
        "asked = json.load(open('request.json'))\n"
        "open('diagnosis.json', 'w').write('{}')\n"
        "print(asked['incident_id'], os.environ['TRIAGEBOOK_HOME'], os.environ['DO_NOT_TRACK'])"
    )
    attempt = make_attempt(code(source, "one"), code("2", "two"))
    execute_attempt(attempt, start=start)

    home = str(attempt.request().home)
    assert f"inc-1 {home} 1" in words(cells_of(attempt.notebook)["one"])
    events = [(line.event, line.cell) for line in read_progress(attempt.folder)]
    assert events.index(("answer", None)) < events.index(("cell", "two"))


def test_a_report_that_cannot_be_made_costs_nothing_else(make_attempt: MakeAttempt):
    attempt = make_attempt(code("import os; os.mkdir('report.html')", "one"))
    result = execute_attempt(attempt)

    assert (result.status, result.failed_cells) == ("executed", [])
    assert statuses(attempt.notebook) == {"one": ("completed", None)}
    said = [line.message or "" for line in read_progress(attempt.folder)]
    assert any("the report could not be made" in message for message in said)


def test_a_kernel_that_does_not_exist_is_a_failed_run(make_attempt: MakeAttempt):
    attempt = make_attempt(code("1", "one"))
    notebook = json.loads(attempt.runbook.read_text())
    notebook["metadata"]["kernelspec"] = {
        "name": "no-such-kernel",
        "display_name": "x",
        "language": "python",
    }
    attempt.runbook.write_text(json.dumps(notebook))
    result = execute_attempt(attempt)

    assert result.status == "failed"
    assert "no-such-kernel" in result.message


def test_a_runbook_that_is_no_notebook_is_a_failed_run(make_attempt: MakeAttempt):
    attempt = make_attempt(code("1", "one"))
    attempt.runbook.write_text("[1, 2]")
    result = execute_attempt(attempt)

    assert result.status == "failed"
    assert "no notebook" in result.message


def test_ipykernel_has_nothing_to_warn_about(make_attempt: MakeAttempt, start: Start):
    attempt = make_attempt(code("print('fine')", "one"))
    execute_attempt(attempt, start=start)

    assert attempt.kernel_log.read_text() == ""
    assert attempt.runner_log.read_text() == ""


def test_a_lone_surrogate_in_an_output_is_saved_as_valid_json(
    make_attempt: MakeAttempt, start: Start
):
    attempt = make_attempt(code("raise ValueError('a\\ud800b')", "one"))
    result = execute_attempt(attempt, start=start)

    assert result.status == "executed"
    json.loads(attempt.notebook.read_text(encoding="utf-8"))


def test_a_stopped_run_leaves_no_process(make_attempt: MakeAttempt, start: Start):
    attempt = make_attempt(code("import time; time.sleep(60)", "one"))
    stop = threading.Event()

    def stop_when_running(line: Any) -> None:
        if line.status == "running":
            stop.set()

    result = execute_attempt(attempt, start=start, stop=stop, on_progress=stop_when_running)

    assert result.status == "stopped"
    assert attempt.result() is None
    assert nothing_left(attempt)


def test_a_finished_attempt_is_not_executed_again(make_attempt: MakeAttempt):
    attempt = make_attempt(code("open('count', 'a').write('x')", "one"))
    first = execute_attempt(attempt)
    second = execute_attempt(attempt)

    assert first == second
    assert (attempt.folder / "count").read_text() == "x"
