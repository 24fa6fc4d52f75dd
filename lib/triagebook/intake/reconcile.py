"""Ask Alertmanager what fires now: an alert that never came is opened, one that is gone is closed.

Alertmanager drops an alert that fired and ended while its receiver was away, cuts large groups, and forgets
what it knew when its disk is lost; Prometheus that dies looks like "resolved" to it. What it lists now, held
against what is open here, mends all of that a few minutes later.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import structlog
from pydantic import Field, TypeAdapter, ValidationError

from triagebook.core.errors import TriagebookError
from triagebook.core.times import iso
from triagebook.intake.senders.alertmanager import NAME as ALERTMANAGER
from triagebook.intake.senders.own import NAME as OWN
from triagebook.intake.shapes import Shape, Texts, Time, problems

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable
    from pathlib import Path

    from triagebook.core.settings import ReconcileSettings
    from triagebook.incidents.store import Store
    from triagebook.incidents.views import EpisodeView
    from triagebook.intake.receive import Intake

_log = structlog.get_logger(__name__)

ASK_WITHIN_S = 10.0
SETTLED = timedelta(minutes=5)
"""An Alertmanager that began later than this, or an episode that opened later, proves nothing yet."""
_DOUBTED = timedelta(hours=1)
"""How long after "resolved" a dead Prometheus casts doubt on it."""
_ORIGIN = {"x-triagebook-origin": "reconciliation"}
_WATCHDOG = "watchdog"


class _Status(Shape):
    state: str
    silenced: list[str] = Field(alias="silencedBy", default_factory=list)
    inhibited: list[str] = Field(alias="inhibitedBy", default_factory=list)


class _Receiver(Shape):
    name: str


class Listed(Shape):
    """One alert as Alertmanager's API lists it."""

    labels: Texts
    annotations: Texts = Field(default_factory=dict)
    starts_at: Time = Field(alias="startsAt")
    ends_at: Time = Field(alias="endsAt", default=None)
    fingerprint: str
    generator_url: str = Field(alias="generatorURL", default="")
    status: _Status
    receivers: list[_Receiver] = Field(default_factory=list)


_LISTED = TypeAdapter(list[Listed])


@dataclass
class Round:
    """What one round found: titles of what was opened, closed, silenced, doubted; and what failed."""

    opened: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    silenced: list[str] = field(default_factory=list)
    doubted: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class AskError(TriagebookError):
    """A server did not answer, or not with what its API says."""


class Reconciler:
    """Rounds of asking. Used from one thread.

    Parameters
    ----------
    intake : Intake
        What is missed goes in by the same door as what is posted.
    store : Store
    settings : ReconcileSettings
    root : Path
        The home folder; secret files are relative to it.
    client : httpx.Client, optional
        For tests; by default one of its own.
    """

    def __init__(
        self,
        intake: Intake,
        store: Store,
        settings: ReconcileSettings,
        root: Path,
        client: httpx.Client | None = None,
    ) -> None:
        self._intake = intake
        self._store = store
        self._settings = settings
        headers = {}
        if settings.token is not None:
            headers["Authorization"] = f"Bearer {settings.token.value(root)}"
        # No redirect: the token goes to whom it is for.
        self._client = client or httpx.Client(
            timeout=ASK_WITHIN_S, follow_redirects=False, headers=headers
        )
        self._began = store.clock()
        self._noted: set[tuple[str, str, str]] = set()

    def run(self, stop: threading.Event) -> None:
        """Do a round at once and then every `every` seconds, until told to stop; never raises."""
        while True:
            try:
                done = self.round()
                if done.failed:
                    _log.warning("reconciliation_incomplete", why=done.failed)
                if done.opened or done.closed:
                    _log.warning("alerts_reconciled", opened=done.opened, closed=done.closed)
            except Exception:  # noqa: BLE001 - the next round may fare better; this one is logged
                _log.exception("reconciliation_failed")
            if stop.wait(self._settings.every):
                self._client.close()
                return

    def round(self) -> Round:
        """Hold what Alertmanager lists against what is open here, and mend the difference."""
        done = Round()
        if self._settings.alertmanager is not None:
            try:
                listed = self._listed()
                began = self._alertmanager_began()
            except AskError as error:
                done.failed.append(error.message)
            else:
                self._mend(listed, began, done)
        if self._settings.watchdog is not None:
            self._watch(done)
        return done

    # --- Alertmanager ----------------------------------------------------------------------------

    def _mend(self, listed: list[Listed], began: datetime, done: Round) -> None:
        now = self._store.clock()
        known = {one.fingerprint: one for one in self._store.open_episodes(ALERTMANAGER)}
        missing = []
        for alert in listed:
            episode = known.pop(alert.fingerprint, None)
            if episode is not None:
                self._say_silenced(episode, alert, done)
            elif alert.status.state != "suppressed" and not self._settings.is_watchdog(
                alert.labels
            ):
                missing.append(alert)
        if missing:
            self._take([_as_sent(alert, "firing") for alert in missing])
            done.opened += [alert.labels.get("alertname", "") for alert in missing]
        firing, dead = self._firing(done)
        settled = now - began >= SETTLED and not dead
        gone = [
            one
            for one in known.values()
            if settled and now - one.seen_at >= SETTLED and not _among(one, firing)
        ]
        if gone:
            self._take([_as_ended(one, now) for one in gone])
            done.closed += [one.title for one in gone]
        if dead:
            self._doubt(now, done)

    def _take(self, alerts: list[dict[str, Any]]) -> None:
        body = {
            "version": "4",
            "status": alerts[0]["status"],
            "receiver": self._settings.receiver or "",
            "groupKey": "triagebook/reconciliation",
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": self._settings.alertmanager or "",
            "truncatedAlerts": 0,
            "alerts": alerts,
        }
        self._intake.take(ALERTMANAGER, _ORIGIN, json.dumps(body).encode())

    def _say_silenced(self, episode: EpisodeView, alert: Listed, done: Round) -> None:
        by = ", ".join([*alert.status.silenced, *alert.status.inhibited]) or "a rule"
        if alert.status.state != "suppressed":
            if episode.silenced_by is not None:
                text = f"{episode.title}: no longer silenced in Alertmanager"
                self._store.set_silenced(ALERTMANAGER, episode.fingerprint, None, text)
            return
        word = "silenced" if alert.status.silenced else "inhibited"
        if episode.silenced_by == by:
            return
        text = f"{episode.title}: {word} in Alertmanager by {by}"
        if self._store.set_silenced(ALERTMANAGER, episode.fingerprint, by, text):
            done.silenced.append(episode.title)

    def _doubt(self, now: datetime, done: Round) -> None:
        for one in self._store.closed_episodes(ALERTMANAGER, since=now - _DOUBTED):
            if self._once("doubted", one.incident_id, iso(one.closed_at or now)):
                text = f"{one.title}: told to be over, but Prometheus does not answer; it may go on"
                self._store.add_note(one.incident_id, "doubted", text)
                done.doubted.append(one.title)

    def _once(self, *what: str) -> bool:
        key = (what[0], what[1], what[2])
        if key in self._noted:
            return False
        self._noted.add(key)
        return True

    def _listed(self) -> list[Listed]:
        query = {"receiver": f"^{self._settings.receiver}$"} if self._settings.receiver else {}
        answer = self._ask(f"{self._settings.alertmanager}/api/v2/alerts", query)
        try:
            return _LISTED.validate_python(answer)
        except ValidationError as error:
            raise AskError(f"Alertmanager's list is not understood: {problems(error)}") from error

    def _alertmanager_began(self) -> datetime:
        answer = self._ask(f"{self._settings.alertmanager}/api/v2/status", {})
        try:
            return TypeAdapter(datetime).validate_python(answer["uptime"])
        except (KeyError, TypeError, ValidationError) as error:
            raise AskError("Alertmanager does not say since when it runs") from error

    def _firing(self, done: Round) -> tuple[list[dict[str, str]], bool]:
        """Return the labels of what fires in Prometheus, and whether it is configured and dead."""
        if self._settings.prometheus is None:
            return [], False
        try:
            answer = self._ask(f"{self._settings.prometheus}/api/v1/alerts", {})
            alerts = answer["data"]["alerts"]
            return [a["labels"] for a in alerts if a["state"] == "firing"], False
        except AskError as error:
            done.failed.append(error.message)
        except (KeyError, TypeError):
            done.failed.append("Prometheus' list of alerts is not understood")
        return [], True

    def _ask(self, url: str, query: dict[str, str]) -> Any:
        try:
            answer = self._client.get(url, params=query)
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            raise AskError(f"{url} could not be asked: {why}") from error

    # --- the watchdog ----------------------------------------------------------------------------

    def _watch(self, done: Round) -> None:
        now = self._store.clock()
        last = max(self._intake.heard or self._began, self._began)
        silent_s = (now - last).total_seconds()
        raised = any(e.fingerprint == _WATCHDOG for e in self._store.open_episodes(OWN))
        if silent_s > self._settings.watchdog_within and not raised:
            title = f"the watchdog alert {self._settings.watchdog} stopped coming"
            words = (
                f"It was last heard {iso(last)}. Nothing else that fires may reach triagebook: look at "
                "Prometheus, Alertmanager and the way from there to here."
            )
            self._raise_own("firing", title, words, last)
            done.opened.append(title)
        elif silent_s <= self._settings.watchdog_within and raised and self._intake.heard:
            title = f"the watchdog alert {self._settings.watchdog} comes again"
            self._raise_own("resolved", title, f"It was heard {iso(last)}.", now)
            done.closed.append(title)

    def _raise_own(self, status: str, title: str, words: str, at: datetime) -> None:
        body = {
            "fingerprint": _WATCHDOG,
            "status": status,
            "title": title,
            "description": words,
            "labels": {"alertname": "AlertingIsSilent", "severity": "critical"},
            "at": iso(at),
        }
        self._intake.take(OWN, _ORIGIN, json.dumps(body).encode())


def _as_sent(alert: Listed, status: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": iso(alert.starts_at) if alert.starts_at else "0001-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def _as_ended(episode: EpisodeView, now: datetime) -> dict[str, Any]:
    began = episode.starts_at
    return {
        "status": "resolved",
        "labels": episode.alert.labels if episode.alert else {},
        "annotations": {},
        "startsAt": iso(began) if began else "0001-01-01T00:00:00Z",
        "endsAt": iso(now),
        "generatorURL": "",
        "fingerprint": episode.fingerprint,
    }


def _among(episode: EpisodeView, firing: Iterable[dict[str, str]]) -> bool:
    """Tell whether Prometheus lists the alert: external labels come on top of its own there."""
    mine = (episode.alert.labels if episode.alert else {}).items()
    return any(labels.items() <= mine for labels in firing)
