"""What people see: phone width, light and dark, progress that moves, scripts switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.chrome import until
from tests.unit.web.samples import diagnosis, publish, webhook, write_progress
from tests.unit.web.service import running
from triagebook.core.models import to_json

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.chrome import Chrome
    from tests.unit.web.service import Service

pytestmark = pytest.mark.browser

_TEXT = "document.body?.innerText ?? ''"  # none while the page is loaded again
_CONTRAST = """
(() => {
  const rgb = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => { const f = v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
    return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const worst = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode());) {
    const e = node.parentElement;
    if (!node.data.trim() || !e.checkVisibility() || e.closest('script,style,.w-hidden,.tb-skip')) continue;
    const a = light(rgb(getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) worst.push([node.data.trim().slice(0, 40), Math.round(ratio * 100) / 100]);
  }
  return worst;
})()
"""


@pytest.fixture
def incident(service: Service) -> str:
    found = service.incident(webhook(region="eu-" + "very-long-name-without-a-blank-" * 6))
    publish(service.home, found)
    store = service.here.store
    store.set_outcome(found, severity="SEV2", verdict="cause_found", headline="distance is in km")
    store.set_run_state(found, "published")
    joined = service.post(webhook(title="p99 is above 2 s", instance="a-very-long-name-" * 6))
    assert joined.json()["joined"] == [found]
    service.post(b"{no json")
    return found


@pytest.mark.parametrize("width", [360, 390, 1000])
def test_no_page_scrolls_sideways(
    chrome: Chrome, service: Service, incident: str, width: int
) -> None:
    paths = (
        "/",
        f"/incidents/{incident}",
        f"/incidents/{incident}/report",
        "/quarantine",
        "/nowhere",
    )
    with chrome.page(width) as page:
        for path in paths:
            page.open(f"{service.url}{path}")
            page.ask("document.querySelectorAll('details').forEach(d => { d.open = true; })")
            wide = page.ask("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is {wide} pixels wide"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(chrome: Chrome, service: Service, incident: str, scheme: str) -> None:
    with chrome.page() as page:
        page.prefer(scheme)
        for path in ("/", f"/incidents/{incident}", f"/incidents/{incident}/report", "/quarantine"):
            page.open(f"{service.url}{path}")
            page.ask("document.querySelectorAll('details').forEach(d => { d.open = true; })")
            assert page.ask(_CONTRAST) == [], path


def test_contrast_is_really_measured(chrome: Chrome, service: Service) -> None:
    with chrome.page() as page:
        page.open(f"{service.url}/")
        page.ask("document.querySelector('h1').style.color = '#bbb'")
        assert [text for text, _ in page.ask(_CONTRAST)] == ["Incidents"]


def test_the_page_follows_a_run_to_its_end(chrome: Chrome, service: Service) -> None:
    incident = service.incident()
    store = service.here.store
    with chrome.page() as page:
        page.open(f"{service.url}/incidents/{incident}")
        text = "document.querySelector('main').textContent"
        assert "Waiting: place 1 of 1" in page.ask(text)
        store.set_run_state(incident, "running")
        write_progress(service.home, incident, cells=1, running="The answer")
        until(lambda: "1 of 6 cells" in page.ask(text), "the first cell is shown")
        page.ask("document.querySelector('#d-steps').open = true; window.same = 1")
        (service.home.attempt_dir(incident, 1) / "diagnosis.json").write_text(
            to_json(diagnosis(incident)), "utf-8"
        )
        write_progress(service.home, incident, cells=3, running="Which columns moved?")
        until(lambda: "arrives in kilometres" in page.ask(text), "the answer comes before the end")
        assert page.ask("document.querySelector('#d-steps').open"), "what was unfolded stays so"
        publish(service.home, incident)
        store.set_run_state(incident, "published")
        until(lambda: page.ask("document.querySelectorAll('iframe').length"), "the report appears")
        assert page.ask("window.same") == 1, "the page was not loaded again"
        assert page.ask("document.querySelector('iframe').getAttribute('sandbox')") == (
            "allow-popups allow-popups-to-escape-sandbox"
        )


def test_a_held_run_is_started_by_a_click_and_its_place_is_followed(
    chrome: Chrome, tmp_path: Path
) -> None:
    window = {"from": "00:00", "to": "24:00", "reason": "planned reload of the warehouse"}
    with running(tmp_path, maintenance=[window]) as service:
        first, held = service.incident(), service.incident(webhook(service="other"))
        service.here.store.line.release([first])
        with chrome.page(width=390) as page:
            # A click loads the page again; for a moment there is none.
            text = "document.querySelector('main')?.textContent ?? ''"
            for address in (f"/incidents/{held}", "/queue", "/"):
                page.open(f"{service.url}{address}")
                assert "planned reload" in page.ask(text) or address == "/"
                assert page.ask("document.documentElement.scrollWidth") <= 390
                assert page.ask(_CONTRAST) == []
            page.open(f"{service.url}/incidents/{held}")
            page.ask("document.querySelector('[data-run]').click()")
            until(lambda: "place 1 of 2" in page.ask(text), "it is first in line")
            service.here.store.line.hasten(first)
            until(lambda: "place 2 of 2" in page.ask(text), "somebody else was hastened after it")
            service.here.store.set_run_state(first, "running")
            until(lambda: "place 1 of 1 (1 running)" in page.ask(text), "the line moved on")
        with chrome.page() as page:
            page.scripts(allowed=False)
            page.open(f"{service.url}/incidents/{service.incident(webhook(service='third'))}")
            assert page.ask("document.querySelector('.w-scripted').offsetHeight") == 0


def test_without_scripts_the_page_loads_itself_again(chrome: Chrome, service: Service) -> None:
    incident = service.incident()
    store = service.here.store
    store.set_run_state(incident, "running")
    with chrome.page() as page:
        page.scripts(allowed=False)
        page.open(f"{service.url}/incidents/{incident}")
        publish(service.home, incident)
        store.set_run_state(incident, "published")
        until(
            lambda: "Everything in one folder" in page.ask("document.body?.textContent ?? ''"),
            "the finished run is shown",
        )


def test_a_list_that_is_open_shows_a_new_incident(chrome: Chrome, service: Service) -> None:
    with chrome.page() as page:
        page.open(f"{service.url}/")
        assert "No incident yet" in page.ask("document.body.textContent")
        service.incident()
        page.ask("refresh()")
        until(
            lambda: page.ask("document.querySelectorAll('.w-list li').length") == 1, "it is there"
        )


def test_a_reader_finds_landmarks_headings_and_names(
    chrome: Chrome, service: Service, incident: str
) -> None:
    with chrome.page() as page:
        for path in ("/", f"/incidents/{incident}", f"/incidents/{incident}/report"):
            page.open(f"{service.url}{path}")
            assert page.ask("document.documentElement.lang") == "en"
            assert page.ask("document.querySelectorAll('main').length") == 1
            assert (
                page.ask("document.querySelectorAll('img:not([alt]), iframe:not([title])').length")
                == 0
            )
            assert page.ask("document.querySelectorAll('h1').length") == 1
        page.open(f"{service.url}/incidents/{incident}")
        assert (
            page.ask("document.querySelector('[data-live=progress]').getAttribute('aria-live')")
            == "polite"
        )


def test_the_button_runs_it_again_and_the_last_answer_stays(
    chrome: Chrome, service: Service, incident: str
) -> None:
    click = "document.querySelector('[data-again]').click()"
    with chrome.page() as page:
        page.open(f"{service.url}/incidents/{incident}")
        page.ask(click)
        until(lambda: "to be looked at again" in page.ask(_TEXT), "it is queued")
        assert "18,200" in page.ask(_TEXT)
    assert service.here.store.incident(incident).attempt == 2


def test_the_button_says_why_where_it_cannot(
    chrome: Chrome, service: Service, incident: str
) -> None:
    click = "document.querySelector('[data-again]').click()"
    with chrome.page() as page:
        page.open(f"{service.url}/incidents/{incident}")
        page.ask(
            "document.querySelector('[data-again]').dataset.again = '/api/incidents/none/runs'"
        )
        page.ask(click)
        until(lambda: "there is no incident 'none'" in page.ask(_TEXT), "it says why")
        assert page.ask("document.querySelector('[data-again]').disabled") is False
