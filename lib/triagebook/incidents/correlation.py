"""Which incident a new episode belongs to: of the same service or a neighbour's, a short while ago."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from sqlalchemy import func, select

from triagebook.core.words import span
from triagebook.incidents.neighbours import Neighbours, groups, neighbours
from triagebook.incidents.tables import episodes, incidents, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping

    from triagebook.core.settings import Settings
    from triagebook.incidents.routes import Route

OWN_SENDER = "triagebook"
"""What triagebook itself raises, about the alerting: it belongs to nothing else, and nothing to it."""

DOUBT_LASTS = timedelta(days=1)
"""How long an alert whose end was doubted is still the same trouble when it fires again."""

SERVICE = "service:"
"""What the subject of an alert about a known service begins with."""

_OPEN, _AGAIN, _NEXT_TO = range(3)
_OWN = (episodes.c.incident_id, episodes.c.closed_at, incidents.c.state)
_AT_ONCE = 500


@dataclass(frozen=True)
class Place:
    """The incident that a new episode belongs to, why, and whether that one was over."""

    incident: str
    why: str
    over: bool


@dataclass(frozen=True)
class Correlation:
    """What belongs together over time.

    Attributes
    ----------
    window : timedelta
        How old an incident's last alert may be; zero joins within a delivery only.
    neighbours : dict
        Services one step apart, with the reason.
    """

    window: timedelta = timedelta(0)
    neighbours: Neighbours = field(default_factory=dict)
    _groups: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read `[correlation]` and the services' topology."""
        wanted = settings.correlation
        found = neighbours(settings.services) if wanted.topology else {}
        return cls(timedelta(seconds=wanted.window), found, groups(found))

    @property
    def on(self) -> bool:
        """Whether alerts of several deliveries are held together at all."""
        return self.window > timedelta(0)

    def lock(self, connection: Connection, routes: Iterable[Route]) -> None:
        """Let one service at a time place alerts that could belong together; until the commit.

        SQLite has one writer anyway. On Postgres two services would each see no incident yet, and
        each open one.
        """
        if not self.on or connection.dialect.name != "postgresql":
            return
        # In one order, so that no two wait for each other.
        for name in sorted({self._lock_name(route.subject) for route in routes}):
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(name))))

    def _lock_name(self, subject: str) -> str:
        service = subject.removeprefix(SERVICE)
        return f"correlation/{self._groups.get(service, subject)}"

    def own_places(
        self, connection: Connection, sender: str, fingerprints: Sequence[str], now: datetime
    ) -> dict[str, Place]:
        """Find the incidents whose own alerts these are, over for no longer than the window.

        Where an alert's end was doubted (Prometheus did not answer), it may be over for a day.

        Returns
        -------
        dict
            Fingerprint to place, of those that have one.
        """
        if not self.on:
            return {}
        found: dict[str, Place] = {}
        for start in range(0, len(fingerprints), _AT_ONCE):
            last = (
                select(func.max(episodes.c.id))
                .where(
                    episodes.c.sender == sender,
                    episodes.c.fingerprint.in_(fingerprints[start : start + _AT_ONCE]),
                    episodes.c.closed_at >= now - max(self.window, DOUBT_LASTS),
                )
                .group_by(episodes.c.fingerprint)
            )
            query = (
                select(episodes.c.fingerprint, *_OWN)
                .join(incidents, incidents.c.id == episodes.c.incident_id)
                .where(episodes.c.id.in_(last), incidents.c.state != "reviewed")
                .order_by(incidents.c.seq)
                .with_for_update(of=incidents)
            )
            for row in connection.execute(query).mappings().all():
                place = self._own_place(connection, row, now)
                if place is not None:
                    found[row["fingerprint"]] = place
        return found

    def _own_place(self, connection: Connection, row: RowMapping, now: datetime) -> Place | None:
        name, gone, over = row["incident_id"], now - row["closed_at"], row["state"] == "resolved"
        if gone <= self.window:
            return Place(name, f"it was over for {_span(gone)}", over=over)
        if _doubted(connection, name, row["closed_at"]):
            return Place(name, "its end was doubted", over=over)
        return None

    def place(self, connection: Connection, route: Route, now: datetime) -> Place | None:
        """Find the newest incident that a new alert belongs to, by service or else by subject.

        First one of the same service that is open, then one of the same service that is just over,
        then an open one of a neighbour.
        """
        if not self.on or route.alone:
            return None
        beside = self._beside(route.subject)
        query = (
            select(incidents.c.id, incidents.c.subject, incidents.c.state, incidents.c.seq)
            .where(
                incidents.c.subject.in_([route.subject, *beside]),
                incidents.c.alerted_at >= now - self.window,
                incidents.c.state != "reviewed",
            )
            .order_by(incidents.c.seq)
            .with_for_update()
        )
        if not route.subject.startswith(SERVICE):
            query = query.where(incidents.c.incident_type == route.incident_type.value)
        ranked: list[tuple[int, int, Place]] = []
        for name, subject, state, seq in connection.execute(query):
            over, same = state == "resolved", subject == route.subject
            if same:
                rank = _AGAIN if over else _OPEN
                ranked.append((rank, -seq, Place(name, self._same(route), over=over)))
            elif not over:
                ranked.append((_NEXT_TO, -seq, Place(name, beside[subject], over=False)))
        return min(ranked, key=lambda one: one[:2])[2] if ranked else None

    def _beside(self, subject: str) -> dict[str, str]:
        if not subject.startswith(SERVICE):
            return {}
        known = self.neighbours.get(subject.removeprefix(SERVICE), {})
        return {f"{SERVICE}{name}": why for name, why in known.items()}

    def _same(self, route: Route) -> str:
        what = "service" if route.subject.startswith(SERVICE) else "alert"
        return f"same {what} within {_span(self.window)}"


def _doubted(connection: Connection, incident_id: str, since: datetime) -> bool:
    query = select(func.count()).where(
        timeline.c.incident_id == incident_id,
        timeline.c.kind == "doubted",
        timeline.c.ts >= since,
    )
    return bool(connection.scalar(query))


def _span(length: timedelta) -> str:
    return span(max(length.total_seconds(), 0.0))
