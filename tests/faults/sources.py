"""Every source that asks over HTTP, with a stand-in of its server and what a pull of it names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults import apis

if TYPE_CHECKING:
    from tests.faults.server import Api


@dataclass(frozen=True)
class Asking:
    """A source under test.

    Attributes
    ----------
    api : callable
        What a healthy server answers; see `server.faulty`.
    keys : dict
        Of its pull, beside `url` and the token.
    """

    api: Api
    keys: dict[str, Any] = field(default_factory=dict)


HTTP_SOURCES: dict[tuple[str, str], Asking] = {
    ("metrics", "prometheus"): Asking(apis.prometheus, {"names": ["http_requests_total"]}),
}
