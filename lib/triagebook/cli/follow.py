"""A client of the running service: wait until it is ready, post the alert, follow the run."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx

from triagebook.core.errors import IntakeError, RunError, TriagebookError
from triagebook.core.models import Progress
from triagebook.core.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from triagebook.core.paths import Home
    from triagebook.drills.worlds.flight_delay import World

WARM_LIMIT_S = 60.0
READY_LIMIT_S = 60.0
POLL_S = 0.1
# The stream says "still here" every 15 s.
SILENCE_LIMIT_S = 45.0
_ACCEPTED = 202


def wait_until_warm(client: httpx.Client, limit_s: float = WARM_LIMIT_S) -> bool:
    """Wait until runs start warm; False where they do not, or not within the limit."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        state = client.get("/readyz").json().get("warm")
        if state != "starting":
            return bool(state == "ready")
        time.sleep(0.1)
    return False


def wait_until_ready(client: httpx.Client, limit_s: float = READY_LIMIT_S) -> None:
    """Ask /readyz until it says yes.

    Raises
    ------
    TriagebookError
        It did not within the limit; with its last answer.
    """
    deadline = time.monotonic() + limit_s
    last = "no answer"
    while True:
        try:
            answer = client.get("/readyz")
            if answer.is_success:
                return
            last = answer.text
        except httpx.TransportError as error:
            last = str(error)
        if time.monotonic() > deadline:
            raise TriagebookError(
                f"{client.base_url} was not ready within {limit_s:.0f} s: {last}",
                "its log is state/service.log in the home folder",
            )
        time.sleep(POLL_S)


def post_alert(client: httpx.Client, home: Home, world: World) -> str:
    """Post a world's alert as Alertmanager would; return the incident it opened.

    Raises
    ------
    IntakeError
        It was not answered with 202, or opened no incident.
    """
    from triagebook.drills.alert import alertmanager_payload

    token = load_settings(home.config).intake["alertmanager"].token
    headers = {"Prefer": "wait=8"}  # for the incident's name
    if token is not None:
        headers["Authorization"] = f"Bearer {token.value(home.root)}"
    answer = client.post("/intake/alertmanager", json=alertmanager_payload(world), headers=headers)
    if answer.status_code != _ACCEPTED:
        raise IntakeError(
            f"the alert was answered with {answer.status_code}: {answer.text}",
            "202 was expected; the service's log says more",
        )
    opened: list[str] = answer.json()["incidents"]
    if not opened:
        raise IntakeError(
            f"the alert opened no incident: {answer.text}", f"look at {client.base_url}"
        )
    return opened[0]


def follow(client: httpx.Client, incident: str, see: Callable[[Progress], None]) -> str:
    """Follow an incident's run over server-sent events.

    Parameters
    ----------
    see : callable
        Gets each line of progress.

    Returns
    -------
    str
        The state it ended in: published or failed.

    Raises
    ------
    RunError
        The stream ended before the run did.
    """
    limits = httpx.Timeout(10, read=SILENCE_LIMIT_S)
    try:
        with client.stream("GET", f"/api/incidents/{incident}/events", timeout=limits) as answer:
            answer.raise_for_status()
            for name, data in _events(answer.iter_lines()):
                if name == "progress":
                    see(Progress.model_validate(data))
                elif name == "end":
                    return str(data["run_state"])
    except httpx.HTTPError as error:
        raise RunError(
            f"{client.base_url} stopped telling about {incident}: {error}", "open its page"
        ) from error
    raise RunError(
        f"the service stopped while {incident} was running", "start it again: the run goes on"
    )


def _events(lines: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Read the event stream format of the HTML standard, as far as the service writes it."""
    name, data = "", ""
    for line in lines:
        field, _, value = line.partition(":")
        if field == "event":
            name = value.strip()
        elif field == "data":
            data += value.removeprefix(" ")
        elif not line:
            if data:
                yield name, json.loads(data)
            name, data = "", ""
