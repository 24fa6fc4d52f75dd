"""Apply one delivery: episodes open and close, incidents open and resolve, changes are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from triagebook.core.errors import StoreError
from triagebook.core.times import iso
from triagebook.incidents.changes import Announced, keep
from triagebook.incidents.correlation import Correlation, Place
from triagebook.incidents.deliveries import settle
from triagebook.incidents.fingerprints import of_alert
from triagebook.incidents.ids import incident_id
from triagebook.incidents.line import OVER, held_words, hurry
from triagebook.incidents.maintenance import Hold, hold
from triagebook.incidents.notes import note
from triagebook.incidents.refresh import Refreshing, plan
from triagebook.incidents.search import as_words
from triagebook.incidents.tables import alerts, episodes, incident_words, incidents, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping

    from triagebook.core.models import Alert, IncidentType
    from triagebook.core.settings import Settings
    from triagebook.incidents.routes import Route
    from triagebook.incidents.store import Store
    from triagebook.incidents.views import TimelineKind

UNTITLED = "an alert without a name"

LONGEST_TITLE = 300
"""Characters of a title that are kept; the alert itself keeps them all."""

# On Postgres two services may open the same episode at once; the loser then finds it open.
_TRIES = 3
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


def apply_delivery(
    store: Store,
    delivery: str,
    alerts_: Sequence[Alert],
    route: Callable[[Alert], Route],
    over: Over = DELIVERY_ALONE,
    announced: Sequence[Announced] = (),
) -> Applied | None:
    """Apply the alerts and changes of a stored delivery, in one transaction, and mark it processed.

    A firing alert whose episode is open changes nothing but that episode. A new one goes back to
    the incident it was part of a short while ago, or joins the incident that another firing alert
    of the same delivery belongs to, if incident type and subject are the same, or the one that
    `over.correlation` finds; or it opens one. A resolved alert closes its episode, whatever its
    start; the last one resolves the incident. One that nothing waited for is recorded only.

    Parameters
    ----------
    delivery : str
        Id of a delivery whose status is `stored`.
    alerts_ : sequence of Alert
        What the sender's parser made of the body.
    route : callable
        Says where an alert goes.
    over : Over
        What holds over time.
    announced : sequence of Announced
        What the body says was changed.

    Returns
    -------
    Applied or None
        None where the delivery was processed before: nothing is done twice.
    """
    routed = [_Routed.of(alert, route(alert)) for alert in alerts_]
    for left in reversed(range(_TRIES)):
        try:
            with store.database.write() as connection:
                store.database.in_order(connection)
                settled = settle(connection, delivery, "processed")
                if settled is None:
                    break
                over.correlation.lock(connection, (item.route for item in routed))
                sender, now = settled
                keep(connection, announced, delivery, sender, now)
                work = _Work(store, connection, sender, delivery, now, over)
                return work.apply(routed)
        except IntegrityError:
            if not left:
                raise
    if store.deliveries.get(delivery) is None:
        raise StoreError(f"there is no delivery {delivery!r} to process")
    return None


def outcome_of(store: Store, delivery: str) -> Applied:
    """Return what a delivery did, read back from the store; empty where it is not processed."""
    opened = (
        select(incidents.c.id).where(incidents.c.delivery_id == delivery).order_by(incidents.c.seq)
    )
    belongs = (
        select(alerts.c.incident_id)
        .where(alerts.c.delivery_id == delivery, alerts.c.incident_id.is_not(None))
        .order_by(alerts.c.position)
    )
    earlier = alerts.alias()
    told_before = (
        select(earlier.c.id)
        .where(
            earlier.c.incident_id == alerts.c.incident_id,
            earlier.c.episode_id == alerts.c.episode_id,
            earlier.c.id < alerts.c.id,
        )
        .exists()
    )
    joined = (
        belongs.join(incidents, incidents.c.id == alerts.c.incident_id)
        .where(alerts.c.episode_id.is_not(None), ~told_before)
        .where(func.coalesce(incidents.c.delivery_id, "") != delivery)
    )
    with store.database.read() as connection:
        return Applied(
            opened=list(connection.scalars(opened)),
            incidents=list(dict.fromkeys(connection.scalars(belongs))),
            joined=list(dict.fromkeys(connection.scalars(joined))),
        )


def open_incident(store: Store, alert: Alert, route: Route) -> str:
    """Open an incident by hand, without a delivery and an episode; returns its id.

    Its run is queued, like any other's.
    """
    with store.database.write() as connection:
        work = _Work(store, connection, alert.sender, None, store.clock())
        name = work.new_incident(_Routed.of(alert, route))
        work.record(alert, 0, None, name)
        work.keep_recorded()
    return name


@dataclass(frozen=True)
class _Routed:
    """An alert that knows where it goes."""

    alert: Alert
    route: Route
    fingerprint: str
    title: str

    @classmethod
    def of(cls, alert: Alert, route: Route) -> _Routed:
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
        return self.alert.status == "firing"


def _in_order(found: dict[int, str]) -> list[str]:
    return list(dict.fromkeys(name for _, name in sorted(found.items())))


@dataclass
class _Work:
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
    fresh: set[str] = field(default_factory=set)
    recorded: list[dict[str, Any]] = field(default_factory=list)

    def apply(self, routed: Sequence[_Routed]) -> Applied:
        self._look_up([item.fingerprint for item in routed])
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

    def _order(self, routed: Sequence[_Routed]) -> list[int]:
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
        """Write the alerts that were noted."""
        if self.recorded:
            self.connection.execute(insert(alerts), self.recorded)
            self.recorded = []

    def new_incident(self, item: _Routed, held: Hold | None = None) -> str:
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

    def _fire(self, item: _Routed, position: int) -> tuple[int, str]:
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

    def _new_episode(self, item: _Routed) -> tuple[int, str]:
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
        query = insert(episodes).values(row).returning(episodes.c.id)
        return self.connection.execute(query).scalar_one(), name

    def _hurry(self, name: str, item: _Routed) -> None:
        """Let an alert that fires make its incident's run more urgent, or end its being held back."""
        free = hold(item.route.windows, self.now) is None
        if hurry(self.connection, name, item.route.priority, self.now, item.title, free=free):
            self.to_run.setdefault(name)

    def _place(self, item: _Routed) -> Place | None:
        correlation = self.over.correlation
        own = correlation.own_place(self.connection, self.sender, item.fingerprint, self.now)
        if own is not None:
            return own
        beside = self.joinable.get(item.key)
        if beside is not None:
            return Place(beside, "same delivery", over=False)
        return correlation.place(self.connection, item.route, self.now)

    def _join(self, place: Place, item: _Routed) -> None:
        """Add an alert to an incident, which it opens again where that was over."""
        name = place.incident
        data = {"fingerprint": item.fingerprint, "sender": self.sender, "why": place.why}
        kind: TimelineKind = "reopened" if place.over else "joined"
        word = "fires" if place.over else "also"
        self._note(name, kind, f"{word}: {item.title}; {place.why}", **data)
        self._touch(name)
        if place.over:
            self.connection.execute(
                update(incidents)
                .where(incidents.c.id == name)
                .values(state="open", resolved_at=None)
            )
        plan(
            self.connection,
            name,
            "reopened" if place.over else "joined",
            self.now,
            self.over.refreshing,
        )

    def _resolve(self, item: _Routed) -> tuple[int | None, str | None]:
        episode = self._open_episode(item)
        if episode is None:
            return None, None
        ends_at = item.alert.ends_at or self.now
        told = {"seen_at": self.now, "closed_at": self.now, "ends_at": ends_at}
        self._update_episode(episode["id"], alerts=episodes.c.alerts + 1, **told)
        self.open_now[item.fingerprint] = None
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
            plan(self.connection, name, "resolved", self.now, self.over.refreshing)

    def _open_episode(self, item: _Routed) -> RowMapping | None:
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
        note(self.connection, name, self.now, kind, text, **data)
