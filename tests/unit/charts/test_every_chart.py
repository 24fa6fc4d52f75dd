"""Every registered chart, in both widths, on every shape of evidence: drawn, or nothing to draw."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.unit.charts.conftest import CASES
from triagebook.charts._style import CHARTS, Drawn
from triagebook.diagnosis.spec import TYPES
from triagebook.display.elements import png

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.text import Text

    from triagebook.diagnosis.context import Context

NAMES = CHARTS.names()
_NEEDS_MORE = {"felt", "load", "nodes", "room", "within", "durations", "errors"}
COARSE_DPI, FINE_DPI = 40, 200
LIMIT_BYTES = 300_000


def _both_widths(context: Context, name: str) -> list[Drawn]:
    found = [CHARTS.get(name)(context, width) for width in ("wide", "narrow")]
    assert (found[0] is None) == (found[1] is None)
    return [one for one in found if one is not None]


def _texts(drawn: Drawn) -> Iterator[Text]:
    for axes in drawn.figure.axes:
        yield from axes.texts
        yield from (axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label)
        yield from (*axes.get_xticklabels(), *axes.get_yticklabels())


def _check(drawn: Drawn) -> None:
    wide, high = drawn.figure.get_size_inches()
    assert wide in (9.2, 4.3)
    assert 0.5 < high < 15
    assert png(drawn.figure, COARSE_DPI).startswith(b"\x89PNG\r\n\x1a\n")
    for text in _texts(drawn):
        assert "$" not in text.get_text() or not text.get_parse_math()
        assert len(text.get_text()) < 130
    assert re.search(r"\d", drawn.alt)
    assert drawn.alt.endswith(".")
    assert len(drawn.alt) < 900
    assert drawn.alt.isprintable()
    assert not re.search(r"\b(nan|inf)\b", drawn.alt)


@pytest.mark.parametrize("case", CASES)
def test_each_chart_is_drawn_with_its_words_or_there_is_nothing_to_draw(
    context_of: Callable[[str], Context], case: str, subtests: pytest.Subtests
):
    # Warnings are errors here: a missing glyph, a collapsed layout, the mean of nothing.
    context = context_of(case)
    for name in NAMES:
        with subtests.test(chart=name):
            for drawn in _both_widths(context, name):
                _check(drawn)


def test_every_chart_that_a_spec_names_is_registered():
    named = {s.chart for spec in TYPES for s in spec.sections if s.chart is not None}
    assert named <= set(NAMES)


def test_the_demo_has_every_chart_in_a_small_file(solved: Context, subtests: pytest.Subtests):
    for name in NAMES:
        with subtests.test(chart=name):
            both = _both_widths(solved, name)
            if name in _NEEDS_MORE and not both:
                continue  # the demo's services have no such metrics
            assert len(both) == 2
            sizes = [len(png(one.figure, FINE_DPI)) for one in both]
            assert max(sizes) < LIMIT_BYTES, sizes


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("two hundred changes", "around"),
        ("two hundred changes", "symptom"),
        ("a thousand tasks", "around"),
        ("a thousand tasks", "tasks"),
        ("hostile", "around"),
    ],
)
def test_crowded_files_are_small_too(context_of: Callable[[str], Context], case: str, name: str):
    both = _both_widths(context_of(case), name)
    assert len(both) == 2
    assert all(len(png(one.figure, FINE_DPI)) < LIMIT_BYTES for one in both)


def test_drawn_twice_a_chart_is_the_same_to_the_byte(plain: Context, subtests: pytest.Subtests):
    for name in NAMES:
        with subtests.test(chart=name):
            first, second = (_both_widths(plain, name)[:1] for _ in range(2))
            assert [png(one.figure, COARSE_DPI) for one in first] == [
                png(one.figure, COARSE_DPI) for one in second
            ]
            assert [one.alt for one in first] == [one.alt for one in second]


def test_without_evidence_only_the_count_of_findings_is_drawn(
    context_of: Callable[[str], Context],
):
    assert [name for name in NAMES if _both_widths(context_of("empty"), name)] == ["kinds"]
