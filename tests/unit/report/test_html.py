from __future__ import annotations

import re
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.unit.report.samples import hostile, investigation
from triagebook.core.errors import ReportError
from triagebook.report.html import render, write_report


@pytest.fixture(scope="module")
def html():
    return render(investigation())


def test_one_file_needs_nothing_from_outside(html):
    assert not re.findall(r"<(script|link|iframe|object|embed)\b", html)
    assert not re.findall(r"""(?:src|srcset)=["'](?!data:image/)""", html)
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_the_first_heading_is_the_title(html):
    assert "<title>flight-delay: drift</title>" in html


def test_another_title_can_be_given_and_is_escaped():
    assert "<title>&lt;b&gt;&amp;</title>" in render(investigation(), title="<b>&")


def test_without_a_heading_there_is_a_title():
    assert "<title>Investigation</title>" in render(new_notebook())


def test_code_is_folded_and_not_removed(html):
    assert html.count('<details class="tb-fold"><summary>code</summary>') == 5
    assert "parameters and their defaults" in html
    assert "parameters of this run" in html
    assert re.search(r"window_h.*?24", html)
    assert "<details open" not in html


def test_every_heading_can_be_linked_to(html):
    assert 'id="s-did-distance-really-change"' in html
    assert 'href="#s-did-distance-really-change"' in html


def test_two_equal_headings_have_two_anchors():
    cells = [new_markdown_cell("## Logs?"), new_markdown_cell("## Logs?")]
    assert re.findall(r'id="(s-[^"]+)"', render(new_notebook(cells=cells))) == [
        "s-logs",
        "s-logs-2",
    ]


def test_every_cell_can_be_linked_to(html):
    assert 'id="cell-id=chart"' in html


def test_a_png_carries_its_alternative_text(html):
    assert 'alt="Mean distance jumps at 02:05."' in html
    assert 'alt="The same, as HTML."' in html


@pytest.mark.parametrize(
    ("metadata", "plain", "alt"),
    [
        ({"image/png": {"alt": "inner"}, "alt": "outer"}, "p", "inner"),
        ({"alt": 'a "quoted" one'}, "p", "a &#34;quoted&#34; one"),
        ({}, "<Figure size 800x400>", "&lt;Figure size 800x400&gt;"),
        ({"image/png": {"alt": 5}}, None, "A figure without a description."),
    ],
)
def test_alternative_text_is_found_where_it_may_stand(metadata, plain, alt):
    data = {"image/png": "iVBORw0KGgo=\n"} | ({"text/plain": plain} if plain else {})
    output = new_output("display_data", data=data, metadata=metadata)
    html = render(new_notebook(cells=[new_code_cell("x", outputs=[output])]))
    assert f'src="data:image/png;base64,iVBORw0KGgo=" alt="{alt}"' in html


def test_picture_data_cannot_leave_its_attribute():
    output = new_output("display_data", data={"image/png": 'AA==" onerror="fetch(1)'})
    html = render(new_notebook(cells=[new_code_cell("x", outputs=[output])]))
    assert 'src="data:image/png;base64,AA==onerror=fetch1" alt=' in html


def test_what_failed_and_what_was_not_run_is_said_first(html):
    assert html.index("1 of 7 cells failed and 1 of 7 were not run") < html.index("<h1")
    assert "This cell was not run." in html
    assert "SourceTimeoutError" in html


def test_a_whole_run_has_no_such_note():
    html = render(
        new_notebook(cells=[new_code_cell("1", metadata={"papermill": {"status": "completed"}})])
    )
    assert "cells failed" not in html
    assert "not run" not in html


def test_terminal_colours_are_taken_out():
    assert "\x1b" not in render(investigation(hostile()))


@pytest.mark.parametrize("form", ["stdout", "stderr"])
def test_streams_are_text(form):
    output = new_output("stream", name=form, text="<b>a & b</b>")
    html = render(new_notebook(cells=[new_code_cell("x", outputs=[output])]))
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in html


def test_svg_scripts_and_scraps_are_not_shown():
    outputs = [
        new_output("display_data", data={kind: "secret-payload"})
        for kind in (
            "image/svg+xml",
            "application/javascript",
            "application/scrapbook.scrap.json+json",
        )
    ]
    assert "secret-payload" not in render(new_notebook(cells=[new_code_cell("x", outputs=outputs)]))


def test_a_section_that_brings_its_own_boxes_is_not_boxed(html):
    assert '<section id="s-did-distance-really-change" class="tb-card">' in html
    assert '<section id="s-flight-delay-drift" class="tb-intro">' in html


def test_the_notebook_is_not_changed():
    before = investigation(hostile())
    after = nbformat.from_dict(before)
    render(before)
    assert before == after


def test_a_usual_notebook_takes_less_than_a_second():
    cells = [cell for _ in range(4) for cell in investigation().cells]
    for number, cell in enumerate(cells):  # 48 cells, 8 charts
        cell.id = f"c{number}"
    nb = new_notebook(cells=cells)
    started = time.perf_counter()
    html = render(nb)
    assert time.perf_counter() - started < 1.0
    assert len(html) > 100_000


def test_a_report_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    notebook, output = tmp_path / "a.ipynb", tmp_path / "report.html"
    nbformat.write(investigation(), notebook)
    output.write_text("the one before")

    def fail(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(ReportError, match="No space left"):
        write_report(notebook, output)
    assert output.read_text() == "the one before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ipynb", "report.html"]


def test_a_report_is_written(tmp_path):
    notebook, output = tmp_path / "a.ipynb", tmp_path / "report.html"
    nbformat.write(investigation(), notebook)
    write_report(notebook, output)
    assert output.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ipynb", "report.html"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 3}', "\x00"])
def test_what_is_no_notebook_is_said(tmp_path, content):
    notebook = tmp_path / "a.ipynb"
    notebook.write_text(content)
    with pytest.raises(ReportError, match=r"a\.ipynb"):
        write_report(notebook, tmp_path / "report.html")


def test_a_missing_notebook_is_said(tmp_path):
    with pytest.raises(ReportError, match="cannot be read as a notebook"):
        write_report(tmp_path / "none.ipynb", tmp_path / "report.html")


def test_a_lone_surrogate_does_not_break_the_report(tmp_path):
    notebook = tmp_path / "a.ipynb"
    cell = new_code_cell("x", outputs=[new_output("stream", text="bad \ud83d text")])
    notebook.write_text(nbformat.writes(new_notebook(cells=[cell]), ensure_ascii=True))
    write_report(notebook, tmp_path / "report.html")
    assert "bad" in (tmp_path / "report.html").read_text(encoding="utf-8")
