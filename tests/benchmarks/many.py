"""100,000 incidents stored: how long lists, searches and single incidents take over HTTP.

The incidents are made up: three years of alerts of 300 services, each with what belongs to it (a delivery,
alerts, an episode, a run, a timeline). A real service of its own process answers; each question is asked
`TIMES` times, one after the other.
"""

from __future__ import annotations

import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert

from tests.benchmarks.storm import quantiles, write_home
from triagebook.cli.service_process import ServiceProcess
from triagebook.core.models import Alert, IncidentType
from triagebook.core.paths import Home
from triagebook.incidents import tables
from triagebook.incidents.search import as_words
from triagebook.incidents.store import Store

NEEDS_FOLDER = False
INCIDENTS = 100_000
TIMES = 40
REACH_MS = 100
FIRST = datetime(2023, 11, 1, tzinfo=UTC)
APART = timedelta(days=3 * 365) / INCIDENTS
CAUSES = (
    "distance arrives in kilometres, not miles",
    "ingest stopped after v42",
    "the cache answers nothing since 14:00",
    "memory of the feature store grows until it is killed",
    "labels come 6 h late",
    "Größe der Eingaben hat sich verdoppelt",
)
QUESTIONS = {
    "the list": {},
    "those still open": {"state": "open"},
    "search: a word of many": {"text": "KILOMETRES"},
    "search: a service": {"text": "s123"},
    "search: one incident's id": {"text": "7777x"},
    "search: nothing has it": {"text": "no such word"},
    "search among the open": {"text": "kilometres", "state": "open"},
    "search among the resolved, nothing": {"text": "no such word", "state": "resolved"},
}


def run(folder: Path | None = None, *, full: bool = False) -> dict[str, Any]:
    """Measure.

    Parameters
    ----------
    folder : Path or None
        Where the service's home may lie for a while, about 1 GB; None takes the system's.
    full : bool
        100,000 incidents; else 10,000.
    """
    count = INCIDENTS if full else INCIDENTS // 10
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        home = Home(Path(scratch))
        write_home(home.root)
        began = time.monotonic()
        fill(home, count)
        filled = time.monotonic() - began
        size = (home.state / "triagebook.db").stat().st_size
        with ServiceProcess(home, 0) as service:
            cases = asked(service.url)
    return {
        "score": {
            "incidents": count,
            "database_mb": round(size / 1e6),
            "filled_in_s": round(filled, 1),
            "within_100_ms": all(case["ms"]["p99"] <= REACH_MS for case in cases),
            "slowest_p99_ms": max(case["ms"]["p99"] for case in cases),
        },
        "cases": cases,
    }


def asked(url: str) -> list[dict[str, Any]]:
    """Ask every question; return how long each took."""
    found = []
    with httpx.Client(base_url=url, timeout=60) as client:
        places = {"page": "/", "api": "/api/incidents"}
        questions = [
            (f"{place}: {name}", path, params)
            for place, path in places.items()
            for name, params in QUESTIONS.items()
        ]
        some = client.get("/api/incidents", params={"limit": 1}).json()
        one = (some[0] if isinstance(some, list) else some["incidents"][0])["id"]
        questions += [
            ("page: one incident", f"/incidents/{one}", {}),
            ("api: one incident", f"/api/incidents/{one}", {}),
            ("metrics", "/metrics", {}),
        ]
        for name, path, params in questions:
            expect(client, name, path, params)
            took = []
            for _ in range(TIMES + 1):
                began = time.perf_counter()
                client.get(path, params=params).raise_for_status()
                took.append((time.perf_counter() - began) * 1_000)
            found.append({"case": name, "ms": quantiles(took[1:])})
    return found


def expect(client: httpx.Client, name: str, path: str, params: dict[str, str]) -> None:
    """Raise where a list finds nothing that it should find, or finds what is not there."""
    if path != "/api/incidents":
        return
    answer = client.get(path, params=params).json()
    found = answer if isinstance(answer, list) else answer["incidents"]
    if bool(found) == ("nothing" in name):
        raise RuntimeError(name)


def fill(home: Home, count: int) -> None:
    """Write so many incidents into a home's store, the newest last; 1 in 100 is still open."""
    draw = random.Random(20130604)  # noqa: S311 - the same incidents each time
    with Store.open(home) as store:
        for start in range(0, count, 5_000):
            rows = Rows()
            for number in range(start, min(start + 5_000, count)):
                rows.add(number, draw)
            with store.database.write() as connection:
                for table, made in rows.made.items():
                    connection.execute(insert(table), made)


class Rows:
    """What belongs to incidents, by table."""

    def __init__(self) -> None:
        order = (
            tables.deliveries,
            tables.incidents,
            tables.incident_words,
            tables.episodes,
            tables.alerts,
            tables.runs,
            tables.timeline,
        )
        self.made: dict[Any, list[dict[str, Any]]] = {table: [] for table in order}

    def add(self, number: int, draw: random.Random) -> None:
        at = FIRST + number * APART
        over = number % 100 != 0
        ended = at + timedelta(hours=2)
        name, delivery = f"inc-{at:%Y%m%d-%H%M%S}-{number}x", f"dlv-{number}"
        service, cause = f"s{draw.randrange(300):03d}", draw.choice(CAUSES)
        kind = draw.choice(list(IncidentType)).value
        alert = Alert(
            sender="alertmanager",
            fingerprint=f"{number:016x}",
            title=f"{kind} of {service} is {draw.random():.3f}",
            labels={"alertname": kind, "service": service, "instance": f"i{number}"},
            annotations={"summary": cause, "description": cause * 5},
        ).model_dump(mode="json", by_alias=True)
        body = (f'{{"alerts": ["{number}", "{cause}"]}}' * 10).encode()
        made = self.made
        made[tables.deliveries].append(
            {
                "id": delivery,
                "sender": "alertmanager",
                "received_at": at,
                "headers": {},
                "body": body,
                "body_bytes": len(body),
                "body_sha256": f"{number:064x}",
                "status": "processed",
            }
        )
        made[tables.incidents].append(
            {
                "seq": number + 1,
                "id": name,
                "incident_type": kind,
                "service": service,
                "title": alert["title"],
                "state": "resolved" if over else "open",
                "severity": "SEV3",
                "verdict": "cause_found",
                "headline": cause,
                "opened_at": at,
                "updated_at": ended,
                "resolved_at": ended if over else None,
                "run_state": "published",
                "attempt": 1,
                "runbook": "generic",
                "parameters": {},
                "alert": alert,
                "delivery_id": delivery,
                "queued_at": at,
                "alerted_at": at,
                "subject": f"service:{service}",
            }
        )
        words = as_words(name, alert["title"], service, cause)
        made[tables.incident_words].append({"seq": number + 1, "words": words})
        made[tables.episodes].append(
            {
                "id": number + 1,
                "sender": "alertmanager",
                "fingerprint": alert["fingerprint"],
                "incident_id": name,
                "title": alert["title"],
                "starts_at": at,
                "ends_at": ended if over else None,
                "opened_at": at,
                "seen_at": ended,
                "closed_at": ended if over else None,
                "alerts": 2,
            }
        )
        made[tables.alerts] += [
            {
                "delivery_id": delivery,
                "position": position,
                "episode_id": number + 1,
                "incident_id": name,
                "received_at": at,
                "status": "firing",
                "alert": alert,
            }
            for position in range(2)
        ]
        made[tables.runs].append(
            {
                "incident_id": name,
                "attempt": 1,
                "state": "published",
                "queued_at": at,
                "started_at": at,
                "ended_at": at,
            }
        )
        made[tables.timeline] += [
            {"incident_id": name, "ts": at, "kind": entry, "text": f"{entry} {cause}", "data": {}}
            for entry in ("received", "queued", "started", "diagnosed", "published", "resolved")
        ]
