"""Changes from JSON Lines, JSON, CSV and Parquet files: deploys, models, configs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from triagebook.sources.base import Answer, Glance, Question, Source
from triagebook.sources.changes import CHANGES
from triagebook.sources.columns import picked
from triagebook.sources.duck import Files
from triagebook.sources.files import FileSettings

if TYPE_CHECKING:
    from triagebook.sources.duck import Found

_NAMES = ("ts", "kind", "what", "from", "to", "by", "url")
_LIMIT = 10_000


class ChangeFileSettings(FileSettings):
    """A change log in files, and the columns its entries stand in."""

    ts_column: str = "ts"
    kind_column: str = "kind"
    what_column: str = "what"
    from_column: str = "from"
    to_column: str = "to"
    by_column: str = "by"
    url_column: str = "url"


@CHANGES.register("files")
class ChangeFiles(Source):
    """A change log in files."""

    Settings = ChangeFileSettings
    settings: ChangeFileSettings

    def pull(self, question: Question) -> Answer:
        """Return the changes of the window, oldest first."""
        own = self.settings
        keys = {f"{name}_column": name for name in _NAMES}
        text = {getattr(own, key): "VARCHAR" for key in keys}
        with Files(own, self.root, question.stop, text) as files:
            select = [] if files.empty else picked(files, own, keys, ("ts", "what"))
            select = [part for part in select if not part.endswith('AS "ts"')]
            time = "" if files.empty else files.time_sql(own.ts_column)[0]
            found = files.rows(
                own.ts_column,
                question.window,
                [f'{time} AS "ts"', *select],
                limit=_LIMIT,
                named="*",
            )
        return _answer(found)

    def glance(self, question: Question) -> Glance:
        """Count the changes and tell the times they span."""
        own = self.settings
        with Files(own, self.root, question.stop) as files:
            if not files.empty:
                files.column(own.what_column, needed_for="what was changed")
            return Glance(*files.span(own.ts_column))


def _answer(found: Found) -> Answer:
    rows: list[dict[str, Any]] = [
        {key: value for key, value in row.items() if value is not None}
        for row in found.rows.to_pylist()
    ]
    return Answer(
        rows=rows,
        query=found.query,
        total_rows=found.total if len(rows) < found.total else None,
        newest=found.newest,
        notes=found.notes,
        partial=found.partial,
    )
