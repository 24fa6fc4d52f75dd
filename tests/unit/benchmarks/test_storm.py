"""The storm benchmark's arithmetic and its alerts; how long anything takes is asserted nowhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.benchmarks import storm
from triagebook.core.paths import Home
from triagebook.core.settings import load_settings
from triagebook.incidents.store import Store
from triagebook.intake.receive import Intake


def test_the_storm_is_the_same_each_time_and_one_in_a_hundred_is_critical():
    size = storm.Size(1_000, 6)
    bodies = storm.bodies(size)
    assert bodies == storm.bodies(size)
    alerts = [alert for body in bodies for alert in json.loads(body)["alerts"]]
    assert len(alerts) == len({alert["fingerprint"] for alert in alerts}) == 1_000
    assert sum(alert["labels"]["severity"] == "critical" for alert in alerts) == 10
    assert all(len(json.loads(body)["alerts"]) == storm.IN_ONE_POST for body in bodies)
    assert len({alert["labels"]["service"] for alert in alerts}) > 50


def test_who_waits_is_passed_by_what_starts_meanwhile():
    noon = datetime(2013, 6, 4, 12, tzinfo=UTC)
    at = [noon + timedelta(seconds=second) for second in range(10)]
    assert storm._waited((at[0], at[5], "published"), at[3])
    assert storm._waited((at[0], None, "queued"), at[3])
    assert not storm._waited((at[0], at[3], "published"), at[3])
    assert not storm._waited((at[4], at[5], "published"), at[3])
    assert not storm._waited((at[2], at[5], "published"), at[3])  # it may just have come in


def test_quantiles_of_many_and_of_none():
    assert storm.quantiles([float(n) for n in range(1, 101)]) == {
        "p50": 50.5,
        "p99": 100.0,
        "max": 100.0,
    }
    assert storm.quantiles([]) == {"p50": 0.0, "p99": 0.0, "max": 0.0}


def test_what_is_stored_is_counted_from_the_services_own_database(tmp_path):
    storm.write_home(tmp_path)
    home = Home(tmp_path)
    settings = load_settings(home.config)
    with Store.open(home) as store:
        intake = Intake(store, settings, tmp_path, lambda _: None)
        for body in storm.bodies(storm.Size(200, 1)):
            intake.accept("alertmanager", {}, body)
        assert intake.close(60)
        assert storm.ask(tmp_path, storm._LEFT) == [(2,)]
        critical = store.line.standing().waiting[0].id
        other = store.line.standing().waiting[-1].id
        for name in (other, critical):
            store.set_run_state(name, "running")
    found = storm.stored(tmp_path)
    assert (found["alerts"], found["deliveries"]) == (200, {"processed": 20})
    assert (found["critical_incidents"], found["others_started"]) == (2, 1)
    assert found["runs_by_state"] == {"queued": found["incidents"] - 2, "running": 2}
