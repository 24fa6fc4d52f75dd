from __future__ import annotations

import json

import pytest

from tests.unit.web.samples import publish, webhook, write_progress
from triagebook.core.models import DIAGNOSIS_SCHEMA


def test_nothing_yet_is_an_empty_list(service):
    sizes = {"waiting": 0, "running": 0, "held": 0, "unread": 0}
    empty = {"incidents": [], "count": 0, "sizes": sizes}
    assert service.client.get("/api/incidents").json() == empty
    assert service.client.get("/api/alerts").json() == {"alerts": [], "count": 0}
    assert service.client.get("/api/changes").json() == {"changes": [], "count": 0}
    assert service.client.get("/api/quarantine").json() == {"deliveries": [], "count": 0}


def test_incidents_are_listed_newest_first_and_filtered(service):
    first = service.incident()
    second = service.incident(webhook("other", title="Late"))
    get = service.client.get
    ids = [found["id"] for found in get("/api/incidents").json()["incidents"]]
    assert ids == [second, first]
    for query, expected in {
        "service=flight-delay": [first],
        "text=LATE": [second],
        "incident_type=drift": [second, first],
        "incident_type=latency": [],
        "state=resolved": [],
        "limit=1": [second],
    }.items():
        found = get(f"/api/incidents?{query}").json()["incidents"]
        assert [incident["id"] for incident in found] == expected, query


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "state=shut", "text=" + "x" * 201]
)
def test_a_wrong_filter_is_a_422_that_says_which(standing, query):
    answer = standing.client.get(f"/api/incidents?{query}")
    assert answer.status_code == 422
    assert query.split("=")[0] in answer.json()["error"]


def test_an_incident_that_runs_has_its_progress(service):
    incident = service.incident()
    service.here.store.set_run_state(incident, "running")
    write_progress(service.home, incident, cells=2, running="Which columns moved?")
    found = service.client.get(f"/api/incidents/{incident}").json()
    assert found["run_state"] == "running"
    assert found["received_at"].endswith("Z")
    assert found["started_at"].endswith("Z")
    assert found["published_at"] is None
    assert found["diagnosis"] is None
    assert [line["status"] for line in found["progress"] if line["event"] == "cell"] == [
        "done",
        "done",
        "running",
    ]
    assert found["links"]["report"] is None
    assert found["links"]["files"] == {}


def test_an_answer_is_given_before_the_notebook_is_finished(service):
    incident = service.incident()
    publish(service.home, incident)
    folder = service.home.attempt_dir(incident, 1)
    (service.home.run_dir(incident) / "diagnosis.json").rename(folder / "diagnosis.json")
    found = service.client.get(f"/api/incidents/{incident}").json()
    assert found["early"] is True
    assert found["diagnosis"]["hypotheses"][0]["confidence"] == 0.86


def test_a_published_incident_has_the_contracts_diagnosis_and_all_links(service):
    incident = service.incident()
    publish(service.home, incident)
    service.here.store.set_run_state(incident, "running")
    service.here.store.set_run_state(incident, "published")
    found = service.client.get(f"/api/incidents/{incident}").json()
    assert found["diagnosis"]["schema"] == DIAGNOSIS_SCHEMA
    assert found["diagnosis"]["onset"]["from"] == "features.distance"
    assert found["diagnosis"]["hypotheses"][0]["for"] == ["f1", "f2"]
    assert found["early"] is False
    assert found["alerts"][0]["alert"]["labels"]["service"] == "flight-delay"
    assert [entry["kind"] for entry in found["timeline"]][:2] == ["received", "queued"]
    assert found["received_at"] <= found["started_at"] <= found["published_at"]
    for address in [
        found["links"]["page"],
        found["links"]["report"],
        *found["links"]["files"].values(),
    ]:
        assert service.client.get(address).status_code == 200, address
    assert set(found["links"]["files"]) == {
        "investigation.ipynb",
        "report.html",
        "diagnosis.json",
        "evidently.html",
        "evidence.zip",
    }


@pytest.mark.parametrize(
    ("content", "place"), [("{", "the file"), ("{}", "incident_id"), ("\udcff", "the file")]
)
def test_a_diagnosis_that_cannot_be_read_is_said_and_costs_nothing_else(service, content, place):
    incident = service.incident()
    folder = service.home.run_dir(incident)
    folder.mkdir()
    (folder / "diagnosis.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    found = service.client.get(f"/api/incidents/{incident}")
    assert found.status_code == 200
    assert place in found.json()["trouble"]
    page = service.client.get(f"/incidents/{incident}")
    assert page.status_code == 200
    assert "cannot be shown here" in page.text


@pytest.mark.parametrize(
    "name", ["inc-20260101-000000-aaaaa", "..", "%2e%2e", "x" * 300, "%00", "☃"]
)
def test_an_unknown_incident_is_a_404_in_json(standing, name):
    answer = standing.client.get(f"/api/incidents/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]


def test_openapi_describes_every_answer(standing):
    found = standing.client.get("/openapi.json").json()
    paths = found["paths"]
    assert {
        "/intake/{sender}",
        "/api/incidents",
        "/api/incidents/{incident_id}",
        "/api/alerts",
        "/api/changes",
        "/api/quarantine",
        "/api/incidents/{incident_id}/events",
        "/healthz",
        "/readyz",
        "/metrics",
    } <= set(paths)
    assert "/" not in paths
    for path in (
        "/api/incidents",
        "/api/incidents/{incident_id}",
        "/api/alerts",
        "/api/changes",
        "/api/quarantine",
        "/readyz",
    ):
        schema = paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert "$ref" in schema, path
    intake = paths["/intake/{sender}"]["post"]["responses"]
    assert {"202", "401", "404", "413", "503"} <= set(intake)
    json.dumps(found)
