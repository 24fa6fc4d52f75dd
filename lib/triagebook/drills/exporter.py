"""Expose a world's drift monitor at /metrics, as of any moment of the replay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Self

import pandas as pd
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from triagebook.core.errors import NotFoundError
from triagebook.core.times import iso
from triagebook.drills.worlds.flight_delay import World

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from threading import Thread
    from types import TracebackType
    from wsgiref.simple_server import WSGIServer

_EXPOSED = {
    "model_feature_psi": "Population stability index of an input over six hours, against eight weeks.",
    "model_predicted_positive_share": "Share of late decisions over six hours.",
    "batch_rows": "Flights in the latest batch.",
}


class FlightDelayExporter:
    """A Prometheus target on 127.0.0.1 that shows what the monitor last saw.

    Parameters
    ----------
    world : World or Path
        The world, or the home folder that it was built in.
    port : int
        0 takes a free one; `port` and `url` tell which.

    Examples
    --------
    >>> with FlightDelayExporter(world) as exporter:      # doctest: +SKIP
    ...     exporter.stand_at(exporter.world.at)          # faulty: where the replay stands
    ...     httpx.get(exporter.url)
    """

    def __init__(self, world: World | Path, *, port: int = 0) -> None:
        self.world = world if isinstance(world, World) else World.read(world)
        self._wanted_port = port
        self._registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}
        self._samples = self._read()
        for name, text in _EXPOSED.items():
            labels = ["service", "feature"] if name == "model_feature_psi" else ["service"]
            self._gauges[name] = Gauge(name, text, labels, registry=self._registry)
        self._server: WSGIServer | None = None
        self._thread: Thread | None = None
        self.stand_at(self.world.at)

    def _read(self) -> pd.DataFrame:
        path = self.world.data / "metrics.parquet"
        try:
            return pd.read_parquet(path, filters=[("name", "in", list(_EXPOSED))])
        except FileNotFoundError as error:
            raise NotFoundError(
                f"the world has no {path}", "build it again: triagebook init --demo DIR"
            ) from error

    def stand_at(self, moment: datetime) -> None:
        """Show each series' last value at a moment of the replay; may be called while serving.

        Before `Truth.onset` all is well; at `World.at` the fault shows.

        Raises
        ------
        NotFoundError
            The replay has no batch up to that moment.
        """
        past = self._samples[self._samples["ts"] <= moment]
        if past.empty:
            first = self._samples["ts"].min().to_pydatetime()
            raise NotFoundError(
                f"the replay has no batch up to {iso(moment)}", f"its first is of {iso(first)}"
            )
        latest = past.groupby(["name", "labels"], sort=False).tail(1)
        for name, text, value in zip(
            latest["name"], latest["labels"], latest["value"], strict=True
        ):
            self._gauges[name].labels(**json.loads(text)).set(value)

    def start(self) -> Self:
        """Listen; a second call does nothing."""
        if self._server is None:
            self._server, self._thread = start_http_server(
                self._wanted_port, addr="127.0.0.1", registry=self._registry
            )
        return self

    def stop(self) -> None:
        """Stop listening and free the port; a second call does nothing."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
        self._server = self._thread = None

    @property
    def port(self) -> int:
        """The port it listens on.

        Raises
        ------
        NotFoundError
            It was not started.
        """
        if self._server is None:
            raise NotFoundError("the exporter does not listen", "call start(), or use it in `with`")
        return int(self._server.server_port)

    @property
    def url(self) -> str:
        """Where to scrape."""
        return f"http://127.0.0.1:{self.port}/metrics"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
