from __future__ import annotations

import re

import pytest

from tests.unit.web.samples import publish
from tests.unit.web.service import running


@pytest.fixture(scope="module")
def incident(standing):
    found = standing.incident()
    publish(standing.home, found)
    return found


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    root = tmp_path_factory.mktemp("public")
    with running(root, server={"public_url": "https://triage.example/"}) as started:
        yield started


def test_every_answer_carries_the_headers(standing, incident):
    paths = (
        "/",
        f"/incidents/{incident}",
        "/api/incidents",
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/none",
        "/api/none",
        f"/incidents/{incident}/report",
    )
    for path in paths:
        headers = standing.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-frame-options"] in {"DENY", "SAMEORIGIN"}, path
        assert "server" not in headers, path


def test_a_page_runs_only_what_carries_this_answers_number(standing, incident):
    seen = set()
    for _ in range(2):
        answer = standing.client.get(f"/incidents/{incident}")
        policy = answer.headers["content-security-policy"]
        [nonce] = set(re.findall(r"'nonce-([^']+)'", policy))
        seen.add(nonce)
        assert "unsafe" not in policy
        for tag in re.findall(r"<(?:script|style)[^>]*>", answer.text):
            assert f'nonce="{nonce}"' in tag
        assert not re.findall(r"<[^>]+\s(style|on[a-z]+)=", answer.text)
    assert len(seen) == 2


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:9",
        "localhost",
        "localhost:1234",
        "[::1]:80",
        "192.0.2.7",
        "triage.localhost",
        "TRIAGE.example:443",
    ],
)
def test_our_own_names_and_addresses_are_served(public, host):
    assert public.client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8642",
        "",
        "localhost.evil.example",
        "[",
        "a@evil.example",
    ],
)
def test_a_foreign_name_is_refused(standing, host):
    for path in ("/", "/api/incidents", "/openapi.json"):
        answer = standing.client.get(path, headers={"Host": host})
        assert answer.status_code in {400, 421}, path
        assert "triagebook" not in answer.text or "public_url" in answer.text
    assert standing.client.get("/healthz", headers={"Host": "evil.example"}).status_code == 200


def test_machines_may_know_us_by_any_name(standing):
    headers = {"Host": "triagebook.monitoring.svc:8642"}
    for path in ("/healthz", "/readyz", "/metrics"):
        assert standing.client.get(path, headers=headers).status_code == 200
