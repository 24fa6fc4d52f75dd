"""What the pages say. How they look, and what a browser does with them, is tested in tests/browser."""

from __future__ import annotations

import re

import pytest

from tests.unit.report.samples import hostile
from tests.unit.web.samples import diagnosis, publish, webhook, write_progress
from triagebook.core.models import to_json


def _text(html):
    plain = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", plain).split())


def _answer(service, incident, **changes):
    folder = service.home.run_dir(incident)
    folder.mkdir(exist_ok=True)
    (folder / "diagnosis.json").write_text(to_json(diagnosis(incident, **changes)), "utf-8")
    return _text(service.client.get(f"/incidents/{incident}").text)


def test_an_empty_list_says_where_alerts_go(service):
    text = _text(service.client.get("/").text)
    assert "No incident yet." in text
    assert f"{service.url}/intake/alertmanager" in text
    assert "credentials_file" in text


def test_the_list_shows_what_is_known_of_each(service):
    first = service.incident()
    store = service.here.store
    store.set_outcome(
        first, severity="SEV2", verdict="cause_found", headline="distance is in kilometres"
    )
    store.set_run_state(first, "published")
    second = service.incident(webhook("other", title="Late job"))
    store.set_run_state(second, "failed", message="no kernel")
    html = service.client.get("/").text
    text = _text(html)
    assert text.index("Late job") < text.index("distance is in kilometres")
    for words in ("SEV2", "cause found", "still going on", "investigation failed", "just now"):
        assert words in text
    assert f'href="/incidents/{first}"' in html
    assert "None of this kind" in service.client.get("/?state=resolved").text


def test_a_list_that_is_cut_off_says_so(service):
    for name in ("a", "b"):
        service.incident(webhook(name))
    assert "Show more" in service.client.get("/?limit=2").text
    assert "Show more" not in service.client.get("/?limit=3").text


def test_quarantine_is_announced_on_the_list(service):
    service.post(b"{")
    assert "1 delivery was not understood" in _text(service.client.get("/").text)
    service.post(b"[")
    assert "2 deliveries were not understood" in _text(service.client.get("/").text)


def test_the_answer_comes_first(service):
    incident = service.incident()
    publish(service.home, incident)
    service.here.store.set_run_state(incident, "published")
    text = _text(service.client.get(f"/incidents/{incident}").text)
    order = [
        "SEV2",
        "distance arrives in kilometres since 02:05.",
        "4 June 2013 02:05 UTC (01:55 to 02:10)",
        "18,200 (11,000 to 24,000)",
        "31 %",
        "Restore features to version 118 (01:00)",
        "What it looks like",
        "0.86",
        "Unit change in features.distance",
        "for every value × 1.609",
        "against nothing found",
        "0.06",
        "against +2 % a year before",
        "None of these",
        "metrics 41,004 samples",
        "features 96,310 rows",
        "logs: no answer in 4 s",
        "not set up: topology",
        "undo: version 122",
        "Everything in one folder",
        "The report",
        "The alert",
        "Timeline",
        "not yet acknowledged",
    ]
    places = [text.find(words) for words in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)


def test_the_chart_of_the_first_reason_is_shown_with_its_words(service):
    incident = service.incident()
    publish(service.home, incident)
    html = service.client.get(f"/incidents/{incident}").text
    [address] = re.findall(r'<img src="([^"]+)" alt="every value × 1.609[^"]+"', html)
    assert address == f"/incidents/{incident}/figures/chart.png"
    answer = service.client.get(address)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
    figures = service.home.run_dir(incident) / "figures"
    (figures / "chart-narrow.png").write_bytes(answer.content)
    html = service.client.get(f"/incidents/{incident}").text
    assert f'srcset="/incidents/{incident}/figures/chart-narrow.png"' in html
    (figures / "chart.png").unlink()
    assert "What it looks like" not in service.client.get(f"/incidents/{incident}").text


def test_a_finding_leads_to_its_cell_in_the_report(service):
    incident = service.incident()
    publish(service.home, incident)
    html = service.client.get(f"/incidents/{incident}").text
    assert f'href="/incidents/{incident}/report#cell-id=chart"' in html
    assert 'id="cell-id=chart"' in service.client.get(f"/incidents/{incident}/report").text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"verdict": "inconclusive", "summary": "Labels are missing."},
            "No cause is sure enough yet. Labels are missing.",
        ),
        ({"verdict": "healthy", "hypotheses": [], "summary": ""}, "Nothing is broken."),
        ({"onset": None}, "not found in the data"),
        ({"hypotheses": [], "summary": ""}, "There is no answer in words"),
        (
            {"impact": [{"what": "late runs", "value": 3.0, "unit": "runs", "how": "counted"}]},
            "late runs 3",
        ),
        (
            {"impact": [{"what": "longest wait", "value": 0.512, "unit": "s", "how": "max"}]},
            "longest wait 0.512 s",
        ),
    ],
)
def test_other_answers_are_said_in_words(standing, changes, words):
    incident = standing.incident(webhook(service=words))
    assert words in _answer(standing, incident, **changes)


def test_a_run_in_progress_says_how_far_it_is(service):
    incident = service.incident()
    assert "Waiting: place 1 of 1 (0 running)." in service.client.get(f"/incidents/{incident}").text
    service.here.store.set_run_state(incident, "running")
    write_progress(service.home, incident, cells=2, running="Which columns moved?")
    html = service.client.get(f"/incidents/{incident}").text
    assert "2 of 6 cells" in _text(html)
    assert "<b>Which columns moved?</b>" in html
    assert '<progress class="w-progress" max="6" value="2"' in html
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in html
    assert 'aria-live="polite"' in html


def test_a_failed_run_says_why_and_what_to_do(service):
    incident = service.incident()
    service.here.store.set_run_state(incident, "failed", message="the kernel died: out of memory")
    text = _text(service.client.get(f"/incidents/{incident}").text)
    assert "the kernel died: out of memory" in text
    assert f"triagebook run --incident {incident}" in text
    assert "Run again" in text


def test_hostile_text_is_escaped_everywhere(service):
    attack = hostile()
    incident = service.incident(webhook(title=attack, team=attack))
    publish(service.home, incident, attack)
    store = service.here.store
    store.set_outcome(incident, severity="SEV2", verdict="cause_found", headline=attack)
    store.set_run_state(incident, "published", message=attack)
    for path in ("/", f"/incidents/{incident}"):
        html = service.client.get(path).text
        assert "&lt;script&gt;" in html
        assert "owned" not in "".join(re.findall(r"<script\b.*?</script>", html, flags=re.DOTALL))
        assert not re.findall(
            r"<(img(?! src=\"/incidents/)|form|object|base|link rel=.stylesheet)\b", html
        )
        assert not re.findall(r"""href=["'](javascript|data:text)""", html)
        assert "\x1b" not in html
        assert "\u202e" not in html


def test_only_web_addresses_of_an_alert_become_links(service):
    incident = service.incident()
    html = service.client.get(f"/incidents/{incident}").text
    assert (
        'href="http://prometheus.example/graph?g0.expr=psi" rel="noopener noreferrer nofollow"'
        in html
    )


@pytest.mark.parametrize("path", ["/incidents/none", "/nowhere", "/incidents/none/report"])
def test_an_error_is_a_page_that_says_what_to_do(standing, path):
    answer = standing.client.get(path)
    assert answer.status_code == 404
    assert '<a href="/">all incidents</a>' in answer.text
    assert answer.headers["content-type"].startswith("text/html")


def test_a_clock_that_is_off_is_said_beside_the_alert(service):
    ahead = webhook("a").replace(b"2013-06-04T02:05:00Z", b"9999-12-31T23:59:59Z")
    first = service.incident(ahead)
    text = _text(service.client.get(f"/incidents/{first}").text)
    assert "its sender's clock is ahead of ours" in text.replace("&#39;", "'")
    found = service.client.get(f"/api/incidents/{first}").json()
    assert "ahead of ours" in found["alerts"][0]["doubts"][0]
    behind = service.incident(webhook("b"))  # of 2013
    text = _text(service.client.get(f"/incidents/{behind}").text)
    assert "clock is behind ours" in text
