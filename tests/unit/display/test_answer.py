"""The first screen, for every verdict and with any part of it missing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.display.made import NOON, Page, diagnosis, entry, finding, onset
from triagebook.core.models import Alert, Hypothesis
from triagebook.display.answer import (
    VERDICTS,
    answer,
    confidence,
    coverage,
    hypotheses,
    hypothesis,
    interval,
    key_facts,
    not_seen,
    severity,
)


def _text(html: str) -> str:
    return Page(html).text


@pytest.mark.parametrize("verdict", ["cause_found", "inconclusive", "healthy"])
def test_each_verdict_is_said_in_words(verdict: str):
    html = answer(diagnosis(verdict=verdict), going_on=True)
    assert f">{VERDICTS[verdict]}</span>" in html
    assert verdict not in html


def test_there_are_words_for_every_verdict():
    assert set(VERDICTS) == {"cause_found", "inconclusive", "healthy"}


@pytest.mark.parametrize(
    ("level", "loud"), [("SEV1", True), ("SEV2", True), ("SEV3", False), ("SEV4", False)]
)
def test_only_the_two_worst_severities_are_red(level: str, loud: bool):
    html = answer(diagnosis(severity={"level": level, "because": []}), going_on=True)
    assert f'<span class="tb-chip {"bad" if loud else ""}"' in html.partition(level)[0][-250:]


@pytest.mark.parametrize(
    ("going_on", "said"), [(True, "still going on"), (False, "it has stopped")]
)
def test_it_says_whether_it_goes_on(going_on: bool, said: str):
    assert said in _text(answer(diagnosis(), going_on=going_on))


def test_without_an_onset_it_says_neither_since_when_nor_that_it_goes_on():
    said = _text(answer(diagnosis(onset=None), going_on=True))
    assert "going on" not in said
    assert "since" not in said


def test_without_impact_no_number_of_predictions_is_made_up():
    said = _text(answer(diagnosis(impact=[]), going_on=True))
    assert "predictions" not in said


def test_a_resolved_alert_is_said():
    found = diagnosis(alert=Alert(status="resolved"))
    assert "alert resolved" in _text(answer(found, going_on=False))
    assert "alert resolved" not in _text(answer(diagnosis(), going_on=False))


def test_facts_are_since_when_how_much_and_what_next():
    facts = key_facts(diagnosis())
    assert facts[0] == ("since", "20 May 2024 12:00 UTC", "(11:55 to 12:05)")
    assert facts[1] == ("predictions likely wrong", "1,234", "(1,000 to 2,000)")
    assert facts[2][0] == "next"
    assert key_facts(diagnosis(onset=None, impact=[], actions=[])) == []


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        ((0, 0), ""),
        ((5, 10), "(11:55 to 12:10)"),
        ((719, 0), "(00:01 to 12:00)"),
        ((721, 0), "(19 May 2024 23:59 UTC to 20 May 2024 12:00 UTC)"),
    ],
)
def test_an_interval_names_days_only_where_they_differ(minutes: tuple[int, int], said: str):
    assert interval(onset(*minutes)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0.00"),
        (0.004999, "< 0.01"),
        (0.005, "0.01"),
        (0.0051, "0.01"),
        (0.86, "0.86"),
        (1.0, "1.00"),
    ],
)
def test_a_small_confidence_is_never_nought(value: float, said: str):
    assert confidence(value) == said


def test_an_empty_ledger_is_said():
    assert _text(coverage([])) == "nothing was asked"
    assert "nothing was asked" in _text(answer(diagnosis(ledger=[]), going_on=True))


def test_what_was_not_seen_is_named_with_the_reason():
    said = coverage(
        [
            entry("L01", "tables:orders", "ok", rows=1200),
            entry("L02", "tables:orders", "ok", rows=34),
            entry("L03", "logs:loki", "unavailable", took_s=4.0),
            entry("L04", "metrics:prom", "unavailable", why="refused\nat line 3"),
            entry("L05", "tables:labels", "stale", rows=2, why="a day old"),
            entry("L06", "changes", "not_configured", why="no [[service.changes]]"),
            entry("L07", "pipeline:airflow", "empty", rows=0),
        ]
    )
    for part in (
        "orders 1,234 rows",
        "logs: unavailable in 4 s",
        "metrics: unavailable, refused",
        "labels: stale, a day old",
        "changes: not configured",
        "pipeline 0 rows",
    ):
        assert part in said
    assert "at line 3" not in said


@pytest.mark.parametrize(("length", "shown"), [(119, 119), (120, 120), (121, 120)])
def test_a_long_reason_is_cut(length: int, shown: int):
    assert not_seen(entry("L01", "logs", "unavailable", why="x" * length)).count("x") == shown


def _guess(place: int, share: float) -> Hypothesis:
    return Hypothesis(
        cause="data.unit_change",
        locus=f"column:t.c{place}",
        confidence=share,
        title=f"guess {place}",
    )


def test_three_hypotheses_are_shown_and_the_rest_counts_as_none_of_these():
    found = diagnosis(hypotheses=[_guess(n, 0.2) for n in range(4)], none_of_these=0.2)
    said = _text(answer(found, going_on=True))
    assert "guess 2" in said
    assert "guess 3" not in said
    assert "0.40" in said
    assert "guess 3" in _text(hypotheses(found))


def test_no_hypothesis_leaves_everything_to_none_of_these():
    found = diagnosis(hypotheses=[], none_of_these=1.0, verdict="inconclusive")
    assert "1.00" in _text(answer(found, going_on=True))
    assert "None of these" in _text(hypotheses(found))


def test_findings_are_linked_to_their_cells_and_missing_ones_are_not_invented():
    findings = [finding("F01", cell="fault"), finding("F02", "ok", "steady")]
    guess = Hypothesis.model_validate(
        {
            "cause": "data.unit_change",
            "locus": "x",
            "confidence": 0.9,
            "for": ["F01", "F99"],
            "against": [],
        }
    )
    page = Page(hypothesis(guess, findings))
    assert page.addresses == ["#cell-id=fault"]
    assert "for it moved see" in page.text
    assert "against nothing found" in page.text


@pytest.mark.parametrize(("given", "shown"), [(2, 2), (3, 3), (4, 3)])
def test_at_most_three_findings_on_a_side(given: int, shown: int):
    findings = [finding(f"F{n:02d}", said=f"sign {n}") for n in range(given)]
    guess = Hypothesis.model_validate(
        {"cause": "none", "locus": "x", "confidence": 0.5, "for": [f.id for f in findings]}
    )
    assert _text(hypothesis(guess, findings)).count("sign ") == shown


def test_the_first_sentence_leads():
    found = diagnosis(summary="It is metric. Since noon. And more")
    assert "<b>It is metric.</b> Since noon. And more</p>" in answer(found, going_on=True)
    alone = diagnosis(summary="It is metric.")
    assert "<b>It is metric.</b>" in answer(alone, going_on=True)


def test_severity_gives_every_reason():
    found = diagnosis(severity={"level": "SEV3", "because": ["one", "two"]})
    assert "<li>one</li><li>two</li>" in severity(found)


def test_an_onset_across_days_is_told_whole_in_the_facts():
    found = diagnosis(onset=onset(60, 60, at=NOON - timedelta(hours=11, minutes=30)))
    assert key_facts(found)[0][2] == "(19 May 2024 23:30 UTC to 20 May 2024 01:30 UTC)"


@pytest.mark.parametrize(
    ("ledger", "said"),
    [
        (
            [
                entry("L01", "tables:orders/reference", "unavailable"),
                entry("L02", "tables:orders/current", "unavailable"),
            ],
            "Look by hand at what was not seen: orders",
        ),
        ([], "Look by hand at the first guess"),
    ],
)
def test_where_no_cause_stands_out_the_next_step_is_to_look(ledger: list, said: str):
    facts = key_facts(diagnosis(verdict="inconclusive", actions=[], ledger=ledger))
    assert [value.startswith(said) for label, value, _ in facts if label == "next"] == [True]


def test_what_is_unknown_for_one_reason_shares_a_chip():
    found = [
        finding(f"F{n}", "unknown", f"Subject {n} is unknown: why", evidence=["L01"])
        for n in range(5)
    ]
    html = coverage([entry("L01", "tables:orders", "ok")], found)
    assert "not known: subject 0, subject 1, subject 2 and 2 more" in _text(html)
