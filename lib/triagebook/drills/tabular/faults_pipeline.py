"""Plant faults of the pipeline: tasks that fail, starve, hang or are refused, and releases that fail.

`share` is the share of runs that are hit, from the onset on. The target is our own word for a task
(ingest, build, score, publish, join_labels) or a dependency (feed, store, warehouse). Size 1 stops
what it hits; for `pipeline.slow` it is how many times as long as usual, less one, over six.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from triagebook.drills.tabular.deeds import plants
from triagebook.drills.tabular.failures import Failure, Said, lines
from triagebook.drills.tabular.flow import newest
from triagebook.drills.tabular.stage import Line, RunEdit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from triagebook.drills.scenario import Fault
    from triagebook.drills.tabular.stage import Stage

TASKS = ("ingest", "build", "score", "publish")
USES = {
    "feed": ("ingest",),
    "store": ("ingest", "build", "score"),
    "warehouse": ("build", "join_labels", "publish"),
}
"""Which tasks need a dependency."""


def _task(stage: Stage, fault: Fault, choices: Sequence[str] = TASKS) -> str:
    return fault.target or choices[int(stage.rng.integers(len(choices)))]


def _fails(
    stage: Stage,
    fault: Fault,
    task: str,
    failure: Callable[[], Failure],
    share: float | None = None,
) -> pd.Timestamp:
    """Let a task's runs fail from the onset on, with what each says."""
    onset = stage.setting.at(fault.onset_h)

    def said() -> list[Said]:
        return lines(failure(), stage.company.task[task], stage.company, stage.rng)

    stage.edits.append(
        RunEdit(
            task, onset, "failed", error=lambda: failure().short,
            share=fault.share if share is None else share, lines=said,
        )
    )  # fmt: skip
    return onset


def _locus(stage: Stage, task: str) -> str:
    pipeline = stage.company.pipeline[{"join_labels": "labels", "train": "train"}.get(task, "main")]
    return f"task:{pipeline}.{stage.company.task[task]}"


def _frames(stage: Stage, task: str, last: tuple[str, str]) -> tuple[tuple[str, str, str], ...]:
    name = stage.company.task[task].replace("-", "_")
    package = stage.company.code
    return (
        (f"/opt/{package}/jobs/{name}.py", "main", "run(context)"),
        (f"/opt/{package}/jobs/{name}.py", "run", f"frame = {last[0]}(rows, settings)"),
        (f"/opt/{package}/lib/{last[0]}.py", last[0], last[1]),
    )


@plants("pipeline.code_error")
def code_error(stage: Stage, fault: Fault) -> None:
    """Raise in our own code after a deploy of it."""
    task, rng = _task(stage, fault), stage.rng
    column = stage.pick(fault.model_copy(update={"target": ""})).name
    choices = (
        ("KeyError", f"'{column}_total'", ("merge_totals", f"return rows['{column}_total']")),
        ("TypeError", "unsupported operand type(s) for -: 'str' and 'float'", ("deltas", f"rows['{column}'] - base")),
        ("ValueError", f"cannot reindex on an axis with duplicate labels in '{column}'", ("align", "rows.reindex(keys)")),
        ("IndexError", "index 3 is out of bounds for axis 0 with size 3", ("window", "edges[at + 1]")),
        ("ZeroDivisionError", "division by zero", ("normalise", f"total / rows['{column}'].sum()")),
        ("AssertionError", f"{column} must be sorted", ("guard", "assert rows.is_monotonic")),
    )  # fmt: skip
    kind, text, last = choices[int(rng.integers(len(choices)))]
    failure = Failure(kind, text, _frames(stage, task, last))
    onset = _fails(stage, fault, task, lambda: failure)
    number = int(rng.integers(20, 300))
    name = stage.company.task[task]
    stage.changed(stage.before(onset, 30), "deploy", name, f"v{number}", f"v{number + 1}")
    stage.answer(fault.cause, _locus(stage, task), onset=onset)


@plants("pipeline.bad_dependency_version")
def bad_dependency_version(stage: Stage, fault: Fault) -> None:
    """Break a task by a package: an import, a removed attribute, another binary interface."""
    task, rng = _task(stage, fault), stage.rng
    lib = ("polars", "pyarrow", "xgboost", "protobuf", "sqlalchemy")[int(rng.integers(5))]
    old = f"{int(rng.integers(1, 4))}.{int(rng.integers(2, 9))}.{int(rng.integers(0, 5))}"
    new = f"{int(old[0]) + 1}.0.{int(rng.integers(0, 3))}"
    choices = (
        ("ImportError", f"cannot import name 'read_batch' from '{lib}' (/opt/venv/lib/python3.11/site-packages/{lib}/__init__.py)"),
        ("AttributeError", f"module '{lib}' has no attribute 'to_frame'"),
        ("ModuleNotFoundError", f"No module named '{lib}.compat'"),
        ("ImportError", f"/opt/venv/lib/python3.11/site-packages/{lib}/_core.so: undefined symbol: _ZN5{lib}4initEv"),
        ("ValueError", "numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject"),
    )  # fmt: skip
    kind, text = choices[int(rng.integers(len(choices)))]
    failure = Failure(kind, text, _frames(stage, task, ("load", f"import {lib}")))
    onset = _fails(stage, fault, task, lambda: failure)
    name = stage.company.task[task]
    what = (f"{name} image", f"{lib} in {name}", f"base image of {name}")[int(rng.integers(3))]
    stage.changed(stage.before(onset, 60), "deploy", what, old, new)
    stage.answer(fault.cause, _locus(stage, task), onset=onset)


@plants("pipeline.out_of_memory")
def out_of_memory(stage: Stage, fault: Fault) -> None:
    """Kill a task at its memory limit; before the onset, its peak climbs with the size of batches."""
    task, rng = _task(stage, fault, ("ingest", "build", "score")), stage.rng
    frames = _frames(stage, task, ("concat", "return pandas.concat(parts)"))
    choices = (
        Failure("", "exit code 137", (), 137, "OOMKilled"),
        Failure("MemoryError", "Unable to allocate 3.81 GiB for an array with shape (512000000,) and data type float64", frames),
        Failure("", "Killed: process exceeded its memory limit (exit code 137)", (), 137, "OOMKilled"),
    )  # fmt: skip
    failure = choices[int(rng.integers(3))]
    onset = _fails(stage, fault, task, lambda: failure)
    stage.facts["memory"] = (task, onset)
    stage.answer(fault.cause, _locus(stage, task), onset=onset)


@plants("pipeline.disk_full")
def disk_full(stage: Stage, fault: Fault) -> None:
    """Fail every task of a host whose disk has no space left."""
    task = _task(stage, fault, ("ingest", "build", "score"))
    company = stage.company
    host = company.host_of[company.task[task]]
    path = f"/var/lib/{company.code}/spill/part-{int(stage.rng.integers(1000)):05d}"
    failure = Failure(
        "OSError", f"[Errno 28] No space left on device: '{path}'",
        _frames(stage, task, ("spill", "handle.write(block)")),
    )  # fmt: skip
    onset = stage.setting.at(fault.onset_h)
    for key in company.task:
        if company.host_of.get(company.task[key]) == host and key not in (
            "train",
            "deploy",
            "export",
        ):
            _fails(stage, fault, key, lambda: failure)
    stage.facts["disk"] = (host, onset)
    stage.answer(fault.cause, f"host:{host}", onset=onset)


@plants("pipeline.dependency_down")
def dependency_down(stage: Stage, fault: Fault) -> None:
    """Refuse, time out or answer 5xx for every task that needs one system."""
    word = fault.target or ("feed", "store", "warehouse")[int(stage.rng.integers(3))]
    name, rng = stage.company.dependency[word], stage.rng
    port = int(rng.integers(3000, 9999))
    errors = (
        ("requests.exceptions.ConnectionError", f"HTTPConnectionPool(host='{name}', port={port}): Max retries exceeded (Caused by NewConnectionError('[Errno 111] Connection refused'))"),
        ("requests.exceptions.ReadTimeout", f"HTTPSConnectionPool(host='{name}', port=443): Read timed out. (read timeout=30)"),
        ("botocore.exceptions.ClientError", f"An error occurred (503) when calling the GetObject operation on {name}: Service Unavailable"),
        ("psycopg2.OperationalError", f'could not connect to server: Connection refused. Is the server running on host "{name}" and accepting TCP/IP connections on port {port}?'),
    )  # fmt: skip
    kinds = {"feed": (0, 1), "store": (0, 2), "warehouse": (3, 1)}[word]

    def failure() -> Failure:
        kind, text = errors[kinds[int(rng.random() < 0.35)]]
        return Failure(kind, text, _frames(stage, "ingest", ("request", "client.send(call)")))

    onset = stage.setting.at(fault.onset_h)
    for task in USES[word]:
        _fails(stage, fault, task, failure)
    stage.facts["down"] = (name, onset, "down")
    stage.answer(fault.cause, f"dependency:{name}", onset=onset)


@plants("pipeline.auth_expired")
def auth_expired(stage: Stage, fault: Fault) -> None:
    """Refuse every task that needs one system, because its credentials ran out."""
    word = fault.target or ("feed", "store", "warehouse")[int(stage.rng.integers(3))]
    name = stage.company.dependency[word]
    choices = (
        ("requests.exceptions.HTTPError", f"401 Client Error: Unauthorized for url: https://{name}/v1/rows"),
        ("botocore.exceptions.ClientError", f"An error occurred (ExpiredToken) when calling the ListObjectsV2 operation on {name}: The provided token has expired."),
        ("psycopg2.OperationalError", f'FATAL: password authentication failed for user "etl" on host {name}'),
        ("google.api_core.exceptions.Forbidden", f"403 permission denied on {name}: caller does not have storage.objects.get"),
    )  # fmt: skip
    kind, text = choices[int(stage.rng.integers(len(choices)))]
    failure = Failure(kind, text, _frames(stage, "ingest", ("authorise", "raise_for_status()")))
    onset = stage.setting.at(fault.onset_h)
    for task in USES[word]:
        _fails(stage, fault, task, lambda: failure)
    stage.facts["down"] = (name, onset, "refused")
    stage.answer(fault.cause, f"dependency:{name}", onset=onset)


@plants("pipeline.bad_config")
def bad_config(stage: Stage, fault: Fault) -> None:
    """Fail a task on a setting that is missing or no value, after a change of it."""
    company, rng = stage.company, stage.rng
    task, key = _task(stage, fault, ("ingest", "build", "score")), company.config_key
    choices = (
        ("KeyError", f"'{key}'", "600", "(removed)"),
        ("ValueError", f"invalid value for {key}: expected a positive integer, got '5OO'", "500", "5OO"),
        ("pydantic_core.ValidationError", f"1 validation error for Settings\n{key}\n  Field required [type=missing]", "main", "(removed)"),
        ("ConfigError", f"required setting {key} is not set", "eu-2", ""),
    )  # fmt: skip
    kind, text, old, new = choices[int(rng.integers(len(choices)))]
    failure = Failure(kind, text, _frames(stage, task, ("settings", f"load('{key}')")))
    onset = _fails(stage, fault, task, lambda: failure)
    stage.changed(stage.before(onset, 30), "config", key, old, new)
    stage.answer(fault.cause, f"config:{key}", onset=onset)


@plants("pipeline.input_missing")
def input_missing(stage: Stage, fault: Fault) -> None:
    """Let the upstream not deliver: its task fails or never runs, ours waits for the input and gives up."""
    company, setting = stage.company, stage.setting
    word = fault.target or ("main", "side")[int(stage.rng.integers(2))]
    onset, table = setting.at(fault.onset_h), company.table[word]
    waiting = "ingest" if word == "main" else "load_side"
    if word == "side":
        onset = onset.floor("D") + pd.Timedelta(hours=2)
    path = f"{company.dependency['store']}/{table}/dt={onset:%Y-%m-%d}/_SUCCESS"
    choices = (
        Failure("SensorTimeout", f"Sensor has timed out; run duration of 3600 seconds exceeds the specified timeout: waiting for {path}"),
        Failure("FileNotFoundError", f"[Errno 2] No such file or directory: '{path}'"),
        Failure("UpstreamNotReady", f"no partition of {table} for {onset:%Y-%m-%d %H:%M} after 60 attempts"),
    )  # fmt: skip
    failure = choices[int(stage.rng.integers(3))]

    def said() -> list[Said]:
        return lines(failure, company.task[waiting], company, stage.rng)

    stage.edits.append(
        RunEdit(
            waiting, onset, "failed", error=lambda: failure.short, share=fault.share, lines=said
        )
    )
    how = ("skipped", "failed")[int(stage.rng.integers(2))]
    stage.edits.append(
        RunEdit(
            f"export_{word}", onset - setting.batch, "skipped" if how == "skipped" else "failed",
            error=lambda: "JobFailed: export aborted, lock held by month-end closing", share=fault.share,
        )
    )  # fmt: skip
    stage.answer(fault.cause, f"table:{table}", onset=onset)


@plants("pipeline.slow")
def slow(stage: Stage, fault: Fault) -> None:
    """Make a task's runs last many times as long, so that later ones queue behind."""
    task = _task(stage, fault, ("ingest", "build", "score"))
    onset = stage.setting.at(fault.onset_h)
    name = stage.company.task[task]

    def said() -> list[Said]:
        seconds = int(stage.rng.integers(900, 2400))
        return [("WARN", f"{name} still running after {seconds} s", {"elapsed_s": seconds})]

    stage.edits.append(
        RunEdit(task, onset, "slow", factor=1 + 6 * fault.size, share=fault.share, lines=said)
    )
    stage.answer(fault.cause, _locus(stage, task), onset=onset)


@plants("pipeline.contract_rejected")
def contract_rejected(stage: Stage, fault: Fault) -> None:
    """Let validation refuse every batch, so that the data behind it is in no table."""
    company, onset = stage.company, stage.setting.at(fault.onset_h)
    column = stage.pick(fault.model_copy(update={"target": ""})).name
    table = company.table["main"]
    choices = (
        f"expect_column_values_to_not_be_null failed for {table}.{column}: 41.7% unexpected",
        f"contract {table} v3 violated: {column} has 812 values outside the allowed set",
        f"Expectation suite {table}.warning: 1 of 23 expectations failed ({column} mean out of range)",
    )
    text = choices[int(stage.rng.integers(3))]
    failure = Failure(
        "ValidationFailed", text, _frames(stage, "validate", ("check", "suite.run(rows)"))
    )
    _fails(stage, fault, "validate", lambda: failure)
    stage.answer(fault.cause, f"table:{table}", onset=onset)


@plants("pipeline.deploy_failed")
def deploy_failed(stage: Stage, fault: Fault) -> None:
    """Fail to bring a new model version into service: the old one goes on serving."""
    company, rng, setting = stage.company, stage.rng, stage.setting
    onset = setting.at(fault.onset_h)
    host = company.host_of[company.task["score"]]

    def deed() -> None:
        number = stage.facts["number"] + 1
        version, old = stage.facts["version"](number), newest(stage).version
        image = f"{company.dependency['registry']}/{company.model}:{version}"
        choices = (
            Failure("", f'Failed to pull image "{image}": rpc error: code = NotFound desc = manifest unknown', (), 1, "ImagePullBackOff"),
            Failure("", f"Readiness probe failed: HTTP probe failed with statuscode: 503 ({company.model} {version})", (), 1, "Unhealthy"),
            Failure("RuntimeError", f"Error loading model {company.model} {version}: unexpected key 'encoder.2' in state", (), 1, "CrashLoopBackOff"),
            Failure("ModelLoadError", f"artifact {company.model}/{version}/model.bin: checksum mismatch, refusing to load", (), 1),
        )  # fmt: skip
        failure = choices[int(rng.integers(4))]
        stage.changed(stage.before(onset, 10), "model", f"{company.model} release", old, version)
        name = company.task["deploy"]
        for at in pd.date_range(onset, setting.now, freq="15min", inclusive="left"):
            for severity, message, about in lines(failure, name, company, rng):
                stage.lines.append(Line(at, severity, name, message, {**about, "host": host}))
        stage.edits.append(RunEdit("deploy", onset, "failed", error=lambda: failure.short))
        stage.facts["release"] = (onset, version)
        names = (company.model, company.service)
        stage.answer(fault.cause, *(f"model:{n}/{version}" for n in names), onset=onset)

    stage.on("models", deed)
