"""Find the plug-in of a pull and give it its settings; a wrong key names the nearest right one."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from triagebook.core.errors import SettingsError
from triagebook.sources.kinds import REGISTRIES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from triagebook.core.settings import PullSettings, ServiceSettings, Settings
    from triagebook.sources.base import OwnSettings, Source

KINDS = tuple(REGISTRIES)


@dataclass(frozen=True)
class Configured:
    """A pull as triagebook.toml has it.

    Parameters
    ----------
    kind : str
        metrics, logs, tables, changes or pipeline.
    label : str
        As the ledger calls it: `tables:flights`, `metrics:files`, `metrics:files-2`.
    pull : PullSettings
        What it asks.
    place : tuple
        Where it stands in its service: ("tables", "flights") or ("metrics", 0).
    """

    kind: str
    label: str
    pull: PullSettings
    place: tuple[str | int, ...]


@dataclass(frozen=True)
class WrongKey:
    """What is wrong with the keys of a pull; `key` is None where it is the pull as a whole."""

    key: str | None
    message: str
    from_source: bool = False


def configured(service: ServiceSettings) -> Iterator[Configured]:
    """Yield the pulls of a service in the order of the ledger."""
    for kind in KINDS:
        if kind == "tables":
            for name, pull in service.tables.items():
                yield Configured(kind, f"tables:{name}", pull, ("tables", name))
            continue
        taken: set[str] = set()
        for number, one in enumerate(getattr(service, kind)):
            label = f"{kind}:{one.source}"
            again = 2
            while label in taken:
                label = f"{kind}:{one.source}-{again}"
                again += 1
            taken.add(label)
            yield Configured(kind, label, one, (kind, number))


def plugin_of(settings: Settings, one: Configured) -> tuple[type[Source], dict[str, Any]]:
    """Return the plug-in of a pull, and its keys: those of [sources.NAME] under those of the pull.

    Raises
    ------
    RegistryError
        No such plug-in, naming the known ones.
    SettingsError
        The pull names a source that is neither in [sources] nor a plug-in.
    """
    registry = REGISTRIES[one.kind]
    own = dict(one.pull.model_extra or {})
    named = settings.sources.get(one.pull.source)
    if named is not None:
        return registry.get(named.type), {**(named.model_extra or {}), **own}
    if one.pull.source not in registry:
        known = sorted({*settings.sources, *registry.names()})
        near = get_close_matches(one.pull.source, known, n=1)
        raise SettingsError(
            f"{one.label}: no source is called {one.pull.source!r}; known: {', '.join(known)}",
            f"did you mean {near[0]!r}?" if near else "add a [sources.NAME] with that name",
        )
    return registry.get(one.pull.source), own


def own_settings(
    settings: Settings, one: Configured
) -> tuple[type[Source], OwnSettings | None, list[WrongKey]]:
    """Return the plug-in of a pull with its settings, or what is wrong with the keys."""
    plugin, keys = plugin_of(settings, one)
    try:
        return plugin, plugin.Settings.model_validate(keys), []
    except ValidationError as error:
        own = one.pull.model_extra or {}
        wrong = []
        for problem in error.errors(include_url=False):
            key = str(problem["loc"][0]) if problem["loc"] else None
            text = _message(plugin.Settings, problem, key, one)
            wrong.append(WrongKey(key, text, from_source=key in keys and key not in own))
        return plugin, None, wrong


def _message(model: type[OwnSettings], problem: Any, key: str | None, one: Configured) -> str:
    known = [field.alias or name for name, field in model.model_fields.items()]
    every = [*known, *type(one.pull).model_fields]
    if problem["type"] == "extra_forbidden" and key is not None:
        near = get_close_matches(key, every, n=1, cutoff=0.5)
        tail = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
        return f"{one.label}: unknown key {key!r}{tail}"
    if problem["type"] == "missing":
        return f"{one.label}: {key!r} is missing"
    got = repr(problem["input"])
    return f"{one.label}: {key}: {problem['msg']} (got {got[:60]})"


def build(settings: Settings, one: Configured, root: Path) -> Source:
    """Return the source of a pull, ready to be asked.

    Raises
    ------
    SettingsError
        A wrong key or value.
    RegistryError
        No such plug-in.
    """
    plugin, own, wrong = own_settings(settings, one)
    if wrong:
        raise SettingsError(
            "; ".join(problem.message for problem in wrong),
            "correct triagebook.toml; `triagebook doctor` names the line",
        )
    return plugin(own, root)
