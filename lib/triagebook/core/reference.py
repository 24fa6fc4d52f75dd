"""Write the reference of triagebook.toml from the settings' own models: `python -m triagebook.core.reference`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.core import maintenance, settings

if TYPE_CHECKING:
    from pydantic import BaseModel

_HEAD = """# Configuration: triagebook.toml

Read from the home folder (`--home`, else the current one). An unknown key or a wrong value is an error
with file, line and the nearest right name. `TRIAGEBOOK_SERVER__PORT=9000` and the like override it.
Durations are `90s`, `10m`, `48h`, `56d`, or seconds. Paths are relative to the home. Secrets are named,
never written: `{ env = "NAME" }` or `{ file = "PATH" }`.

This page is written by `python -m triagebook.core.reference > docs/configuration.md`.
"""
_TAIL = """
## [[service.metrics]], [[service.logs]], [[service.changes]], [[service.pipeline]]

`source` names an entry of `[sources.*]` or a source type; `budget` is the seconds this pull may take. What else
stands there is the source's own: [sources](sources.md), [every key](source-keys.md). A wrong key here is found by
`triagebook doctor` and when `serve` starts.

## [[service.topology]]

`from`, `to`, and `kind`: `calls`, `feeds` or `serves`. A change counts as a possible cause only if what it
changed lies upstream by these arrows, by the task graph, or by a schedule's `produces`.

## [sources.NAME]

`type` picks the source type; the other keys are defaults for the pulls that name it.
"""
_PARTS: tuple[tuple[str, type[BaseModel], str, tuple[str, ...]], ...] = (
    (
        "top level",
        settings.Settings,
        "",
        (
            "server",
            "intake",
            "reconcile",
            "correlation",
            "refresh",
            "lab",
            "retention",
            "sources",
            "service",
            "route",
            "maintenance",
        ),
    ),
    ("[server]", settings.ServerSettings, "Where the service listens, and how much it does.", ()),
    (
        "[intake.SENDER]",
        settings.IntakeSettings,
        "How a sender proves who it is. Without any of these it is let in on loopback only.",
        (),
    ),
    (
        "[reconcile]",
        settings.ReconcileSettings,
        "Whom to ask what fires now; without `alertmanager` and `watchdog` nobody.",
        (),
    ),
    (
        "[retention]",
        settings.RetentionSettings,
        "What is over for long: [incidents that are archived](incidents.md#archive).",
        (),
    ),
    (
        "[lab]",
        settings.LabSettings,
        "JupyterLab beside the service: [how a notebook is executed](running.md).",
        (),
    ),
    (
        "[correlation]",
        settings.CorrelationSettings,
        "Which alerts become one incident: [incidents](incidents.md).",
        (),
    ),
    (
        "[refresh]",
        settings.RefreshSettings,
        "When an incident's notebook is executed again; what is published stays until then.",
        (),
    ),
    ("[[service]]", settings.ServiceSettings, "The thing watched.", ()),
    (
        "[service.tables.NAME]",
        settings.TablePull,
        "A table. `path`, `format`, `columns`, `row_limit` and `seed` are the source's own.",
        (),
    ),
    (
        "[[route]]",
        settings.RouteSettings,
        "From alert labels to incident type, service and parameters; the first that matches wins.",
        (),
    ),
    (
        "[[maintenance]]",
        maintenance.MaintenanceSettings,
        "Alerts in it are kept and shown; nothing is run before its end ([under load](under-load.md)).",
        (),
    ),
)


def reference() -> str:
    """Return the page as Markdown."""
    out = [_HEAD]
    for heading, model, text, left_out in _PARTS:
        out.append(f"\n## {heading}\n")
        if text:
            out.append(f"{text}\n")
        out.append("| key | default | |\n|---|---|---|")
        for name, field in model.model_fields.items():
            key = field.alias or name
            if key in left_out:
                continue
            plain = not field.is_required() and field.default_factory is None
            default = (
                f"`{field.default!r}`".replace("'", '"')
                if plain and field.default is not None
                else ""
            )
            default = "required" if field.is_required() else default
            default = "`false`" if field.default is False else default
            out.append(f"| `{key}` | {default} | {field.description or ''} |")
        out.append("")
    return "\n".join(out) + _TAIL


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201 - its output is the page
