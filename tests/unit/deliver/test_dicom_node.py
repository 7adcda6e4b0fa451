"""Delivery by C-STORE to peers that behave and peers that do not."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt

from gateway.deliver.base import Destination, Outcome, Parcel, Probing
from gateway.deliver.dicom_node.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE
from gateway.deliver.dicom_node.destination import DicomNodeDestination
from gateway.deliver.dicom_node.settings import DicomNodeSettings
from gateway.dicom.segments import FileRange
from tests.fixtures.asking import ASKING, only_asks
from tests.fixtures.ports import free_port, wait_until
from tests.unit.deliver.peers import section

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"


def parcel(
    folder: Path, number: int = 1, *, sop_class: str = CT, syntax: str = ExplicitVRLittleEndian, pixels: int = 64
) -> Parcel:
    """An instance stored in two files, with foreign bytes around the second part."""
    data_set = Dataset()
    data_set.SOPClassUID, data_set.SOPInstanceUID = sop_class, generate_uid(prefix=None)
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = "2.25.1", "2.25.2"
    data_set.PatientID = "SUBJECT-1"
    data_set.PixelData = bytes(pixels)
    data_set["PixelData"].VR = "OW"
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    encoded = BytesIO()
    data_set.save_as(encoded, enforce_file_format=True)
    content = encoded.getvalue()
    head, tail = folder / f"{number}.head", folder / f"{number}.tail"
    head.write_bytes(content[:400])
    tail.write_bytes(b"before" + content[400:] + b"after")
    return Parcel(
        delivery_id=number,
        patient_id="SUBJECT-1",
        study_uid="2.25.1",
        series_uid="2.25.2",
        sop_uid=data_set.SOPInstanceUID,
        sop_class_uid=sop_class,
        transfer_syntax=syntax,
        length=len(content),
        parts=(FileRange(head, 0, 400), FileRange(tail, 6, len(content) - 400)),
    )


def data_set_bytes(one: Parcel) -> bytes:
    content = b"".join(part.path.read_bytes()[part.offset : part.offset + part.length] for part in one.parts)
    group_length = int.from_bytes(content[140:144], "little")
    return content[144 + group_length :]


class Peer:
    """A pynetdicom SCP that answers from a script and keeps what it was given."""

    def __init__(
        self,
        *,
        statuses: Sequence[int] = (),
        contexts: Sequence[tuple[str, str]] = ((CT, ExplicitVRLittleEndian), (MR, ExplicitVRLittleEndian)),
        committing: Callable[[evt.Event], Any] | None = None,
        called_ae: str = "ARCHIVE",
        max_pdu: int = 16384,
        abort_on: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.stored: list[bytes] = []
        self.associations = 0
        self.released = 0
        self._statuses = iter(statuses)
        self._abort_on = abort_on
        entity = AE(ae_title=called_ae)
        entity.require_called_aet = True
        entity.maximum_pdu_size = max_pdu
        entity.add_supported_context(VERIFICATION)
        for abstract, syntax in contexts:
            entity.add_supported_context(abstract, syntax)
        if committing is not None:
            entity.add_supported_context(PUSH_MODEL)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_RELEASED, self._ended),
        ]
        if committing is not None:
            handlers.append((evt.EVT_N_ACTION, committing))
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=tls)
        assert server is not None
        self.server = server
        self.port = int(server.server_address[1])

    def _accepted(self, _event: evt.Event) -> None:
        self.associations += 1

    def _ended(self, _event: evt.Event) -> None:
        self.released += 1

    def _store(self, event: evt.Event) -> int:
        request: Any = event.request
        self.stored.append(request.DataSet.getvalue())
        if len(self.stored) == self._abort_on:
            event.assoc.abort()
        return next(self._statuses, 0x0000)


@contextmanager
def peer(**options: Any) -> Iterator[Peer]:
    one = Peer(**options)
    try:
        yield one
    finally:
        one.server.shutdown()


@contextmanager
def destination(port: int, **fields: Any) -> Iterator[DicomNodeDestination]:
    fields = {"host": "127.0.0.1", "called_ae": "ARCHIVE", "timeout_seconds": 10.0, **fields}
    one = DicomNodeDestination("node", section(DicomNodeSettings, type="dicom", port=port, **fields))
    try:
        yield one
    finally:
        one.close()


def short(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    return [(outcome.state, outcome.code) for outcome in outcomes]


@pytest.mark.parametrize("max_pdu", [0, 4096, 16384, 1 << 20])
def test_every_byte_of_the_data_set_arrives(tmp_path: Path, max_pdu: int) -> None:
    # Around the window: less, one byte pair around its end, several windows.
    sizes = [64, (1 << 20) - 300, 1 << 20, 3_000_000]
    parcels = [parcel(tmp_path, number, pixels=size) for number, size in enumerate(sizes)]
    with peer(max_pdu=max_pdu) as scp, destination(scp.port) as node:
        assert short(node.send(parcels)) == [("confirmed", "stored")] * len(sizes)
        assert scp.stored == [data_set_bytes(one) for one in parcels]
        assert scp.associations == 1


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0x0000, ("confirmed", "stored")),
        (0xB000, ("confirmed", "stored-with-warning")),  # coercion of data elements
        (0xB006, ("confirmed", "stored-with-warning")),  # elements discarded
        (0xB007, ("confirmed", "stored-with-warning")),  # does not match its SOP Class
        (0x0111, ("confirmed", "already-stored")),  # duplicate SOP Instance
        (0xA700, ("failed", "rejected")),  # out of resources: passes
        (0xA701, ("failed", "rejected")),
        (0x0110, ("failed", "rejected")),  # processing failure
        (0x0124, ("failed", "rejected")),  # not authorised: somebody changes that at the node
        (0xA900, ("dead", "rejected")),  # does not match its SOP Class
        (0xC000, ("dead", "rejected")),  # cannot understand
        (0xC123, ("dead", "rejected")),
        (0x0122, ("dead", "rejected")),  # SOP Class not supported
        (0x7777, ("failed", "rejected")),  # no status of the standard
    ],
)
def test_what_a_status_means(tmp_path: Path, status: int, expected: tuple[str, str]) -> None:
    with peer(statuses=[status]) as scp, destination(scp.port) as node:
        [outcome, after] = node.send([parcel(tmp_path, 1), parcel(tmp_path, 2)])
        assert (outcome.state, outcome.code) == expected
        assert (f"0x{status:04X}" in outcome.detail) == (status != 0)
        assert after.state == "confirmed"


def test_a_duplicate_can_be_left_to_a_human(tmp_path: Path) -> None:
    with peer(statuses=[0x0111]) as scp, destination(scp.port, duplicates="refuse") as node:
        assert short(node.send([parcel(tmp_path)])) == [("dead", "already-stored")]


def test_an_association_is_kept_and_given_up(tmp_path: Path) -> None:
    with peer() as scp, destination(scp.port, idle_seconds=0.2) as node:
        for number in range(3):
            assert short(node.send([parcel(tmp_path, number)])) == [("confirmed", "stored")]
        assert scp.associations == 1
        wait_until(lambda: scp.released == 1, what="the idle association is released")
        assert short(node.send([parcel(tmp_path, 9)])) == [("confirmed", "stored")]
        assert scp.associations == 2
    wait_until(lambda: scp.released == 2, what="close releases")


def test_contexts_are_those_of_what_waits(tmp_path: Path) -> None:
    parcels = [
        parcel(tmp_path, 1),
        parcel(tmp_path, 2, sop_class=MR),
        parcel(tmp_path, 3, syntax=JPEGBaseline8Bit),  # the peer does not support the transfer syntax
        parcel(tmp_path, 4, sop_class="1.2.840.10008.5.1.4.1.1.1"),  # nor the SOP Class
        parcel(tmp_path, 5),
    ]
    with peer() as scp, destination(scp.port) as node:
        outcomes = node.send(parcels)
        assert short(outcomes) == [
            ("confirmed", "stored"),
            ("confirmed", "stored"),
            ("dead", "context-refused"),
            ("dead", "context-refused"),
            ("confirmed", "stored"),
        ]
        assert "transfer syntax" in outcomes[2].detail
        assert "SOP Class" in outcomes[3].detail
        assert scp.associations == 1


def test_more_contexts_than_an_association_has(tmp_path: Path) -> None:
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts[:140]]
    parcels = [parcel(tmp_path, number, sop_class=uid) for number, uid in enumerate(classes)]
    with (
        peer(contexts=[(uid, ExplicitVRLittleEndian) for uid in classes]) as scp,
        destination(scp.port) as node,
    ):
        assert short(node.send(parcels)) == [("confirmed", "stored")] * len(parcels)
        assert scp.associations == 2


def test_a_peer_that_ended_the_kept_association_is_asked_again(tmp_path: Path) -> None:
    with peer(abort_on=2) as scp, destination(scp.port) as node:
        assert short(node.send([parcel(tmp_path, 1)])) == [("confirmed", "stored")]
        # The abort hits a kept association: one more try on a new one.
        assert short(node.send([parcel(tmp_path, 2)])) == [("confirmed", "stored")]
        assert scp.associations == 2


def test_an_association_that_is_lost_costs_one_instance(tmp_path: Path) -> None:
    parcels = [parcel(tmp_path, number) for number in range(3)]
    with peer(abort_on=1) as scp, destination(scp.port) as node:
        outcomes = short(node.send(parcels))
        assert outcomes[0][0] == "failed"
        assert outcomes[0][1] in {"aborted", "connection-lost"}
        assert outcomes[1:] == [("confirmed", "stored")] * 2


def test_nobody_listens(tmp_path: Path) -> None:
    parcels = [parcel(tmp_path, number) for number in range(3)]
    with destination(free_port()) as node:
        assert short(node.send(parcels)) == [("failed", "unreachable")] * 3


def test_a_title_that_the_peer_does_not_answer_to(tmp_path: Path) -> None:
    with peer(called_ae="OTHER") as scp, destination(scp.port) as node:
        [outcome] = node.send([parcel(tmp_path)])
        assert (outcome.state, outcome.code) == ("failed", "association-rejected")
        assert "set called_ae" in outcome.detail


@contextmanager
def raw_peer(*answers: bytes) -> Iterator[int]:
    """Accepts connections and says the same bytes on each, whatever it hears."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def serve() -> None:
            server.settimeout(0.1)
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    for answer in answers:
                        connection.recv(1 << 16)
                        connection.sendall(answer)
                    done.wait(0.5)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "timeout"),  # never says anything
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol"),  # no DICOM
        (b"\x02\x00\xff\xff\xff\xff", "protocol"),  # a PDU of 4 GB
        (b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00", "aborted"),
        (b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00", "protocol"),  # a release in place of an acceptance
        (b"\x02\x00\x00\x00\x00\x04\x00\x01\x00\x00", "protocol"),  # an acceptance that is cut off
    ],
)
def test_peers_that_are_no_dicom_node(tmp_path: Path, answer: bytes, code: str) -> None:
    with raw_peer(answer) as port, destination(port, timeout_seconds=0.3) as node:
        assert short(node.send([parcel(tmp_path)])) == [("failed", code)]


def test_what_is_wrong_with_the_instance_is_its_own_matter(tmp_path: Path) -> None:
    good = parcel(tmp_path, 1)
    torn, gone, other = (parcel(tmp_path, number) for number in (2, 3, 4))
    torn.parts[1].path.write_bytes(b"before" + bytes(10))
    gone.parts[1].path.unlink()
    wrong = replace(other, length=other.length + 1)
    nameless = replace(other, delivery_id=5, sop_uid="no uid")
    with peer() as scp, destination(scp.port) as node:
        assert short(node.send([torn, gone, wrong, nameless, good])) == [
            ("dead", "spool-corrupt"),
            ("failed", "spool-unreadable"),
            ("dead", "spool-corrupt"),
            ("dead", "invalid-uid"),
            ("confirmed", "stored"),
        ]
        assert scp.stored == [data_set_bytes(good)]


def test_from_several_threads(tmp_path: Path) -> None:
    parcels = [parcel(tmp_path, number) for number in range(40)]
    outcomes: list[Outcome] = []
    with peer() as scp, destination(scp.port, connections=2) as node:
        threads = [
            threading.Thread(target=lambda start=start: outcomes.extend(node.send(parcels[start : start + 10])))
            for start in range(0, 40, 10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcome.delivery_id for outcome in outcomes) == list(range(40))
        assert {outcome.state for outcome in outcomes} == {"confirmed"}
        assert sorted(scp.stored) == sorted(data_set_bytes(one) for one in parcels)
        assert scp.associations <= 4


# Storage commitment --------------------------------------------------------------------------------------------------


def referenced(event: evt.Event) -> tuple[str, list[Dataset]]:
    asked = event.action_information
    return str(asked.TransactionUID), list(asked.ReferencedSOPSequence)


def report(transaction: str, committed: Sequence[Dataset], failed: Sequence[tuple[Dataset, int]] = ()) -> Dataset:
    found = Dataset()
    found.TransactionUID = transaction
    if committed:
        found.ReferencedSOPSequence = list(committed)
    for item, reason in failed:
        item.FailureReason = reason
    if failed:
        found.FailedSOPSequence = [item for item, _ in failed]
    return found


class Committer:
    """Answers N-ACTION with ``status`` and reports on an association of its own when told to."""

    def __init__(self, port: int, *, status: int = 0x0000, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self._tls = (tls, "localhost") if tls is not None else None
        self.asked: list[tuple[str, list[Dataset]]] = []
        self._status = status

    def __call__(self, event: evt.Event) -> tuple[int, None]:
        self.asked.append(referenced(event))
        return self._status, None

    def report(self, found: Dataset, *, event_type: int = 1, ae_title: str = "ARCHIVE") -> int | None:
        """The status of the gateway's answer; None if it does not take the association."""
        entity = AE(ae_title=ae_title)
        entity.add_requested_context(PUSH_MODEL)
        association = entity.associate(
            "127.0.0.1", self.port, ae_title="GATEWAY", tls_args=self._tls, evt_handlers=ASKING
        )
        if not association.is_established:
            return None
        try:
            status, _ = association.send_n_event_report(found, event_type, PUSH_MODEL, PUSH_MODEL_INSTANCE)
            return int(status.Status)
        finally:
            association.release()


def committing(port: int | None, *, timeout_seconds: float = 3600.0) -> dict[str, Any]:
    return {"port": port, "timeout_seconds": timeout_seconds}


def test_commitment_on_an_association_of_the_node(tmp_path: Path) -> None:
    port = free_port()
    committer = Committer(port)
    parcels = [parcel(tmp_path, number) for number in range(3)]
    with peer(committing=committer) as scp, destination(scp.port, commitment=committing(port)) as node:
        assert short(node.send(parcels)) == [("sent", "commitment-requested")] * 3
        [(transaction, items)] = committer.asked
        assert [str(item.ReferencedSOPInstanceUID) for item in items] == [one.sop_uid for one in parcels]
        assert {str(item.ReferencedSOPClassUID) for item in items} == {CT}
        assert short(node.confirm(parcels)) == [("sent", "commitment-requested")] * 3
        # Strangers are not heard, nor reports of another transaction.
        assert committer.report(report(transaction, items), ae_title="STRANGER") is None
        assert committer.report(report("2.25.4711", items)) == 0x0110
        assert short(node.confirm(parcels)) == [("sent", "commitment-requested")] * 3
        # One committed, one refused for now, one for good.
        found = report(transaction, items[:1], [(items[1], 0x0213), (items[2], 0x0119)])
        assert committer.report(found, event_type=2) == 0x0000
        assert short(node.confirm(parcels)) == [
            ("confirmed", "committed"),
            ("failed", "not-committed"),
            ("dead", "not-committed"),
        ]
        # A transaction ends with its report.
        assert committer.report(found, event_type=2) == 0x0110


def test_what_a_report_does_not_list_is_not_committed(tmp_path: Path) -> None:
    port = free_port()
    committer = Committer(port)
    parcels = [parcel(tmp_path, number) for number in range(2)]
    with peer(committing=committer) as scp, destination(scp.port, commitment=committing(port)) as node:
        node.send(parcels)
        [(transaction, items)] = committer.asked
        assert committer.report(report(transaction, items[1:])) == 0x0000
        assert short(node.confirm(parcels)) == [("failed", "not-committed"), ("confirmed", "committed")]


def test_commitment_on_the_same_association(tmp_path: Path) -> None:
    associations: list[Any] = []
    asked: list[tuple[str, list[Dataset]]] = []

    def on_action(event: evt.Event) -> tuple[int, None]:
        only_asks(event.assoc)
        associations.append(event.assoc)
        asked.append(referenced(event))
        return 0x0000, None

    parcels = [parcel(tmp_path, number) for number in range(2)]
    options = {"idle_seconds": 0.2, "commitment": {"port": None}}
    with peer(committing=on_action) as scp, destination(scp.port, **options) as node:
        assert short(node.send(parcels)) == [("sent", "commitment-requested")] * 2
        transaction, items = asked[0]
        answers: list[Any] = []
        thread = threading.Thread(
            target=lambda: answers.append(
                associations[0].send_n_event_report(report(transaction, items), 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
            )
        )
        thread.start()
        wait_until(lambda: short(node.confirm(parcels))[0][0] != "sent", what="the report is heard")
        thread.join()
        assert int(answers[0][0].Status) == 0x0000
        assert scp.associations == 1


def test_no_report_in_time_means_to_send_again(tmp_path: Path) -> None:
    port = free_port()
    committer = Committer(port)
    [one] = parcels = [parcel(tmp_path)]
    commitment = committing(port, timeout_seconds=1e-9)
    with peer(committing=committer) as scp, destination(scp.port, commitment=commitment) as node:
        node.send(parcels)
        assert short(node.confirm(parcels)) == [("failed", "commitment-timeout")]
        # Sent again it is asked for in a new transaction; the report of the old one counts no more.
        node.send(parcels)
        (old, items), (new, _) = committer.asked
        assert old != new
        assert committer.report(report(old, items)) == 0x0110
        assert committer.report(report(new, items)) == 0x0000
        assert short(node.confirm([one])) == [("confirmed", "committed")]


def test_after_a_restart_commitment_is_asked_for_again(tmp_path: Path) -> None:
    port = free_port()
    committer = Committer(port)
    parcels = [parcel(tmp_path)]
    with peer(committing=committer) as scp:
        with destination(scp.port, commitment=committing(port)) as before:
            before.send(parcels)
        with destination(scp.port, commitment=committing(port)) as after:
            assert short(after.confirm(parcels)) == [("sent", "commitment-requested")]
            assert len(scp.stored) == 1
            assert committer.report(report(*committer.asked[1])) == 0x0000
            assert short(after.confirm(parcels)) == [("confirmed", "committed")]


def test_a_node_without_commitment_confirms_nothing(tmp_path: Path) -> None:
    with peer() as scp, destination(scp.port, commitment=committing(free_port())) as node:
        [outcome] = node.send([parcel(tmp_path)])
        assert (outcome.state, outcome.code) == ("failed", "no-commitment")
        assert scp.stored == []


def test_a_node_that_refuses_the_request_is_asked_again(tmp_path: Path) -> None:
    committer = Committer(free_port(), status=0x0110)
    parcels = [parcel(tmp_path)]
    with peer(committing=committer) as scp, destination(scp.port, commitment=committing(committer.port)) as node:
        assert short(node.send(parcels)) == [("sent", "commitment-unasked")]
        assert short(node.confirm(parcels)) == [("sent", "commitment-unasked")]
        assert len(committer.asked) == 2
        assert len(scp.stored) == 1


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with peer(committing=Committer(0)) as scp, destination(scp.port, commitment=committing(scp.port)) as node:
        [outcome] = node.send([parcel(tmp_path)])
        assert (outcome.state, outcome.code) == ("failed", "commitment-port")


def test_without_commitment_what_was_sent_before_is_stored_again(tmp_path: Path) -> None:
    with peer() as scp, destination(scp.port) as node:
        assert short(node.confirm([parcel(tmp_path)])) == [("confirmed", "stored")]
        assert len(scp.stored) == 1


# Probing -------------------------------------------------------------------------------------------------------------


def test_a_probe_tells_what_works(tmp_path: Path) -> None:
    with peer(committing=Committer(0)) as scp, destination(scp.port, commitment=committing(free_port())) as node:
        assert isinstance(node, Destination)
        assert isinstance(node, Probing)
        checks = list(node.probe(parcel(tmp_path)))
        assert [check.ok for check in checks] == [True] * 4
        assert len(scp.stored) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"port": 1}, "no association"),  # nobody listens there
        ({"called_ae": "OTHER"}, "set called_ae"),
    ],
)
def test_a_probe_tells_what_is_wrong(changes: dict[str, Any], words: str) -> None:
    with peer() as scp, destination(**{"port": scp.port, **changes}) as node:
        [check] = list(node.probe(None))
        assert not check.ok
        assert words in check.text


def test_implicit_data_sets_are_announced_as_such(tmp_path: Path) -> None:
    one = parcel(tmp_path, syntax=ImplicitVRLittleEndian)
    with peer(contexts=[(CT, ImplicitVRLittleEndian)]) as scp, destination(scp.port) as node:
        assert short(node.send([one])) == [("confirmed", "stored")]
        assert scp.associations == 1
