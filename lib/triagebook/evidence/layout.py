"""Where the parts of a bundle lie: file names, and which files a ledger entry is about."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, get_args

from triagebook.core.models import FEED

if TYPE_CHECKING:
    from pathlib import Path

    from triagebook.core.models import LedgerEntry, Windows

Side = Literal["reference", "current"]
SIDES: tuple[Side, ...] = get_args(Side)
KINDS = ("metrics", "logs", "tables", "changes", "pipeline", "topology")
FILES = {
    "metrics": "metrics.parquet",
    "logs": "logs.parquet",
    "changes": "changes.json",
    "pipeline": "pipeline.json",
    "topology": "topology.json",
}
USABLE = ("ok", "empty", "stale", "truncated")
_OTHER_NAMES = {"metric": "metrics", "log": "logs", "table": "tables", "change": "changes"}


def kind_of(entry: LedgerEntry) -> str:
    """Return the kind of an entry, by its source (`tables:orders`) first and its `kind` second."""
    for word in (entry.source.split(":", 1)[0], entry.kind):
        word = _OTHER_NAMES.get(word, word).removesuffix(".parquet").removesuffix(".json")  # noqa: PLW2901 - the same word, cleaned
        if word in KINDS:
            return word
    return "other"


def is_silent_feed(entry: LedgerEntry) -> bool:
    """Tell whether an entry says that nothing was posted, which is no proof that nothing happened."""
    return entry.source == FEED and entry.status == "empty"


def part_of(entry: LedgerEntry) -> str | None:
    """Return the part of an entry: `orders` of `tables:orders`, None where it names none."""
    head, _, tail = entry.source.partition(":")
    if tail:
        return tail.split("/", 1)[0] if head.startswith("table") else tail
    return None if _OTHER_NAMES.get(head, head) in KINDS else head


def side_of(entry: LedgerEntry, windows: Windows) -> Side | None:
    """Return the window a table's entry is about; None where it is about both."""
    tail = entry.source.rpartition("/")[2]
    if tail in SIDES:
        return "reference" if tail == "reference" else "current"
    if entry.window is None:
        return None
    start, end = entry.window
    touched = [
        side
        for side, (low, high) in (("reference", windows.reference), ("current", windows.current))
        if start < high and end > low
    ]
    if len(touched) != 1:
        return None
    return "reference" if touched[0] == "reference" else "current"


def table_file(name: str, side: Side) -> str:
    """Return where a table's rows of one window lie, from the bundle's root."""
    return f"tables/{name}/{side}.parquet"


def files_of(entry: LedgerEntry, windows: Windows) -> list[str]:
    """Return the files an entry may be about, from the bundle's root; empty where unknown."""
    kind = kind_of(entry)
    if kind in FILES:
        return [FILES[kind]]
    part = part_of(entry)
    if kind == "tables" and part is not None:
        side = side_of(entry, windows)
        return [table_file(part, s) for s in SIDES if side in (None, s)]
    return []


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
