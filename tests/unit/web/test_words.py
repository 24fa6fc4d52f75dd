from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.web.samples import T0, diagnosis
from triagebook.core.models import LedgerEntry, Onset, Progress
from triagebook.core.words import confidence
from triagebook.web import answer, wording
from triagebook.web.progress import advance


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (18_200.0, "predictions", "18,200"),
        (0.31, "share", "31\N{NO-BREAK SPACE}%"),
        (1.0, "share", "100\N{NO-BREAK SPACE}%"),
        (0.0, None, "0"),
        (99.94, None, "99.9"),
        (100.4, None, "100"),
        (-1_234.5, None, "-1,234"),
        (0.000123, None, "0.000123"),
        (3.0, "runs", "3"),
    ],
)
def test_a_number_is_written_for_people(value, unit, text):
    assert wording.number(value, unit) == text


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_is_none_breaks_nothing(value):
    assert wording.number(value, "share") == wording.number(value) == "not known"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (89, "89 s"),
        (90, "2 min"),
        (7_100, "118 min"),
        (7_200, "2 h"),
        (11_400, "3 h 10 min"),
        (172_800, "2 days"),
        (1e9, "11574 days"),
    ],
)
def test_a_length_of_time_is_written_for_people(seconds, text):
    assert wording.span(seconds) == text


@pytest.mark.parametrize(
    ("past_s", "text"),
    [(4.9, "just now"), (5, "5 s ago"), (59, "59 s ago"), (600, "10 min ago"), (-60, "just now")],
)
def test_how_long_ago(past_s, text):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert wording.ago(now - timedelta(seconds=past_s), now) == text


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\u202eb", "ab"),
        ("a\x00b\x07", "ab"),
        ("line\nnext\ttab", "line\nnext\ttab"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("61 % longer", "61\N{NO-BREAK SPACE}% longer"),
        (5, "5"),
    ],
)
def test_outside_text_is_cleaned(dirty, clean):
    assert wording.clean(dirty) == clean


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:text/html,x", " http://x y", "ftp://x", "", "//x.example"],
)
def test_what_is_no_web_address_is_no_link(address):
    assert "<a" not in wording.web_link(address)


def test_a_web_address_cannot_leave_its_attribute():
    link = wording.web_link('https://x.example/"onclick="alert(1)')
    assert '"onclick' not in link
    assert link.startswith('<a href="https://x.example/&#34;onclick=')


def test_an_onset_over_midnight_names_both_days():
    onset = Onset.model_validate(
        {"at": T0, "low": T0 - timedelta(hours=3), "high": T0, "from": "x"}
    )
    assert wording.onset_range(onset) == "3 June 2013 23:05 UTC to 4 June 2013 02:05 UTC"


def test_what_failed_is_named_and_what_was_never_set_up_is_one_chip():
    def entry(name, status, **more):
        return LedgerEntry(id=name, source=name, status=status, **more)

    chips = answer.chips(
        [
            entry("a", "ok", kind="logs", rows=3),
            entry("b", "truncated", why="cut off at 11,000 points"),
            entry("c", "not_configured"),
            entry("d", "not_configured"),
            entry("e", "ok", rows=0),
            entry("f", "unavailable", why="x" * 200),
        ]
    )
    assert [(chip.kind, chip.text) for chip in chips][:4] == [
        ("", "a 3 lines"),
        ("", "e: nothing there"),
        ("miss", "b: cut off at 11,000 points"),
        ("miss", f"f: {'x' * 87}…"),
    ]
    assert (chips[4].kind, chips[4].text) == ("off", "not set up: c, d")
    assert "x" * 200 in chips[3].hint


def test_two_pulls_of_one_table_are_one_chip_by_its_name():
    pulls = [
        LedgerEntry(id=str(rows), source="tables:flights", kind="tables", status="ok", rows=rows)
        for rows in (52_207, 1_958)
    ]
    assert [chip.text for chip in answer.chips(pulls)] == ["flights 54,165 rows"]
    files = LedgerEntry(id="m", source="metrics:files", kind="metrics", status="ok", rows=5)
    assert [chip.text for chip in answer.chips([files])] == ["metrics 5 samples"]


def test_harm_is_told_before_counts_and_durations_never():
    impact = [
        {
            "what": "minutes since the onset",
            "value": 480,
            "unit": "min",
            "low": 1,
            "high": 2,
            "how": "x",
        },
        {
            "what": "served",
            "value": 463,
            "unit": "predictions",
            "low": 463,
            "high": 463,
            "how": "x",
        },
        {
            "what": "likely wrong",
            "value": 34,
            "unit": "predictions",
            "low": 21,
            "high": 45,
            "how": "x",
        },
        {"what": "late", "value": 0.093, "unit": "share of decisions", "how": "x"},
    ]
    found = answer.facts(diagnosis("i", impact=impact), most=3)
    assert [(fact.label, fact.value, fact.small) for fact in found] == [
        ("likely wrong", "34 predictions", "(21 to 45)"),
        ("served", "463 predictions", ""),
        ("late", "9.3\N{NO-BREAK SPACE}% of decisions", ""),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.0049, "< 0.01"),
        (0.005, "0.01"),
        (0.86, "0.86"),
        (0.9949, "0.99"),
        (0.995, "> 0.99"),
        (1.0, "1.00"),
    ],
)
def test_a_confidence_is_never_a_nought_that_is_none(value, text):
    assert confidence(value) == text


def test_a_hypothesis_steps_back_below_a_fifth_and_the_first_never():
    def dims(*shares):
        found = diagnosis(
            "i",
            hypotheses=[{"cause": "c", "locus": "l", "confidence": share} for share in shares],
        )
        return [row.dim for row in answer.reasons(found)]

    assert dims(0.1, 0.2, 0.1999) == [False, False, True]


def test_a_headline_is_not_said_twice():
    head = "distance arrives in kilometres since 02:05."
    assert answer.lead(diagnosis("i")) == (
        head,
        "The model reads every flight as 61\N{NO-BREAK SPACE}% longer and calls too many late.",
    )
    assert answer.lead(diagnosis("i", summary=head)) == (head, "")


def test_progress_folds_a_cells_lines_into_one_step():
    def line(event, **more):
        return Progress(ts=T0, event=event, **more)

    found = advance(
        [
            line("started", total=3),
            line("cell", cell="a", title="A", index=0, status="running", total=3),
            line("cell", cell="a", title="A", index=0, status="done", took_s=1.5, total=3),
            line(
                "cell", cell="b", title="B", index=1, status="failed", total=3, message="it broke"
            ),
            line("cell", cell="c", title="C", index=2, status="running", total=3),
        ]
    )
    assert (found.done, found.total, found.now) == (2, 3, "C")
    assert [step.status for step in found.steps] == ["done", "failed", "running"]
    assert found.notes == ["it broke"]


def test_what_a_cell_says_is_shown_while_it_runs_and_is_no_note():
    def line(event, **more):
        return Progress(ts=T0, event=event, **more)

    start = line("cell", cell="a", title="A", index=0, status="running", total=2)
    words = line("cell", message="Is it the season?")
    assert advance([start, words]).saying == "Is it the season?"
    assert advance([start, words]).notes == []
    assert len(advance([start, words]).steps) == 1
    assert advance([start, words, line("answer", message="found")]).saying == "found"
    over = line("cell", cell="a", title="A", index=0, status="done", total=2)
    assert advance([start, words, over]).saying == ""


def test_no_progress_is_no_step():
    assert advance([]).total is None
