"""A diagnosis to print, and a runbook that writes it without analysing anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import nbformat

from triagebook.core.models import Diagnosis, to_json

if TYPE_CHECKING:
    from pathlib import Path

INCIDENT = "inc-20130604-220000-abcde"
FROM, TO = "2013-06-02T22:00:00Z", "2013-06-04T22:00:00Z"


def pull(name: str, source: str, status: str, why: str | None = None) -> dict[str, Any]:
    return {"id": name, "source": source, "kind": "other", "status": status, "why": why}


def finding(name: str, verdict: str, statement: str, *evidence: str) -> dict[str, Any]:
    return {
        "id": name,
        "check": "psi",
        "locus": "column:flights.distance",
        "verdict": verdict,
        "statement": statement,
        "evidence": list(evidence),
    }


def hypothesis(cause: str, locus: str, confidence: float, **more: Any) -> dict[str, Any]:
    return {"cause": cause, "locus": locus, "confidence": confidence, **more}


def content(**changed: Any) -> dict[str, Any]:
    """Return diagnosis.json as a dict; top-level keys can be replaced."""
    base = {
        "incident_id": INCIDENT,
        "incident_type": "drift",
        "service": {"name": "flight-delay", "kind": "model"},
        "alert": {"sender": "alertmanager", "title": "Inputs have moved", "status": "firing"},
        "windows": {"reference": ["2013-04-07T22:00:00Z", FROM], "current": [FROM, TO]},
        "verdict": "cause_found",
        "summary": "distance arrives in kilometres, not miles.",
        "severity": {"level": "SEV2", "because": ["3.5 % of decisions are likely wrong"]},
        "onset": {
            "at": "2013-06-04T14:00:00Z",
            "low": "2013-06-04T13:45:00Z",
            "high": "2013-06-04T14:00:00Z",
            "from": "flights.distance",
        },
        "impact": [
            {
                "what": "predictions likely wrong",
                "value": 18_200,
                "unit": "predictions",
                "low": 11_000,
                "high": 24_000,
                "how": "scores against those of the same rows in miles",
            }
        ],
        "findings": [
            finding("F1", "bad", "every value times 1.609, ranks unchanged", "L02"),
            finding("F2", "ok", "the temperature follows its season", "L02"),
            finding("F3", "unknown", "labels for this window are due tomorrow", "L03"),
            finding("F4", "unknown", "loki was not asked", "L01"),
        ],
        "hypotheses": [
            hypothesis(
                "data.unit_change",
                "column:flights.distance",
                0.86,
                title="Unit change in flights.distance",
                headline="distance arrives in kilometres",
                **{"for": ["F1"], "against": []},
                actions=["quarantine_batch"],
            ),
            hypothesis("drift.seasonal", "column:weather.temp", 0.06, against=["F2"]),
            hypothesis("drift.population", "service:flight-delay", 0.02),
            hypothesis("data.stale", "table:weather", 0.01),
        ],
        "none_of_these": 0.05,
        "ledger": [
            pull("L01", "logs:loki", "unavailable", "no answer in 4 s"),
            pull("L02", "tables:flights", "ok"),
            pull("L03", "tables:labels", "empty"),
            pull("L04", "metrics", "not_configured"),
        ],
        "actions": [
            {
                "action": "restore_table",
                "target": "flights",
                "title": "Restore flights to 13:45 UTC",
                "dry_run": "463 rows",
            }
        ],
    }
    return {**base, **changed}


def diagnosis(**changed: Any) -> Diagnosis:
    return Diagnosis.model_validate(content(**changed))


def write_runbooks(folder: Path) -> Path:
    """Write `drift` and `generic`: a cell that answers, one that fails, one that still runs."""
    folder.mkdir(parents=True, exist_ok=True)
    answer = folder / "answer.json"
    answer.write_text(to_json(diagnosis()), encoding="utf-8")
    code = f"""import json, pathlib
request = json.loads(pathlib.Path("request.json").read_text())
answer = pathlib.Path({str(answer)!r}).read_text()
pathlib.Path("diagnosis.json").write_text(answer.replace({INCIDENT!r}, request["incident_id"]))"""
    cells = [
        nbformat.v4.new_markdown_cell("# A title", id="title"),
        nbformat.v4.new_code_cell("x = 1", id="parameters", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_markdown_cell("## The answer", id="answer-head"),
        nbformat.v4.new_code_cell(code, id="answer"),
        nbformat.v4.new_markdown_cell("## A section that fails", id="fails-head"),
        nbformat.v4.new_code_cell("1 / 0", id="fails"),
        nbformat.v4.new_markdown_cell("## The last", id="last-head"),
        nbformat.v4.new_code_cell("x", id="last"),
    ]
    for name in ("drift", "generic"):
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")
    return folder


def write_home(root: Path) -> Path:
    """Write a home with one service and no sources."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "token").write_text("s3cret", encoding="utf-8")
    (root / "triagebook.toml").write_text(
        f"""[server]
warm = 0
notebooks = {json.dumps(str(write_runbooks(root / "own-notebooks")))}

[intake.alertmanager]
token = {{ file = "token" }}

[[service]]
name = "flight-delay"
kind = "model"
""",
        encoding="utf-8",
    )
    return root
