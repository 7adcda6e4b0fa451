"""A PACS is served while others hold the line: dcmtk's echoscu during floods of every kind (promise P7)."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from gateway.association.tls import server_context
from gateway.receive import Receiver, Source
from tests.fixtures.authority import Authority
from tests.fixtures.dcmtk import echoscu
from tests.integration.raw_peer import CT, EXPLICIT, Witness, associate_rq, receiving

#: What a connection of a flood does at each of its turns, the first being number 0.
Behaviour: TypeAlias = Callable[[socket.socket, int], None]

REQUEST = associate_rq([(CT, [EXPLICIT])])
#: How often the PACS asks while the flood lasts; more connections than there are places come in between.
ASKED = 5
CONNECTIONS = 100


def silent(_connection: socket.socket, _tick: int) -> None:
    """Says nothing."""


def half_open(connection: socket.socket, tick: int) -> None:
    """Sends half of a request, and then nothing."""
    if not tick:
        connection.sendall(REQUEST[:50])


def slow(connection: socket.socket, tick: int) -> None:
    """Sends its request byte by byte."""
    connection.sendall(REQUEST[tick : tick + 1])


def without_tls(connection: socket.socket, tick: int) -> None:
    """Sends the beginning of something that is no TLS, and so never a whole record."""
    if not tick:
        connection.sendall(b"\x16\x03\x01\x02\x00")


def rejected(connection: socket.socket, tick: int) -> None:
    """Asks properly, is rejected, and does not hang up."""
    if not tick:
        connection.sendall(associate_rq([(CT, [EXPLICIT])], calling="NOBODY"))


@contextmanager
def flood(port: int, address: str, *behaviours: Behaviour) -> Iterator[list[int]]:
    """As many connections as one may have, opened again as they are closed, until the block ends; counts them."""
    over = threading.Event()
    opened = [0]

    def attack() -> None:
        held: list[tuple[socket.socket, Behaviour, int]] = []
        while not over.is_set():
            if len(held) < CONNECTIONS:
                with suppress(OSError):
                    one = socket.create_connection(("127.0.0.1", port), 5, source_address=(address, 0))
                    one.setblocking(False)
                    held.append((one, behaviours[opened[0] % len(behaviours)], 0))
                    opened[0] += 1
                    over.wait(0.002)
            else:
                over.wait(0.05)
            kept = []
            for connection, behave, tick in held:
                try:
                    behave(connection, tick)
                    with suppress(BlockingIOError):
                        if not connection.recv(1):
                            raise ConnectionError
                    kept.append((connection, behave, tick + 1))
                except OSError:
                    connection.close()
            held = kept
        for connection, _, _ in held:
            connection.close()

    thread = threading.Thread(target=attack, daemon=True)
    thread.start()
    try:
        yield opened
    finally:
        over.set()
        thread.join(30)


def asks(
    receiver: Receiver, witness: Witness, opened: list[int], *, port: int = 0, options: tuple[str, ...] = ()
) -> None:
    """The PACS asks while the flood goes on."""
    for number in range(ASKED):
        while opened[0] < 25 * number:
            time.sleep(0.01)
        result = echoscu(port or receiver.port, calling_ae="PACS", options=options)
        assert result.status == 0, (result.output, witness.events[-5:])


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("127.0.0.2", False),  # from anywhere, and everybody may send
        ("127.0.0.1", False),  # from the address of the PACS
        ("127.0.0.1", True),
    ],
)
def test_p7_a_pacs_is_answered_during_a_flood(tmp_path: Path, address: str, known: bool) -> None:
    networks = (ipaddress.ip_network("127.0.0.1/32"),) if known else ()
    source = Source(name="pacs", calling_ae=frozenset({"PACS"}), addresses=networks)
    with receiving(tmp_path, sources=[source], associations=4, pending=30) as (receiver, _, witness):
        with flood(receiver.port, address, silent, half_open, slow, rejected) as opened:
            asks(receiver, witness, opened)
        assert witness.events.count(("echoed", "pacs")) == ASKED
        assert ("refused", "displaced") in witness.events


def test_p10_a_flood_from_an_address_of_no_source_is_dropped_unread(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Source(name="pacs", addresses=(ipaddress.ip_network("127.0.0.1/32"),))
    limits: dict[str, Any] = {"associations": 4, "pending": 2, "pending_per_address": 2}
    with receiving(tmp_path, sources=[source], **limits) as (receiver, _, witness):
        threads = threading.active_count()
        for number in range(200):
            with suppress(ConnectionResetError):
                stranger = (f"127.0.0.{2 + number % 50}", 0)
                with socket.create_connection(("127.0.0.1", receiver.port), 30, source_address=stranger) as one:
                    assert threading.active_count() <= threads
                    assert one.recv(1) == b""
        assert echoscu(receiver.port).status == 0
        assert witness.events.count(("refused", "unexpected-address")) == 200
        assert receiver.associations == 0
    logged = "".join(capsys.readouterr()).splitlines()
    # The flood is told of, and fills no log.
    assert 0 < sum("unexpected-address" in line for line in logged) <= 31


def test_p7_a_flood_that_is_cut_faster_than_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a processor that is busy with it: what was cut stays.
    monkeypatch.setattr("gateway.association.connection.Connection.cut", lambda *_: None)
    monkeypatch.setattr("gateway.association.acceptor._LEAVING", 4)
    monkeypatch.setattr("gateway.association.acceptor._LEAVING_AT_MOST", 8)
    with (
        receiving(tmp_path, associations=1, pending=1, request_seconds=3) as (receiver, _, witness),
        ExitStack() as held,
    ):
        for _ in range(20):
            # Who is cut may be told so already while connecting.
            with suppress(OSError):
                address = ("127.0.0.1", receiver.port)
                connection = socket.create_connection(address, 30, source_address=("127.0.0.2", 0))
                held.enter_context(connection)
                connection.sendall(REQUEST[:50])
            if ("refused", "connections") in witness.events:
                break
            time.sleep(0.02)
        # Who floods has to wait; somebody else is answered.
        witness.wait_for("refused", "connections")
        assert echoscu(receiver.port).status == 0


def test_p7_a_flood_without_tls_at_the_door_of_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    issued = authority.issue("gateway", names=["localhost", "127.0.0.1"])
    context = server_context(place="x", certificate_file=issued.certificate_file, key_file=issued.key_file)
    with receiving(tmp_path / "spool", associations=4, pending=30, tls_port=0, tls=context) as (receiver, _, witness):
        with flood(receiver.tls_port, "127.0.0.1", silent, without_tls, half_open) as opened:
            options = ("+tla", "+cf", str(authority.file))
            asks(receiver, witness, opened, port=receiver.tls_port, options=options)
        assert witness.events.count(("echoed", "any")) == ASKED
