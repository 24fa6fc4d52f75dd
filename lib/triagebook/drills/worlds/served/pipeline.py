"""Faults of the batch: code, inputs, systems, settings, memory and disks, each at the task it befalls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from triagebook.drills.scenario import Planted
from triagebook.drills.worlds.served.batch import Trouble
from triagebook.drills.worlds.served.clock import HOUR_S, moment
from triagebook.drills.worlds.served.plant import MIB
from triagebook.drills.worlds.served.stage import Symptom

if TYPE_CHECKING:
    from collections.abc import Callable

    from triagebook.drills.scenario import Fault
    from triagebook.drills.worlds.served.batch import Task
    from triagebook.drills.worlds.served.stage import Stage

_FRAMES = (
    "transform",
    "parse",
    "window",
    "merge_keys",
    "encode",
    "normalise",
    "load_batch",
    "write_part",
)


def code_error(stage: Stage, fault: Fault, at: float) -> Planted:
    """Release a bug; share is the share of tries that meet it."""
    task = stage.batch.task(stage.choose(fault.target, ("ingest", "features", "publish", "train")))
    number = int(stage.rng.integers(12, 400))
    stage.change(
        at,
        "deploy",
        stage.namer.pick((task.pipeline, f"{task.pipeline}.{task.name}", f"{task.name} job")),
        f"{number}",
        f"{number + 1}",
    )
    lines = tuple(int(n) for n in stage.rng.integers(20, 400, size=3))
    words = [stage.namer.pick(_FRAMES) for _ in range(3)]
    column = stage.namer.noun()
    flavour = int(stage.rng.integers(4))

    def text(task: Task, _: float) -> str:
        if flavour == 0:
            return _traceback(task, words, lines, f"KeyError: '{column}_id'")
        if flavour == 1:
            return _traceback(
                task,
                words,
                lines,
                f"TypeError: unsupported operand type(s) for -: 'NoneType' and 'int' in {words[2]}",
            )
        if flavour == 2:
            return _java(
                task,
                words,
                lines,
                'java.lang.NullPointerException: Cannot invoke "String.length()" because "value" is null',
            )
        return (
            f"org.apache.spark.SparkException: Job aborted due to stage failure: Task 3 in stage {lines[0]}.0 failed 4 times, most recent failure: "
            f"Lost task 3.3 in stage {lines[0]}.0 (TID {lines[1]}) (executor 2): java.lang.ArrayIndexOutOfBoundsException: Index {lines[2] % 9 + 3} out of bounds for length {lines[2] % 9 + 3}\n"
            f"\tat {task.pipeline}.{words[0].title()}$.{words[1]}({words[0].title()}.scala:{lines[2]})"
        )

    _fail(stage, task, at, text, often=fault.share)
    return Planted("pipeline.code_error", (f"task:{task.path}",))


def dependency_down(stage: Stage, fault: Fault, at: float) -> Planted:
    """Take down a system that several tasks talk to; share is the share of tries that fail."""
    kind = stage.choose(fault.target, ("warehouse", "objects"))
    system = stage.batch.systems[kind]
    hit = [t for t in stage.batch.tasks() if system in t.uses]
    port = {"warehouse": 5432, "objects": 443}.get(kind, 443)
    address = f"10.{int(stage.rng.integers(256))}.{int(stage.rng.integers(256))}.{int(stage.rng.integers(2, 250))}"
    flavour = int(stage.rng.integers(3))

    def text(task: Task, _: float) -> str:
        if flavour == 0:
            return f'psycopg2.OperationalError: connection to server at "{system}" ({address}), port {port} failed: Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?'
        if flavour == 1:
            return f"requests.exceptions.ConnectionError: HTTPSConnectionPool(host='{system}', port=443): Max retries exceeded with url: /v1/{task.name} (Caused by NewConnectionError('Failed to establish a new connection: [Errno 111] Connection refused'))"
        return f'botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL: "https://{system}/{task.name}" (503 Service Unavailable)'

    _fail(stage, hit[0], at, text, often=fault.share, also=hit[1:], after=0.03)
    return Planted("pipeline.dependency_down", (f"dependency:{system}",))


def auth_expired(stage: Stage, fault: Fault, at: float) -> Planted:
    """Let a token run out: one system refuses us from one moment on."""
    kind = stage.choose(fault.target, ("warehouse", "objects", "vendor", "registry"))
    system = stage.batch.systems[kind]
    hit = [t for t in stage.batch.tasks() if system in t.uses]
    flavour = int(stage.rng.choice([0, 1, 3] if kind == "objects" else [0, 2, 3]))
    expired = moment(at)

    def text(task: Task, _: float) -> str:
        return (
            f"requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://{system}/v2/{task.name}",
            f"botocore.exceptions.ClientError: An error occurred (ExpiredToken) when calling the GetObject operation: The provided token has expired. (endpoint {system})",
            f"google.api_core.exceptions.Forbidden: 403 POST https://{system}/v1/jobs: Access Denied: Permission denied for service account {task.pipeline}@{system}",
            f"jwt.exceptions.ExpiredSignatureError: Signature has expired at {expired:%Y-%m-%dT%H:%M:%SZ} while connecting to {system}",
        )[flavour]

    _fail(stage, hit[0], at, text, also=hit[1:], often=fault.share, after=0.06)
    return Planted("pipeline.auth_expired", (f"dependency:{system}",))


def input_missing(stage: Stage, fault: Fault, at: float) -> Planted:
    """Hold back what others deliver: the sensor waits, or (target "fails") the reader fails."""
    batch = stage.batch
    kind = stage.choose(fault.target, ("waits", "fails"))
    raw = batch.tables["source"]
    where = f"{batch.systems['objects']}://{raw}"
    if kind == "waits":
        task = batch.task("wait")

        def late(_: Task, when: float) -> str:
            return f"airflow.exceptions.AirflowSensorTimeout: Sensor has timed out; run duration of 8640.0 seconds exceeds the specified timeout of 8640.0. Waiting for {where}/dt={moment(when):%Y-%m-%d-%H}/_SUCCESS of {raw}"

        trouble = Trouble(frozenset({task.path}), at, "wait", error=late)
    else:
        task = batch.task("ingest")
        trouble = Trouble(
            frozenset({task.path}), at, "fail", after=0.1,
            error=lambda _, when: f"FileNotFoundError: no objects under {where}/dt={moment(when):%Y-%m-%d-%H}/ ; table {raw} has no partition for this hour",
        )  # fmt: skip
    batch.troubles.append(trouble)
    batch.supplier_late = at
    stage.symptom = Symptom("api", "")
    return Planted("pipeline.input_missing", (f"table:{raw}",))


def out_of_memory(stage: Stage, fault: Fault, at: float) -> Planted:
    """Let a task need more memory than it may have; size 1 needs 1.25 times it."""
    task = stage.batch.task(stage.choose(fault.target, ("features", "train", "ingest")))
    need = 1.25 * fault.size * task.mem_limit / task.memory
    began = at - max(fault.ramp_h, 0.01) * HOUR_S

    def hungry(when: float) -> float:
        return float(1 + (need - 1) * np.clip((when - began) / (at - began), 0, 1))

    stage.batch.hungry[task.path] = hungry
    flavour = int(stage.rng.integers(3))

    def text(task: Task, _: float) -> str:
        return (
            "Task exited with return code 137 (SIGKILL): the process was killed, most likely out of memory",
            f"pod {task.name.replace('_', '-')}-{task.pipeline[:4]} terminated: OOMKilled (exit code 137), limit {task.mem_limit / MIB:.0f}Mi",
            _traceback(
                task,
                ["read", "concat", "reindex"],
                (88, 140, 311),
                f"MemoryError: Unable to allocate {task.mem_limit * 0.4 / 2**30:.2f} GiB for an array with shape ({int(task.rows)}, 48) and data type float64",
            ),
        )[flavour]

    _fail(stage, task, at, text, after=0.6)
    return Planted("pipeline.out_of_memory", (f"task:{task.path}",))


def disk_full(stage: Stage, fault: Fault, at: float) -> Planted:
    """Fill a disk within hours; from then on tasks on that host fail."""
    task = stage.batch.task(stage.choose(fault.target, ("features", "ingest")))
    number, clock = task.host, stage.clock
    host = stage.plant.hosts[number]
    hours = max(fault.ramp_h, 1.0)
    began = max(at - hours * HOUR_S, clock.start)
    free = float(stage.calm.disk_free[number][clock.index(at)])
    stage.levers.disk[number] += (
        1.05 * free / (at - began) * ((clock.at >= began) & (clock.at < at + 600))
    )
    stage.levers.writers[number] = host.tenant
    hit = [
        t
        for t in stage.batch.tasks()
        if t.host == number and t.step in ("ingest", "features", "publish", "train")
    ]
    part = stage.namer.text(6)

    def text(task: Task, _: float) -> str:
        if task.step in ("features", "train"):
            return f"java.io.IOException: No space left on device\n\tat java.base/java.io.FileOutputStream.writeBytes(Native Method)\n\tat org.apache.spark.storage.DiskBlockObjectWriter.write(DiskBlockObjectWriter.scala:295) /data/spark-{part}"
        return (
            f"OSError: [Errno 28] No space left on device: '/data/{task.name}/part-{part}.parquet'"
        )

    _fail(stage, task, at, text, also=[t for t in hit if t != task], after=0.5)
    for when in stage.moments(at, clock.end, 4, 30):
        stage.say(
            when,
            "ERROR",
            host.name,
            "rsyslogd: file '/data/log/messages': write error: No space left on device",
        )
    stage.symptom = Symptom("api", "disk", number)
    return Planted("pipeline.disk_full", (f"host:{host.name}",))


def bad_config(stage: Stage, fault: Fault, at: float) -> Planted:
    """Change or remove a setting, so that the task cannot work with it."""
    task = stage.batch.task(stage.choose(fault.target, ("ingest", "features", "publish", "train")))
    flavour = int(stage.rng.integers(3))
    name, old, new = (
        (stage.namer.pick(("input_bucket", "api_base_url", "target_schema")), "eu-1", None),
        (stage.namer.pick(("window_days", "max_parallel", "batch_hours")), "28", "28d"),
        (stage.namer.pick(("strict_mode", "use_spot", "full_refresh")), "true", "yes,no"),
    )[flavour]
    key, short = f"{task.pipeline}.{name}", name
    stage.change(at, "config", key, old, new)

    def text(_: Task, __: float) -> str:
        return (
            f"airflow.exceptions.AirflowNotFoundException: Variable {short} does not exist",
            f"ValueError: invalid literal for int() with base 10: '28d' (setting {short})",
            f"pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings\n{short}\n  Input should be a valid boolean [type=bool_parsing, input_value='yes,no', input_type=str]",
        )[flavour]

    _fail(stage, task, at, text, after=0.03)
    return Planted("pipeline.bad_config", (f"config:{key}",))


def bad_dependency_version(stage: Stage, fault: Fault, at: float) -> Planted:
    """Update an image or package that no longer fits the task's code."""
    task = stage.batch.task(stage.choose(fault.target, ("ingest", "features", "train")))
    flavour = int(stage.rng.integers(4))
    what, old, new, error = (
        ("numpy", "1.26.4", "2.1.0", "AttributeError: `np.float_` was removed in the NumPy 2.0 release. Use `np.float64` instead."),
        (f"image {task.name}", "base-2024.1", "base-2024.2", f"ImportError: libssl.so.1.1: cannot open shared object file: No such file or directory (imported from {task.name})"),
        ("pandas", "1.5.3", "2.2.2", "AttributeError: 'DataFrame' object has no attribute 'append'"),
        ("pyarrow", "14.0.2", "17.0.0", "ImportError: cannot import name 'ParquetDataset' from 'pyarrow.parquet' (/opt/venv/lib/python3.11/site-packages/pyarrow/parquet/__init__.py)"),
    )[flavour]  # fmt: skip
    stage.change(at, "deploy", f"{task.pipeline}: {what}", old, new, "renovate")
    lines = tuple(int(n) for n in stage.rng.integers(2, 60, size=3))
    _fail(
        stage,
        task,
        at,
        lambda t, _: _traceback(t, ["<module>", "<module>", "<module>"], lines, error),
        after=0.02,
    )
    return Planted("pipeline.bad_dependency_version", (f"task:{task.path}",))


def deploy_failed(stage: Stage, fault: Fault, at: float) -> Planted:
    """Fail to bring up a new model; the old one serves on. Target: "image", "health" or "load"."""
    kind = stage.choose(fault.target, ("image", "health", "load"))
    plant, task = stage.plant, stage.batch.task("deploy")
    version = plant.next_version
    unit = plant.units["model"]
    pod = f"{unit.name}-{stage.namer.text(4)}"
    stage.change(at, "model", plant.model, plant.version, version, "ci")
    image = f"registry.internal/{plant.model}:{version}"
    says = {
        "image": f'Failed to pull image "{image}": rpc error: code = NotFound desc = failed to resolve reference: not found',
        "health": f"Readiness probe failed for model {plant.model} version {version}: HTTP probe failed with statuscode: 503",
        "load": f"failed to load '{plant.model}' version {version}: Internal: unable to deserialize: expected 48 inputs, got 51",
    }[kind]
    reason = {"image": "ImagePullBackOff", "health": "Unhealthy", "load": "CrashLoopBackOff"}[kind]
    began = stage.batch.pipeline_of(task).phase
    for when in [at + 90, *stage.moments(at + 120, stage.clock.end, 14, 60)]:
        stage.say(
            when,
            "ERROR" if kind == "load" else "WARN",
            "kubelet" if kind != "load" else pod,
            says,
            kind="Event",
            reason=reason,
        )
        stage.say(
            when + 2,
            "WARN",
            "kubelet",
            f"Back-off restarting or pulling for pod {plant.namespace}/{pod}: {reason}",
            kind="Event",
            reason="BackOff",
        )

    def text(_: Task, __: float) -> str:
        return f"RuntimeError: rollout of {plant.model} version {version} did not become ready in time ({reason}); version {plant.version} keeps serving"

    _fail(stage, task, min(at, began), text, after=1.2)
    return Planted("pipeline.deploy_failed", (f"model:{plant.model}/{version}",))


def slow(stage: Stage, fault: Fault, at: float) -> Planted:
    """Make a task take longer; size 1 holds up the next run. Target "rows": on more data; "same": not."""
    kind = stage.choose(fault.target, ("rows", "same"))
    task = stage.batch.task(stage.namer.pick(("features", "ingest")))
    ramp = max(fault.ramp_h * HOUR_S, 1.0)

    every = stage.batch.pipeline_of(task).every_s
    # Long enough that the next run has to wait for it.
    longer = fault.size * max(5.0, 1.1 * every / task.median_s)

    def factor(when: float) -> float:
        return float(1 + longer * np.clip((when - at) / ramp, 0, 1))

    stage.batch.troubles.append(Trouble(frozenset({task.path}), at, "slow", factor=factor))
    if kind == "rows":
        stage.batch.growth.append(
            lambda when: float(1 + 1.2 * fault.size * np.clip((when - at) / ramp, 0, 1))
        )
    for when in stage.moments(at + 600, stage.clock.end, 5, 40):
        stage.say(
            when,
            "WARN",
            task.path,
            f"stage 4 is slow: {int(stage.between(3, 60))} of 200 parts done, spilled {stage.between(1, 30):.1f} GB to disk",
        )
    stage.say(
        min(at + every, stage.clock.end - 30),
        "WARN",
        "scheduler",
        f"{task.pipeline}: max_active_runs reached, run not started",
    )
    return Planted("pipeline.slow", (f"task:{task.path}",))


def contract_rejected(stage: Stage, _fault: Fault, at: float) -> Planted:
    """Refuse what came in at the validation step; why is in a report that nobody pulled."""
    task = stage.batch.task("validate")
    raw = stage.batch.tables["raw"]
    rules = int(stage.rng.integers(20, 60))
    broken = int(stage.rng.integers(1, 5))
    flavour = int(stage.rng.integers(3))

    def text(_: Task, when: float) -> str:
        report = (
            f"{stage.batch.systems['objects']}://validation/{raw}/{moment(when):%Y%m%dT%H%M}.json"
        )
        return (
            f"great_expectations.exceptions.ValidationFailed: checkpoint {raw}_contract: {broken} of {rules} expectations failed; results at {report}",
            f"soda.common.ChecksFailed: {broken} out of {rules} checks FAILED for {raw}; see {report}",
            f"DataContractViolation: {raw} rejected by contract v{rules % 7 + 1}: {broken} of {rules} rules broken, batch moved to quarantine ({report})",
        )[flavour]

    _fail(stage, task, at, text, after=0.9)
    return Planted("pipeline.contract_rejected", (f"table:{raw}",))


def _fail(stage: Stage, task: Task, at: float, text: Callable[[Task, float], str], *,
          also: list[Task] | None = None, often: float = 1.0, after: float = 0.4) -> None:  # fmt: skip
    """Let tries of a task, and perhaps of others, fail from a moment on."""
    paths = frozenset({task.path, *(t.path for t in also or [])})
    stage.batch.troubles.append(Trouble(paths, at, "fail", error=text, often=often, after=after))
    stage.symptom = Symptom("api", "")


def _traceback(task: Task, words: list[str], lines: tuple[int, ...], error: str) -> str:
    frames = [
        f'  File "/opt/{task.pipeline}/{task.name}.py", line {lines[0]}, in {words[0]}',
        f'  File "/opt/{task.pipeline}/steps.py", line {lines[1]}, in {words[1]}',
        f'  File "/opt/{task.pipeline}/columns.py", line {lines[2]}, in {words[2]}',
    ]
    return "\n".join(["Traceback (most recent call last):", *frames, error])


def _java(task: Task, words: list[str], lines: tuple[int, ...], error: str) -> str:
    frames = [
        f"\tat com.{task.pipeline}.{w.title().replace('_', '')}.apply({w.title().replace('_', '')}.java:{n})"
        for w, n in zip(words, lines, strict=True)
    ]
    return "\n".join([error, *frames, "\tat java.base/java.lang.Thread.run(Thread.java:840)"])


FAULTS: Final[dict[str, Callable[[Stage, Fault, float], Planted]]] = {
    f"pipeline.{plant.__name__}": plant
    for plant in (
        code_error, dependency_down, input_missing, out_of_memory, disk_full, auth_expired,
        bad_config, bad_dependency_version, deploy_failed, slow, contract_rejected,
    )
}  # fmt: skip
