"""Two services and workers on one real Postgres: one delivery once, one episode once, one run once."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from typer.testing import CliRunner

from tests.live.postgres import Postgres
from tests.live.workers import STUCK_ONCE, Site, wait_until
from tests.unit.web.samples import TOKEN, webhook
from triagebook.cli.main import app
from triagebook.cli.service_process import ServiceProcess
from triagebook.core.errors import RunError
from triagebook.core.paths import Home
from triagebook.core.settings import load_settings
from triagebook.running import queue as queue_module
from triagebook.running.lease import Lease
from triagebook.running.queue import RunQueue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(400)]

POSTS = 50
AUTH = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def site(tmp_path: Path, postgres: Postgres) -> Iterator[Site]:
    with Site(tmp_path, postgres, "print('first')", "print('middle')") as made:
        yield made


def service_home(site: Site, name: str) -> Home:
    """Make the home of a service that executes nothing itself."""
    home = site.make_home(name)
    (home / "token").write_text(TOKEN)
    with (home / "triagebook.toml").open("a") as file:
        file.write('concurrency = 0\n[intake.alertmanager]\ntoken = { file = "token" }\n')
        file.write('[[service]]\nname = "flight-delay"\n')
    return Home(home, site.shared)


def post(url: str, body: bytes) -> httpx.Response:
    return httpx.post(
        f"{url}/intake/alertmanager",
        content=body,
        headers=AUTH | {"Prefer": "wait=8"},
        timeout=60,
        trust_env=False,
    )


def test_one_alert_posted_fifty_times_to_two_services_is_one_incident_and_one_run(site: Site):
    with (
        ServiceProcess(service_home(site, "web1"), 0) as one,
        ServiceProcess(service_home(site, "web2"), 0) as two,
        ThreadPoolExecutor(16) as pool,
    ):
        answers = list(pool.map(lambda n: post((one, two)[n % 2].url, webhook()), range(POSTS)))
        assert {answer.status_code for answer in answers} == {202}
        assert sum(len(answer.json()["opened"]) for answer in answers) == 1
        (incident,) = {name for answer in answers for name in answer.json()["incidents"]}

        site.start("w1")
        wait_until("it is published", lambda: site.state(incident) == ("published", 1))
        site.published_once(incident, 1)
        counted = site.ask(
            "SELECT (SELECT count(*) FROM incidents), (SELECT count(*) FROM runs),"
            " (SELECT count(*) FROM episodes), (SELECT count(*) FROM alerts),"
            " (SELECT count(*) FROM triagebook_queue.workflow_status)"
        )
        assert counted == [(1, 1, 1, POSTS, 1)]
        for service in (one, two):
            page = httpx.get(f"{service.url}/api/incidents/{incident}", trust_env=False, timeout=60)
            assert page.json()["run_state"] == "published"

        # What a third service took and did not read any more, one of the two reads.
        left = site.store.deliveries.add("alertmanager", {}, webhook(title="another", pod="p2"))
        wait_until(
            "it is read", lambda: all(left != one.id for one in site.store.deliveries.unread())
        )
        assert site.ask("SELECT count(*) FROM alerts") == [(POSTS + 1,)]


def test_while_the_database_is_away_posts_are_refused_and_nothing_is_doubled(tmp_path: Path):
    server = Postgres()  # of its own: it is stopped
    try:
        with (
            Site(tmp_path, server, "print('first')", STUCK_ONCE, "print('last')") as site,
            ServiceProcess(service_home(site, "web"), 0) as service,
        ):
            worker = site.start("w1")
            (incident,) = post(service.url, webhook()).json()["opened"]
            wait_until("it is executed", lambda: site.in_the_middle(incident))
            server.stop()
            answers = [post(service.url, webhook()) for _ in range(3)]
            assert {answer.status_code for answer in answers} == {503}
            assert {answer.headers["Retry-After"] for answer in answers} == {"5"}
            assert httpx.get(f"{service.url}/healthz", trust_env=False).status_code == 200
            wait_until("it notices", lambda: "worker cut off" in worker.log())
            wait_until("it says so", lambda: not_ready(service.url))

            server.start()
            again = wait_until("it is taken", lambda: taken(service.url))
            assert (again["opened"], again["incidents"]) == ([], [incident])
            wait_until("it is published", lambda: site.state(incident)[0] == "published", 180)
            wait_until("it is ready", lambda: ready(service.url).status_code == 200)
            # Taken up by itself, with one more attempt.
            site.published_once(incident, 2)
            assert site.ask("SELECT count(*) FROM incidents") == [(1,)]
    finally:
        server.close()


def ready(url: str) -> httpx.Response:
    return httpx.get(f"{url}/readyz", trust_env=False, timeout=60)


def not_ready(url: str) -> bool:
    answer = ready(url)
    return answer.status_code == 503 and "cut off" in answer.json()["checks"]["queue"]


def taken(url: str) -> dict[str, Any] | None:
    answer = post(url, webhook())
    return answer.json() if answer.status_code == 202 else None


def test_a_second_process_with_the_same_id_is_refused(site: Site):
    site.start("w1")
    second = site.start("w1", wait=False)
    assert second.process.wait(60) == 1
    assert "another process works as 'w1'" in second.log()
    assert "--id" in second.log()


def test_a_worker_on_sqlite_is_refused(tmp_path: Path):
    (tmp_path / "triagebook.toml").write_text("")
    done = CliRunner().invoke(app, ["worker", "--home", str(tmp_path)])
    assert done.exit_code == 1
    assert "several processes can share" in done.stderr
    assert "server.database" in done.stderr


def test_a_worker_that_is_told_to_stop_hands_on_what_it_has(site_stuck: Site):
    old = site_stuck.start("w1")
    incident = site_stuck.open_run()
    wait_until("it is executed", lambda: site_stuck.in_the_middle(incident))
    old.process.terminate()
    assert old.process.wait(60) == 0
    site_stuck.start("w2")
    wait_until("it is published", lambda: site_stuck.state(incident) == ("published", 2))
    site_stuck.published_once(incident, 2)


@pytest.fixture
def site_stuck(tmp_path: Path, postgres: Postgres) -> Iterator[Site]:
    with Site(tmp_path, postgres, "print('first')", STUCK_ONCE, "print('last')") as made:
        yield made


def test_what_an_older_version_began_and_what_waits_for_it_is_taken_over(
    site_stuck: Site, monkeypatch: pytest.MonkeyPatch
):
    old = site_stuck.start("w1", "--concurrency", "1")
    begun = site_stuck.open_run()
    wait_until("it is executed", lambda: site_stuck.in_the_middle(begun))
    waiting = site_stuck.open_run()
    wait_until("it waits", lambda: site_stuck.queue_state(waiting, 1) == "ENQUEUED")
    old.kill()

    monkeypatch.setattr(queue_module, "_VERSION", "2")
    home = Home(site_stuck.make_home("next"), site_stuck.shared)
    (home.root / "runbooks" / "probe.ipynb").write_text(site_stuck.notebook("1", "2"))
    with RunQueue(home, load_settings(home.config), site_stuck.store):
        for incident in (begun, waiting):
            wait_until("published", lambda one=incident: site_stuck.state(one) == ("published", 2))
    for incident in (begun, waiting):
        site_stuck.published_once(incident, 2)


def test_two_queues_of_one_worker_id_in_one_process(site: Site):
    home = Home(site.make_home("one"), site.shared)
    settings = load_settings(home.config)
    with (
        RunQueue(home, settings, site.store),
        pytest.raises(RunError, match="another process works as"),
    ):
        RunQueue(home, settings, site.store).launch()


def test_a_lease_ends_when_its_process_is_silent(site: Site, monkeypatch: pytest.MonkeyPatch):
    url = site.settings.server.database_url(site.home.root)
    assert url is not None
    lost, back = threading.Event(), threading.Event()
    lease = Lease(url, "w1", lost.set, back.set)
    lease.take()
    other = Lease(url, "w2", lambda: None, lambda: None)
    other.take()
    try:
        assert other.living([lease.executor, other.executor, "w3:none"]) == {
            lease.executor,
            other.executor,
        }
        # As if its thread got no turn: it asks no more.
        monkeypatch.setattr(lease, "_ask", threading.Event().wait)
        assert lost.wait(30)
        assert not lease.held
        wait_until("the server lets go", lambda: not other.living([lease.executor]), 30)
        assert other.held
    finally:
        monkeypatch.undo()
        lease._hang_up()
        other.close()


def test_the_role_needs_nothing_but_its_own_database(site: Site):
    with site.server.admin() as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
            " FROM pg_roles WHERE rolname = 'triagebook'"
        ).fetchone()
        member = connection.execute(
            "SELECT count(*) FROM pg_auth_members WHERE member = 'triagebook'::regrole"
        ).fetchone()
    assert (row, member) == ((False,) * 5, (0,))
    with RunQueue(site.home, site.settings, site.store):
        pass


def test_once_the_tables_are_made_a_role_that_may_only_read_and_write_them_is_enough(site: Site):
    with RunQueue(site.home, site.settings, site.store):
        pass  # the owner makes them
    database = site.url.rpartition("/")[2]
    role = f"runtime_{database}"
    with site.server.admin(database) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'not-a-secret'")
        for schema in ("public", "triagebook_queue"):
            connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
            for kind, rights in (
                ("TABLES", "SELECT, INSERT, UPDATE, DELETE"),
                ("SEQUENCES", "USAGE, SELECT"),
                ("FUNCTIONS", "EXECUTE"),
            ):
                connection.execute(f"GRANT {rights} ON ALL {kind} IN SCHEMA {schema} TO {role}")
    url = site.url.replace("//triagebook:", f"//{role}:")
    incident = site.open_run()
    site.start("w1", url=url)
    wait_until("it is published", lambda: site.state(incident) == ("published", 1))
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DROP TABLE incidents")


def test_the_service_lists_what_waits_when_it_starts_as_json_only(site: Site):
    """What is logged on the way up must not stand where the address is read from."""
    site.open_run()
    with ServiceProcess(service_home(site, "web"), 0) as service:
        assert json.loads(httpx.get(f"{service.url}/readyz", trust_env=False).text)["ready"]
