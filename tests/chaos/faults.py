"""Put every source that asks over HTTP through every fault of a server; print what the ledger says.

`python -m tests.chaos.faults [--json]`, from the top of the checkout. One pull at a time, of a stand-in of its
server on this machine, with a budget of three seconds; the bundle is read back. It ends with 1 where an entry is
not what it has to be, the budget is overrun, a secret is in a file, or something went to another address.
"""

# ruff: noqa: T201 - its output

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.server import FAULTS, Fault, faulty
from tests.faults.sources import HTTP_SOURCES
from triagebook.core.models import Alert, Windows
from triagebook.core.settings import Settings
from triagebook.core.times import now_utc
from triagebook.evidence.collect import collect

if TYPE_CHECKING:
    from triagebook.core.models import LedgerEntry

BUDGET_S = 3.0
ROOM_S = 2.0
"""Seconds beyond the budget in which a bundle has to be written, on a busy machine."""
SECRET = "s3cr3t-never-told"
HEALTHY = Fault("healthy", frozenset({"ok"}))


@dataclass(frozen=True)
class Outcome:
    """What came of one source and one fault; `wrong` says what is not as it has to be."""

    source: str
    fault: str
    status: str
    why: str
    took_s: float
    wrong: list[str]


def tried(kind: str, name: str, fault: Fault, root: Path) -> Outcome:
    """Collect with one pull while its server has a fault, in an empty folder."""
    with faulty(fault.name, HTTP_SOURCES[kind, name].api, root) as server:
        entry, took_s = _collected(kind, name, server.url, root)
        proved = {headers.get("authorization") for _, headers in server.seen}
    why = entry.why or ""
    files = [path for path in (root / "evidence").rglob("*") if path.is_file()]
    checks = {
        f"expected {' or '.join(sorted(fault.status))}": entry.status in fault.status,
        f"its reason does not say {fault.says!r}": fault.says in why,
        "it is ok, and has no rows": entry.status != "ok" or bool(entry.rows),
        f"took more than {BUDGET_S + ROOM_S:g} s": took_s < BUDGET_S + ROOM_S,
        "a secret is in a file": all(SECRET.encode() not in path.read_bytes() for path in files),
        "it went to another address": not server.elsewhere,
        "it was asked without its token": proved <= {f"Bearer {SECRET}"},
    }
    wrong = [what for what, good in checks.items() if not good]
    return Outcome(f"{kind}:{name}", fault.name, entry.status, why, round(took_s, 2), wrong)


def _collected(kind: str, name: str, url: str, root: Path) -> tuple[LedgerEntry, float]:
    (root / "token").write_text(SECRET)
    pull: dict[str, Any] = {"source": name, "url": url, "token": {"file": "token"}}
    service = {"name": "flight-delay", kind: [pull | HTTP_SOURCES[kind, name].keys]}
    settings = Settings.model_validate({"service": [service], "budget": BUDGET_S})
    end = now_utc()
    since = end - timedelta(hours=2)
    begin = time.monotonic()
    bundle = collect(
        settings,
        settings.services[0],
        Alert(sender="test", fingerprint="f", starts_at=end),
        Windows(reference=(since - timedelta(hours=6), since), current=(since, end)),
        root=root,
        incident_id="inc-1",
        into=root / "evidence",
    )
    took_s = time.monotonic() - begin
    [entry] = [one for one in bundle.ledger if one.source == f"{kind}:{name}"]
    return entry, took_s


def main() -> int:
    """Try them all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print a list of outcomes")
    arguments = parser.parse_args()
    found = []
    for kind, name in HTTP_SOURCES:
        for fault in (HEALTHY, *FAULTS):
            with tempfile.TemporaryDirectory() as root:
                one = tried(kind, name, fault, Path(root))
            found.append(one)
            if not arguments.json:
                # The port is another each time.
                why = one.why.replace("127.0.0.1:", "HOST:")
                print(
                    f"{one.source:<20} {one.fault:<26} {one.status:<12} {one.took_s:>5.2f} s  {why}"
                )
                print("".join(f"    wrong: {what}\n" for what in one.wrong), end="", flush=True)
    wrong = sum(bool(one.wrong) for one in found)
    if arguments.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    else:
        print(
            f"{len(found)} tried, {wrong} wrong; {platform.platform()}, Python {platform.python_version()}"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
