"""The demo's client: readiness, the posted alert, and the stream of events."""

from __future__ import annotations

import json

import httpx
import pytest

from triagebook.cli.follow import follow, wait_until_ready
from triagebook.core.errors import RunError, TriagebookError


def client(handler) -> httpx.Client:
    return httpx.Client(base_url="http://service.test", transport=httpx.MockTransport(handler))


def stream(*events: tuple[str, dict]) -> str:
    return "retry: 1000\n\n: still here\n\n" + "".join(
        f"id: 1:{n}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
        for n, (name, data) in enumerate(events)
    )


CELL = {"ts": "2013-06-04T22:00:00Z", "event": "cell", "index": 1, "total": 2, "status": "done"}


def followed(text: str) -> tuple[str, list]:
    seen = []
    with client(lambda _: httpx.Response(200, text=text)) as http:
        return follow(http, "inc-1", seen.append), seen


@pytest.mark.parametrize("state", ["published", "failed"])
def test_follow_hands_on_progress_and_returns_how_it_ended(state):
    text = stream(
        ("state", {"run_state": "running"}), ("progress", CELL), ("end", {"run_state": state})
    )
    ended, seen = followed(text)
    assert ended == state
    assert [line.index for line in seen] == [1]


def test_a_stream_that_ends_before_the_run_is_an_error():
    with pytest.raises(RunError, match="stopped while inc-1 was running"):
        followed(stream(("progress", CELL)))


@pytest.mark.parametrize("status", [404, 500])
def test_an_answer_that_is_no_stream_is_an_error(status):
    with client(lambda _: httpx.Response(status)) as http, pytest.raises(RunError, match="inc-1"):
        follow(http, "inc-1", print)


def test_ready_is_asked_for_until_it_is():
    answers = iter([httpx.Response(503), httpx.Response(200)])
    with client(lambda _: next(answers)) as http:
        wait_until_ready(http)
    assert next(answers, None) is None


def test_never_ready_says_what_is_wrong():
    with (
        client(lambda _: httpx.Response(503, text="disk full")) as http,
        pytest.raises(TriagebookError, match="disk full"),
    ):
        wait_until_ready(http, limit_s=0)
