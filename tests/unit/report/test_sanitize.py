from __future__ import annotations

import pytest

from tests.unit.report.samples import ANSWER, HOSTILE_HTML
from triagebook.report.sanitize import clean_html

_URL = "http://127.0.0.1:9/canary/"


@pytest.mark.parametrize("attack", HOSTILE_HTML)
def test_nothing_that_runs_or_loads_is_left(attack):
    left = clean_html(attack.format(js="fetch(`x`)", url=_URL)).lower()
    # What is left of an attack is text: between two tags nothing of it stands.
    tags = [part.split(">")[0] for part in left.split("<")[1:]]
    assert not [tag for tag in tags if "on" in tag and "=fetch" in tag]
    for word in (
        "script",
        "svg",
        "iframe",
        "form",
        "input",
        "style",
        "meta",
        "link",
        "object",
        "embed",
        "base",
        "math",
    ):
        assert not [tag for tag in tags if tag.strip("/ ").startswith(word)], (word, left)
    assert not [tag for tag in tags if _URL in tag]


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.example",
        "/incidents",
        "evil.html",
    ],
)
def test_a_link_that_leads_nowhere_good_loses_its_address(address):
    assert "href" not in clean_html(f'<a href="{address}">x</a>')


@pytest.mark.parametrize(
    "address",
    ["http://grafana.example/d/1", "https://x.example/?a=1&amp;b=2", "mailto:oncall@x.example"],
)
def test_a_link_into_the_web_opens_a_tab_of_its_own(address):
    html = clean_html(f'<a href="{address}">x</a>')
    assert f'href="{address}"' in html
    assert 'target="_blank"' in html
    assert 'rel="noopener noreferrer"' in html


def test_a_link_within_the_document_stays_in_it():
    html = clean_html('<a href="#cell-id=chart">see</a> <a href="https://x.example">x</a>')
    assert '<a href="#cell-id=chart" rel="noopener noreferrer">' in html
    assert html.count("_blank") == 1


@pytest.mark.parametrize("style", ["width:86%", "width: 0%", "width:100%;", "width:6.5%"])
def test_a_bars_width_is_kept(style):
    assert f'style="{style}"' in clean_html(f'<i style="{style}"></i>')


@pytest.mark.parametrize(
    "html",
    [
        '<i style="width:101%">',
        '<i style="width:86%;background:url(http://x.example)">',
        '<i style="position:fixed">',
        '<p style="width:10%">',
        '<i style="width:86px">',
    ],
)
def test_any_other_style_is_removed(html):
    assert "style" not in clean_html(html)


@pytest.mark.parametrize(
    "source",
    [
        "http://x.example/p.png",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:text/html;base64,AAAA",
        "x",
    ],
)
def test_a_picture_from_elsewhere_is_not_loaded(source):
    assert "src" not in clean_html(f'<img src="{source}" alt="a chart">')


def test_an_embedded_picture_keeps_its_alternative_text():
    html = '<img src="data:image/png;base64,iVBORw0KGgo=" alt="Mean jumps at 02:05." class="tb-wide" width="800">'
    assert clean_html(html) == html


def test_two_renderings_of_a_chart_are_kept():
    html = clean_html(
        '<picture><source srcset="data:image/png;base64,AA==" media="(max-width:600px)"><img src="data:image/png;base64,BB==" alt="x"></picture>'
    )
    assert 'srcset="data:image/png;base64,AA=="' in html
    assert 'media="(max-width:600px)"' in html


def test_our_own_answer_passes_whole():
    html = clean_html(ANSWER)
    for part in (
        "tb-top",
        "tb-chip bad",
        "tb-lead",
        "tb-facts",
        "tb-hyp dim",
        'style="width:86%"',
        "tb-led",
        "tb-chip miss",
        "#cell-id=chart",
    ):
        assert part in html
    assert html.count("<section") == ANSWER.count("<section")


def test_a_table_and_a_heading_pass_whole():
    html = "<h2>Which?</h2><table><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>"
    assert clean_html(html) == html
