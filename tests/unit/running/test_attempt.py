"""Notes of processes in a folder that several hosts share."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from triagebook.running.attempt import Attempt
from triagebook.running.processes import identify, table_name
from triagebook.running.supervise import end_leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def stray() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "300"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def noted(folder: Path, process: subprocess.Popen[bytes], table: str | None) -> Attempt:
    attempt = Attempt(folder)
    who = identify(process.pid)
    assert who is not None
    attempt.note_process("runner", who)
    note = folder / ".runner.json"
    content = json.loads(note.read_text())
    assert content.pop("table") == table_name()
    if table is not None:
        content["table"] = table
    note.write_text(json.dumps(content))
    return attempt


@pytest.mark.parametrize("table", [None, table_name()], ids=["of an older version", "of this host"])
def test_processes_noted_here_are_ended(tmp_path, stray, table):
    end_leftovers(noted(tmp_path, stray, table))
    assert stray.wait(10) == -9


def test_a_number_that_another_host_noted_is_not_ours(tmp_path, stray):
    attempt = noted(tmp_path, stray, "another boot/pid:[4026531836]")
    assert list(attempt.processes()) == []
    end_leftovers(attempt)
    assert stray.poll() is None
