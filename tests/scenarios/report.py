"""Write the figures for people: plain Markdown, which reads as well in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def report(found: dict[str, Any], command: str, *, misses: bool = True) -> str:
    """Return the report.

    Parameters
    ----------
    found : dict
        Of `figures.figures`.
    command : str
        What made it, to make it again.
    misses : bool
        List every case that was not right.
    """
    well, onset, time_s = found["healthy"], found["onset"], found["time_s"]
    first, everyone = found["calibration"]["first"], found["calibration"]["all"]
    lines = [
        "# How often the diagnosis is right",
        "",
        "Scenarios are simulated, or planted in real data that was packaged; the truth is known because",
        f"it was planted. Made by `{command}`; never edited by hand.",
        "",
        *_table(
            ("", "cases", "first is right", "among the first three"),
            (
                ("with something to name", *_shares(found["with_fault"])),
                ("all", *_shares(found["all"])),
            ),
        ),
        "",
        (
            f"- Nothing wrong: {well['cases']} cases, {well['blamed']} blamed something "
            f"({_percent(well['blamed_share'])}); {_percent(well['called_healthy_share'])} "
            "called healthy outright."
        ),
        (
            f"- Onset: median error {_number(onset['median_steps'])} sampling steps, nine in ten within "
            f"{_number(onset['p90_steps'])}; not found in {onset['not_found']} of {onset['due']}."
        ),
        (
            f"- Expected calibration error: {_number(first['ece'], 3)} over "
            f"{first['hypotheses']} first hypotheses, {_number(everyone['ece'], 3)} over all "
            f"{everyone['hypotheses']}."
        ),
        (
            f"- Time of a replay: median {_number(time_s['replay_median'])} s, 95 % within "
            f"{_number(time_s['replay_p95'])} s. Playing took {_number(time_s['play_median'])} s and "
            f"{_number(time_s['play_p95'])} s."
        ),
        f"- Broken plays or replays: {found['errors']}.",
    ]
    for title, groups in found["by"].items():
        rows = ((name, *_shares(group)) for name, group in groups.items())
        lines += ["", f"## By {title}", ""]
        lines += _table((title, "cases", "first", "first three"), rows)
    for title, calibrated in (("first hypotheses", first), ("all hypotheses", everyone)):
        lines += ["", f"## Reliability of {title}", ""]
        lines += _table(
            ("confidence from", "to", "n", "mean confidence", "right"),
            (
                (
                    _number(b["low"]), _number(b["high"]), str(b["n"]),
                    _number(b["confidence"]), _number(b["right"]),
                )
                for b in calibrated["bins"]
            ),
        )  # fmt: skip
    if misses and found["misses"]:
        lines += ["", "## Misses", ""]
        lines += _table(
            ("scenario", "seed", "planted", "answered", "verdict", "onset off by (steps)"),
            (_miss(miss) for miss in found["misses"]),
        )
    return "\n".join(lines) + "\n"


def _miss(miss: dict[str, Any]) -> tuple[str, ...]:
    planted = " and ".join(
        f"{answer['cause']} {' or '.join(answer['loci'])}" for answer in miss["truth"]
    )
    guesses = "; ".join(
        f"{'**' if g['right'] else ''}{g['cause']} {g['locus']} {g['confidence']:.2f}"
        f"{'**' if g['right'] else ''}"
        for g in miss["first"]
    )
    if miss["error"]:
        guesses = "broke: " + " ".join(miss["error"].split())[-160:]
    steps = _number(miss["onset_steps"]) if miss["onset_steps"] is not None else "–"
    return (
        miss["scenario"], str(miss["seed"]), planted or "nothing", guesses or "no hypothesis",
        miss["verdict"], steps,
    )  # fmt: skip


def _shares(group: dict[str, Any]) -> tuple[str, str, str]:
    return str(group["cases"]), _percent(group["top1"]), _percent(group["top3"])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Align a Markdown table, so that it reads in a terminal."""
    body = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    widths = [max(len(row[at]) for row in (tuple(head), *body)) for at in range(len(head))]
    # A long list of guesses would push everything off the screen.
    widths = [min(width, 60) for width in widths]
    lines = [head, ["-" * max(width, 3) for width in widths], *body]
    return [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
