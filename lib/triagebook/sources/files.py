"""Find the files of a pull: a path, a folder or a glob; and what they hold, by their names."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from triagebook.core.errors import SourceDataError
from triagebook.sources.base import OwnSettings

Format = Literal["parquet", "csv", "jsonl", "json"]

_ENDINGS: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
}


class FileSettings(OwnSettings):
    """Where the files of a pull lie."""

    path: str | list[str] = Field(
        description="a file, a folder, or a glob such as data/2013-*/*.parquet; from the home"
    )
    format: Format | None = Field(
        default=None, description="parquet, csv, jsonl or json; by default by the file's name"
    )


def format_of(path: Path) -> Format | None:
    """Tell a file's format by its name, `.gz` set aside; None where the name does not say."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return _ENDINGS.get(suffixes[-1]) if suffixes else None


def find_files(settings: FileSettings, root: Path) -> tuple[list[Path], Format]:
    """Return the files of a pull, sorted, and their one format.

    Raises
    ------
    SourceDataError
        No file, files of several formats, or a name that does not tell the format.
    """
    given = [settings.path] if isinstance(settings.path, str) else settings.path
    found: list[Path] = []
    for text in given:
        found.extend(_expand(text, root, settings.format))
    files = sorted(dict.fromkeys(found))
    if settings.format is not None:
        return files, settings.format
    formats = {path: format_of(path) for path in files}
    unknown = [path for path, kind in formats.items() if kind is None]
    if unknown:
        raise SourceDataError(
            f"the name of {unknown[0].name} does not tell what it holds",
            'say it: format = "parquet", "csv", "jsonl" or "json"',
        )
    kinds = {kind for kind in formats.values() if kind is not None}
    if len(kinds) > 1:
        raise SourceDataError(
            f"{', '.join(given)} holds files of several formats: {', '.join(sorted(kinds))}",
            "name one kind of them with a glob, such as data/*.parquet",
        )
    return files, kinds.pop()


def _expand(text: str, root: Path, wanted: Format | None) -> list[Path]:
    path = root / Path(text).expanduser()
    try:
        # First as it is: a file may really be called `a[1].parquet`.
        if path.is_file():
            return [path]
        if path.is_dir():
            inside = [p for p in path.rglob("*") if p.is_file() and not _hidden(p, path)]
            files = inside if wanted else [p for p in inside if format_of(p) is not None]
            if not files:
                raise SourceDataError(
                    f"the folder {path} holds no Parquet, CSV or JSON file",
                    "name the folder that does, or say format = …",
                )
            return files
        files = _glob(path)
    except OSError as error:
        raise SourceDataError(
            f"{path} cannot be looked at: {error.strerror or error}", "check its permissions"
        ) from error
    if not files:
        raise SourceDataError(f"no file at {path}", _advice(path))
    return files


def _hidden(path: Path, above: Path) -> bool:
    # `_SUCCESS`, `_delta_log` and `.part` files are bookkeeping, not data.
    return any(part.startswith((".", "_")) for part in path.relative_to(above).parts)


def _glob(path: Path) -> list[Path]:
    parts = path.parts
    first = next((i for i, part in enumerate(parts) if set(part) & set("*?[")), None)
    if first is None:
        return []
    base = Path(*parts[:first])
    if not base.is_dir():
        return []
    return [
        p for p in base.glob(str(Path(*parts[first:]))) if p.is_file() and p.name[0] not in "._"
    ]


def _advice(path: Path) -> str:
    folder = path.parent
    if set(str(path)) & set("*?[") or not folder.is_dir():
        return "check `path`; it starts from the folder of triagebook.toml"
    near = get_close_matches(path.name, [p.name for p in folder.iterdir()], n=1)
    return f"did you mean {near[0]!r}?" if near else f"{folder} holds no file of that name"


def sound_parquet(files: list[Path]) -> tuple[list[Path], list[str]]:
    """Part Parquet files into those whose footer can be read, and what is wrong with the others."""
    good: list[Path] = []
    bad: list[str] = []
    for path in files:
        try:
            pq.read_metadata(path)
        except (pa.ArrowException, OSError) as error:
            size = path.stat().st_size if path.exists() else 0
            reason = " ".join(str(error).split())[:120]
            bad.append(
                f"{path.name} cannot be read ({size} bytes, cut off or no Parquet): {reason}"
            )
        else:
            good.append(path)
    return good, bad
