"""The change log: the ingest deploy, and harmless changes around it."""

from __future__ import annotations

from typing import Any

from triagebook.core.times import iso
from triagebook.drills.worlds.flight_delay.world import DEPLOYED_AT

LOG_LEVEL_AT = "2013-06-04T13:40:00Z"
RESTARTED_AT = "2013-05-30T03:10:00Z"


def changes() -> list[dict[str, Any]]:
    """Return the rows of changes.jsonl, oldest first."""
    return [
        _change("2013-05-06T09:30:00Z", "deploy", "ingest", "v40", "v41", "data-eng"),
        _change("2013-05-21T10:00:00Z", "model", "candidate of flight-delay registered, shadow only, not served", "7", "8", "flight-ml"),
        _change("2013-05-27T15:20:00Z", "schedule", "label_join moved", "06:15 UTC", "06:00 UTC", "data-eng"),
        _change(RESTARTED_AT, "infra", "scorer-1: host patched and restarted", "kernel 3.8.11", "kernel 3.8.13", "platform"),
        _change("2013-06-04T10:55:00Z", "deploy", "web: banner on the start page", "v118", "v119", "web"),
        _change(LOG_LEVEL_AT, "config", "web.log_level", "INFO", "DEBUG", "web"),
        _change(iso(DEPLOYED_AT), "deploy", "ingest", "v41", "v42", "data-eng"),
    ]  # fmt: skip


def _change(ts: str, kind: str, what: str, old: str, new: str, by: str) -> dict[str, Any]:
    slug = "".join(
        c if c.isalnum() else "-" for c in what.split(":", maxsplit=1)[0].split(" ", maxsplit=1)[0]
    )
    url = f"https://changes.example/{kind}/{slug}/{new.replace(' ', '-').replace(':', '')}"
    return {"ts": ts, "kind": kind, "what": what, "from": old, "to": new, "by": by, "url": url}
