"""POST /intake/{sender} over HTTP: what is refused, what is kept, and never a 500."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from structlog.testing import capture_logs

from tests.unit.web.samples import webhook
from tests.unit.web.service import AUTH, running
from triagebook.core.errors import StoreError
from triagebook.web import intake_routes


def test_an_alert_is_answered_202_and_its_run_is_asked_for(service):
    answer = service.post(webhook())
    assert answer.status_code == 202
    receipt = answer.json()
    assert receipt["status"] == "processed"
    assert service.queue.asked == receipt["opened"] == receipt["incidents"]


def test_pages_are_answered_while_deliveries_wait_for_each_other(service):
    # More than there are threads for pages; each waits until it may be processed.
    bodies = [webhook(f"s{number}") for number in range(60)]
    with ThreadPoolExecutor(len(bodies)) as pool:
        with service.here.intake._in_order:
            waiting = [pool.submit(service.post, body) for body in bodies]
            while not service.here.store.deliveries.unread():
                time.sleep(0.01)
            assert service.client.get("/").status_code == 200
            assert service.client.get("/api/incidents").json()["count"] == 0
        assert {one.result().status_code for one in waiting} == {202}
    assert len(service.queue.asked) == len(bodies)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Bearer"},
    ],
)
def test_who_cannot_prove_who_it_is_gets_401_and_leaves_nothing(service, headers):
    answer = service.client.post("/intake/alertmanager", content=webhook(), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "error" in answer.json()
    assert service.here.store.counts().deliveries_by_status == {}


def test_an_unknown_sender_gets_404_and_the_known_names(service):
    answer = service.client.post("/intake/alertmanagr", content=b"{}", headers=AUTH)
    assert answer.status_code == 404
    assert "alertmanager" in json.dumps(answer.json())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"null",
        b'{"version": "4"}',
        b'{"version": "4", "alerts": 5}',
        b'{"alerts": [{"labels": 5}], "version": "4"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe\x00",
        b'"\\ud83d"',
        b'{"version": "4", "alerts": NaN}',
        b"9" * 10_000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_not_understood_is_kept_in_quarantine(standing, body):
    answer = standing.post(body)
    assert answer.status_code == 202
    assert answer.json()["status"] == "quarantined"
    assert answer.json()["why"]
    kept = standing.client.get("/api/quarantine").json()["deliveries"][0]
    assert kept["id"] == answer.json()["delivery_id"]
    assert standing.here.store.deliveries.body(kept["id"]) == body
    assert standing.client.get("/quarantine").status_code == 200


@pytest.mark.parametrize(("extra", "status"), [(-1, 202), (0, 202), (1, 413)])
def test_the_limit_of_a_body_is_exact(tmp_path, extra, status):
    with running(tmp_path, server={"max_body_bytes": 2_048}) as service:
        assert service.post(b" " * (2_048 + extra)).status_code == status


@pytest.mark.parametrize(("extra", "status"), [(0, 202), (1, 413)])
def test_a_chunked_body_has_the_same_limit(tmp_path, extra, status):
    with running(tmp_path, server={"max_body_bytes": 2_048}) as service:
        parts = iter([b" " * 1_024, b" " * (1_024 + extra)])
        answer = service.client.post("/intake/alertmanager", content=parts, headers=AUTH)
        assert answer.request.headers["transfer-encoding"] == "chunked"
        assert answer.status_code == status


def test_a_body_that_only_claims_to_be_too_large_is_refused(service):
    head = (
        "POST /intake/alertmanager HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sesame\r\n"
        "Content-Length: 10485760\r\n\r\n"
    )
    address = ("127.0.0.1", httpx.URL(service.url).port)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head.encode())
        assert b" 413 " in connection.recv(4_096)


@pytest.mark.parametrize("chunked", [False, True])
def test_ten_megabytes_are_a_413_and_leave_nothing(service, chunked):
    body = b"x" * 10_485_760
    parts = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    assert service.post(parts if chunked else body).status_code == 413
    assert service.here.store.counts().deliveries_by_status == {}
    assert service.post(webhook()).status_code == 202


def test_a_database_that_fails_is_a_503_with_a_time_to_try_again(service, monkeypatch):
    def fail(*_args, **_kwargs):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(service.here.store.deliveries, "add", fail)
    answer = service.post(webhook())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    monkeypatch.undo()
    assert service.post(webhook()).status_code == 202


def test_a_database_that_is_really_gone_is_a_503(service):
    with service.here.store.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE timeline")
        connection.exec_driver_sql("ALTER TABLE deliveries RENAME TO gone")
    assert service.post(webhook()).status_code == 503
    assert service.client.get("/healthz").status_code == 200
    assert service.client.get("/readyz").status_code == 503
    page = service.client.get("/")
    assert page.status_code == 503
    assert "<h1>" in page.text


def test_fifty_at_once_are_one_incident(service):
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(lambda _: service.post(webhook()).status_code, range(50)))
    assert set(answers) == {202}
    assert service.client.get("/api/incidents").json()["count"] == 1
    assert len(service.queue.asked) == 1


def test_a_web_page_of_another_origin_cannot_raise_an_alarm(tmp_path):
    with running(tmp_path, intake={}) as service:
        headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        answer = service.client.post("/intake/alertmanager", content=webhook(), headers=headers)
        assert answer.status_code == 403
        assert service.client.post("/intake/alertmanager", content=webhook()).status_code == 202


def test_without_a_secret_only_loopback_is_trusted(tmp_path):
    with running(tmp_path, intake={}, server={"host": "192.0.2.1"}) as service:
        answer = service.client.post("/intake/alertmanager", content=webhook())
        assert answer.status_code == 401


def test_a_queue_that_fails_does_not_lose_the_alert(service, monkeypatch):
    def fail(_incident):
        raise RuntimeError("queue")

    monkeypatch.setattr(service.queue, "enqueue", fail)
    assert service.post(webhook()).status_code == 202
    assert service.client.get("/api/incidents").json()["incidents"][0]["run_state"] == "queued"


def test_get_is_not_allowed(service):
    assert service.client.get("/intake/alertmanager").status_code == 405


def test_who_waits_for_a_database_that_hangs_is_told_in_time_to_send_again(service, monkeypatch):
    monkeypatch.setattr(intake_routes, "ANSWER_WITHIN_S", 0.5)
    store, free = service.here.store, threading.Event()
    write = store.database.write

    def hang():
        assert free.wait(60)
        return write()

    monkeypatch.setattr(store.database, "write", hang)
    answer = service.post(webhook())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "within 0.5 s" in answer.json()["error"]
    monkeypatch.setattr(store.database, "write", write)
    free.set()
    # Nobody waits for the first any more: only the second is kept, whichever is first.
    assert service.post(webhook()).status_code == 202
    assert store.counts().deliveries_by_status == {"processed": 1}


def test_what_is_kept_and_not_read_in_time_is_answered_202_all_the_same(service, monkeypatch):
    monkeypatch.setattr(intake_routes, "ANSWER_WITHIN_S", 0.5)
    with service.here.intake._in_order:
        answer = service.post(webhook())
        assert (answer.status_code, answer.json()["status"]) == (202, "stored")
    kept = answer.json()["delivery_id"]
    deadline = time.monotonic() + 60
    while service.here.store.deliveries.get(kept).status != "processed":
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("", 0),
        ("wait=0", 0),
        ("wait=3", 3),
        ("respond-async, Wait=4", 4),
        ('wait="5"; x=1', 5),
        ("wait=9", 8),
        ("wait=1000000000", 0),
        ("wait=-1", 0),
        ("await=3", 0),
        ("wait=soon", 0),
    ],
)
def test_a_sender_says_how_long_it_wants_to_wait(prefer, seconds):
    assert intake_routes._patience(prefer) == seconds


def test_who_does_not_want_to_wait_is_answered_once_it_is_kept(service):
    with service.here.intake._in_order:
        headers = AUTH | {"Prefer": "wait=0"}
        answer = service.client.post("/intake/alertmanager", content=webhook(), headers=headers)
        assert (answer.status_code, answer.json()["status"]) == (202, "stored")
        assert len(service.here.store.deliveries.unread()) == 1
    # Nobody asks again; it is read all the same.
    deadline = time.monotonic() + 60
    while service.here.store.counts().deliveries_by_status != {"processed": 1}:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_database_that_fails_is_logged_without_a_traceback(service, monkeypatch):
    def fail():
        raise StoreError("database or disk is full")

    monkeypatch.setattr(service.here.store.database, "write", fail)
    with capture_logs() as logs:
        assert service.post(webhook()).status_code == 503
    (entry,) = [entry for entry in logs if entry["event"] == "delivery_not_kept"]
    assert "disk is full" in entry["error"]
    assert not entry["exc_info"]
