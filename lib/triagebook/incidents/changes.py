"""The change feed: what senders of changes posted, and which of it concerns a service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, tuple_

from triagebook.core.models import Change
from triagebook.core.times import iso
from triagebook.incidents.tables import changes
from triagebook.incidents.views import ChangeView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from triagebook.core.settings import ServiceSettings
    from triagebook.incidents.database import Database

NEWEST = "latest"
"""The alias that moves by itself with each new version; registries let nobody set it."""

CLOCKS_DIFFER_S = 300.0
"""A time that lies no farther in the future is a clock that differs a little, and no news."""


@dataclass(frozen=True)
class Announced:
    """A change as a sender of changes tells it.

    Attributes
    ----------
    subject : str
        What was changed, such as a registered model's name; at most 256 characters.
    change : Change
        Its `from` is looked up when the feed is read.
    alias : str or None
        What of the subject points at `to` from now on, at most 256 characters; `latest` for a new
        version. None where nothing does: then the change puts nothing into use.
    """

    subject: str
    change: Change
    alias: str | None = None


class Changes:
    """The change feed of one database.

    Parameters
    ----------
    database : Database
    clock : callable
        Gives now, aware UTC.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def latest(self, limit: int = 100, subject: str | None = None) -> list[ChangeView]:
        """Return what was posted, newest first: about a subject, or all."""
        conditions = [] if subject is None else [changes.c.subject == subject]
        return self._views(conditions, [changes.c.id.desc()], limit)

    def about(self, subjects: Iterable[str], limit: int) -> list[ChangeView]:
        """Return what was put into use of some subjects up to now: the newest so many, oldest first."""
        conditions = [
            changes.c.subject.in_(sorted(subjects)),
            changes.c.alias.is_not(None),
            changes.c.ts <= self._clock(),
        ]
        return self._views(conditions, [changes.c.ts.desc(), changes.c.id.desc()], limit)[::-1]

    def senders(self) -> list[str]:
        """Return who posted any change so far, sorted."""
        found: list[str] = []
        with self._database.read() as connection:
            # From one to the next by the index: DISTINCT would read every row.
            query = select(func.min(changes.c.sender))
            while (sender := connection.scalar(query)) is not None:
                found.append(sender)
                query = select(func.min(changes.c.sender)).where(changes.c.sender > sender)
        return found

    def _views(
        self,
        conditions: Sequence[ColumnElement[bool]],
        order: Sequence[ColumnElement[Any]],
        limit: int,
    ) -> list[ChangeView]:
        before = changes.alias("before")
        # Looked up now and not when it was kept: deliveries overtake each other.
        previous = (
            select(before.c.change)
            .where(
                before.c.sender == changes.c.sender,
                before.c.subject == changes.c.subject,
                before.c.alias == changes.c.alias,
                tuple_(before.c.ts, before.c.id) < tuple_(changes.c.ts, changes.c.id),
            )
            .order_by(before.c.ts.desc(), before.c.id.desc())
            .limit(1)
            .correlate(changes)
            .scalar_subquery()
            .label("previous")
        )
        kept = [column for column in changes.c if column.name in ChangeView.model_fields]
        query = select(*kept, previous).where(*conditions).order_by(*order).limit(limit)
        with self._database.read() as connection:
            return [_view(dict(row)) for row in connection.execute(query).mappings()]


def keep(
    connection: Connection,
    announced: Sequence[Announced],
    delivery: str,
    sender: str,
    received_at: datetime,
) -> None:
    """Write the changes of a delivery into the feed, in the caller's transaction."""
    rows = []
    for position, one in enumerate(announced):
        change = believed(one.change, received_at)
        rows.append(
            {
                "delivery_id": delivery,
                "position": position,
                "sender": sender,
                "subject": one.subject,
                "alias": one.alias,
                "ts": change.ts,
                "received_at": received_at,
                "change": change.model_dump(mode="json", by_alias=True),
            }
        )
    if rows:
        connection.execute(insert(changes), rows)


def believed(change: Change, received_at: datetime) -> Change:
    """Return a change at no later a time than it was received.

    A time told that lies more than `CLOCKS_DIFFER_S` in the future is kept in the extra key `told_at`.
    """
    if change.ts <= received_at:
        return change
    told = {}
    if change.ts - received_at > timedelta(seconds=CLOCKS_DIFFER_S):
        told = {"told_at": iso(change.ts)}
    return change.model_copy(update={"ts": received_at, **told})


def subjects_of(service: ServiceSettings) -> set[str]:
    """Return what a change must be about to concern a service: its model, itself, what it depends on."""
    return {*_own(service), *service.dependencies}


def concerning(found: Iterable[ChangeView], service: ServiceSettings) -> list[Change]:
    """Return those changes that put something into use for a service, as its evidence.

    Of its own model those of the alias that it is loaded by (`model.alias`); where none is named, of
    any alias that people set. `latest` counts only where it is the one named: a version that was
    merely registered is not served. What points where it pointed before is no change.

    A model of something that the service depends on is a `deploy`: checks take kind `model` for
    another version of the service's own.
    """
    named = service.model.alias if service.model is not None else None
    own = _own(service)
    kept = []
    for view in found:
        if view.alias is None or view.again:
            continue
        change = view.change
        if view.subject in own:
            counts = view.alias == named if named is not None else view.alias != NEWEST
        else:
            counts = view.subject in service.dependencies and view.alias != NEWEST
            if change.kind == "model":
                change = change.model_copy(update={"kind": "deploy"})
        if counts:
            said = {"sender": view.sender, "alias": view.alias}
            kept.append(change.model_copy(update=said))
    return kept


def _own(service: ServiceSettings) -> set[str]:
    model = service.model.name if service.model is not None else None
    return {service.name, model} if model else {service.name}


def _view(row: dict[str, Any]) -> ChangeView:
    previous, change = row.pop("previous"), Change.model_validate(row.pop("change"))
    again = False
    if previous is not None:
        before = previous.get("to")
        again = before == change.to
        change = change.model_copy(update={"from_": before})
    return ChangeView(**row, change=change, again=again)
