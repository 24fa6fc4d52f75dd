"""progress.jsonl can be read while it grows, and after a writer was killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.running.progress import ProgressLog, ProgressTail, read_progress

if TYPE_CHECKING:
    from pathlib import Path


def test_lines_come_back_in_order(tmp_path: Path):
    log = ProgressLog(tmp_path)
    log.add("started", total=2)
    log.add("cell", cell="a", title="Überschrift", index=1, total=2, status="done", took_s=0.5)
    assert [line.event for line in read_progress(tmp_path)] == ["started", "cell"]
    assert read_progress(tmp_path / "progress.jsonl")[1].title == "Überschrift"


def test_nothing_there_yet_is_no_line(tmp_path: Path):
    assert read_progress(tmp_path) == []
    assert ProgressTail(tmp_path).new() == []


def test_a_torn_last_line_is_left_out(tmp_path: Path):
    ProgressLog(tmp_path).add("started")
    path = tmp_path / "progress.jsonl"
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole + whole[:cut])
        expected = 2 if cut == len(whole) - 1 else 1  # only the line's end is missing
        assert len(read_progress(path)) == expected


def test_a_line_of_another_version_is_left_out(tmp_path: Path):
    path = tmp_path / "progress.jsonl"
    path.write_text('{"ts": "2013-06-04T14:00:00Z", "event": "dance"}\nnull\n\xff\n', "latin-1")
    ProgressLog(tmp_path).add("executed")
    assert [line.event for line in read_progress(path)] == ["executed"]


def test_a_tail_gives_each_line_once_and_waits_for_its_end(tmp_path: Path):
    tail = ProgressTail(tmp_path)
    log = ProgressLog(tmp_path)
    log.add("started")
    assert [line.event for line in tail.new()] == ["started"]
    with log.path.open("ab") as file:
        file.write(b'{"ts": "2013-06-04T14:00:00Z",')
    assert tail.new() == []
    with log.path.open("ab") as file:
        file.write(b' "event": "answer"}\n')
    assert [line.event for line in tail.new()] == ["answer"]


def test_a_lone_surrogate_in_a_message_is_written_as_its_escape(tmp_path: Path):
    ProgressLog(tmp_path).add("failed", message="a\ud800b")
    assert read_progress(tmp_path)[0].message == "a\\ud800b"
