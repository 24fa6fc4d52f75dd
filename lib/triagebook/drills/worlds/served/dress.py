"""How a company's logs are written: a formatter for applications and one for tasks, drawn by seed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from triagebook.drills.worlds.served.clock import moment

if TYPE_CHECKING:
    from triagebook.drills.worlds.served.stage import Line, Stage

_PYTHON = {"WARN": "WARNING", "FATAL": "CRITICAL"}
_FILES = ("taskinstance.py:1157", "standard_task_runner.py:82", "logging_mixin.py:188")


def dress(stage: Stage, lines: list[Line]) -> list[Line]:
    """Write the lines of replicas and of tasks as their formatters would.

    What has a format of its own stays: access logs, the cluster's events, the kernel, databases.
    """
    # A virtual machine's loggers write otherwise than Python's.
    styles = (0, 2, 3) if stage.plant.units["api"].runtime == "jvm" else (0, 1, 2)
    applied, tasked = styles[int(stage.rng.integers(3))], int(stage.rng.integers(2))
    logger = (
        f"{stage.namer.word()}.{stage.namer.pick(('app', 'core', 'handlers', 'service', 'worker'))}"
    )
    pods = {pod for role in ("api", "features", "model") for pod in stage.plant.units[role].pods}
    tasks = {task.path for task in stage.batch.tasks()}
    dressed = []
    for line in lines:
        message = line.message
        if line.source in pods and not message.startswith(("{", "[gc]")):
            message = _application(applied, logger, line)
        elif line.source in tasks and tasked:
            at = moment(line.at).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
            level = _PYTHON.get(line.severity, line.severity)
            message = f"[{at}+0000] {{{_FILES[len(message) % 3]}}} {level} - {message}"
        dressed.append(replace(line, message=message))
    return dressed


def _application(style: int, logger: str, line: Line) -> str:
    at = moment(line.at)
    if style == 1:
        stamp = at.strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
        return f"{stamp} {_PYTHON.get(line.severity, line.severity)} {logger}: {line.message}"
    if style == 2:
        return json.dumps(
            {
                "ts": at.isoformat(),
                "level": line.severity.lower(),
                "logger": logger,
                "msg": line.message,
            }
        )
    if style == 3:
        stamp = at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        thread = f"nio-8080-exec-{len(line.message) % 12 + 1}"
        return f"{stamp} {line.severity:>5} 1 --- [{thread}] {logger:<32} : {line.message}"
    return line.message
