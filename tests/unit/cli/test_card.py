"""The card in the terminal: complete without colour, within 80 columns, safe with any text."""

from __future__ import annotations

import pytest
from rich.console import Console

from tests.unit.cli.samples import content, diagnosis, finding, hypothesis
from triagebook.cli.card import BAR_WIDTH, bar, card, not_seen, number


def printed(width: int = 80, **changed) -> str:
    console = Console(width=width, force_terminal=False, no_color=True)
    with console.capture() as capture:
        console.print(card(diagnosis(**changed)))
    return capture.get()


def test_card_answers_first():
    lines = printed().splitlines()
    assert lines[0].split() == (
        ["flight-delay", "·", "drift", "·", "SEV2", "·", "cause", "found", "still", "going", "on"]
    )
    assert "distance arrives in kilometres, not miles." in lines[2]


@pytest.mark.parametrize(
    "part",
    [
        "inc-20130604-220000-abcde",
        "4 June 2013 14:00 UTC (between 13:45 and 14:00)",
        "18,200 predictions likely wrong (11,000 to 24,000)",
        "SEV2: 3.5 % of decisions are likely wrong",
        "1 0.86",
        "Unit change in flights.distance",
        "for: every value times 1.609, ranks unchanged",
        "against: nothing found",
        "2 0.06",
        "drift.seasonal: column:weather.temp",
        "against: the temperature follows its season",
        "0.01",
        "1 more",
        "none of these",
        "logs:loki (no answer in 4 s)",
        "labels for this window are due tomorrow",
        "not configured: metrics",
        "Restore flights to 13:45 UTC",
    ],
)
def test_card_holds(part):
    assert part in " ".join(printed(width=100).split())


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_wider_than_asked(width):
    assert max(len(line) for line in printed(width).splitlines()) <= width


def test_only_three_hypotheses_are_spelled_out():
    assert "data.stale" not in printed()


def test_confidences_shown_add_up_to_one():
    text = printed().splitlines()
    shown = [float(word) for line in text for word in line.split()[:2] if word[:2] in {"0.", "1."}]
    assert sum(shown) == pytest.approx(1.0)


def test_onset_over_midnight_names_both_days():
    onset = content()["onset"] | {"low": "2013-06-03T23:45:00Z"}
    assert "between 3 June 2013 23:45 UTC and 4 June 2013 14:00 UTC" in " ".join(
        printed(onset=onset).split()
    )


def test_without_onset_impact_and_hypotheses_it_says_so():
    text = printed(
        onset=None, impact=[], hypotheses=[], none_of_these=1, verdict="healthy", actions=[]
    )
    assert "no start found" in text
    assert "nothing to do" in text


def test_resolved_alert_is_not_going_on():
    alert = {"status": "resolved"}
    assert "still going on" not in printed(alert=alert)
    assert "resolved" in printed(alert=alert)


def test_all_was_there():
    assert "nothing: all was there" in printed(ledger=[], findings=[])


def test_unknown_finding_is_not_told_twice():
    # F4 cites L01, which is told as a pull that failed.
    assert not_seen(diagnosis()) == [
        "logs:loki (no answer in 4 s)",
        "labels for this window are due tomorrow",
        "not configured: metrics",
    ]


@pytest.mark.parametrize(
    ("verdict", "says"), [("inconclusive", "look at what was not seen"), ("healthy", "close")]
)
def test_what_could_not_be_judged_is_not_closed(verdict, says):
    calm = hypothesis("none", "service:x", 0.9)
    calm["actions"] = ["close"]
    text = printed(verdict=verdict, hypotheses=[calm], actions=[])
    assert says in text
    assert ("close" in text) is (verdict == "healthy")


def test_what_nobody_set_up_is_told_once():
    known = diagnosis()
    why = "no [service.tables.NAME] in triagebook.toml"
    entries = [
        e.model_copy(update={"why": why}) for e in known.ledger if e.status == "not_configured"
    ]
    asked = [
        finding(f"F{number}", "unknown", f"{what}: {why}", entries[0].id)
        for number, what in enumerate(("Measured performance is unknown", "No table was seen"))
    ]
    other = finding("F9", "unknown", "Labels are due tomorrow", entries[0].id)
    assert not_seen(diagnosis(ledger=entries, findings=[*asked, other])) == [
        "Labels are due tomorrow",
        "not configured: metrics",
    ]


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b[2J\x1b]0;owned\x07",
        "\u202egnp.exe",
        "[bold red]markup[/]",
        "[/]",
        "a\nb\rc",
        "\x9b31m",
    ],
)
def test_hostile_text_is_printed_as_text(hostile):
    text = printed(
        findings=[finding("F1", "bad", f"log said {hostile} end", "L02")],
        service={"name": f"x{hostile}"},
        hypotheses=[hypothesis("c", f"service:{hostile}", 0.95, **{"for": ["F1"]})],
    )
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(text)
    if hostile.startswith("["):
        assert hostile in text


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (18_200.0, "", "18,200"),
        (99.94, "ms", "99.9 ms"),
        (100.4, "ms", "100 ms"),
        (3.0, "count", "3"),
        (0.0312, "share", "3.12 %"),
        (1.0, "share", "100 %"),
        (0.000123, "", "0.000123"),
    ],
)
def test_number(value, unit, expected):
    assert number(value, unit) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, ""),
        (1.0, "█" * BAR_WIDTH),
        (0.5, "█" * (BAR_WIDTH // 2)),
        (-1, ""),
        (2, "█" * BAR_WIDTH),
    ],
)
def test_bar(share, expected):
    assert bar(share) == expected


def test_colour_only_where_asked():
    console = Console(width=80, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(card(diagnosis()))
    assert "\x1b[" in capture.get()
    assert "\x1b[" not in printed()
