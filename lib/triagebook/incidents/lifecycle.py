"""Apply one delivery: episodes open and close, incidents open and resolve, changes are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from triagebook.core.errors import StoreError
from triagebook.incidents.applying import DELIVERY_ALONE, Applied, Over, Routed, Work
from triagebook.incidents.changes import Announced, keep
from triagebook.incidents.deliveries import settle
from triagebook.incidents.tables import alerts, incidents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from triagebook.core.models import Alert
    from triagebook.incidents.routes import Route
    from triagebook.incidents.store import Store

# On Postgres two services may open the same episode at once; the loser then finds it open.
_TRIES = 3


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
    routed = [Routed.of(alert, route(alert)) for alert in alerts_]
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
                work = Work(store, connection, sender, delivery, now, over)
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
        work = Work(store, connection, alert.sender, None, store.clock())
        name = work.new_incident(Routed.of(alert, route))
        work.record(alert, 0, None, name)
        work.keep_recorded()
    return name
