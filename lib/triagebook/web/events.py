"""Server-sent events of one run: tail its progress file until it is published or has failed."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from fastapi.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from triagebook.core.models import Progress
    from triagebook.web.context import Context

POLL_S = 0.2
PLACE_EVERY_S = 2.0
"""How often the place in line is counted, in seconds."""
KEEPALIVE_S = 15.0
_OVER = {"published", "failed"}


async def follow(
    here: Context, incident_id: str, last_event_id: str | None = None
) -> AsyncIterator[str]:
    """Yield the events of an incident's run, from its first line on.

    Parameters
    ----------
    here : Context
        The service's parts; the stream ends soon after `here.stopping` is set.
    incident_id : str
        An incident that the store knows.
    last_event_id : str, optional
        The id that a browser sends when it connects again: events up to it are left out.

    Yields
    ------
    str
        Events in the format of the HTML standard: `progress` (a `core.models.Progress`), `state`
        (`run_state`, `attempt`), `place` (in line, of `waiting`, with `running`), `end`; comments
        keep the connection open.
    """
    attempt, seen = _resume(last_event_id)
    state: tuple[str, int] | None = None
    spoken = time.monotonic()
    told, counted = "", float("-inf")
    yield "retry: 1000\n\n"
    while not here.stopping.is_set():
        found, lines = await run_in_threadpool(_look, here, incident_id)
        if found is None:
            break
        now, number = found
        if number != attempt:
            attempt, seen = number, 0
        fresh = lines[seen:]
        for line in fresh:
            seen += 1
            yield _event("progress", line.model_dump_json(exclude_none=True), f"{attempt}:{seen}")
        if (now, number) != state:
            state = (now, number)
            yield _event("state", json.dumps({"run_state": now, "attempt": number}))
            fresh = fresh or lines
        if now in _OVER:
            yield _event("end", json.dumps({"run_state": now, "attempt": number}))
            return
        if now == "queued" and time.monotonic() - counted >= PLACE_EVERY_S:
            counted = time.monotonic()
            before, told = told, await run_in_threadpool(_line, here, incident_id)
            if told != before:
                yield _event("place", told)
        if fresh:
            spoken = time.monotonic()
        elif time.monotonic() - spoken > KEEPALIVE_S:
            spoken = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(POLL_S)


def _look(here: Context, incident_id: str) -> tuple[tuple[str, int] | None, list[Progress]]:
    # The state first: whatever was written before the run ended is then in the lines.
    found = here.store.incident(incident_id)
    if found is None:
        return None, []
    return (found.run_state, found.attempt), here.folder(found).progress()


def _line(here: Context, incident_id: str) -> str:
    sizes = here.store.line.sizes()
    told = {"waiting": sizes.waiting, "running": sizes.running}
    return json.dumps({"place": here.store.line.place(incident_id), **told})


def _resume(last_event_id: str | None) -> tuple[int | None, int]:
    attempt, _, line = (last_event_id or "").partition(":")
    if attempt.isdecimal() and line.isdecimal():
        return int(attempt), int(line)
    return None, 0


def _event(name: str, data: str, identity: str | None = None) -> str:
    # JSON has no raw line breaks, so one data line is enough.
    head = f"id: {identity}\n" if identity else ""
    return f"{head}event: {name}\ndata: {data}\n\n"
