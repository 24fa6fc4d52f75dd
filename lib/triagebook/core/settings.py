"""triagebook.toml: its shape, and errors that name file, line and the nearest right name."""

from __future__ import annotations

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path  # noqa: TC003 - pydantic reads it at run time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from triagebook.core.errors import NotFoundError, SettingsError
from triagebook.core.maintenance import MaintenanceSettings
from triagebook.core.models import Edge, IncidentType, ModelInfo, Schedule, Service, TableSpec
from triagebook.core.server_settings import Part, RetentionSettings, SecretRef, ServerSettings
from triagebook.core.times import Seconds, Utc

__all__ = [
    "CorrelationSettings",
    "IntakeSettings",
    "LabSettings",
    "PullSettings",
    "ReconcileSettings",
    "RefreshSettings",
    "RetentionSettings",
    "RouteSettings",
    "SecretRef",
    "ServerSettings",
    "ServiceSettings",
    "Settings",
    "SourceSettings",
    "TablePull",
    "line_of",
    "load_settings",
]


class IntakeSettings(Part):
    """How one alert sender proves who it is. Nothing: the sender is refused outside loopback."""

    token: SecretRef | None = Field(default=None, description="bearer token, or that of `header`")
    header: str | None = Field(default=None, description="where the token is, if not Authorization")
    user: str | None = Field(default=None, description="basic auth user")
    password: SecretRef | None = Field(default=None, description="basic auth password")
    secret: SecretRef | None = Field(default=None, description="key of the sender's HMAC signature")
    signature_header: str | None = Field(default=None, description="where the signature is")
    timestamp_header: str | None = Field(default=None, description="a time that is signed as well")
    max_age: Seconds = Field(default=300.0, gt=0, description="how old it may be, seconds")
    topics: list[str] = Field(default_factory=list, description="ARNs that may speak (cloudwatch)")
    mapping: dict[str, str] = Field(default_factory=dict, description="paths in the body (generic)")
    resolved_when: list[str] = Field(
        default_factory=list, description="words of the status that mean that it is over (generic)"
    )

    @property
    def proves_nothing(self) -> bool:
        """Whether nothing is configured by which the sender could prove who it is."""
        secrets = (self.token, self.user, self.password, self.secret)
        return not self.topics and all(part is None for part in secrets)


class ReconcileSettings(Part):
    """Whom to ask what fires now, so that no alert is missed and none stays open for ever."""

    alertmanager: str | None = Field(default=None, description="Alertmanager's address")
    prometheus: str | None = Field(default=None, description="Prometheus' address")
    token: SecretRef | None = Field(default=None, description="bearer token for both")
    receiver: str | None = Field(default=None, description="only alerts routed to this receiver")
    every: Seconds = Field(default=180.0, ge=1, description="seconds between rounds")
    watchdog: str | None = Field(default=None, description="name of the alert that always fires")
    watchdog_within: Seconds = Field(
        default=900.0, ge=1, description="without it for so many seconds the alerting is silent"
    )

    @field_validator("alertmanager", "prometheus")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"https?://[^/\s]+", value):
            message = "expected an address such as http://127.0.0.1:9093"
            raise ValueError(message)
        return value.rstrip("/") if value is not None else None

    def is_watchdog(self, labels: dict[str, str]) -> bool:
        """Whether an alert is the one that always fires."""
        return self.watchdog is not None and labels.get("alertname") == self.watchdog


class LabSettings(Part):
    """JupyterLab beside the service: the kernels of runs stay, to go on in."""

    enabled: bool = Field(default=False, description="as `triagebook serve --lab`")
    url: str | None = Field(default=None, description="a Jupyter server of your own, on this host")
    token: SecretRef | None = Field(default=None, description="its token, with `url`")
    connections: Path | None = Field(
        default=None, description="its `jupyter --runtime-dir`, with `url`"
    )
    root: Path | None = Field(default=None, description="its root folder, with `url`")
    kernels: int = Field(default=4, ge=1, description="at most so many live kernels")
    memory: int = Field(default=4_096, ge=256, description="MiB all live kernels may use together")
    idle: Seconds = Field(
        default=14_400.0, ge=60, description="an unused kernel is ended after, seconds"
    )


class CorrelationSettings(Part):
    """Which alerts become one incident."""

    window: Seconds = Field(
        default=600.0,
        ge=0,
        description="an alert joins an incident whose last alert is no older, seconds; 0: never",
    )
    topology: bool = Field(
        default=True, description="also where its service is one step away in the topology"
    )


class RefreshSettings(Part):
    """When an incident's notebook is executed again."""

    after_join: Seconds = Field(
        default=30.0, ge=0, description="seconds after the last alert that joined or ended"
    )
    on_resolve: bool = Field(default=True, description="once more when the incident is over")
    every: Seconds = Field(
        default=1_800.0, ge=0, description="seconds between runs while it goes on; 0: never"
    )
    at_most: int = Field(
        default=24, ge=0, description="so many runs by `every` for one incident, no more"
    )


class SourceSettings(Part):
    """A system that evidence comes from; `type` picks the plug-in, the rest is the plug-in's own."""

    model_config = ConfigDict(extra="allow")

    type: str


class PullSettings(Part):
    """One pull of a service: which source, and what to ask (the source's own keys)."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    source: str = Field(default="files", description="a name in [sources.*], or a source type")
    budget: Seconds | None = Field(default=None, description="seconds this pull may take")


class TablePull(PullSettings, TableSpec):
    """A pull of a table: also what is known of the table."""


class ServiceSettings(Part):
    """A service: the thing watched."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="as in alert labels and addresses"
    )
    kind: Literal["model", "pipeline"] | None = Field(
        default=None, description="`model` or `pipeline`"
    )
    entrypoint: str | None = Field(
        default=None, description="node of the topology where requests come in"
    )
    description: str | None = Field(default=None, description="one sentence for people")
    criticality: Literal["low", "medium", "high"] = Field(
        default="medium", description="`low`, `medium` or `high`: part of the severity"
    )
    owners: list[str] = Field(default_factory=list, description="teams or people")
    escalation: list[str] = Field(default_factory=list, description="who to call, in order")
    price: float | None = Field(default=None, ge=0, description="cost of one wrong prediction")
    currency: str | None = Field(default=None, description="of the price, such as EUR")
    model: ModelInfo | None = Field(
        default=None,
        description="`name`, `version`, `task`, and the registry's `alias` that it is loaded by",
    )
    tasks: list[str] = Field(default_factory=list, description="PIPELINE.TASK, upstream first")
    dependencies: list[str] = Field(
        default_factory=list, description="systems it calls or is fed by"
    )
    hosts: dict[str, str] = Field(default_factory=dict, description="task or service to host")
    schedules: list[Schedule] = Field(
        default_factory=list, description="`pipeline`, `task`, `every`, `produces`"
    )
    importance: dict[str, float] = Field(
        default_factory=dict, description="feature to its share of the output; else estimated"
    )
    window: Seconds = Field(default=172_800.0, gt=0, description="length of the current window")
    reference: Seconds = Field(default=2_419_200.0, gt=0, description="length of the reference")
    replayed_to: Utc | None = Field(
        default=None,
        description="the data is a replay that stands at this moment; windows end here, "
        "whatever the alert's clock says",
    )
    metrics: list[PullSettings] = Field(default_factory=list, description="[[service.metrics]]")
    logs: list[PullSettings] = Field(default_factory=list, description="[[service.logs]]")
    tables: dict[str, TablePull] = Field(default_factory=dict, description="[service.tables.NAME]")
    changes: list[PullSettings] = Field(default_factory=list, description="[[service.changes]]")
    pipeline: list[PullSettings] = Field(
        default_factory=list, description="[[service.pipeline]]: task runs"
    )
    topology: list[Edge] = Field(default_factory=list, description="[[service.topology]]")

    def as_evidence(self) -> Service:
        """Return what a bundle says of the service."""
        return Service(
            name=self.name,
            kind=self.kind,
            entrypoint=self.entrypoint,
            model=self.model,
            tables=list(self.tables) or None,
            tasks=self.tasks or None,
            dependencies=self.dependencies or None,
            hosts=self.hosts,
            schedules=self.schedules,
            importance=self.importance,
            price=self.price,
            criticality=self.criticality,
        )


class RouteSettings(Part):
    """Alert labels to incident type, service and parameters; the first route that matches wins."""

    match: dict[str, str] = Field(description="label: value, or a regular expression in full")
    incident_type: IncidentType | None = Field(default=None, description="instead of the label's")
    service: str | None = Field(default=None, description="a [[service]]'s name")
    parameters: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="for the runbook; only names it declares are passed"
    )

    @field_validator("match")
    @classmethod
    def _patterns_compile(cls, value: dict[str, str]) -> dict[str, str]:
        # Found here, it names a line of the file; found at the first alert, it would cost that alert.
        for name, pattern in value.items():
            try:
                re.compile(pattern)
            except re.error as error:
                message = (
                    f"{name} = {pattern!r} is no regular expression ({error}); "
                    f"to match it as it stands write {re.escape(pattern)!r}"
                )
                raise ValueError(message) from error
        return value

    @property
    def matches_all(self) -> bool:
        """Whether it is for whatever no other route took, so that its service is a stopgap."""
        return all(pattern in {".*", ".+"} for pattern in self.match.values())

    def matches(self, labels: dict[str, str]) -> bool:
        """Tell whether every named label is there and is the value, or matches it in full."""
        return all(
            name in labels
            and (labels[name] == pattern or re.fullmatch(pattern, labels[name]) is not None)
            for name, pattern in self.match.items()
        )


class Settings(BaseSettings):
    """The whole of triagebook.toml. TRIAGEBOOK_SERVER__PORT and the like override it."""

    model_config = SettingsConfigDict(
        env_prefix="TRIAGEBOOK_", env_nested_delimiter="__", extra="forbid", populate_by_name=True
    )

    server: ServerSettings = Field(default_factory=ServerSettings)
    intake: dict[str, IntakeSettings] = Field(default_factory=dict)
    reconcile: ReconcileSettings = Field(default_factory=ReconcileSettings)
    lab: LabSettings = Field(default_factory=LabSettings)
    correlation: CorrelationSettings = Field(default_factory=CorrelationSettings)
    refresh: RefreshSettings = Field(default_factory=RefreshSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    sources: dict[str, SourceSettings] = Field(default_factory=dict)
    services: list[ServiceSettings] = Field(default_factory=list, alias="service")
    routes: list[RouteSettings] = Field(default_factory=list, alias="route")
    maintenance: list[MaintenanceSettings] = Field(default_factory=list)
    budget: Seconds = Field(
        default=10.0, gt=0, description="seconds to collect evidence in, in all"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override the file, whose content arrives as init arguments."""
        return env_settings, init_settings

    def service(self, name: str) -> ServiceSettings:
        """Return a service; NotFoundError naming the nearest where there is none."""
        for service in self.services:
            if service.name == name:
                return service
        names = [service.name for service in self.services]
        near = get_close_matches(name, names, n=1)
        raise NotFoundError(
            f"no service {name!r} in triagebook.toml; there are: {', '.join(names) or 'none'}",
            f"did you mean {near[0]!r}?" if near else "add a [[service]] with that name",
        )


def load_settings(path: Path) -> Settings:
    """Read triagebook.toml.

    Raises
    ------
    SettingsError
        No file, no TOML, or a wrong key or value: with file, line, what was expected, and the
        nearest right name.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingsError(
            f"no {path.name} in {path.parent}",
            "name the folder with --home, or write one: triagebook init --demo DIR",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no TOML: {error}") from error
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise SettingsError(_explain(path, text, error)) from error
    for part in ("service", "route"):
        names = [s.name for s in settings.services] if part == "service" else []
        double = {name for name in names if names.count(name) > 1}
        if double:
            raise SettingsError(f"{path}: two services are called {', '.join(sorted(double))}")
    return settings


# Told mistakes are printed and logged; what a URL's password is must not be.
_PASSWORD = re.compile(r"(://[^:/@\s]*:)\S*@")


def _explain(path: Path, text: str, error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        where = [part for part in problem["loc"] if part != "function-before"]
        number = line_of(text, where)
        place = f"{path}:{number}" if number else str(path)
        dotted = ".".join(str(part) for part in where)
        if problem["type"] == "extra_forbidden":
            near = get_close_matches(str(where[-1]), _known_keys(where[:-1]), n=1, cutoff=0.5)
            tail = f"; did you mean {near[0]!r}?" if near else ""
            lines.append(f"{place}: unknown key {dotted!r}{tail}")
        elif problem["type"] == "missing":
            lines.append(f"{place}: {dotted!r} is missing")
        else:
            got = _PASSWORD.sub(r"\1***@", repr(problem["input"]))
            got = got if len(got) <= 60 else got[:57] + "…"
            lines.append(f"{place}: {dotted}: {problem['msg']} (got {got})")
    return "\n".join(lines)


def _known_keys(where: list[Any]) -> list[str]:
    """List the keys allowed at a place in the file, by walking the models."""
    model: Any = Settings
    for part in where:
        if isinstance(part, int):
            continue
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
            if field is None:
                return []
            model = _model_in(field.annotation)
        # A key of a map ([sources.NAME], [service.tables.NAME]) leaves the model as it is.
    if isinstance(model, type) and issubclass(model, BaseModel):
        return [field.alias or name for name, field in model.model_fields.items()]
    return []


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def line_of(text: str, where: list[Any]) -> int | None:
    """Find the line of a key in TOML text; the nearest enclosing table where the key is not there."""
    path: list[Any] = []
    counts: dict[str, int] = {}
    best: tuple[int, int] | None = None
    header = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?")
    key = re.compile(r"""^\s*([A-Za-z0-9_\-."']+)\s*=""")
    for number, line in enumerate(text.splitlines(), 1):
        found = header.match(line)
        if found:
            path = _expand(found[2], counts, opens=found[1] == "[[")
            here = path
        else:
            named = key.match(line)
            if named is None:
                continue
            here = [*path, *(part.strip("\"'") for part in named[1].split("."))]
        depth = len(here)
        if here == where[:depth] and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best else None


def _expand(name: str, counts: dict[str, int], *, opens: bool) -> list[Any]:
    """Turn a header such as `service.tables.flights` into the path pydantic reports, with indices."""
    parts = [part.strip().strip("\"'") for part in name.split(".")]
    path: list[Any] = []
    for position, part in enumerate(parts):
        path.append(part)
        full = "/".join(str(p) for p in path)
        if opens and position == len(parts) - 1:
            counts[full] = counts.get(full, -1) + 1
            path.append(counts[full])
        elif full in counts:
            path.append(counts[full])
    return path
