"""Prometheus and Alertmanager of the Debian packages, on free ports, gone after the test."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "victoria-metrics": "victoria-metrics",
}


def need(*programs: str) -> None:
    """Skip the test, saying how to get what is missing."""
    missing = [PACKAGES[name] for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: apt-get install {' '.join(missing)}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: str, ask: Callable[[], Any], limit_s: float, tell: Callable[[], str] = str) -> Any:
    """Ask until the answer is true, and return it; fail with `what` after so many seconds."""
    deadline = time.monotonic() + limit_s
    while not (answer := ask()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {limit_s:g} s: {what}; {tell()}")
        time.sleep(0.1)
    return answer


@contextmanager
def running(command: list[str], url: str, log: Path, ready: str = "/-/ready") -> Iterator[str]:
    """Run a server while the block lasts; it answers at `url` and `ready`."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)

    def answers() -> bool:
        if process.poll() is not None:
            pytest.fail(f"{command[0]} ended: {log.read_text()[-2000:]}")
        try:
            return httpx.get(f"{url}{ready}", trust_env=False).is_success
        except httpx.TransportError:
            return False

    try:
        until(f"{command[0]} is ready", answers, 30, lambda: log.read_text()[-2000:])
        yield url
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def alertmanager(folder: Path, receiver: str, token_file: Path) -> Iterator[str]:
    """Run an Alertmanager that posts every group to `receiver` with a bearer token."""
    url = f"http://127.0.0.1:{free_port()}"
    config = folder / "alertmanager.json"  # JSON is YAML
    hook = {
        "url": receiver,
        "send_resolved": True,
        "http_config": {
            "authorization": {"type": "Bearer", "credentials_file": str(token_file)},
        },
    }
    config.write_text(
        json.dumps(
            {
                "route": {
                    "receiver": "triagebook",
                    "group_by": ["incident_type", "service"],
                    "group_wait": "1s",
                    "group_interval": "1s",
                    "repeat_interval": "1h",
                },
                "receivers": [{"name": "triagebook", "webhook_configs": [hook]}],
            }
        )
    )
    command = ["prometheus-alertmanager", f"--config.file={config}"]
    command += [f"--storage.path={folder / 'alertmanager'}", "--cluster.listen-address="]
    command += [f"--web.listen-address={url.removeprefix('http://')}"]
    with running(command, url, folder / "alertmanager.log") as address:
        yield address


@contextmanager
def prometheus(folder: Path, target: str, rules: dict[str, Any], alerts_to: str) -> Iterator[str]:
    """Run a Prometheus that scrapes `target` every second and evaluates `rules`."""
    url = f"http://127.0.0.1:{free_port()}"
    (folder / "rules.json").write_text(json.dumps(rules))
    config = folder / "prometheus.json"
    config.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(folder / "rules.json")],
                "scrape_configs": [
                    {"job_name": "flight-delay", "static_configs": [{"targets": [target]}]}
                ],
                "alerting": {
                    "alertmanagers": [
                        {"static_configs": [{"targets": [alerts_to.removeprefix("http://")]}]}
                    ]
                },
            }
        )
    )
    command = ["prometheus", f"--config.file={config}"]
    command += [f"--storage.tsdb.path={folder / 'prometheus'}"]
    command += [f"--web.listen-address={url.removeprefix('http://')}"]
    with running(command, url, folder / "prometheus.log") as address:
        yield address
