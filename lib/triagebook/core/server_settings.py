"""The part [server] of triagebook.toml, and what parts of it are made of."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from triagebook.core.errors import SettingsError
from triagebook.core.times import Seconds


class Part(BaseModel):
    """A table of the file: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, protected_namespaces=())


class SecretRef(Part):
    """A secret, by the name of an environment variable or a file; never written out."""

    env: str | None = None
    file: Path | None = None

    def value(self, root: Path) -> str:
        """Return the secret; SettingsError where it is not to be had."""
        if self.env is not None:
            found = os.environ.get(self.env)
            if found:
                return found
            raise SettingsError(
                f"the environment variable {self.env} is empty", f"export {self.env}=…"
            )
        if self.file is not None:
            path = root / self.file
            try:
                return path.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SettingsError(f"the secret file {path} cannot be read: {error}") from error
        raise SettingsError("a secret names neither `env` nor `file`")


class ServerSettings(Part):
    """Where the service listens, what it shares with others, and how much it does at once."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8642, ge=0, le=65_535, description="0 takes a free one")
    public_url: str | None = Field(default=None, description="base of links in messages")
    max_body_bytes: int = Field(default=1_048_576, ge=1_024, description="larger deliveries: 413")
    concurrency: int = Field(
        default=2, ge=0, le=64, description="notebooks executed at once; 0: workers do it all"
    )
    runs_per_minute: float | None = Field(
        default=None, gt=0, le=600, description="runs started a minute, evenly; critical ones too"
    )
    deadline: Seconds = Field(default=300.0, ge=5, description="a run is ended after this, seconds")
    warm: int = Field(
        default=2, ge=0, le=64, description="runs kept ready, their imports done (Linux); 0: none"
    )
    memory: int | None = Field(
        default=None,
        ge=256,
        description="MiB a run's kernel may use; by default the machine's / (concurrency + 1)",
    )
    notebooks: Path | None = Field(default=None, description="a team's own runbooks, tried first")
    database: str | SecretRef | None = Field(
        default=None,
        description="`postgresql://USER@HOST/NAME` without a password, or a secret that is the "
        "whole URL; by default SQLite files in the home, for one process",
    )
    runs: Path | None = Field(
        default=None, description="where runs lie, for several hosts a shared folder; else `runs`"
    )
    worker_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="this process among those on one Postgres; by default from host and home",
    )

    @field_validator("database")
    @classmethod
    def _no_password(cls, value: str | SecretRef | None) -> str | SecretRef | None:
        if isinstance(value, str):
            if urlsplit(value).password:
                # Its words must not repeat the value: they are printed, and logged.
                message = (
                    "a password is never written here: leave it out and set PGPASSWORD or "
                    'PGPASSFILE, or name the whole URL: database = { env = "DATABASE_URL" }'
                )
                raise ValueError(message)
            _postgres(value)
        return value

    def database_url(self, root: Path) -> str | None:
        """Return the URL of the shared database, for SQLAlchemy with psycopg; None for SQLite.

        Raises
        ------
        SettingsError
            It is a secret that cannot be had, or is no Postgres URL.
        """
        if self.database is None or isinstance(self.database, str):
            return None if self.database is None else _postgres(self.database)
        try:
            return _postgres(self.database.value(root))
        except ValueError as error:
            raise SettingsError(f"the secret server.database: {error}") from error


class RetentionSettings(Part):
    """How long incidents stay at hand; nothing is ever thrown away."""

    archive_after: Seconds | None = Field(
        default=None,
        ge=86_400,
        description="an incident that is over is archived so long after its last change, seconds "
        "or such as `365d`; by default never",
    )
    archive: Path = Field(
        default=Path("archive"), description="folder of the archives, from the home"
    )


def _postgres(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme not in {"postgres", "postgresql", "postgresql+psycopg"} or not rest:
        message = "expected an address such as postgresql://triagebook@db.example.com/triagebook"
        raise ValueError(message)
    return f"postgresql+psycopg://{rest}"
