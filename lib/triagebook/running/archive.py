"""Archives: an incident that is long over becomes one zip file, out of the store, and comes back whole."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

import triagebook
from triagebook.core.errors import NotFoundError, TriagebookError
from triagebook.incidents import shelf
from triagebook.incidents.tables import deliveries, incidents
from triagebook.running.atomic import write_whole

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from triagebook.core.paths import Home
    from triagebook.core.settings import Settings
    from triagebook.incidents.store import Store

ROWS = "incident.json"
RUN = "run/"
LOOK_EVERY_S = 6 * 3_600.0
FIRST_LOOK_S = 60.0
_DELIVERIES_AT_ONCE = 5_000

log = structlog.get_logger(__name__)


class ArchiveError(TriagebookError):
    """An archive cannot be written or read; nothing was removed."""


@dataclass(frozen=True)
class Archived:
    """One archived incident: its id, its file, the file's size in bytes."""

    incident_id: str
    file: Path
    size: int


class Archive:
    """The folder of archives of a home: one zip file an incident, in folders by year and month.

    In each `incident.json` (the store's rows and the bodies as they were posted) and `run/` (the
    notebook, the report, the evidence, earlier attempts).

    Parameters
    ----------
    home : Home
    settings : Settings
        `retention`.
    store : Store
    """

    def __init__(self, home: Home, settings: Settings, store: Store) -> None:
        self.home = home
        self.settings = settings.retention
        self.store = store
        self.folder = home.root / self.settings.archive

    def find(self, incident_id: str) -> Path | None:
        """Return an incident's file; None where it is not archived."""
        found = self.folder.glob(f"*/{_as_glob(incident_id)}.zip")
        return next(iter(sorted(found)), None)

    def all(self) -> Iterator[Archived]:
        """Give all archived incidents, oldest month first."""
        for path in sorted(self.folder.glob("*/inc-*.zip")):
            yield Archived(path.stem, path, path.stat().st_size)

    def put_away(self, incident_id: str) -> Archived | None:
        """Archive one incident and remove it from the store and from `runs/`.

        A crash at any moment leaves it whole, here or there; the next pass ends what was begun.

        Returns
        -------
        Archived or None
            None where it changed meanwhile, or another service did it.

        Raises
        ------
        NotFoundError
            No such incident.
        ArchiveError
            The file cannot be written.
        """
        content = shelf.rows_of(self.store, incident_id)
        if content is None:
            raise NotFoundError(f"no incident {incident_id!r}", "list them: triagebook incidents")
        month = content[incidents.name][0]["opened_at"][:7]
        path = self.folder / month / f"{incident_id}.zip"
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        run = self.home.run_dir(incident_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _pack(part, content, run)
            # Only when the rows are sure to be ours to delete: another service may be at it too, and
            # be clearing the folder that was just packed.
            if not shelf.remove(self.store, incident_id, content, lambda: _settle(part, path)):
                return None
        except (OSError, zipfile.BadZipFile) as error:
            raise ArchiveError(
                f"{incident_id} could not be archived in {self.folder}: {error}",
                "nothing was removed; see that the folder can be written and its disk has room",
            ) from error
        finally:
            with suppress(OSError):  # where it could not even be begun
                part.unlink(missing_ok=True)
        shutil.rmtree(run, ignore_errors=True)  # what is left is cleared by the next pass
        return Archived(incident_id, path, path.stat().st_size)

    def bring_back(self, incident_id: str) -> None:
        """Put an archived incident back into the store and `runs/`; its file stays.

        Raises
        ------
        NotFoundError
            It is not archived.
        ArchiveError
            Its file is damaged, or of a newer triagebook.
        StoreError
            It is in the store.
        """
        path = self.find(incident_id)
        if path is None:
            raise NotFoundError(
                f"{incident_id!r} is not in {self.folder}", "list them: triagebook archive --list"
            )
        run = self.home.run_dir(incident_id)
        aside = run.with_name(f".{incident_id}.coming-back")
        shutil.rmtree(aside, ignore_errors=True)
        try:
            content = _unpack(path, aside)
            if self.store.incident(incident_id) is None:
                # Of a pass that was cut off; all of it is in the file.
                shutil.rmtree(run, ignore_errors=True)
                if aside.is_dir():
                    aside.replace(run)
            shelf.put_back(self.store, content)
            # A change like any other, or the next pass would take it away again.
            self.store.add_note(incident_id, "unarchived", f"brought back from {path.name}")
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ArchiveError(
                f"{path} cannot be read: {error}", "take the file from a backup"
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def due(self, older_than_s: float | None = None) -> list[str]:
        """Return what is to be archived now, oldest first; empty where the settings say never."""
        seconds = self.settings.archive_after if older_than_s is None else older_than_s
        return [] if seconds is None else shelf.due(self.store, self._before(seconds))

    def put_away_loose(self, older_than_s: float | None = None) -> int:
        """Archive deliveries that belong to no incident, as lines of JSON; return how many."""
        seconds = self.settings.archive_after if older_than_s is None else older_than_s
        count = 0
        while seconds is not None:
            before = self._before(seconds)
            content = shelf.loose(self.store, before, _DELIVERIES_AT_ONCE)
            rows = content[deliveries.name]
            if not rows:
                break
            name = f"deliveries-{rows[0]['id']}-{rows[-1]['id']}.jsonl.gz"
            self.folder.mkdir(parents=True, exist_ok=True)
            text = "".join(
                json.dumps({"table": table, **row}, ensure_ascii=False) + "\n"
                for table, found in content.items()
                for row in found
            )
            write_whole(self.folder / name, gzip.compress(text.encode()), durable=True)
            count += shelf.remove_loose(self.store, content, before)
        return count

    def clear(self) -> list[str]:
        """Remove run folders whose incident was archived when a crash came between; return them."""
        gone = []
        for path in self.home.runs.iterdir():
            known = path.name.startswith("inc-") and self.find(path.name) is not None
            if known and self.store.incident(path.name) is None:
                shutil.rmtree(path, ignore_errors=True)
                gone.append(path.name)
        return gone

    def _before(self, seconds: float) -> datetime:
        return self.store.clock() - timedelta(seconds=seconds)


class Archivist:
    """Archives what is due, now and then. Used from one thread.

    Parameters
    ----------
    archive : Archive
    forget : callable
        Called with the archived incidents, so that the queue forgets their runs.
    """

    def __init__(self, archive: Archive, forget: Callable[[list[str]], None]) -> None:
        self._archive = archive
        self._forget = forget

    def run(self, stop: threading.Event) -> None:
        """Look after `FIRST_LOOK_S` and then every `LOOK_EVERY_S`, until told to stop; never raises."""
        wait = FIRST_LOOK_S
        while not stop.wait(wait):
            wait = LOOK_EVERY_S
            try:
                done = self.round(stop)
                if done:
                    log.info("incidents archived", count=len(done))
            except Exception:
                # The next round may fare better.
                log.exception("archiving failed")

    def round(self, stop: threading.Event) -> list[str]:
        """Archive what is due until told to stop; return the incidents."""
        self._archive.clear()
        done = []
        for name in self._archive.due():
            if stop.is_set():
                break
            if self._archive.put_away(name) is not None:
                done.append(name)
        self._forget(done)
        if not stop.is_set():
            self._archive.put_away_loose()
        return done


def _as_glob(name: str) -> str:
    """Return a name as `glob` matches it and nothing else; "-" where it cannot be an incident's."""
    return name if name and all(letter.isalnum() or letter in "-_" for letter in name) else "-"


def _pack(part: Path, content: shelf.Content, run: Path) -> None:
    """Write an archive, to the disk, and read it once: what is removed must be in it."""
    head: dict[str, Any] = {
        "format": shelf.FORMAT,
        "triagebook": triagebook.__version__,
        "rows": content,
    }
    with part.open("wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(ROWS, json.dumps(head, ensure_ascii=False, indent=1))
            for path, name in _files(run):
                archive.write(path, RUN + name)
        file.flush()
        os.fsync(file.fileno())
    with zipfile.ZipFile(part) as archive:
        broken = archive.testzip()
        if broken is not None:
            raise zipfile.BadZipFile(f"{broken} was not written right")


def _files(run: Path) -> Iterator[tuple[Path, str]]:
    """Give every file of a run with its name; links are left where they point."""
    for folder, folders, names in os.walk(run):
        folders.sort()
        for name in sorted(names):
            path = run.__class__(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path, path.relative_to(run).as_posix()


def _settle(part: Path, path: Path) -> None:
    part.replace(path)
    with suppress(OSError):  # not every system lets a folder be opened; the file itself is safe
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _unpack(path: Path, into: Path) -> shelf.Content:
    with zipfile.ZipFile(path) as archive:
        head = json.loads(archive.read(ROWS))
        if head["format"] > shelf.FORMAT:
            raise ValueError(f"it is of triagebook {head['triagebook']}, which is newer")
        for name in archive.namelist():
            inside = name.removeprefix(RUN)
            if not name.startswith(RUN) or name.endswith("/"):
                continue
            target = (into / inside).resolve()
            if into.resolve() not in target.parents:
                raise ValueError(f"{name} would lie outside the run's folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out)
    rows: shelf.Content = head["rows"]
    return rows
