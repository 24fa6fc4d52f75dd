"""Stand-ins of servers: each answers as the real one's documentation says, for the tests of faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.server import Api


def prometheus_of(moments: list[float]) -> Api:
    """Return a Prometheus with one series of samples at these Unix times."""

    def answer(path: str, asked: dict[str, str], _body: bytes) -> Any:
        start, end = float(asked.get("start", 0)), float(asked.get("end", 0))
        known = [[moment, "1"] for moment in moments if start <= moment <= end]
        if path.endswith("/values"):
            return {"status": "success", "data": ["m"] if known else []}
        if path == "/api/v1/metadata":
            return {"status": "success", "data": {}}
        labels = {"__name__": "m", "b": "1", "a": "2"}
        result = [{"metric": labels, "values": known}] if known else []
        return {"status": "success", "data": {"resultType": "matrix", "result": result}}

    return answer


def _many(series: int) -> Iterator[bytes]:
    """Write an answer of so many series of ten samples, in pieces of a thousand."""
    yield b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[]}'
    values = ",".join(f'[{number},"{number}"]' for number in range(10))
    for start in range(0, series, 1_000):
        yield "".join(
            f',{{"metric":{{"pod":"{number}"}},"values":[{values}]}}'
            for number in range(start, start + 1_000)
        ).encode()
    yield b"]}}"


def prometheus(path: str, asked: dict[str, str], _body: bytes) -> Any:
    """Answer as Prometheus: one counter of two pods."""
    if "nothing" in asked:
        kind: Any = (
            [] if path.startswith("/api/v1/label/") else {"resultType": "matrix", "result": []}
        )
        return {"status": "success", "data": kind}
    if path == "/api/v1/label/__name__/values":
        return {"status": "success", "data": ["http_requests_total"]}
    if path == "/api/v1/metadata":
        return {"status": "success", "data": {"http_requests_total": [{"type": "counter"}]}}
    if path == "/api/v1/query":
        moment = float(asked.get("time", 0))
        data: Any = {"resultType": "vector", "result": [{"metric": {}, "value": [moment, "40"]}]}
        return {"status": "success", "data": data}
    if "many" in asked:
        return _many(int(asked["many"]))
    start, end, step = (float(asked[name]) for name in ("start", "end", "step"))
    shift = float(asked.get("shifted", 0))
    times = [start + number * step for number in range(int((end - start) / step) + 1)]
    result = [
        {
            "metric": {"__name__": "http_requests_total", "pod": pod},
            "values": [[time + shift, str(int(time - start))] for time in times],
        }
        for pod in ("a", "b")
    ]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}
