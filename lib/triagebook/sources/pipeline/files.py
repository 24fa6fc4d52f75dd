"""Runs of tasks from JSON Lines, JSON, CSV and Parquet files."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from triagebook.sources.base import Answer, Glance, Question, Source
from triagebook.sources.columns import picked
from triagebook.sources.duck import Files
from triagebook.sources.files import FileSettings
from triagebook.sources.opening import quoted
from triagebook.sources.pipeline import PIPELINE

_NAMES = ("pipeline", "run", "task", "state", "start", "end", "try", "upstream", "error", "log")
_LISTS = ("upstream", "log")


class PipelineFileSettings(FileSettings):
    """Runs of tasks in files, and the columns they stand in."""

    pipeline_column: str = "pipeline"
    run_column: str = "run"
    task_column: str = "task"
    state_column: str = "state"
    start_column: str = "start"
    end_column: str = "end"
    try_column: str = "try"
    upstream_column: str = Field(default="upstream", description="a list, or JSON text of one")
    error_column: str = "error"
    log_column: str = Field(default="log", description="[from, to] of its log lines")
    row_limit: int = Field(default=50_000, ge=1, description="above it, a fair sample of runs")


@PIPELINE.register("files")
class PipelineFiles(Source):
    """Runs of tasks in files."""

    Settings = PipelineFileSettings
    settings: PipelineFileSettings

    def pull(self, question: Question) -> Answer:
        """Return the runs that touch the window, and those that never started."""
        own = self.settings
        keys = {f"{name}_column": name for name in _NAMES}
        text = {
            getattr(own, key): "JSON" if name in _LISTS else "VARCHAR" for key, name in keys.items()
        }
        with Files(own, self.root, question.stop, text) as files:
            select: list[str] = []
            also = ""
            if not files.empty:
                select = [
                    part
                    for part in picked(files, own, keys, ("task", "start"))
                    if not part.endswith(('AS "start"', 'AS "end"'))
                ]
                start = files.time_sql(own.start_column)[0]
                select.append(f'{start} AS "start"')
                # A task that never ran has no start, and is the very one people ask about.
                never = f"{quoted(own.start_column)} IS NULL"
                if own.end_column in files.columns:
                    end = files.time_sql(own.end_column)[0]
                    select.append(f'{end} AS "end"')
                    never += f" AND ({end} IS NULL OR ({end} >= $t0 AND {end} < $t1))"
                    never = f"({never}) OR ({start} < $t0 AND {end} >= $t0)"
                also = never
            found = files.rows(
                own.start_column,
                question.window,
                select,
                limit=own.row_limit,
                also=also,
                named="*",
            )
        rows = [_row(row) for row in found.rows.to_pylist()]
        return Answer(
            rows=rows,
            query=found.query,
            total_rows=found.total if len(rows) < found.total else None,
            newest=found.newest,
            notes=found.notes,
            partial=found.partial,
        )

    def glance(self, question: Question) -> Glance:
        """Count the runs and tell the times they span."""
        own = self.settings
        with Files(own, self.root, question.stop) as files:
            if not files.empty:
                files.column(own.task_column, needed_for="the task")
            return Glance(*files.span(own.start_column))


def _row(row: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in row.items() if value is not None}
    for key in _LISTS:
        if isinstance(kept.get(key), str):
            try:
                kept[key] = json.loads(kept[key])
            except ValueError:
                kept[key] = [kept[key]]  # one name, as CSV writes it
            if kept[key] is None:
                del kept[key]
    if isinstance(kept.get("try"), str) and kept["try"].strip().isdecimal():
        kept["try"] = int(kept["try"])
    return kept
