"""What a full disk or a failing store refuses is done once there is room; the service's end ends it."""

from __future__ import annotations

import errno

import pytest

from triagebook.core.errors import StoreError
from triagebook.core.paths import Home
from triagebook.core.settings import Settings
from triagebook.running import workflow
from triagebook.running.workflow import RunStoppedError, Surroundings, _once_there_is_room, _why


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setattr(workflow, "AGAIN_EVERY_S", 0.01)
    return Surroundings(Home(tmp_path), Settings(), store=None)


@pytest.mark.parametrize(
    "error", [StoreError("full"), OSError(errno.ENOSPC, "full"), OSError(errno.EDQUOT, "full")]
)
def test_it_is_done_once_there_is_room(here, error):
    tries = []

    def do():
        tries.append(1)
        if len(tries) < 3:
            raise error

    _once_there_is_room(here, do)
    assert len(tries) == 3


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "no"), ValueError("no")])
def test_another_error_is_one(here, error):
    def do():
        raise error

    with pytest.raises(type(error)):
        _once_there_is_room(here, do)


@pytest.mark.parametrize("how", ["stopped", "cut off"])
def test_the_end_of_the_service_ends_it(here, how):
    def do():
        if how == "stopped":
            here.stop.set()
        else:
            here.may_work = lambda: False
        raise StoreError("full")

    with pytest.raises(RunStoppedError):
        _once_there_is_room(here, do)


def test_the_disk_is_named_where_it_was_the_reason():
    error = RuntimeError("the queue could not note it")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert _why(error) == "the disk is full: [Errno 28] No space left on device"
    assert _why(ValueError("no")) == "no"
    assert _why(ValueError()) == "ValueError"
