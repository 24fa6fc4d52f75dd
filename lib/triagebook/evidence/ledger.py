"""The ledger: one entry for each pull that was or could have been made, in the order configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from triagebook.core.models import LedgerEntry, PullStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path


class Ledger:
    """Entries `L01`, `L02`… Ids follow the configuration, never who answered first."""

    def __init__(self, root: Path | None = None) -> None:
        self._roots = (
            [] if root is None else sorted({str(root), str(root.resolve())}, key=len)[::-1]
        )
        self._entries: list[LedgerEntry] = []

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> list[LedgerEntry]:
        """Return the entries in order."""
        return list(self._entries)

    def open(self, source: str, kind: str, window: tuple[datetime, datetime] | None) -> str:
        """Add an entry that has no answer yet, and return its id."""
        name = f"L{len(self._entries) + 1:02d}"
        self._entries.append(
            LedgerEntry(
                id=name,
                source=source,
                kind=kind,
                window=window,
                status="unavailable",
                why="not asked",
            )
        )
        return name

    def not_configured(self, kind: str, why: str) -> str:
        """Add an entry for a kind that nobody configured."""
        name = self.open(kind, kind, None)
        self.close(name, "not_configured", why=why)
        return name

    def close(
        self,
        name: str,
        status: PullStatus,
        *,
        rows: int | None = None,
        query: str | None = None,
        took_s: float | None = None,
        why: str | None = None,
        **more: Any,
    ) -> None:
        """Write down what came of a pull; KeyError for an id that is not there.

        `more` are keys of ours: `rows_total` (rows in the window, where fewer are stored),
        `newest` (the latest time among them), `part` (reference or current).
        """
        for number, entry in enumerate(self._entries):
            if entry.id == name:
                self._entries[number] = LedgerEntry.model_validate(
                    {
                        **entry.model_dump(),
                        "status": status,
                        "rows": rows,
                        "query": self._without_root(query),
                        "took_s": None if took_s is None else round(took_s, 4),
                        "why": self._without_root(why),
                        **{key: value for key, value in more.items() if value is not None},
                    }
                )
                return
        raise KeyError(name)

    def _without_root(self, text: str | None) -> str | None:
        """Name files as the configuration does: a ledger is read on other machines."""
        for root in self._roots if text else []:
            text = text.replace(f"{root}/", "") if text else text
        return text
