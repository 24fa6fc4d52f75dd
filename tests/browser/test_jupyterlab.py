"""From the page's button into a real JupyterLab, in the kernel that executed the notebook."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from nbformat import v4, write

from tests.browser.chrome import Page, until
from triagebook.core.models import Alert, IncidentType, RunRequest
from triagebook.core.settings import LabSettings
from triagebook.running.attempt import Attempt
from triagebook.running.live.server import LabServer
from triagebook.running.publish import publish
from triagebook.running.supervise import execute_attempt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.browser.chrome import Chrome
    from tests.unit.web.service import Service

pytestmark = pytest.mark.browser

_CELLS = "document.querySelectorAll('.jp-Notebook .jp-Cell').length"
_TEXT = "document.body.innerText"


@pytest.fixture
def incident(service: Service, tmp_path: Path) -> Iterator[str]:
    lab = LabServer(service.home, LabSettings(enabled=True))
    lab.open()
    try:
        assert lab.wait_until_up(threading.Event())
        found = service.incident()
        cell = v4.new_code_cell("frame = list(range(123456))", id="one")
        notebook = v4.new_notebook(cells=[cell])
        write(notebook, tmp_path / "probe.ipynb")
        attempt = Attempt(service.home.attempt_dir(found, 1))
        request = RunRequest(
            incident_id=found,
            incident_type=IncidentType.UNKNOWN,
            service=None,
            runbook="probe",
            alert=Alert(),
            home=str(service.home.root),
            attempt=1,
            deadline_s=120,
            live=str(lab.file),
        )
        attempt.prepare(request, notebooks=tmp_path)
        execute_attempt(attempt)
        publish(service.home.run_dir(found), 1)
        service.here.store.set_run_state(found, "published")
        yield found
    finally:
        lab.close()


def click(page: Page, selector: str) -> None:
    """Click as a hand does: a script's own click may open no tab."""
    at: Any = page.ask(
        f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView({{block: 'center'}});"
        " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()"
    )
    for event in ("mousePressed", "mouseReleased"):
        page.call(
            "Input.dispatchMouseEvent",
            type=event,
            x=at[0],
            y=at[1],
            button="left",
            clickCount=1,
        )


def test_the_button_opens_the_notebook_with_its_frames_in_memory(
    chrome: Chrome, service: Service, incident: str, tmp_path: Path
) -> None:
    with chrome.page() as page:
        page.open(f"{service.url}/incidents/{incident}")
        assert "go on in its live kernel" in page.ask(_TEXT)
        click(page, "a[href$='/lab']")
        address = f"/lab/tree/{incident}/investigation.ipynb"
        until(lambda: any(address in tab for tab in chrome.tabs()), "the tab of JupyterLab")
    with chrome.page(1300) as page:
        page.go(f"{service.url}/incidents/{incident}/lab")
        until(lambda: page.ask(_CELLS), "its cells", 90)
        until(lambda: "Idle" in page.ask(_TEXT), "its kernel", 90)
        # A new cell below the last one, typed and executed.
        click(page, ".jp-Notebook .jp-Cell:last-of-type .jp-InputPrompt, .jp-Notebook .jp-Cell")
        press(page, "Escape")
        press(page, "b")
        press(page, "Enter")
        page.call("Input.insertText", text="print('rows', len(frame))")
        press(page, "Enter", shift=True)
        until(lambda: "rows 123456" in page.ask(_TEXT), "the answer of the live kernel", 60)
        page.photograph(tmp_path / "lab.png", whole=False)
        # Nothing but the notebook: no question about news.
        assert "news" not in page.ask(_TEXT)


def press(page: Page, key: str, *, shift: bool = False) -> None:
    """Press and release a key."""
    codes = {"Escape": 27, "Enter": 13, "b": 66}
    text = {"Enter": "\r", "b": "b"}.get(key)
    told: dict[str, Any] = {
        "key": key,
        "windowsVirtualKeyCode": codes[key],
        "modifiers": 8 if shift else 0,
    }
    page.call("Input.dispatchKeyEvent", type="keyDown", **told, **({"text": text} if text else {}))
    page.call("Input.dispatchKeyEvent", type="keyUp", **told)
