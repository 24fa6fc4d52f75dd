"""Several services on one Postgres: the first alerts of one trouble, at once, are one incident."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import update

from tests.live.postgres import Postgres
from triagebook.core.models import Alert
from triagebook.core.settings import Settings
from triagebook.core.times import now_utc
from triagebook.incidents.applying import Over
from triagebook.incidents.lifecycle import apply_delivery
from triagebook.incidents.refresh import Refreshing
from triagebook.incidents.routes import route
from triagebook.incidents.store import Store
from triagebook.incidents.tables import incidents

SERVICES = [
    {"name": "shop", "topology": [{"from": "shop", "to": "orders-db"}]},
    {"name": "orders-db"},
    {"name": "churn"},
]
SETTINGS = Settings(service=SERVICES, refresh={"after_join": 0})
AT_ONCE, ROUNDS = 8, 20


@pytest.fixture(scope="module")
def server():
    made = Postgres()
    yield made
    made.close()


@pytest.fixture
def several(server):
    url = server.store()
    stores = [Store(url) for _ in range(AT_ONCE)]
    yield stores
    for store in stores:
        store.close()


def post(store, root, *alerts):
    name = store.deliveries.add("generic", {}, b"{}")
    ways = {alert.fingerprint: route(alert, SETTINGS, root) for alert in alerts}
    over = Over.of(SETTINGS)
    return apply_delivery(store, name, alerts, lambda alert: ways[alert.fingerprint], over)


def firing(service, number, status="firing"):
    return Alert(
        sender="generic",
        fingerprint=f"{service}-{number}",
        status=status,
        title=f"{service} {number}",
        labels={"service": service},
    )


@pytest.mark.live
def test_first_alerts_at_once_are_one_incident(several, tmp_path):
    for number in range(ROUNDS):
        together = threading.Barrier(AT_ONCE)

        def go(place, number=number, together=together):
            service = ["shop", "orders-db"][place % 2]
            together.wait()
            return post(several[place], tmp_path, firing(service, f"{number}-{place}"))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            done = list(pool.map(go, range(AT_ONCE)))
        opened = [name for applied in done for name in applied.opened]
        assert len(opened) == 1, number
        assert [applied.joined for applied in done].count(opened) == AT_ONCE - 1
        assert len(several[0].episodes(opened[0])) == AT_ONCE
        forget(several[0])


@pytest.mark.live
def test_the_last_end_and_a_new_alert_at_once_are_one_incident(several, tmp_path):
    for number in range(ROUNDS):
        (name,) = post(several[0], tmp_path, firing("shop", number)).opened
        together = threading.Barrier(2)

        def go(place, alert, together=together):
            together.wait()
            return post(several[place], tmp_path, alert)

        with ThreadPoolExecutor(2) as pool:
            over = pool.submit(go, 0, firing("shop", number, "resolved"))
            new = pool.submit(go, 1, firing("shop", f"{number}-new"))
            assert over.result().incidents == new.result().joined == [name]
        assert several[0].incident(name).state == "open"
        forget(several[0])


@pytest.mark.live
def test_a_run_that_is_due_is_taken_once(several, tmp_path):
    (name,) = post(several[0], tmp_path, firing("churn", 1)).opened
    policy = Refreshing.of(SETTINGS.refresh)
    several[0].set_run_state(name, "published")
    for attempt in range(2, 2 + ROUNDS):
        several[0].refreshes.ask(name)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            taken = list(pool.map(lambda one: one.refreshes.take(name, policy), several))
        assert sorted(taken, key=bool) == [None] * (AT_ONCE - 1) + [attempt]
        several[0].set_run_state(name, "published")


def forget(store):
    """Put everything so far two days back, so that nothing joins it any more."""
    past = now_utc() - timedelta(days=2)
    with store.database.write() as connection:
        connection.execute(update(incidents).values(alerted_at=past, subject=None))
