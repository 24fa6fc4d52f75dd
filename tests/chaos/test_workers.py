"""Workers on one Postgres that are killed, frozen, cut off: taken over soon, published once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.live.postgres import wire
from tests.live.workers import STUCK_ONCE, Site, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.live.postgres import Postgres

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(400)]

TAKEN_OVER_WITHIN_S = 10


@pytest.fixture
def site(tmp_path: Path, postgres: Postgres) -> Iterator[Site]:
    with Site(tmp_path, postgres, "print('first')", STUCK_ONCE, "print('last')") as made:
        yield made


def queued_in_the_middle(site: Site) -> str:
    incident = site.open_run()
    wait_until("it is executed", lambda: site.in_the_middle(incident))
    return incident


def taken_over(site: Site, incident: str, since: float) -> None:
    wait_until("it is taken over", lambda: site.state(incident)[1] == 2)
    took_s = time.monotonic() - since
    assert took_s <= TAKEN_OVER_WITHIN_S, f"taken over after {took_s:.1f} s"
    wait_until("it is published", lambda: site.state(incident) == ("published", 2))


def test_a_worker_that_is_killed_is_taken_over(site: Site):
    site.start("w1")
    incident = queued_in_the_middle(site)
    site.start("w2")
    site.workers[0].kill()
    taken_over(site, incident, time.monotonic())
    site.published_once(incident, 2)
    assert site.told(incident) == ["1", "2"]


def test_a_worker_that_is_frozen_is_taken_over_and_publishes_nothing_when_it_wakes(site: Site):
    frozen = site.start("w1")
    incident = queued_in_the_middle(site)
    site.start("w2")
    frozen.freeze()
    taken_over(site, incident, time.monotonic())
    frozen.thaw()
    wait_until("it notices", lambda: "worker cut off" in frozen.log())
    wait_until("it is back", lambda: "worker is back" in frozen.log())
    # It works on, and what it had is void.
    other = site.open_run()
    site.workers[1].kill()
    wait_until("it takes the next", lambda: site.in_the_middle(other))
    assert site.executor(other) is frozen
    site.published_once(incident, 2)


def test_a_worker_whose_wire_is_cut_stops_by_itself_before_others_take_over(
    site: Site, postgres: Postgres
):
    with wire(postgres.port) as line:
        database = site.url.rpartition("/")[2]
        lonely = site.start("w1", url=postgres.url(database, line.port))
        incident = queued_in_the_middle(site)
        site.start("w2")
        line.cut()
        began = time.monotonic()
        wait_until("it notices", lambda: "worker cut off" in lonely.log())
        assert site.state(incident)[1] == 1, "taken over while the other still worked"
        taken_over(site, incident, began)
        line.mend()
        wait_until("it is back", lambda: "worker is back" in lonely.log())
    site.published_once(incident, 2)


def test_a_worker_whose_session_is_ended_goes_on_with_nothing_doubled(site: Site):
    site.start("w1")
    incident = queued_in_the_middle(site)
    site.start("w2")
    with site.server.admin() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'triagebook w1'"
        )
    wait_until("it is published", lambda: site.state(incident)[0] == "published")
    # Until it notices, it may have taken the next attempt as well, and leaves that one too.
    attempt = site.state(incident)[1]
    assert attempt in {2, 3}
    site.published_once(incident, attempt)
