"""An incident's notebook is asked for again: over HTTP and by the page's button."""

from __future__ import annotations

import json
import re

import pytest

from tests.unit.web.samples import publish, webhook
from triagebook.web.again import MAX_BODY_BYTES


def ask(service, incident, body=b"{}", **headers):
    return service.client.post(
        f"/api/incidents/{incident}/runs",
        content=body,
        headers={"Content-Type": "application/json", **headers},
    )


def ended(service):
    incident = service.incident()
    publish(service.home, incident)
    service.here.store.set_run_state(incident, "published")
    return incident


def test_a_run_is_queued_at_once_with_its_parameters(service):
    incident = ended(service)
    answer = ask(service, incident, json.dumps({"parameters": {"window_h": 6.5}}).encode())
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"incident_id": incident, "attempt": 2, "waits": False}
    assert service.queue.asked == [incident, incident]
    found = service.here.store.incident(incident)
    assert (found.run_state, found.attempt, found.parameters) == ("queued", 2, {"window_h": 6.5})


def test_it_waits_for_the_run_that_is_under_way(service):
    incident = service.incident()
    service.here.store.set_run_state(incident, "running")
    answer = ask(service, incident)
    assert answer.json() == {"incident_id": incident, "attempt": 2, "waits": True}
    assert service.queue.asked == [incident]
    service.here.store.set_run_state(incident, "published")
    assert service.here.refresher.round() in ([incident], [])  # the service may be quicker
    assert service.here.store.incident(incident).attempt == 2
    assert service.queue.asked.count(incident) == 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"parameters": {"window_hours": 6}}, "declares no such parameter"),
        ({"parameters": {"x = 1; import os #": 6}}, "declares no such parameter"),
        ({"parameters": {"at": "x" * 100_000}}, "longer than"),
        ({"parameters": []}, "parameters"),
        ({"parameter": {}}, "parameter"),
        ([], "object"),
    ],
)
def test_what_the_runbook_does_not_take_is_refused_and_nothing_is_run(service, body, says):
    incident = ended(service)
    answer = ask(service, incident, json.dumps(body).encode())
    assert answer.status_code == 422
    assert says in answer.json()["error"]
    found = service.here.store.incident(incident)
    assert (found.run_state, found.parameters) == ("published", {})


@pytest.mark.parametrize("body", [b"{", b"\xff", b"nothing"])
def test_a_body_that_is_no_json_is_refused(service, body):
    assert ask(service, ended(service), body).status_code == 422


@pytest.mark.parametrize("more", [0, 1])
def test_a_body_that_is_too_large_is_refused(service, more):
    incident = ended(service)
    body = b"{}" + b" " * (MAX_BODY_BYTES - 2 + more)
    assert ask(service, incident, body).status_code == (413 if more else 202)


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
def test_what_a_form_of_any_page_can_send_is_refused(service, kind):
    incident = ended(service)
    answer = ask(service, incident, **{"Content-Type": kind})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["error"]
    assert service.here.store.incident(incident).run_state == "published"


@pytest.mark.parametrize(
    ("site", "status"),
    [("cross-site", 403), ("same-site", 403), ("same-origin", 202), ("none", 202)],
)
def test_a_page_of_another_origin_is_refused(service, site, status):
    answer = ask(service, ended(service), **{"Sec-Fetch-Site": site})
    assert answer.status_code == status


def test_no_other_origin_is_given_leave(service):
    incident = ended(service)
    answer = service.client.options(
        f"/api/incidents/{incident}/runs",
        headers={
            "Origin": "http://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_nobody_s_incident_is_a_404(standing):
    assert ask(standing, "inc-none").status_code == 404


def test_the_page_has_a_button_and_says_when_it_runs_by_itself(service):
    incident = ended(service)
    text = service.client.get(f"/incidents/{incident}").text
    assert f'data-again="/api/incidents/{incident}/runs"' in text
    assert re.search(r"It runs again by itself at <time.*\(it still goes on\)", text)
    assert f"triagebook run --incident {incident} -p name=value" in text


def test_while_it_runs_again_the_last_set_stays_to_be_read(service):
    incident = ended(service)
    ask(service, incident)
    page = service.client.get(f"/incidents/{incident}").text
    assert "until then this is the last answer" in page
    for name in ("investigation.ipynb", "report.html"):
        assert f"/incidents/{incident}/files/{name}" in page
        assert service.client.get(f"/incidents/{incident}/files/{name}").status_code == 200
    service.here.store.set_run_state(incident, "failed", message="no kernel")
    failed = service.client.get(f"/incidents/{incident}").text
    assert "Run 2 failed; what stands here is of an earlier one" in failed
    assert "no kernel" in failed
    assert f"/incidents/{incident}/files/investigation.ipynb" in failed


def test_every_alert_of_an_incident_is_on_its_page_and_in_the_api(service):
    incident = service.incident()
    titles = [f"alert number {n}" for n in range(30)]
    for title in titles:
        answer = service.post(webhook(title=title))
        assert answer.json()["joined"] == [incident]
    found = service.client.get(f"/api/incidents/{incident}").json()
    assert [e["title"] for e in found["episodes"][1:]] == titles
    assert len(found["alerts"]) == 31
    page = service.client.get(f"/incidents/{incident}").text
    assert "The alerts (31)" in page
    assert all(f"<td>{title}</td>" in page for title in titles)
    assert "still firing" in page
    kinds = [entry["kind"] for entry in found["timeline"]]
    assert kinds.count("joined") == 30
    assert "same service within 10 min" in page


def test_openapi_describes_it(standing):
    found = standing.client.get("/openapi.json").json()
    post = found["paths"]["/api/incidents/{incident_id}/runs"]["post"]
    assert {"202", "403", "404", "413", "415", "422"} <= set(post["responses"])
    body = post["requestBody"]["content"]["application/json"]["schema"]
    assert "parameters" in body["properties"]
