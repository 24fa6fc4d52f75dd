"""A home with incidents in every state, and a diagnosis whose figures are invented."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import nbformat

from tests.unit.report.samples import investigation, png
from triagebook.core.models import Diagnosis, Progress, to_json
from triagebook.core.times import now_utc
from triagebook.report.html import write_report

if TYPE_CHECKING:
    from triagebook.core.paths import Home

T0 = datetime(2013, 6, 4, 2, 5, tzinfo=UTC)
TOKEN = "sesame"


class FakeQueue:
    """Remembers what it was asked; executes nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.forgotten: list[str] = []
        self.launched = False
        self.closed = False
        self.trouble = ""
        self.warm = "off"

    def launch(self) -> None:
        self.launched = True

    def enqueue(self, incident_id: str) -> None:
        self.asked.append(incident_id)

    def forget(self, incidents: list[str]) -> None:
        self.forgotten += incidents

    def close(self) -> None:
        self.closed = True


def webhook(
    service: str = "flight-delay", title: str = "PSI of features.distance is 1.9", **labels: str
) -> bytes:
    """Return a body as Alertmanager posts it."""
    common = {
        "alertname": "FeatureDrift",
        "service": service,
        "incident_type": "drift",
        "severity": "critical",
    }
    alert = {
        "status": "firing",
        "labels": {**common, **labels},
        "annotations": {
            "summary": title,
            "description": "A feature left its past.",
            "value": "1.9",
        },
        "startsAt": "2013-06-04T02:05:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph?g0.expr=psi",
        "fingerprint": f"{abs(hash((service, title, *sorted(labels.items())))):016x}"[:16],
    }
    return json.dumps(
        {
            "version": "4",
            "groupKey": "{}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "triagebook",
            "groupLabels": {},
            "commonLabels": common,
            "commonAnnotations": {},
            "externalURL": "http://am.example",
            "alerts": [alert],
        }
    ).encode()


def diagnosis(incident_id: str, attack: str = "", **changes: Any) -> Diagnosis:
    """Return a diagnosis; `attack` goes to every text that outside data can reach."""
    a = f" {attack}" if attack else ""
    content: dict[str, Any] = {
        "incident_id": incident_id,
        "incident_type": "drift",
        "service": {"name": "flight-delay", "kind": "model"},
        "alert": {"sender": "alertmanager", "title": f"PSI of features.distance is 1.9{a}"},
        "windows": {
            "reference": ["2013-05-05T00:00:00Z", "2013-06-02T00:00:00Z"],
            "current": ["2013-06-02T00:00:00Z", "2013-06-04T06:00:00Z"],
        },
        "verdict": "cause_found",
        "summary": f"distance arrives in kilometres since 02:05. The model reads every flight as 61 % longer and calls too many late.{a}",
        "severity": {
            "level": "SEV2",
            "because": [
                "18,200 predictions are likely wrong",
                f"flight-delay is critical: high{a}",
            ],
        },
        "onset": {
            "at": "2013-06-04T02:05:00Z",
            "low": "2013-06-04T01:55:00Z",
            "high": "2013-06-04T02:10:00Z",
            "from": f"features.distance{a}",
        },
        "impact": [
            {
                "what": "predictions likely wrong",
                "value": 18_200,
                "unit": "predictions",
                "low": 11_000,
                "high": 24_000,
                "how": f"the model asked again with miles{a}",
            },
            {
                "what": "late share predicted",
                "value": 0.31,
                "unit": "share",
                "how": "mean of the scores, was 18 %",
            },
        ],
        "findings": [
            {
                "id": "f1",
                "check": "data.unit_change",
                "locus": "feature:distance",
                "verdict": "bad",
                "cell": "chart",
                "statement": f"every value × 1.609 from batch 02:00 on, ranks unchanged{a}",
            },
            {
                "id": "f2",
                "check": "changes.near",
                "locus": "table:features",
                "verdict": "bad",
                "statement": "ingest v42 went live 01:55",
            },
            {
                "id": "f3",
                "check": "data.season",
                "locus": "feature:distance",
                "verdict": "ok",
                "statement": "+2 % a year before, not +61 %",
            },
        ],
        "hypotheses": [
            {
                "cause": "data.unit_change",
                "locus": "feature:distance",
                "confidence": 0.86,
                "for": ["f1", "f2"],
                "against": [],
                "mechanism": f"The ingest wrote kilometres where the model was trained on miles.{a}",
                "title": f"Unit change in features.distance{a}",
                "headline": "distance arrives in kilometres since 02:05.",
            },
            {
                "cause": "drift.seasonal",
                "locus": "feature:distance",
                "confidence": 0.06,
                "for": [],
                "against": ["f3"],
                "title": "Seasonal movement of features.distance",
            },
            {
                "cause": "deploy.bad",
                "locus": "service:banner",
                "confidence": 0.03,
                "against": ["f-gone"],
                "title": "Page banner deploy, 00:40",
            },
        ],
        "none_of_these": 0.05,
        "ledger": [
            {
                "id": "L1",
                "source": "metrics",
                "kind": "metrics",
                "status": "ok",
                "rows": 41_004,
                "took_s": 0.2,
            },
            {
                "id": "L2",
                "source": "tables:features",
                "kind": "tables",
                "status": "ok",
                "rows": 96_310,
                "took_s": 0.4,
            },
            {"id": "L3", "source": "changes", "kind": "changes", "status": "empty", "rows": 0},
            {
                "id": "L4",
                "source": "logs",
                "kind": "logs",
                "status": "unavailable",
                "why": f"no answer in 4 s{a}",
            },
            {
                "id": "L5",
                "source": "tables:labels",
                "kind": "tables",
                "status": "stale",
                "why": "due tomorrow 06:00",
            },
            {"id": "L6", "source": "topology", "kind": "topology", "status": "not_configured"},
        ],
        "actions": [
            {
                "action": "delta.restore",
                "target": "features",
                "title": f"Restore features to version 118 (01:00){a}",
                "dry_run": "11,204 rows change",
                "inverse": "version 122",
                "risk": "4 batches are undone",
            },
            {
                "action": "quarantine",
                "target": "batch 02:00",
                "dry_run": "serving falls back to the last good batch",
            },
        ],
    }
    return Diagnosis.model_validate({**content, **changes})


def publish(home: Home, incident_id: str, attack: str = "") -> None:
    """Write a published run's folder."""
    folder = home.run_dir(incident_id)
    (folder / "evidence" / "tables" / "features").mkdir(parents=True)
    (folder / "diagnosis.json").write_text(
        to_json(diagnosis(incident_id, attack)), encoding="utf-8"
    )
    (folder / "figures").mkdir()
    (folder / "figures" / "chart.png").write_bytes(base64.b64decode(png()))
    (folder / "evidence" / "bundle.json").write_text("{}", encoding="utf-8")
    (folder / "evidence" / "tables" / "features" / "current.parquet").write_bytes(b"PAR1")
    nbformat.write(investigation(attack), folder / "investigation.ipynb")
    write_report(folder / "investigation.ipynb", folder / "report.html")
    (folder / "evidently.html").write_text(
        f"<script>document.title='evidently'</script>{attack}", encoding="utf-8"
    )
    write_progress(home, incident_id, cells=6)


def write_progress(
    home: Home, incident_id: str, *, cells: int, running: str | None = None, total: int = 6
) -> None:
    """Append progress: so many cells done, and one that runs."""
    titles = [
        "open the run",
        "The answer",
        "Did distance really change?",
        "Which columns moved?",
        "What do the logs say?",
        "Postmortem",
    ]
    lines = [Progress(ts=now_utc(), event="started", total=total)]
    lines += [
        Progress(
            ts=now_utc(),
            event="cell",
            cell=f"c{i}",
            title=titles[i],
            index=i,
            total=total,
            status="done",
            took_s=0.4 + i,
        )
        for i in range(cells)
    ]
    if running:
        lines.append(
            Progress(
                ts=now_utc(),
                event="cell",
                cell=f"c{cells}",
                title=running,
                index=cells,
                total=total,
                status="running",
            )
        )
    folder = home.attempt_dir(incident_id, 1)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "progress.jsonl").open("a", encoding="utf-8") as stream:
        stream.writelines(to_json(line, indent=None) + "\n" for line in lines)
