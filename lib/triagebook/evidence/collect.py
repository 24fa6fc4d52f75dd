"""Collect evidence: every pull at once, within a budget, into a bundle."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
from pydantic import ValidationError

from triagebook.core.errors import SourceDataError, TriagebookError
from triagebook.core.models import FEED, Change, PullStatus, Service, TableSpec, TaskRun
from triagebook.core.settings import TablePull
from triagebook.core.times import iso
from triagebook.evidence.bundle import Bundle
from triagebook.evidence.feed import inside, merge_feed
from triagebook.evidence.layout import KINDS, SIDES
from triagebook.evidence.ledger import Ledger
from triagebook.evidence.parallel import Job, Outcome, run_all
from triagebook.evidence.plugins import Configured, build, configured
from triagebook.evidence.store import is_folder_name, write_bundle
from triagebook.evidence.windows import on_replay_clock
from triagebook.sources.base import Answer, Question, Stop
from triagebook.sources.frames import as_logs, as_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from triagebook.core.models import Alert, ChangeFeed, Windows
    from triagebook.core.settings import ServiceSettings, Settings

_NOT_CONFIGURED = {
    "metrics": "no [[service.metrics]] in triagebook.toml",
    "logs": "no [[service.logs]] in triagebook.toml",
    "tables": "no [service.tables.NAME] in triagebook.toml",
    "changes": "no [[service.changes]] in triagebook.toml",
    "pipeline": "no [[service.pipeline]] in triagebook.toml",
    "topology": "no [[service.topology]] in triagebook.toml",
}


@dataclass
class _Pull:
    """A pull with its place in the ledger."""

    id: str
    one: Configured
    window: tuple[datetime, datetime]
    side: str | None = None
    answer: Answer | None = None


@dataclass
class _Parts:
    """What was had, by kind, in the order of the ledger."""

    metrics: list[pd.DataFrame] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    logs: list[pd.DataFrame] = field(default_factory=list)
    changes: list[list[Change]] = field(default_factory=list)
    pipeline: list[list[TaskRun]] = field(default_factory=list)
    tables: dict[str, dict[str, pa.Table]] = field(default_factory=dict)


def collect(
    settings: Settings,
    service: ServiceSettings | None,
    alert: Alert,
    windows: Windows,
    *,
    root: Path,
    incident_id: str | None,
    into: Path,
    budget_s: float | None = None,
    alerts: Sequence[Alert] = (),
    feed: ChangeFeed | None = None,
) -> Bundle:
    """Ask all sources of a service at once, and keep what they gave as a bundle.

    Parameters
    ----------
    settings : Settings
        For [sources.*] and the budget.
    service : ServiceSettings or None
        None where the alert is about a service that nobody configured.
    alert : Alert
        What it is collected for; on a replay its times are moved onto the replay's clock.
    windows : Windows
        See `windows_for`.
    root : Path
        The home; relative paths start there.
    incident_id : str or None
        For replays.
    into : Path
        The bundle's folder; must not be there yet.
    budget_s : float or None
        Seconds for all pulls together; None takes that of the settings. Writing comes on top.
    alerts : sequence of Alert
        All that belong to the incident, as far as is known now.
    feed : ChangeFeed or None
        What was posted about changes to the service; None where nobody posts any.

    Returns
    -------
    Bundle
        A pull that was slow, hung, was down or gave nonsense is an entry of its ledger.

    Raises
    ------
    BundleError
        The bundle cannot be written.
    """
    budget_s = settings.budget if budget_s is None else budget_s
    ledger = Ledger(root)
    span = (windows.reference[0], windows.current[1])
    pulls = _plan(service, windows, ledger, feed)
    jobs = []
    for pull in pulls:
        within_s = min(pull.one.pull.budget or budget_s, budget_s)
        question = Question(
            pull.window,
            time_column_of(pull.one),
            within_s=within_s,
            since=windows.current[0] if pull.side is None else None,
            labels=alert.labels,
        )
        jobs.append(Job(_job(settings, pull, question, root), within_s))
    parts = _Parts()
    for pull, outcome in zip(pulls, run_all(jobs, budget_s), strict=True):
        _note(ledger, pull, outcome, parts)
    if feed is not None:
        entry = next(entry.id for entry in ledger if entry.source == FEED)
        posted = merge_feed(feed, span, _flat(parts.changes) or [], ledger, entry)
        # Silence is no proof that nothing was changed: it must not read as "asked, nothing there".
        if posted:
            parts.changes.append(posted)
    write_bundle(
        into,
        alert=on_replay_clock(alert, service),
        alerts=[on_replay_clock(one, service) for one in alerts],
        service=service.as_evidence() if service else Service(name=alert.service or "unknown"),
        windows=windows,
        ledger=ledger.entries,
        incident_id=incident_id,
        metrics=_joined(parts.metrics, ["name", "labels", "ts"]),
        metrics_meta=parts.meta,
        logs=_joined(parts.logs, ["ts"]),
        tables=_tables(service, parts),
        changes=_flat(parts.changes),
        pipeline=_flat(parts.pipeline),
        topology=(service.topology or None) if service else None,
    )
    return Bundle.read(into)


def _plan(
    service: ServiceSettings | None, windows: Windows, ledger: Ledger, feed: ChangeFeed | None
) -> list[_Pull]:
    span = (windows.reference[0], windows.current[1])
    pulls: list[_Pull] = []
    ones = list(configured(service)) if service else []
    for kind in KINDS:
        if kind == "topology" and service and service.topology:
            name = ledger.open("topology", kind, None)
            ledger.close(name, "ok", rows=len(service.topology), query="triagebook.toml")
            continue
        mine = [one for one in ones if one.kind == kind]
        posted = feed if kind == "changes" else None
        if not mine and not (posted and inside(posted, span)):
            why = _NOT_CONFIGURED[kind] if service else "no such service in triagebook.toml"
            ledger.not_configured(kind, why)
        for one in mine:
            if kind == "tables":
                for side in SIDES:
                    window = windows.reference if side == "reference" else windows.current
                    name = ledger.open(one.label, kind, window)
                    pulls.append(_Pull(name, one, window, side))
            else:
                pulls.append(_Pull(ledger.open(one.label, kind, span), one, span))
        if posted is not None:
            ledger.open(FEED, kind, span)
    return pulls


def time_column_of(one: Configured) -> str | None:
    """Return the column a table is cut by: labels by when they arrived."""
    if not isinstance(one.pull, TablePull):
        return None
    return one.pull.label_time_column or one.pull.time_column


def _job(
    settings: Settings, pull: _Pull, question: Question, root: Path
) -> Callable[[Stop], Answer]:
    def call(stop: Stop) -> Answer:
        if pull.one.kind == "tables" and not is_folder_name(str(pull.one.place[1])):
            raise SourceDataError(
                f"a table cannot be called {pull.one.place[1]!r}",
                "use letters, digits, '_', '-', '.' and spaces, not starting with a dot",
            )
        source = build(settings, pull.one, root)
        answer = source.pull(replace(question, stop=stop))
        if not isinstance(answer, Answer):
            raise SourceDataError(
                f"{pull.one.label} gave a {type(answer).__name__}, expected an Answer",
                "report it to who wrote the source",
            )
        # In the pull's own thread and time: nonsense is found here, and costs this pull only.
        answer.rows = _typed(pull, answer)
        return answer

    return call


def _typed(pull: _Pull, answer: Answer) -> Any:
    kind, label, rows = pull.one.kind, pull.one.label, answer.rows
    if kind in ("metrics", "logs"):
        frame = as_metrics(rows, label) if kind == "metrics" else as_logs(rows, label)
        inside = (frame["ts"] >= pull.window[0]) & (frame["ts"] < pull.window[1])
        if not inside.all():
            answer.notes.append(f"{int((~inside).sum())} rows outside the window were left out")
            frame = frame[inside].reset_index(drop=True)
        return frame
    if kind == "tables":
        if isinstance(rows, pd.DataFrame):
            return pa.Table.from_pandas(rows, preserve_index=False)
        if isinstance(rows, pa.Table):
            return rows
        raise SourceDataError(
            f"{label} gave a {type(rows).__name__}, expected a table",
            "report it to who wrote the source",
        )
    model = Change if kind == "changes" else TaskRun
    if not isinstance(rows, list):
        raise SourceDataError(
            f"{label} gave a {type(rows).__name__}, expected a list",
            "report it to who wrote the source",
        )
    return _models(model, rows, answer, label)


def _models(
    model: type[Change | TaskRun], rows: list[Any], answer: Answer, label: str
) -> list[Any]:
    good: list[Any] = []
    wrong: list[str] = []
    for row in rows:
        try:
            good.append(model.model_validate(row))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            wrong.append(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    if wrong and not good:
        raise SourceDataError(
            f"{label}: none of {len(wrong)} rows can be used, the first: {wrong[0]}",
            "check the names of its columns in triagebook.toml",
        )
    if wrong:
        answer.partial = True
        answer.notes.append(f"{len(wrong)} of {len(rows)} rows left out, the first: {wrong[0]}")
    return good


def _note(ledger: Ledger, pull: _Pull, outcome: Outcome, parts: _Parts) -> None:
    """Write one outcome into the ledger, and keep its rows."""
    answer = outcome.result
    if outcome.error is not None or answer is None:
        ledger.close(
            pull.id, "unavailable", took_s=outcome.took_s, why=_why(outcome.error), part=pull.side
        )
        return
    rows = len(answer.rows)
    status, notes = _status(pull, answer, rows)
    ledger.close(
        pull.id,
        status,
        rows=rows,
        query=answer.query,
        took_s=outcome.took_s,
        why="; ".join(notes) or None,
        rows_total=answer.total_rows,
        newest=None if answer.newest is None else iso(answer.newest),
        part=pull.side,
    )
    if status == "unavailable":
        return
    kind = pull.one.kind
    if kind == "tables":
        parts.tables.setdefault(str(pull.one.place[1]), {})[str(pull.side)] = answer.rows
    else:
        getattr(parts, kind).append(answer.rows)
    parts.meta.update(answer.meta)


def _why(error: BaseException | None) -> str:
    if isinstance(error, TriagebookError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    return f"{type(error).__name__}: {error}"[:500]


def _status(pull: _Pull, answer: Answer, rows: int) -> tuple[PullStatus, list[str]]:
    notes = list(answer.notes)
    if not rows:
        # Nothing, of which we do not know whether it is nothing: a file could not be read.
        return ("unavailable" if answer.partial else "empty"), notes
    spec = pull.one.pull
    if isinstance(spec, TablePull) and pull.side == "current" and spec.freshness_s is not None:
        end = pull.window[1]
        if answer.newest is not None and end - answer.newest > timedelta(seconds=spec.freshness_s):
            age_s = (end - answer.newest).total_seconds()
            notes.insert(
                0,
                f"the newest row is of {iso(answer.newest)}, {age_s:g} s before the window's end; "
                f"expected at most {spec.freshness_s:g} s",
            )
            return "stale", notes
    if answer.total_rows is not None or answer.partial:
        return "truncated", notes
    return "ok", notes


def _joined(frames: list[pd.DataFrame], order: list[str]) -> pd.DataFrame | None:
    if not frames:
        return None
    if len(frames) == 1:
        return frames[0]
    # An empty frame says nothing of types, and pandas warns about it.
    some = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(some, ignore_index=True).sort_values(order, kind="stable", ignore_index=True)


def _flat(lists: list[list[Any]]) -> list[Any] | None:
    return [item for items in lists for item in items] if lists else None


def _tables(
    service: ServiceSettings | None, parts: _Parts
) -> dict[str, tuple[TableSpec, pa.Table | None, pa.Table | None]]:
    tables = {}
    for name, pull in (service.tables if service else {}).items():
        if name in parts.tables:
            spec = TableSpec.model_validate(
                {key: getattr(pull, key) for key in TableSpec.model_fields}
            )
            sides = parts.tables[name]
            tables[name] = (spec, sides.get("reference"), sides.get("current"))
    return tables
