"""Alerts over time: which incident each joins, and what must stay apart."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event, update

from tests.unit.incidents.conftest import NOON
from triagebook.core.models import Alert
from triagebook.core.settings import Settings
from triagebook.incidents.applying import Over
from triagebook.incidents.correlation import DOUBT_LASTS, OWN_SENDER
from triagebook.incidents.lifecycle import apply_delivery, open_incident, outcome_of
from triagebook.incidents.routes import route
from triagebook.incidents.tables import incidents

WINDOW_S = 600
SERVICES = [
    {"name": "flight-delay", "topology": [{"from": "flight-delay", "to": "orders-db"}]},
    {"name": "orders-db"},
    {"name": "churn"},
]


@pytest.fixture
def settings():
    return Settings(service=SERVICES)


class Post:
    """Posts deliveries, as the intake does, and checks each against what is read back."""

    def __init__(self, store, root):
        self.store, self.root = store, root

    def __call__(self, *alerts, settings, sender="alertmanager"):
        name = self.store.deliveries.add(sender, {}, b"{}")
        applied = apply_delivery(
            self.store,
            name,
            alerts,
            lambda alert: route(alert, settings, self.root),
            Over.of(settings),
        )
        assert applied == outcome_of(self.store, name)
        return applied


@pytest.fixture
def post(store, tmp_path, settings):
    posting = Post(store, tmp_path)

    def send(*alerts, settings=settings, sender="alertmanager"):
        return posting(*alerts, settings=settings, sender=sender)

    return send


def lines(store, name, kind):
    return [entry.text for entry in store.timeline(name) if entry.kind == kind]


def kinds(store, name):
    return [entry.kind for entry in store.timeline(name)]


# --- joining -------------------------------------------------------------------------------------


@pytest.mark.parametrize("later_s", [0, WINDOW_S - 1, WINDOW_S, WINDOW_S + 1])
def test_an_alert_of_the_same_service_joins_within_the_window(store, post, drift, clock, later_s):
    (name,) = post(drift()).opened
    clock.go_on(later_s)
    applied = post(drift(fingerprint="f2", incident_type="latency"), sender="grafana")
    if later_s > WINDOW_S:
        assert (len(applied.opened), applied.joined) == (1, [])
        return
    assert (applied.opened, applied.joined, applied.incidents) == ([], [name], [name])
    incident = store.incident(name)
    assert (incident.incident_type.value, incident.runbook) == ("drift", "drift")
    assert lines(store, name, "joined") == ["also: drift f2; same service within 10 min"]
    assert [alert.title for alert in store.told(name)] == ["drift f1", "drift f2"]
    assert {view.alert.incident_type.value for view in store.alerts(name)} == {"drift", "latency"}


def test_the_window_counts_from_the_last_alert_whatever_it_told(store, post, drift, clock):
    (name,) = post(drift(), drift(fingerprint="f2")).opened
    for alert in (drift(), drift("resolved"), drift(fingerprint="f3")):
        clock.go_on(WINDOW_S)
        post(alert)
    assert [view.id for view in store.incidents()] == [name]


def test_a_neighbour_s_alert_joins_and_says_by_what(store, post, drift):
    (name,) = post(drift()).opened
    applied = post(drift(fingerprint="f2", service="orders-db"))
    assert applied.joined == [name]
    (line,) = lines(store, name, "joined")
    assert line == "also: drift f2; flight-delay calls orders-db"
    (other,) = post(drift(fingerprint="f3", service="churn")).opened
    assert store.incident(other).service == "churn"


def test_one_step_only_from_the_service_of_the_incident(post, drift):
    chain = [{"from": "a", "to": "b"}, {"from": "b", "to": "c"}]
    three = Settings(service=[{"name": "a", "topology": chain}, {"name": "b"}, {"name": "c"}])
    (name,) = post(drift(service="a"), settings=three).opened
    assert post(drift(fingerprint="2", service="b"), settings=three).joined == [name]
    assert len(post(drift(fingerprint="3", service="c"), settings=three).opened) == 1


def test_one_s_own_incident_is_nearer_than_a_newer_one_of_a_neighbour(post, drift, clock):
    apart = Settings(service=SERVICES, correlation={"topology": False})
    (own,) = post(drift(), settings=apart).opened
    clock.go_on(1)
    (beside,) = post(drift(fingerprint="f2", service="orders-db"), settings=apart).opened
    assert post(drift(fingerprint="f3")).joined == [own]
    assert post(drift(fingerprint="f4", service="orders-db")).joined == [beside]


def test_the_newest_of_one_service_is_joined(post, drift):
    off = Settings(service=SERVICES, correlation={"window": 0})
    names = [post(drift(fingerprint=f"f{n}"), settings=off).opened[0] for n in range(3)]
    assert post(drift(fingerprint="f9")).joined == [names[-1]]


def test_a_window_of_nothing_joins_nothing(store, post, drift):
    off = Settings(service=SERVICES, correlation={"window": 0})
    (first,) = post(drift(), settings=off).opened
    assert len(post(drift(fingerprint="f2"), settings=off).opened) == 1
    post(drift("resolved"), settings=off)
    assert len(post(drift(), settings=off).opened) == 1
    assert store.incident(first).state == "resolved"


def test_without_topology_a_neighbour_stays_apart(post, drift):
    apart = Settings(service=SERVICES, correlation={"topology": False})
    post(drift(), settings=apart)
    assert len(post(drift(fingerprint="f2", service="orders-db"), settings=apart).opened) == 1


def test_a_group_with_a_long_open_alert_still_takes_its_new_one(post, drift, clock):
    (name,) = post(drift()).opened
    clock.go_on(100 * WINDOW_S)
    assert post(drift(), drift(fingerprint="f2")).joined == [name]


# --- what must stay apart ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "joins"),
    [
        ({}, True),
        ({"incident_type": "latency"}, False),
        ({"service": "else"}, False),
    ],
)
def test_unknown_services_join_by_type_and_name(post, drift, changes, joins):
    (name,) = post(drift(service="who")).opened
    labels = {"service": "who", **changes}
    assert (post(drift(fingerprint="f2", **labels)).joined == [name]) is joins


def test_alerts_without_any_name_stay_apart(post):
    def nameless(n):
        return Alert(sender="generic", fingerprint=str(n), labels={"n": str(n)})

    assert len(post(nameless(1)).opened) == len(post(nameless(2)).opened) == 1


@pytest.mark.parametrize("match", [{}, {"severity": ".*"}, {"severity": ".+", "a": ".*"}])
def test_a_service_that_a_route_for_everything_names_joins_nothing(post, drift, match):
    rest = {"match": match, "service": "churn"}
    caught = Settings(service=SERVICES, route=[rest])

    def other(name, **labels):
        more = {"severity": "low", "a": "1", "alertname": name, **labels}
        return drift(fingerprint=name, service="", **more)

    (first,) = post(other("DiskFull"), settings=caught).opened
    (second,) = post(other("TooSlow"), settings=caught).opened
    assert first != second
    # By its own name it does, and an alert that does name the service is of that service.
    again = other("DiskFull").model_copy(update={"fingerprint": "x"})
    assert post(again, settings=caught).joined == [first]
    named = drift(fingerprint="n", severity="low", a="1", service="churn")
    assert post(named, settings=caught).joined == []
    also = drift(fingerprint="m", severity="low", a="1", service="churn")
    assert len(post(also, settings=caught).joined) == 1


def test_a_route_that_picks_its_alerts_names_their_service(post, drift):
    picked = Settings(service=SERVICES, route=[{"match": {"job": "ch.*"}, "service": "churn"}])
    (name,) = post(drift(job="churn-api"), settings=picked).opened
    assert post(drift(fingerprint="2", job="churn-db"), settings=picked).joined == [name]


def test_alerts_about_the_alerting_join_nothing_and_nothing_joins_them(post):
    def own(fingerprint):
        labels = {"alertname": "AlertingIsSilent", "service": "churn"}
        return Alert(sender=OWN_SENDER, fingerprint=fingerprint, labels=labels)

    (first,) = post(own("a"), sender=OWN_SENDER).opened
    (second,) = post(own("b"), sender=OWN_SENDER).opened
    labels = {"alertname": "Slow", "service": "churn"}
    (third,) = post(Alert(sender="generic", fingerprint="c", labels=labels)).opened
    assert len({first, second, third}) == 3


def test_nothing_joins_an_incident_that_somebody_opened_by_hand(store, post, drift, settings):
    by_hand = drift(fingerprint="hand")
    name = open_incident(store, by_hand, route(by_hand, settings, store.database.url.database))
    assert post(drift()).joined == []
    assert store.incident(name).refresh_at is None


def test_nothing_joins_what_was_reviewed(store, post, drift):
    (name,) = post(drift()).opened
    post(drift("resolved"))
    set_state(store, name, "reviewed")
    (other,) = post(drift()).opened
    assert other != name
    assert store.incident(name).state == "reviewed"


@pytest.mark.parametrize("state", ["acknowledged", "mitigated"])
def test_what_people_work_on_is_joined(store, post, drift, state):
    (name,) = post(drift()).opened
    set_state(store, name, state)
    assert post(drift(fingerprint="f2")).joined == [name]
    assert store.incident(name).state == state


def set_state(store, name, state):
    with store.database.write() as connection:
        connection.execute(update(incidents).where(incidents.c.id == name).values(state=state))


# --- flapping: what was really seen --------------------------------------------------------------


@pytest.mark.parametrize("later_s", [1, WINDOW_S, WINDOW_S + 1])
def test_an_alert_that_fires_again_opens_its_incident_again(store, post, drift, clock, later_s):
    (name,) = post(drift()).opened
    clock.go_on(60)
    post(drift("resolved"))
    clock.go_on(later_s)
    applied = post(drift())
    if later_s > WINDOW_S:
        assert applied.opened != []
        assert store.incident(name).state == "resolved"
        return
    assert (applied.opened, applied.joined) == ([], [name])
    incident = store.incident(name)
    assert (incident.state, incident.resolved_at) == ("open", None)
    assert kinds(store, name) == ["received", "queued", "resolved", "reopened"]
    said = "1 s" if later_s == 1 else "10 min"
    assert lines(store, name, "reopened") == [f"fires: drift f1; it was over for {said}"]
    assert len(store.episodes(name)) == 2


def test_two_of_its_alerts_in_one_delivery_open_it_again_once(store, post, drift, clock):
    (name,) = post(drift(), drift(fingerprint="f2")).opened
    post(drift("resolved"), drift("resolved", fingerprint="f2"))
    clock.go_on(30)
    applied = post(drift(), drift(fingerprint="f2", severity="critical"), drift(fingerprint="f3"))
    assert applied.joined == [name]
    assert kinds(store, name)[-4:] == ["reopened", "joined", "raised", "joined"]
    said = "it was over for 30 s"
    assert lines(store, name, "reopened") == [f"fires: drift f1; {said}"]
    assert lines(store, name, "joined")[-2:] == [
        f"also: drift f2; {said}",
        "also: drift f3; same delivery",
    ]
    assert store.incident(name).state == "open"


def test_a_large_group_asks_no_more_than_a_small_one(store, post, drift):
    asked = []
    watch = store.database._engine

    def note(_connection, _cursor, statement, *_rest):
        asked.append(statement.split(" (")[0])

    def questions(first, count):
        asked.clear()
        post(*(drift(fingerprint=f"f{first + n}", service="churn") for n in range(count)))
        return sorted(one for one in asked if one != "INSERT INTO episodes")

    post(drift(fingerprint="f", service="churn"))
    event.listen(watch, "before_cursor_execute", note)
    try:
        assert questions(0, 2) == questions(2, 40)
    finally:
        event.remove(watch, "before_cursor_execute", note)


def test_another_alert_of_the_service_opens_it_again_too(store, post, drift, clock):
    (name,) = post(drift()).opened
    post(drift("resolved"))
    clock.go_on(WINDOW_S)
    assert post(drift(fingerprint="f2")).joined == [name]
    assert lines(store, name, "reopened") == ["fires: drift f2; same service within 10 min"]
    assert store.incident(name).state == "open"


def test_a_neighbour_s_alert_opens_nothing_again(store, post, drift):
    (name,) = post(drift()).opened
    post(drift("resolved"))
    assert len(post(drift(fingerprint="f2", service="orders-db")).opened) == 1
    assert store.incident(name).state == "resolved"


def test_an_alert_goes_back_to_the_incident_it_was_part_of(store, post, drift, clock):
    (name,) = post(drift()).opened
    post(drift(fingerprint="f2", service="orders-db"))
    post(drift("resolved", fingerprint="f2", service="orders-db"))
    clock.go_on(30)
    applied = post(drift(fingerprint="f2", service="orders-db"))
    assert applied.joined == [name]
    assert lines(store, name, "joined")[-1] == "also: drift f2; it was over for 30 s"


def test_a_body_that_is_sent_again_changes_nothing(store, post, drift, clock):
    (name,) = post(drift(), drift(fingerprint="f2")).opened
    before = store.timeline(name)
    for _ in range(5):
        clock.go_on(60)
        applied = post(drift(), drift(fingerprint="f2"))
        assert (applied.opened, applied.joined, applied.incidents) == ([], [], [name])
    assert store.timeline(name) == before
    assert [episode.alerts for episode in store.episodes(name)] == [6, 6]


def test_a_firing_group_with_a_resolved_alert_inside_stays_one_incident(store, post, drift):
    (name,) = post(drift()).opened
    # The new one is told after the old one's end; the group is a picture of one moment.
    applied = post(drift("resolved"), drift(fingerprint="f2"))
    assert (applied.joined, applied.incidents) == ([name], [name])
    assert store.incident(name).state == "open"
    assert kinds(store, name) == ["received", "queued", "joined", "cleared"]


def test_a_mixed_group_of_three_services(store, post, drift):
    applied = post(
        drift(fingerprint="a"),
        drift(fingerprint="b", service="churn"),
        drift("resolved", fingerprint="c"),
        drift(fingerprint="d", service="orders-db"),
    )
    assert len(applied.opened) == 2
    assert sorted(store.incident(name).service for name in applied.opened) == [
        "churn",
        "flight-delay",
    ]


def test_over_and_firing_again_in_one_delivery_is_one_incident(store, post, drift):
    (name,) = post(drift()).opened
    assert post(drift("resolved"), drift()).joined == [name]
    assert store.incident(name).state == "open"
    assert kinds(store, name)[2:] == ["resolved", "reopened"]


def test_an_end_that_names_another_start_ends_it_and_the_start_stays(store, post, drift):
    (name,) = post(drift()).opened
    again = NOON + timedelta(seconds=90)
    # It ended and fired again within one interval: one firing was sent, then this end.
    post(drift("resolved").model_copy(update={"starts_at": again}))
    assert store.incident(name).state == "resolved"
    (whole,) = store.told(name)
    assert (whole.starts_at, whole.ends_at) == (NOON, NOON + timedelta(minutes=5))
    assert whole.status == "resolved"


def test_an_alert_that_flaps_is_one_incident(store, post, drift, clock):
    (name,) = post(drift()).opened
    for _ in range(50):
        clock.go_on(5)
        post(drift("resolved"))
        clock.go_on(5)
        post(drift())
    (incident,) = store.incidents()
    assert (incident.id, incident.state, incident.attempt) == (name, "open", 1)
    assert len(store.episodes(name)) == 51


@pytest.mark.parametrize("doubted", [True, False])
def test_a_false_end_is_taken_back_however_late(store, post, drift, clock, doubted):
    (name,) = post(drift()).opened
    clock.go_on(300)
    post(drift("resolved"))
    clock.go_on(60)
    if doubted:
        store.add_note(name, "doubted", "Prometheus does not answer")
    clock.go_on(DOUBT_LASTS.total_seconds() - 60)
    applied = post(drift())
    assert (applied.joined == [name]) is doubted
    clock.go_on(60)
    post(drift("resolved"))
    clock.go_on(DOUBT_LASTS.total_seconds())
    # The doubt was about that end; this one is believed.
    assert post(drift()).joined == []


def test_a_doubt_lasts_a_day(store, post, drift, clock):
    (name,) = post(drift()).opened
    post(drift("resolved"))
    store.add_note(name, "doubted", "Prometheus does not answer")
    clock.go_on(DOUBT_LASTS.total_seconds() + 1)
    assert post(drift()).joined == []
