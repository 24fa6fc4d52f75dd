"""A metric goes wrong, a real Prometheus and Alertmanager say so, and the investigation is written."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import nbformat
import pytest

from tests.live.servers import alertmanager, need, prometheus, until
from triagebook.cli.service_process import ServiceProcess
from triagebook.core.paths import Home
from triagebook.drills.alert import prometheus_rules
from triagebook.drills.exporter import FlightDelayExporter
from triagebook.drills.worlds import flight_delay

# Many times what each takes on an idle machine: a few seconds, and about fifteen.
ALERT_LIMIT_S = 60
RUN_LIMIT_S = 180


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_metric_fires_the_notebook_appears_and_resolved_closes_the_episode(tmp_path, world_cache):
    need("prometheus", "prometheus-alertmanager")
    world = flight_delay.build(tmp_path / "home", cache=world_cache)
    home = Home(world.root)
    rules = prometheus_rules(world, hold="0s", every="1s")
    before = world.truth.onset - timedelta(hours=1)

    with (
        FlightDelayExporter(world) as exporter,
        ServiceProcess(home, 0) as service,
        alertmanager(
            tmp_path, f"{service.url}/intake/alertmanager", home.state / "intake-token"
        ) as manager,
        httpx.Client(base_url=service.url, trust_env=False, timeout=30) as client,
    ):
        exporter.stand_at(before)
        with prometheus(tmp_path, f"127.0.0.1:{exporter.port}", rules, manager) as url:
            # While all is well, it is scraped and nobody is woken.
            until("scraped", lambda: value(url, "model_feature_psi"), ALERT_LIMIT_S)
            assert value(url, "ALERTS") == []
            assert listed(client) == []

            exporter.stand_at(world.at)
            (incident,) = until(
                "an incident is opened",
                lambda: listed(client),
                ALERT_LIMIT_S,
                lambda: (tmp_path / "alertmanager.log").read_text()[-2000:],
            )
            name = incident["id"]
            assert incident["incident_type"] == "drift"
            assert incident["service"] == world.service
            assert incident["alert"]["status"] == "firing"

            until(
                "the run is published",
                lambda: detail(client, name)["run_state"] == "published",
                RUN_LIMIT_S,
                lambda: json.dumps(detail(client, name)["timeline"], indent=1),
            )
            notebook = nbformat.read(home.run_dir(name) / "investigation.ipynb", as_version=4)
            nbformat.validate(notebook)
            found = json.loads((home.run_dir(name) / "diagnosis.json").read_text())
            assert found["hypotheses"][0]["cause"] == world.truth.cause
            assert found["hypotheses"][0]["locus"] == world.truth.locus
            assert detail(client, name)["state"] == "open"

            exporter.stand_at(before)
            until(
                "the resolved message closes the episode",
                lambda: detail(client, name)["state"] == "resolved",
                ALERT_LIMIT_S,
                lambda: json.dumps(detail(client, name)["timeline"], indent=1),
            )
        closed = detail(client, name)
        kinds = [entry["kind"] for entry in closed["timeline"]]
        assert kinds.count("received") == kinds.count("published") == kinds.count("resolved") == 1
        assert [alert["alert"]["status"] for alert in closed["alerts"]] == ["resolved", "firing"]
        assert [item["id"] for item in listed(client)] == [name]


def listed(client: httpx.Client) -> list[dict]:
    return client.get("/api/incidents").raise_for_status().json()["incidents"]


def detail(client: httpx.Client, name: str) -> dict:
    return client.get(f"/api/incidents/{name}").raise_for_status().json()


def value(url: str, query: str) -> list:
    answer = httpx.get(f"{url}/api/v1/query", params={"query": query}, trust_env=False)
    return answer.raise_for_status().json()["data"]["result"]
