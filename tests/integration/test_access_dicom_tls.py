"""DICOM over TLS (PS3.15 B.12) with dcmtk's and pynetdicom's senders, and who is let in by certificate."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import generate_uid
from pynetdicom.ae import ApplicationEntity

from gateway.association.tls import ClientCertificates, server_context
from gateway.receive import CertificateRule, Receiver, Source
from gateway.spool import Spool
from tests.fixtures.asking import ASKING
from tests.fixtures.authority import Authority, Issued
from tests.fixtures.tools import tool
from tests.integration.raw_peer import CT, RawPeer, Witness, associate_rq, data_set, receiving

CT_SMALL = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
FAST = os.environ | {"TCP_NODELAY": "1"}
A_ASSOCIATE_AC = 2


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody here trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"), "Another authority")


@pytest.fixture(scope="module")
def gateway(authority: Authority) -> Issued:
    return authority.issue("gateway", names=["localhost", "127.0.0.1"])


@pytest.fixture(scope="module")
def pacs(authority: Authority) -> Issued:
    return authority.issue("pacs1", names=["pacs1.hospital.example", "10.1.2.3"])


@contextmanager
def door(
    root: Path,
    gateway: Issued,
    authority: Authority,
    certificates: ClientCertificates = ClientCertificates.REQUIRED,
    *,
    sources: tuple[Source, ...] = (),
    **settings: object,
) -> Iterator[tuple[Receiver, Spool, Witness]]:
    """A receiver that speaks TLS on a free port, and without it on another."""
    context = server_context(
        place="dicom.tls",
        certificate_file=gateway.certificate_file,
        key_file=gateway.key_file,
        ca_file=None if certificates is ClientCertificates.NONE else authority.file,
        client_certificates=certificates,
    )
    with receiving(root, sources=sources, tls_port=0, tls=context, **settings) as running:  # type: ignore[arg-type]
        yield running


def series(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    dataset = pydicom.dcmread(CT_SMALL)
    del dataset.DataSetTrailingPadding  # dcmtk does not send it
    for number in range(count):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.InstanceNumber = number
        dataset.save_as(folder / f"{number:03}.dcm")
    return sorted(folder.iterdir())


def storescu(port: int, files: list[Path], *options: object) -> subprocess.CompletedProcess[str]:
    command = [tool("storescu"), *map(str, options), "127.0.0.1", str(port), *map(str, files)]
    return subprocess.run(command, env=FAST, capture_output=True, text=True, timeout=120, check=False)


def client(authority: Authority, issued: Issued | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    if issued is not None:
        context.load_cert_chain(issued.file)
    return context


class TlsPeer(RawPeer):
    """A raw peer over TLS."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(port)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")


def refusal(port: int, context: ssl.SSLContext | None) -> tuple[int, bytes] | str:
    """What comes of asking for an association: the PDU, or the kind of failure."""
    try:
        with RawPeer(port) if context is None else TlsPeer(port, context) as peer:
            peer.send(associate_rq([(CT, ["1.2.840.10008.1.2.1"])]))
            kind, body = peer.read()
            return (kind, body) if kind else "closed"
    except (ssl.SSLError, ConnectionError):
        return "closed"


def test_p10_storescu_with_a_certificate(tmp_path: Path, gateway: Issued, authority: Authority, pacs: Issued) -> None:
    files = series(tmp_path / "in", 5)
    with door(tmp_path / "spool", gateway, authority) as (receiver, spool, witness):
        options = ["+tls", pacs.key_file, pacs.certificate_file, "+cf", authority.file]
        sent = storescu(receiver.tls_port, files, *options)
        assert sent.returncode == 0, sent.stderr
        assert [event for event in witness.events if event[0] == "stored"] == [("stored", "any")] * 5
        stored = {pydicom.dcmread(spool.path(name)).SOPInstanceUID for name in spool.names()}
    assert stored == {pydicom.dcmread(file).SOPInstanceUID for file in files}


def test_p10_storescu_without_a_certificate(tmp_path: Path, gateway: Issued, authority: Authority) -> None:
    files = series(tmp_path / "in", 2)
    options = ["+tla", "+cf", authority.file]
    with door(tmp_path / "spool", gateway, authority, ClientCertificates.NONE) as (receiver, spool, _):
        sent = storescu(receiver.tls_port, files, *options)
        assert sent.returncode == 0, sent.stderr
        assert len(list(spool.names())) == 2
    with door(tmp_path / "spool2", gateway, authority) as (receiver, spool, witness):
        assert storescu(receiver.tls_port, files, *options).returncode != 0
        witness.wait_for("refused", "tls-no-certificate")
        assert list(spool.names()) == []


def test_pynetdicom_stores_over_tls(tmp_path: Path, gateway: Issued, authority: Authority, pacs: Issued) -> None:
    entity = ApplicationEntity("PACS1")
    entity.add_requested_context(CT, "1.2.840.10008.1.2.1")
    dataset = pydicom.dcmread(CT_SMALL)
    with door(tmp_path, gateway, authority) as (receiver, spool, _), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        association = entity.associate(
            "127.0.0.1", receiver.tls_port, tls_args=(client(authority, pacs), "localhost"), evt_handlers=ASKING
        )
        assert association.is_established
        assert association.send_c_store(dataset).Status == 0
        association.release()
        [name] = spool.names()
        assert pydicom.dcmread(spool.path(name)).SOPInstanceUID == dataset.SOPInstanceUID


def test_a_large_instance_over_tls_is_whole(tmp_path: Path, gateway: Issued, authority: Authority) -> None:
    content = data_set(pixels=os.urandom(9_000_001) + b"\0")
    with (
        door(tmp_path, gateway, authority, ClientCertificates.NONE) as (receiver, spool, _),
        TlsPeer(receiver.tls_port, client(authority)) as peer,
    ):
        peer.associate()
        assert peer.store(content) == 0
        peer.release()
        [name] = spool.names()
        assert spool.path(name).read_bytes().endswith(content)


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("stranger", "tls-certificate"),  # signed by somebody else
        ("expired", "tls-certificate"),
        ("nobody", "tls-no-certificate"),
        ("plain", "tls-expected"),  # DICOM without TLS on the port of TLS
        ("http", "tls-expected"),
        ("old", "tls-handshake"),  # TLS 1.1 at most (PS3.15 B.10: not negotiated)
    ],
)
def test_p10_who_is_not_meant_is_refused_and_named_to_nobody(
    who: str,
    reason: str,
    tmp_path: Path,
    gateway: Issued,
    authority: Authority,
    stranger: Authority,
    capsys: pytest.CaptureFixture[str],
) -> None:
    contexts = {
        "stranger": lambda: client(authority, stranger.issue("Garcia-Workstation")),
        "expired": lambda: client(authority, authority.issue("Garcia-Workstation", expired=True)),
        "nobody": lambda: client(authority),
    }
    with door(tmp_path, gateway, authority) as (receiver, spool, witness):
        if who in contexts:
            assert refusal(receiver.tls_port, contexts[who]()) == "closed"
        elif who == "plain":
            assert refusal(receiver.tls_port, None) == "closed"
        else:
            with socket.create_connection(("127.0.0.1", receiver.tls_port), timeout=60) as raw:
                raw.sendall(b"GET / HTTP/1.1\r\n\r\n" if who == "http" else OLD_HELLO)
                answer = b"".join(iter(lambda: _received(raw), b""))
                assert len(answer) < 64  # an alert at most, no page and no PDU
        witness.wait_for("refused", reason)
        assert list(spool.names()) == []
        assert not any(event[0] == "associated" for event in witness.events)
    assert "Garcia" not in "".join(capsys.readouterr())


#: A ClientHello of TLS 1.1 with one cipher suite.
OLD_HELLO = bytes.fromhex("16030100310100002d0302" + "11" * 32 + "000002002f0100" + "0002" + "0000")


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


def test_a_handshake_that_never_ends_delays_nobody(tmp_path: Path, gateway: Issued, authority: Authority) -> None:
    with door(tmp_path, gateway, authority, ClientCertificates.NONE) as (receiver, spool, _):
        slow = [socket.create_connection(("127.0.0.1", receiver.tls_port), timeout=60) for _ in range(8)]
        try:
            for number, one in enumerate(slow):
                one.sendall(b"\x16\x03\x01\x02\x00\x01"[:number])  # nothing, or the beginning of a ClientHello
            with TlsPeer(receiver.tls_port, client(authority)) as peer:
                peer.associate()
                assert peer.store(data_set()) == 0
                peer.release()
            with RawPeer(receiver.port) as peer:  # and the other door stays open
                peer.associate()
                peer.release()
        finally:
            for one in slow:
                one.close()
        assert len(list(spool.names())) == 1


def test_a_handshake_has_a_deadline(tmp_path: Path, gateway: Issued, authority: Authority) -> None:
    settings = {"request_seconds": 0.5}
    with door(tmp_path, gateway, authority, ClientCertificates.NONE, **settings) as (receiver, _, witness):  # type: ignore[arg-type]
        with socket.create_connection(("127.0.0.1", receiver.tls_port), timeout=60) as one:
            one.sendall(b"\x16\x03\x01\x02\x00\x01")
            assert _received(one) == b""
        witness.wait_for("refused", "tls-timeout")


def test_stopping_ends_idle_associations_over_tls(tmp_path: Path, gateway: Issued, authority: Authority) -> None:
    with door(tmp_path, gateway, authority, ClientCertificates.NONE) as (receiver, _, witness):
        with TlsPeer(receiver.tls_port, client(authority)) as peer:
            peer.associate()
            receiver.stop(grace_seconds=20)
            kind, _ = peer.read()
            assert kind in (0, 7)  # closed, or A-ABORT
        witness.wait_for("closed", "any")


RULES = {
    "subject": lambda issued: CertificateRule(subjects=frozenset({issued.subject})),
    "name": lambda issued: CertificateRule(names=frozenset({"pacs1.hospital.example"})),
    "address": lambda issued: CertificateRule(names=frozenset({"10.1.2.3"})),
    "fingerprint": lambda issued: CertificateRule(fingerprints=frozenset({issued.fingerprint})),
}


@pytest.mark.parametrize("rule", RULES)
def test_p10_sources_by_certificate(
    rule: str, tmp_path: Path, gateway: Issued, authority: Authority, pacs: Issued
) -> None:
    other = authority.issue("pacs2", names=["pacs2.hospital.example"])
    source = Source(name="pacs", calling_ae=frozenset({"PACS1"}), certificate=RULES[rule](pacs))
    with door(tmp_path, gateway, authority, ClientCertificates.OPTIONAL, sources=(source,)) as (receiver, _, witness):

        def ask(context: ssl.SSLContext | None, calling: str = "PACS1") -> tuple[int, bytes]:
            port = receiver.port if context is None else receiver.tls_port
            with RawPeer(port) if context is None else TlsPeer(port, context) as peer:
                peer.send(associate_rq([(CT, ["1.2.840.10008.1.2.1"])], calling=calling))
                kind, body = peer.read()
                return kind, body if kind == 3 else b""

        assert ask(client(authority, pacs)) == (A_ASSOCIATE_AC, b"")
        by_certificate = (3, bytes([0, 1, 2, 1]))  # rejected permanently by the provider (PS3.8 9.3.4)
        assert ask(client(authority, other)) == by_certificate
        assert ask(client(authority)) == by_certificate  # none shown
        assert ask(None) == by_certificate  # the same title without TLS
        assert ask(client(authority, pacs), "PACS9") == (3, bytes([0, 1, 1, 3]))
        witness.wait_for("refused", "certificate")
