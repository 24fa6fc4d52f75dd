"""What every source keeps, whoever wrote it. A new one adds a `World` to `WORLDS` and is tested."""

from __future__ import annotations

import json
import pickle
import shutil
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from tests.faults import apis
from tests.faults.server import faulty
from tests.git_repository import Repository
from triagebook.core.errors import SourceError
from triagebook.core.models import Change, TaskRun
from triagebook.sources.base import Answer, OwnSettings, Question, Source, Stop
from triagebook.sources.frames import LOG_COLUMNS, METRIC_COLUMNS
from triagebook.sources.kinds import REGISTRIES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.server import Api

T0 = datetime(2013, 6, 4, 14, tzinfo=UTC)
T1 = T0 + timedelta(hours=1)
SECOND = timedelta(seconds=1)
# Two of these lie in the window: its start, and the last second before its end.
MOMENTS = [T0 - SECOND, T1, T0, T1 - SECOND]


def lines(root: Path, **row: Any) -> dict[str, Any]:
    """Write one row a moment, out of order, and return the keys of the pull."""
    ts = "start" if "task" in row else "ts"
    rows = [{**row, ts: moment.isoformat()} for moment in MOMENTS]
    (root / "f.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return {"path": "f.jsonl"}


def served(root: Path, moments: Callable[[list[float]], Api]) -> str:
    """Run a stand-in of a server that knows MOMENTS, until `root` is emptied; return its address."""
    (root / "server").write_text("is up")
    api = moments(sorted(moment.timestamp() for moment in MOMENTS))

    def answer(path: str, asked: dict[str, str], body: bytes) -> Any:
        return api(path, asked, body) if (root / "server").exists() else None

    return SERVERS.enter_context(faulty("healthy", answer, root)).url


def committed(root: Path) -> dict[str, Any]:
    """Commit at each of MOMENTS, the latest last."""
    repository = Repository(root / "repository")
    for moment in sorted(MOMENTS):
        repository.commit("c", moment)
    return {"path": "repository"}


SERVERS = ExitStack()


@pytest.fixture(autouse=True)
def _servers_end():
    with SERVERS:
        yield


# How a source of each kind and name is given MOMENTS to answer from.
WORLDS: dict[tuple[str, str], Callable[[Path], dict[str, Any]]] = {
    ("metrics", "files"): lambda root: lines(root, name="m", value=1, labels={"b": 1, "a": 2}),
    ("metrics", "prometheus"): lambda root: {
        "url": served(root, apis.prometheus_of),
        "names": ["m"],
        "scrape_interval": 1,
        "points": 3_600,
    },
    ("logs", "files"): lambda root: lines(root, message="m", attributes={"b": 1, "a": 2}),
    ("tables", "files"): lambda root: lines(root, x=1),
    ("changes", "files"): lambda root: lines(root, what="w", kind="deploy"),
    ("changes", "git"): committed,
    ("pipeline", "files"): lambda root: lines(root, task="t", pipeline="p"),
}
SOURCES = [(kind, name) for kind, registry in REGISTRIES.items() for name in registry.names()]
each = pytest.mark.parametrize(("kind", "name"), SOURCES)


def built(kind: str, name: str, root: Path) -> Source:
    assert (kind, name) in WORLDS, f"say in WORLDS how {kind} source {name!r} is given rows"
    plugin = REGISTRIES[kind].get(name)
    return plugin(plugin.Settings.model_validate(WORLDS[kind, name](root)), root)


def asked(kind: str, name: str, root: Path, window: tuple[datetime, datetime]) -> Answer:
    column = "ts" if kind == "tables" else None
    return built(kind, name, root).pull(Question(window, column))


@each
def test_settings_forbid_unknown_keys(kind, name):
    model = REGISTRIES[kind].get(name).Settings
    assert issubclass(model, OwnSettings)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model.model_validate({"no_such_key": 1})


@each
def test_settings_do_not_use_the_keys_of_every_pull(kind, name):
    assert not {"source", "budget"} & set(REGISTRIES[kind].get(name).Settings.model_fields)


@each
def test_the_window_is_kept_in_utc_and_sorted(kind, name, tmp_path):
    answer = asked(kind, name, tmp_path, (T0, T1))
    assert times(kind, answer.rows) == [T0, T1 - SECOND]
    assert answer.newest == T1 - SECOND
    assert answer.newest.utcoffset() == timedelta(0)
    assert answer.query
    assert answer.total_rows is None
    assert not answer.partial


@each
def test_an_empty_window_is_no_error_and_has_the_columns(kind, name, tmp_path):
    answer = asked(kind, name, tmp_path, (T0 - 9 * SECOND, T0 - 8 * SECOND))
    assert len(answer.rows) == 0
    assert answer.newest is None
    if kind in ("metrics", "logs"):
        assert tuple(answer.rows.columns) == (METRIC_COLUMNS if kind == "metrics" else LOG_COLUMNS)


@each
def test_a_glance_counts_without_a_window(kind, name, tmp_path):
    column = "ts" if kind == "tables" else None
    glance = built(kind, name, tmp_path).glance(Question((T0, T0), column))
    assert glance.rows in (None, 4)
    assert glance.newest in (None, T1)


@each
def test_failures_are_source_errors_that_survive_a_process(kind, name, tmp_path):
    source = built(kind, name, tmp_path)
    for path in tmp_path.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(SourceError) as caught:
        source.pull(Question((T0, T1), "ts"))
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert str(again) == str(caught.value)
    assert again.hint


@each
def test_a_question_stopped_before_it_is_asked_ends(kind, name, tmp_path):
    stop = Stop()
    stop.stop()
    source, question = built(kind, name, tmp_path), Question((T0, T1), "ts", stop)
    outcomes: list[object] = []

    def pull() -> None:
        try:
            outcomes.append(source.pull(question))
        except SourceError as error:
            outcomes.append(error)

    thread = threading.Thread(target=pull, daemon=True)
    thread.start()
    thread.join(30)
    assert isinstance(outcomes[0], Answer | SourceError)


def times(kind: str, rows: Any) -> list[datetime]:
    if kind == "tables":
        assert isinstance(rows, pa.Table)
        return [moment.astimezone(UTC) for moment in rows["ts"].to_pylist()]
    if kind in ("metrics", "logs"):
        assert isinstance(rows, pd.DataFrame)
        assert str(rows["ts"].dtype) == "datetime64[us, UTC]"
        key = "labels" if kind == "metrics" else "attributes"
        # Prometheus' labels are texts.
        assert set(rows[key]) <= {'{"a": 2, "b": 1}', '{"a": "2", "b": "1"}'}
        return [moment.to_pydatetime() for moment in rows["ts"]]
    if kind == "changes":
        return [Change.model_validate(row).ts for row in rows]
    starts = [TaskRun.model_validate(row).start for row in rows]
    return [start for start in starts if start is not None]
