"""What looks like a cause and is none: deploys, chatter, retries, traffic, holidays, habits, old incidents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triagebook.drills.tabular.deeds import distracts
from triagebook.drills.tabular.faults_drift import spread_of, tilt
from triagebook.drills.tabular.setting import DAY, HOUR
from triagebook.drills.tabular.stage import Line, RunEdit

if TYPE_CHECKING:
    from triagebook.drills.scenario import Herring
    from triagebook.drills.tabular.failures import Said
    from triagebook.drills.tabular.stage import Stage


@distracts("deploy")
def deploy(stage: Stage, herring: Herring) -> None:
    """Deploy something beside the service, or one of its tasks without effect (target: our word)."""
    onset, company, rng = stage.setting.at(herring.onset_h), stage.company, stage.rng
    what = company.task.get(herring.target, f"{company.neighbour}: banner")
    number = int(rng.integers(5, 300))
    stage.changed(stage.before(onset, 30), "deploy", what, f"v{number}", f"v{number + 1}")


@distracts("flag")
def flag(stage: Stage, herring: Herring) -> None:
    """Switch a flag of the neighbour."""
    onset = stage.setting.at(herring.onset_h)
    stage.changed(stage.before(onset), "flag", f"{stage.company.neighbour}.promo_tile", "off", "on")


@distracts("chatty_log")
def chatty_log(stage: Stage, herring: Herring) -> None:
    """Let the neighbour log hundreds of warnings and errors that mean nothing here."""
    onset, company, rng = stage.setting.at(herring.onset_h), stage.company, stage.rng
    minutes = (stage.setting.now - onset) / pd.Timedelta(minutes=1)
    for minute in np.sort(rng.uniform(0, minutes, int(250 * herring.size))):
        ts = onset + pd.Timedelta(minutes=float(minute))
        kind = int(rng.integers(3))
        text = (
            f"deprecated cookie format from client {int(rng.integers(1000))}",
            f"session {int(rng.integers(10**6)):06x} expired, redirecting",
            f"image resize failed for asset {int(rng.integers(10**5))}: unsupported profile",
        )[kind]
        stage.lines.append(Line(ts, ("WARN", "WARN", "ERROR")[kind], company.neighbour, text))


@distracts("retry")
def retry(stage: Stage, herring: Herring) -> None:
    """Let one run of a task (target) fail its first try and succeed at the second."""
    onset, company = stage.setting.at(herring.onset_h), stage.company
    task = herring.target or "ingest"
    feed = company.dependency["feed"]
    error = f"ReadTimeout: {feed} did not answer in 30 s"
    said: list[Said] = [("WARN", f"{feed} did not answer in 30 s, trying again", {})]
    stage.edits.append(
        RunEdit(
            task, onset, "retried", until=onset + stage.setting.batch * max(1, round(herring.size)),
            error=lambda: error, lines=lambda: list(said),
        )
    )  # fmt: skip


@distracts("loud_drift")
def loud_drift(stage: Stage, herring: Herring) -> None:
    """Move a column that the model hardly uses ("weak") or does not ("unused") by a lot."""
    setting = stage.setting
    column = stage.company.column(herring.target or "weak")
    onset = setting.at(herring.onset_h)

    def deed() -> None:
        strength = np.where(stage.main[stage.company.ts] >= onset, 2.2 * herring.size, 0.0)
        tilt(stage, strength, spread_of(stage, column.name))

    stage.on("world", deed)


@distracts("traffic")
def traffic(stage: Stage, herring: Herring) -> None:
    """Let a campaign bring more of the same rows: twice as many at size 1."""
    onset = stage.setting.at(herring.onset_h).floor("h")
    hours = pd.date_range(onset, stage.setting.now, freq="h")
    _busier(stage, pd.Series(1.0 + herring.size, index=hours))


@distracts("holiday")
def holiday(stage: Stage, herring: Herring) -> None:
    """Let a public holiday keep rows away from local midnight on: half of them at size 1.

    Another holiday two to three weeks before did the same.
    """
    setting = stage.setting
    today = (setting.at(herring.onset_h) + setting.offset).floor("D") - setting.offset
    today = max(today, setting.split.ceil("h"))
    past = (
        (setting.start + setting.offset).floor("D")
        - setting.offset
        + DAY * int(stage.rng.integers(6, 14))
    )
    days = (
        pd.date_range(past, past + DAY, freq="h", inclusive="left"),
        pd.date_range(today, setting.now, freq="h"),
    )
    hours = pd.DatetimeIndex([*days[0], *days[1]])
    _busier(stage, pd.Series(1.0 / (1.0 + herring.size), index=hours))
    for day in (past, today):
        stage.changed(
            max(day - DAY * 2, setting.start), "schedule", "company calendar: public holiday",
            "working day", "holiday", "ops",
        )  # fmt: skip


@distracts("monthly")
def monthly(stage: Stage, herring: Herring) -> None:
    """Bring a monthly batch of further rows at the window's end, as 28 days before."""
    now = stage.setting.now.floor("h")
    late = pd.date_range(now - 8 * HOUR, now, freq="h")
    weeks = pd.Series(1.0 + 1.6 * herring.size, index=late.append(late - 28 * DAY))
    _busier(stage, weeks.sort_index())


@distracts("date")
def date(stage: Stage, herring: Herring) -> None:
    """End the window on a day (target, such as "2013-07-04"), where a world's rows have real dates."""
    stage.facts["date"] = herring.target


@distracts("weekly")
def weekly(stage: Stage, herring: Herring) -> None:
    """Bring many more rows on the window's last weekday, every week."""
    setting = stage.setting
    hours = pd.date_range(setting.start.floor("h"), setting.now, freq="h")
    same = hours[hours.weekday == (setting.now - HOUR).weekday()]
    _busier(stage, pd.Series(1.0 + 0.9 * herring.size, index=same))


def _busier(stage: Stage, factor: pd.Series[float]) -> None:
    stage.facts["busier"] = (
        factor
        if stage.facts.get("busier") is None
        else stage.facts["busier"].mul(factor, fill_value=1.0)
    )


@distracts("late_labels")
def late_labels(stage: Stage, herring: Herring) -> None:  # noqa: ARG001 - it has no size
    """Nothing new: labels take their days, as always; the monitor of their lag is impatient."""
    stage.facts["impatient"] = True


@distracts("noop_model")
def noop_model(stage: Stage, herring: Herring) -> None:
    """Retrain and serve a new version that is as good as the last."""
    from triagebook.drills.tabular.flow import categories_of, newest  # noqa: PLC0415 - a cycle else
    from triagebook.drills.tabular.model import fit  # noqa: PLC0415

    onset, company = stage.setting.at(herring.onset_h), stage.company

    def deed() -> None:
        x, outcome, trees = stage.facts["train"]
        again = stage.rng.integers(0, len(x), len(x))
        old = newest(stage)
        number = stage.facts["number"] = stage.facts["number"] + 1
        version = stage.facts["version"](number)
        new = fit(
            x.iloc[again].reset_index(drop=True), outcome[again], categories_of(company), version,
            trees=trees, rng=stage.rng, threshold=old.threshold,
        )  # fmt: skip
        stage.models.append((onset, new))
        stage.facts["released"] = (onset, version)
        stage.changed(
            stage.before(onset, 15),
            "model",
            f"{company.model}: scheduled retraining",
            old.version,
            version,
        )

    stage.on("models", deed)


@distracts("restart")
def restart(stage: Stage, herring: Herring) -> None:
    """Patch and restart a host."""
    onset, company = stage.setting.at(herring.onset_h), stage.company
    host = company.hosts[-1]
    stage.changed(onset, "infra", f"{host}: patched and restarted", "6.1.90", "6.1.94", "platform")
    stage.lines.append(Line(onset, "WARN", host, f"{host} going down for reboot"))
    stage.lines.append(
        Line(onset + pd.Timedelta(minutes=4), "INFO", host, f"{host} up, kernel 6.1.94")
    )


@distracts("old_incident")
def old_incident(stage: Stage, herring: Herring) -> None:
    """Leave nulls of half a day in the reference, days ago, mended since."""
    setting, company = stage.setting, stage.company
    column = company.column(herring.target or "amount")
    low = setting.split - DAY * 9
    high = low + 12 * HOUR

    def deed() -> None:
        rows = stage.main[company.ts].between(low, high, inclusive="left")
        rows = rows & (stage.rng.random(len(stage.main)) < 0.6 * herring.size)
        stage.main[column.name] = stage.main[column.name].mask(rows)

    stage.on("raw", deed)
    number = int(stage.rng.integers(5, 300))
    stage.changed(
        high, "deploy", f"{company.task['ingest']}: hotfix", f"v{number}", f"v{number + 1}"
    )


@distracts("slow_once")
def slow_once(stage: Stage, herring: Herring) -> None:
    """Let one run of a task (target) take much longer than usual, and no other."""
    onset = stage.setting.at(herring.onset_h)
    stage.edits.append(
        RunEdit(
            herring.target or "build", onset, "slow", until=onset + stage.setting.batch,
            factor=1 + 3 * herring.size,
        )
    )  # fmt: skip


@distracts("quiet_monitor")
def quiet_monitor(stage: Stage, herring: Herring) -> None:
    """Let the monitor look over a short time, so that few rows make it nervous."""
    stage.facts["monitor_h"] = max(1.0, 3.0 / herring.size)


@distracts("backfill")
def backfill(stage: Stage, herring: Herring) -> None:
    """Recompute old features by hand: a change, and lines of a task out of its hours."""
    onset, company = stage.setting.at(herring.onset_h), stage.company
    stage.changed(onset, "data", f"{company.table['features']}: backfill of one column", "", "done")
    for at in pd.date_range(onset, onset + HOUR, freq="6min"):
        if at < stage.setting.now:
            stage.lines.append(
                Line(at, "INFO", company.task["build"], "backfill: partition rewritten")
            )


@distracts("new_value")
def new_value(stage: Stage, herring: Herring) -> None:
    """Open a new, rare value of a category: two in a hundred rows at size 1, announced."""
    setting, company = stage.setting, stage.company
    column = company.column(herring.target or "product")
    onset = setting.at(herring.onset_h)

    def deed() -> None:
        rows = (stage.main[company.ts] >= onset).to_numpy()
        rows = rows & (stage.rng.random(len(stage.main)) < 0.02 * herring.size)
        known = stage.main[column.name].dropna().iloc[0]
        name = "pilot" if known == known.lower() else "PILOT"
        stage.main.loc[rows, column.name] = name

    stage.on("world", deed)
    stage.changed(onset, "data", f"new {column.name} announced: pilot", "", "pilot")
