"""Post alerts all the time while PostgreSQL is stopped, then while it is frozen; is anything lost or doubled?

`python -m tests.chaos.away [--seconds 60] [--how stopped|frozen] [--json]`, from the top of the checkout;
both ways by default. A real `triagebook serve` that takes alerts and executes their notebooks, on a real
PostgreSQL that is away for so long: stopped, so that connections are refused, or frozen by SIGSTOP, so that
it says nothing. Each of four senders posts a new alert every two seconds, and posts the same body again after the
Retry-After of a 503, as Alertmanager does. It ends with 1 where a post took too long or was answered
otherwise, or where an alert, incident or run is missing or there twice.
"""

# ruff: noqa: S608, T201 - queries of our own; its output

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.live.postgres import Postgres
from tests.live.workers import Site, wait_until
from tests.payloads.alertmanager import build
from triagebook.cli.service_process import ServiceProcess
from triagebook.core.paths import Home

ANSWER_WITHIN_S = 10.0
"""What a post may take, in seconds; the service means to answer within 8."""
BACK_WITHIN_S = 300.0
"""When all that was retried must be taken, and all runs published, after the database is back, in seconds."""
SENDERS = 4
EVERY_S = 2.0
BEFORE_S, AFTER_S = 2.0, 2.0
TOKEN = "not-a-secret"
WAYS = ("stopped", "frozen")


@dataclass
class Posts:
    """What was answered to all posts. Safe to use from many threads under its lock."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest_202_s: float = 0.0
    no_retry_after: int = 0
    unanswered: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    retried: set[str] = field(default_factory=set)
    receipts: Counter[str] = field(default_factory=Counter)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def post(self, client: httpx.Client, name: str, body: bytes) -> bool:
        """Post once; return whether it was taken."""
        began = time.monotonic()
        try:
            answer = client.post("/intake/alertmanager", content=body)
        except httpx.HTTPError as error:
            with self.turn:
                self.unanswered.append(f"{name}: {error!r}")
            return False
        took_s = time.monotonic() - began
        with self.turn:
            self.statuses[answer.status_code] += 1
            self.slowest_s = max(self.slowest_s, took_s)
            if answer.status_code == 202:
                self.slowest_202_s = max(self.slowest_202_s, took_s)
                self.receipts[answer.json()["delivery_id"]] += 1
                return True
            self.retried.add(name)
            if answer.status_code == 503 and not answer.headers.get("Retry-After", "").isdecimal():
                self.no_retry_after += 1
        return False


def _body(name: str) -> bytes:
    # A service of its own each: one alert is one incident is one run.
    return build.body(build.alert(alertname=name, service=name))


def _sender(
    number: int, url: str, posts: Posts, over: threading.Event, taken_by: list[float]
) -> None:
    """Post new alerts until it is over, and each until it is taken."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=url, timeout=60, trust_env=False, headers=headers) as client:
        count = 0
        open_: dict[str, float] = {}  # names to when they are posted next
        until = None
        while not over.is_set() or open_:
            now = time.monotonic()
            if over.is_set():
                until = until or now + BACK_WITHIN_S
                if now > until:
                    return
            else:
                name = f"s{number}-{count}"
                count += 1
                open_[name] = now
                with posts.turn:
                    posts.alerts.append(name)
            for name in [name for name, at in open_.items() if at <= now]:
                if posts.post(client, name, _body(name)):
                    del open_[name]
                else:
                    open_[name] = time.monotonic() + 5.0
            time.sleep(max(0.0, EVERY_S - (time.monotonic() - now)))
        taken_by.append(time.monotonic())


def run(seconds: float, how: str) -> dict[str, Any]:
    """Let PostgreSQL be away once; return figures, with `wrong` as a list of texts."""
    server = Postgres()
    posts = Posts()
    over = threading.Event()
    taken_by: list[float] = []
    try:
        with tempfile.TemporaryDirectory() as folder, Site(Path(folder), server, "1", "2") as site:
            with ServiceProcess(_home(site), 0) as service:
                with ThreadPoolExecutor(SENDERS) as pool:
                    jobs = [
                        pool.submit(_sender, n, service.url, posts, over, taken_by)
                        for n in range(SENDERS)
                    ]
                    time.sleep(BEFORE_S)
                    came_back = _away(server, how, seconds)
                    time.sleep(AFTER_S)
                    over.set()
                    for job in jobs:
                        job.result()
                wrong = _wrong(site, posts, len(taken_by))
                published_s = time.monotonic() - came_back
            return {
                "how": how,
                "away_s": seconds,
                "alerts": len(posts.alerts),
                "posts": sum(posts.statuses.values()),
                "statuses": {str(code): count for code, count in sorted(posts.statuses.items())},
                "alerts_posted_again": len(posts.retried),
                "slowest_answer_s": round(posts.slowest_s, 2),
                "slowest_202_s": round(posts.slowest_202_s, 2),
                "all_taken_after_s": round(max(taken_by, default=came_back) - came_back, 1),
                "all_published_after_s": round(published_s, 1),
                "wrong": wrong,
                "machine": f"{os.cpu_count()} cores, {platform.platform()}, "
                f"Python {platform.python_version()}",
            }
    finally:
        server.close()


def _home(site: Site) -> Home:
    home = site.make_home("web")
    (home / "token").write_text(TOKEN)
    settings = (home / "triagebook.toml").read_text().replace("warm = 0", "warm = 2")
    (home / "triagebook.toml").write_text(settings)
    with (home / "triagebook.toml").open("a") as file:
        file.write('[intake.alertmanager]\ntoken = { file = "token" }\n')
    return Home(home, site.shared)


def _away(server: Postgres, how: str, seconds: float) -> float:
    """Take the database away for so long; return when it was back."""
    if how == "stopped":
        server.stop()
        time.sleep(seconds)
        server.start()
        return time.monotonic()
    with server.frozen():
        time.sleep(seconds)
    return time.monotonic()


def _wrong(site: Site, posts: Posts, ended: int) -> list[str]:
    wrong = list(posts.unanswered)
    if ended < SENDERS:
        wrong.append(f"not all taken within {BACK_WITHIN_S:g} s after the database was back")
    if extra := set(posts.statuses) - {202, 503}:
        wrong.append(f"answered {sorted(extra)}")
    if posts.no_retry_after:
        wrong.append(f"{posts.no_retry_after} times 503 without Retry-After")
    if posts.slowest_s > ANSWER_WITHIN_S:
        wrong.append(f"a post took {posts.slowest_s:.1f} s, allowed are {ANSWER_WITHIN_S:g} s")
    if twice := [name for name, count in posts.receipts.items() if count > 1]:
        wrong.append(f"one delivery for several alerts: {twice[:3]}")
    wanted = set(posts.alerts)
    try:
        wait_until(
            "all published", lambda: _states(site) == {"published": len(wanted)}, BACK_WITHIN_S
        )
    except AssertionError:
        wrong.append(f"the runs are {_states(site)}, not {len(wanted)} published")
    for what, query in _THERE.items():
        there = Counter(row[0] for row in site.ask(query))
        if lost := wanted - set(there):
            wrong.append(f"{what}: {len(lost)} of {len(wanted)} missing: {sorted(lost)[:3]}")
        if more := {name for name, count in there.items() if count > 1 or name not in wanted}:
            wrong.append(
                f"{what}: {len(more)} there twice, or made up: {sorted(map(str, more))[:3]}"
            )
    twice_published = site.ask(
        "SELECT incident_id FROM timeline WHERE kind = 'published' GROUP BY 1 HAVING count(*) > 1"
    )
    if twice_published:
        wrong.append(f"published twice: {twice_published[:3]}")
    return wrong


_LABEL = "alert -> 'labels' ->> 'service'"
_BODY = "convert_from(body, 'UTF8')::json -> 'alerts' -> 0 -> 'labels' ->> 'service'"
_THERE = {
    "deliveries": f"SELECT {_BODY} FROM deliveries",
    "alerts": f"SELECT {_LABEL} FROM alerts",
    "episodes": f"SELECT {_LABEL} FROM incidents JOIN episodes ON episodes.incident_id = incidents.id",
    "incidents": f"SELECT {_LABEL} FROM incidents",
    "runs": f"SELECT {_LABEL} FROM incidents JOIN runs ON runs.incident_id = incidents.id"
    " WHERE runs.state = 'published'",
}
"""Where each alert has to be once: queries for the service that it names."""


def _states(site: Site) -> dict[str, int]:
    return dict(site.ask("SELECT run_state, count(*) FROM incidents GROUP BY 1"))


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=60)
    asked.add_argument("--how", choices=WAYS, action="append")
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    found = [run(given.seconds, how) for how in given.how or WAYS]
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        for one in found:
            print(_words(one))
        print(found[0]["machine"])
    return 1 if any(one["wrong"] for one in found) else 0


def _words(one: dict[str, Any]) -> str:
    answers = ", ".join(f"{count} x {code}" for code, count in one["statuses"].items())
    lines = [
        f"{one['how']} for {one['away_s']:g} s: {one['alerts']} alerts in {one['posts']} posts",
        f"  answers: {answers}; the slowest after {one['slowest_answer_s']} s",
        f"  {one['alerts_posted_again']} alerts were posted again",
        f"  all taken {one['all_taken_after_s']} s after it was back",
        f"  all published {one['all_published_after_s']} s after it was back",
        *(f"  WRONG: {text}" for text in one["wrong"]),
    ]
    if not one["wrong"]:
        lines.append(
            "  every alert is there once: one delivery, one episode, one incident, one run"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
