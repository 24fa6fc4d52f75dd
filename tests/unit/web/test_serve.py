"""The service as a process of its own: it says where it is, and ends when it is told to."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

from tests.unit.web.samples import TOKEN, webhook
from tests.unit.web.service import AUTH
from triagebook.core.errors import TriagebookError
from triagebook.core.paths import Home
from triagebook.core.settings import Settings
from triagebook.web.serve import _listen, serve

_PROGRAM = """
import sys
from pathlib import Path
from triagebook.core.paths import Home
from triagebook.core.settings import load_settings
from triagebook.web.serve import serve

home = Home(Path(sys.argv[1]))
serve(home, load_settings(home.config), "127.0.0.1", 0, ready=lambda url: print(url, flush=True))
print("closed", flush=True)
"""


@contextmanager
def _process(root):
    (root / "token").write_text(TOKEN, encoding="utf-8")
    (root / "triagebook.toml").write_text(
        '[server]\nwarm = 0\n[intake.alertmanager]\ntoken = {file = "token"}\n', "utf-8"
    )
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), process.stderr.read()
            yield process, url
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_service_within_two_seconds_streams_included(tmp_path, number):
    with _process(tmp_path) as (process, url), httpx.Client(base_url=url, timeout=20) as client:
        assert client.get("/readyz").json()["ready"] is True
        headers = AUTH | {"Prefer": "wait=8"}
        answer = client.post("/intake/alertmanager", content=webhook(), headers=headers)
        [incident] = answer.json()["opened"]
        with client.stream("GET", f"/api/incidents/{incident}/events") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "retry: 1000"
            began = time.monotonic()
            process.send_signal(number)
            for _ in lines:
                pass
            assert time.monotonic() - began < 2.0, "the stream outlives the signal"
        output, problems = process.communicate(timeout=20)
        took_s = time.monotonic() - began
    assert process.returncode == 0, problems
    assert output.endswith("closed\n")
    assert "Traceback" not in problems
    assert took_s < 6.0  # a notebook that just begins is ended too, on a busy machine


def test_an_address_that_is_taken_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TriagebookError, match=f"cannot listen on 127.0.0.1:{port}"):
            serve(Home(tmp_path), Settings(), "127.0.0.1", port)


def test_what_keeps_the_service_from_opening_is_raised(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "triagebook.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(TriagebookError, match=r"triagebook\.db"):
        serve(Home(tmp_path), Settings(server={"warm": 0}), "127.0.0.1", 0)


def test_an_answer_in_parts_is_sent_at_once():
    listening = _listen("127.0.0.1", 0)
    told = []

    async def serve_one() -> None:
        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            told.append(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(connected, sock=listening):
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            await reader.read()
            writer.close()

    asyncio.run(serve_one())
    assert told == [1]
