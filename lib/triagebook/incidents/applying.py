"""The alerts of one delivery, in one transaction: what each does to its episode and its incident."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import func, insert, select, update

from triagebook.core.times import iso
from triagebook.incidents.correlation import Correlation, Place
from triagebook.incidents.fingerprints import of_alert
from triagebook.incidents.ids import incident_id
from triagebook.incidents.line import OVER, held_words, hurry
from triagebook.incidents.maintenance import Hold, hold
from triagebook.incidents.notes import line, write
from triagebook.incidents.refresh import Refreshing, plan
from triagebook.incidents.search import as_words
from triagebook.incidents.tables import alerts, episodes, incident_words, incidents, runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping

    from triagebook.core.models import Alert, IncidentType
    from triagebook.core.settings import Settings
    from triagebook.incidents.routes import Route
    from triagebook.incidents.store import Store
    from triagebook.incidents.views import RefreshWhy, TimelineKind

UNTITLED = "an alert without a name"

LONGEST_TITLE = 300
"""Characters of a title that are kept; the alert itself keeps them all."""

_AT_ONCE = 500


@dataclass(frozen=True)
class Applied:
    """What a delivery did: the incidents it opened, and all that its alerts belong to.

    `joined` are those of before that a new alert belongs to now, or one that fires again.
    `to_run` are those whose run is to be told to the queue: new, more urgent, or no longer held.
    It is not read back.
    """

    opened: list[str] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    to_run: list[str] = field(default_factory=list, compare=False)


@dataclass(frozen=True)
class Over:
    """What holds over time: which incident an alert joins, and when that is looked at again."""

    correlation: Correlation = field(default_factory=Correlation)
    refreshing: Refreshing = field(default_factory=Refreshing.never)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read the settings."""
        return cls(Correlation.of(settings), Refreshing.of(settings.refresh))


DELIVERY_ALONE = Over()
"""Nothing is held together over time, and nothing is looked at again."""


@dataclass(frozen=True)
class Routed:
    """An alert that knows where it goes."""

    alert: Alert
    route: Route
    fingerprint: str
    title: str

    @classmethod
    def of(cls, alert: Alert, route: Route) -> Routed:
        """Give it the title and fingerprint it is kept under."""
        known = {"incident_type": route.incident_type, "service": route.service}
        title = alert.title or alert.labels.get("alertname") or UNTITLED
        if len(title) > LONGEST_TITLE:
            title = title[: LONGEST_TITLE - 1] + "…"
        fingerprint = of_alert(alert)
        told = alert.model_copy(update=known | {"fingerprint": fingerprint})
        return cls(told, route, fingerprint, title)

    @property
    def key(self) -> tuple[IncidentType, str]:
        """What correlates the alerts of one delivery."""
        return self.route.incident_type, self.route.subject

    @property
    def fires(self) -> bool:
        """Whether it tells of a beginning, or of what still goes on."""
        return self.alert.status == "firing"


def _in_order(found: dict[int, str]) -> list[str]:
    return list(dict.fromkeys(name for _, name in sorted(found.items())))


@dataclass
class Work:
    """One delivery in one transaction."""

    store: Store
    connection: Connection
    sender: str
    delivery: str | None
    now: datetime
    over: Over = DELIVERY_ALONE
    opened: list[str] = field(default_factory=list)
    touched: dict[int, str] = field(default_factory=dict)  # position to incident
    joined: dict[int, str] = field(default_factory=dict)
    to_run: dict[str, None] = field(default_factory=dict)
    joinable: dict[tuple[IncidentType, str], str] = field(default_factory=dict)
    # A storm's groups are large: what is asked or written once for all of them is not done for each.
    open_now: dict[str, RowMapping | None] = field(default_factory=dict)
    own: dict[str, Place] | None = None  # None: to be asked, of all in `firing`
    firing: list[str] = field(default_factory=list)
    fresh: set[str] = field(default_factory=set)
    urged: dict[str, tuple[int, bool]] = field(default_factory=dict)  # rank, and whether free
    planned: dict[str, RefreshWhy] = field(default_factory=dict)  # the last, per incident
    notes: list[dict[str, Any]] = field(default_factory=list)
    recorded: list[dict[str, Any]] = field(default_factory=list)

    def apply(self, routed: Sequence[Routed]) -> Applied:
        """Apply them all."""
        self._look_up([item.fingerprint for item in routed])
        self.firing = [item.fingerprint for item in routed if item.fires]
        # Incidents that this delivery's firing alerts already belong to, so that a replica that
        # falls over a minute later joins them.
        for item in routed:
            episode = self._open_episode(item) if item.fires else None
            if episode is not None and self._can_join(episode["incident_id"]):
                self.joinable.setdefault(item.key, episode["incident_id"])
        for position in self._order(routed):
            item = routed[position]
            episode_id, name = self._fire(item, position) if item.fires else self._resolve(item)
            self.record(item.alert, position, episode_id, name)
            if name is not None:
                self.touched[position] = name
        self.keep_recorded()
        return Applied(
            opened=self.opened,
            incidents=_in_order(self.touched),
            joined=[name for name in _in_order(self.joined) if name not in self.opened],
            to_run=list(self.to_run),
        )

    def _order(self, routed: Sequence[Routed]) -> list[int]:
        """Put what fires before what is over: a group is a picture of one moment.

        Else the last old alert would end the incident that the new one is part of. An alert that
        is told both ways keeps its order.
        """
        if not self.over.correlation.on:
            return list(range(len(routed)))
        ended = {item.fingerprint for item in routed if not item.fires}
        late = [not item.fires or item.fingerprint in ended for item in routed]
        return sorted(range(len(routed)), key=late.__getitem__)

    def record(self, alert: Alert, position: int, episode_id: int | None, name: str | None) -> None:
        """Note an alert, as the routes made it, for `keep_recorded`."""
        row = {
            "delivery_id": self.delivery,
            "position": position,
            "episode_id": episode_id,
            "incident_id": name,
            "received_at": self.now,
            "status": alert.status,
            "alert": alert.model_dump(mode="json"),
        }
        self.recorded.append(row)

    def keep_recorded(self) -> None:
        """Write the alerts and the lines of timelines that were noted."""
        if self.recorded:
            self.connection.execute(insert(alerts), self.recorded)
            self.recorded = []
        self._keep_notes()

    def new_incident(self, item: Routed, held: Hold | None = None) -> str:
        """Open an incident, with its first run queued, or held back."""
        name = self._free_name()
        state = "queued" if held is None else "held"
        row = {
            "id": name,
            "incident_type": item.route.incident_type.value,
            "service": item.route.service,
            "title": item.title,
            "state": "open",
            "opened_at": self.now,
            "updated_at": self.now,
            "run_state": state,
            "attempt": 1,
            "priority": item.route.priority,
            "queued_at": self.now,
            "held_until": held.until if held else None,
            "held_because": held.reason if held else None,
            "runbook": item.route.runbook,
            "parameters": item.route.parameters,
            "alert": item.alert.model_dump(mode="json"),
            "delivery_id": self.delivery,
        }
        if self.delivery is not None:
            # One opened by hand is somebody's own look: no alert joins it, no clock repeats it.
            row |= {"alerted_at": self.now, "subject": item.route.subject}
            row |= self.over.refreshing.scheduled("open", 0, self.now)
        if item.route.alone:
            row["subject"] = None
        added = self.connection.execute(insert(incidents), row)
        seq = added.inserted_primary_key[0] if added.inserted_primary_key else None
        words = as_words(name, item.title, item.route.service)
        self.connection.execute(insert(incident_words), {"seq": seq, "words": words})
        self.fresh.add(name)
        self.urged[name] = (item.route.priority, held is None)
        first = {"incident_id": name, "attempt": 1, "state": state, "queued_at": self.now}
        self.connection.execute(insert(runs), first)
        told = {"delivery": self.delivery, "fingerprint": item.fingerprint}
        self._note(name, "received", f"{self.sender}: {item.title}", **told)
        if held is None:
            self._note(name, "queued", f"run 1 of {item.route.runbook} queued", attempt=1)
            self.to_run.setdefault(name)
        else:
            self._note(name, "held", held_words(held.until, held.reason), attempt=1)
        self.opened.append(name)
        return name

    def _free_name(self) -> str:
        while True:
            name = incident_id(self.now, self.store.tail(5))
            taken = select(func.count()).where(incidents.c.id == name)
            if not self.connection.scalar(taken):
                return name

    def _fire(self, item: Routed, position: int) -> tuple[int, str]:
        episode = self._open_episode(item)
        if episode is None:
            episode_id, name = self._new_episode(item)
            self.joined[position] = name
            return episode_id, name
        told = {"seen_at": self.now, "alerts": episodes.c.alerts + 1}
        if item.alert.starts_at is not None:
            told["starts_at"] = item.alert.starts_at
        self._update_episode(episode["id"], **told)
        self._touch(episode["incident_id"])
        self._hurry(episode["incident_id"], item)
        return episode["id"], episode["incident_id"]

    def _new_episode(self, item: Routed) -> tuple[int, str]:
        place = self._place(item)
        if place is None:
            name = self.new_incident(item, hold(item.route.windows, self.now))
        else:
            name = place.incident
            self._join(place, item)
            self._hurry(name, item)
        self.joinable.setdefault(item.key, name)
        row = {
            "sender": self.sender,
            "fingerprint": item.fingerprint,
            "incident_id": name,
            "title": item.title,
            "starts_at": item.alert.starts_at,
            "opened_at": self.now,
            "seen_at": self.now,
            "alerts": 1,
        }
        self.open_now.pop(item.fingerprint, None)
        query = insert(episodes).returning(episodes.c.id)
        return self.connection.execute(query, row).scalar_one(), name

    def _hurry(self, name: str, item: Routed) -> None:
        """Let an alert that fires make its incident's run more urgent, or end its being held back."""
        free = hold(item.route.windows, self.now) is None
        rank = item.route.priority
        known = self.urged.get(name)
        if known is not None and known[0] <= rank and (known[1] or not free):
            return  # another alert of this delivery did that
        self.urged[name] = (
            (rank, free) if known is None else (min(rank, known[0]), known[1] or free)
        )
        self._keep_notes()
        if hurry(self.connection, name, rank, self.now, item.title, free=free):
            self.to_run.setdefault(name)

    def _place(self, item: Routed) -> Place | None:
        correlation = self.over.correlation
        if self.own is None:
            self.own = correlation.own_places(self.connection, self.sender, self.firing, self.now)
        if item.fingerprint in self.own:
            return self.own[item.fingerprint]
        beside = self.joinable.get(item.key)
        if beside is not None:
            return Place(beside, "same delivery", over=False)
        return correlation.place(self.connection, item.route, self.now)

    def _join(self, place: Place, item: Routed) -> None:
        """Add an alert to an incident, which it opens again where that was over."""
        name = place.incident
        data = {"fingerprint": item.fingerprint, "sender": self.sender, "why": place.why}
        kind: TimelineKind = "reopened" if place.over else "joined"
        word = "fires" if place.over else "also"
        self._note(name, kind, f"{word}: {item.title}; {place.why}", **data)
        self._touch(name)
        if place.over:
            self.own = None  # for what follows it is open
            self.connection.execute(
                update(incidents)
                .where(incidents.c.id == name)
                .values(state="open", resolved_at=None)
            )
        self._plan(name, "reopened" if place.over else "joined")

    def _plan(self, name: str, why: RefreshWhy) -> None:
        if self.planned.get(name) != why:
            self.planned[name] = why
            plan(self.connection, name, why, self.now, self.over.refreshing)

    def _resolve(self, item: Routed) -> tuple[int | None, str | None]:
        episode = self._open_episode(item)
        if episode is None:
            return None, None
        ends_at = item.alert.ends_at or self.now
        told = {"seen_at": self.now, "closed_at": self.now, "ends_at": ends_at}
        self._update_episode(episode["id"], alerts=episodes.c.alerts + 1, **told)
        self.open_now[item.fingerprint] = None
        self.own = None  # should it fire again in this delivery
        name = episode["incident_id"]
        self._locked_state(name)  # or two services that close the last two both see one left
        left = self._still_open(name)
        data = {"fingerprint": item.fingerprint, "ends_at": iso(ends_at), "still_firing": left}
        if left:
            self._note(name, "cleared", f"over: {item.title}; still firing: {left}", **data)
            self._touch(name)
        else:
            self._note(name, "resolved", f"{self.sender}: over: {item.title}", **data)
            self._resolve_incident(name)
        # A later firing alert of this delivery must not join what is just over.
        if not left:
            self.joinable = {k: v for k, v in self.joinable.items() if v != name}
        return episode["id"], name

    def _resolve_incident(self, name: str) -> None:
        self._touch(name)
        done = self.connection.execute(
            update(incidents)
            .where(incidents.c.id == name, incidents.c.state.not_in(OVER))
            .values(state="resolved", resolved_at=self.now)
        )
        if done.rowcount:
            self._plan(name, "resolved")

    def _open_episode(self, item: Routed) -> RowMapping | None:
        if item.fingerprint not in self.open_now:
            self._look_up([item.fingerprint])
        return self.open_now[item.fingerprint]

    def _look_up(self, fingerprints: Sequence[str]) -> None:
        """Remember which open episode there is of each fingerprint, locked for this transaction."""
        self.open_now.update(dict.fromkeys(fingerprints))
        for start in range(0, len(fingerprints), _AT_ONCE):
            query = select(episodes.c.id, episodes.c.incident_id, episodes.c.fingerprint).where(
                episodes.c.sender == self.sender,
                episodes.c.fingerprint.in_(fingerprints[start : start + _AT_ONCE]),
                episodes.c.closed_at.is_(None),
            )
            # In one order everywhere, so that two services do not wait for each other.
            query = query.order_by(episodes.c.id).with_for_update()
            for row in self.connection.execute(query).mappings():
                self.open_now[row["fingerprint"]] = row

    def _can_join(self, name: str) -> bool:
        return self._locked_state(name) not in OVER

    def _locked_state(self, name: str) -> str | None:
        """Return an incident's state, which no other service changes until this is kept."""
        query = select(incidents.c.state).where(incidents.c.id == name).with_for_update()
        return self.connection.scalar(query)

    def _still_open(self, name: str) -> int:
        query = select(func.count()).where(
            episodes.c.incident_id == name, episodes.c.closed_at.is_(None)
        )
        return int(self.connection.scalar(query) or 0)

    def _update_episode(self, episode_id: int, **values: Any) -> None:
        self.connection.execute(
            update(episodes).where(episodes.c.id == episode_id).values(**values)
        )

    def _touch(self, name: str) -> None:
        if name in self.fresh:
            return
        self.fresh.add(name)
        told = {"updated_at": self.now, "alerted_at": self.now}
        self.connection.execute(update(incidents).where(incidents.c.id == name).values(**told))

    def _note(self, name: str, kind: TimelineKind, text: str, **data: Any) -> None:
        self.notes.append(line(name, self.now, kind, text, **data))

    def _keep_notes(self) -> None:
        """Write the lines so far: before others write lines of the same incidents."""
        write(self.connection, self.notes)
        self.notes = []
