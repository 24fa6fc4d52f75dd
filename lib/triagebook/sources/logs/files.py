"""Logs from JSON Lines, CSV and Parquet files: one row a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from triagebook.sources.base import Answer, Glance, Question, Source
from triagebook.sources.columns import picked
from triagebook.sources.duck import Files
from triagebook.sources.files import FileSettings
from triagebook.sources.frames import LOG_COLUMNS, as_logs
from triagebook.sources.logs import LOGS

if TYPE_CHECKING:
    import pandas as pd


class LogFileSettings(FileSettings):
    """Logs in files, and the columns they stand in."""

    ts_column: str = "ts"
    message_column: str = "message"
    severity_column: str = Field(default="severity", description="may be absent: INFO")
    source_column: str = Field(default="source", description="task, pod or logger; may be absent")
    attributes_column: str = Field(default="attributes", description="may be absent")
    row_limit: int = Field(default=500_000, ge=1, description="above it, a fair sample of lines")


@LOGS.register("files")
class LogFiles(Source):
    """Logs in files."""

    Settings = LogFileSettings
    settings: LogFileSettings

    def pull(self, question: Question) -> Answer:
        """Return the lines of the window."""
        own = self.settings
        keys = {f"{name}_column": name for name in LOG_COLUMNS}
        text = {
            getattr(own, key): "JSON" if key == "attributes_column" else "VARCHAR" for key in keys
        }
        with Files(own, self.root, question.stop, text) as files:
            select = [] if files.empty else picked(files, own, keys, ("ts", "message"))
            select = [part for part in select if not part.endswith('AS "ts"')]
            time = "" if files.empty else files.time_sql(own.ts_column)[0]
            found = files.rows(
                own.ts_column,
                question.window,
                [f'{time} AS "ts"', *select],
                limit=own.row_limit,
                named="*",
            )
        frame = found.rows.to_pandas()
        frame = as_logs(frame if len(frame.columns) else _no_lines(), files.given)
        return Answer(
            rows=frame,
            query=found.query,
            total_rows=found.total if len(frame) < found.total else None,
            newest=found.newest,
            notes=found.notes,
            partial=found.partial,
        )

    def glance(self, question: Question) -> Glance:
        """Count the lines and tell the times they span; time and message must be there."""
        own = self.settings
        with Files(own, self.root, question.stop) as files:
            if not files.empty:
                files.column(own.message_column, needed_for="the message")
            return Glance(*files.span(own.ts_column))


def _no_lines() -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 - only here

    return pd.DataFrame({name: [] for name in LOG_COLUMNS})
