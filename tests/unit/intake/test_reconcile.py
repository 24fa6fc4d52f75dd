"""What Alertmanager lists against what is open here: missed, gone, silenced, doubted, and the watchdog."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.payloads.alertmanager import build
from tests.unit.intake.patient import PatientIntake
from triagebook.core.errors import SettingsError, UnknownSenderError
from triagebook.core.settings import Settings, load_settings
from triagebook.incidents.fingerprints import of_labels
from triagebook.incidents.store import Store
from triagebook.intake.reconcile import SETTLED, Reconciler

START = datetime(2013, 6, 4, 14, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FAST = {"alertmanager": "http://am.test/", "prometheus": "http://prom.test"}


class Servers:
    """An Alertmanager and a Prometheus that say what a test wants."""

    def __init__(self):
        self.listed, self.firing, self.began = [], [], START - timedelta(days=1)
        self.down: set[str] = set()
        self.asked: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        if request.url.host in self.down:
            raise httpx.ConnectError("refused", request=request)
        if request.url.path == "/api/v2/alerts":
            return httpx.Response(200, json=self.listed)
        if request.url.path == "/api/v2/status":
            return httpx.Response(200, json={"uptime": self.began.isoformat(), "versionInfo": {}})
        alerts = [{"labels": labels, "state": "firing"} for labels in self.firing]
        return httpx.Response(200, json={"status": "success", "data": {"alerts": alerts}})


class World:
    """A store with a clock, its intake, a reconciler and the servers it asks."""

    def __init__(self, tmp_path, **reconcile):
        self.now = START
        self.store = Store(f"sqlite:///{tmp_path / 'store.db'}", clock=lambda: self.now)
        self.servers = Servers()
        self.told: list[str] = []
        known = {"service": [{"name": "flight-delay"}], "reconcile": reconcile or FAST}
        settings = Settings(**known)
        self.intake = PatientIntake(self.store, settings, tmp_path, self.told.append)
        client = httpx.Client(transport=httpx.MockTransport(self.servers.answer))
        self.reconciler = Reconciler(
            self.intake, self.store, settings.reconcile, tmp_path, client=client
        )

    def close(self):
        assert self.intake.close(60)
        self.store.close()

    def post(self, status="firing", **changes):
        self.intake.accept("alertmanager", {}, build.body({**build.alert(status), **changes}))

    def round(self, after=timedelta(0)):
        self.now += after
        return self.reconciler.round()

    def states(self):
        return [incident.state for incident in self.store.incidents()]

    def lines(self, kind):
        (incident,) = self.store.incidents()
        return [entry.text for entry in self.store.timeline(incident.id) if entry.kind == kind]


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def listed(state="active", **status):
    return {
        "labels": build.LABELS,
        "annotations": {"summary": "an input of flight-delay moved"},
        "startsAt": "2013-06-04T13:55:00.123Z",
        "endsAt": "2013-06-04T14:10:00Z",
        "updatedAt": "2013-06-04T14:00:00Z",
        "fingerprint": of_labels(build.LABELS),
        "generatorURL": "http://prometheus.example/graph",
        "receivers": [{"name": "triagebook"}],
        "status": {"state": state, "silencedBy": [], "inhibitedBy": [], **status},
    }


def test_an_alert_that_never_came_is_opened_once(world):
    world.servers.listed = [listed()]
    assert world.round().opened == ["ModelInputDrift"]
    assert world.round(MINUTE).opened == []
    (incident,) = world.store.incidents()
    assert world.told == [incident.id]
    assert incident.service == "flight-delay"
    assert incident.alert.starts_at == datetime(2013, 6, 4, 13, 55, 0, 123_000, UTC)
    # It is the same episode as the one that is posted late.
    world.post()
    assert len(world.store.incidents()) == 1


def test_the_rest_of_a_truncated_group_is_fetched(world):
    world.post()
    other = {**build.LABELS, "feature": "distance"}
    rest = {**listed(), "labels": other, "fingerprint": of_labels(other)}
    world.servers.listed = [listed(), rest]
    world.round()
    assert len(world.store.open_episodes("alertmanager")) == 2


@pytest.mark.parametrize("after", [SETTLED - MINUTE, SETTLED])
def test_an_alert_that_is_gone_is_closed_once_that_proves_something(world, after):
    world.post()
    done = world.round(after)
    gone = after >= SETTLED
    assert done.closed == (["an input of flight-delay moved"] if gone else [])
    assert world.states() == (["resolved"] if gone else ["open"])


@pytest.mark.parametrize(("age", "states"), [(SETTLED - MINUTE, ["open"]), (SETTLED, ["resolved"])])
def test_an_alertmanager_that_just_began_knows_nothing(world, age, states):
    world.post()
    world.servers.began = START + 10 * MINUTE - age
    world.round(10 * MINUTE)
    assert world.states() == states


def test_what_fires_in_prometheus_is_not_over(world):
    world.post()
    # External labels are added on the way to Alertmanager.
    world.servers.firing = [{k: v for k, v in build.LABELS.items() if k != "severity"}]
    assert world.round(10 * MINUTE).closed == []
    world.servers.firing = [{**build.LABELS, "feature": "another"}]
    assert world.round(MINUTE).closed == ["an input of flight-delay moved"]


def test_a_dead_prometheus_closes_nothing_and_casts_doubt(world):
    world.post()
    world.servers.down = {"prom.test"}
    done = world.round(10 * MINUTE)
    assert done.closed == []
    assert "could not be asked" in done.failed[0]
    world.post("resolved")
    assert world.round(MINUTE).doubted == ["an input of flight-delay moved"]
    assert world.round(MINUTE).doubted == []
    (line,) = world.lines("doubted")
    assert "may go on" in line
    assert world.states() == ["resolved"]


def test_a_dead_alertmanager_changes_nothing(world):
    world.post()
    world.servers.down = {"am.test"}
    done = world.round(timedelta(hours=1))
    assert (done.opened, done.closed, len(done.failed)) == ([], [], 1)
    assert world.states() == ["open"]


def test_a_silence_is_shown_and_opens_nothing(world):
    world.servers.listed = [listed("suppressed", silencedBy=["s1"])]
    world.round()
    assert world.store.incidents() == []
    world.post()
    for _ in range(2):
        world.round(10 * MINUTE)
    assert world.lines("silenced") == [
        "an input of flight-delay moved: silenced in Alertmanager by s1"
    ]
    assert world.states() == ["open"]


def test_an_incident_is_silenced_while_all_that_fires_is(world):
    world.post()
    (incident,) = world.store.incidents()
    other = {**build.LABELS, "feature": "distance"}
    both = [listed(), {**listed(), "labels": other, "fingerprint": of_labels(other)}]

    def silenced(*by):
        for one, state in zip(both, by, strict=True):
            said = {"state": "suppressed", "silencedBy": [state]} if state else {"state": "active"}
            one["status"] = {"silencedBy": [], "inhibitedBy": [], **said}
        world.servers.listed = both
        world.round(MINUTE)
        return world.store.silenced([incident.id]) == {incident.id}

    world.intake.accept(
        "alertmanager", {}, build.body(build.alert(), build.alert(feature="distance"))
    )
    assert not silenced("s1", "")
    assert silenced("s1", "s2")
    assert silenced("s1", "s3")
    assert not silenced("s1", "")
    assert len(world.lines("silenced")) == 3
    assert world.lines("unsilenced") == [
        "an input of flight-delay moved: no longer silenced in Alertmanager"
    ]
    assert silenced("s1", "s2")
    world.post("resolved")
    assert silenced("s1", "s2")
    world.intake.accept("alertmanager", {}, build.body(build.alert("resolved", feature="distance")))
    assert world.store.silenced([incident.id]) == set()


@pytest.mark.parametrize(
    "answer", [{"a": 1}, [{"labels": {"a": 1}}], [[]], "x", [{**listed(), "startsAt": "x"}]]
)
def test_a_list_that_is_not_understood_changes_nothing(world, answer):
    world.post()
    world.servers.listed = answer
    done = world.round(timedelta(hours=1))
    assert "not understood" in done.failed[0]
    assert world.states() == ["open"]


def test_only_our_receiver_is_asked_for(tmp_path):
    world = World(tmp_path, **FAST, receiver="triagebook")
    world.round()
    assert world.servers.asked[0] == ("http://am.test/api/v2/alerts?receiver=%5Etriagebook%24")
    world.close()


# --- the watchdog --------------------------------------------------------------------------------


@pytest.fixture
def watched(tmp_path):
    made = World(tmp_path, watchdog="Watchdog", watchdog_within=600)
    yield made
    made.close()


DOG = {"labels": {"alertname": "Watchdog", "severity": "none"}, "fingerprint": "d0d0"}


def test_the_watchdog_opens_nothing_while_it_comes(watched):
    for _ in range(5):
        watched.post(**DOG)
        assert watched.round(9 * MINUTE).opened == []
    assert watched.store.incidents() == []
    assert watched.store.quarantined() == []


@pytest.mark.parametrize(("silent", "raised"), [(600, False), (601, True)])
def test_a_watchdog_that_stops_is_an_incident_about_the_alerting(watched, silent, raised):
    watched.post(**DOG)
    watched.round(timedelta(seconds=silent))
    assert len(watched.store.incidents()) == int(raised)
    assert len(watched.told) == int(raised)


def test_the_alarm_about_the_alerting_ends_when_it_comes_again(watched):
    watched.round(11 * MINUTE)  # it never came at all
    watched.round(11 * MINUTE)
    (incident,) = watched.store.incidents()
    assert incident.alert.labels["alertname"] == "AlertingIsSilent"
    assert watched.states() == ["open"]
    watched.post(**DOG)
    watched.round(MINUTE)
    assert watched.states() == ["resolved"]


def test_a_resolved_watchdog_is_no_sign_of_life(watched):
    watched.post("resolved", **DOG)
    watched.round(11 * MINUTE)
    assert watched.states() == ["open"]


def test_nobody_may_post_as_triagebook(watched):
    with pytest.raises(UnknownSenderError):
        watched.intake.accept("triagebook", {}, b"{}")


@pytest.mark.parametrize("address", ["am:9093", "ftp://am", "http://", "http:// am"])
def test_an_address_without_a_scheme_is_a_mistake_of_the_settings(address, tmp_path):
    path = tmp_path / "triagebook.toml"
    path.write_text(f'[reconcile]\nalertmanager = "{address}"\n')
    with pytest.raises(SettingsError, match=r"127\.0\.0\.1:9093"):
        load_settings(path)
