"""Tables from Parquet, CSV and JSON files: rows as they were, cut by a column of times."""

from __future__ import annotations

from pydantic import Field

from triagebook.core.errors import SourceDataError
from triagebook.sources.base import Answer, Glance, Question, Source
from triagebook.sources.duck import Files
from triagebook.sources.files import FileSettings
from triagebook.sources.opening import quoted
from triagebook.sources.tables import TABLES


class TableFileSettings(FileSettings):
    """A table in files."""

    columns: list[str] | None = Field(default=None, description="columns to read; default all")
    row_limit: int = Field(
        default=200_000, ge=1, description="rows a window; above it, a fair sample of that many"
    )
    seed: int = Field(default=0, ge=0, description="another seed, another sample")


@TABLES.register("files")
class TableFiles(Source):
    """A table in files."""

    Settings = TableFileSettings
    settings: TableFileSettings

    def pull(self, question: Question) -> Answer:
        """Return the rows of the window, with the file's own columns and types."""
        time = _time_column(question, self.settings)
        with Files(self.settings, self.root, question.stop) as files:
            wanted = self.settings.columns
            select = list(files.columns)
            if wanted is not None and not files.empty:
                for name in wanted:
                    files.column(name, needed_for="named in `columns`")
                select = [name for name in select if name in {*wanted, time}]
            found = files.rows(
                time,
                question.window,
                [quoted(name) for name in select],
                limit=self.settings.row_limit,
                seed=self.settings.seed,
                named="*" if wanted is None else None,
            )
        return Answer(
            rows=found.rows,
            query=found.query,
            total_rows=found.total if found.total > found.rows.num_rows else None,
            newest=found.newest,
            notes=found.notes,
            partial=found.partial,
        )

    def glance(self, question: Question) -> Glance:
        """Count the rows and tell the times they span."""
        time = _time_column(question, self.settings)
        with Files(self.settings, self.root, question.stop) as files:
            return Glance(*files.span(time))


def _time_column(question: Question, settings: TableFileSettings) -> str:
    if question.time_column is None:
        raise SourceDataError(
            f"no time column is named for {settings.path}, so no window can be cut",
            'add time_column = "…" to the table in triagebook.toml',
        )
    return question.time_column
