"""The STOW-RS destination over TLS, with authorities, client certificates and credentials."""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.association.tls import Tls
from gateway.deliver.base import Parcel
from gateway.deliver.dicomweb.destination import StowDestination
from gateway.deliver.dicomweb.settings import DicomWebSettings
from gateway.errors import ConfigurationError
from tests.unit.deliver.peers import Exchange, Hangup, Peer, content_of, make_parcel, section, store_all

PASSWORD = "key-passw0rd"

#: Opens the terminal and loads a client certificate.
LOAD = """
import os, sys
from pathlib import Path
from gateway.association.tls import Tls
from gateway.errors import ConfigurationError
os.open(sys.argv[1], os.O_RDWR)
try:
    Tls(certificate_file=Path(sys.argv[2])).context(place="x")
except ConfigurationError:
    print("refused")
"""


@dataclass
class Authority:
    """A certification authority of one test run."""

    directory: Path

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.certificate = self._sign(self.name, self.key.public_key(), authority=True)
        self.file = self._write("ca.pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, password: str | None = None, host: str = "localhost") -> Path:
        """A file with certificate and key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key.public_key(), host=host)
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            encryption = serialization.BestAvailableEncryption(password.encode())
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        return self._write(f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM) + pem)

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, authority: bool = False, host: str = ""
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(days=1))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if host:
            names = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.9"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def _write(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        path.chmod(0o600)
        return path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.issue("server"))
    return context


def send(url: str, parcels: list[Parcel], tls: Tls, *, timeout: float = 30.0) -> list[tuple[str, str, str]]:
    auth = None
    if tls.certificate_file is not None:
        key = {"key_password": "${PASSWORD}"} if tls.key_password else {}
        auth = {"type": "client-certificate", "certificate_file": tls.certificate_file, **key}
    settings = section(
        DicomWebSettings,
        environ={"PASSWORD": tls.key_password or ""},
        type="dicomweb",
        url=url,
        auth=auth,
        verify_tls=tls.verify,
        ca_file=tls.ca_file,
        timeout_seconds=timeout,
        max_instances=2,
    )
    stow = StowDestination("archive", settings)
    try:
        return [(outcome.state, outcome.code, outcome.detail) for outcome in stow.send(parcels)]
    finally:
        stow.close()


def test_every_byte_arrives_over_one_connection(tmp_path: Path, authority: Authority, server: ssl.SSLContext) -> None:
    parcels = [
        make_parcel(tmp_path, number, content=bytes([number]) * size, pieces=3)
        for number, size in enumerate([10, 5_000_000, 64 * 1024 + 1, 300_000])
    ]
    with Peer(store_all(parcels), tls=server) as peer:
        outcomes = send(peer.url, parcels, Tls(ca_file=authority.file))
    assert outcomes == [("confirmed", "stored", "")] * 4
    received = [content for request in peer.requests for _, content in request.parts]
    assert received == [content_of(parcel) for parcel in parcels]
    assert peer.connections == 1


def test_an_unknown_authority_is_refused(tmp_path: Path, server: ssl.SSLContext) -> None:
    parcels = [make_parcel(tmp_path, 0)]
    with Peer(store_all(parcels), tls=server) as peer:
        [(state, code, detail)] = send(peer.url, parcels, Tls())
    assert (state, code) == ("failed", "tls")
    assert "certificate is not accepted" in detail
    assert peer.requests == []


def test_a_certificate_of_another_host_is_refused(tmp_path: Path, authority: Authority) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.issue("other", host="other.example"))
    parcels = [make_parcel(tmp_path, 0)]
    with Peer(store_all(parcels), tls=context) as peer:
        [(state, code, _)] = send(peer.url, parcels, Tls(ca_file=authority.file))
    assert (state, code) == ("failed", "tls")
    assert peer.requests == []


def test_verification_can_be_switched_off(tmp_path: Path, server: ssl.SSLContext) -> None:
    parcels = [make_parcel(tmp_path, 0)]
    with Peer(store_all(parcels), tls=server) as peer:
        assert send(peer.url, parcels, Tls(verify=False)) == [("confirmed", "stored", "")]


def test_a_client_certificate_opens_the_door(tmp_path: Path, authority: Authority, server: ssl.SSLContext) -> None:
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(authority.file)
    client = authority.issue("client", password=PASSWORD)
    parcels = [make_parcel(tmp_path, 0, content=bytes(3_000_000))]
    with Peer(store_all(parcels), tls=server) as peer:
        tls = Tls(ca_file=authority.file, certificate_file=client, key_password=PASSWORD)
        assert send(peer.url, parcels, tls) == [("confirmed", "stored", "")]
        assert PASSWORD not in repr(tls)


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_without_a_client_certificate_it_stays_shut(
    tmp_path: Path, authority: Authority, server: ssl.SSLContext, size: int
) -> None:
    # With TLS 1.3 the refusal comes after the handshake, in the middle of the request.
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(authority.file)
    parcels = [make_parcel(tmp_path, number, content=bytes([number]) * size) for number in range(2)]
    with Peer(store_all(parcels), tls=server) as peer:
        outcomes = send(peer.url, parcels, Tls(ca_file=authority.file))
    assert {(state, code) for state, code, _ in outcomes} <= {("failed", "tls"), ("failed", "connection-lost")}
    assert peer.requests == []
    assert peer.handshake_failures


def test_plain_http_behind_an_https_url(tmp_path: Path, authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_plainly() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(1)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer_plainly)
        thread.start()
        url = f"https://localhost:{listener.getsockname()[1]}"
        [(state, code, detail)] = send(url, [make_parcel(tmp_path, 0)], Tls(ca_file=authority.file))
        thread.join(30)
    assert (state, code, detail) == ("failed", "tls", "TLS: wrong version number")


@pytest.mark.parametrize("ending", ["close", "hold"])
def test_an_answer_in_the_middle_of_the_body_is_not_lost(
    tmp_path: Path, authority: Authority, server: ssl.SSLContext, ending: str
) -> None:
    def behave(exchange: Exchange) -> None:
        exchange.read_body(1000)
        exchange.send(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
        if ending == "hold":
            exchange.hold()
        raise Hangup

    parcels = [make_parcel(tmp_path, 0, content=bytes(40_000_000), pieces=1)]
    with Peer(behave, tls=server, receive_buffer=4096) as peer:
        [(state, code, _)] = send(peer.url, parcels, Tls(ca_file=authority.file))
    assert (state, code) == ("failed", "credentials")


def test_a_server_that_stalls(tmp_path: Path, authority: Authority, server: ssl.SSLContext) -> None:
    def behave(exchange: Exchange) -> None:
        exchange.hold()

    parcels = [make_parcel(tmp_path, 0, content=bytes(40_000_000))]
    with Peer(behave, tls=server, receive_buffer=4096) as peer:
        [(state, code, _)] = send(peer.url, parcels, Tls(ca_file=authority.file), timeout=0.5)
    assert (state, code) == ("failed", "timeout")


def test_an_encrypted_key_without_password_does_not_ask_on_the_terminal(tmp_path: Path, authority: Authority) -> None:
    client = authority.issue("client", password=PASSWORD)
    master, slave = os.openpty()
    try:
        # The leader of a session without a terminal that opens one makes it its own: OpenSSL would ask there.
        child = subprocess.run(
            [sys.executable, "-c", LOAD, os.ttyname(slave), str(client)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
            timeout=60,
            check=False,
        )
        assert child.stdout == "refused\n", child.stderr
        assert not select.select([master], [], [], 0)[0]
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"ca_file": "nothing.pem"}, "ca_file cannot be used: No such file"),
        ({"ca_file": "garbage.pem"}, "ca_file cannot be used"),
        ({"certificate_file": "nothing.pem"}, "client certificate cannot be used: No such file"),
        ({"certificate_file": "garbage.pem"}, "client certificate"),
        # an encrypted key without its password, and with a wrong one
        ({"certificate_file": "client.pem"}, "client certificate"),
        ({"certificate_file": "client.pem", "key_password": "wrong"}, "client certificate"),
        # certificate and key that do not belong together
        (
            {"certificate_file": "client.pem", "key_file": "server.pem", "key_password": PASSWORD},
            "client certificate cannot be used: key values mismatch",
        ),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, authority: Authority, fields: dict[str, str], problem: str) -> None:
    authority.issue("client", password=PASSWORD)
    authority.issue("server")
    (tmp_path / "garbage.pem").write_text("no certificate")
    values = {key: value if key == "key_password" else tmp_path / value for key, value in fields.items()}
    with pytest.raises(ConfigurationError, match=problem) as caught:
        Tls(**values).context(place="destinations.archive")  # type: ignore[arg-type]
    assert "destinations.archive" in str(caught.value)
    assert PASSWORD not in str(caught.value)
