"""Asking over HTTP: what is sent, what is tried again, and what is told of it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pydantic import ValidationError

from tests.faults.server import faulty
from triagebook.core.errors import SettingsError, SourceError, SourceTimeoutError
from triagebook.core.times import now_utc
from triagebook.sources.base import Question, Stop
from triagebook.sources.http import HttpSettings
from triagebook.sources.server import Server, _retry_after


def echo(path: str, asked: dict[str, str], body: bytes) -> Any:
    return {"path": path, "asked": asked, "body": body.decode()}


def server(root, url, question=None, **keys) -> Server:
    now = now_utc()
    return Server(
        HttpSettings(url=url, **keys), root, question or Question((now, now), within_s=5), "Echo"
    )


@pytest.fixture
def healthy(tmp_path):
    with faulty("healthy", echo, tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    "url",
    [
        "prometheus:9090",
        "ftp://a",
        "http://",
        "http://a b",
        "http://u:p@host",
        "http://a?x=1",
        "file:///etc",
    ],
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValidationError) as told:
        HttpSettings(url=url)
    assert "such as http://127.0.0.1:9090" in str(told.value) or "`password`" in str(told.value)


def test_what_is_asked_arrives_bound_and_whole(healthy, tmp_path):
    odd = 'a&b=c d"{}/?#\n☃'
    with server(tmp_path, f"{healthy.url}/base/") as asked:
        assert asked.get("/x", {"q": odd}) == {"path": "/base/x", "asked": {"q": odd}, "body": ""}
        assert asked.post("/x", form={"q": odd})["asked"] == {"q": odd}
        assert asked.post("/x", body={"q": 1})["body"] == '{"q":1}'


@pytest.mark.parametrize(
    ("keys", "header", "value"),
    [
        ({"token": {"env": "SECRET"}}, "authorization", "Bearer hush"),
        ({"user": "me", "password": {"env": "SECRET"}}, "authorization", "Basic bWU6aHVzaA=="),
        ({"secret_headers": {"X-Key": {"env": "SECRET"}}}, "x-key", "hush"),
        ({"headers": {"X-Team": "ml"}}, "x-team", "ml"),
        ({"tenant": "team-a"}, "x-scope-orgid", "team-a"),
    ],
)
def test_it_is_proved_as_configured(healthy, tmp_path, monkeypatch, keys, header, value):
    monkeypatch.setenv("SECRET", "hush")
    with server(tmp_path, healthy.url, **keys) as asked:
        asked.get("/")
    assert healthy.seen[0][1][header] == value


@pytest.mark.parametrize("secret", ["", "two\nlines", "ä"])
def test_a_secret_that_no_header_can_hold_is_told_without_it(tmp_path, secret):
    (tmp_path / "token").write_text(f"x{secret}x" if secret else "")
    with pytest.raises(SettingsError, match="the token for http://h is empty or") as told:
        server(tmp_path, "http://h", token={"file": "token"})
    assert not secret or secret not in str(told.value)


def test_a_secret_in_what_a_server_says_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "hush-hush")

    def wrong(_path: str, _asked: dict[str, str], _body: bytes) -> Any:
        return {}

    with faulty("healthy", wrong, tmp_path) as running:
        asked = server(tmp_path, running.url, token={"env": "SECRET"})
        said = asked._clean("http://me:pw@h said hush-hush \x1b[31m and " + "x" * 300)
    assert said.startswith("http://***@h said ***  [31m and xx")
    assert len(said) == 200


def test_it_is_tried_again_only_where_that_can_help(tmp_path):
    for fault, times in (("503 once", 2), ("401", 1), ("500", 1), ("connection cut off", 3)):
        with faulty(fault, echo, tmp_path) as running, server(tmp_path, running.url) as asked:
            if fault == "503 once":
                asked.get("/")
            else:
                with pytest.raises(SourceError):
                    asked.get("/")
        assert len(running.seen) == times, fault


def test_refusals_do_not_make_a_server_rest(tmp_path):
    with faulty("403", echo, tmp_path) as running:
        for _ in range(5):
            with server(tmp_path, running.url) as asked, pytest.raises(SourceError, match="403"):
                asked.get("/")
    assert len(running.seen) == 5


def test_a_dead_server_is_left_alone_by_the_next_run(tmp_path):
    with faulty("refused", echo, tmp_path) as running:
        with server(tmp_path, running.url) as asked, pytest.raises(SourceError, match="reached"):
            asked.get("/")
        with server(tmp_path, running.url) as asked, pytest.raises(SourceError, match="not asked"):
            asked.get("/")


def test_who_gives_up_is_not_kept_waiting(tmp_path):
    stop = Stop()
    now = now_utc()
    with faulty("429, come back in an hour", echo, tmp_path) as running:
        asked = server(tmp_path, running.url, Question((now, now), stop=stop, within_s=7200))
        stop.stop()
        begin = time.monotonic()
        with pytest.raises((SourceError, SourceTimeoutError)):
            asked.get("/")
        assert time.monotonic() - begin < 10


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), (None, None), ("soon", None), ("-1", None), ("", None)]
)
def test_retry_after_is_seconds_or_a_date(text, seconds):
    assert _retry_after(text) == seconds


def test_retry_after_as_a_date():
    assert _retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert _retry_after("Fri, 31 Dec 2100 23:59:59 GMT") > 1e9


def test_an_authority_of_one_s_own(tmp_path):
    with faulty("certificate of nobody", echo, tmp_path) as running:
        with server(tmp_path, running.url) as asked, pytest.raises(SourceError, match="trusted"):
            asked.get("/")
        with server(tmp_path, running.url, ca="server.pem") as asked:
            assert asked.get("/x")["path"] == "/x"
    (tmp_path / "no.pem").write_text("nothing")
    for path in ("no.pem", "missing.pem"):
        with pytest.raises(SettingsError, match=r"certificates in .* cannot be used"):
            server(tmp_path, "https://h", ca=path)
