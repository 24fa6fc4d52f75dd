from __future__ import annotations

import hashlib
import hmac
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event

from tests.payloads.alertmanager import build
from tests.unit.intake.patient import PatientIntake
from triagebook.core.errors import (
    IntakeUnavailableError,
    NotAuthenticatedError,
    StoreError,
    TooLargeError,
    UnknownSenderError,
)
from triagebook.core.settings import Settings
from triagebook.incidents.store import Store
from triagebook.intake import receive
from triagebook.intake.receive import is_loopback
from triagebook.intake.senders.alertmanager import Alertmanager

PAYLOADS = Path(__file__).parents[2] / "payloads"
FIRING = build.body(build.alert())
RESOLVED = build.body(build.alert("resolved"))


def accept(intake, body, **headers):
    return intake.accept("alertmanager", headers, body)


@pytest.fixture
def secured(make_intake, tmp_path):
    (tmp_path / "token").write_text("s3cret")
    return make_intake(intake={"alertmanager": {"token": {"file": "token"}}})


def test_an_alert_opens_an_incident_and_tells_of_it(intake, store, told):
    receipt = accept(intake, FIRING)
    assert receipt.status == "processed"
    assert receipt.opened == receipt.incidents == told == store.runs_to_do()
    incident = store.incident(told[0])
    assert (incident.service, incident.incident_type.value) == ("flight-delay", "drift")
    assert store.deliveries.body(receipt.delivery_id) == FIRING
    assert receipt.as_json()["opened"] == told


def test_the_same_body_again_is_kept_and_opens_nothing(intake, store, told):
    first, second = accept(intake, FIRING), accept(intake, FIRING)
    assert first.delivery_id != second.delivery_id
    assert (second.opened, second.incidents) == ([], first.opened)
    assert told == first.opened
    assert store.counts().deliveries_by_status == {"processed": 2}


def test_a_resolved_body_again_does_nothing(intake, store, told):
    accept(intake, FIRING)
    accept(intake, RESOLVED)
    before = store.incident(told[0]), store.timeline(told[0])
    receipt = accept(intake, RESOLVED)
    assert (receipt.status, receipt.incidents) == ("processed", [])
    assert (store.incident(told[0]), store.timeline(told[0])) == before


def test_the_routes_of_the_settings_are_used(make_intake, store):
    intake = make_intake(route=[{"match": {"severity": "page"}, "incident_type": "latency"}])
    (name,) = accept(intake, FIRING).opened
    assert store.incident(name).incident_type.value == "latency"


def test_an_alert_of_nobody_s_service_still_runs(intake, store):
    body = build.body(build.alert(service="who", incident_type="odd"))
    (name,) = accept(intake, body).opened
    incident = store.incident(name)
    assert (incident.service, incident.runbook, incident.run_state) == (None, "generic", "queued")


@pytest.mark.parametrize("body", [b"", b"no json", b"{}", b"[" * 10_000, b"\xff", b'{"a": NaN}'])
def test_what_is_not_understood_is_kept_and_shown(intake, store, told, body):
    receipt = accept(intake, body)
    assert (receipt.status, receipt.incidents) == ("quarantined", [])
    (kept,) = store.quarantined()
    assert (kept.id, kept.why) == (receipt.delivery_id, receipt.why)
    assert store.deliveries.body(kept.id) == body
    assert told == []


def test_a_reason_is_short_whatever_it_quotes(intake, store):
    bad = {**build.alert(), "labels": {"x" * 10_000: 1}}
    accept(intake, build.body(build.alert(), alerts=[bad]))
    assert len(store.quarantined()[0].why) == 501


def test_a_parser_that_breaks_loses_nothing_and_stops_nobody(intake, monkeypatch):
    def broken(*_):
        raise KeyError("surprise\x00\ud800")

    with monkeypatch.context() as patch:
        patch.setattr(Alertmanager, "parse", broken)
        receipt = accept(intake, FIRING)
    assert receipt.status == "quarantined"
    assert receipt.why.startswith("KeyError while reading it")
    assert accept(intake, FIRING).status == "processed"


@pytest.mark.parametrize(("extra", "fits"), [(-1, True), (0, True), (1, False)])
def test_the_largest_body(make_intake, store, extra, fits):
    intake = make_intake(server={"max_body_bytes": 2_000})
    body = FIRING.ljust(2_000 + extra)
    if fits:
        assert accept(intake, body).status == "processed"
        return
    with pytest.raises(TooLargeError, match="2001 bytes, at most 2000"):
        accept(intake, body)
    assert store.counts().deliveries_by_status == {}


def test_an_unknown_sender(intake, store):
    with pytest.raises(UnknownSenderError, match=r"'alertmanger'.*alertmanager") as caught:
        intake.accept("alertmanger", {}, FIRING)
    assert "did you mean 'alertmanager'" in caught.value.hint
    assert store.counts().deliveries_by_status == {}


def test_the_right_token_passes_and_is_not_kept(secured, store):
    receipt = accept(secured, FIRING, Authorization="Bearer s3cret")
    assert receipt.status == "processed"
    assert store.deliveries.get(receipt.delivery_id).headers == {}


@pytest.mark.parametrize("body", [FIRING, b"no json"])
@pytest.mark.parametrize("header", [None, "Bearer wrong"])
def test_without_it_nothing_is_kept(secured, store, told, header, body):
    with pytest.raises(NotAuthenticatedError):
        secured.accept("alertmanager", {"Authorization": header} if header else {}, body)
    assert store.counts().deliveries_by_status == {}
    assert told == []


def test_a_secret_that_cannot_be_read_asks_to_try_again(make_intake, store):
    intake = make_intake(intake={"alertmanager": {"token": {"file": "gone"}}})
    with pytest.raises(IntakeUnavailableError):
        accept(intake, FIRING, Authorization="Bearer x")
    assert store.counts().deliveries_by_status == {}


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),  # noqa: S104 - the address that must be refused
        ("::", False),
        ("10.0.0.1", False),
        ("", False),
        ("127.0.0.1.example", False),
    ],
)
def test_without_any_secret_only_this_machine_is_let_in(make_intake, host, is_here):
    assert is_loopback(host) is is_here
    intake = make_intake(server={"host": host})
    if is_here:
        assert accept(intake, FIRING).status == "processed"
        return
    with pytest.raises(NotAuthenticatedError, match="no token and no password"):
        accept(intake, FIRING)


def test_a_user_without_a_password_lets_nobody_in(make_intake):
    intake = make_intake(intake={"alertmanager": {"user": "am"}})
    with pytest.raises(NotAuthenticatedError):
        accept(intake, FIRING, Authorization="Basic YW06")


def test_fifty_at_once_open_one_incident(intake, store, told):
    start = threading.Barrier(50)

    def post(_):
        start.wait(30)
        return accept(intake, FIRING)

    with ThreadPoolExecutor(50) as pool:
        receipts = list(pool.map(post, range(50)))
    assert len(told) == 1
    assert len(store.incidents()) == 1
    assert {receipt.status for receipt in receipts} == {"processed"}
    assert [name for receipt in receipts for name in receipt.incidents] == told * 50
    assert len({receipt.delivery_id for receipt in receipts}) == 50
    assert len(store.alerts(limit=100)) == 50


def test_two_services_on_one_database_open_one_incident(intake, store, tmp_path, told):
    group = [build.alert(instance=str(number)) for number in range(4)]
    over = [{**alert, "status": "resolved", "endsAt": build.END} for alert in group]
    with Store(f"sqlite:///{tmp_path / 'store.db'}") as second_store:
        second = PatientIntake(second_store, Settings(), tmp_path, told.append)
        with ThreadPoolExecutor(8) as pool:
            posts = [pool.submit(accept, one, build.body(*group)) for one in [intake, second] * 4]
            assert {post.result().status for post in posts} == {"processed"}
        assert len(told) == len(store.incidents()) == 1
        # Each closes some of the episodes; the last one, whichever it is, ends the incident.
        with ThreadPoolExecutor(8) as pool:
            posts = [
                pool.submit(accept, one, build.body(alert))
                for alert, one in zip(over, [intake, second] * 2, strict=True)
            ]
            assert {post.result().status for post in posts} == {"processed"}
        assert second.close(60)
    assert [view.state for view in store.incidents()] == ["resolved"]


def test_a_store_that_cannot_keep_it_asks_to_try_again(intake, store, tmp_path, told):
    store.close()
    (tmp_path / "store.db").unlink()
    sqlite3.connect(tmp_path / "store.db").close()
    with pytest.raises(IntakeUnavailableError, match="could not be kept"):
        accept(intake, FIRING)
    assert told == []


def test_a_store_that_fails_after_keeping_it_does_not_lose_it(intake, store, told, monkeypatch):
    def failing(*_):
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(receive, "apply_delivery", failing)
        first = accept(intake, FIRING)
    assert (first.status, told) == ("stored", [])
    # The next delivery finds it, and it comes first: the `resolved` closes what it opened.
    accept(intake, RESOLVED)
    assert [view.state for view in store.incidents()] == ["resolved"]
    assert len(told) == 1


def test_a_full_disk_refuses_and_keeps_what_it_accepted(intake, store):
    engine = store.database._engine

    def fill(connection, _record):
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + 20}")

    event.listen(engine, "connect", fill)
    engine.dispose()  # every connection from here on has that limit
    receipts = []

    def post_until_full():
        bodies = (build.body(build.alert(instance=str(number))) for number in range(1_000))
        receipts.extend(accept(intake, body) for body in bodies)

    with pytest.raises(IntakeUnavailableError, match="full"):
        post_until_full()
    event.remove(engine, "connect", fill)
    engine.dispose()  # room again
    accept(intake, FIRING)
    assert len(receipts) > 1
    assert store.counts().deliveries_by_status == {"processed": len(receipts) + 1}
    assert len(store.open_episodes("alertmanager")) == len(receipts) + 1


def test_replaying_processes_once(intake, store, told):
    kept = [store.deliveries.add("alertmanager", {}, body) for body in (FIRING, b"no json")]
    assert intake.replay_stored() == kept
    assert intake.replay_stored() == []
    assert len(told) == len(store.incidents()) == 1
    assert [view.id for view in store.quarantined()] == kept[1:]


def test_a_delivery_of_a_sender_that_is_gone_is_put_aside(intake, store):
    kept = store.deliveries.add("nagios", {}, b"{}")
    intake.replay_stored()
    (view,) = store.quarantined()
    assert view.id == kept
    assert "nagios" in view.why


def test_a_queue_that_fails_does_not_cost_the_incident(make_intake, store):
    def failing(name):
        raise OSError(name)

    receipt = accept(make_intake(failing), FIRING)
    assert receipt.status == "processed"
    assert store.runs_to_do() == receipt.opened


def test_a_delivery_that_its_sender_names_is_taken_once(store, make_intake, tmp_path, told):
    (tmp_path / "secret").write_text("s3cret")
    intake = make_intake(intake={"pagerduty": {"secret": {"file": "secret"}}})
    body = (PAYLOADS / "pagerduty" / "triggered.json").read_bytes()
    proof = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    headers = {"X-PagerDuty-Signature": f"v1={proof}", "X-Webhook-Id": "w1"}
    first, again = (intake.accept("pagerduty", headers, body) for _ in range(2))
    assert first.delivery_id == again.delivery_id
    assert first.opened == again.opened == told
    assert len(store.alerts()) == 1
    # Another body under that name is another delivery: nothing is lost to a sender's mistake.
    other = body.replace(b"01A", b"01Z")
    proof = hmac.new(b"s3cret", other, hashlib.sha256).hexdigest()
    third = intake.accept("pagerduty", {**headers, "X-PagerDuty-Signature": f"v1={proof}"}, other)
    assert third.delivery_id != first.delivery_id
    assert (third.opened, third.incidents) == ([], first.incidents)
