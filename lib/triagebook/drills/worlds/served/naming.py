"""How each thing measured is called in four conventions; a seed draws one convention and its synonyms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

Convention = Literal["prometheus", "opentelemetry", "statsd", "cloudwatch"]
CONVENTIONS: Final[tuple[Convention, ...]] = ("prometheus", "opentelemetry", "statsd", "cloudwatch")

# key: what it measures (s, bytes, share, count, cores, C, MHz, code), then options per convention,
# separated by "|". {t}, {b}, {r} are the words of the unit that the seed draws; names without them
# have the standard's unit. "-" means the convention does not show it.
_TABLE: Final = """
requests       | count | http_server_requests_total,http_requests_total,{app}_requests_total | http.server.requests,rpc.server.calls,app.requests | requests.count,http.hits,req | RequestCount,Requests
errors         | count | - | - | errors.count,http.5xx,fail | HTTPCode_Target_5XX_Count,5XXError
latency        | s | http_server_request_duration_{t},http_request_duration_{t},{app}_request_latency_{t},request_processing_{t} | http.server.request.duration,http.server.duration,rpc.server.duration | latency,response_time,http.timing | TargetResponseTime,Latency,IntegrationLatency
client_calls   | count | http_client_requests_total,upstream_rq_total,{app}_outbound_requests_total | http.client.requests,rpc.client.calls | client.{peer}.count,out.{peer}.req | {peer}.RequestCount,{peer}.Calls
client_errors  | count | - | - | client.{peer}.errors,out.{peer}.fail | {peer}.Errors,{peer}.FaultCount
client_latency | s | http_client_request_duration_{t},upstream_rq_time_{t},{app}_outbound_latency_{t} | http.client.request.duration,rpc.client.duration | client.{peer}.latency,out.{peer}.timing | {peer}.Latency,{peer}.ResponseTime
pod_requests   | count | http_server_handled_total,{app}_handled_requests_total,worker_requests_total | http.server.handled,app.instance.requests | requests.count,handled | RequestCount,Handled
pod_latency    | s | http_server_handling_{t},{app}_instance_latency_{t},worker_request_{t} | http.server.handling.duration,app.instance.duration | latency,timing | InstanceLatency,Latency
inflight       | count | http_server_active_requests,{app}_inflight_requests,worker_busy_threads | http.server.active_requests,app.requests.in_flight | inflight,active_threads | ActiveRequests,Concurrency
cpu            | cores | container_cpu_usage_seconds_total | container.cpu.time,process.cpu.time | cpu.pct,cpu.used | CPUUtilization
cpu_limit      | cores | kube_pod_container_resource_limits,container_spec_cpu_limit_cores | k8s.container.cpu_limit,container.cpu.limit | cpu.limit,cpu.quota | CpuReserved,CPULimit
periods        | count | container_cpu_cfs_periods_total | container.cpu.periods | cpu.periods | -
throttled      | count | container_cpu_cfs_throttled_periods_total | container.cpu.throttling_data.throttled_periods,container.cpu.throttled_periods | cpu.throttled,cpu.throttled_periods | CPUThrottledPeriods
memory         | bytes | container_memory_working_set_bytes,process_resident_memory_bytes,container_memory_rss | process.memory.usage,container.memory.usage,container.memory.working_set | mem.rss,memory.used | MemoryUtilized,MemoryUsed
mem_limit      | bytes | kube_pod_container_resource_limits,container_spec_memory_limit_bytes | k8s.container.memory_limit,container.memory.limit | mem.limit,memory.max | MemoryReserved,MemoryLimit
gc             | s | jvm_gc_pause_seconds_sum,{app}_gc_pause_seconds_total,runtime_gc_time_seconds_total | jvm.gc.duration,runtime.gc.pause | gc.pause,gc.time | GCTime,GCPause
fds            | count | process_open_fds | process.open_file_descriptor.count,process.open_file_descriptors | fds.open,files.open | OpenFiles,FileDescriptors
fd_limit       | count | process_max_fds | process.open_file_descriptor.limit | fds.max,files.limit | OpenFilesLimit,FileDescriptorsLimit
restarts       | count | kube_pod_container_status_restarts_total | k8s.container.restarts,container.restarts | restarts,container.restarts | RestartCount,Restarts
started        | unix | process_start_time_seconds,container_start_time_seconds | process.start_time | started_at,start_time | -
replicas       | count | kube_deployment_status_replicas_ready,kube_deployment_status_replicas_available | k8s.deployment.available_pods,k8s.deployment.available | replicas.ready,instances | RunningTaskCount,InServiceInstances
request_bytes  | bytes | http_server_request_size_bytes,{app}_request_size_bytes | http.server.request.body.size,http.server.request.size | request_size,payload | RequestSize,PayloadBytes
items          | count | {app}_request_items,model_batch_size,nv_inference_batch_size | app.request.items,model.batch.size | batch_size,items | BatchSize,ItemsPerRequest
inference      | s | nv_inference_compute_{t},{app}_predict_{t},request_predict_{t} | model.inference.duration,gen_ai.server.inference.duration | predict_time,infer.timing | ModelLatency,InferenceTime
hits           | count | redis_keyspace_hits_total,cache_hits_total,memcached_get_hits_total | cache.hits,redis.keyspace.hits | hits,get_hits | CacheHits,GetHits
misses         | count | redis_keyspace_misses_total,cache_misses_total,memcached_get_misses_total | cache.misses,redis.keyspace.misses | misses,get_misses | CacheMisses,GetMisses
evictions      | count | redis_evicted_keys_total,cache_evictions_total | cache.evictions,redis.keys.evicted | evictions,evicted | Evictions
keys           | count | redis_db_keys,cache_entries | cache.entries,redis.db.keys | keys,entries | CurrItems
pool_used      | count | hikaricp_connections_active,db_pool_connections_in_use,sqlalchemy_pool_checkedout | db.client.connections.usage,db.client.connection.count | pool.active,dbpool.used | PoolConnectionsInUse,ActiveConnections
pool_max       | count | hikaricp_connections_max,db_pool_connections_max,sqlalchemy_pool_size | db.client.connections.max,db.client.connection.max | pool.max,dbpool.size | PoolConnectionsMax,MaxConnections
host_cpu       | share | node_cpu_seconds_total | system.cpu.utilization | cpu.util,cpu.busy | HostCPUUtilization,CPUUtilization
host_steal     | share | - | system.cpu.steal.utilization,system.cpu.steal | cpu.steal | CPUSteal,StealTime
host_free      | bytes | node_memory_MemAvailable_bytes | system.memory.available,system.linux.memory.available | mem.available,memory.free | MemoryAvailable,FreeableMemory
host_total     | bytes | node_memory_MemTotal_bytes | system.memory.limit,system.memory.total | mem.total,memory.total | MemoryTotal
stall          | s | node_pressure_memory_stalled_seconds_total,node_pressure_memory_waiting_seconds_total | system.memory.pressure.stalled,system.pressure.memory.full | mem.psi,memory.stall | -
swap           | count | node_vmstat_pswpin | system.paging.operations,system.paging.swap_in | swap.in,vm.pswpin | SwapIn,SwapInOperations
disk_free      | bytes | node_filesystem_avail_bytes | system.filesystem.free,system.filesystem.available | disk.free,fs.avail | DiskFree,FreeStorageSpace
disk_size      | bytes | node_filesystem_size_bytes | system.filesystem.limit,system.filesystem.size | disk.size,fs.total | DiskSize,TotalStorageSpace
load1          | count | node_load1 | system.cpu.load_average.1m | load.1m,load | LoadAverage
written        | bytes | container_fs_writes_bytes_total | container.disk.write,process.disk.io.write | disk.write_bytes,io.written | DiskWriteBytes
tenant_cpu     | cores | container_cpu_usage_seconds_total | container.cpu.time,process.cpu.time | cpu.pct,cpu.used | CPUUtilization
gpu_used       | bytes | DCGM_FI_DEV_FB_USED | hw.gpu.memory.usage,gpu.memory.used | gpu.fb_used,gpu.mem_used | GPUMemoryUsed
gpu_free       | bytes | DCGM_FI_DEV_FB_FREE | gpu.memory.free,hw.gpu.memory.free | gpu.fb_free,gpu.mem_free | GPUMemoryFree
gpu_util       | share | DCGM_FI_DEV_GPU_UTIL | hw.gpu.utilization,gpu.utilization | gpu.util | GPUUtilization
gpu_temp       | C | DCGM_FI_DEV_GPU_TEMP | hw.temperature,gpu.temperature | gpu.temp | GPUTemperature
gpu_clock      | MHz | DCGM_FI_DEV_SM_CLOCK | gpu.clock.sm,hw.gpu.clock | gpu.sm_clock | GPUClock
gpu_xid        | code | DCGM_FI_DEV_XID_ERRORS | gpu.xid,hw.gpu.xid_errors | gpu.xid | GPUXidErrors
task_duration  | s | airflow_task_duration,{app}_task_duration_seconds,job_last_duration_seconds | workflow.task.duration,batch.task.duration | task.{task}.duration,jobs.{task}.took | {task}.Duration
task_failures  | count | airflow_ti_failures,{app}_task_failures_total,job_failures_total | workflow.task.failures,batch.task.failures | task.{task}.failures,jobs.{task}.failed | {task}.Failures
task_rows      | count | {app}_task_rows,job_rows_processed,batch_records_written | workflow.task.rows,batch.records | task.{task}.rows,jobs.{task}.records | {task}.Records
task_limit     | bytes | kube_pod_container_resource_limits,container_spec_memory_limit_bytes | k8s.container.memory_limit,container.memory.limit | task.{task}.mem_limit,jobs.{task}.mem_max | {task}.MemoryReserved
task_memory    | bytes | container_memory_working_set_bytes,process_resident_memory_bytes,container_memory_rss | process.memory.usage,container.memory.usage,container.memory.working_set | task.{task}.rss,jobs.{task}.mem | {task}.MemoryUtilized
waiting        | count | airflow_executor_queued_tasks,{app}_queue_depth,jobs_queued | workflow.queue.depth,batch.queue.size | queue.depth,queued | QueueDepth
pushed         | unix | push_time_seconds,{app}_last_success_timestamp_seconds | batch.last_success.time | last_success,pushed_at | LastSuccessTime
"""
_LUXURY: Final = (
    "inflight", "started", "load1", "swap", "gpu_temp", "gpu_util", "task_duration", "task_failures",
    "task_rows", "waiting", "pushed",
)  # fmt: skip
_FAMILIES: Final = {
    "client": ("client_calls", "client_errors", "client_latency"),
    "limits": ("cpu_limit", "mem_limit"),
    "periods": ("periods", "throttled"),
    "files": ("fds", "fd_limit"),
    "disk": ("disk_free", "disk_size"),
    "ram": ("host_free", "host_total"),
    "cache": ("hits", "misses", "evictions", "keys"),
    "pool": ("pool_used", "pool_max"),
    "gpu": ("gpu_used", "gpu_free", "gpu_util", "gpu_temp", "gpu_clock", "gpu_xid"),
    "task": ("task_duration", "task_failures", "task_rows", "task_limit", "task_memory"),
}
SCALES: Final[dict[str, dict[str, float]]] = {
    "s": {"s": 1.0, "ms": 1e3, "us": 1e6},
    "bytes": {"By": 1.0, "MiBy": 2.0**-20},
    "share": {"1": 1.0, "%": 100.0},
}
_WORDS: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "By": "bytes", "MiBy": "mebibytes", "1": "ratio", "%": "percent"}  # fmt: skip
# What the standard's exporters use, whatever else a company likes.
_FIXED: Final = {"DCGM_FI_DEV_FB_USED": "MiBy", "DCGM_FI_DEV_FB_FREE": "MiBy", "DCGM_FI_DEV_GPU_UTIL": "%"}  # fmt: skip
_PLAIN_UNIT: Final = {"count": "1", "cores": "{cpu}", "C": "Cel", "MHz": "MHz", "code": "", "unix": "s"}  # fmt: skip


def _parse() -> dict[str, tuple[str, dict[Convention, tuple[str, ...]]]]:
    rows = {}
    for line in _TABLE.strip().splitlines():
        key, dim, *options = (cell.strip() for cell in line.split("|"))
        named = {c: tuple(o.split(",")) for c, o in zip(CONVENTIONS, options, strict=True)}
        rows[key] = (dim, named)
    return rows


_ROWS: Final = _parse()


@dataclass(frozen=True)
class Style:
    """The conventions of one company.

    Attributes
    ----------
    units : dict of dimension to unit
        Such as {"s": "ms"}.
    shape : "histogram", "summary" or "gauges"
        How distributions are shown.
    dotted : bool
        OpenTelemetry names with dots, or as Prometheus stores them.
    label : dict of "service", "pod", "node", "peer", "route", "code" and more to label name
    """

    convention: Convention
    units: dict[str, str]
    shape: Literal["histogram", "summary", "gauges"]
    dotted: bool
    prefix: str
    app: str
    label: dict[str, str]
    constant: dict[str, str]
    port: bool
    described: bool
    chosen: dict[str, str] = field(default_factory=dict)

    def shows(self, key: str) -> bool:
        """Tell whether the convention shows something."""
        return self.chosen[key] != "-"

    def name(self, key: str, words: Mapping[str, str]) -> str:
        """Return a metric's name; `words` fill in a peer or a task where those are in the name."""
        template = self.chosen[key]
        unit = self.unit_of(key)
        text = template.format(t=_WORDS.get(unit, ""), app=self.app, **words)
        if self.convention == "opentelemetry" and not self.dotted:
            return text.replace(".", "_")
        return text

    def unit_of(self, key: str) -> str:
        """Return the unit a metric is shown in, as UCUM writes it."""
        dim, template = _ROWS[key][0], self.chosen[key]
        if template in _FIXED:
            return _FIXED[template]
        if dim not in SCALES:
            return _PLAIN_UNIT[dim]
        if self.convention == "prometheus" and "{t}" not in template:
            return {"s": "s", "bytes": "By", "share": "1"}[dim]
        return self.units[dim]

    def scale(self, key: str) -> float:
        """Return what base units (s, bytes, 0 to 1) are multiplied by."""
        dim = _ROWS[key][0]
        return SCALES[dim][self.unit_of(key)] if dim in SCALES else 1.0


def draw_style(rng: np.random.Generator, app: str, word: str) -> Style:
    """Draw a company's conventions.

    Parameters
    ----------
    app : str
        What its own metrics start with.
    word : str
        Of the cluster.
    """

    def pick(*options: str) -> str:
        return options[int(rng.integers(len(options)))]

    convention = CONVENTIONS[int(rng.choice(4, p=[0.45, 0.25, 0.18, 0.12]))]
    chosen = {}
    drawn: dict[str, int] = {}
    for key, (_, options) in _ROWS.items():
        # What one agent measures is named by one hand.
        family = next((f for f, keys in _FAMILIES.items() if key in keys), key)
        index = drawn.setdefault(family, int(rng.integers(12)))
        chosen[key] = options[convention][index % len(options[convention])]
    # Nobody measures everything.
    for key in _LUXURY:
        if rng.random() < 0.55:
            chosen[key] = "-"
    # A workload and a task of a pipeline are measured by the same agent.
    for key, like in (
        ("tenant_cpu", "cpu"),
        ("task_memory", "memory"),
        ("task_limit", "mem_limit"),
    ):
        if convention in ("prometheus", "opentelemetry"):
            chosen[key] = chosen[like]
    shape = "gauges"
    if convention == "prometheus":
        shape = pick("histogram", "histogram", "summary", "gauges")
    dotted = bool(rng.random() < 0.5)
    if convention == "opentelemetry" and not dotted:
        shape = pick("histogram", "gauges")
    units = {
        "s": pick("s", "ms", "us") if convention == "prometheus" else pick("s", "ms", "ms"),
        "bytes": pick("By", "By", "MiBy"),
        "share": pick("1", "%"),
    }
    if convention == "cloudwatch":
        units["share"] = "%"
    label = {
        "service": pick("service", "app", "deployment", "container"),
        "pod": pick("pod", "replica", "instance", "pod_name"),
        "node": pick("node", "host", "nodename"), "host": pick("instance", "node", "host"),
        "peer": pick("server_address", "upstream", "peer_service", "target"),
        "route": pick("http_route", "route", "handler", "path"),
        "code": pick("http_response_status_code", "status", "code"),
        "task": pick("task_id", "task", "job_name"), "pipeline": pick("dag_id", "pipeline", "workflow"),
    }  # fmt: skip
    if convention == "opentelemetry" and dotted:
        label = {
            "service": "service.name", "pod": pick("k8s.pod.name", "service.instance.id"),
            "node": "k8s.node.name", "host": "host.name", "peer": "server.address",
            "route": "http.route", "code": "http.response.status_code", "task": "task.name",
            "pipeline": "pipeline.name",
        }  # fmt: skip
    if convention == "cloudwatch":
        label = {"service": "ServiceName", "pod": pick("TaskId", "InstanceId"), "node": "HostName",
                 "host": "HostName", "peer": "Peer", "route": "Route", "code": "Status",
                 "task": "TaskName", "pipeline": "StateMachine"}  # fmt: skip
    return Style(
        convention=convention, units=units, shape=shape, dotted=dotted,  # type: ignore[arg-type]
        prefix=pick("prod", "stats", "live", word), app=app, label=label,
        constant={"cluster": word} if rng.random() < 0.3 else {}, port=bool(rng.random() < 0.4),
        described=bool(rng.random() < {"prometheus": 0.4, "opentelemetry": 0.9, "statsd": 0.7, "cloudwatch": 0.6}[convention]),
        chosen=chosen,
    )  # fmt: skip
