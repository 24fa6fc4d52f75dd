"""Changes over HTTP: posted, listed, and found in the evidence and the diagnosis of a real run."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tests.unit.web.samples import webhook
from tests.unit.web.service import AUTH, running
from triagebook.core.times import iso, now_utc

if TYPE_CHECKING:
    import httpx

    from tests.unit.web.service import Service

SECRET = "s3cret"
MODEL = "churn-model"
INTAKE = {"mlflow": {"secret": {"file": "secret"}}, "alertmanager": {"token": {"file": "token"}}}


def event(entity: str, action: str, age_s: float, **data: str) -> bytes:
    at = (now_utc() - timedelta(seconds=age_s)).isoformat()
    told = {"entity": entity, "action": action, "timestamp": at, "data": data}
    return json.dumps(told).encode()


def champion(version: str, age_s: float, name: str = MODEL) -> bytes:
    return event(
        "model_version_alias", "created", age_s, name=name, alias="champion", version=version
    )


def post(service: Service, body: bytes, name: str, **changes: str) -> httpx.Response:
    stamp = str(int(now_utc().timestamp()))
    made = hmac.new(SECRET.encode(), f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
    headers = {
        "X-MLflow-Delivery-Id": name,
        "X-MLflow-Timestamp": stamp,
        "X-MLflow-Signature": f"v1,{base64.b64encode(made).decode()}",
        "Content-Type": "application/json",
    }
    return service.client.post("/intake/mlflow", content=body, headers=headers | changes)


def listed(service: Service, query: str = "") -> list[dict[str, Any]]:
    answer = service.client.get(f"/api/changes{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()["changes"]


@pytest.fixture
def secured(tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    with running(tmp_path, intake=INTAKE) as started:
        yield started


def test_a_change_is_answered_202_and_listed_newest_first(secured):
    first = post(secured, champion("7", 7_200), "d1")
    assert (first.status_code, first.json()["status"]) == (202, "processed")
    post(secured, event("model_version", "created", 60, name="other", version="1"), "d2")
    body = champion("8", 0)
    second, again = (post(secured, body, "d3") for _ in range(2))
    assert second.json() == again.json()
    newest, other, oldest = listed(secured)
    assert (newest["change"]["from"], newest["change"]["to"]) == ("7", "8")
    assert (newest["subject"], newest["alias"], newest["sender"]) == (MODEL, "champion", "mlflow")
    assert newest["ts"] <= newest["received_at"]
    assert other["alias"] == "latest"
    assert oldest["delivery_id"] == first.json()["delivery_id"]
    assert [one["subject"] for one in listed(secured, "?subject=other")] == ["other"]
    assert len(listed(secured, "?limit=1")) == 1
    assert secured.queue.asked == []
    assert secured.client.get("/api/incidents").json()["count"] == 0


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "subject=%00", "subject=" + "x" * 257])
def test_a_wrong_question_is_a_422_that_says_which(standing, query):
    answer = standing.client.get(f"/api/changes?{query}")
    assert answer.status_code == 422
    assert query.split("=")[0] in answer.json()["error"]


def test_a_wrong_signature_is_401_and_leaves_nothing(secured):
    answer = post(secured, champion("7", 0), "d1", **{"X-MLflow-Signature": "v1,AAAA"})
    assert answer.status_code == 401
    assert secured.here.store.counts().deliveries_by_status == {}


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b"[" * 10_000, b'{"entity": "gateway"}'])
def test_a_body_that_is_not_understood_is_kept_in_quarantine(secured, body):
    answer = post(secured, body, "d1")
    assert (answer.status_code, answer.json()["status"]) == (202, "quarantined")
    assert listed(secured) == []
    (kept,) = secured.client.get("/api/quarantine").json()["deliveries"]
    assert kept["sender"] == "mlflow"


LOOK = """from triagebook.nb import open_run
run = open_run()
print([(c.kind, c.what, c.from_, c.to) for c in run.context.changes])"""


@pytest.fixture
def home(tmp_path):
    """Make a home with a runbook that prints the changes which its diagnosis knows."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "triagebook.toml").write_text(
        '[[service]]\nname = "churn"\nmodel.name = "churn-model"\n'
    )
    cells = [nbformat.v4.new_code_cell(LOOK, id="look")]
    (tmp_path / "own").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "own/model_performance.ipynb")
    return tmp_path


def test_a_new_champion_is_found_in_the_evidence_and_in_the_diagnosis(home):
    known = {
        "intake": INTAKE,
        "service": [{"name": "churn", "model": {"name": MODEL}}],
        "server": {"notebooks": "own", "warm": 0},
    }
    with running(home, executes=True, **known) as service:
        # Told late and out of order; registered only; and of a model that no service has.
        assert post(service, champion("8", 3_600), "d1").status_code == 202
        assert post(service, champion("7", 86_400), "d2").status_code == 202
        made = event("model_version", "created", 60, name=MODEL, version="9")
        assert post(service, made, "d3").status_code == 202
        assert post(service, champion("1", 60, name="example_model"), "d4").status_code == 202

        alert = json.loads(webhook("churn", "accuracy fell", incident_type="model_performance"))
        alert["alerts"][0]["startsAt"] = iso(now_utc() - timedelta(minutes=30))
        answer = service.post(json.dumps(alert).encode())
        (incident,) = answer.json()["opened"]
        found = until_done(service, incident)

    assert found["run_state"] == "published"
    folder = home / "runs" / incident
    request = json.loads((folder / "attempts/1/request.json").read_text())
    assert request["feed"]["posted_by"] == ["mlflow"]
    changes = json.loads((folder / "evidence/changes.json").read_text())
    assert [(one["kind"], one["from"], one["to"]) for one in changes] == [
        ("model", None, "7"),
        ("model", "7", "8"),
    ]
    ledger = json.loads((folder / "evidence/bundle.json").read_text())["ledger"]
    (entry,) = [one for one in ledger if one["kind"] == "changes"]
    assert (entry["source"], entry["status"], entry["rows"]) == ("feed", "ok", 2)
    assert entry["query"] == "posted by mlflow"
    notebook = nbformat.read(folder / "investigation.ipynb", as_version=4)
    printed = [o.text for o in notebook.cells[-1].outputs if o.output_type == "stream"]
    assert f"('model', '{MODEL}', '7', '8')" in printed[-1]
    findings = json.loads((folder / "diagnosis.json").read_text())["findings"]
    loci = {one["locus"] for one in findings if one["check"] == "model.version"}
    assert f"model:{MODEL}/8" in loci
    assert f"model:{MODEL}/9" not in loci


def until_done(service: Service, incident: str, within_s: float = 150.0) -> dict[str, Any]:
    deadline = time.monotonic() + within_s
    while True:
        found = service.client.get(f"/api/incidents/{incident}", headers=AUTH).json()
        if found["run_state"] in ("published", "failed"):
            return found
        assert time.monotonic() < deadline, found["timeline"]
        time.sleep(0.1)
