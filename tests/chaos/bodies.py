"""Post bodies that are wrong in thousands of ways to a real service, and ask it odd things meanwhile.

`python -m tests.chaos.bodies [--cases 10000] [--seed 1] [--json]`, from the top of the checkout. Every
sender's real bodies are changed at random, proved as that sender proves them, and posted; some are not
proved; one case in ten asks some other address of the OpenAPI with odd parameters. It ends with 1 where
the service answered 5xx, lost or changed a body, executed or loaded a part of one, or broke a page.
The same seed makes the same cases.
"""

# ruff: noqa: T201 - its output

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from tests.browser.canary import Canary, listening
from tests.chaos import signers
from tests.chaos.mutations import Mutator, hostile_texts
from tests.chaos.page_shape import faults
from tests.chaos.signers import SENDERS, Signers
from tests.payloads.alertmanager import build
from triagebook.core.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "payloads"
POSTERS = 4
MOST_BYTES = ServerSettings().max_body_bytes
ASKED_SHARE, UNPROVED_SHARE = 0.1, 0.1
REFUSED = frozenset({400, 401, 403, 404, 405, 408, 413, 415, 421, 422, 431})
PAGES = ("/", "/quarantine", "/queue", "/incidents/{incident_id}", "/incidents/{incident_id}/lab")


@dataclass(frozen=True)
class Case:
    """One request. `kept` says that it is proved, so that its body must be kept."""

    number: int
    sender: str
    kind: str
    method: str
    path: str
    body: bytes
    headers: list[tuple[bytes, bytes]]
    kept: bool


@dataclass
class Told:
    """What was answered. Safe to use from many threads, one list or counter at a time."""

    statuses: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    receipts: dict[str, bytes] = field(default_factory=dict)
    quarantined: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    turn: threading.Lock = field(default_factory=threading.Lock)


class Maker:
    """Makes cases, each from its own number and the seed."""

    def __init__(self, seed: int, canary: str, file: Path, openapi: dict[str, Any]) -> None:
        self.seed = seed
        self.texts = hostile_texts(canary, str(file))
        self.signers = Signers()
        self.samples = {
            sender: [
                json.loads(path.read_bytes()) for path in sorted((SAMPLES / sender).glob("*.json"))
            ]
            for sender in SENDERS
        }
        self.operations = [
            (method.upper(), path, [one["name"] for one in told.get("parameters", [])])
            for path, methods in openapi["paths"].items()
            for method, told in methods.items()
            if path != "/intake/{sender}"
        ]
        self.operations += [("GET", path, ["state", "text", "limit"]) for path in PAGES]
        self.incidents: list[str] = []

    def make(self, number: int) -> Case:
        rng = random.Random(f"{self.seed}/{number}")  # noqa: S311 - to be made again, not to be secret
        mutator = Mutator(rng, self.texts)
        share = rng.random()
        if share < ASKED_SHARE:
            return self._asked(number, rng, mutator)
        sender = SENDERS[number % len(SENDERS)]
        kind, body = self._body(sender, rng, mutator)
        headers, query = signers.proof(sender, body)
        kept = kind != "envelope"  # that may be none any more, and Amazon's proof is in it
        path = f"/intake/{sender}"
        if share < ASKED_SHARE + UNPROVED_SHARE:
            kind, kept = "not proved", False
            headers, query = _unproved(headers, query, rng)
            if sender == "cloudwatch":
                # What is not signed may be changed and is still Amazon's; the signature may not.
                body = body.replace(b'"Signature": "', b'"Signature": "AAAA')
            if rng.random() < 0.2:
                path = f"/intake/{quote(mutator.text().encode('utf-8', 'replace'), safe='')[:500]}"
        more = [query, mutator.query()]
        text = "&".join(part for part in more if part)
        given = [(k.encode(), v.encode()) for k, v in headers.items()] + mutator.headers()
        if not any(name == b"Content-Type" for name, _ in given):
            given.append((b"Content-Type", b"application/json"))
        return Case(
            number, sender, kind, "POST", path + (f"?{text}" if text else ""), body, given, kept
        )

    def _body(self, sender: str, rng: random.Random, mutator: Mutator) -> tuple[str, bytes]:
        sample = rng.choice(self.samples[sender])
        inner = json.loads(sample["Message"]) if sender == "cloudwatch" else sample
        share = rng.random()
        if sender == "cloudwatch" and share < 0.15:
            return "envelope", self.signers.sign_envelope(_object(mutator.document(sample)))
        if share < 0.5:
            kind, body = "structure", mutator.encoded(mutator.document(inner))
        elif share < 0.8:
            kind, body = "bytes", mutator.mangled(json.dumps(inner).encode())
        elif share < 0.93:
            kind, body = "extreme", mutator.extreme()
        else:
            kind, body = "as it is", json.dumps(inner).encode()
        return kind, self.signers.envelope(sample, body) if sender == "cloudwatch" else body

    def _asked(self, number: int, rng: random.Random, mutator: Mutator) -> Case:
        method, path, names = rng.choice(self.operations)
        known = list(self.incidents)
        asked = []
        for name in names:
            value = str(mutator.value())
            if "{" + name + "}" not in path:
                asked.append(f"{quote(name)}={quote(value.encode('utf-8', 'replace'))[:3_000]}")
        while "{" in path:
            start, _, rest = path.partition("{")
            _, _, rest = rest.partition("}")
            right = "incidents/" in start and start.count("/") <= 3 and known and rng.random() < 0.6
            value = rng.choice(known) if right else mutator.text()
            encoded = quote(
                value.encode("utf-8", "replace"), safe="/" if rng.random() < 0.5 else ""
            )
            path = f"{start}{encoded[:3_000]}{rest}"
        query = "&".join(one for one in [*asked, mutator.query()] if one)
        body = (
            b"" if method == "GET" else rng.choice([mutator.encoded(mutator.value()), b"", b"{}"])
        )
        headers = mutator.headers()
        if method != "GET" and not any(name == b"Content-Type" for name, _ in headers):
            headers.append((b"Content-Type", b"application/json"))
        path += f"?{query}" if query else ""
        return Case(number, "(asked)", "asked", method, path, body, headers, kept=False)


def _object(document: Any) -> dict[str, Any]:
    return document if isinstance(document, dict) else {"Message": document}


def _unproved(
    headers: dict[str, str], query: str, rng: random.Random
) -> tuple[dict[str, str], str]:
    way = rng.randrange(3)
    if way == 0:
        return {}, ""
    if way == 1:
        return dict.fromkeys(headers, "wrong"), "auth_token=wrong"
    return {
        name: text[:-1] + ("0" if text[-1] != "0" else "1") for name, text in headers.items()
    }, query[:-1]


@contextmanager
def service(
    folder: Path, maker_signers: Signers
) -> Iterator[tuple[str, Path, subprocess.Popen[bytes]]]:
    """Run a service that stores and reads all and executes no notebook; yield address, home, process."""
    home, inside = folder / "home", folder / "inside"
    home.mkdir()
    inside.mkdir()
    (home / "triagebook.toml").write_text(
        '[server]\nconcurrency = 0\nwarm = 0\n[[service]]\nname = "flight-delay"\n'
        + signers.SETTINGS
    )
    certificate = maker_signers.write(home)
    command = [sys.executable, "-m", "tests.chaos.fuzzed_service", str(home), str(certificate)]
    paths = os.pathsep.join([str(ROOT / "lib"), str(ROOT)])
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=inside,
            env={**os.environ, "PYTHONPATH": paths},
        )
    try:
        line = process.stdout.readline()
        assert line, (folder / "log").read_text(errors="replace")
        yield json.loads(line)["url"], home, process
    finally:
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def run(cases: int, seed: int) -> dict[str, Any]:
    """Post the cases, look at what is there afterwards; return figures, with `wrong` as a list of texts."""
    with tempfile.TemporaryDirectory() as name, listening() as canary:
        folder = Path(name)
        # Made first: the service needs its certificate.
        maker = Maker(seed, canary.url, folder / "owned", {"paths": {}})
        with (
            service(folder, maker.signers) as (url, home, process),
            # Each case is judged by what came of it.
            httpx.Client(
                base_url=url, headers={"Prefer": "wait=8"}, timeout=60, trust_env=False
            ) as client,
        ):
            openapi = client.get("/openapi.json").json()
            again = Maker(seed, canary.url, folder / "owned", openapi)
            again.signers = maker.signers
            told = Told()
            began = time.monotonic()
            with ThreadPoolExecutor(POSTERS) as pool:
                list(pool.map(lambda n: _one(client, again, n, told, canary), range(cases)))
            took_s = time.monotonic() - began
            _look_at_pages(client, again, told, canary)
            _look_at_store(home, told)
            if process.poll() is not None:
                told.wrong.append(f"the service ended with {process.returncode}")
        _look_around(folder, canary, told)
        return _figures(cases, seed, told, took_s)


def _one(client: httpx.Client, maker: Maker, number: int, told: Told, canary: Canary) -> None:
    case = maker.make(number)
    began = time.monotonic()
    try:
        status, content, kind = _send(client, case)
    except httpx.LocalProtocolError:
        status, content, kind = 0, b"", ""  # no client could send it
    except httpx.HTTPError as error:
        status, content, kind = -1, b"", ""
        with told.turn:
            told.wrong.append(f"case {number}: {case.method} {case.path[:80]!r}: {error!r}")
    took_s = time.monotonic() - began
    with told.turn:
        told.slowest_s = max(told.slowest_s, took_s)
        told.statuses[case.sender, case.kind, status] += 1
        _judge(case, status, content, told)
        if kind.startswith("text/html"):
            found = faults(content.decode(), canary.url)
            told.wrong += [f"case {number}: {case.path[:80]!r}: {one}" for one in found[:3]]
    if case.sender != "(asked)" and status == 202 and len(maker.incidents) < 50:
        maker.incidents += json.loads(content)["opened"]


def _send(client: httpx.Client, case: Case) -> tuple[int, bytes, str]:
    request = client.build_request(
        case.method, case.path, content=case.body or None, headers=case.headers
    )
    answer = client.send(request, stream=True)
    kind = answer.headers.get("content-type", "")
    try:
        content = b"" if kind.startswith("text/event-stream") else answer.read()
    finally:
        answer.close()
    return answer.status_code, content, kind


def _judge(case: Case, status: int, content: bytes, told: Told) -> None:
    where = f"case {case.number}: {case.sender}, {case.kind}, {case.method} {case.path[:80]!r}"
    if status >= 500:
        told.wrong.append(f"{where}: {status} {content[:300]!r}")
    elif case.sender == "(asked)":
        if status not in REFUSED | {0, 200, 202, 206, 303, 304, 307, 416}:
            told.wrong.append(f"{where}: {status} was not expected")
    elif status == 202:
        receipt = json.loads(content)
        if case.kind == "not proved":
            told.wrong.append(f"{where}: let in")
        known = told.receipts.setdefault(receipt["delivery_id"], case.body)
        if known != case.body:
            told.wrong.append(f"{where}: two bodies under the id {receipt['delivery_id']}")
        if receipt["status"] == "quarantined":
            told.quarantined.add(receipt["delivery_id"])
        elif receipt["status"] != "processed":
            told.wrong.append(f"{where}: {receipt['status']}")
    elif case.kept and status != 0 and not (status == 413 and len(case.body) > MOST_BYTES):
        told.wrong.append(f"{where}: refused with {status} {content[:300]!r}")
    elif status not in REFUSED | {0}:
        told.wrong.append(f"{where}: {status} was not expected")


def _look_at_store(home: Path, told: Told) -> None:
    with sqlite3.connect(
        f"file:{home / 'state' / 'triagebook.db'}?mode=ro", uri=True
    ) as connection:
        kept = {
            name: (bytes(body), status)
            for name, body, status in connection.execute("SELECT id, body, status FROM deliveries")
        }
    connection.close()
    for name, body in told.receipts.items():
        if name not in kept:
            told.wrong.append(f"{name} is lost")
        elif kept[name][0] != body:
            told.wrong.append(f"{name} is not what was posted")
    left = [name for name, (_, status) in kept.items() if status == "stored"]
    if left:
        told.wrong.append(f"never read: {left[:5]}")
    aside = {name for name, (_, status) in kept.items() if status == "quarantined"}
    if aside != told.quarantined:
        told.wrong.append(
            f"quarantined otherwise than told: {sorted(aside ^ told.quarantined)[:5]}"
        )
    extra = len(kept) - len(told.receipts)
    if extra != 1:  # the last alert of `_look_at_pages`
        told.wrong.append(f"{extra - 1} deliveries that no 202 was given for")


def _look_at_pages(client: httpx.Client, maker: Maker, told: Told, canary: Canary) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/api/incidents", "/api/alerts?limit=1000"):
        if (status := client.get(path).status_code) != 200:
            told.wrong.append(f"{path}: {status} at the end")
    for path in [
        "/",
        "/?limit=1000",
        "/quarantine",
        "/queue",
        *(f"/incidents/{n}" for n in maker.incidents),
    ]:
        answer = client.get(path)
        found = faults(answer.text, canary.url)
        if answer.status_code != 200 or found:
            told.wrong.append(f"{path}: {answer.status_code}, {found[:3]}")
    listed = client.get("/api/quarantine", params={"limit": 1_000}).json()["deliveries"]
    shown = {one["id"] for one in listed}
    page = client.get("/quarantine").text
    if len(shown) != min(len(told.quarantined), 1_000) or not shown <= told.quarantined:
        told.wrong.append(f"of {len(told.quarantined)} in quarantine {len(shown)} are listed")
    if missing := [one["id"] for one in listed[:100] if one["id"] not in page]:
        told.wrong.append(f"not on /quarantine: {missing[:5]}")
    body = build.body(build.alert(alertname="TheLastOne", service="another"))
    headers, _ = signers.proof("alertmanager", body)
    answer = client.post("/intake/alertmanager", content=body, headers=headers)
    if answer.status_code != 202 or not answer.json()["opened"]:
        told.wrong.append(f"a usual alert at the end: {answer.status_code} {answer.text[:300]}")


def _look_around(folder: Path, canary: Canary, told: Told) -> None:
    if canary.calls:
        told.wrong.append(f"asked for: {canary.calls[:5]}")
    if (folder / "owned").exists() or list((folder / "inside").iterdir()):
        told.wrong.append("a file was made by something that was executed")
    log = (folder / "log").read_text(errors="replace")
    if "Traceback" in log:
        at = log.index("Traceback")
        told.wrong.append(f"a traceback in the log: {log[max(0, at - 300) : at + 2_000]}")


def _figures(cases: int, seed: int, told: Told, took_s: float) -> dict[str, Any]:
    senders: dict[str, dict[str, Any]] = {}
    for (sender, kind, status), count in sorted(told.statuses.items()):
        row = senders.setdefault(sender, {"cases": 0, "kinds": Counter(), "statuses": Counter()})
        row["cases"] += count
        row["kinds"][kind] += count
        row["statuses"][str(status) if status else "not to be sent"] += count
    return {
        "cases": cases,
        "seed": seed,
        "senders": senders,
        "stored": len(told.receipts),
        "quarantined": len(told.quarantined),
        "seconds": round(took_s, 1),
        "cases_per_second": round(cases / took_s, 1),
        "slowest_answer_s": round(told.slowest_s, 3),
        "wrong": told.wrong,
        "machine": f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}",
    }


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--cases", type=int, default=10_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    found = run(given.cases, given.seed)
    if given.json:
        print(json.dumps(found, indent=1))
        return 1 if found["wrong"] else 0
    for sender, row in found["senders"].items():
        words = ", ".join(
            f"{count} x {status}" for status, count in sorted(row["statuses"].items())
        )
        kinds = ", ".join(f"{kind} {count}" for kind, count in row["kinds"].items())
        print(f"{sender:13s} {row['cases']:6d} cases ({kinds}): {words}")
    print(
        f"{found['cases']} cases, seed {found['seed']}: {found['stored']} stored, byte for byte; of them "
        f"{found['quarantined']} in quarantine; {found['seconds']} s, {found['cases_per_second']} cases/s, "
        f"slowest answer {found['slowest_answer_s']} s"
    )
    for text in found["wrong"][:20]:
        print(f"WRONG: {text}")
    print("nothing was wrong" if not found["wrong"] else f"{len(found['wrong'])} things were wrong")
    print(found["machine"])
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
