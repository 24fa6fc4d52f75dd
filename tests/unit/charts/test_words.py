"""What charts say: units on axes, the onset, the changes, and what is left out where there is much."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.notebooks.evidence import NOW, changes
from triagebook.charts._style import CHARTS, figure, label, mark_changes, mark_onset, time_axis
from triagebook.core.models import Onset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from triagebook.charts._style import Drawn
    from triagebook.diagnosis.context import Context


def _draw(context: Context, name: str, width: str = "wide") -> Drawn:
    drawn = CHARTS.get(name)(context, width)
    assert drawn is not None
    return drawn


def _said(drawn: Drawn) -> list[str]:
    return [text.get_text() for axes in drawn.figure.axes for text in axes.texts]


@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_axes_carry_the_units_that_the_table_has(plain: Context, width: str):
    symptom = _draw(plain, "symptom", width).figure.axes
    assert symptom[0].get_ylabel() == "mean amount,\neuro"
    fault = _draw(plain, "fault", width).figure.axes
    assert [a.get_xlabel() for a in fault] == ["amount, euro", "quantiles before: amount, euro"]
    assert [a.get_ylabel() for a in fault] == ["% of rows", "quantiles since: amount, euro"]


def test_the_demos_axes_carry_units(solved: Context):
    assert "miles" in _draw(solved, "symptom").figure.axes[0].get_ylabel()
    assert "miles" in _draw(solved, "season").figure.axes[0].get_ylabel()
    for axes in _draw(solved, "series").figure.axes:
        assert axes.get_ylabel()


@pytest.mark.parametrize("name", ["symptom", "around", "tasks", "series"])
def test_time_axes_say_utc_and_the_dates(solved: Context, name: str):
    assert _draw(solved, name).figure.axes[-1].get_xlabel() == "UTC, 2 to 4 June 2013"


@pytest.mark.parametrize("name", ["symptom", "around", "tasks"])
def test_the_onset_is_marked_alike_on_every_time_axis(solved: Context, name: str):
    assert "onset 14:00" in _said(_draw(solved, name))


def test_the_symptom_tells_before_from_now(solved: Context):
    alt = _draw(solved, "symptom").alt
    assert alt.startswith("Mean distance over the current window: 1,65")
    assert "at the same hours before" in alt
    assert alt.endswith("It leaves the band at 4 June 2013 14:00 UTC.")


def test_the_fault_names_its_constant(solved: Context):
    drawn = _draw(solved, "fault")
    assert "slope 1.609" in drawn.alt
    assert "× 1.609" in _said(drawn)


def test_the_inputs_name_what_is_beyond_natural_with_both_numbers(solved: Context):
    alt = _draw(solved, "inputs").alt
    assert "beyond their natural movement: distance 0." in alt
    assert ", natural 0." in alt


def test_series_say_their_means(solved: Context):
    alt = _draw(solved, "series").alt
    assert alt.count(" now, ") == len(_draw(solved, "series").figure.axes)


def test_two_hundred_changes_are_counted_and_ten_of_them_named(context_of):
    drawn = _draw(context_of("two hundred changes"), "around")
    assert drawn.alt.startswith("200 changes in the current window: deploy of part 199 at ")
    ticks = [t.get_text() for t in drawn.figure.axes[0].get_yticklabels()]
    assert len([t for t in ticks if t.startswith("deploy of part")]) == 10


def test_a_thousand_failed_tasks_share_a_row_after_the_first_eight(context_of):
    drawn = _draw(context_of("a thousand tasks"), "around")
    ticks = [t.get_text() for t in drawn.figure.axes[0].get_yticklabels()]
    assert ticks == [*(f"task_{n} failed" for n in range(8)), "992 more tasks failed"]
    assert drawn.alt.endswith("1000 failed task runs.")


def test_eight_failed_tasks_have_a_row_each(plain: Context):
    runs = [
        SimpleNamespace(
            pipeline="p",
            task=f"t{n}",
            state="failed",
            upstream=[],
            end=NOW - timedelta(hours=n + 1),
        )
        for n in range(8)
    ]
    bundle = SimpleNamespace(windows=plain.bundle.windows, pipeline=runs)
    few = SimpleNamespace(bundle=bundle, changes=[], results=plain.results)
    ticks = [t.get_text() for t in _draw(few, "around").figure.axes[0].get_yticklabels()]
    assert ticks == [f"t{n} failed" for n in reversed(range(8))]


def test_the_mix_and_the_words_of_a_category(context_of):
    assert "Shares of kind: " in _draw(context_of("only words"), "fault").alt


@pytest.mark.parametrize(
    ("name", "most", "said"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("two\nlines\tand\x1b[0m", 40, "two lines and [0m"),
        ("", 5, ""),
        (17, 5, "17"),
        ("\u202eturned", 40, "turned"),
    ],
)
def test_names_are_one_line_of_a_bounded_length(name: object, most: int, said: str):
    assert label(name, most) == said


def _axes() -> Axes:
    _, (axes,) = figure("wide", 2.0)
    time_axis(axes, NOW - timedelta(days=2), NOW, "wide")
    return axes


@pytest.mark.parametrize(("hours_ago", "side"), [(40, "left"), (2, "right")])
def test_a_late_onset_is_named_to_the_left_of_its_line(hours_ago: int, side: str):
    axes = _axes()
    at = NOW - timedelta(hours=hours_ago)
    mark_onset(axes, Onset(at=at, low=at, high=at, **{"from": "rows"}), label=True)
    assert [t.get_horizontalalignment() for t in axes.texts] == [side]


def test_without_an_onset_nothing_is_marked():
    axes = _axes()
    mark_onset(axes, None, label=True)
    assert not axes.lines
    assert not axes.texts


def test_changes_outside_the_window_are_left_out_and_suspects_are_bold():
    axes = _axes()
    made = [
        c.model_copy(update={"ts": NOW - timedelta(hours=h)})
        for c, h in zip(changes(3), (10, 20, 90), strict=True)
    ]
    mark_changes([axes], made, made[:1], "wide")
    assert [t.get_fontweight() for t in axes.texts] == ["normal", "bold"]
    assert "deploy of part 0 → v2" in axes.texts[1].get_text()


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (2, "UTC, 18 to 20 May 2024"),
        (20, "UTC, 30 April to 20 May 2024"),
        (0.5, "UTC, 20 May 2024"),
    ],
)
def test_a_time_axis_names_the_dates_it_spans(days: float, said: str):
    _, (axes,) = figure("narrow", 2.0)
    time_axis(axes, NOW - timedelta(days=days), NOW, "narrow")
    assert axes.get_xlabel() == said


@pytest.mark.parametrize(("width", "size"), [("wide", (9.2, 2.0)), ("narrow", (4.3, 2.4))])
def test_a_figure_for_the_phone_is_narrow_and_a_fifth_taller(width: str, size: tuple[float, float]):
    made, _ = figure(width, 2.0)
    assert tuple(made.get_size_inches()) == pytest.approx(size)
