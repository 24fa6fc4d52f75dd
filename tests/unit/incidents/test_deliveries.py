from __future__ import annotations

import hashlib

import pytest

from triagebook.core.errors import NotFoundError
from triagebook.incidents.deliveries import PREVIEW_BYTES, settle


@pytest.mark.parametrize("body", [b"", b"{}", b"\x00\xff\xfe\x80", "é\u202e<script>".encode()])
def test_a_body_comes_back_byte_for_byte(store, body):
    name = store.deliveries.add("alertmanager", {}, body)
    assert store.deliveries.body(name) == body
    view = store.deliveries.get(name)
    assert (view.status, view.body_bytes) == ("stored", len(body))
    assert view.body_sha256 == hashlib.sha256(body).hexdigest()


def test_headers_are_kept_without_secrets(store):
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Alertmanager/0.25.0",
        "Authorization": "Bearer s3cret",
        "Proxy-Authorization": "Basic s3cret",
        "Cookie": "session=s3cret",
        "X-Api-Key": "s3cret",
        "X-Auth-Token": "s3cret",
        "X-PagerDuty-Signature": "v1=s3cret",
    }
    name = store.deliveries.add("alertmanager", headers, b"")
    assert store.deliveries.get(name).headers == {
        "content-type": "application/json",
        "user-agent": "Alertmanager/0.25.0",
    }


def test_headers_that_no_database_takes_are_written_out(store):
    name = store.deliveries.add("a", {"x-odd": "a\x00b\udc80"}, b"")
    assert store.deliveries.get(name).headers == {"x-odd": "a\\x00b\\udc80"}


def test_stored_ones_come_in_the_order_of_arrival(store, clock):
    names = []
    for seconds in (0, -30, 10):  # a clock that was set back changes nothing
        clock.go_on(seconds)
        names.append(store.deliveries.add("a", {}, b""))
    assert store.deliveries.stored() == names


def test_quarantine_keeps_the_reason_newest_first(store):
    names = [store.deliveries.add("a", {}, b"x") for _ in range(3)]
    for name in names:
        store.deliveries.quarantine(name, f"why {name}")
    assert [view.id for view in store.quarantined()] == names[::-1]
    assert store.quarantined(limit=1)[0].why == f"why {names[-1]}"
    assert store.deliveries.stored() == []


def test_what_is_settled_stays_so(store):
    name = store.deliveries.add("a", {}, b"x")
    with store.database.write() as connection:
        assert settle(connection, name, "processed") is True
    store.deliveries.quarantine(name, "too late")
    assert (store.deliveries.get(name).status, store.quarantined()) == ("processed", [])
    with store.database.write() as connection:
        assert settle(connection, name, "processed") is False


@pytest.mark.parametrize("length", [PREVIEW_BYTES - 1, PREVIEW_BYTES, PREVIEW_BYTES + 1])
def test_a_preview_is_the_start_of_the_body(store, length):
    name = store.deliveries.add("a", {}, b"x" * length)
    assert len(store.deliveries.get(name).preview) == min(length, PREVIEW_BYTES)


def test_a_preview_shows_what_is_no_text(store):
    name = store.deliveries.add("a", {}, b"a\xffb")
    assert store.deliveries.get(name).preview == "a\ufffdb"


def test_an_unknown_delivery(store):
    assert store.deliveries.get("dlv-none") is None
    with pytest.raises(NotFoundError):
        store.deliveries.body("dlv-none")
