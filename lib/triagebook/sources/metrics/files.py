"""Metrics from Parquet, CSV and JSON files: one row a sample."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import Field

from triagebook.core.errors import SourceDataError
from triagebook.sources.base import Answer, Glance, Question, Source
from triagebook.sources.columns import picked
from triagebook.sources.duck import Files
from triagebook.sources.files import FileSettings, format_of
from triagebook.sources.frames import as_metrics
from triagebook.sources.metrics import METRICS
from triagebook.sources.metrics._thinning import thinned

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


class MetricFileSettings(FileSettings):
    """Metrics in files, and the columns they stand in."""

    ts_column: str = "ts"
    name_column: str = "name"
    value_column: str = "value"
    labels_column: str = Field(default="labels", description="JSON text or a map; may be absent")
    meta: str | None = Field(
        default=None,
        description="JSON file of types and units by name; default: the file's own name with .json",
    )
    row_limit: int = Field(
        default=2_000_000, ge=1, description="above it, each series is thinned evenly"
    )


@METRICS.register("files")
class MetricFiles(Source):
    """Metrics in files."""

    Settings = MetricFileSettings
    settings: MetricFileSettings

    def pull(self, question: Question) -> Answer:
        """Return the samples of the window."""
        own = self.settings
        keys = {
            "ts_column": "ts",
            "name_column": "name",
            "labels_column": "labels",
            "value_column": "value",
        }
        text = {getattr(own, key): "JSON" if key == "labels_column" else "VARCHAR" for key in keys}
        with Files(own, self.root, question.stop, text) as files:
            select = [] if files.empty else picked(files, own, keys, ("ts", "name", "value"))
            select = [part for part in select if not part.endswith('AS "ts"')]
            time = "" if files.empty else files.time_sql(own.ts_column)[0]
            found = files.rows(
                own.ts_column,
                question.window,
                [f'{time} AS "ts"', *select],
                # Rows of one series left out at random would break its rates; see thinned.
                limit=own.row_limit * 20,
                named="*",
            )
        frame = found.rows.to_pandas()
        frame = frame if len(frame.columns) else _no_samples()
        frame, note = thinned(as_metrics(frame, files.given), own.row_limit)
        return Answer(
            rows=frame,
            query=found.query,
            total_rows=found.total if len(frame) < found.total else None,
            newest=found.newest,
            notes=[*found.notes, *note],
            partial=found.partial,
            meta=_meta(own, self.root),
        )

    def glance(self, question: Question) -> Glance:
        """Count the samples and tell the times they span; every column must be there."""
        own = self.settings
        with Files(own, self.root, question.stop) as files:
            for name in (own.name_column, own.value_column) if not files.empty else ():
                files.column(name, needed_for="metrics")
            return Glance(*files.span(own.ts_column))


def _no_samples() -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 - only here

    return pd.DataFrame({"ts": [], "name": [], "labels": [], "value": []})


def _meta(own: MetricFileSettings, root: Path) -> dict[str, dict[str, Any]]:
    if own.meta is None:
        if not isinstance(own.path, str):
            return {}
        data = root / own.path
        path = data.with_suffix(".json")
        if format_of(data) == "json" or not data.is_file() or not path.is_file():
            return {}
    else:
        path = root / own.meta
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceDataError(
            f"the types and units of metrics in {path.name} cannot be read: {error}",
            'write {"NAME": {"type": "counter", "unit": "s"}}',
        ) from error
    if not isinstance(found, dict):
        raise SourceDataError(
            f"{path.name} holds {type(found).__name__}, expected an object by metric name",
            'write {"NAME": {"type": "counter", "unit": "s"}}',
        )
    return {str(name): meta for name, meta in found.items() if isinstance(meta, dict)}
