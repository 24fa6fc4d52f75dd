"""Prove a body as its sender does: the settings that ask for it, and the headers that hold it."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from triagebook.core.times import now_utc
from triagebook.intake.sns import Envelope, signed_text

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "not-a-secret"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:ml-alarms"
SENDERS = (
    "airflow",
    "alertmanager",
    "cloudwatch",
    "datadog",
    "gcp",
    "generic",
    "grafana",
    "mlflow",
    "pagerduty",
)
SETTINGS = f"""
[intake.alertmanager]
token = {{ file = "secret" }}
[intake.airflow]
user = "airflow"
password = {{ file = "secret" }}
[intake.datadog]
token = {{ file = "secret" }}
header = "X-Triagebook-Token"
[intake.gcp]
token = {{ file = "secret" }}
[intake.grafana]
secret = {{ file = "secret" }}
timestamp_header = "X-Grafana-Timestamp"
[intake.mlflow]
secret = {{ file = "secret" }}
[intake.pagerduty]
secret = {{ file = "secret" }}
[intake.generic]
secret = {{ file = "secret" }}
mapping = {{ title = "title" }}
[intake.cloudwatch]
topics = ["{TOPIC}"]
"""
"""To be added to a triagebook.toml; the file `secret` lies beside it."""


class Signers:
    """Proves bodies of every sender, Amazon's with a key of our own."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)

    def write(self, home: Path) -> Path:
        """Write the secret, and the certificate that stands for Amazon's; return the latter's path."""
        (home / "secret").write_text(SECRET)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(now_utc() - dt.timedelta(days=1))
            .not_valid_after(now_utc() + dt.timedelta(days=1))
            .sign(self._key, hashes.SHA256())
        )
        path = home / "amazon.pem"
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        return path

    def envelope(self, sample: dict[str, Any], message: bytes) -> bytes:
        """Return a notification of Amazon's with another message in it, signed.

        Bytes that are no UTF-8 cannot be in a message, and are what latin-1 makes of them; NUL, which
        Amazon takes from nobody, is its escape.
        """
        try:
            text = message.decode()
        except UnicodeDecodeError:
            text = message.decode("latin-1")
        return self.sign_envelope({**sample, "Message": text.replace("\x00", "\\u0000")})

    def sign_envelope(self, told: dict[str, Any]) -> bytes:
        """Sign a notification where it is one; what is none is returned as it is."""
        told = {**told, "SignatureVersion": "2"}
        try:
            text = signed_text(Envelope.model_validate(told))
        except (ValidationError, UnicodeEncodeError):
            return json.dumps(told).encode()
        proof = self._key.sign(text, PKCS1v15(), hashes.SHA256())
        return json.dumps({**told, "Signature": base64.b64encode(proof).decode()}).encode()


def proof(sender: str, body: bytes) -> tuple[dict[str, str], str]:
    """Return the headers and the query by which a sender proves a body; Amazon's proof is in the body."""
    if sender == "alertmanager":
        return {"Authorization": f"Bearer {SECRET}"}, ""
    if sender == "airflow":
        pair = base64.b64encode(f"airflow:{SECRET}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}, ""
    if sender == "datadog":
        return {"X-Triagebook-Token": SECRET}, ""
    if sender == "gcp":
        return {}, f"auth_token={SECRET}"
    if sender == "grafana":
        stamp = str(int(now_utc().timestamp()))
        signed = _hex(stamp.encode() + b":" + body)
        return {"X-Grafana-Timestamp": stamp, "X-Grafana-Alerting-Signature": signed}, ""
    if sender == "mlflow":
        stamp = str(int(now_utc().timestamp()))
        named = hashlib.sha256(body).hexdigest()[:32]
        made = hmac.new(SECRET.encode(), f"{named}.{stamp}.".encode() + body, hashlib.sha256)
        return {
            "X-MLflow-Delivery-Id": named,
            "X-MLflow-Timestamp": stamp,
            "X-MLflow-Signature": f"v1,{base64.b64encode(made.digest()).decode()}",
        }, ""
    if sender == "pagerduty":
        return {"X-PagerDuty-Signature": f"v1={_hex(body)}"}, ""
    if sender == "generic":
        return {"X-Triagebook-Signature": _hex(body)}, ""
    return {"X-Amz-Sns-Message-Type": "Notification"}, ""


def _hex(signed: bytes) -> str:
    return hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
