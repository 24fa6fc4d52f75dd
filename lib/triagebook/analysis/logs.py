"""Log lines folded to templates; what is new or multiplied; which known trouble a line speaks of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_MASKS = (
    (
        re.compile(
            r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE
        ),
        "<id>",
    ),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?\b"), "<time>"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(:\d+)?\b"), "<address>"),
    # Digits alone, or behind a point, are a number: 0.1234567890123 folds as 0.12 does.
    (
        re.compile(
            r"\b0x[0-9a-f]+\b|(?<!\.)\b(?=\d*[a-f])(?:[0-9a-f]{12,}|(?=[a-f]*\d)[0-9a-f]{6,})\b",
            re.IGNORECASE,
        ),
        "<hex>",
    ),
    (re.compile(r"(?<![\w.])(/[\w.@+-]+){2,}"), "<path>"),
    (re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?"), "<n>"),
)

TROUBLES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "pipeline.out_of_memory",
        re.compile(
            r"OOMKilled|out of memory|MemoryError|(exit|return|status)[a-z]*([ _]with)?([ _]code)?[ :=]*(137|-9)\b"
            r"|Cannot allocate memory|OutOfMemory|oom-kill|Java heap space|GC overhead limit"
            r"|SIGKILL|signal 9\b|exceed\w* (the )?memory (limit|overhead)|memory limits?[^.]{0,40}exceeded",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.disk_full",
        re.compile(
            r"No space left on device|ENOSPC|\bdisk( is| quota)? (full|exceeded)|Errno 28|DiskPressure"
            r"|not enough (free )?(disk )?space|could not extend file",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.contract_rejected",
        re.compile(
            r"(schema|contract|expectation|data|quality)[\w ]{0,20}(validation|check|suite|test)s?\b[^.\n]{0,60}\b(fail|reject|violat|not met)"
            r"|(?<![\w-])(validation|contract|expectation|quality (check|gate))s?[^.\n]{0,40}\b(failed|rejected|violated)"
            r"|ExpectationSuite|ValidationFailed|expect_(column|table|multicolumn)_\w+|\bchecks? failed|ChecksFailed|\brejected \S+ rows|SchemaErrors?\b|DataQuality\w*(Error|Exception|Failed)"
            r"|ContractViolation|quarantined \S+ rows|unexpected_count|success['\"]?: ?[Ff]alse",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.auth_expired",
        re.compile(
            r"(HTTP\S*|status\w*|code|error|response|returned|got)[ :=(/'\"]*(401|403)\b|\b(401|403)[ :](Client Error|Unauthori[sz]ed|Forbidden)|Expired\w*Signature|signature has expired"
            r"|Unauthori[sz]ed\b|\bForbidden\b|(token|credential|certificate|session|key|password)s?\b[^.\n]{0,40}\b(expired|revoked|invalid)"
            r"|(expired|invalid|revoked) (token|credential|certificate|session|password|api.?key)|ExpiredToken|permission denied"
            r"|Access ?Denied|authentication failed|password authentication|not authori[sz]ed|InvalidClientTokenId|invalid_grant",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.deploy_failed",
        re.compile(
            r"ImagePull(BackOff)?|ErrImagePull|manifest (for \S+ )?(unknown|not found)|failed to pull image"
            r"|(failed|unable|error)\w* (to )?(load|loading|deserializ\w+|unpickl\w+) (the )?(model|artifact|checkpoint|weights)"
            r"|\bModel\w*Load\w*(Error|Exception|Failed)|\b(cannot|could not|can't|refus\w+ to) load\b[^.\n]{0,30}\b(model|artifact|checkpoint|weights)"
            r"|\b(model|artifact|checkpoint|weights)\b[^\n]{0,80}\b(checksum|digest|signature|hash)( is)?[ _](mismatch|differs|does not match)"
            r"|\b(model|artifact|checkpoint|weights)\b[^\n]{0,80}\brefusing to (load|start|serve)|Error\(s\) in loading state_dict|could not find SavedModel"
            r"|model (load|loading)\w* fail|model failed to load|health ?check(s)? (failed|failing|timed out)|(readiness|liveness|startup) probe (failed|errored)"
            r"|rollout (failed|timed out)|progress deadline|deployment \S+ (failed|did not become|exceeded)"
            r"|CrashLoopBackOff|Back-off restarting failed container|did not become (ready|healthy)",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.bad_dependency_version",
        re.compile(
            r"\bImportError|ModuleNotFoundError|undefined symbol|module ['\"]?[\w.]+['\"]? has no attribute|has no attribute"
            r"|incompatible version|binary incompatib|\bABI\b|compiled (using|against)[^.\n]{0,40}(NumPy|version|API)|numpy\.dtype size changed"
            r"|(was|has been|were) removed (in|from|since) [\w ]*?v?\d|unexpected keyword argument|NoSuchMethodError|NoClassDefFoundError|ClassNotFoundException|UnsupportedClassVersion"
            r"|version (conflict|mismatch)|requires [\w\-]+ ?[<>=!~]=?|DistributionNotFound|GLIBC(XX)?_|cannot import name",
        ),
    ),
    (
        "pipeline.bad_config",
        re.compile(
            r"(missing|undefined|unset|required)[\w ]{0,20}(environment )?(variable|setting|config\w*|parameter|option|key\b)"
            r"|(variable|setting|parameter|option|config\w*|key)\b[^.\n]{0,60}\b(is |was )?(missing|not set|undefined|not defined|required|does not exist|invalid|unknown)"
            r"|(?-i:KeyError: ['\"]([A-Z][A-Z0-9_]+|[a-z_]\w*(\.\w+)+)['\"])|\b(settings|config|conf)\w*\.py\b[^\0]{0,300}?KeyError|os\.environ|invalid (value|config\w*|setting|literal for|option|choice)"
            r"|ValidationError[^\n]{0,80}[Ss]etting|\((setting|option|config\w*) [\w.]+\)|could not parse config|ConfigError|ConfigurationError|ConfigException|ImproperlyConfigured"
            r"|yaml\.\w*Error|toml\w*\.\w*Error|\bnot set\b|no such option|unrecognized arguments|must be (one of|between|a positive|greater)",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.input_missing",
        re.compile(
            r"FileNotFound|no such (file|key|table|object|partition)|NoSuchKey|(input|partition|source|upstream|file|path|table|object|dataset)s?\b[^.\n]{0,80}\b(missing|not found|does not exist|not available|not arrived|not ready|not delivered|is empty|no rows)"
            r"|Path does not exist|upstream_failed|(waiting|waited|poking) for|sensor\w* ?(timed? ?out|timeout)|Snap\. Time is OUT"
            r"|(table|relation|view)[^\n]{0,60}not found|0 (rows|files|records) (found|in)|no (data|files|rows|partition)\b[^.\n]{0,40}\bfor\b",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.dependency_down",
        re.compile(
            r"connection (was )?(refused|reset|aborted|closed)|ECONNREFUSED|ECONNRESET|(connect|read|request|operation|gateway|socket|query|statement|i/o|deadline)\w*[ _-]?(timed? ?out|timeout)"
            r"|timed? ?out (waiting for|connecting|after|while)|(HTTP\S*|status\w*|code|error|response|returned|got)[ :=(/'\"]*50[0234]\b|\b50[234] (Server Error|Bad Gateway|Service)"
            r"|unreachable|name or service not known|temporary failure in name resolution|no route to host|Service ?Unavailable|Bad Gateway"
            r"|Max retries exceeded|NewConnectionError|ConnectionError|OperationalError|could not connect|circuit (breaker )?(is )?open|server closed the connection|DEADLINE_EXCEEDED|UNAVAILABLE",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.slow",
        re.compile(
            r"AirflowTaskTimeout|(task|job|execution|run|sla)[ _]?(time ?out|timed out|deadline|missed)|(exceeded|missed|past)[^.\n]{0,30}(deadline|sla|execution time|time limit|timeout)",
            re.IGNORECASE,
        ),
    ),
    (
        "pipeline.code_error",
        re.compile(
            r"Traceback|Exception\b|\b[A-Z]\w*Error\b|panic:|Segmentation fault|AssertionError"
        ),
    ),
)
"""Cause and the pattern that speaks for it, the most telling first."""

SERVING_TROUBLES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "resources.gpu_memory",
        re.compile(
            r"CUDA (error: )?out of memory|CUDA_ERROR_OUT_OF_MEMORY|CUDNN_STATUS_ALLOC_FAILED"
            r"|failed to allocate.*(GPU|device|CUDA)|GPU memory (exhausted|allocation failed)"
            r"|RESOURCE_EXHAUSTED.*(GPU|alloc)|OutOfMemoryError: CUDA",
            re.IGNORECASE,
        ),
    ),
    (
        "resources.gpu_fault",
        re.compile(
            r"\bXid\b|fallen off the bus|GPU is lost|NVML.*(lost|unknown error)|uncorrectable ECC"
            r"|CUDA error: (unspecified launch failure|device-side|an illegal|uncorrectable|unknown)"
            r"|clocks? throttl|HW slowdown|no CUDA-capable device",
            re.IGNORECASE,
        ),
    ),
    (
        "resources.handle_leak",
        re.compile(
            r"Too many open files|EMFILE|ENFILE|pool (is )?exhausted|QueuePool limit|exhausted pool"
            r"|connection pool.*(exhaust|timeout|full)|pool timeout|connection is not available, request timed out|acquire\w* (a )?connection.*(timed? ?out|timeout)"
            r"|remaining connection slots"
            r"|too many (clients|connections)|unable to acquire.*connection|no free connections",
            re.IGNORECASE,
        ),
    ),
    (
        "latency.memory_pressure",
        re.compile(
            r"Full GC|GC overhead|allocation stall|long (GC|garbage) pause|Pause Full|to-space exhausted"
            r"|memory pressure|kswapd|high memory usage.*(swap|reclaim)|swapping",
            re.IGNORECASE,
        ),
    ),
    (
        "latency.cold_start",
        re.compile(
            r"cold.?start|warm(ing)?.?up|loading model|model loaded|compil(ing|ed) (graph|kernels)"
            r"|lazy (init|load)|Started container|Readiness probe failed|JIT",
            re.IGNORECASE,
        ),
    ),
    (
        "resources.disk_filling",
        re.compile(
            r"No space left on device|ENOSPC|disk (is )?(almost )?full|DiskPressure|low disk",
            re.IGNORECASE,
        ),
    ),
    (
        "resources.memory_leak",
        re.compile(
            r"OOMKilled|oom-kill|Out of memory: Kill|exit(ed)?( with)?( code)? 137|MemoryError|Java heap space|Cannot allocate memory",
            re.IGNORECASE,
        ),
    ),
)
"""What serving processes and kernels write when a resource gives out, the most telling first."""

_BAD = frozenset({"WARN", "WARNING", "ERROR", "CRITICAL", "FATAL"})


@dataclass(frozen=True)
class Template:
    """Lines that differ only in numbers, ids, times and paths."""

    template: str
    source: str
    severity: str
    reference: int
    current: int
    expected: float
    """Lines expected in the current window at the reference's rate."""
    first: pd.Timestamp
    example: str
    cause: str | None

    @property
    def factor(self) -> float:
        """How many times as frequent as expected (half a line counts as the least expected)."""
        return self.current / max(self.expected, 0.5)


def template_of(message: str) -> str:
    """Fold a line: ids, times, addresses, paths and numbers become placeholders; first 300 letters."""
    first = message.strip().splitlines()[0] if message.strip() else ""
    for pattern, name in _MASKS:
        first = pattern.sub(name, first)
    return first[:300]


def trouble_of(message: str) -> str | None:
    """Return the cause whose pattern a message matches first, or None."""
    for cause, pattern in TROUBLES:
        if pattern.search(message):
            return cause
    return None


def serving_trouble_of(message: str) -> str | None:
    """Return the serving trouble a message speaks of, or None."""
    for cause, pattern in SERVING_TROUBLES:
        if pattern.search(message):
            return cause
    return None


def changed_templates(
    reference: pd.DataFrame, current: pd.DataFrame, ratio: float
) -> list[Template]:
    """List warnings and errors that are new, or at least three times as frequent as before.

    Parameters
    ----------
    reference, current : DataFrame
        Columns ts, severity, source, message.
    ratio : float
        Length of the current window over the reference's.

    Returns
    -------
    list of Template
        Errors before warnings, then by factor, at most 50.
    """
    lines = current[current["severity"].astype(str).str.upper().isin(_BAD)]
    if lines.empty:
        return []
    now = lines.assign(template=lines["message"].astype(str).map(template_of))
    before = reference.assign(template="")
    before = before[before["severity"].astype(str).str.upper().isin(_BAD)]
    before = before.assign(template=before["message"].astype(str).map(template_of))
    counts = before.groupby(["source", "template"]).size()
    found = []
    for (source, template), rows in now.groupby(["source", "template"], sort=True):
        was = int(counts.get((source, template), 0))
        expected = was * ratio
        if len(rows) < 3 * expected or (was and len(rows) < 5):
            continue
        first = rows.sort_values("ts").iloc[0]
        message = str(first["message"])
        found.append(
            Template(
                str(template),
                str(source),
                str(first["severity"]).upper(),
                was,
                len(rows),
                expected,
                first["ts"],
                message,
                trouble_of(message),
            )
        )
    found.sort(key=lambda t: (t.severity in ("WARN", "WARNING"), -t.factor, t.template))
    return found[:50]
