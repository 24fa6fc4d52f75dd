"""The change feed: kept once and with its delivery, in whatever order; what of it concerns a service."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from tests.unit.incidents.conftest import NOON
from triagebook.core.models import Change
from triagebook.core.settings import ServiceSettings
from triagebook.incidents.changes import (
    NEWEST,
    Announced,
    believed,
    concerning,
    subjects_of,
)
from triagebook.incidents.lifecycle import apply_delivery
from triagebook.incidents.tables import changes


def points(to, minute=0, *, alias="champion", subject="churn-model", kind="model"):
    at = NOON + timedelta(minutes=minute)
    return Announced(subject, Change(ts=at, kind=kind, what=subject, to=to), alias)


@pytest.fixture
def announce(store):
    def send(*announced, sender="mlflow"):
        name = store.deliveries.add(sender, {}, b"{}")
        apply_delivery(store, name, [], lambda _: None, announced=announced)
        return name

    return send


def steps(views):
    return [(view.change.from_, view.change.to, view.again) for view in views]


def test_the_feed_is_listed_newest_first(store, announce):
    first = announce(points("1"))
    second = announce(points("2"), points("7", subject="other"))
    views = store.changes.latest()
    assert [(view.delivery_id, view.subject) for view in views] == [
        (second, "other"),
        (second, "churn-model"),
        (first, "churn-model"),
    ]
    assert [view.change.to for view in store.changes.latest(limit=1)] == ["7"]
    assert [view.change.to for view in store.changes.latest(subject="churn-model")] == ["2", "1"]
    assert store.changes.latest(subject="nobody") == []
    assert {view.received_at for view in views} == {NOON}


def test_nothing_is_kept_of_a_delivery_twice(store, announce):
    name = announce(points("1"))
    assert apply_delivery(store, name, [], lambda _: None, announced=[points("2")]) is None
    assert steps(store.changes.latest()) == [(None, "1", False)]


def test_the_database_itself_keeps_one_change_a_place(store, announce):
    announce(points("1"))
    with store.database.read() as connection:
        row = dict(connection.execute(select(changes)).mappings().one())
    del row["id"]
    with pytest.raises(IntegrityError), store.database.write() as connection:
        connection.execute(insert(changes), row)


def test_a_delivery_and_its_changes_are_kept_together_or_not_at_all(store):
    name = store.deliveries.add("mlflow", {}, b"{}")
    wrong = Announced("churn-model", Change(ts=NOON).model_copy(update={"ts": "no time"}))
    with pytest.raises(TypeError):
        apply_delivery(store, name, [], lambda _: None, announced=[points("1"), wrong])
    assert store.changes.latest() == []
    assert [one.id for one in store.deliveries.unread()] == [name]


def test_what_an_alias_pointed_at_before_is_looked_up(store, announce, clock):
    clock.go_on(3_600)
    announce(points("1", 1))
    announce(points("9", 2, alias="challenger"))
    announce(points("9", 2, subject="other"))
    announce(points("8", 2), sender="another registry")
    announce(points("2", 3))
    found = store.changes.about({"churn-model"}, 100)
    mine = [v for v in found if v.sender == "mlflow" and v.alias == "champion"]
    assert steps(mine) == [(None, "1", False), ("1", "2", False)]
    assert {v.change.from_ for v in found if v.change.to in ("8", "9")} == {None}


def test_deliveries_that_overtake_each_other_are_put_in_order(store, announce, clock):
    clock.go_on(3_600)
    for to, minute in (("1", 1), ("3", 5), ("2", 3)):
        announce(points(to, minute))
    assert steps(store.changes.about({"churn-model"}, 100)) == [
        (None, "1", False),
        ("1", "2", False),
        ("2", "3", False),
    ]
    assert steps(store.changes.latest()) == [
        ("1", "2", False),
        ("2", "3", False),
        (None, "1", False),
    ]


def test_an_alias_that_is_deleted_points_at_nothing(store, announce, clock):
    clock.go_on(3_600)
    announce(points("1", 1))
    gone = points(None, 2, kind="config")
    announce(gone)
    announce(points("2", 3))
    assert steps(store.changes.about({"churn-model"}, 100)) == [
        (None, "1", False),
        ("1", None, False),
        (None, "2", False),
    ]


def test_only_what_was_put_into_use_up_to_now_is_about_a_subject(store, announce, clock):
    clock.go_on(3_600)
    announce(points("1", 10), points(None, 11, alias=None), points("2", 20), points("3", 30))
    clock.now = NOON + timedelta(minutes=20)
    assert [v.change.to for v in store.changes.about({"churn-model"}, 100)] == ["1", "2"]
    assert [v.change.to for v in store.changes.about({"churn-model"}, 1)] == ["2"]
    assert store.changes.about(set(), 100) == []


def test_who_posted_is_known(store, announce):
    assert store.changes.senders() == []
    announce(points("1"))
    announce(points("1"), sender="another")
    announce()
    assert store.changes.senders() == ["another", "mlflow"]


@pytest.mark.parametrize(
    ("ahead_s", "at_s", "said"),
    [(-7_200, -7_200, False), (0, 0, False), (299, 0, False), (300, 0, False), (301, 0, True)],
)
def test_a_time_in_the_future_is_not_believed(ahead_s, at_s, said):
    told = Change(ts=NOON + timedelta(seconds=ahead_s), what="x")
    change = believed(told, NOON)
    assert change.ts == NOON + timedelta(seconds=at_s)
    assert (change.model_extra or {}).get("told_at") == ("2013-06-04T12:05:01Z" if said else None)


def test_a_time_that_was_not_believed_is_kept_beside(store, announce):
    announce(points("1", 60))
    (view,) = store.changes.latest()
    assert (view.ts, view.change.ts, view.received_at) == (NOON, NOON, NOON)
    assert view.as_json()["change"]["told_at"] == "2013-06-04T13:00:00Z"


# --- which of it concerns a service --------------------------------------------------------------


def service(**known):
    return ServiceSettings(**{"name": "churn", "model": {"name": "churn-model"}, **known})


def evidence(store, of, most=100):
    return [
        (change.what, change.kind, change.from_, change.to)
        for change in concerning(store.changes.about(subjects_of(of), most), of)
    ]


def test_what_a_change_must_be_about():
    assert subjects_of(service(dependencies=["embedder"])) == {"churn", "churn-model", "embedder"}
    assert subjects_of(ServiceSettings(name="churn")) == {"churn"}


def test_its_model_itself_and_what_it_depends_on_concern_a_service(store, announce):
    for subject in ("churn-model", "churn", "embedder", "example_model"):
        announce(points("1", subject=subject))
    assert evidence(store, service(dependencies=["embedder"])) == [
        ("churn-model", "model", None, "1"),
        ("churn", "model", None, "1"),
        # Kind `model` would be read as another version of the service's own.
        ("embedder", "deploy", None, "1"),
    ]
    assert evidence(store, ServiceSettings(name="other")) == []


def test_a_version_that_was_merely_registered_is_no_deployment(store, announce):
    announce(points("1", alias=NEWEST))
    announce(points("1", alias="champion"))
    announce(points("2", alias=NEWEST))
    announce(points(None, alias=None))
    assert evidence(store, service()) == [("churn-model", "model", None, "1")]
    newest = service(model={"name": "churn-model", "alias": NEWEST})
    assert evidence(store, newest) == [
        ("churn-model", "model", None, "1"),
        ("churn-model", "model", "1", "2"),
    ]
    depending = ServiceSettings(name="shop", dependencies=["churn-model"])
    assert evidence(store, depending) == [("churn-model", "deploy", None, "1")]


@pytest.mark.parametrize(("alias", "to"), [(None, ["1", "2"]), ("champion", ["1"]), ("x", [])])
def test_a_service_may_name_the_alias_that_it_is_loaded_by(store, announce, alias, to):
    announce(points("1", alias="champion"), points("2", alias="challenger"))
    found = evidence(store, service(model={"name": "churn-model", "alias": alias}))
    assert [change[3] for change in found] == to


def test_an_alias_set_where_it_pointed_before_is_no_change(store, announce, clock):
    clock.go_on(3_600)
    for minute, to in enumerate(("1", "1", "2", "2", "1")):
        announce(points(to, minute))
    assert [view.again for view in store.changes.latest()] == [False, True, False, True, False]
    assert [change[2:] for change in evidence(store, service())] == [
        (None, "1"),
        ("1", "2"),
        ("2", "1"),
    ]


def test_evidence_says_who_told_it(store, announce):
    announce(points("1"))
    (change,) = concerning(store.changes.about({"churn-model"}, 9), service())
    assert change.model_extra == {"sender": "mlflow", "alias": "champion"}
