"""What a metric measures, read from the words of its name and labels, whatever the naming convention.

Names of Prometheus, OpenTelemetry, StatsD and CloudWatch are cut into words; rules on the words, the
more special first, give one measure. Nothing depends on a whole name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from triagebook.analysis.metric_words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TIME_UNITS = frozenset(
    {
        "seconds",
        "second",
        "ms",
        "us",
        "ns",
        "milliseconds",
        "microseconds",
        "millis",
        "micros",
        "sec",
    }
)

_NO_REQUEST = frozenset({"gc", "garbage", "task", "job", "dag", "gpu", "cache", "disk", "pool"})
_HANDLING = frozenset(
    {
        "request",
        "predict",
        "call",
        "inference",
        "processing",
        "handler",
        "handling",
        "time",
        "http",
        "grpc",
        "serving",
        "response",
        "wait",
        "queue",
    }
)
_UNDER_WAY = frozenset({"running", "wait", "ongoing", "processing", "executing"})
"""With "request": how many there are at a moment, no count of them."""
_OUT = frozenset(
    {
        "client",
        "upstream",
        "outbound",
        "dependency",
        "downstream",
        "external",
        "backend",
        "callee",
        "egress",
        "remote",
    }
)
_DURATION = frozenset(
    {
        "timing",
        "timings",
        "timer",
        "latency",
        "duration",
        "elapsed",
        "ttft",
        "rtt",
        "took",
        "latencies",
    }
)
_SIZE = frozenset({"size", "bytes", "length", "token", "kb", "kib"})


def measure_of(
    name: str, labels: Mapping[str, str] | None = None, known: Iterable[str] = ()
) -> str:
    """Say what a metric measures.

    Parameters
    ----------
    name : str
        The metric's name as scraped.
    labels : mapping
        Its labels; `mode`, `state`, `type`, `status` and the like refine the answer.
    known : iterable of str
        Names of services, hosts and tasks: where they stand inside the name (StatsD), they are no
        part of what is measured.

    Returns
    -------
    str
        Such as "latency", "memory_used", "cpu_throttled"; "other" where no rule holds.
    """
    for one in sorted(known, key=len, reverse=True):
        if len(one) >= 3 and one in name:
            name = re.sub(rf"(?<![a-zA-Z0-9]){re.escape(one)}(?![a-zA-Z0-9])", ".", name)
    words = words_of(name)
    if words and words[-1] == "count" and len(words) > 1:
        # The count beside a sum of durations or sizes counts events: requests, not seconds.
        counted = [w for w in words[:-1] if w not in _DURATION | _TIME_UNITS | _SIZE]
        if len(counted) < len(words) - 1 and not set(counted) & _NO_REQUEST:
            counted.append("request")
        words = [*counted, "count"]
    if "per" in words:
        words = [
            w for w in words if w not in _TIME_UNITS | {"minute", "hour"}
        ]  # a rate, no duration
    has = frozenset(words)
    if any("gpu" in words_of(key) for key in labels or {}):
        has |= {"gpu"}  # of which card a label says; what is told so is told of a card
    kind = _by_label(labels or {})
    # kube-state-metrics names the resource in a label, not in the metric.
    if "resource" in has and has & {"limit", "request"}:
        resource = (labels or {}).get("resource", "")
        return {"memory": "memory_limit", "cpu": "cpu_limit"}.get(resource, "other")
    if "reason" in has and "terminated" in has:
        return "oom_kills" if (labels or {}).get("reason") == "OOMKilled" else "restarts"
    for family in (
        _gpu,
        _garbage,
        _host_pressure,
        _quality,
        _cache,
        _cpu,
        _memory,
        _disk,
        _handles,
    ):
        found = family(has, kind)
        if found:
            return found
    return _traffic(has, words)


def _by_label(labels: Mapping[str, str]) -> str:
    for key in ("mode", "state", "cpu_mode", "system_cpu_state", "type", "result", "outcome"):
        value = labels.get(key)
        if value:
            return value.lower()
    for key, value in sorted(labels.items()):
        if key.rpartition("_")[2].rpartition(".")[2] in ("mode", "state"):
            return value.lower()
    return ""


def _gpu(has: frozenset[str], kind: str) -> str:
    if "xid" in has:
        return "gpu_xid"
    if not has & {"gpu", "vram"}:
        return ""
    if has & {"ecc", "retired", "remapped"}:
        return "gpu_ecc"
    if has & {"throttle", "violation", "slowdown"}:
        return "gpu_throttle"
    if has & {"clock", "clocks"}:
        return "gpu_clock"
    if has & {"temp", "temperature"}:
        return "gpu_temperature"
    if has & {"lost", "health", "error", "fault"}:
        return "gpu_error"
    if has & {"memory", "fb", "vram", "framebuffer"}:
        if has & {"free", "available"} or kind == "free":
            return "gpu_memory_free"
        if has & {"total", "limit", "max", "size"} and "used" not in has:
            return "gpu_memory_total"
        return "gpu_memory_share" if has & {"share"} else "gpu_memory_used"
    if has & {"power", "energy", "fan"}:
        return "gpu_power"
    if has & {"share", "usage", "busy", "sm", "dutycycle", "duty"}:
        return "gpu_busy"
    return "gpu_other"


def _garbage(has: frozenset[str], kind: str) -> str:
    del kind
    if has & {"gc", "garbage"} and not has & {"object", "objects", "uncollectable"}:
        return "gc_count" if has & {"count", "collection"} and not has & _TIME_UNITS else "gc_time"
    return ""


def _quality(has: frozenset[str], kind: str) -> str:
    del kind
    if has & {
        "psi",
        "drift",
        "accuracy",
        "auc",
        "auroc",
        "precision",
        "recall",
        "mae",
        "rmse",
        "logloss",
    }:
        return "quality"
    if (
        "score" in has
        or ("positive" in has and "share" in has)
        or "label" in has
        or "labels" in has
    ):
        return "quality"
    return ""


def _cache(has: frozenset[str], kind: str) -> str:
    cached = has & {"cache", "redis", "memcached", "memcache", "keyspace", "lookup", "lookups"}
    if not cached and has & {"http", "grpc", "page", "request"} and "hit" in has:
        return ""  # hits of a site are requests
    if "hitratio" in has or ("hit" in has and has & {"share", "rate"} and "total" not in has):
        return "cache_hit_share"
    if "miss" in has and "share" in has:
        return "cache_miss_share"
    if "miss" in has or (cached and kind in ("miss", "misses")):
        return "cache_misses"
    if "hit" in has or (cached and kind in ("hit", "hits")):
        return "cache_hits"
    if "eviction" in has:
        return "cache_evictions"
    if "cache" in has and "request" in has:
        return "other"  # what a cache is asked is no traffic of the service
    return ""


def _host_pressure(has: frozenset[str], kind: str) -> str:
    del kind
    if has & {"pressure", "psi", "stall"}:
        for resource in ("memory", "cpu", "io"):
            if resource in has:
                return f"{resource}_stall"
    if "swap" in has or has & {"swapped", "pswpin", "pswpout"}:
        return "swap_free" if has & {"free", "total", "limit", "available"} else "swap"
    if has & {"pgmajfault", "majflt"} or ("fault" in has and has & {"major", "page", "maj"}):
        return "major_faults"
    if "oom" in has or "oomkilled" in has:
        return "oom_kills"
    return ""


def _cpu(has: frozenset[str], kind: str) -> str:
    if "throttle" in has:
        return "cpu_throttled"
    if "period" in has and has & {"cfs", "cpu"}:
        return "cpu_periods"
    if "steal" in has and ("cpu" in has or "time" in has or has & {"share"}):
        return "cpu_steal"
    if has & {"load1", "load5", "load15"} or (
        "load" in has and has & {"1", "5", "15", "average", "avg"}
    ):
        return "load"
    if "cpu" not in has:
        return ""
    if kind == "steal":
        return "cpu_steal"
    if kind == "idle" or "idle" in has:
        return "cpu_idle"
    if kind in ("iowait", "wait", "nice", "irq", "softirq") or "iowait" in has:
        return "cpu_wait"
    if has & {"limit", "max", "request"} and not has & {"share", "usage", "used"}:
        return "cpu_limit"
    if has & {"count", "number"} and not has & _TIME_UNITS:
        return "cpu_limit"
    if "share" in has and not has & {"seconds", "total"}:
        return "cpu_share"
    return "cpu_used"


def _memory(has: frozenset[str], kind: str) -> str:
    if not (has & {"memory", "workingset"} or {"working", "set"} <= has):
        return ""
    if has & {"limit", "max", "total"} and not has & {
        "used",
        "usage",
        "share",
        "working",
        "resident",
    }:
        return "memory_limit"
    if has & {"request"} and not has & {"usage", "used", "share", "bytes"}:
        return "memory_limit"
    if has & {"available", "free"} or kind in ("free", "available"):
        return "memory_free"
    if has & {"error", "failcnt"}:
        return "oom_kills"
    if kind in ("buffered", "cached", "buffers", "slab_reclaimable", "slab_unreclaimable"):
        return "memory_cached"
    if has & {"cached", "buffers", "buffered", "slab"}:
        return "memory_cached"
    return "memory_share" if "share" in has else "memory_used"


_OF_DATA = frozenset({"range", "null", "nulls", "distance", "drift", "psi", "distinct", "check"})
"""Words of a table's quality: "fs" in such a name is a feature store."""


def _disk(has: frozenset[str], kind: str) -> str:
    if "io" in has and has & {"written", "write", "writes"}:
        return "disk_writes"
    if not has & {"disk", "inodes", "inode"} or has & _OF_DATA:
        return ""
    if has & {"inodes", "inode"}:
        return "inodes_free" if has & {"free", "available"} else "inodes_used"
    if has & {"free", "available"} or kind == "free":
        return "disk_free_share" if "share" in has else "disk_free"
    if has & {"written", "write", "writes"} or kind == "write":
        return "disk_writes"
    if has & {"read", "reads"} or kind == "read":
        return "disk_reads"
    if has & {"io", "iops", "queue", "operations", "ops"}:
        return "disk_io"
    if "error" in has:
        return "disk_errors"
    if has & {"share"}:
        return "disk_used_share"
    if has & {"size", "total", "limit"} and not has & {"used", "usage"}:
        return "disk_size"
    return "disk_used"


def _handles(has: frozenset[str], kind: str) -> str:
    files = bool(has & {"file", "files"} and has & {"open", "limit", "max"})
    if has & {"fd", "handle", "descriptors", "filedescriptors"} or files:
        return "handles_limit" if has & {"max", "limit"} else "handles_open"
    if has & {"connection", "socket", "pool"}:
        if has & {"wait", "pending", "queue"} or kind == "pending":
            return "pool_wait"
        if has & _TIME_UNITS or has & {"duration", "latency"}:
            return "pool_wait"
        if "error" in has or "timeout" in has or "refused" in has:
            return "errors"
        if has & {"max", "limit", "size"} and not has & {"used", "active", "open", "usage"}:
            return "connections_limit"
        if "idle" in has or kind == "idle":
            return "connections_idle"
        return "connections_share" if "share" in has else "connections_open"
    if "thread" in has:
        return "threads"
    return ""


def _traffic(has: frozenset[str], words: list[str]) -> str:
    timed = bool(has & _DURATION) or {"response", "time"} <= has or {"first", "token"} <= has
    timed = timed or {"round", "trip"} <= has
    timed = timed or ("time" in has and bool(has & {"predict", "inference", "infer", "scoring"}))
    timed = timed or bool(has & _TIME_UNITS and has & _HANDLING)
    of_task = has & {
        "task",
        "job",
        "dag",
        "run",
        "dagrun",
        "ti",
        "pipeline",
        "workflow",
        "flow",
        "step",
        "stage",
    }
    if has & {"restart"}:
        return "restarts"
    if has & {"uptime"} or ("start" in has and "time" in has) or {"started", "at"} <= has:
        return "uptime"
    if has & {"cold"} and has & {"start", "starts"}:
        return "cold_starts"
    if has & {"lag", "freshness", "staleness", "age"}:
        return "freshness"
    if (
        "queue" in has
        or {"active", "request"} <= has
        or has & {"backlog", "inflight", "pending", "concurrent", "concurrency", "queued"}
        or {"in", "flight"} <= has
        or {"in", "progress"} <= has
        or ("request" in has and not timed and has & _UNDER_WAY)
    ):
        return "queue_time" if timed else "queue_depth"
    if timed and of_task and not has & {"request"}:
        return "task_time"
    if timed:
        inner = {
            "inference",
            "infer",
            "predict",
            "prediction",
            "compute",
            "forward",
            "model",
            "scoring",
        }
        if has & inner and not has & {"request", "http", "grpc", "client"}:
            return "inference_time"
        if (
            has & {"model", "predict", "inference", "infer"}
            and has & {"compute", "execution", "request"}
            and "http" not in has
        ):
            return "inference_time"
        if has & {"timeout"}:
            return "errors"
        return "dependency_latency" if has & _OUT else "latency"
    if has & {"batch"} and has & {"size", "row", "items", "rows"}:
        return "batch_size"
    if "request" in has and has & {"items", "row"}:
        return "batch_size"
    if has & {"payload", "body"} or (
        has & {"request", "message", "input", "response", "prompt"} and has & _SIZE
    ):
        return "response_size" if "response" in has else "payload"
    if has & {"error", "timeout", "rejected", "5", "dropped", "aborted"} and not has & {"row"}:
        return "task_errors" if of_task else "errors"
    if has & {"retry"}:
        return "retries"
    if has & {"availability", "success", "successes", "succeeded"}:
        return "availability" if has & {"availability", "share", "rate"} else "successes"
    if has & {"network", "net"} or (
        has & {"receive", "transmit", "rx", "tx", "ingress", "egress"} and "bytes" in has
    ):
        return "network"
    if has & {"replica", "instances", "workers"} or {"deployment", "available"} <= has:
        return "replicas"
    if {"running", "task", "count"} <= has:
        return "replicas"
    if words[-2:] == ["fault", "count"]:
        return "errors"
    if has & {"row", "items", "events", "messages"}:
        return "rows"
    if has & {"request", "rps", "qps", "throughput", "call", "tps", "prediction", "traffic", "rpm"}:
        return "dependency_traffic" if has & _OUT else "traffic"
    if "http" in has and has & {"count", "total", "hit"}:
        return "traffic"
    if "handled" in has:
        return "traffic"
    if words and words[-1] == "load":
        return "load"
    if has & {"up", "healthy", "ready", "health"}:
        return "health"
    if (words and "frequency" in has) or has & {"mhz", "ghz"}:
        return "clock"
    return "other"
