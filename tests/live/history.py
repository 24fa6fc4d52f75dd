"""A real Prometheus, or a real VictoriaMetrics, that remembers a day we made up."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from tests.live.servers import free_port, running, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAY = datetime(2013, 6, 4, tzinfo=UTC)
SINCE = DAY + timedelta(hours=18)
END = DAY + timedelta(hours=24)
SCRAPE_S = 30


@dataclass
class Series:
    """One series: its value at each second of the day, None where it is not scraped."""

    name: str
    labels: dict[str, str]
    value: Callable[[int], float | None]


@dataclass
class Day:
    """What was scraped, by metric family; the family's type as OpenMetrics names it."""

    families: dict[str, str] = field(default_factory=dict)
    series: list[Series] = field(default_factory=list)

    def add(
        self, family: str, kind: str, name: str, value: Callable[[int], float | None], **labels: str
    ) -> None:
        """Add a series."""
        self.families[family] = kind
        self.series.append(Series(name, labels, value))

    def openmetrics(self) -> str:
        """Write it all as OpenMetrics, a family after the other."""
        lines = []
        for family, kind in self.families.items():
            lines.append(f"# TYPE {family} {kind}")
            for one in self.series:
                if not one.name.startswith(family):
                    continue
                inner = ",".join(f'{k}="{_escaped(v)}"' for k, v in one.labels.items())
                for second in range(0, 86_400, SCRAPE_S):
                    value = one.value(second)
                    if value is not None:
                        at = int(DAY.timestamp()) + second
                        lines.append(f"{one.name}{{{inner}}} {value:.6f} {at}")
        return "\n".join([*lines, "# EOF", ""])


def _escaped(value: str) -> str:
    """Escape what OpenMetrics escapes in a label's value: these three, and no more."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@contextmanager
def prometheus_of(day: Day, folder: Path) -> Iterator[str]:
    """Run a Prometheus that holds a day, as if it had scraped it; yield its address."""
    text = folder / "day.txt"
    text.write_text(day.openmetrics(), encoding="utf-8")
    data = folder / "prometheus-data"
    made = [
        "promtool",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--quiet",
        str(text),
        str(data),
    ]
    subprocess.run(made, check=True, capture_output=True)
    config = folder / "prometheus.json"
    config.write_text(json.dumps({"global": {"scrape_interval": "1h"}}))
    url = f"http://127.0.0.1:{free_port()}"
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}"]
    command += ["--storage.tsdb.retention.time=100y"]
    command += [f"--web.listen-address={url.removeprefix('http://')}"]
    with running(command, url, folder / "prometheus.log") as address:
        yield address


@contextmanager
def victoria_of(day: Day, folder: Path) -> Iterator[str]:
    """Run a VictoriaMetrics that holds a day; yield its address."""
    url = f"http://127.0.0.1:{free_port()}"
    command = ["victoria-metrics", f"-storageDataPath={folder / 'victoria-data'}"]
    command += [f"-httpListenAddr={url.removeprefix('http://')}", "-retentionPeriod=100y"]
    with running(command, url, folder / "victoria.log", ready="/health") as address:
        # Its import takes milliseconds, and lines without the words of OpenMetrics.
        lines = []
        for line in day.openmetrics().splitlines():
            if not line.startswith("#"):
                head, _, at = line.rpartition(" ")
                lines.append(f"{head} {at}000")
        sent = httpx.post(
            f"{address}/api/v1/import/prometheus",
            content="\n".join(lines).encode(),
            trust_env=False,
        )
        assert sent.is_success, sent.text
        httpx.get(f"{address}/internal/force_flush", trust_env=False)

        def there() -> bool:
            found = httpx.get(
                f"{address}/api/v1/label/__name__/values",
                params={"start": DAY.timestamp(), "end": END.timestamp()},
                trust_env=False,
            )
            return bool(found.json()["data"])

        until("VictoriaMetrics shows what was imported", there, 20)
        yield address
