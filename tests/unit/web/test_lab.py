"""The way from the page into JupyterLab: for our own user on this machine, and for nobody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.unit.web.samples import publish
from tests.unit.web.service import running
from triagebook.running.live.server import lab_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.web.service import Service

LINUX = sys.platform == "linux"
linux_only = pytest.mark.skipif(not LINUX, reason="only Linux tells whose a connection is")


def with_lab(service: Service) -> str:
    incident = service.incident()
    publish(service.home, incident)
    lab_file(service.home).write_text(
        json.dumps(
            {
                "url": "http://127.0.0.1:9",
                "token": "to+ken",
                "connections": str(service.home.state),
                "root": str(service.home.runs),
            }
        )
    )
    return incident


@pytest.fixture
def incident(service: Service) -> str:
    return with_lab(service)


@linux_only
def test_our_own_user_is_sent_into_jupyterlab(service: Service, incident: str):
    answer = service.client.get(f"/incidents/{incident}/lab")
    assert answer.status_code == 303
    assert answer.headers["location"] == (
        f"http://127.0.0.1:9/lab/tree/{incident}/investigation.ipynb?token=to%2Bken"
    )
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


@linux_only
def test_the_page_and_the_api_name_the_way_and_never_the_token(service: Service, incident: str):
    service.here.store.set_run_state(incident, "published")
    told = service.client.get(f"/api/incidents/{incident}").json()
    assert urlsplit(told["links"]["lab"]).path == f"/incidents/{incident}/lab"
    page = service.client.get(f"/incidents/{incident}").text
    assert 'tb-btn main" href="' + told["links"]["lab"] + '" target="_blank"' in page
    assert "to+ken" not in page
    assert "to%2Bken" not in page
    lab_file(service.home).unlink()
    assert service.client.get(f"/api/incidents/{incident}").json()["links"]["lab"] is None
    assert "/lab" not in service.client.get(f"/incidents/{incident}").text


@pytest.mark.parametrize(
    "headers", [{"X-Forwarded-For": "192.0.2.7"}, {"X-Forwarded-For": "127.0.0.1"}]
)
def test_through_a_proxy_nobody_is(service: Service, incident: str, headers: dict[str, str]):
    refused(service, incident, headers)


def refused(service: Service, incident: str, headers: dict[str, str] | None = None) -> None:
    answer = service.client.get(f"/incidents/{incident}/lab", headers=headers)
    assert answer.status_code == 403
    assert "location" not in answer.headers
    assert "to%2Bken" not in answer.text
    assert f"triagebook open {incident}" in answer.text


@pytest.fixture
def public(tmp_path: Path) -> Iterator[Service]:
    with running(tmp_path, server={"public_url": "https://triage.example"}) as service:
        yield service


def test_a_service_that_is_reached_from_elsewhere_sends_nobody(public: Service):
    refused(public, with_lab(public))


@linux_only
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("who", [65534, 0])
def test_another_user_of_this_machine_is_refused(service: Service, incident: str, who: int):
    script = (
        "import http.client, sys\n"
        "c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]))\n"
        "c.request('GET', sys.argv[2]); print(c.getresponse().status)"
    )
    port = str(urlsplit(service.url).port)
    asked = subprocess.run(
        ["/usr/bin/env", "python3", "-I", "-c", script, port, f"/incidents/{incident}/lab"],
        user=who,
        cwd="/",
        env={"PATH": "/usr/bin:/bin:/usr/local/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout.strip() == ("303" if who == 0 else "403")


def test_before_the_notebook_is_published_there_is_no_way(service: Service):
    incident = service.incident()
    lab_file(service.home).write_text("{}")
    assert service.client.get(f"/incidents/{incident}/lab").status_code == 404


def test_without_a_jupyterlab_there_is_no_way(service: Service, incident: str):
    lab_file(service.home).unlink()
    answer = service.client.get(f"/incidents/{incident}/lab")
    assert answer.status_code == 404
    assert "--lab" in answer.text


def test_no_incident_no_way(service: Service):
    assert service.client.get("/incidents/inc-none/lab").status_code == 404
