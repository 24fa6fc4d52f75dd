from __future__ import annotations

import base64

import pytest

from triagebook.core.errors import NotAuthenticatedError, SettingsError
from triagebook.core.settings import IntakeSettings
from triagebook.intake.credentials import check_authorization


@pytest.fixture
def both(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setenv("TEST_INTAKE_PASSWORD", "pässword:x")
    return IntakeSettings(
        token={"file": "token"}, user="am", password={"env": "TEST_INTAKE_PASSWORD"}
    )


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "header",
    ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret ", basic("am:pässword:x")],
)
def test_the_right_credentials_pass(both, tmp_path, header):
    check_authorization({"authorization": header}, both, tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer s3cre",
        "Bearer s3cret2",
        "Bearer S3CRET",
        "Bearer s3cret s3cret",
        "s3cret",
        "Token s3cret",
        "Basic s3cret",
        "Basic !!!",
        "Basic é",
        "Bearer \udc80\ud800x".replace("\ud800", ""),
        "Bearer €",
        basic("am:"),
        basic(":pässword:x"),
        basic("am:pässword"),
        basic("s3cret"),
    ],
)
def test_wrong_credentials_do_not(both, tmp_path, header):
    with pytest.raises(NotAuthenticatedError) as caught:
        check_authorization({"authorization": header}, both, tmp_path)
    assert "s3cret" not in str(caught.value)


def test_no_header_at_all(both, tmp_path):
    with pytest.raises(NotAuthenticatedError):
        check_authorization({}, both, tmp_path)


def test_a_scheme_that_is_not_configured_is_refused(tmp_path):
    (tmp_path / "token").write_text("t")
    only_token = IntakeSettings(token={"file": "token"})
    with pytest.raises(NotAuthenticatedError):
        check_authorization({"authorization": basic(":")}, only_token, tmp_path)


def test_a_token_beyond_ascii_arrives_as_bytes(tmp_path):
    (tmp_path / "token").write_text("gehéim", encoding="utf-8")
    settings = IntakeSettings(token={"file": "token"})
    as_received = "Bearer " + "gehéim".encode().decode("latin-1")
    check_authorization({"authorization": as_received}, settings, tmp_path)


@pytest.mark.parametrize("content", ["", "\n", None])
def test_an_empty_or_missing_secret_lets_nobody_in(tmp_path, content):
    if content is not None:
        (tmp_path / "token").write_text(content)
    settings = IntakeSettings(token={"file": "token"})
    with pytest.raises(SettingsError):
        check_authorization({"authorization": "Bearer "}, settings, tmp_path)
