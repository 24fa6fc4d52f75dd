"""A real Alertmanager whose posts go nowhere: what fires there is found by asking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.live.servers import alertmanager, free_port, need, until
from triagebook.cli.service_process import ServiceProcess
from triagebook.core.paths import Home

LIMIT_S = 60


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_an_alert_whose_post_was_lost_is_found_and_a_silence_is_shown(tmp_path):
    need("prometheus-alertmanager")
    root = tmp_path / "home"
    root.mkdir()
    (tmp_path / "token").write_text("t0ken")
    nowhere = f"http://127.0.0.1:{free_port()}/intake/alertmanager"
    with alertmanager(tmp_path, nowhere, tmp_path / "token") as manager:
        fire(manager, "Lost")
        fire(manager, "SilencedBefore")
        silence(manager, "SilencedBefore")
        (root / "triagebook.toml").write_text(
            f'[reconcile]\nalertmanager = "{manager}"\nevery = 1\n'
        )
        with (
            ServiceProcess(Home(root), 0) as service,
            httpx.Client(base_url=service.url, trust_env=False, timeout=30) as client,
        ):
            (incident,) = until("it is found", lambda: listed(client), LIMIT_S)
            assert incident["title"] == "Lost"
            assert incident["alert"]["sender"] == "alertmanager"
            silence(manager, "Lost")

            def told():
                found = client.get(f"/api/incidents/{incident['id']}").raise_for_status().json()
                return [e["text"] for e in found["timeline"] if e["kind"] == "silenced"]

            (line,) = until("the silence is shown", told, LIMIT_S)
            assert line.startswith("Lost: silenced in Alertmanager by ")
            assert [item["title"] for item in listed(client)] == ["Lost"]


def fire(manager: str, name: str) -> None:
    until_s = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    alert = {"labels": {"alertname": name}, "endsAt": until_s}
    httpx.post(f"{manager}/api/v2/alerts", json=[alert], trust_env=False).raise_for_status()


def silence(manager: str, name: str) -> None:
    now = datetime.now(UTC)
    body = {
        "matchers": [{"name": "alertname", "value": name, "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "test",
        "comment": "test",
    }
    httpx.post(f"{manager}/api/v2/silences", json=body, trust_env=False).raise_for_status()


def listed(client: httpx.Client) -> list[dict]:
    return client.get("/api/incidents").raise_for_status().json()["incidents"]
