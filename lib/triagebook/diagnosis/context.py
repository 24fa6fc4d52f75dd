"""What checks work on: the bundle, with the analyses that several of them share made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from triagebook.analysis.columns import Kind, is_tag, kind_of
from triagebook.analysis.harm import StandIn, decision_threshold
from triagebook.analysis.log_series import request_series
from triagebook.analysis.movement import UNTIMED, Movement, movement, table_movements
from triagebook.analysis.series import Series, to_series
from triagebook.analysis.telemetry import Names, Reading, readings
from triagebook.core.models import IncidentType
from triagebook.diagnosis.logged import component_of
from triagebook.diagnosis.scene import Scene
from triagebook.evidence.layout import is_silent_feed

if TYPE_CHECKING:
    from datetime import datetime

    from triagebook.core.models import Change, TableSpec
    from triagebook.evidence.bundle import Bundle, Table

_ROLE_ORDER = {"raw": 0, None: 1, "features": 2, "predictions": 3, "labels": 4}
_MAX_ROWS = 200_000


@dataclass(frozen=True)
class Column:
    """One column of one table, in both windows, with its movement."""

    table: str
    name: str
    role: str | None
    kind: Kind
    movement: Movement

    @property
    def locus(self) -> str:
        """`column:TABLE.NAME`."""
        return f"column:{self.table}.{self.name}"

    @property
    def since(self) -> pd.Timestamp | None:
        """When it started to move, if that can be told."""
        return moment(self.movement.split.time) if self.movement.split else None


@dataclass(frozen=True)
class View:
    """A table's rows, in time order, with their times as nanoseconds; empty where there is no time."""

    name: str
    spec: TableSpec
    reference: pd.DataFrame
    current: pd.DataFrame
    reference_times: np.ndarray
    current_times: np.ndarray

    @property
    def timed(self) -> bool:
        """Whether both windows have rows with times."""
        return len(self.reference_times) > 0 and len(self.current_times) > 0


def last_before(view: View, row: int) -> pd.Timestamp:
    """Return the time of the last current row that is older than the given one; its own where none is."""
    times = view.current_times
    older = int(np.searchsorted(times, times[row], side="left")) - 1
    return moment(int(times[max(older, 0)]))


def every_row(
    table: Table, side: Literal["reference", "current"]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return all rows of a table in time order, and their times in nanoseconds: a view holds a sample of many.

    Raises
    ------
    KeyError
        Where the side was not pulled, or rows have no times.
    """
    frame, column = getattr(table, side), table.spec.time_column
    if frame is None or column not in frame:
        raise KeyError(column)
    rows = frame[frame[column].notna()].sort_values(column, kind="stable")
    return rows, rows[column].to_numpy(dtype="datetime64[ns]").astype(np.int64)


def moment(nanoseconds: int) -> pd.Timestamp:
    """Turn nanoseconds since 1970 into an aware UTC timestamp."""
    return pd.Timestamp(nanoseconds, unit="ns", tz="UTC")


def alerted_at(ctx: Context) -> datetime:
    """Return when the alert began: where its sender's clock is out by days, the end of what is looked at.

    A year of 9999 also is none that nanoseconds can hold.
    """
    windows = ctx.bundle.windows
    told, last = ctx.bundle.alert.starts_at, windows.current[1]
    if told is None or not windows.reference[0] <= told <= last + timedelta(days=1):
        return last
    return told


def nanoseconds(when: datetime) -> int:
    """Turn an aware time into nanoseconds since 1970."""
    return int(pd.Timestamp(when).value)


@dataclass
class Context:
    """The evidence and everything computed from it so far.

    Attributes
    ----------
    bundle : Bundle
    incident_type : IncidentType
    results : dict
        What checks leave for charts and later checks, by name; never written out.
    """

    bundle: Bundle
    incident_type: IncidentType = IncidentType.UNKNOWN
    results: dict[str, Any] = field(default_factory=dict)

    # --- tables ----------------------------------------------------------------------------------

    @cached_property
    def tables(self) -> dict[str, Table]:
        """All tables, furthest upstream first."""
        items = self.bundle.tables.items()
        return dict(
            sorted(items, key=lambda item: (_ROLE_ORDER.get(item[1].spec.role, 1), item[0]))
        )

    def view(self, name: str) -> View | None:
        """Return a table's rows in time order; None where one of the windows has none."""
        return self._views[name]

    @cached_property
    def _views(self) -> dict[str, View | None]:
        return {name: _view(table) for name, table in self.tables.items()}

    def role(self, role: str) -> View | None:
        """Return the first table of a role that has rows in both windows."""
        for name, table in self.tables.items():
            if table.spec.role == role and self._views[name] is not None:
                return self._views[name]
        return None

    @cached_property
    def columns(self) -> list[Column]:
        """Every comparable column with its movement; keys, times and labels' own columns left out."""
        todo = [
            (view, kinds)
            for view in self._views.values()
            if view is not None
            and len(view.reference) >= 20
            and len(view.current) >= 5
            and (kinds := _comparable(view))
        ]
        return [
            Column(view.name, name, view.spec.role, kind, moved)
            for view, kinds in todo
            for (name, kind), moved in zip(
                kinds,
                table_movements(
                    kinds,
                    view.reference,
                    view.current,
                    reference_times=view.reference_times,
                    current_times=view.current_times,
                    columns=sum(len(kinds) for _, kinds in todo),
                    tables=len(todo),
                ),
                strict=True,
            )
        ]

    def outputs(self, view: View) -> set[str]:
        """Names of the columns of a table that the model wrote, or that are the truth."""
        spec = view.spec
        return {
            name
            for name in (spec.prediction, spec.score, spec.label, spec.model_version)
            if name is not None
        }

    @cached_property
    def inputs(self) -> list[Column]:
        """The columns that may carry a fault into the model: everything but outputs and labels."""
        kept = []
        for column in self.columns:
            view = self._views[column.table]
            if view is None or column.role == "labels" or column.name in self.outputs(view):
                continue
            kept.append(column)
        return kept

    @cached_property
    def roots(self) -> list[Column]:
        """The moved inputs, each named once: at the table furthest upstream that shows it."""
        found: dict[str, Column] = {}
        for column in self.inputs:  # in order of role: the first is furthest upstream
            known = found.get(column.name)
            if known is None or (
                column.movement.beyond_natural and not known.movement.beyond_natural
            ):
                found[column.name] = column
        order = sorted(found.values(), key=lambda c: (-c.movement.strength, c.table, c.name))
        return [column for column in order if column.movement.moved]

    def after(self, column: Column) -> pd.DataFrame:
        """Rows of the column's table since its movement began (all current rows without a split)."""
        view = self.rows(column)
        split = column.movement.split
        return view.current.iloc[split.index :] if split is not None else view.current

    def before(self, column: Column) -> pd.DataFrame:
        """Return the reference rows of the column's table."""
        return self.rows(column).reference

    def rows(self, column: Column) -> View:
        """Return the rows of a column's table, which has some: else the column would not be here."""
        view = self._views[column.table]
        if view is None:
            raise KeyError(column.table)
        return view

    # --- the model -------------------------------------------------------------------------------

    @cached_property
    def features(self) -> list[str]:
        """Names of the model's inputs that the predictions carry."""
        view = self.role("predictions")
        if view is None:
            return []
        named = [name for name in view.spec.feature_columns if name in view.reference]
        if named:
            return named
        inputs = {c.name for c in self.inputs if c.table == view.name}
        return [name for name in view.reference if name in inputs]

    @cached_property
    def threshold(self) -> float | None:
        """The score from which the model decides for the positive class."""
        view = self.role("predictions")
        if view is None or not view.spec.score or not view.spec.prediction:
            return None
        if view.spec.score not in view.reference or view.spec.prediction not in view.reference:
            return None
        return decision_threshold(
            view.reference[view.spec.score], view.reference[view.spec.prediction]
        )

    @cached_property
    def stand_in(self) -> StandIn | None:
        """A regression of the served score on the served features, fitted on the reference."""
        view = self.role("predictions")
        if view is None or not view.spec.score or view.spec.score not in view.reference:
            return None
        present = [name for name in self.features if name in view.current]
        if not present:
            return None
        # Rows of another model version would teach it another model.
        new = view.current
        version = view.spec.model_version
        if version and version in new and version in view.reference:
            new = new[new[version].isin(view.reference[version].unique())]
        old = view.reference.sample(min(len(view.reference), 15_000), random_state=0)
        rows = pd.concat([old, new.iloc[-5_000:]], ignore_index=True)
        return StandIn.fit(rows[present], rows[view.spec.score], self.threshold)

    @cached_property
    def importance(self) -> dict[str, float]:
        """Share of the model's output each feature carries: as configured, else by the stand-in."""
        view = self.role("predictions")
        given = dict(self.bundle.service.importance)
        if view is not None:
            given = {**given, **view.spec.importance}
        if given:
            total = sum(max(v, 0.0) for v in given.values())
            return {k: max(v, 0.0) / total if total else 0.0 for k, v in given.items()}
        if view is None or self.stand_in is None or self.stand_in.fidelity < 0.3:
            return {}
        return self.stand_in.importance(view.reference[self.stand_in.features])

    # --- metrics, changes, graph -----------------------------------------------------------------

    @cached_property
    def series(self) -> list[Series]:
        """The metrics as comparable series."""
        metrics = self.bundle.metrics
        return to_series(metrics, self.bundle.metrics_meta) if metrics is not None else []

    @cached_property
    def logged(self) -> list[Series]:
        """Requests and their durations as log lines tell them; read only where no metric could be had."""
        logs = self.bundle.logs
        if logs is None or self.bundle.metrics is not None:
            return []
        return request_series(logs, partial(component_of, self))

    @property
    def from_logs(self) -> bool:
        """Whether what is known of the service's course is read from its log lines alone."""
        return self.bundle.metrics is None and bool(self.logged)

    @cached_property
    def series_movements(self) -> list[tuple[Series, Movement]]:
        """Each series with its movement, reference against current window."""
        start, end = (nanoseconds(t) for t in self.bundle.windows.current)
        ref_start = nanoseconds(self.bundle.windows.reference[0])
        out = []
        for series in self.series:
            old, new = series.within(ref_start, start), series.within(start, end + 1)
            if (
                len(old.values) < 40
                or len(new.values) < 20
                or np.ptp(old.values) == 0 == np.ptp(new.values)
            ):
                continue
            moved = movement(
                series.title,
                "number",
                pd.Series(old.values),
                pd.Series(new.values),
                reference_times=old.times,
                current_times=new.times,
                columns=len(self.series),
            )
            out.append((series, moved))
        return out

    @cached_property
    def names(self) -> Names:
        """The names of services, hosts and tasks that the bundle knows."""
        service = self.bundle.service
        tasks = {t.task for t in self.bundle.pipeline or []}
        for named in service.tasks or []:
            tasks |= {named, named.rpartition(".")[2]}
        edges = self.bundle.topology or []
        calling = {n for e in edges if e.kind == "calls" for n in (e.from_, e.to)}
        calling |= {service.name, *(service.dependencies or [])}
        calling |= {service.entrypoint} if service.entrypoint else set()
        # An instance serves its component, a host serves its instances.
        model = service.model.name if service.model else None
        serves = {e.from_: e.to for e in edges if e.kind == "serves" and e.from_ != model}
        instances = {a: b for a, b in serves.items() if b in calling and a not in calling}
        hosts = {a: b for a, b in serves.items() if b in instances}
        nodes = {n for e in edges for n in (e.from_, e.to)} | calling
        return Names(
            service=service.name,
            components=frozenset(
                nodes - tasks - set(self.tables) - instances.keys() - hosts.keys()
            ),
            dependencies=frozenset(service.dependencies or []),
            hosts=frozenset({*service.hosts.values(), *hosts}),
            tasks=frozenset(tasks),
            host_of={
                **{e.to: e.from_ for e in edges if e.kind == "serves" and e.to in instances},
                **service.hosts,
            },
            instances=instances,
        )

    @cached_property
    def readings(self) -> list[Reading]:
        """The metrics with what they measure, of whom, and how they left their usual course."""
        reference, current = self.bundle.windows.reference, self.bundle.windows.current
        return readings(
            self.logged if self.from_logs else self.series,
            self.names,
            self.bundle.metrics_meta,
            (nanoseconds(reference[0]), nanoseconds(current[0]), nanoseconds(current[1])),
        )

    @cached_property
    def scene(self) -> Scene:
        """The readings arranged over services, instances and hosts."""
        return Scene(self)

    @cached_property
    def changes(self) -> list[Change]:
        """Changes in time order."""
        return sorted(self.bundle.changes or [], key=lambda c: c.ts)

    def upstream_of(self, names: set[str]) -> set[str]:
        """Return the nodes of topology and task graph from which `names` are fed, with `names`."""
        feeds: dict[str, set[str]] = {}
        for edge in self.bundle.topology or []:
            # "a calls b": a depends on b, so trouble flows from b to a.
            source, target = (
                (edge.to, edge.from_) if edge.kind == "calls" else (edge.from_, edge.to)
            )
            feeds.setdefault(target, set()).add(source)
        for task in self.bundle.pipeline or []:
            feeds.setdefault(task.task, set()).update(task.upstream)
        for schedule in self.bundle.service.schedules:
            made = schedule.produces or []
            for table in [made] if isinstance(made, str) else made:
                if schedule.task:
                    feeds.setdefault(table, set()).add(schedule.task)
        seen, todo = set(names), list(names)
        while todo:
            for source in feeds.get(todo.pop(), ()):
                if source not in seen:
                    seen.add(source)
                    todo.append(source)
        return seen

    # --- evidence --------------------------------------------------------------------------------

    def cite(self, kind: str, part: str | None = None) -> list[str]:
        """Ids of the pulls that a statement about this kind (and table) rests on."""
        return self.bundle.evidence_ids(kind, part)

    def cite_readings(self) -> list[str]:
        """Ids of the pulls that the readings rest on: the metrics, or else the logs."""
        return self.cite("logs" if self.from_logs else "metrics")

    def why_missing(self, kind: str, part: str | None = None) -> str | None:
        """Say why evidence of a kind is not there; None where it is."""
        usable = {"ok", "stale", "truncated", "empty"}
        entries = [
            e
            for e in self.bundle.ledger
            if self._about(e.source, e.kind, kind, part) and not is_silent_feed(e)
        ]
        if any(e.status in usable for e in entries):
            return None
        if not entries:
            return "not configured"
        entry = entries[0]
        return entry.why or entry.status.replace("_", " ")

    @staticmethod
    def _about(source: str, of_kind: str, kind: str, part: str | None) -> bool:
        right_kind = of_kind == kind or source.partition(":")[0] == kind
        return right_kind and (part is None or source.partition(":")[2].partition("/")[0] == part)


def _view(table: Table) -> View | None:
    if table.reference is None or table.current is None:
        return None
    column = table.spec.label_time_column if table.spec.role == "labels" else table.spec.time_column
    column = column or table.spec.time_column
    parts = []
    for frame in (table.reference, table.current):
        rows = _finite(frame)
        if len(rows) > _MAX_ROWS:
            rows = rows.sample(_MAX_ROWS, random_state=0).sort_index()
        times = UNTIMED
        if column and column in rows and pd.api.types.is_datetime64_any_dtype(rows[column]):
            rows = rows[rows[column].notna()].sort_values(column, kind="stable")
            times = rows[column].to_numpy(dtype="datetime64[ns]").astype(np.int64)
        parts.append((rows.reset_index(drop=True), times))
    return View(table.name, table.spec, parts[0][0], parts[1][0], parts[0][1], parts[1][1])


def _finite(frame: pd.DataFrame) -> pd.DataFrame:
    """Take infinities as missing: no mean, spread or quantile survives one."""
    odd = {
        str(name): frame[name].where(np.isfinite(frame[name]))
        for name in frame.select_dtypes("float")
        if np.isinf(frame[name].to_numpy("float64", na_value=np.nan)).any()
    }
    return frame.assign(**odd) if odd else frame


def _comparable(view: View) -> list[tuple[str, Kind]]:
    spec = view.spec
    skip = {spec.time_column, spec.label_time_column, spec.local_time_column, *spec.key_columns}
    out: list[tuple[str, Kind]] = []
    for name in view.reference:
        if name in skip or name not in view.current or not view.reference[name].notna().any():
            continue
        old, new = view.reference[name], view.current[name]
        if is_tag(old, new):
            continue
        kind = kind_of(old, new)
        text = kind == "category" and not pd.api.types.is_numeric_dtype(old)
        if kind in ("number", "category") and not (
            text and pd.api.types.is_numeric_dtype(new) and new.notna().any()
        ):
            out.append((str(name), kind))
    return out
