"""Whatever text comes in, what goes out is our own tags and that text, escaped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.notebooks.attacks import ATTACKS, EVERYTHING
from tests.unit.display.made import WINDOWS, Page, diagnosis
from triagebook.core.models import to_json
from triagebook.display import answer, elements, sections

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from triagebook.core.models import Diagnosis

OUR_TAGS = {
    *("div", "p", "b", "i", "span", "small", "a", "h2", "h3", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td", "details", "summary", "figure", "img"),
}
OUR_ATTRIBUTES = {"class", "style", "href", "src", "alt", "scope", "aria-hidden"}

VIEWS: dict[str, Callable[[Diagnosis], str]] = {
    "answer": lambda d: answer.answer(d, going_on=True),
    "severity": answer.severity,
    "hypotheses": answer.hypotheses,
    "coverage": lambda d: answer.coverage(d.ledger),
    "findings": lambda d: sections.findings(d.findings),
    "impact": sections.impact,
    "actions": sections.actions,
    "escalation": lambda d: sections.escalation(d, [d.summary], [d.summary]),
    "postmortem": lambda d: sections.postmortem(d, {d.summary: "2024"}),
    "ledger": sections.ledger,
    "provenance": lambda d: sections.provenance(d, d.windows),
    "changes": lambda d: sections.changes_table([(d.summary,) * 4]),
    "table": lambda d: elements.table((d.summary,), [(d.summary,)]),
    "picture": lambda d: elements.picture(b"1", b"2", d.summary),
    "facts": lambda d: elements.facts([(d.summary,) * 3]),
    "chip": lambda d: elements.chip(d.summary, "miss"),
    "link": lambda d: elements.to_cell(d.summary),
}


def _check(html: str) -> Page:
    page = Page(html)
    assert page.tags <= OUR_TAGS
    assert page.attributes <= OUR_ATTRIBUTES
    for address in page.addresses:
        assert address.startswith(("#cell-id=", "data:image/png;base64,"))
    assert not set("\x1b\x00\x07\u202e\u2066") & set(html)
    return page


# Pieces of markup between any text: plain random text seldom holds a tag.
TEXTS = st.lists(st.one_of(st.text(max_size=30), st.sampled_from(ATTACKS[:-1])), max_size=4).map(
    "".join
)


@pytest.mark.parametrize("view", VIEWS)
@given(said=TEXTS)
@example(said=EVERYTHING)
@example(said="]]><!--</td></table>&lt;b&amp;")
@settings(max_examples=25, deadline=None)
def test_a_view_holds_our_tags_only(view: str, said: str):
    _check(VIEWS[view](diagnosis(said)))


@given(said=TEXTS)
@example(said=EVERYTHING)
def test_text_comes_back_as_it_was_but_for_control_characters(said: str):
    page = Page(f"<p>{elements.text(said)}</p>")
    assert page.tags == {"p"}
    assert page.text == elements.plain(said)
    assert len(elements.plain(said)) == len(said)


@given(said=TEXTS)
def test_plain_changes_nothing_twice(said: str):
    once = elements.plain(said)
    assert elements.plain(once) == once
    assert all(c.isprintable() or c in "\n\t\ufffd" for c in once)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<b>&\"'", "&lt;b&gt;&amp;&quot;&#x27;"),
        ("\x1b[31m", "\ufffd[31m"),
        ("a\nb\tc", "a\nb\tc"),
        ("\u202eabc", "\ufffdabc"),
        ("né 漢字", "né 漢字"),
        (None, "None"),
        (1.5, "1.5"),
    ],
)
def test_text_by_example(said: object, shown: str):
    assert elements.text(said) == shown


@pytest.mark.parametrize("view", ["answer", "hypotheses", "findings", "postmortem", "actions"])
def test_attacks_are_readable_as_text(view: str):
    page = _check(VIEWS[view](diagnosis(EVERYTHING)))
    assert "<script>alert(1)</script>" in page.text


def test_similar_incidents_are_escaped_as_well(tmp_path: Path):
    other = json.loads(to_json(diagnosis(EVERYTHING, incident_id=f"I-2 {EVERYTHING}")))
    (tmp_path / "I-2").mkdir()
    (tmp_path / "I-2" / "diagnosis.json").write_text(json.dumps(other), encoding="utf-8")
    page = _check(sections.similar(diagnosis(EVERYTHING), tmp_path))
    assert "cause and locus" in page.text


def test_notes_of_a_clock_are_escaped():
    windows = WINDOWS.model_copy(update={"notes": [EVERYTHING]})
    assert "<script>alert(1)</script>" in _check(sections.provenance(diagnosis(), windows)).text


def test_only_html_of_our_own_passes_a_table_as_it_is():
    html = elements.table(("a",), [(elements.Html(elements.chip("ok")),), ("<i>",)])
    assert Page(html).text.count("<i>") == 1
    assert '<span class="tb-chip ' in html
