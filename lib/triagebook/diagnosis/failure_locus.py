"""Where a failed task's fault enters: the task, the host, the system, the table, the key or the model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from triagebook.analysis.failures import endpoint_of, key_of, name_in
from triagebook.diagnosis.catalogue import cause as cause_of
from triagebook.diagnosis.checks.hosts import setting_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from triagebook.core.models import Change, TaskRun
    from triagebook.diagnosis.context import Context


def _version_of(ctx: Context, text: str, changes: Sequence[Change]) -> tuple[str, str]:
    model = ctx.bundle.service.model
    name = (model.name if model else None) or "model"
    told = re.search(rf"{re.escape(name)}[/:@ ]+(?:version[ =:]*)?(v?\d[\w.\-]*)", text)
    if told:
        return name, told.group(1).rstrip(".")
    for change in changes:
        ours = change.kind == "model" or (
            change.kind == "deploy" and name.lower() in change.what.lower()
        )
        if ours and change.to:
            return name, change.to
    for change in changes:
        if change.kind == "deploy" and change.to:
            return name, change.to
    found = re.search(
        rf"{re.escape(name)}[/:@ ]+(?:version[ =:]*)?(v?\d[\w.\-]*)", text
    ) or re.search(r"\bversion[ =:'\"]+(v?\d[\w.\-]*)", text)
    return name, found.group(1) if found else (model.version if model else None) or "unknown"


def locus_of(
    ctx: Context, cause: str, run: TaskRun | None, text: str, changes: Sequence[Change]
) -> str:
    """Name where a failure enters: the task, the host, the system, the table, the key or the model."""
    kind = cause_of(cause).locus
    task = run.task if run is not None else ""
    if kind == "task":
        return f"task:{run.pipeline}.{task}" if run is not None else "task:unknown"
    if kind == "host":
        hosts = ctx.bundle.service.hosts
        said = name_in(text, ctx.names.hosts)
        return f"host:{said or hosts.get(task) or hosts.get(run.pipeline if run else '') or _only(hosts.values()) or 'unknown'}"
    if kind == "dependency":
        return f"dependency:{_dependency(ctx, text, task)}"
    if kind == "table":
        return f"table:{table_of(ctx, cause, text, task)}"
    if kind == "model":
        name, version = _version_of(ctx, text, changes)
        return f"model:{name}/{version}"
    # A key that was just changed and that the text names is it, in the change's own spelling.
    for change in changes:
        if change.kind in ("config", "flag", "infra"):
            whole = setting_of(change.what)
            tail = re.split(r"[.:/]", whole)[-1]
            if len(tail) >= 3 and re.search(
                rf"(?<!\w){re.escape(tail)}(?!\w)", text, re.IGNORECASE
            ):
                return f"config:{whole}"
    key = key_of(text)
    for change in changes:
        if change.kind in ("config", "flag", "infra") and (
            key is None or key.lower() in change.what.lower()
        ):
            key = key or setting_of(change.what)
    return f"config:{key or 'unknown'}"


def _only(values: Iterable[str]) -> str | None:
    found = set(values)
    return next(iter(found)) if len(found) == 1 else None


def _dependency(ctx: Context, text: str, task: str) -> str:
    known = (ctx.names.dependencies | ctx.names.components) - {ctx.bundle.service.name}
    named = name_in(text, known)
    if named:
        return named
    host = endpoint_of(text)
    if host:
        inside = [n for n in known if n.lower() in host.lower()] or [
            n for n in known if host.lower().split(".")[0] in n.lower()
        ]
        return (
            max(inside, key=len)
            if inside
            else host.split(".")[0]
            if not re.fullmatch(r"[\d.]+", host)
            else host
        )
    called = {e.to for e in ctx.bundle.topology or [] if e.from_ == task and e.kind == "calls"}
    return _only(called) or _only(ctx.names.dependencies) or "unknown"


def table_of(ctx: Context, cause: str, text: str, task: str) -> str:
    """Name the table that a text is about: by its name, else by what feeds the task, else by a path."""
    made: set[str] = set()
    for schedule in ctx.bundle.service.schedules:
        one = schedule.produces or []
        made |= {one} if isinstance(one, str) else set(one)
    service = ctx.bundle.service.tables or []
    fed = {e.from_ for e in ctx.bundle.topology or [] if e.to == task and e.kind == "feeds"}
    out = {e.to for e in ctx.bundle.topology or [] if e.from_ == task and e.kind == "feeds"}
    known = set(ctx.tables) | made | set(service) | fed | out
    known -= ctx.names.tasks
    named = name_in(text, known)
    if named:
        return named
    sides = fed - ctx.names.tasks
    if cause == "pipeline.contract_rejected" and not sides:
        sides = out - ctx.names.tasks
    if len(sides) == 1:
        return next(iter(sides))
    # A path or a quoted name in the text, else what is upstream.
    found = re.search(
        r"(?:table|partition|dataset|input|view|relation)s? ['\"`]?([A-Za-z_][\w.\-]*)", text
    )
    path = re.search(
        r"(?:s3|gs|abfss?|hdfs|file|dbfs)?:?/{1,3}[\w.\-/]+/([A-Za-z_][\w\-]*)(?:/[\w\-]+=|/\d|\.parquet|\.csv|/)",
        text,
    )
    return (found or path).group(1) if (found or path) else min(sides, default="unknown")  # type: ignore[union-attr]
