"""The disk of a real service is full, and has room again: nothing half-kept, nothing half-shown, no restart."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.live.small_disk import small_disk
from tests.live.workers import make_notebook, wait_until
from tests.payloads.alertmanager import build
from triagebook.cli.service_process import ServiceProcess
from triagebook.core.paths import Home
from triagebook.running.attempt import Attempt
from triagebook.running.processes import family

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.live.small_disk import SmallDisk

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(400)]

# Waits for a sign that lies on another disk, then prints more than the small one has room for.
WAITS = (
    "import pathlib, time\n"
    "sign = pathlib.Path({sign!r})\n"
    "(sign / 'waits').touch()\n"
    "while not (sign / 'go').exists(): time.sleep(0.05)\n"
    "print('x' * 3_000_000)"
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", megabytes=48) as made:
        yield made


def make_home(disk: SmallDisk, sign: Path, concurrency: int) -> Home:
    root = disk.root / "home"
    (root / "runbooks").mkdir(parents=True)
    for name in ("probe", "drift", "generic"):
        middle = WAITS.format(sign=str(sign))
        (root / "runbooks" / f"{name}.ipynb").write_text(
            make_notebook("print(1)", middle, "print(3)")
        )
    (root / "triagebook.toml").write_text(
        f'[server]\nwarm = 0\nconcurrency = {concurrency}\ndeadline = 120\nnotebooks = "runbooks"\n'
    )
    return Home(root)


def alert(name: str, size: int = 0) -> bytes:
    one = build.alert(alertname=name, service=name)
    one["annotations"]["description"] = "x" * size
    return build.body(one)


def post(service: ServiceProcess, body: bytes) -> httpx.Response:
    return httpx.post(
        f"{service.url}/intake/alertmanager",
        content=body,
        headers={"Prefer": "wait=8"},
        timeout=60,
        trust_env=False,
    )


def get(service: ServiceProcess, path: str) -> httpx.Response:
    return httpx.get(f"{service.url}{path}", timeout=60, trust_env=False)


def test_while_the_disk_is_full_alerts_are_refused_and_then_taken_without_a_restart(
    disk: SmallDisk, tmp_path: Path
):
    home = make_home(disk, tmp_path, concurrency=0)
    with ServiceProcess(home, 0) as service:
        (first,) = post(service, alert("before")).json()["opened"]
        disk.fill()
        bodies = [alert(f"a{n}", 60_000) for n in range(30)]
        answers = [post(service, body) for body in bodies]
        assert {answer.status_code for answer in answers} <= {202, 503}
        refused = [b for b, a in zip(bodies, answers, strict=True) if a.status_code == 503]
        assert len(refused) > 15  # what the write-ahead log had room for already is kept
        last = answers[-1]
        assert last.headers["Retry-After"] == "5"
        assert "full" in last.json()["error"]
        for path in ("/healthz", "/", f"/incidents/{first}", "/api/incidents", "/quarantine"):
            assert get(service, path).status_code == 200, path
        not_ready = get(service, "/readyz")
        assert not_ready.status_code == 503
        assert "left" in not_ready.json()["checks"]["disk"]

        disk.free()
        assert {post(service, body).status_code for body in refused} == {202}
        assert get(service, "/readyz").status_code == 200
        listed = get(service, "/api/incidents?limit=1000").json()["incidents"]
        services = sorted(one["alert"]["labels"]["service"] for one in listed)
        assert services == sorted(["before", *(f"a{n}" for n in range(30))])
    with sqlite3.connect(home.state / "triagebook.db") as connection:
        kept = [bytes(row[0]) for row in connection.execute("SELECT body FROM deliveries")]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert sorted(kept) == sorted([alert("before"), *bodies])


def test_a_run_under_way_ends_truthfully_and_is_published_when_it_is_run_again(
    disk: SmallDisk, tmp_path: Path
):
    sign = tmp_path / "sign"
    sign.mkdir()
    home = make_home(disk, sign, concurrency=2)
    with ServiceProcess(home, 0) as service:
        (incident,) = post(service, alert("drift")).json()["opened"]
        wait_until("it is in the middle", (sign / "waits").exists)
        disk.fill()
        (sign / "go").touch()
        wait_until("its processes end", lambda: ended(home, incident))
        for path in ("/", f"/incidents/{incident}", "/healthz"):
            assert get(service, path).status_code == 200, path
        for found in home.run_dir(incident).rglob("*.ipynb"):
            json.loads(found.read_bytes())  # never a part

        disk.free()
        assert wait_until("it is told", lambda: state(service, incident)) == "failed"
        page = get(service, f"/api/incidents/{incident}").json()
        words = [entry["text"] for entry in page["timeline"] if entry["kind"] == "failed"]
        assert "the disk is full" in " ".join(words), words

        again = httpx.post(
            f"{service.url}/api/incidents/{incident}/runs", json={}, timeout=60, trust_env=False
        )
        assert again.status_code == 202
        wait_until("it is published", lambda: state(service, incident) == "published")
        published = json.loads((home.run_dir(incident) / "investigation.ipynb").read_bytes())
        assert published["metadata"]["triagebook"]["status"] == "complete"


def ended(home: Home, incident: str) -> bool:
    return family([who for who, _ in Attempt(home.attempt_dir(incident, 1)).processes()]) == []


def state(service: ServiceProcess, incident: str) -> str | None:
    found = get(service, f"/api/incidents/{incident}").json()["run_state"]
    return found if found in {"failed", "published"} else None
