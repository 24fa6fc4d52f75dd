"""What a long-running command logs: short tracebacks, and no trouble where it cannot be written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import structlog

from triagebook.cli.output import log_to_stderr


@pytest.fixture
def log():
    before = structlog.get_config()
    log_to_stderr()
    yield structlog.get_logger("test")
    structlog.configure(**before)


def test_a_traceback_shows_where_and_not_the_values(log, capsys):
    body = b"the secret of somebody" * 20_000
    try:
        body.decode("ascii").index("nothing")
    except ValueError:
        log.exception("it_broke")
    told = capsys.readouterr().err
    assert "it_broke" in told
    assert "Traceback" in told
    assert "test_output.py" in told
    assert "the secret" not in told


def test_a_log_whose_disk_is_full_costs_a_line_and_no_more(log, monkeypatch):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("macOS only: it has no /dev/full")
    with full.open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        log.warning("lost")
        log.error("lost")
        monkeypatch.undo()
        try:
            stream.close()
        except OSError:
            full = None
    assert full is None, "the log was not even tried to be written"
