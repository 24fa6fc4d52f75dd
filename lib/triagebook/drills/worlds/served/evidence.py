"""What a company knows about itself: the service's description and its topology."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.core.models import Edge, Service
from triagebook.drills.worlds.served.plant import CALLS

if TYPE_CHECKING:
    from triagebook.drills.worlds.served.stage import Stage

_PRODUCES = {
    "supply": "source",
    "ingest": "raw",
    "validate": "clean",
    "features": "features",
    "publish": "online",
}


def service_of(stage: Stage) -> Service:
    """Describe the service."""
    plant, batch = stage.plant, stage.batch
    hosts = {task.name: plant.hosts[task.host].name for task in batch.tasks()}
    for role, unit in plant.units.items():
        for pod, host in list(zip(unit.pods, unit.hosts, strict=True))[: stage.alive(role)]:
            hosts[pod] = plant.hosts[host].name
    schedules = []
    for pipeline in batch.pipelines:
        for task in pipeline.tasks:
            if task.step in _PRODUCES:
                table = batch.tables[_PRODUCES[task.step]]
                schedules.append({"pipeline": pipeline.name, "task": task.name, "every": pipeline.every_s, "produces": table})  # fmt: skip
    external = [plant.external, *batch.systems.values()]
    callees = [plant.name(r) for r in ("features", "cache", "model", "database")]
    return Service.model_validate(
        {"name": plant.name("api"), "kind": "model", "entrypoint": plant.name("gateway"),
         "model": {"name": plant.model, "version": plant.version, "task": plant.task},
         "tables": list(batch.tables.values()), "tasks": [t.path for t in batch.tasks()],
         "dependencies": [*callees, *external], "hosts": hosts, "schedules": schedules,
         "criticality": stage.namer.pick(("high", "medium"))}
    )  # fmt: skip


def topology_of(stage: Stage, *, replicas: bool) -> list[Edge]:
    """Draw the call graph and the data flow.

    Parameters
    ----------
    replicas : bool
        Whether replicas and hosts are in it, as where names carry no labels.
    """
    plant, batch = stage.plant, stage.batch

    def edge(start: str, end: str, kind: str) -> Edge:
        return Edge.model_validate({"from": start, "to": end, "kind": kind})

    edges = [edge(plant.name(a), plant.name(b), "calls") for a, b in CALLS]
    for pipeline in batch.pipelines:
        names = {t.name: t for t in pipeline.tasks}
        for task in pipeline.tasks:
            edges += [edge(names[u].path, task.path, "feeds") for u in task.upstream]
            edges += [edge(task.path, used, "calls") for used in task.uses]
    edges += [
        edge(task.path, batch.task("wait").path, "feeds")
        for task in batch.tasks()
        if task.step == "supply"
    ]
    edges.append(edge(batch.task("publish").path, plant.name("features"), "feeds"))
    edges.append(edge(batch.task("features").path, batch.task("train").path, "feeds"))
    edges.append(edge(batch.task("deploy").path, plant.name("model"), "feeds"))
    if replicas:
        for role, unit in plant.units.items():
            for pod, host in list(zip(unit.pods, unit.hosts, strict=True))[: stage.alive(role)]:
                edges.append(edge(pod, unit.name, "serves"))
                edges.append(edge(plant.hosts[host].name, pod, "serves"))
    return edges
