"""What every installed alert sender must keep to, whoever wrote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triagebook.core.errors import (
    IntakeError,
    IntakeUnavailableError,
    NotAuthenticatedError,
    NotUnderstoodError,
    SettingsError,
)
from triagebook.core.settings import IntakeSettings, Settings
from triagebook.incidents.store import Store
from triagebook.intake.receive import Intake
from triagebook.intake.sender import SENDERS, Announcing, Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = {"deploy", "model", "config", "data", "schedule", "infra", "flag"}
PAYLOADS = Path(__file__).parents[1] / "payloads"

# One store for all examples of a test, so that hundreds of them take seconds.
FAST = settings(
    max_examples=200,
    deadline=None,
    database=None,  # nothing is written into the tree
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\x00", "\ud800", "9" * 400, "0001-01-01T00:00:00Z", "4", "firing"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(params=SENDERS.names())
def sender(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def samples(sender: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((PAYLOADS / sender).glob("*.json"))]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        yield opened


@pytest.fixture
def intake(store: Store, tmp_path: Path) -> Iterator[Intake]:
    opened = Intake(store, Settings(), tmp_path, lambda _: None)
    yield opened
    assert opened.close(60)


def test_there_are_samples_and_they_are_understood(sender, samples):
    assert samples, f"write what {sender} sends into tests/payloads/{sender}/"
    for body in samples:
        plugin = SENDERS.get(sender)()
        alerts = plugin.parse(body, IntakeSettings())
        announced = plugin.changes(body) if isinstance(plugin, Announcing) else []
        assert alerts or announced
        assert all(one.change.kind in KINDS and one.subject for one in announced)
        assert all(alert.sender == sender and alert.fingerprint for alert in alerts)


def test_the_same_body_gives_the_same_alerts(sender, samples):
    parse = SENDERS.get(sender)().parse
    known = IntakeSettings()
    assert [parse(body, known) for body in samples] == [parse(body, known) for body in samples]
    plugin = SENDERS.get(sender)()
    if isinstance(plugin, Announcing):
        assert [plugin.changes(body) for body in samples] == [
            plugin.changes(body) for body in samples
        ]


def test_what_no_sender_sends_is_not_understood(sender):
    for body in (b"", b"\xff", b"{}", b"[]", b"[" * 10_000):
        with pytest.raises(NotUnderstoodError):
            SENDERS.get(sender)().parse(body, IntakeSettings())


def test_without_proof_nobody_is_let_in(sender, samples, tmp_path):
    (tmp_path / "token").write_text("s3cret")
    ways = (
        {"token": {"file": "token"}},
        {"secret": {"file": "token"}},
        {"topics": ["arn:aws:sns:eu-central-1:123456789012:another"]},
    )
    tried = 0
    for way in ways:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            for body in (b"{}", b"\xff", samples[0]):
                posted = Delivery(headers, body, {"auth_token": "wrong"})
                try:
                    SENDERS.get(sender)().authenticate(posted, IntakeSettings(**way), tmp_path)
                except NotAuthenticatedError:
                    tried += 1
                except (SettingsError, IntakeUnavailableError):
                    continue  # that way is not this sender's; or Amazon was asked for its key
                else:
                    pytest.fail(f"{sender} let in {body[:20]!r}, which proved nothing")
    assert tried


def test_the_sender_names_a_delivery_without_fail(sender, samples):
    for body in (b"", b"\xff", b"[]", samples[0]):
        SENDERS.get(sender)().key(Delivery({}, body))


def taken(intake: Intake, store: Store, sender: str, body: bytes) -> None:
    """Post a body; whatever it holds it is kept, byte for byte, and nothing else is raised."""
    # What triagebook raises itself does not come in by the door.
    inside = getattr(SENDERS.get(sender), "inside_only", False)
    try:
        receipt = (intake.take if inside else intake.accept)(sender, {}, body)
    except IntakeError as error:
        pytest.fail(f"refused an authenticated body: {error}")
    assert receipt.status in {"processed", "quarantined"}
    assert store.deliveries.body(receipt.delivery_id) == body
    assert (receipt.why is None) == (receipt.status == "processed")
    json.dumps(receipt.as_json()).encode()
    shown = [store.quarantined, store.incidents, store.alerts, store.changes.latest]
    for view in [view for latest in shown for view in latest(limit=1)]:
        json.dumps(view.as_json()).encode()


@FAST
@given(data=st.data())
def test_bytes_changed_at_random_are_kept(data, sender, samples, intake, store):
    body = bytearray(data.draw(st.sampled_from(samples)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        piece = data.draw(st.binary(max_size=4) | st.sampled_from([b"\\u0000", b"\\ud800", b"NaN"]))
        body[at : at + data.draw(st.integers(0, 8))] = piece
    taken(intake, store, sender, bytes(body))


@FAST
@given(data=st.data())
def test_values_changed_at_random_are_kept(data, sender, samples, intake, store):
    document = json.loads(data.draw(st.sampled_from(samples)))
    places = list(_places(document))
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(places))
        holder[key] = data.draw(JSON)
    taken(intake, store, sender, json.dumps(document).encode("utf-8", "surrogatepass"))


def _places(item: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place of a JSON document that a value can be put into."""
    if isinstance(item, dict | list):
        for key in list(item) if isinstance(item, dict) else range(len(item)):
            yield item, key
            yield from _places(item[key])
