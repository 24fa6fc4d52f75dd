"""Building: the settings load, the same seed gives the same bytes, the cache is whole or not used."""

import shutil
import stat
import subprocess
import sys

import pytest

from triagebook.core.errors import NotFoundError, SettingsError
from triagebook.core.settings import load_settings
from triagebook.drills.worlds.flight_delay import World, build
from triagebook.drills.worlds.flight_delay.build import _key


def contents(world):
    files = [world.root / "triagebook.toml", *world.data.rglob("*")]
    return {str(f.relative_to(world.root)): f.read_bytes() for f in files if f.is_file()}


@pytest.fixture
def service(faulty):
    return load_settings(faulty.root / "triagebook.toml").service("flight-delay")


def test_the_settings_load_and_every_path_is_there(faulty, service):
    pulls = [*service.metrics, *service.logs, *service.changes, *service.pipeline,
             *service.tables.values()]  # fmt: skip
    assert len(pulls) == 9
    for pull in pulls:
        assert (faulty.root / pull.path).is_file()
    assert service.replayed_to == faulty.at
    assert (service.window, service.reference) == (48 * 3600, 56 * 86_400)


def test_the_tables_have_the_columns_that_the_settings_name(faulty, service):
    import pyarrow.parquet as pq  # noqa: PLC0415 - one test needs it

    roles = {name: pull.role for name, pull in service.tables.items()}
    assert roles == {"flights": "raw", "weather": "raw", "features": "features",
                     "predictions": "predictions", "labels": "labels"}  # fmt: skip
    for pull in service.tables.values():
        schema = pq.read_schema(faulty.root / pull.path)
        named = [pull.time_column, pull.label_time_column, pull.local_time_column, pull.score,
                 pull.prediction, pull.label, pull.model_version]  # fmt: skip
        named += [*pull.key_columns, *pull.feature_columns, *pull.unit, *pull.importance]
        assert {name for name in named if name} <= set(schema.names)
        for name, kind in (pull.expected_schema or {}).items():
            found = str(schema.field(name).type).removeprefix("large_")
            assert found == kind


def test_importance_sums_to_one(service):
    assert sum(service.importance.values()) == pytest.approx(1.0)
    assert min(service.importance.values()) >= 0
    assert service.tables["predictions"].importance == service.importance


def test_the_alerts_labels_find_their_route(faulty):
    settings = load_settings(faulty.root / "triagebook.toml")
    route = next(route for route in settings.routes if route.matches(faulty.labels))
    assert (route.service, str(route.incident_type)) == ("flight-delay", "drift")
    assert "feature" not in faulty.labels


def test_the_token_is_secret_and_kept(faulty, cache):
    path = faulty.root / "state" / "intake-token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    settings = load_settings(faulty.root / "triagebook.toml")
    token = settings.intake["alertmanager"].token.value(faulty.root)
    assert len(token) >= 32
    build(faulty.root, cache=cache)
    assert settings.intake["alertmanager"].token.value(faulty.root) == token


def test_tokens_of_two_homes_differ(faulty, healthy):
    first, second = (w.root / "state" / "intake-token" for w in (faulty, healthy))
    assert first.read_text() != second.read_text()


def test_the_cache_gives_the_same_files_and_says_so(faulty, tmp_path, cache):
    said = []
    assert contents(build(tmp_path, cache=cache, progress=said.append)) == contents(faulty)
    assert said == ["taking the world from the cache"]


def test_the_cache_key_depends_on_fault_and_seed():
    assert len({_key("unit_change", 0), _key("unit_change", 1), _key(None, 0)}) == 3


def test_a_damaged_cache_is_made_again_to_the_same_bytes(faulty, tmp_path, cache):
    name = f"flight-delay-{_key('unit_change', 0)}"
    own = tmp_path / "cache"
    shutil.copytree(cache / name, own / name)
    damaged = own / name / "data" / "metrics.parquet"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    said = []
    world = build(tmp_path / "home", cache=own, progress=said.append)
    assert contents(world) == contents(faulty)
    assert damaged.read_bytes() == whole
    assert len(said) > 1
    assert [path.name for path in own.iterdir()] == [name]


def test_a_world_reads_back_as_it_was_built(faulty):
    assert World.read(faulty.root) == faulty
    assert faulty.truth.cause == "data.unit_change"
    assert faulty.truth.locus == "column:flights.distance"
    assert any("Simulated" in note for note in faulty.notes)


def test_what_is_simulated_is_said_in_the_settings_too(faulty):
    text = (faulty.root / "triagebook.toml").read_text(encoding="utf-8")
    assert all(note in text for note in faulty.notes)


def test_an_empty_folder_is_no_world(tmp_path):
    with pytest.raises(NotFoundError, match="init --demo"):
        World.read(tmp_path)


def test_an_unknown_fault_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="'gremlins'"):
        build(tmp_path, fault="gremlins")


def test_importing_the_world_loads_neither_pandas_nor_scikit_learn():
    code = (
        "import sys, triagebook.drills.worlds.flight_delay, triagebook.drills.alert\n"
        "print({'pandas', 'sklearn', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
