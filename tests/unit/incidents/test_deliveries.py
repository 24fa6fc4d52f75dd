from __future__ import annotations

import hashlib
from contextlib import contextmanager

import pytest

from triagebook.core.errors import NotFoundError, StoreError
from triagebook.incidents import deliveries
from triagebook.incidents.deliveries import PREVIEW_BYTES, Waiting, settle


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
    assert [one.id for one in store.deliveries.unread()] == names


def test_quarantine_keeps_the_reason_newest_first(store):
    names = [store.deliveries.add("a", {}, b"x") for _ in range(3)]
    for name in names:
        store.deliveries.quarantine(name, f"why {name}")
    assert [view.id for view in store.quarantined()] == names[::-1]
    assert store.quarantined(limit=1)[0].why == f"why {names[-1]}"
    assert store.deliveries.unread() == []


def test_what_is_settled_stays_so(store, clock):
    name = store.deliveries.add("a", {}, b"x")
    with store.database.write() as connection:
        assert settle(connection, name, "processed") == ("a", clock.now)
    store.deliveries.quarantine(name, "too late")
    assert (store.deliveries.get(name).status, store.quarantined()) == ("processed", [])
    with store.database.write() as connection:
        assert settle(connection, name, "processed") is None


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


def in_doubt(store, monkeypatch, *, keeps: bool):
    """Let the next commit fail, after it was done or before."""
    write = store.database.write

    @contextmanager
    def fail():
        monkeypatch.setattr(store.database, "write", write)
        with write() as connection:
            yield connection
            if not keeps:
                raise StoreError("gone before the commit")
        raise StoreError("gone before it said that it did")

    monkeypatch.setattr(store.database, "write", fail)


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("key", [None, "m1"])
def test_what_a_dying_database_may_have_kept_is_there_once_when_it_is_sent_again(
    store, monkeypatch, keeps, key
):
    in_doubt(store, monkeypatch, keeps=keeps)
    with pytest.raises(StoreError):
        store.deliveries.add("alertmanager", {}, b"{}", key)
    assert len(store.deliveries.unread()) == keeps
    again = store.deliveries.add("alertmanager", {}, b"{}", key)
    assert [one.id for one in store.deliveries.unread()] == [again]
    # What comes after that is another delivery, as ever.
    later = store.deliveries.add("alertmanager", {}, b"{}", key)
    assert (later == again) == (key is not None)


def test_another_body_is_another_delivery_whatever_failed_before(store, monkeypatch):
    in_doubt(store, monkeypatch, keeps=True)
    with pytest.raises(StoreError):
        store.deliveries.add("alertmanager", {}, b"{}")
    store.deliveries.add("alertmanager", {}, b"[]")
    store.deliveries.add("grafana", {}, b"{}")
    assert len(store.deliveries.unread()) == 3


def test_nothing_is_kept_for_who_has_left(store):
    waiting = Waiting()
    assert waiting.leave() is None
    with pytest.raises(StoreError, match="nobody waits"):
        store.deliveries.add("alertmanager", {}, b"{}", waiting=waiting)
    assert store.deliveries.unread() == []


def test_who_leaves_late_hears_that_it_is_kept(store):
    waiting = Waiting()
    name = store.deliveries.add("alertmanager", {}, b"{}", waiting=waiting)
    assert waiting.leave() == name


def test_only_so_many_doubts_are_remembered(store, monkeypatch):
    monkeypatch.setattr(deliveries, "MOST_DOUBTED", 2)
    for number in range(4):
        in_doubt(store, monkeypatch, keeps=True)
        with pytest.raises(StoreError):
            store.deliveries.add("alertmanager", {}, b"%d" % number)
    assert len(store.deliveries._doubted) == 2
