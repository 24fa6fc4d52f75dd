"""What `doctor` asks: of the installation, of this machine, and of a home folder."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from packaging.requirements import Requirement

from triagebook.core.errors import TriagebookError
from triagebook.core.times import iso, now_utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from triagebook.core.paths import Home
    from triagebook.core.settings import Settings

HEAVY = ("pandas", "numpy", "pyarrow", "matplotlib", "scipy", "sklearn", "evidently", "papermill")
"""Packages that every notebook imports: compiled anew each time, they cost it many seconds."""

ENOUGH_COMPILED = 0.9
_ENGINE = "triagebook"
_CELL = {"id": "sum", "cell_type": "code", "source": "40 + 2", "execution_count": None}
_ONE_CELL = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"papermill": {}},
    "cells": [{**_CELL, "metadata": {"papermill": {}}, "outputs": []}],
}


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    Attributes
    ----------
    status : "ok", "bad" or "skipped"
        `bad` keeps something from working.
    """

    name: str
    status: Literal["ok", "bad", "skipped"]
    says: str
    do: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)


def installation() -> Iterator[Check]:
    """Ask about Python, the versions of what is needed, the bytecode, the engine and the kernel."""
    yield Check("python", "ok", f"{platform.python_version()}, {sys.executable}")
    yield versions()
    yield bytecode(HEAVY)
    yield engine()
    yield kernel()


def versions(package: str = "triagebook") -> Check:
    """Compare what is installed with what the package asks for."""
    wrong = []
    asked = [Requirement(text) for text in requires(package) or []]
    needed = [item for item in asked if item.marker is None or item.marker.evaluate({"extra": ""})]
    for item in needed:
        try:
            have = version(item.name)
        except PackageNotFoundError:
            wrong.append(f"{item.name} is missing ({item.specifier} is needed)")
            continue
        if not item.specifier.contains(have, prereleases=True):
            wrong.append(f"{item.name} is {have}, {item.specifier} is needed")
    if wrong:
        return Check("versions", "bad", "; ".join(wrong), "install from requirements.txt: make")
    pandas = version("pandas")
    return Check("versions", "ok", f"{len(needed)} packages as needed, pandas {pandas} among them")


def bytecode(packages: Iterable[str]) -> Check:
    """Look whether packages are compiled: where writing bytecode is off, each kernel compiles anew."""
    there, compiled, roots = 0, 0, set()
    for name in packages:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue  # `versions` tells what is missing
        folder = Path(spec.origin).parent
        roots.add(folder.parent)
        for source in folder.rglob("*.py"):
            there += 1
            compiled += Path(importlib.util.cache_from_source(str(source))).exists()
    share = compiled / there if there else 1.0
    says = f"{share:.0%} of {there:,} modules are compiled"
    if share >= ENOUGH_COMPILED:
        return Check("bytecode", "ok", says)
    where = " ".join(sorted(map(str, roots)))
    do = f"{sys.executable} -m compileall -q -j 0 {where}"
    return Check("bytecode", "bad", f"{says}; every notebook compiles the rest anew", do)


def engine() -> Check:
    """Look whether papermill finds our engine."""
    found = [p for p in entry_points(group="papermill.engine") if p.name == _ENGINE]
    if not found:
        do = "install the package, not only its source: pip install -e . or make"
        return Check("engine", "bad", "papermill has no engine called triagebook", do)
    try:
        found[0].load()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return Check("engine", "bad", f"{found[0].value}: {type(error).__name__}: {error}", "make")
    return Check("engine", "ok", f"papermill's engine {_ENGINE} is {found[0].value}")


def kernel() -> Check:
    """Execute one cell the way notebooks are executed."""
    import nbformat

    from triagebook.running.execution import execute

    notebook: Any = nbformat.from_dict(_ONE_CELL)  # type: ignore[no-untyped-call]
    started = time.monotonic()
    try:
        execute(notebook, "python3")
        outputs = notebook.cells[0].outputs
        good = any(o.get("data", {}).get("text/plain") == "42" for o in outputs)
        says = f"started, ran a cell and ended in {time.monotonic() - started:.1f} s"
        if good:
            return Check("kernel", "ok", says)
        says = f"ran 40 + 2 and answered {outputs}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        says = f"does not start: {type(error).__name__}: {error}"
    return Check("kernel", "bad", says, f"{sys.executable} -m ipykernel_launcher --version")


def of_home(home: Home, settings: Settings) -> Iterator[Check]:
    """Ask about a home folder: can it be written, are its pulls right, do its sources answer."""
    from triagebook.evidence.check import ask, check_pulls

    names = ", ".join(service.name for service in settings.services)
    yield Check("settings", "ok", f"{home.config}, services: {names or 'none'}")
    yield writable(home)
    yield from _secrets(home, settings)
    yield from maintenance(settings, now_utc())
    problems = check_pulls(settings, home.root)
    for problem in problems:
        yield Check("pulls", "bad", f"{problem.where}: {problem.message}", problem.hint)
    if problems:
        yield Check("sources", "skipped", "not asked while the settings are wrong")
        return
    for asked in ask(settings, home.root):
        name = f"{asked.service} {asked.source}"
        if asked.ok:
            rows = asked.says or "answers" if asked.rows is None else f"{asked.rows:,} rows"
            newest = f", newest {asked.newest:%Y-%m-%d %H:%M} UTC" if asked.newest else ""
            yield Check(name, "ok", f"{rows}{newest}")
        else:
            yield Check(name, "bad", asked.error, asked.hint)


def writable(home: Home) -> Check:
    """Look whether state and runs can be written."""
    try:
        shut = [str(path) for path in (home.state, home.runs) if not os.access(path, os.W_OK)]
    except OSError as error:
        return Check("home", "bad", str(error), "make the folder, or name another with --home")
    if shut:
        return Check(
            "home", "bad", f"not writable: {', '.join(shut)}", "change their owner or mode"
        )
    return Check("home", "ok", f"{home.root} can be written")


def maintenance(settings: Settings, now: datetime) -> Iterator[Check]:
    """Say which maintenance windows hold runs back now, and which name no service that is known."""
    known = [service.name for service in settings.services]
    for window in settings.maintenance:
        end = window.end(now)
        says = f"holds runs back until {iso(end)}" if end else "does not hold anything back now"
        unknown = [name for name in window.services or [] if name not in known]
        if unknown:
            near = get_close_matches(unknown[0], known, n=1)
            do = f"did you mean {near[0]!r}?" if near else "add the [[service]], or leave it out"
            yield Check("maintenance", "bad", f"{window.reason}: no service {unknown[0]!r}", do)
        else:
            yield Check("maintenance", "ok", f"{window.reason}: {says}")


def _secrets(home: Home, settings: Settings) -> Iterator[Check]:
    """Look whether the secrets that senders are checked by are there; they are not shown."""
    for sender, intake in settings.intake.items():
        for kind, secret in (("token", intake.token), ("password", intake.password)):
            if secret is None:
                continue
            try:
                secret.value(home.root)
            except TriagebookError as error:
                do = error.hint or f"write it, or change [intake.{sender}]"
                yield Check(f"intake {sender}", "bad", f"{kind}: {error.message}", do)
            else:
                yield Check(f"intake {sender}", "ok", f"its {kind} is there")
