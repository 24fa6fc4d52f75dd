"""A question to Postgres that nobody answers ends; one that is answered late but in time does not."""

from __future__ import annotations

import pytest

from triagebook.incidents import patience
from triagebook.incidents.patience import _SilenceError, _within


def question(log):
    ready = yield "wants"
    while not ready:
        log.append("looked")
        ready = yield "wants"
    return "the answer"


def test_an_answer_comes_through():
    asked = _within(question([]), 60)
    assert next(asked) == "wants"
    assert asked.send(0) == "wants"
    with pytest.raises(StopIteration) as end:
        asked.send(1)
    assert end.value.value == "the answer"


@pytest.mark.parametrize(("at", "ends"), [(5.9, False), (6.0, True), (6.1, True)])
def test_silence_ends_it(monkeypatch, at, ends):
    now = [0.0]
    monkeypatch.setattr(patience.time, "monotonic", lambda: now[0])
    log: list[str] = []
    asked = _within(question(log), 6.0)
    next(asked)
    now[0] = at
    if ends:
        with pytest.raises(_SilenceError):
            asked.send(0)
    else:
        assert asked.send(0) == "wants"
    assert log == ([] if ends else ["looked"])


def test_what_has_come_counts_however_late():
    asked = _within(question([]), 0)
    next(asked)
    with pytest.raises(StopIteration):
        asked.send(1)
