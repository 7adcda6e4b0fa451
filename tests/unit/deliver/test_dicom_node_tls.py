"""C-STORE and storage commitment over TLS."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from gateway.association import pdu
from gateway.association import tls as doors
from gateway.association.tls import Tls
from gateway.deliver.dicom_node.destination import _COMMITMENT
from gateway.errors import ConfigurationError
from tests.fixtures.ports import free_port
from tests.unit.deliver.test_dicom_node import Committer, data_set_bytes, destination, parcel, peer, report, short
from tests.unit.deliver.test_stow_tls import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def server_context(authority: Authority, *, mutual: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.issue("node"))
    if mutual:
        context.load_verify_locations(authority.file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_every_byte_arrives_by_tls(tmp_path: Path, authority: Authority) -> None:
    parcels = [parcel(tmp_path, number, pixels=size) for number, size in enumerate((64, 3_000_000))]
    tls = {"ca_file": authority.file, "certificate_file": authority.issue("gateway")}
    with (
        peer(tls=server_context(authority, mutual=True)) as scp,
        destination(scp.port, host="localhost", tls=tls) as node,
    ):
        assert short(node.send(parcels)) == [("confirmed", "stored")] * 2
        assert scp.stored == [data_set_bytes(one) for one in parcels]


def test_a_node_of_another_authority_gets_nothing(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    with (
        peer(tls=server_context(authority, mutual=False)) as scp,
        destination(scp.port, host="localhost", tls={"ca_file": other.file}) as node,
    ):
        assert short(node.send([parcel(tmp_path)])) == [("failed", "tls")]
        assert scp.stored == []


def gets_in(port: int, context: ssl.SSLContext | None) -> bool:
    """Whether the listener answers a request for an association, be it with a rejection."""
    context_of_ours = pdu.ProposedContext(1, _COMMITMENT[0], (_COMMITMENT[1],))
    request = pdu.request([context_of_ours], called_ae="GATEWAY", calling_ae="ARCHIVE", max_pdu_bytes=0)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        try:
            connection = plain if context is None else context.wrap_socket(plain, server_hostname="localhost")
            with connection:
                connection.sendall(request)
                return bool(connection.recv(1))
        except OSError:
            return False


def test_reports_come_by_tls_from_peers_of_the_authority(tmp_path: Path, authority: Authority) -> None:
    port = free_port()
    tls = {"ca_file": authority.file, "certificate_file": authority.issue("gateway")}
    commitment = {"host": "127.0.0.1", "port": port}
    reporting = Tls(ca_file=authority.file, certificate_file=authority.issue("node-client")).context(place="x")
    committer = Committer(port, tls=reporting)
    parcels = [parcel(tmp_path)]
    node_tls = server_context(authority, mutual=True)
    with (
        peer(committing=committer, tls=node_tls) as scp,
        destination(scp.port, host="localhost", tls=tls, commitment=commitment) as node,
    ):
        node.send(parcels)
        [(transaction, items)] = committer.asked
        assert not gets_in(port, None)  # without TLS
        assert not gets_in(port, Tls(ca_file=authority.file).context(place="x"))  # without a certificate
        assert short(node.confirm(parcels)) == [("sent", "commitment-requested")]
        assert gets_in(port, reporting)
        assert committer.report(report(transaction, items)) == 0x0000
        assert short(node.confirm(parcels)) == [("confirmed", "committed")]


def test_reports_by_tls_need_a_certificate_of_ours() -> None:
    with pytest.raises(ConfigurationError, match="certificate_file"):
        Tls().server_context(place="x")


def test_the_port_for_reports_is_a_door_like_the_others(authority: Authority) -> None:
    own = authority.issue("gateway")
    door = doors.server_context(place="x", certificate_file=own)
    files = Tls(ca_file=authority.file, certificate_file=own)
    reports = files.server_context(place="x")
    assert reports.get_ciphers() == door.get_ciphers()
    assert (reports.verify_mode, reports.minimum_version) == (ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2)
    # Without an authority of its own the system's count; without verification nobody shows anything.
    assert Tls(certificate_file=own).server_context(place="x").verify_mode is ssl.CERT_REQUIRED
    assert Tls(certificate_file=own, verify=False).server_context(place="x").verify_mode is ssl.CERT_NONE
    own.chmod(0o644)
    with pytest.raises(ConfigurationError, match="others than the owner may use it"):
        files.server_context(place="x")
