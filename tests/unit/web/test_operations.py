from __future__ import annotations

from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.web.samples import webhook
from triagebook.web import operations


def _values(service):
    text = service.client.get("/metrics").text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_service_that_works_is_healthy_and_ready(service):
    assert service.client.get("/healthz").text == "ok\n"
    answer = service.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "checks": dict.fromkeys(["store", "queue", "runs", "disk", "service"], "ok"),
        "warm": "off",
    }
    assert service.queue.launched


def test_a_runs_folder_that_cannot_be_made_is_not_ready(service):
    service.home.runs.rmdir()
    (service.home.root / "runs").write_text("a file")
    answer = service.client.get("/readyz")
    assert answer.status_code == 503
    assert "cannot be made" in answer.json()["checks"]["runs"]


def test_deliveries_incidents_and_runs_are_counted(service):
    incident = service.incident()
    service.here.store.set_run_state(incident, "running")
    service.post(webhook("other"))
    service.post(b"{")
    service.client.post("/intake/alertmanager", content=b"{}")
    service.client.post("/intake/made-up-name", content=b"{}")
    values = _values(service)
    count = "triagebook_deliveries_total"
    assert values[count, ("result", "processed"), ("sender", "alertmanager")] == 2
    assert values[count, ("result", "quarantined"), ("sender", "alertmanager")] == 1
    assert values[count, ("result", "not_authenticated"), ("sender", "alertmanager")] == 1
    assert values[count, ("result", "unknown_sender"), ("sender", "unknown")] == 1
    assert values["triagebook_incidents", ("state", "open")] == 2
    assert values["triagebook_runs", ("state", "running")] == 1
    assert values["triagebook_runs", ("state", "queued")] == 1
    assert values["triagebook_stored_deliveries", ("status", "quarantined")] == 1
    assert values["triagebook_intake_seconds_count",] == 5


def test_a_made_up_sender_never_becomes_a_label(service):
    for number in range(5):
        service.client.post(f"/intake/sender-{number}", content=b"x" * (number % 2) * 2_000_000)
    assert not [key for key in _values(service) if "sender-" in str(key)]


@pytest.mark.parametrize(("left", "ready"), [(-1, False), (0, True), (1, True)])
def test_a_disk_that_is_nearly_full_is_not_ready(service, monkeypatch, left, ready):
    room = SimpleNamespace(free=operations.LEAST_ROOM_BYTES + left)
    monkeypatch.setattr(operations, "disk_usage", lambda _: room)
    answer = service.client.get("/readyz")
    assert answer.status_code == (200 if ready else 503)
    assert (answer.json()["checks"]["disk"] == "ok") == ready
