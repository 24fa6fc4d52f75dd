"""What of the change feed goes with a run, from the queue and in the foreground."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.unit.running.conftest import code
from triagebook.core.models import Alert, Change, ChangeFeed
from triagebook.core.settings import Settings
from triagebook.core.times import now_utc
from triagebook.incidents.changes import Announced
from triagebook.incidents.lifecycle import apply_delivery
from triagebook.incidents.store import Store
from triagebook.running.attempt import Attempt
from triagebook.running.feed import feed_for
from triagebook.running.foreground import run_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.running.conftest import WriteRunbook
    from triagebook.core.paths import Home

SERVICE = {"name": "churn", "model": {"name": "churn-model"}, "dependencies": ["embedder"]}


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with Store.open(home) as opened:
        yield opened


def announce(store: Store, *versions: str, subject: str = "churn-model") -> None:
    now = now_utc()
    announced = [
        Announced(
            subject,
            Change(ts=now - timedelta(hours=9 - place), kind="model", what=subject, to=to),
            "champion",
        )
        for place, to in enumerate(versions)
    ]
    name = store.deliveries.add("mlflow", {}, b"{}")
    apply_delivery(store, name, [], lambda _: None, announced=announced)


def test_where_nobody_posts_changes_there_is_no_feed(store: Store):
    settings = Settings(service=[SERVICE], intake={"alertmanager": {}})
    assert feed_for(store, settings, "churn") is None


def test_a_sender_that_is_configured_may_be_silent(store: Store):
    settings = Settings(service=[SERVICE], intake={"mlflow": {}, "alertmanager": {}})
    assert feed_for(store, settings, "churn") == ChangeFeed(posted_by=["mlflow"])


def test_what_was_posted_goes_with_a_run_whether_configured_or_not(store: Store):
    settings = Settings(service=[SERVICE, {"name": "other"}])
    announce(store, "1", "2")
    announce(store, "5", subject="embedder")
    feed = feed_for(store, settings, "churn")
    assert feed is not None
    assert [(one.kind, one.from_, one.to) for one in feed.changes] == [
        ("model", None, "1"),
        ("deploy", None, "5"),
        ("model", "1", "2"),
    ]
    assert feed_for(store, settings, "other") == ChangeFeed(posted_by=["mlflow"])
    assert feed_for(store, settings, "nobody") is None
    assert feed_for(store, settings, None) is None


@pytest.mark.parametrize(
    ("most", "kept", "cut"), [(2, ["2", "3"], True), (3, ["1", "2", "3"], False)]
)
def test_of_very_many_the_newest_go(store: Store, most: int, kept: list[str], *, cut: bool):
    announce(store, "1", "2", "3")
    feed = feed_for(store, Settings(service=[SERVICE]), "churn", most)
    assert feed is not None
    assert [one.to for one in feed.changes] == kept
    assert feed.cut is cut


def test_a_run_in_the_foreground_takes_a_feed_along(
    home: Home, settings: Settings, write_runbook: WriteRunbook
):
    write_runbook(code("1"))
    feed = ChangeFeed(
        posted_by=["mlflow"],
        changes=[Change(ts=now_utc(), kind="model", what="churn-model", to="2", **{"from": "1"})],
    )
    done = run_now(home, settings, incident_id="x", alert=Alert(), runbook="probe", feed=feed)
    request = Attempt(done.folder / "attempts" / "1").request()
    assert request.feed == feed
