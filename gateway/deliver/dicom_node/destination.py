"""Delivery to a DICOM node by C-STORE (PS3.4 B), with Storage Commitment as the confirmation if that is wanted.

Instances go as they are: nothing is transcoded, so a presentation context is proposed for each pair of SOP Class and
transfer syntax that waits. Associations are kept for a while and used again.

==========================  ============================================================================================
answer                      outcome
==========================  ============================================================================================
success, warning            confirmed (``stored``, ``stored-with-warning``); with Storage Commitment: sent
failure                     as ``data/store-statuses.csv`` says: dead (``rejected``), failed, or a duplicate
context not accepted        dead (``context-refused``) if the node does not support SOP Class or transfer syntax, else
                            failed
association lost            failed (``connection-lost``, ``aborted``, ``timeout``), after three in a row for all that
                            remains
no association              failed (``unreachable``, ``association-rejected``, ``tls``) for all that remains
==========================  ============================================================================================

With Storage Commitment a delivery is confirmed (``committed``) when the node reports so. What the node reports as not
kept, or does not report on in time, is sent again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore, Event, Lock, Thread
from typing import Final

from gateway.association.command_set import C_STORE_RQ, RESPONSE, c_echo_request, c_store_request, n_action_request
from gateway.association.requestor import MOST_CONTEXTS, Association, Node, Pair
from gateway.deliver.base import Check, Outcome, OutcomeState, Parcel, Verdict
from gateway.deliver.books import Books
from gateway.deliver.dicom_node.commitment import (
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    REQUEST_COMMITMENT,
    Commitments,
    Transaction,
    failure_of,
)
from gateway.deliver.dicom_node.commitment_listener import CommitmentListener
from gateway.deliver.dicom_node.settings import DicomNodeSettings
from gateway.deliver.dicom_node.store_status import status_of
from gateway.deliver.verdicts import NOT_WHOLE, unanswered, unreadable
from gateway.dicom.file_meta import read_file_meta
from gateway.dicom.segments import FileRange
from gateway.dicom.uid import is_valid_uid
from gateway.errors import DeliveryFailed, MalformedDataSet, NotDicom, SpoolCorrupt, SpoolUnavailable

_IMPLICIT: Final = "1.2.840.10008.1.2"
_VERIFICATION: Final[Pair] = ("1.2.840.10008.1.1", _IMPLICIT)
_COMMITMENT: Final[Pair] = (PUSH_MODEL, _IMPLICIT)
_SETBACKS_IN_A_ROW: Final = 3
#: More than preamble and file meta information take.
_HEAD: Final = 4096
#: Results of a presentation context that do not pass by themselves (PS3.8 table 9-18).
_UNSUPPORTED: Final = {3: "its SOP Class", 4: "its transfer syntax for this SOP Class"}
#: A report is asked after soon, then less and less often.
_FIRST_ASK_SECONDS: Final = 1.0
_LONGEST_ASK_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Idle:
    association: Association
    since: float


class DicomNodeDestination:
    """A DICOM node as a destination; safe for use from several threads.

    Parameters
    ----------
    name
        the destination's name
    settings
        the node, and how instances are sent
    books
        not needed

    Raises
    ------
    ConfigurationError
        a certificate cannot be used
    """

    def __init__(self, name: str, settings: DicomNodeSettings, *, books: Books | None = None) -> None:  # noqa: ARG002
        place = f"destinations.{name}"
        files = None if settings.tls is None else settings.tls.files
        listens = settings.commitment is not None and settings.commitment.port is not None
        self._name = name
        self._settings = settings
        self._node = Node(
            destination=name,
            host=settings.host,
            port=settings.port,
            called_ae=settings.called_ae,
            calling_ae=settings.calling_ae,
            timeout_seconds=settings.timeout_seconds,
            max_pdu_bytes=settings.max_pdu_bytes,
            context=None if files is None else files.context(place=place),
        )
        #: TLS of the port for reports.
        self._server_context = files.server_context(place=place) if files is not None and listens else None
        self._commitments = Commitments()
        self._slots = BoundedSemaphore(settings.connections)
        self._lock = Lock()
        self._idle: list[_Idle] = []
        self._listener: CommitmentListener | None = None
        self._reaper: Thread | None = None
        self._closed = Event()

    @property
    def name(self) -> str:
        """The destination's name."""
        return self._name

    def send(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Store the parcels; see the module's table for the outcomes."""
        judgements: dict[int, Verdict] = {}
        try:
            self._listen()
        except DeliveryFailed as error:
            return [unanswered(error).of(parcel) for parcel in parcels]
        with self._slots, self._session() as session:
            stored: list[Parcel] = []
            setbacks, stop = 0, None
            for position, parcel in enumerate(parcels):
                if stop is None:
                    pairs = [_pair(other) for other in parcels[position:]]
                    judgement, lost = self._store(session, parcel, pairs)
                    setbacks = setbacks + 1 if lost else 0
                    if session.unreachable or setbacks >= _SETBACKS_IN_A_ROW:
                        stop = judgement
                else:
                    judgement = stop
                judgements[parcel.delivery_id] = judgement
                if judgement.state == "confirmed":
                    stored.append(parcel)
            if self._settings.commitment is not None and stored:
                judgements |= self._ask(session, stored)
        return [judgements[parcel.delivery_id].of(parcel) for parcel in parcels]

    def confirm(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Whether the node has committed itself to keep the parcels; asks for those that were never asked for."""
        commitment = self._settings.commitment
        if commitment is None:
            # They were sent when commitment was still wanted; the answer to C-STORE is what confirms.
            return self.send(parcels)
        self._hear()
        judgements: dict[int, Verdict] = {}
        unasked: list[Parcel] = []
        for parcel in parcels:
            verdict = self._commitments.verdict(parcel.delivery_id)
            if verdict.state in ("committed", "failed"):
                self._commitments.forget(parcel)
            if verdict.state == "committed":
                judgements[parcel.delivery_id] = Verdict("confirmed", "committed")
            elif verdict.state == "failed":
                judgements[parcel.delivery_id] = _not_committed(verdict.reason)
            elif verdict.waited_seconds > commitment.timeout_seconds:
                self._commitments.forget(parcel)
                detail = f"no report of storage commitment within {commitment.timeout_seconds:g} seconds"
                judgements[parcel.delivery_id] = Verdict("failed", "commitment-timeout", detail)
            elif verdict.state == "waiting":
                judgements[parcel.delivery_id] = _waiting(verdict.waited_seconds)
            else:
                unasked.append(parcel)
        if unasked:
            try:
                self._listen()
                with self._slots, self._session() as session:
                    judgements |= self._ask(session, unasked)
            except DeliveryFailed as error:
                judgements |= {parcel.delivery_id: _unasked(str(error.facts["reason"])) for parcel in unasked}
        return [judgements[parcel.delivery_id].of(parcel) for parcel in parcels]

    def probe(self, parcel: Parcel | None) -> Iterator[Check]:
        """Open an association, verify it (C-ECHO), look which contexts are accepted, and store ``parcel`` if given."""
        wanted = [_VERIFICATION]
        wanted += [_COMMITMENT] if self._settings.commitment is not None else []
        wanted += [_pair(parcel)] if parcel is not None else []
        try:
            association = Association(self._node, wanted)
        except DeliveryFailed as error:
            yield Check(ok=False, text=f"no association: {error.facts['reason']}")
            return
        try:
            yield Check(ok=True, text="the node accepts an association")
            if _VERIFICATION in association.accepted:
                message_id = association.next_message_id()
                status = association.exchange(_VERIFICATION, c_echo_request(message_id, _VERIFICATION[0])).status
                yield Check(ok=status == 0, text=f"C-ECHO is answered with status 0x{status:04X}")
            if self._settings.commitment is not None:
                ok = _COMMITMENT in association.accepted
                yield Check(ok=ok, text=f"the node {'offers' if ok else 'does not offer'} storage commitment")
            if parcel is not None:
                yield self._probe_store(association, parcel)
        except (DeliveryFailed, SpoolUnavailable, SpoolCorrupt) as error:
            yield Check(ok=False, text=error.message)
        finally:
            association.release()

    def close(self) -> None:
        """Release the idle associations, and those in use as soon as they are done; listen no more."""
        self._closed.set()
        with self._lock:
            idle, self._idle = self._idle, []
            listener, self._listener = self._listener, None
        for one in idle:
            one.association.release()
        if listener is not None:
            listener.close()

    # Storing ---------------------------------------------------------------------------------------------------------

    def _store(self, session: _Session, parcel: Parcel, pairs: Sequence[Pair]) -> tuple[Verdict, bool]:
        """Store one instance; the flag tells whether the association was lost meanwhile."""
        fault = _fault(parcel)
        if fault is not None:
            return fault, False
        try:
            data = _data_set(parcel)
            while True:
                association = session.association(pairs)
                if _COMMITMENT in association.refused:
                    detail = "the node does not offer storage commitment: enable it there or remove commitment"
                    return Verdict("failed", "no-commitment", detail), False
                pair = _pair(parcel)
                if pair in association.refused:
                    return _context_refused(association.refused[pair]), False
                reused = association.used
                try:
                    return self._stored(association, parcel, data), False
                except DeliveryFailed as error:
                    # A node may end a kept association at any moment, and storing twice is storing once: one more try
                    # on an association of its own tells whether it is really gone.
                    if not reused or error.facts["code"] not in ("connection-lost", "aborted"):
                        return unanswered(error), True
        except DeliveryFailed as error:
            session.unreachable = True
            return unanswered(error), True
        except (SpoolCorrupt, SpoolUnavailable) as error:
            return unreadable(error), False

    def _stored(self, association: Association, parcel: Parcel, data: Sequence[FileRange]) -> Verdict:
        command = c_store_request(association.next_message_id(), parcel.sop_class_uid, parcel.sop_uid)
        answer = association.exchange(_pair(parcel), command, data)
        if answer.field != C_STORE_RQ | RESPONSE or (answer.instance_uid and answer.instance_uid != parcel.sop_uid):
            association.abort()
            raise self._node.failed("protocol", "its answer is to another request")
        return self._judged(answer.status)

    def _judged(self, status: int) -> Verdict:
        known = status_of(status)
        detail = f"status 0x{status:04X}: {known.meaning}"
        match known.decision:
            case "stored":
                return Verdict("confirmed", "stored")
            case "warning":
                return Verdict("confirmed", "stored-with-warning", detail)
            case "duplicate":
                state: OutcomeState = "confirmed" if self._settings.duplicates == "confirm" else "dead"
                return Verdict(state, "already-stored", detail)
            case "refuse":
                return Verdict("dead", "rejected", detail)
            case "retry":
                return Verdict("failed", "rejected", detail)

    def _probe_store(self, association: Association, parcel: Parcel) -> Check:
        pair = _pair(parcel)
        if pair in association.refused:
            return Check(ok=False, text=_context_refused(association.refused[pair]).detail)
        judgement = self._stored(association, parcel, _data_set(parcel))
        if judgement.state != "confirmed":
            return Check(ok=False, text=f"the test instance is not stored: {judgement.detail}")
        return Check(ok=True, text="the test instance is stored; DICOM has no way to remove it, so it stays there")

    # Commitment ------------------------------------------------------------------------------------------------------

    def _ask(self, session: _Session, parcels: Sequence[Parcel]) -> dict[int, Verdict]:
        """Request commitment for stored parcels, each SOP Instance UID once per transaction."""
        judgements: dict[int, Verdict] = {}
        rest = list(parcels)
        while rest:
            members: dict[str, Parcel] = {}
            for parcel in rest:
                members.setdefault(parcel.sop_uid, parcel)
            rest = [parcel for parcel in rest if members[parcel.sop_uid] is not parcel]
            transaction = self._commitments.begin(list(members.values()))
            problem = self._request(session, transaction)
            if problem:
                self._commitments.refused(transaction)
            judgement = _unasked(problem) if problem else _waiting(0.0)
            judgements |= {parcel.delivery_id: judgement for parcel in members.values()}
        return judgements

    def _request(self, session: _Session, transaction: Transaction) -> str:
        """Send the N-ACTION; what is wrong, or nothing."""
        try:
            association = session.association([_COMMITMENT])
            if _COMMITMENT in association.refused:
                return "the node does not offer it"
            command = n_action_request(
                association.next_message_id(), PUSH_MODEL, PUSH_MODEL_INSTANCE, action_type=REQUEST_COMMITMENT
            )
            status = association.exchange(_COMMITMENT, command, [transaction.data_set]).status
        except DeliveryFailed as error:
            return str(error.facts["reason"])
        return "" if status == 0 else f"the node answers with status 0x{status:04X}"

    def _listen(self) -> None:
        """Listen for reports from the first use on, so that only who delivers takes the port."""
        commitment = self._settings.commitment
        if commitment is None or commitment.port is None:
            return
        with self._lock:
            if self._listener is None and not self._closed.is_set():
                self._listener = CommitmentListener(
                    self._node,
                    host=commitment.host,
                    port=commitment.port,
                    networks=commitment.addresses,
                    report=self._commitments.report,
                    context=self._server_context,
                )
            listener = self._listener
        if listener is not None:
            listener.resolve()

    def _hear(self) -> None:
        """Take in the reports that have come on idle associations."""
        with self._lock:
            idle, self._idle = self._idle, []
        for one in idle:
            one.association.poll()
        with self._lock:
            self._idle += [one for one in idle if one.association.is_open]

    # Associations ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _session(self) -> Iterator[_Session]:
        with self._lock:
            kept = self._idle.pop().association if self._idle else None
        session = _Session(self._node, kept, self._commitments, commit=self._settings.commitment is not None)
        try:
            yield session
        finally:
            self._keep(session.current)

    def _keep(self, association: Association | None) -> None:
        if association is None or not association.is_open:
            return
        if self._closed.is_set():
            association.release()
            return
        with self._lock:
            self._idle.append(_Idle(association, time.monotonic()))
            if self._reaper is None:
                self._reaper = Thread(target=self._reap, name=f"{self._name}-idle", daemon=True)
                self._reaper.start()

    def _reap(self) -> None:
        """Release the associations that were idle for too long."""
        while not self._closed.wait(min(1.0, self._settings.idle_seconds)):
            before = time.monotonic() - self._longest_idle()
            with self._lock:
                old = [one for one in self._idle if one.since <= before]
                self._idle = [one for one in self._idle if one.since > before]
            for one in old:
                one.association.poll()
                one.association.release()

    def _longest_idle(self) -> float:
        """Without a port for reports they can only come on the association that asked: it stays."""
        commitment = self._settings.commitment
        if commitment is not None and commitment.port is None and self._commitments.waits():
            return max(self._settings.idle_seconds, commitment.timeout_seconds)
        return self._settings.idle_seconds


class _Session:
    """One thread's use of one association, opened anew when it is lost or lacks a presentation context.

    Attributes: ``current``: the association, if there is one; ``unreachable``: none could be opened.
    """

    def __init__(self, node: Node, kept: Association | None, commitments: Commitments, *, commit: bool) -> None:
        self._node = node
        self._commitments = commitments
        self._commit = commit
        self.current = kept
        self.unreachable = False

    def association(self, pairs: Sequence[Pair]) -> Association:
        """An open association on which the first of ``pairs`` was proposed, and of the others what there is room for.

        Raises
        ------
        DeliveryFailed
            none can be opened
        """
        if self.current is not None:
            self.current.poll()
            if self.current.is_open and pairs[0] in self.current.proposed:
                return self.current
            self.current.release()
        always = [_COMMITMENT] if self._commit else []
        earlier = self.current.proposed if self.current is not None else ()
        wanted = list(dict.fromkeys([*always, pairs[0], *pairs[1:], *sorted(earlier)]))[:MOST_CONTEXTS]
        self.current = None
        self.current = Association(self._node, wanted, reported=self._commitments.report)
        return self.current


def _pair(parcel: Parcel) -> Pair:
    return parcel.sop_class_uid, parcel.transfer_syntax


def _fault(parcel: Parcel) -> Verdict | None:
    """Why this parcel cannot be sent at all: nothing that is not what it says goes out."""
    if not parcel.is_whole:
        return NOT_WHOLE
    for name, uid in (
        ("SOP Instance UID", parcel.sop_uid),
        ("SOP Class UID", parcel.sop_class_uid),
        ("transfer syntax", parcel.transfer_syntax),
    ):
        if not is_valid_uid(uid):
            return Verdict("dead", "invalid-uid", f"its {name} is not valid")
    return None


def _data_set(parcel: Parcel) -> list[FileRange]:
    """The ranges of the data set: preamble and file meta information are for files."""
    head = bytearray()
    for part in parcel.parts:
        try:
            with part.path.open("rb") as file:
                file.seek(part.offset)
                head += file.read(min(part.length, _HEAD - len(head)))
        except OSError as error:
            raise SpoolUnavailable(operation="read", name=part.path.name, reason=error.strerror) from None
        if len(head) >= _HEAD:
            break
    try:
        start = read_file_meta(bytes(head))[1]
    except (NotDicom, MalformedDataSet):
        raise SpoolCorrupt(
            name=parcel.parts[0].path.name, reason="it does not begin with file meta information"
        ) from None
    return _parts_from(parcel.parts, start)


def _parts_from(parts: Sequence[FileRange], start: int) -> list[FileRange]:
    """The parts from byte ``start`` of their concatenation on."""
    rest = []
    for part in parts:
        skipped = min(start, part.length)
        start -= skipped
        if skipped < part.length:
            rest.append(FileRange(part.path, part.offset + skipped, part.length - skipped))
    return rest


def _context_refused(result: int) -> Verdict:
    what = _UNSUPPORTED.get(result)
    if what is not None:
        return Verdict("dead", "context-refused", f"the node does not accept {what}")
    return Verdict("failed", "context-refused", "the node does not accept the presentation context at this moment")


def _not_committed(reason: int | None) -> Verdict:
    failure = failure_of(reason)
    number = "" if reason is None else f"failure reason 0x{reason:04X}: "
    detail = f"the node does not commit itself to keep the instance: {number}{failure.meaning}"
    match failure.decision:
        case "refuse":
            return Verdict("dead", "not-committed", detail)
        case "ask":
            return Verdict("sent", "not-committed", detail, _FIRST_ASK_SECONDS)
        case "resend":
            return Verdict("failed", "not-committed", detail)


def _waiting(waited_seconds: float) -> Verdict:
    wait = min(max(_FIRST_ASK_SECONDS, waited_seconds / 4), _LONGEST_ASK_SECONDS)
    return Verdict("sent", "commitment-requested", "the node has yet to report on its storage commitment", wait)


def _unasked(problem: str) -> Verdict:
    return Verdict("sent", "commitment-unasked", f"storage commitment could not be requested: {problem}")


DESTINATION: Final = DicomNodeDestination
