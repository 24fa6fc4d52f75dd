"""What every source that asks over HTTP takes: the address, the proof, the limits."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 - pydantic reads it at run time

from pydantic import Field, field_validator

from triagebook.core.server_settings import SecretRef  # noqa: TC001 - pydantic reads it
from triagebook.sources.base import OwnSettings


class HttpSettings(OwnSettings):
    """A server, and what it is asked with. Secrets are named, never written."""

    url: str = Field(description="base address, such as http://prometheus:9090")
    token: SecretRef | None = Field(default=None, description="bearer token")
    user: str | None = Field(default=None, description="basic auth user")
    password: SecretRef | None = Field(default=None, description="basic auth password")
    headers: dict[str, str] = Field(default_factory=dict, description="further headers, no secrets")
    secret_headers: dict[str, SecretRef] = Field(
        default_factory=dict, description="headers whose values are secrets"
    )
    tenant: str | None = Field(default=None, description="X-Scope-OrgID (Mimir, Loki, Thanos)")
    ca: Path | None = Field(default=None, description="PEM file of your own authority")
    connections: int = Field(
        default=4, ge=1, le=64, description="questions at once, of all runs on this host"
    )
    most_mb: float = Field(default=64.0, gt=0, description="largest answer read, MB unpacked")

    @field_validator("url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        parsed = re.fullmatch(r"(https?)://([^/\s?#]+)([^\s?#]*)", value)
        if parsed is None:
            message = "expected an address such as http://127.0.0.1:9090"
            raise ValueError(message)
        if "@" in parsed[2]:
            message = "user and password do not belong into the address: use `user` and `password`"
            raise ValueError(message)
        return value.rstrip("/")
