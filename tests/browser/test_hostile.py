"""Text of an attacker, opened in a real browser: nothing of it may run, load or lead away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.browser.chrome import until
from tests.unit.report.samples import hostile, investigation
from tests.unit.web.samples import diagnosis, publish, webhook
from triagebook.core.models import Progress, to_json
from triagebook.core.times import now_utc
from triagebook.report.html import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.canary import Canary
    from tests.browser.chrome import Chrome, Page
    from tests.unit.web.service import Service

pytestmark = pytest.mark.browser

_BAD_LINKS = "[...document.querySelectorAll('[href],[src],[action],[srcset]')].map(e => e.href || e.src || e.action || '').filter(u => /^(javascript|vbscript|data:text)/i.test(String(u)))"
_HANDLERS = "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).map(a => a.name).filter(n => n.startsWith('on'))"


def _click_everything(page: Page) -> None:
    # Links too: a javascript: address runs only when somebody follows it.
    page.ask(
        "document.querySelectorAll('summary, details').forEach(e => { e.open = true; });"
        "document.querySelectorAll('a').forEach(e => { if (!/^https?:/.test(e.href)) e.click(); })"
    )


def _settle(page: Page, canary: Canary) -> None:
    """Wait until a request that we make ourselves after the text's own has come in."""
    path = f"/settled/{len(canary.calls)}"
    page.open(canary.url.replace("/canary/", path))
    until(lambda: path in canary.calls, "the browser's own request arrives")


def test_the_attack_works_where_nothing_stops_it(chrome: Chrome, canary: Canary) -> None:
    canary.pages["/control"] = f"<title>innocent</title>{hostile(canary.url)}"
    with chrome.page() as page:
        page.go(canary.url.replace("/canary/", "/control"))
        until(lambda: "/canary/js" in canary.calls, "the script runs")
        until(lambda: "/canary/pixel.png" in canary.calls, "the picture is loaded")


def test_a_report_opened_from_the_disk_runs_and_loads_nothing(
    chrome: Chrome, canary: Canary, tmp_path: Path
) -> None:
    notebook = tmp_path / "investigation.ipynb"
    nbformat.write(investigation(hostile(canary.url)), notebook)
    write_report(notebook, tmp_path / "report.html")
    with chrome.page() as page:
        page.open((tmp_path / "report.html").as_uri())
        _click_everything(page)
        assert page.ask("document.title") == "flight-delay: drift"
        assert page.ask("document.scripts.length") == 0
        assert page.ask(_HANDLERS) == []
        assert page.ask(_BAD_LINKS) == []
        assert (
            page.ask("document.querySelectorAll('svg,iframe,form,input,object,embed,base').length")
            == 0
        )
        assert page.ask("document.querySelectorAll('style').length") == 1
        _settle(page, canary)
    assert canary.fired == []


def test_a_report_without_its_policies_still_runs_nothing(
    chrome: Chrome, canary: Canary, tmp_path: Path
) -> None:
    # The sanitizer alone: the Content-Security-Policy is a second fence, not the only one.
    notebook = tmp_path / "investigation.ipynb"
    nbformat.write(investigation(hostile(canary.url)), notebook)
    write_report(notebook, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    bare = text.replace("Content-Security-Policy", "X-Nothing")
    assert bare != text
    canary.pages["/bare"] = bare
    with chrome.page() as page:
        page.open(canary.url.replace("/canary/", "/bare"))
        _click_everything(page)
        assert page.ask("document.title") == "flight-delay: drift"
        _settle(page, canary)
    assert canary.fired == []


def test_a_hostile_incident_does_nothing_on_its_page(
    chrome: Chrome, canary: Canary, service: Service
) -> None:
    attack = hostile(canary.url)
    incident = service.incident(
        webhook(title=attack, team=attack, link=f"javascript:fetch('{canary.url}label')")
    )
    publish(service.home, incident, attack)
    store = service.here.store
    store.set_outcome(incident, severity="SEV2", verdict="cause_found", headline=attack)
    store.set_run_state(incident, "published", message=attack)
    with chrome.page() as page:
        for path in ("/", f"/incidents/{incident}", f"/incidents/{incident}/report"):
            page.open(f"{service.url}{path}")
            title = page.ask("document.title")
            _click_everything(page)
            assert page.ask("document.title") == title != "owned"
            assert page.ask(_HANDLERS) == []
            assert page.ask(_BAD_LINKS) == []
        _settle(page, canary)
    assert canary.fired == []


def test_a_hostile_run_does_nothing_while_it_is_followed(
    chrome: Chrome, canary: Canary, service: Service
) -> None:
    attack = hostile(canary.url)
    incident = service.incident(webhook(title=attack))
    service.here.store.set_run_state(incident, "running")
    folder = service.home.attempt_dir(incident, 1)
    folder.mkdir(parents=True)
    with chrome.page() as page:
        page.open(f"{service.url}/incidents/{incident}")
        title = page.ask("document.title")
        (folder / "diagnosis.json").write_text(to_json(diagnosis(incident, attack)), "utf-8")
        line = Progress(
            ts=now_utc(),
            event="cell",
            cell="a",
            title=attack,
            index=1,
            total=2,
            status="running",
            message=attack,
        )
        (folder / "progress.jsonl").write_text(to_json(line, indent=None) + "\n", "utf-8")
        until(
            lambda: (
                "right to left"
                in page.ask("document.querySelector('[data-live=progress]').textContent")
            ),
            "the cell's hostile title is shown",
        )
        _click_everything(page)
        assert page.ask("document.title") == title != "owned"
        assert page.ask(_HANDLERS) == []
        _settle(page, canary)
    assert canary.fired == []


def test_quarantine_and_error_pages_show_hostile_text_as_text(
    chrome: Chrome, canary: Canary, service: Service
) -> None:
    service.post(hostile(canary.url).encode())
    with chrome.page() as page:
        page.open(f"{service.url}/quarantine")
        assert "<script>" in page.ask("document.body.textContent")
        assert page.ask(_HANDLERS) == []
        page.open(f"{service.url}/incidents/%3Cimg%20src=x%20onerror=document.title=%60owned%60%3E")
        assert "<img src=x" in page.ask("document.body.textContent")
        assert "owned" not in page.ask("document.title.split(':')[0]")
        assert page.ask(_HANDLERS) == []
        _settle(page, canary)
    assert canary.fired == []
