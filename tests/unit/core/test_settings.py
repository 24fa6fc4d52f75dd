"""Every kind of mistake in triagebook.toml is told with its place, and what is right is read."""

import pytest

from triagebook.core.errors import NotFoundError, SettingsError
from triagebook.core.models import IncidentType
from triagebook.core.settings import RouteSettings, line_of, load_settings


def write(tmp_path, text):
    path = tmp_path / "triagebook.toml"
    path.write_text(text, encoding="utf-8")
    return path


def mistake(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    return [line.removeprefix(f"{path}:") for line in caught.value.message.splitlines()]


def test_several_mistakes_are_told_at_once_each_with_its_line(tmp_path):
    said = mistake(tmp_path, "budgt = 3\n\n[server]\nport = 'x'\nhots = 'a'\n")
    assert len(said) == 3
    assert {line.partition(":")[0] for line in said} == {"1", "4", "5"}
    assert any("did you mean 'budget'" in line for line in said)
    assert any("did you mean 'host'" in line for line in said)


def test_a_key_like_no_other_is_told_without_a_guess(tmp_path):
    (said,) = mistake(tmp_path, "[server]\nzzzzzz = 1\n")
    assert said == "2: unknown key 'server.zzzzzz'"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[sources.lake]\nformat = 'csv'\n", 1, "'sources.lake.type' is missing"),
        ("budget = 0\n", 1, "greater than 0"),
        ("budget = 'soon'\n", 1, "expected a duration"),
        ("[[service]]\nname = 'a'\nprice = -1\n", 3, "greater than or equal to 0"),
        ("[[service]]\nname = 'a'\n[[service]]\nname = 'b'\nkind = 'x'\n", 5, "'model'"),
        ("[[service]]\nkind = 'model'\n", 1, "'service.0.name' is missing"),
        ("[[service]]\nname='a'\n[[service.topology]]\nfrom='x'\n", 3, "topology.0.to"),
        ("[[route]]\n[route.match]\nx = '('\n", 2, "no regular expression"),
        ("[[route]]\nmatch = {a = 1}\n", 2, "valid string"),
        ("server = 3\n", 1, "server"),
        ("[[service]]\nname = 'a'\nowners = 'me'\n", 3, "valid list"),
    ],
)
def test_a_wrong_value_is_told_at_its_line(text, line, said, tmp_path):
    found = mistake(tmp_path, text)
    assert any(said in one for one in found)
    assert {one.partition(":")[0] for one in found} == {str(line)}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_what_cannot_be_read_is_told(content, tmp_path):
    path = tmp_path / "triagebook.toml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(path)


def test_a_wrong_value_of_the_environment_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIAGEBOOK_SERVER__PORT", "many")
    with pytest.raises(SettingsError, match=r"server\.port.*many"):
        load_settings(write(tmp_path, ""))


def test_an_empty_file_is_all_defaults(tmp_path):
    settings = load_settings(write(tmp_path, ""))
    assert settings.budget == 10
    assert settings.services == settings.routes == []
    assert settings.server.port == 8642


def test_a_service_is_found_by_name_and_the_nearest_is_named(tmp_path):
    settings = load_settings(
        write(tmp_path, '[[service]]\nname = "flight-delay"\nwindow = "6h"\nreference = "4w"\n')
    )
    service = settings.service("flight-delay")
    assert (service.window, service.reference) == (21_600, 2_419_200)
    assert service.as_evidence().name == "flight-delay"
    assert service.as_evidence().criticality == "medium"
    with pytest.raises(NotFoundError, match="there are: flight-delay") as caught:
        settings.service("flight-dealy")
    assert "'flight-delay'" in caught.value.hint
    with pytest.raises(NotFoundError) as caught:
        settings.service("zzz")
    assert "[[service]]" in caught.value.hint


@pytest.mark.parametrize(
    ("match", "labels", "hit"),
    [
        ({"a": "x"}, {"a": "x", "b": "y"}, True),
        ({"a": "x"}, {"b": "x"}, False),
        ({"a": "x"}, {"a": "xx"}, False),
        ({"a": "x+"}, {"a": "xx"}, True),
        ({"a": "x+"}, {"a": "x+"}, True),  # the value as it stands
        ({"a": "x", "b": "y"}, {"a": "x"}, False),
        ({"a": ".*"}, {"a": ""}, True),
        ({}, {"a": "x"}, True),
    ],
)
def test_a_route_matches_values_and_whole_expressions(match, labels, hit):
    assert RouteSettings(match=match).matches(labels) == hit


def test_a_routes_type_that_nobody_knows_is_the_generic_one():
    assert RouteSettings(match={}, incident_type="gremlins").incident_type is IncidentType.UNKNOWN


TEXT = """
budget = "5s"
[[service]]
name = "a"
[service.tables.x]
role = "raw"
[[service]]
name = "b"
[service.tables.x]
path = "p"
"""


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (["budget"], 2),
        (["service", 0, "name"], 4),
        (["service", 0, "tables", "x", "role"], 6),
        (["service", 1, "name"], 8),
        (["service", 1, "tables", "x", "path"], 10),
        (["service", 1, "tables", "x", "role"], 9),  # not there: its table
        (["service", 2, "name"], None),
        (["nothing"], None),
    ],
)
def test_a_key_is_found_in_the_text(where, line):
    assert line_of(TEXT, where) == line


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_database_is_named_without_its_password(tmp_path, scheme):
    settings = load_settings(write(tmp_path, f'[server]\ndatabase = "{scheme}://me@db/triage"\n'))
    assert settings.server.database_url(tmp_path) == "postgresql+psycopg://me@db/triage"


def test_a_database_may_be_a_secret_as_a_whole(tmp_path, monkeypatch):
    settings = load_settings(write(tmp_path, "[server]\ndatabase = { file = 'url' }\n"))
    with pytest.raises(SettingsError, match="url cannot be read"):
        settings.server.database_url(tmp_path)
    (tmp_path / "url").write_text("postgresql://me:s3cret@db/triage\n")
    assert settings.server.database_url(tmp_path) == "postgresql+psycopg://me:s3cret@db/triage"

    settings = load_settings(write(tmp_path, "[server]\ndatabase = { env = 'DB_URL' }\n"))
    monkeypatch.setenv("DB_URL", "mysql://me:s3cret@db/triage")
    with pytest.raises(SettingsError, match="postgresql://") as caught:
        settings.server.database_url(tmp_path)
    assert "s3cret" not in str(caught.value)


def test_without_a_database_it_is_sqlite(tmp_path):
    assert load_settings(write(tmp_path, "")).server.database_url(tmp_path) is None


@pytest.mark.parametrize(
    ("database", "says"),
    [
        ("postgresql://me:s3cret@db/triage", "never written here"),
        ("sqlite:///x.db", "postgresql://"),
        ("db.example.com", "postgresql://"),
    ],
)
def test_a_database_that_cannot_be_is_refused_and_its_password_is_not_repeated(
    tmp_path, database, says
):
    (said,) = mistake(tmp_path, f'[server]\ndatabase = "{database}"\n')
    assert said.startswith("2: ")
    assert says in said
    assert "s3cret" not in said


@pytest.mark.parametrize(("number", "right"), [(-1, False), (0, True), (64, True), (65, False)])
def test_notebooks_at_once_from_none_to_64(tmp_path, number, right):
    text = f"[server]\nconcurrency = {number}\n"
    if right:
        assert load_settings(write(tmp_path, text)).server.concurrency == number
    else:
        assert "2: " in mistake(tmp_path, text)[0]
