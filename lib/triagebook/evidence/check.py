"""Check the pulls of triagebook.toml, and ask each source one cheap question; for `doctor`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from triagebook.core.errors import TriagebookError
from triagebook.core.paths import Home
from triagebook.core.settings import line_of
from triagebook.core.times import now_utc
from triagebook.evidence.collect import time_column_of
from triagebook.evidence.parallel import Job, Outcome, run_all
from triagebook.evidence.plugins import Configured, build, configured, own_settings
from triagebook.evidence.store import is_folder_name
from triagebook.sources.base import Glance, Question, Stop

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from triagebook.core.settings import ServiceSettings, Settings

_LOOKED_AT = timedelta(days=1)


@dataclass(frozen=True)
class Problem:
    """Something wrong in triagebook.toml: where (`FILE:LINE`), what, and what to do (or "")."""

    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        tail = f"\n  → {self.hint}" if self.hint else ""
        return f"{self.where}: {self.message}{tail}"


@dataclass(frozen=True)
class Asked:
    """What a source answered to a cheap question.

    Parameters
    ----------
    service, source : str
        The service's name; the pull as the ledger calls it.
    ok : bool
        Whether it answered.
    rows : int or None
        Rows it holds, of any time.
    oldest, newest : datetime or None
        The times they span, UTC.
    error, hint : str
        What went wrong and what to do, or "".
    took_s : float
        Seconds.
    says : str
        What else the source tells of itself.
    """

    service: str
    source: str
    ok: bool
    rows: int | None = None
    oldest: datetime | None = None
    newest: datetime | None = None
    error: str = ""
    hint: str = ""
    took_s: float = 0.0
    says: str = ""


def check_pulls(settings: Settings, root: Path) -> list[Problem]:
    """Check every pull's own keys against its plug-in, without asking any source.

    Parameters
    ----------
    settings : Settings
        As loaded.
    root : Path
        The home, whose triagebook.toml is read again to tell lines.

    Returns
    -------
    list of Problem
        Unknown source, unknown key (with the nearest right name), missing key, wrong value.
    """
    path = Home(root).config
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    problems = []
    for number, service in enumerate(settings.services):
        for one in configured(service):
            place = ["service", number, *one.place]
            for keys, message, hint in _wrong(settings, service, one):
                line = line_of(text, keys) or line_of(text, place)
                where = f"{path}:{line}" if line else str(path)
                problems.append(Problem(where, f"service {service.name!r}, {message}", hint))
    return problems


def _wrong(
    settings: Settings, service: ServiceSettings, one: Configured
) -> list[tuple[list[Any], str, str]]:
    """Return (path of the key, message, hint) for what is wrong with one pull."""
    place = ["service", settings.services.index(service), *one.place]
    found: list[tuple[list[Any], str, str]] = []
    if one.kind == "tables":
        name = str(one.place[1])
        if not is_folder_name(name):
            hint = "use letters, digits, '_', '-', '.' and spaces, not starting with a dot"
            found.append((place, f"a table cannot be called {name!r}", hint))
        if time_column_of(one) is None:
            hint = 'add time_column = "…": the column whose times the window is cut by'
            found.append((place, f"{one.label}: no time_column is named", hint))
    try:
        _, _, wrong = own_settings(settings, one)
    except TriagebookError as error:
        key = [*place, "source"]
        return [*found, (key, error.message, error.hint)]
    for problem in wrong:
        if problem.key is None:
            keys = place
        elif problem.from_source:
            keys = ["sources", one.pull.source, problem.key]
        else:
            keys = [*place, problem.key]
        found.append((keys, problem.message, ""))
    return found


def ask(settings: Settings, root: Path, budget_s: float | None = None) -> list[Asked]:
    """Ask every source one cheap question, all at once.

    Parameters
    ----------
    settings : Settings
        As loaded.
    root : Path
        The home.
    budget_s : float or None
        Seconds for all of them; None takes that of the settings.

    Returns
    -------
    list of Asked
        In the order of the file.
    """
    budget_s = settings.budget if budget_s is None else budget_s
    ones = [(service, one) for service in settings.services for one in configured(service)]
    now = now_utc()
    jobs = []
    for service, one in ones:
        end = min(service.replayed_to or now, now)
        within_s = min(one.pull.budget or budget_s, budget_s)
        question = Question((end - _LOOKED_AT, end), time_column_of(one), within_s=within_s)
        jobs.append(Job(_glance(settings, one, root, question), within_s))
    outcomes = run_all(jobs, budget_s)
    return [
        _asked(service.name, one.label, outcome)
        for (service, one), outcome in zip(ones, outcomes, strict=True)
    ]


def _asked(service: str, source: str, outcome: Outcome) -> Asked:
    got, error, took_s = outcome.result, outcome.error, round(outcome.took_s, 4)
    if isinstance(got, Glance):
        seen = (got.rows, got.oldest, got.newest)
        return Asked(service, source, True, *seen, took_s=took_s, says=got.says)
    if isinstance(error, TriagebookError):
        return Asked(service, source, False, error=error.message, hint=error.hint, took_s=took_s)
    text = f"{type(error).__name__}: {error}" if error else f"it gave {got!r}"
    hint = "report it to who wrote the source"
    return Asked(service, source, False, error=text[:500], hint=hint, took_s=took_s)


def _glance(
    settings: Settings, one: Configured, root: Path, question: Question
) -> Callable[[Stop], Glance]:
    def call(stop: Stop) -> Glance:
        return build(settings, one, root).glance(replace(question, stop=stop))

    return call
