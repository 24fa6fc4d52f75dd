"""MLflow: what each event of its registry becomes, what proves it, and what is not understood."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from pathlib import Path

import pytest

from triagebook.core.errors import (
    IntakeUnavailableError,
    NotAuthenticatedError,
    NotUnderstoodError,
)
from triagebook.core.settings import IntakeSettings
from triagebook.intake.sender import Announcing, Delivery, announcing
from triagebook.intake.senders.mlflow import MLflow

SAMPLES = Path(__file__).parents[2] / "payloads" / "mlflow"
AT = dt.datetime(2013, 6, 4, 14, 5, 3, 444_000, tzinfo=dt.UTC)
MODEL, PROMPT = "flight-delay-model", "delay-letter"


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def changed(event: str, **data: object) -> bytes:
    document = json.loads(sample(event))
    document["data"] |= data
    return json.dumps(document).encode()


def headers(body: bytes, age_s: float = 0, name: str = "d1", secret: bytes = b"s3cret") -> dict:
    stamp = str(int(dt.datetime.now(dt.UTC).timestamp() - age_s))
    made = hmac.new(secret, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "x-mlflow-delivery-id": name,
        "x-mlflow-timestamp": stamp,
        "x-mlflow-signature": f"v1,{base64.b64encode(made).decode()}",
    }


# --- what it becomes -----------------------------------------------------------------------------

WHAT = {
    "registered_model_created": (MODEL, "model", f"model {MODEL} registered", None, None),
    "model_version_created": (MODEL, "model", MODEL, "8", "latest"),
    "model_version_tag_set": (
        MODEL,
        "config",
        f"{MODEL} version 8 tag checked_by",
        "ml-platform",
        None,
    ),
    "model_version_tag_deleted": (
        MODEL,
        "config",
        f"{MODEL} version 8 tag checked_by deleted",
        None,
        None,
    ),
    "model_version_alias_created": (MODEL, "model", MODEL, "8", "champion"),
    "model_version_alias_deleted": (
        MODEL,
        "config",
        f"{MODEL} alias champion deleted",
        None,
        "champion",
    ),
    "prompt_created": (PROMPT, "config", f"prompt {PROMPT} registered", None, None),
    "prompt_version_created": (PROMPT, "config", f"prompt {PROMPT}", "3", "latest"),
    "prompt_tag_set": (PROMPT, "config", f"prompt {PROMPT} tag team", "letters", None),
    "prompt_tag_deleted": (PROMPT, "config", f"prompt {PROMPT} tag team deleted", None, None),
    "prompt_version_tag_set": (
        PROMPT,
        "config",
        f"prompt {PROMPT} version 3 tag tone",
        "kind",
        None,
    ),
    "prompt_version_tag_deleted": (
        PROMPT,
        "config",
        f"prompt {PROMPT} version 3 tag tone deleted",
        None,
        None,
    ),
    "prompt_alias_created": (PROMPT, "config", f"prompt {PROMPT}", "3", "production"),
    "prompt_alias_deleted": (
        PROMPT,
        "config",
        f"prompt {PROMPT} alias production deleted",
        None,
        "production",
    ),
}


def test_every_sample_is_told_apart():
    assert {path.stem for path in SAMPLES.glob("*.json")} == set(WHAT)


@pytest.mark.parametrize("name", WHAT)
def test_what_an_event_becomes(name):
    (found,) = MLflow().changes(sample(name))
    change = found.change
    assert (found.subject, change.kind, change.what, change.to, found.alias) == WHAT[name]
    assert change.ts == AT
    assert MLflow().parse(sample(name), IntakeSettings()) == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (changed("model_version_alias_created", version=None), "version"),
        (changed("model_version_alias_created", version=8), "version"),
        (changed("model_version_alias_created", alias=""), "alias"),
        (changed("model_version_alias_created", name="n" * 257), "name"),
        (sample("model_version_created").replace(b'"created"', b'"renamed"'), "version.renamed"),
        (sample("model_version_created").replace(b"model_version", b"budget"), "budget.created"),
        (sample("prompt_created").replace(b"2013-06-04T14", b"yesterday"), "timestamp"),
        (sample("prompt_created").replace(b'"2013-06-04T14:05:03.444000+00:00"', b'""'), "stamp"),
        (b'{"entity": "model_version", "action": "created"}', "timestamp"),
    ],
)
def test_what_is_not_understood_says_why_and_goes_to_quarantine(body, says, intake, store):
    with pytest.raises(NotUnderstoodError, match=says):
        MLflow().parse(body, IntakeSettings())
    receipt = intake.accept("mlflow", {}, body)
    assert receipt.status == "quarantined"
    assert says in receipt.why
    assert store.changes.latest() == []


@pytest.mark.parametrize(("length", "kept"), [(255, True), (256, True), (257, False)])
def test_how_long_a_name_may_be(length, kept, intake, store):
    name = "n" * length
    receipt = intake.accept("mlflow", {}, changed("model_version_alias_created", name=name))
    assert receipt.status == ("processed" if kept else "quarantined")
    assert [view.subject for view in store.changes.latest()] == [name] * kept


# --- what proves it ------------------------------------------------------------------------------


@pytest.fixture
def secured(make_intake, tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    return make_intake(intake={"mlflow": {"secret": {"file": "secret"}}})


def test_the_right_signature_is_let_in_and_the_change_kept(secured, store, told):
    body = sample("model_version_alias_created")
    receipt = secured.accept("mlflow", headers(body), body)
    assert (receipt.status, receipt.opened, told) == ("processed", [], [])
    (view,) = store.changes.latest()
    assert (view.delivery_id, view.sender, view.subject) == (receipt.delivery_id, "mlflow", MODEL)
    assert (view.ts, view.alias, view.change.from_) == (AT, "champion", None)


def test_a_signature_made_by_another_program(tmp_path):
    # printf 'd1.1370354703.{}' | openssl dgst -sha256 -hmac s3cret -binary | base64
    (tmp_path / "secret").write_text("s3cret")
    told = {
        "x-mlflow-delivery-id": "d1",
        "x-mlflow-timestamp": "1370354703",
        "x-mlflow-signature": "v1,eJfC21jHYwg2xMlHAClhtgdGOU1VI5qC0qd6BWLOKKc=",
    }
    ages_ago = IntakeSettings(secret={"file": "secret"}, max_age=10**10)
    MLflow().authenticate(Delivery(told, b"{}"), ages_ago, tmp_path)
    with pytest.raises(NotAuthenticatedError, match="does not fit"):
        MLflow().authenticate(Delivery(told, b"{ }"), ages_ago, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"x-mlflow-signature": ""},
        {"x-mlflow-signature": None},
        {"x-mlflow-signature": "v1,é"},
        {"x-mlflow-timestamp": None},
        {"x-mlflow-delivery-id": "d2"},
        {"x-mlflow-delivery-id": None},
    ],
)
def test_a_wrong_or_missing_signature_is_not(secured, store, changes):
    body = sample("model_version_alias_created")
    told = {name: text for name, text in (headers(body) | changes).items() if text is not None}
    with pytest.raises(NotAuthenticatedError, match="does not fit"):
        secured.accept("mlflow", told, body)
    assert store.changes.latest() == []


def test_neither_another_body_nor_another_secret_fits(secured):
    body = sample("model_version_alias_created")
    right = headers(body)
    for told, posted in (
        (right, body + b" "),
        (headers(body, secret=b"other"), body),
        (right | {"x-mlflow-signature": right["x-mlflow-signature"].removeprefix("v1,")}, body),
        (right | {"x-mlflow-timestamp": str(int(right["x-mlflow-timestamp"]) + 1)}, body),
    ):
        with pytest.raises(NotAuthenticatedError, match="does not fit"):
            secured.accept("mlflow", told, posted)


@pytest.mark.parametrize("age_s", [-900, 900])
def test_an_old_delivery_is_not_played_again(secured, age_s):
    body = sample("model_version_alias_created")
    with pytest.raises(NotAuthenticatedError, match="more than 300 s"):
        secured.accept("mlflow", headers(body, age_s), body)


def test_a_longer_life_can_be_given(make_intake, tmp_path):
    (tmp_path / "secret").write_text("s3cret")
    known = {"secret": {"file": "secret"}, "max_age": "1h"}
    body = sample("model_version_alias_created")
    receipt = make_intake(intake={"mlflow": known}).accept("mlflow", headers(body, 900), body)
    assert receipt.status == "processed"


def test_a_secret_that_cannot_be_read_lets_it_send_again(make_intake):
    intake = make_intake(intake={"mlflow": {"secret": {"file": "no-such-file"}}})
    with pytest.raises(IntakeUnavailableError):
        intake.accept("mlflow", {}, b"{}")


# --- once ----------------------------------------------------------------------------------------


def test_a_delivery_that_is_sent_again_is_one_change(secured, store):
    body = sample("model_version_alias_created")
    first = secured.accept("mlflow", headers(body), body)
    again = secured.accept("mlflow", headers(body, age_s=10), body)
    other = secured.accept("mlflow", headers(body, name="d2"), body)
    assert first.delivery_id == again.delivery_id != other.delivery_id
    assert len(store.changes.latest()) == 2


def test_changes_that_were_stored_and_not_read_are_kept_at_the_next_start(make_intake, store):
    body = sample("model_version_alias_created")
    kept = store.deliveries.add("mlflow", {}, body, "d1")
    assert make_intake().replay_stored() == [kept]
    assert make_intake().replay_stored() == []
    assert [view.delivery_id for view in store.changes.latest()] == [kept]


def test_who_tells_of_changes():
    assert isinstance(MLflow(), Announcing)
    assert announcing(["pagerduty", "mlflow", "nobody", "alertmanager"]) == ["mlflow"]
