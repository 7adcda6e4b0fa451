"""What is fuzzed: each target takes bytes and raises nothing but what it documents.

A target that raises anything else, or whose invariant does not hold, has found a defect (promise P7).
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from gateway.association.acceptor import Caller
from gateway.association.command_set import encode_response, parse_command
from gateway.association.listener import open_port
from gateway.association.pdu import ContextResult, acceptance, parse_acceptance, parse_request
from gateway.association.transfer import AcceptedContext, DataTransfer, End, TransferSettings
from gateway.console.http_server import HttpServer
from gateway.deid import Deidentifier, ProjectKey
from gateway.deliver.dicom_node.commitment import PUSH_MODEL, Commitments
from gateway.deliver.dicom_node.commitment_listener import Reports
from gateway.deliver.dicomweb.store_response import read_store_response
from gateway.dicom.encoded import Element, Familiar, Form, Limits, find, index_items, survey
from gateway.dicom.encoded import walk as every
from gateway.dicom.instance import open_instance
from gateway.dicom.segments import copy_to
from gateway.errors import (
    ConfigurationError,
    GatewayError,
    InstanceError,
    ProfileError,
    ProtocolViolation,
    SpoolCorrupt,
)
from gateway.pixels.description import describe
from gateway.profile import load_profile, shipped_profiles
from gateway.receive.contexts import is_uid, negotiate
from gateway.receive.store import Reception, StoreService
from gateway.service.health import Health
from gateway.settings.configuration import load_settings
from gateway.spool import Durability, Spool
from gateway.spool.output import read_parts
from gateway.verify import Verifier
from tests.integration.raw_peer import CT, EXPLICIT, IMPLICIT, VERIFICATION, Witness

#: Small, so that a hostile input meets them soon.
_LIMITS: Final = Limits(depth=12, elements=2_000)
#: What the walker has met.
_FAMILIAR: Final = Familiar()
#: Its items are read whatever VR it has.
_SEQUENCE: Final = 0x00091001
_REENCODED: Final = 1 << 20
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_CALLER: Final = Caller(source="any", calling_ae="PEER", called_ae="GATEWAY", address="127.0.0.1")
_CONTEXTS: Final = {
    1: AcceptedContext(CT, EXPLICIT),
    3: AcceptedContext(VERIFICATION, EXPLICIT),
    5: AcceptedContext(CT, IMPLICIT),
    7: AcceptedContext("1.2.826.0.1.3680043.9.1", _DEFLATED),
}
_MOST_INSTANCE: Final = 4096
_MOST_PDU: Final = 16_384
_CHECK_EVERY: Final = 64


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that is fuzzed.

    Attributes
    ----------
    name: of the target and of its directory of seeds
    run: takes an input; whatever it raises is a defect
    room: the modules whose coverage counts
    """

    name: str
    run: Callable[[bytes], None]
    room: str


@cache
def _work() -> Path:
    """A directory of this process, removed at its end."""
    return Path(_stack().enter_context(tempfile.TemporaryDirectory(prefix="fuzz-")))


@cache
def _stack() -> ExitStack:
    return ExitStack()


def close() -> None:
    """Remove what the targets keep."""
    _stack().close()


def walk(data: bytes) -> None:
    """The walker of encoded elements, in each of its forms."""
    for implicit, form in ((True, Form.REGULAR), (False, Form.REGULAR), (False, Form.MIXED), (False, Form.BIG_ENDIAN)):
        expected = _walked(data, form, implicit=implicit)
        # What was walked before, these bytes or others, changes nothing.
        for _ in range(2):
            assert _walked(data, form, implicit=implicit, familiar=_FAMILIAR) == expected
        if not isinstance(expected, list):
            continue
        elements = expected
        assert _count(elements, 0, len(data)) <= _LIMITS.elements
        assert all(find(elements, element[0]) is element for element in elements)
        assert sum(1 for _ in every(elements)) <= _LIMITS.elements
    with contextlib.suppress(InstanceError):
        items = index_items(data, 0, len(data), tag=_SEQUENCE, implicit=bool(data) and data[0] & 1 == 0, limits=_LIMITS)
        assert len(items) <= _LIMITS.elements


def _walked(
    data: bytes, form: Form, *, implicit: bool, familiar: Familiar | None = None
) -> list[Element] | type[InstanceError]:
    """The elements, or which error it is."""
    try:
        found = survey(data, 0, len(data), implicit=implicit, limits=_LIMITS, form=form, familiar=familiar)
    except InstanceError as error:
        return type(error)
    assert [element for _, part in found.parts for element in part] == found.elements
    return found.elements


def _count(elements: list[Element], start: int, stop: int) -> int:
    """Elements and items at all depths; each lies inside what holds it, and none twice."""
    tags = [element[0] for element in elements]
    assert tags == sorted(set(tags))
    count = len(elements)
    for _tag, _vr, begin, value, end, items in elements:
        assert start <= begin < value <= end <= stop
        for item in items or []:
            assert value <= item[0] < item[1] <= item[2] <= end
            count += 1 + _count(item[4], item[1], item[2])
    return count


def treat(data: bytes) -> None:
    """A file from opening to the verified output."""
    deidentifier, verifier = _engine()
    path = _work() / "instance.dcm"
    path.write_bytes(data)
    try:
        with open_instance(path, work=_work(), limits=_LIMITS, max_reencode_bytes=_REENCODED) as instance:
            # Contradictions between the header and the pixel data hold an instance that needs its pixels read.
            with contextlib.suppress(InstanceError):
                describe(instance)
            output = deidentifier.apply(instance)
            verifier.check(instance, output.segments)
            made = _work() / "output.dcm"
            with made.open("wb") as file:
                copy_to(output.segments, file)
    except InstanceError:
        assert [one.name for one in _work().iterdir() if one.name.startswith("reencode-")] == []
        return
    with open_instance(made, work=_work(), limits=Limits(), max_reencode_bytes=_REENCODED) as again:
        assert not again.reencoded
        assert again.text(0x00120062) == "YES"


@cache
def _engine() -> tuple[Deidentifier, Verifier]:
    program = load_profile("basic", search=[shipped_profiles()])
    return Deidentifier(program, ProjectKey(b"f" * 32)), Verifier(program)


class _Wire:
    """A connection that delivers ``data`` in uneven pieces and then ends."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.sent = 0

    def settimeout(self, seconds: float) -> None:
        """Nobody waits here."""

    def setsockopt(self, *_: int) -> None:
        """A connection without options."""

    def recv_into(self, room: memoryview) -> int:
        size = min(len(room), 1 + self._at * 7 % 4093, len(self._data) - self._at)
        room[:size] = self._data[self._at : self._at + size]
        self._at += size
        return size

    def sendall(self, data: bytes) -> None:
        self.sent += len(data)


def receive(data: bytes) -> None:
    """The data-transfer phase of an association: what is stored is what was acknowledged."""
    spool, witness = _spool()
    transfer = DataTransfer(
        _Wire(data),  # type: ignore[arg-type]
        contexts=_CONTEXTS,
        operations=Reception(
            StoreService(
                spool=spool,
                record=witness.record,
                observer=witness,
                max_instance_bytes=_MOST_INSTANCE,
                accept_unknown=True,
            ),
            _CALLER,
        ),
        settings=TransferSettings(max_pdu_bytes=_MOST_PDU, timeout_seconds=1, idle_seconds=1),
        peer_max_pdu_bytes=0,
    )
    with contextlib.suppress(ProtocolViolation):
        end = transfer.run()
        assert isinstance(end, bytes) or end in (End.DISCONNECTED, End.TIMED_OUT, End.IDLE)
    names = list(spool.names())
    assert len(names) == transfer.succeeded
    for name in names:
        assert spool.check(name).size <= _MOST_INSTANCE
        spool.remove(name)


@cache
def _spool() -> tuple[Spool, Witness]:
    return Spool(_work() / "spool", durability=Durability.NONE, reserve_bytes=0), Witness()


def association(data: bytes) -> None:
    """A request for an association, and its answer."""
    with contextlib.suppress(ProtocolViolation):
        request = parse_request(data)
        answered = negotiate(request.contexts, accept_unknown=True)
        assert [context.context_id for context in answered] == [context.context_id for context in request.contexts]
        for context in answered:
            assert is_uid(context.transfer_syntax)
            assert context.result is not ContextResult.ACCEPTANCE or is_uid(context.abstract_syntax)
        encoded = acceptance(request, answered, max_pdu_bytes=_MOST_PDU)
        assert int.from_bytes(encoded[2:6], "big") == len(encoded) - 6


def acceptance_of_ours(data: bytes) -> None:
    """What a node answers to our request for an association."""
    with contextlib.suppress(ProtocolViolation):
        found = parse_acceptance(data)
        assert all(0 <= context_id <= 255 for context_id in found.contexts)


def report(data: bytes) -> None:
    """The data-transfer phase of an association on which a node reports on storage commitment."""
    commitments = Commitments()
    transfer = DataTransfer(
        _Wire(data),  # type: ignore[arg-type]
        contexts={1: AcceptedContext(PUSH_MODEL, IMPLICIT), 3: AcceptedContext(PUSH_MODEL, EXPLICIT)},
        operations=Reports(commitments.report),
        settings=TransferSettings(max_pdu_bytes=_MOST_PDU, timeout_seconds=1, idle_seconds=1),
        peer_max_pdu_bytes=0,
    )
    with contextlib.suppress(ProtocolViolation):
        transfer.run()
    # Nothing was asked for: nothing can be reported on.
    assert transfer.succeeded == 0


def command(data: bytes) -> None:
    """A DIMSE command set."""
    with contextlib.suppress(ProtocolViolation):
        request = parse_command(data)
        answer = encode_response(request, 0xC000, data.decode("latin-1"))
        assert len(answer) % 2 == 0


def profile(data: bytes) -> None:
    """A profile, whose errors name their place."""
    path = _work() / "fuzzed.yaml"
    path.write_bytes(data)
    try:
        load_profile(path, search=[shipped_profiles()])
    except ProfileError as error:
        _names_its_place(error)


def configuration(data: bytes) -> None:
    """gateway.yaml, whose errors name their place."""
    path = _work() / "gateway.yaml"
    path.write_bytes(data)
    try:
        load_settings(path, {"STUDY_KEY": "k" * 40})
    except ConfigurationError as error:
        _names_its_place(error)


def _names_its_place(error: GatewayError) -> None:
    assert str(error.facts["place"])


def answer(data: bytes) -> None:
    """What a STOW-RS server answers."""
    response = read_store_response(data)
    assert response is None or not set(response.stored) & {""}


def stored(data: bytes) -> None:
    """The description of an output in the spool."""
    original, path = _work() / "original.dcm", _work() / "output"
    if not original.exists():
        original.write_bytes(bytes(1000))
    path.write_bytes(data)
    with contextlib.suppress(SpoolCorrupt):
        output = read_parts(path, name="fuzzed", stored=original)
        assert all(part.offset + part.length <= part.path.stat().st_size for part in output.parts())


class _Requests:
    """A running HTTP listener, and what went wrong in it."""

    def __init__(self) -> None:
        good = Health()
        self.failures: list[str] = []
        self.server = HttpServer(
            open_port("127.0.0.1", 0, place="http"), metrics=lambda: b"", alive=lambda: good, ready=lambda: good
        )
        self.server.start()
        self.count = 0
        _stack().callback(self.server.stop)

    def send(self, data: bytes) -> bytes:
        address = ("127.0.0.1", self.server.port)
        with socket.create_connection(address, timeout=20) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(_received(connection))
        return b""


def _received(connection: socket.socket) -> Iterator[bytes]:
    while part := connection.recv(65_536):
        yield part


@lru_cache(maxsize=1)
def _requests() -> _Requests:
    return _Requests()


def request(data: bytes) -> None:
    """The HTTP listener: it answers or closes, and goes on."""
    requests = _requests()
    answered = requests.send(data)
    assert not answered.startswith(b"HTTP/1.1 500")
    requests.count += 1
    if requests.count % _CHECK_EVERY == 0:
        assert b" 200 " in requests.send(b"GET /healthz HTTP/1.0\r\n\r\n").split(b"\r\n", 1)[0]


TARGETS: Final = {
    target.name: target
    for target in (
        Target("walker", walk, "gateway.dicom.encoded"),
        Target("instance", treat, "gateway.deid"),
        Target("transfer", receive, "gateway.association"),
        Target("association", association, "gateway.association"),
        Target("acceptance", acceptance_of_ours, "gateway.association"),
        Target("command", command, "gateway.association"),
        Target("report", report, "gateway.association"),
        Target("profile", profile, "gateway.profile"),
        Target("configuration", configuration, "gateway.settings.configuration"),
        Target("answer", answer, "gateway.deliver"),
        Target("output", stored, "gateway.spool"),
        Target("request", request, "gateway.console"),
    )
}
