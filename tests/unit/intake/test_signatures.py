"""Signatures, replay windows, and what each sender takes for proof."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID

from triagebook.core.errors import (
    IntakeUnavailableError,
    NotAuthenticatedError,
    NotUnderstoodError,
    SettingsError,
)
from triagebook.core.settings import IntakeSettings
from triagebook.intake.sender import SENDERS, Delivery
from triagebook.intake.senders.cloudwatch import CloudWatch
from triagebook.intake.signatures import check_age, signing_secret
from triagebook.intake.sns import Envelope, of_amazon, signed_text

BODY = b'{"a": 1}'
NOW = dt.datetime(2013, 6, 4, 14, tzinfo=dt.UTC)
TOPIC = "arn:aws:sns:eu-central-1:123456789012:ml-alarms"


def hexed(*parts: bytes, secret: bytes = b"s3cret") -> str:
    return hmac.new(secret, b"".join(parts), hashlib.sha256).hexdigest()


@pytest.fixture
def signed(tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")

    def check(sender, headers, body=BODY, **settings):
        known = IntakeSettings(secret={"file": "secret"}, **settings)
        SENDERS.get(sender)().authenticate(Delivery(headers, body), known, tmp_path)

    return check


@pytest.mark.parametrize(
    ("sender", "header", "value"),
    [
        ("grafana", "x-grafana-alerting-signature", hexed(BODY)),
        ("pagerduty", "x-pagerduty-signature", f"v1={hexed(BODY)}"),
        ("pagerduty", "x-pagerduty-signature", f"v1={'0' * 64}, v1={hexed(BODY)}"),
        ("generic", "x-triagebook-signature", hexed(BODY)),
        ("generic", "x-triagebook-signature", f"sha256={hexed(BODY)}"),
    ],
)
def test_the_right_signature_of_the_raw_body_passes(signed, sender, header, value):
    signed(sender, {header: value})
    for wrong in ("", "é", value[:-1], value.upper(), value + "0", hexed(BODY, secret=b"other")):
        with pytest.raises(NotAuthenticatedError):
            signed(sender, {header: wrong})
    # One space more is another body, though it is the same JSON.
    with pytest.raises(NotAuthenticatedError):
        signed(sender, {header: value}, BODY + b" ")


@pytest.mark.parametrize("sender", ["grafana", "generic"])
def test_a_signed_timestamp_ends_the_life_of_a_signature(signed, sender):
    names = {"timestamp_header": "X-Sent", "signature_header": "X-Signed"}

    def sent(age_s, *, stamp=None):
        at = str(int(dt.datetime.now(dt.UTC).timestamp() - age_s)).encode()
        told = at.decode() if stamp is None else stamp
        signed(sender, {"x-sent": told, "x-signed": hexed(at, b":", BODY)}, **names)

    sent(0)
    for age_s in (900, -900):
        with pytest.raises(NotAuthenticatedError, match="more than 300 s"):
            sent(age_s)
    with pytest.raises(NotAuthenticatedError, match="does not fit"):
        sent(900, stamp=str(int(dt.datetime.now(dt.UTC).timestamp())))


@pytest.mark.parametrize(
    ("text", "fresh"),
    [
        ("1370354100", True),  # 300 s before
        ("1370354099", False),
        ("1370354700", True),
        ("1370354701", False),
        ("1370354400000", True),  # milliseconds
        ("", False),
        ("soon", False),
        ("nan", False),
        ("inf", False),
    ],
)
def test_how_old_a_delivery_may_be(text, fresh):
    if fresh:
        check_age(text, 300, now=NOW)
    else:
        with pytest.raises(NotAuthenticatedError):
            check_age(text, 300, now=NOW)


def test_an_empty_secret_signs_nothing(tmp_path):
    (tmp_path / "secret").write_text("\n")
    for settings in (IntakeSettings(), IntakeSettings(secret={"file": "secret"})):
        with pytest.raises(SettingsError):
            signing_secret(settings, tmp_path)


def test_a_token_in_a_header_of_its_own(tmp_path):
    (tmp_path / "token").write_text("t0ken")
    known = IntakeSettings(token={"file": "token"}, header="X-Triagebook-Token")
    check = SENDERS.get("datadog")().authenticate
    check(Delivery({"x-triagebook-token": "t0ken"}, BODY), known, tmp_path)
    for headers in ({"x-triagebook-token": "other"}, {"authorization": "Bearer t0ken"}, {}):
        with pytest.raises(NotAuthenticatedError):
            check(Delivery(headers, BODY), known, tmp_path)


def test_only_google_may_put_its_token_into_the_address(tmp_path):
    (tmp_path / "token").write_text("t0ken")
    known = IntakeSettings(token={"file": "token"})
    query = {"auth_token": "t0ken"}
    SENDERS.get("gcp")().authenticate(Delivery({}, BODY, query), known, tmp_path)
    for sender, told in (("gcp", {"auth_token": "other"}), ("alertmanager", query)):
        with pytest.raises(NotAuthenticatedError):
            SENDERS.get(sender)().authenticate(Delivery({}, BODY, told), known, tmp_path)


# --- Amazon --------------------------------------------------------------------------------------


def certificate(key) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@pytest.fixture
def amazon(key, monkeypatch):
    """Stand in for Amazon's web server; returns the addresses that were fetched."""
    fetched = []

    def fetch(url):
        fetched.append(url)
        return certificate(key)

    monkeypatch.setattr(CloudWatch, "fetch", staticmethod(fetch))
    return fetched


def notification(key, **changes) -> bytes:
    sample = Path(__file__).parents[2] / "payloads" / "cloudwatch" / "alarm.json"
    told = {**json.loads(sample.read_text()), **changes}
    told = {name: value for name, value in told.items() if value is not None}
    version = hashes.SHA256() if told["SignatureVersion"] == "2" else hashes.SHA1()  # noqa: S303
    proof = key.sign(signed_text(Envelope.model_validate(told)), PKCS1v15(), version)
    return json.dumps({**told, "Signature": base64.b64encode(proof).decode()}).encode()


def posted(body: bytes, tmp_path) -> None:
    CloudWatch().authenticate(Delivery({}, body), IntakeSettings(topics=[TOPIC]), tmp_path)


@pytest.mark.parametrize("changes", [{}, {"SignatureVersion": "1"}, {"Subject": None}])
def test_what_amazon_signed_passes(key, amazon, tmp_path, changes):
    body = notification(key, **changes)
    posted(body, tmp_path)
    assert len(amazon) == 1
    for old, new in ((b"ALARM", b"OKOK!"), (b"22b80b92", b"22b80b93")):
        with pytest.raises(NotAuthenticatedError):
            posted(body.replace(old, new), tmp_path)


def test_a_topic_of_somebody_else_is_not_ours(key, amazon, tmp_path):
    with pytest.raises(NotAuthenticatedError, match="none of ours"):
        posted(notification(key, TopicArn=TOPIC + "2"), tmp_path)
    assert amazon == []


def test_a_key_from_elsewhere_is_not_fetched(key, amazon, tmp_path):
    with pytest.raises(NotAuthenticatedError, match="does not lie at Amazon"):
        posted(notification(key, SigningCertURL="https://sns.example/a.pem"), tmp_path)
    assert amazon == []


@pytest.mark.parametrize(
    ("url", "theirs"),
    [
        ("https://sns.eu-central-1.amazonaws.com/a.pem", True),
        ("https://sns.cn-north-1.amazonaws.com.cn/a.pem", True),
        ("http://sns.eu-central-1.amazonaws.com/a.pem", False),
        ("https://sns.eu-central-1.amazonaws.com.example/a.pem", False),
        ("https://sns.eu-central-1.amazonaws.com:444/a.pem", False),
        ("https://me@sns.eu-central-1.amazonaws.com/a.pem", False),
        ("https://evil.example/sns.eu-central-1.amazonaws.com", False),
        ("https://sns.eu.central.amazonaws.com/a.pem", False),
        ("https://sns.eu-central-1.amazonaws.com:x/a.pem", False),
        ("", False),
        (None, False),
    ],
)
def test_which_addresses_are_amazons(url, theirs):
    assert of_amazon(url) == theirs


@pytest.mark.parametrize("what", ["no certificate", "no rsa"])
def test_a_broken_certificate_proves_nothing(key, monkeypatch, tmp_path, what):
    other = certificate(ec.generate_private_key(ec.SECP256R1()))
    given = b"-----BEGIN" if what == "no certificate" else other
    monkeypatch.setattr(CloudWatch, "fetch", staticmethod(lambda _: given))
    with pytest.raises(NotAuthenticatedError):
        posted(notification(key), tmp_path)


def test_while_amazon_cannot_be_reached_it_has_to_send_again(key, monkeypatch, tmp_path):
    def fetch(_):
        raise IntakeUnavailableError("away")

    monkeypatch.setattr(CloudWatch, "fetch", staticmethod(fetch))
    with pytest.raises(IntakeUnavailableError):
        posted(notification(key), tmp_path)


def confirmation(key, url="https://sns.eu-central-1.amazonaws.com/?Action=Confirm") -> bytes:
    return notification(
        key, Type="SubscriptionConfirmation", Token="t", SubscribeURL=url, Subject=None
    )


def test_a_subscription_is_confirmed_once_it_is_kept(key, amazon, make_intake):
    intake = make_intake(intake={"cloudwatch": {"topics": [TOPIC]}})
    receipt = intake.accept("cloudwatch", {"x-amz-sns-message-id": "m1"}, confirmation(key))
    assert (receipt.status, receipt.opened) == ("processed", [])
    intake.wait_confirmed()
    assert amazon[-1] == "https://sns.eu-central-1.amazonaws.com/?Action=Confirm"
    CloudWatch().confirm(notification(key))
    assert len(amazon) == 2
    with pytest.raises(NotUnderstoodError, match="does not lie at Amazon"):
        CloudWatch().confirm(confirmation(key, "https://evil.example/"))
