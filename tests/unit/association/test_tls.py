"""The contexts of doors: what is spoken, what is refused, who is at the other end."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from pathlib import Path

import pytest

from gateway.association.tls import (
    ClientCertificates,
    PeerCertificate,
    handshake_failure,
    normal_fingerprint,
    normal_name,
    normal_subject,
    peer_certificate,
    server_context,
)
from gateway.errors import ConfigurationError
from tests.fixtures.authority import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def shake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[ssl.SSLSocket | None, OSError | None]:
    """The server's end after a handshake, and why it failed."""
    near, far = socket.socketpair()

    def connect() -> None:
        try:
            with client.wrap_socket(near, server_hostname="localhost") as connection:
                connection.recv(1)
        except OSError:
            near.close()

    thread = threading.Thread(target=connect)
    thread.start()
    far.settimeout(60)
    wrapped = server.wrap_socket(far, server_side=True, do_handshake_on_connect=False)
    try:
        wrapped.do_handshake()
    except OSError as error:
        wrapped.close()
        thread.join()
        return None, error
    return wrapped, None


def client_of(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.file))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_with_forward_secrecy(authority: Authority, version: ssl.TLSVersion) -> None:
    gateway = authority.issue("gateway", names=["localhost"])
    context = server_context(place="x", certificate_file=gateway.certificate_file, key_file=gateway.key_file)
    client = client_of(authority)
    client.minimum_version = client.maximum_version = version
    connection, error = shake(context, client)
    assert error is None
    assert connection is not None
    with connection:
        cipher = connection.cipher()
        assert cipher is not None
        assert cipher[0].startswith("TLS_" if version is ssl.TLSVersion.TLSv1_3 else "ECDHE-")
        assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]
        assert peer_certificate(connection) is None  # none was asked for


@pytest.mark.parametrize("ciphers", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256"])  # no forward secrecy; no AEAD
def test_weak_cipher_suites_are_refused(authority: Authority, ciphers: str) -> None:
    gateway = authority.issue("gateway", names=["localhost"])
    context = server_context(place="x", certificate_file=gateway.file)
    client = client_of(authority)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(ciphers)
    _, error = shake(context, client)
    assert error is not None
    assert handshake_failure(error) == "tls-handshake"


def test_older_versions_are_not_spoken(authority: Authority) -> None:
    context = server_context(place="x", certificate_file=authority.issue("gateway").file)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION


def test_who_is_at_the_other_end(authority: Authority) -> None:
    gateway = authority.issue("gateway", names=["localhost"])
    pacs = authority.issue("pacs1", names=["PACS1.hospital.example", "10.1.2.3", "urn:oid:2.25.7"])
    context = server_context(
        place="x",
        certificate_file=gateway.file,
        ca_file=authority.file,
        client_certificates=ClientCertificates.REQUIRED,
    )
    client = client_of(authority)
    client.load_cert_chain(pacs.file)
    connection, _ = shake(context, client)
    assert connection is not None
    with connection:
        assert peer_certificate(connection) == PeerCertificate(
            subject=normal_subject("CN=pacs1,O=Hospital"),
            names=frozenset({"pacs1.hospital.example", "10.1.2.3", "urn:oid:2.25.7"}),
            fingerprint=pacs.fingerprint,
        )


def test_a_plain_socket_has_no_certificate() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert peer_certificate(near) is None


def test_a_certificate_is_trusted_by_itself(tmp_path: Path, authority: Authority) -> None:
    """The peers' own certificates can stand in ca_file, whoever issued them; others of the same issuer are refused."""
    gateway = authority.issue("gateway", names=["localhost"])
    known, other = authority.issue("known"), authority.issue("other")
    context = server_context(
        place="x",
        certificate_file=gateway.file,
        ca_file=known.certificate_file,
        client_certificates=ClientCertificates.REQUIRED,
    )
    for issued, trusted in ((known, True), (other, False)):
        client = client_of(authority)
        client.load_cert_chain(issued.file)
        connection, error = shake(context, client)
        assert (connection is not None) is trusted
        if connection is not None:
            connection.close()
        else:
            assert error is not None
            assert handshake_failure(error) == "tls-certificate"


def test_wrong_files_are_told_without_their_content(tmp_path: Path, authority: Authority) -> None:
    gateway = authority.issue("gateway", password="key-passw0rd")
    junk = tmp_path / "junk.pem"
    junk.write_text("MARIA GARCIA")
    junk.chmod(0o600)
    cases: list[tuple[dict[str, object], str]] = [
        ({"certificate_file": tmp_path / "absent.pem"}, "there is no such file"),
        ({"certificate_file": junk}, "the certificate cannot be used"),
        ({"certificate_file": gateway.file}, "the certificate cannot be used"),  # the key has a password
        ({"certificate_file": gateway.file, "key_password": "wrong"}, "the certificate cannot be used"),
        ({"certificate_file": gateway.file, "key_password": "key-passw0rd", "ca_file": junk}, "ca_file cannot be used"),
        (
            {"certificate_file": gateway.certificate_file, "key_file": authority.issue("other").key_file},
            "the certificate cannot be used",  # the key of another certificate
        ),
        (
            {"certificate_file": gateway.file, "client_certificates": ClientCertificates.OPTIONAL},
            "need ca_file",
        ),
    ]
    for arguments, message in cases:
        with pytest.raises(ConfigurationError) as caught:
            server_context(place="dicom.tls", **arguments)  # type: ignore[arg-type]
        assert message in caught.value.message, arguments
        assert caught.value.message.startswith("dicom.tls: ")
        assert "GARCIA" not in caught.value.message
    server_context(place="x", certificate_file=gateway.file, key_password="key-passw0rd")


def test_p9_a_key_that_others_may_read_is_refused(authority: Authority) -> None:
    gateway = authority.issue("gateway")
    gateway.key_file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        server_context(place="x", certificate_file=gateway.certificate_file, key_file=gateway.key_file)
    gateway.key_file.chmod(0o640)
    if os.geteuid() == 0:  # root's key may be read by root's group, as distributions keep keys
        server_context(place="x", certificate_file=gateway.certificate_file, key_file=gateway.key_file)
    else:
        with pytest.raises(ConfigurationError, match="chmod 600"):
            server_context(place="x", certificate_file=gateway.certificate_file, key_file=gateway.key_file)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("CN=pacs1,O=Hospital", "CN=pacs1,O=Hospital"),
        ("CN=Garc\\C3\\ADa", "CN=García"),  # RFC 4514 2.4
    ],
)
def test_subjects_have_one_form(text: str, normal: str) -> None:
    assert normal_subject(text) == normal


@pytest.mark.parametrize("text", ["", "pacs1", "CN", "XX=1", "CN=a,,O=b"])
def test_what_is_no_subject(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 4514"):
        normal_subject(text)


@pytest.mark.parametrize(
    "text", ["", "*.hospital.example", "two words", "caf\N{LATIN SMALL LETTER E WITH ACUTE}.example"]
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="DNS name"):
        normal_name(text)


def test_names_and_fingerprints_have_one_form() -> None:
    assert normal_name("PACS1.Hospital.Example") == "pacs1.hospital.example"
    assert normal_name("2001:DB8::0:1") == "2001:db8::1"
    assert normal_name("urn:oid:2.25.Seven") == "urn:oid:2.25.Seven"
    assert normal_fingerprint(":".join(["AB"] * 32)) == "ab" * 32
    for wrong in ("", "ab" * 31, "ab" * 31 + "zz", "SHA256:" + "ab" * 32):
        with pytest.raises(ValueError, match="SHA-256"):
            normal_fingerprint(wrong)
