"""When the configured certificates expire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.service.certificates import Expiries
from gateway.settings.configuration import load_settings

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: ec.EllipticCurvePrivateKey, days: int) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(NOW - timedelta(days=400))
    return made.not_valid_after(NOW + timedelta(days=days)).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_every_certificate_of_the_configuration(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    (tmp_path / "own.pem").write_bytes(pem(key, 90) + pem(key, 30))  # with the authority between, which ends first
    (tmp_path / "ca.pem").write_bytes(pem(key, -5) + pem(key, 300))  # an old authority beside the present one
    (tmp_path / "none.pem").write_text("no certificate")
    (tmp_path / "gateway.yaml").write_text("""
dicom: {tls: {certificate_file: own.pem, client_certificates: required, ca_file: ca.pem}}
http: {tls: {certificate_file: missing.pem}}
destinations:
  one:
    type: dicomweb
    url: https://x.example
    ca_file: ca.pem
    auth: {type: client-certificate, certificate_file: own.pem}
  two: {type: dicom, host: x.example, called_ae: X, tls: {certificate_file: none.pem}}
projects: {default: {destinations: [one]}}
""")
    expiries = Expiries(load_settings(tmp_path / "gateway.yaml", {"GATEWAY_DATA": str(tmp_path / "data")}))

    def days() -> dict[str, int]:
        return {place: round((moment - NOW.timestamp()) / 86400) for place, moment in expiries.read().items() if moment}

    assert days() == {
        "dicom.tls.certificate_file": 30,
        "dicom.tls.ca_file": 300,
        "destinations.one.ca_file": 300,
        "destinations.one.auth.certificate_file": 30,
    }
    # What cannot be read counts as expired long ago, which the alert tells.
    unread = [place for place, moment in expiries.read().items() if not moment]
    assert unread == ["http.tls.certificate_file", "destinations.two.tls.certificate_file"]
    # A new certificate in the same file is seen without a restart.
    (tmp_path / "own.pem").write_bytes(pem(key, 700))
    assert days()["dicom.tls.certificate_file"] == 700
