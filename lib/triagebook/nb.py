"""The only module that a notebook imports: open a run, then show its sections one by one."""

from __future__ import annotations

import json
import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triagebook import __version__
from triagebook.core.errors import NotFoundError, SettingsError
from triagebook.core.models import Alert, Diagnosis, IncidentType, Progress, RunRequest, to_json
from triagebook.core.paths import Home
from triagebook.core.settings import ServiceSettings, Settings, load_settings
from triagebook.core.times import iso, now_utc, to_utc
from triagebook.diagnosis.diagnose import diagnose, spec_for
from triagebook.diagnosis.spec import TYPES
from triagebook.display import answer as answer_display
from triagebook.display import sections as section_display
from triagebook.display.elements import picture, plain, png, root, save, soft, text
from triagebook.evidence.bundle import Bundle
from triagebook.evidence.collect import collect
from triagebook.evidence.windows import windows_for

if TYPE_CHECKING:
    from datetime import datetime

    from triagebook.charts._style import Drawn
    from triagebook.core.models import Finding
    from triagebook.diagnosis.context import Context
    from triagebook.diagnosis.spec import Section, Spec

__all__ = ["Run", "open_run"]

_DPI_WIDE, _DPI_NARROW = 190, 200


class Run:
    """An opened investigation: the evidence, the diagnosis, and how to show them.

    Attributes
    ----------
    bundle : Bundle
        The evidence; `run.bundle.tables["NAME"].current` is a DataFrame.
    diagnosis : Diagnosis
        The answer, as in diagnosis.json.
    context : Context
        The analyses behind it. An investigation that was loaded again makes them when they are
        first needed.
    folder : Path
        Where figures are written: the notebook's own folder.
    """

    def __init__(
        self,
        bundle: Bundle,
        diagnosis: Diagnosis,
        context: Context | None,
        folder: Path,
        settings: Settings | None,
    ) -> None:
        self.bundle = bundle
        self.diagnosis = diagnosis
        self._context = context
        self.folder = folder
        self.settings = settings
        self.spec = spec_for(diagnosis.incident_type)

    @property
    def context(self) -> Context:
        """The analyses behind the diagnosis."""
        if self._context is None:
            _, self._context = diagnose(self.bundle, self.diagnosis.incident_type)
            self._context.results["diagnosis"] = self.diagnosis
        return self._context

    # --- the sections of a notebook --------------------------------------------------------------

    def answer(self) -> None:
        """Show the answer: severity, since when, likely cause, confidence, what could not be checked."""
        going_on = bool(self.context.results.get("going_on", True))
        _show(answer_display.answer(self.diagnosis, going_on=going_on), self._in_words())
        self.alerts()
        d = self.diagnosis
        _glue("incident_id", d.incident_id)
        _glue("incident_type", str(d.incident_type))
        _glue("service", d.service.name)
        _glue("verdict", d.verdict)
        _glue("severity", d.severity.level)
        _glue("summary", d.summary)
        if d.onset is not None:  # scrapbook refuses a scrap that is null
            _glue("onset", iso(d.onset.at))
        _glue(
            "hypotheses",
            [
                {"cause": h.cause, "locus": h.locus, "confidence": h.confidence}
                for h in d.hypotheses
            ],
        )
        _glue("none_of_these", d.none_of_these)
        _glue("impact", [{"what": i.what, "value": i.value, "unit": i.unit} for i in d.impact])
        bad = [f for f in d.findings if f.verdict == "bad"]
        _glue(
            "bad_findings",
            [{"check": f.check, "locus": f.locus, "statement": f.statement} for f in bad],
        )
        _tell("answer", d.summary)

    def alerts(self) -> None:
        """Show the incident's alerts, where there is more than one: what, since, until, from whom."""
        together = self.bundle.alerts
        if len(together) > 1:
            _show(section_display.alerts(together), f"{len(together)} alerts")

    def severity(self) -> None:
        """Show the proposed severity with its reasons."""
        _show(answer_display.severity(self.diagnosis), f"{self.diagnosis.severity.level}")

    def impact(self) -> None:
        """Show what it cost so far."""
        _show(section_display.impact(self.diagnosis), "impact")

    def show(self, section_id: str) -> None:
        """Show one section: how to read its chart, the chart, its findings.

        A chart that cannot be drawn costs itself; the findings are shown all the same.
        """
        section = self._section(section_id)
        found = [f for f in self.diagnosis.findings if f.check in section.checks]
        out = ""
        if section.chart is not None:
            out += self._chart(section.chart, section.how, section_id, alone=not found)
        if section.second is not None:
            out += self._chart(*section.second, f"{section_id}-2", alone=False)
        out += section_display.findings(found) if section.checks else ""
        if section_id == "around":
            out += section_display.changes_table(self._changes())
        _show(out, "; ".join(f.statement for f in found) or section.question)
        for finding in found:
            if finding.verdict == "bad":
                _glue(f"finding {finding.id}", finding.statement)

    def evidently(self, rows: int = 10_000, columns: int = 12) -> None:
        """Write Evidently's drift report on a sample beside the notebook, and redraw its main table.

        Parameters
        ----------
        rows : int
            At most so many rows of each window; Evidently computes each column several times.
        columns : int
            At most so many columns, those that moved most.
        """
        from triagebook.display.sidecar import drift_report  # noqa: PLC0415

        result = drift_report(self.context, self.folder / "evidently.html", rows, columns)
        _show(result.html, result.words)

    def hypotheses(self) -> None:
        """Show all hypotheses with their evidence."""
        _show(answer_display.hypotheses(self.diagnosis), "hypotheses")

    def actions(self) -> None:
        """Show the proposed actions."""
        _show(section_display.actions(self.diagnosis), "actions")

    def escalation(self) -> None:
        """Show whom to call and what to tell them."""
        people: list[str] = []
        name = self.diagnosis.service.name
        if self.settings is not None and any(s.name == name for s in self.settings.services):
            people = self.settings.service(name).escalation
        _show(section_display.escalation(self.diagnosis, self.spec.escalate, people), "escalation")

    def similar(self) -> None:
        """Show earlier incidents of the same service with the same cause or locus."""
        _show(
            section_display.similar(self.diagnosis, _runs_folder(self.folder)), "similar incidents"
        )

    def postmortem(self) -> None:
        """Show the facts of the postmortem; the `human` cells below it ask for judgement."""
        _show(
            section_display.postmortem(self.diagnosis, {"notebook executed": iso(now_utc())}),
            "postmortem",
        )

    def ledger(self) -> None:
        """Show every pull with its status."""
        _show(section_display.ledger(self.diagnosis), "ledger")

    def provenance(self) -> None:
        """Show windows, versions and hashes."""
        _show(section_display.provenance(self.diagnosis, self.bundle.windows), "provenance")

    # --- parts -----------------------------------------------------------------------------------

    def _section(self, section_id: str) -> Section:
        """Find a section in the run's own spec, else in the generic one, else in any other.

        A runbook may serve an alert of another type: the checks are the alert's, the words its own.
        """
        specs: list[Spec] = [*TYPES, spec_for("generic"), self.spec]
        known: dict[str, Section] = {
            section.id: section for spec in specs for section in spec.sections
        }
        if section_id not in known:
            raise NotFoundError(
                f"no section is called {section_id!r}", f"there are: {', '.join(sorted(known))}"
            )
        return known[section_id]

    def _chart(self, name: str, how: str, file: str, *, alone: bool) -> str:
        """Draw a chart with how to read it; say that there is none only where nothing else is shown."""
        from triagebook.charts._style import CHARTS  # noqa: PLC0415

        try:
            drawn = CHARTS.get(name)(self.context, "wide")
            slim = CHARTS.get(name)(self.context, "narrow") if drawn is not None else None
            if drawn is None:
                return root(soft("There is nothing to draw here.")) if alone else ""
            return root(soft(text(how)) + self._picture(drawn, slim, file))
        except Exception as error:  # a chart that fails costs itself and says so
            logging.getLogger(__name__).warning("chart %s failed", name, exc_info=True)
            return root(
                soft(text(f"The chart {name} could not be drawn: {type(error).__name__}: {error}"))
            )

    def _picture(self, drawn: Drawn, slim: Drawn | None, section_id: str) -> str:
        wide = png(drawn.figure, _DPI_WIDE)
        save(wide, self.folder / "figures" / f"{section_id}.png")
        narrow = png(slim.figure, _DPI_NARROW) if slim is not None else None
        if narrow is not None:
            save(narrow, self.folder / "figures" / f"{section_id}-narrow.png")
        return picture(wide, narrow, drawn.alt)

    def _changes(self) -> list[tuple[str, str, str, str]]:
        by_time: dict[datetime, Finding] = {
            f.since: f
            for f in self.diagnosis.findings
            if f.check == "changes.before_onset" and f.since
        }
        start, end = self.bundle.windows.current
        rows = []
        for change in self.context.changes:
            if not start <= change.ts <= end:
                continue
            finding = by_time.get(change.ts)
            what = change.what + (f" {change.from_ or '?'} → {change.to}" if change.to else "")
            why = (
                finding.statement.rpartition("): ")[2]
                if finding and finding.verdict == "ok"
                else ""
            )
            why = finding.statement if finding and finding.verdict == "bad" else why
            rows.append((iso(change.ts), what, change.by or "", why))
        return rows

    def _in_words(self) -> str:
        d = self.diagnosis
        lines = [
            f"{d.service.name} · {d.incident_type} · {d.severity.level} · {d.verdict}",
            d.summary,
            *(f"{n}  {h.confidence:.2f}  {h.title}" for n, h in enumerate(d.hypotheses[:3], 1)),
        ]
        return "\n".join(lines)


def open_run(
    incident_id: str = "",
    incident_type: str = "",
    service: str = "",
    at: str = "",
    window_h: float = 0.0,
    reference_d: float = 0.0,
    budget_s: float = 0.0,
    evidence: str = "evidence",
) -> Run:
    """Open an investigation: read its evidence, or collect it once, and diagnose.

    Parameters
    ----------
    incident_id : str
        Empty for a look of one's own.
    incident_type : str
        Which spec to run; empty takes the alert's.
    service : str
        Name of a [[service]] in triagebook.toml.
    at : str
        UTC time of the trouble, ISO 8601; empty is now.
    window_h, reference_d : float
        Length of the current window in hours and of the reference in days; 0 takes the service's.
    budget_s : float
        Seconds to collect in; 0 takes the configured budget.
    evidence : str
        Folder of the bundle. Where it holds one already, that is read and nothing is asked.

    Returns
    -------
    Run
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")
    warnings.filterwarnings("ignore", category=FutureWarning)
    folder = _folder()
    request = _request(folder)
    settings, home = _settings(request, folder)
    into = folder / evidence
    if (into / "bundle.json").is_file():
        bundle = Bundle.read(into)
    else:
        if settings is None or home is None:
            raise SettingsError(
                f"no evidence in {into}, and no triagebook.toml to collect it by",
                "start the notebook in a run's folder, or set TRIAGEBOOK_HOME to the folder of triagebook.toml",
            )
        bundle = _collect(
            settings,
            home,
            request,
            into,
            incident_id=incident_id,
            incident_type=incident_type,
            service=service,
            at=at,
            window_h=window_h,
            reference_d=reference_d,
            budget_s=budget_s,
        )
    known = _known(folder, bundle, incident_type)
    if known is not None:
        # The evidence never changes: what was found in it stands.
        run = Run(bundle, known, None, folder, settings)
        run.ledger()
        return run
    diagnosis, context = diagnose(
        bundle, incident_type or None, progress=lambda q: _tell("cell", q)
    )
    mine = incident_id or (request.incident_id if request else "")
    if bundle.manifest.incident_id is None and mine:
        # Somebody else's bundle names no incident, and its folder is an attempt's only for now.
        diagnosis = diagnosis.model_copy(update={"incident_id": mine})
        context.results["diagnosis"] = diagnosis
    save(to_json(diagnosis).encode(), folder / "diagnosis.json")
    run = Run(bundle, diagnosis, context, folder, settings)
    run.ledger()
    return run


def _folder() -> Path:
    """Return the notebook's folder: the run's, where a live kernel's attempt has been published."""
    here = Path.cwd()
    return here.parents[1] if (here / ".published").is_file() else here


def _known(folder: Path, bundle: Bundle, incident_type: str) -> Diagnosis | None:
    """Return the diagnosis beside the evidence, if it answers the same question about the same."""
    try:
        known = Diagnosis.model_validate_json((folder / "diagnosis.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    same = (
        known.incident_type == (incident_type or bundle.alert.incident_type)
        and known.alert == bundle.alert
        and known.windows == bundle.windows
        and known.ledger == bundle.ledger
        and known.versions.get("triagebook") == __version__
    )
    return known if same else None


def _collect(
    settings: Settings,
    home: Home,
    request: RunRequest | None,
    into: Path,
    *,
    incident_id: str,
    incident_type: str,
    service: str,
    at: str,
    window_h: float,
    reference_d: float,
    budget_s: float,
) -> Bundle:
    name = service or (request.service if request else None) or ""
    known: ServiceSettings | None = settings.service(name) if name else None
    alert = (
        request.alert
        if request
        else Alert(
            sender="notebook",
            title="opened by hand",
            service=name or None,
            starts_at=to_utc(at) if at else now_utc(),
            incident_type=IncidentType(incident_type or "unknown"),
        )
    )
    if known is None and request is None and not at:
        raise NotFoundError(
            "open_run needs a service or an evidence folder",
            f"name one of: {', '.join(s.name for s in settings.services) or 'none is configured'}",
        )
    kind = IncidentType(incident_type) if incident_type else alert.incident_type
    alert = alert.model_copy(update={"incident_type": kind, "service": name or alert.service})
    windows = windows_for(
        alert, known, now_utc(), window_h * 3_600 or None, reference_d * 86_400 or None
    )
    return collect(
        settings,
        known,
        alert,
        windows,
        root=home.root,
        incident_id=incident_id or (request.incident_id if request else None) or "by-hand",
        into=into,
        budget_s=budget_s or None,
        alerts=request.alerts if request else (),
        # Of the service that the run is about; another that the parameters name has its own.
        feed=request.feed if request and request.service == name else None,
    )


def _request(folder: Path) -> RunRequest | None:
    path = folder / "request.json"
    return RunRequest.model_validate_json(path.read_bytes()) if path.is_file() else None


def _settings(request: RunRequest | None, folder: Path) -> tuple[Settings | None, Home | None]:
    """Find triagebook.toml: where the request says, in TRIAGEBOOK_HOME, or in a folder above."""
    places = [Path(request.home)] if request else []
    if os.environ.get("TRIAGEBOOK_HOME"):
        places.append(Path(os.environ["TRIAGEBOOK_HOME"]))
    places += [folder, *folder.parents]
    for place in places:
        if (place / "triagebook.toml").is_file():
            return load_settings(place / "triagebook.toml"), Home(place)
    return None, None


def _runs_folder(folder: Path) -> Path | None:
    if folder.parent.name == "attempts":
        return folder.parents[2]  # whatever it is called: `server.runs` may name another
    return next((place for place in (folder, *folder.parents) if place.name == "runs"), None)


def _show(html: str, words: str) -> None:
    from IPython.display import display  # noqa: PLC0415 - only a notebook has it

    display({"text/html": html, "text/plain": plain(words)}, raw=True)  # type: ignore[no-untyped-call]


def _glue(name: str, data: Any) -> None:
    """Leave a scrap that `scrapbook.read_notebook` reads: its MIME type, without importing it."""
    from IPython.display import display  # noqa: PLC0415

    kind = "json"
    scrap = {"name": name, "data": data, "encoder": kind, "version": 1}
    display(  # type: ignore[no-untyped-call]
        {f"application/scrapbook.scrap.{kind}+json": json.loads(json.dumps(scrap))},
        metadata={"scrapbook": {"name": name, "data": True, "display": False}},
        raw=True,
    )


def _tell(event: str, message: str) -> None:
    """Add a line to progress.jsonl, where a run keeps one: what the page shows while cells run."""
    path = Path.cwd() / "progress.jsonl"
    if not path.is_file():
        return
    line = Progress(ts=now_utc(), event="answer" if event == "answer" else "cell", message=message)
    with path.open("a", encoding="utf-8") as out:
        out.write(line.model_dump_json() + "\n")
