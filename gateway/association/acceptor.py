"""Accepts associations: ports, connections, and how many of each there may be.

Limits, in the order in which a connection meets them:

1. an address that nobody is expected from is dropped at once, before a thread, TLS or anything that it sends;
2. a connection gets a thread when it says something; until it has an association it may be displaced by newer ones
   (``admission``), and has little time;
3. associations are limited in all, for strangers, by address and by source; beyond that one that has been of no use for
   long gives way, or the new one is rejected.

What is refused is counted always, and logged as long as it is no flood.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

import structlog

from gateway.association.addresses import network_of
from gateway.association.admission import Places, displaced
from gateway.association.connection import Connection, ConnectionSettings
from gateway.association.first_byte import FirstByte
from gateway.association.listener import Listener, drop
from gateway.association.pdu import APPLICATION_CONTEXT, AnsweredContext, AssociationRequest, ContextResult
from gateway.association.refusal import Refusal
from gateway.association.tls import PeerCertificate, handshake_failure, peer_certificate
from gateway.association.transfer import AcceptedContext, DataTransfer, End, Operations, TransferSettings
from gateway.errors import ConfigurationError
from gateway.log import Throttle

_log = structlog.get_logger(__name__)

#: Connections that have been cut and are not gone yet: more are not waited for, but for those who have none here.
_LEAVING: Final = 64
_LEAVING_AT_MOST: Final = 4 * _LEAVING
_LAST_WORD_SECONDS: Final = 5.0
#: An association that has been of no use for longer gives way where there are too many.
_USELESS_SECONDS: Final = 10.0
#: Entries about refusals per minute: for one reason and address, and for one reason.
_LOGGED_PER_ADDRESS: Final = 3
_LOGGED: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is at the other end of an association.

    Attributes
    ----------
    source
        name in the configuration
    calling_ae
        calling AE title, printable
    called_ae
        called AE title, printable
    address
        IP address
    association
        its number, by which log and ledger name it
    """

    source: str
    calling_ae: str
    called_ae: str
    address: str
    association: int = 0


class Standing(Enum):
    """What an address tells about who connects."""

    #: Nobody is expected from there.
    UNEXPECTED = "unexpected"
    #: Whoever it is must still prove it.
    POSSIBLE = "possible"
    #: The configuration names it.
    KNOWN = "known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """For whom an association is accepted.

    Attributes
    ----------
    name
        in the configuration
    is_known
        whether it is told by more than titles: then it may use what is reserved, and its own limit counts
        instead of that of an address
    max_associations
        at the same time; None for no limit of its own
    """

    name: str
    is_known: bool = False
    max_associations: int | None = None


class AssociationService(Protocol):
    """Decides about associations; called from several threads, must not block long."""

    def standing(self, address: str) -> Standing:
        """What an IP address tells."""

    def admit(
        self, *, calling_ae: str, called_ae: str, address: str, certificate: PeerCertificate | None
    ) -> Party | Refusal:
        """Who calls; AE titles without padding, an IP address, and a certificate that was verified."""

    def negotiate(self, request: AssociationRequest) -> Sequence[AnsweredContext]:
        """The answer to each presentation context."""

    def operations(self, caller: Caller) -> Operations:
        """What the messages of an association are for."""


class AssociationObserver(Protocol):
    """Called from the acceptor's threads, several at a time; must not block and must not raise."""

    def associated(self, source: str) -> None:
        """An association with ``source`` was accepted."""

    def closed(self, source: str) -> None:
        """That association has ended."""

    def refused(self, reason: str) -> None:
        """An association was rejected or a connection closed; ``reason`` is the code of a ``Refusal``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How many there may be at the same time.

    Attributes
    ----------
    associations
        in all
    reserved
        of these, for parties that are known
    per_address
        for parties that are not known, from one address
    pending
        connections without an association
    pending_per_address
        of these, from one address
    """

    associations: int = 64
    reserved: int = 0
    per_address: int = 64
    pending: int = 256
    pending_per_address: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptorSettings:
    """How an acceptor listens.

    Attributes
    ----------
    place
        what errors and threads are named after, such as ``dicom``
    host
        address to listen on
    port
        of DICOM without TLS, 0 for a free one, None for none
    tls_port
        of DICOM over TLS, 0 for a free one
    tls
        of DICOM over TLS; None for none
    capacity
        how many there may be
    request_seconds
        how long a peer may take for the handshake and its whole request
    transfer
        what it may take from then on
    roles
        SOP classes whose roles are accepted as they are proposed (PS3.7 D.3.3.4)
    """

    place: str
    host: str
    port: int | None
    tls_port: int = 0
    tls: ssl.SSLContext | None = None
    capacity: Capacity = field(default_factory=Capacity)
    request_seconds: float = 10.0
    transfer: TransferSettings = field(default_factory=TransferSettings)
    roles: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class _Peer:
    """A connection and what is known of its peer so far.

    Attributes
    ----------
    connection
        the connection
    thread
        that serves it; None before it has said anything
    party
        whose place its association takes; None before and after that
    caller
        who calls, once that is known
    transfer
        data transfer, once it has begun
    yielding
        whether its association is being ended to make room for another
    """

    connection: Connection
    thread: threading.Thread | None = None
    party: Party | None = None
    caller: Caller | None = None
    transfer: DataTransfer | None = None
    yielding: bool = False


class _Numbers:
    """Numbers of associations: microseconds since 1970, so that none comes twice, also after a restart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        """One that was not given before."""
        with self._lock:
            self._last = max(self._last + 1, time.time_ns() // 1000)
            return self._last


class Acceptor:
    """Accepts associations on one or two ports.

    Parameters
    ----------
    settings
        how to listen
    service
        decides
    observer
        counts
    """

    def __init__(
        self, settings: AcceptorSettings, *, service: AssociationService, observer: AssociationObserver
    ) -> None:
        self._settings = settings
        self._service = service
        self._observer = observer
        self._places = Places(settings.capacity.pending, settings.capacity.pending_per_address)
        self._lock = threading.Lock()
        self._peers: dict[Connection, _Peer] = {}
        self._stopping = False
        self._doors: dict[str, Listener] = {}
        self._numbers = _Numbers()
        self._first_byte = FirstByte(settings.request_seconds, spoken=self._serve, silent=self._give_up)
        self._logged_by_address = Throttle(most=_LOGGED_PER_ADDRESS)
        self._logged = Throttle(most=_LOGGED)

    @property
    def port(self) -> int:
        """The port that is listened on without TLS; after ``start``."""
        return self._port_of("plain")

    @property
    def tls_port(self) -> int:
        """The port that is listened on with TLS; after ``start``."""
        return self._port_of("tls")

    def _port_of(self, door: str) -> int:
        if door not in self._doors:
            message = f"nobody listens: {door}"
            raise RuntimeError(message)
        return self._doors[door].port

    @property
    def associations(self) -> int:
        """Accepted associations at this moment."""
        with self._lock:
            return sum(peer.party is not None for peer in self._peers.values())

    def start(self) -> None:
        """Listen.

        Raises
        ------
        ConfigurationError
            the address cannot be listened on
        """
        settings = self._settings
        doors: list[tuple[str, int, ssl.SSLContext | None]] = []
        if settings.port is not None:
            doors.append(("plain", settings.port, None))
        if settings.tls is not None:
            doors.append(("tls", settings.tls_port, settings.tls))
        try:
            for door, port, context in doors:
                self._doors[door] = self._listen(port, context)
        except ConfigurationError:
            for listener in self._doors.values():
                listener.stop()
            self._doors.clear()
            raise
        self._first_byte.start()
        for listener in self._doors.values():
            listener.start()

    def _listen(self, port: int, context: ssl.SSLContext | None) -> Listener:
        settings = ConnectionSettings(
            tls=context,
            request_seconds=self._settings.request_seconds,
            transfer=self._settings.transfer,
            roles=self._settings.roles,
        )

        def connected(accepted: socket.socket, address: str) -> None:
            self._connected(accepted, address, settings)

        return Listener(
            self._settings.host, port, place=self._settings.place, expected=self._expected, connected=connected
        )

    def stop(self, grace_seconds: float = 30.0) -> int:
        """Accept no more, let messages under way come to their answer, end all associations.

        Associations without a message under way are aborted (A-ABORT) at once, the others after their answer, and
        those that need more than ``grace_seconds`` are cut: what was not answered is not kept.

        Returns
        -------
        How many were cut.
        """
        with self._lock:
            self._stopping = True
        for listener in self._doors.values():
            listener.stop()
        self._first_byte.stop()
        with self._lock:
            peers = list(self._peers.values())
        for peer in peers:
            if peer.thread is None:
                self._close(peer.connection)
            elif peer.transfer is not None:
                peer.transfer.stop()
            else:
                # Just accepted, or not yet: its data transfer will find that it is to stop.
                peer.connection.cut(socket.SHUT_RD)
        late = _await_end(peers, grace_seconds)
        for peer in late:
            peer.connection.cut()
        _await_end(late, _LAST_WORD_SECONDS)
        self._doors.clear()
        return len(late)

    # Connections -----------------------------------------------------------------------------------------------------

    def _expected(self, address: str) -> bool:
        if self._service.standing(address) is not Standing.UNEXPECTED:
            return True
        self._refused(Refusal.UNEXPECTED_ADDRESS, address=address)
        return False

    def _connected(self, accepted: socket.socket, address: str, settings: ConnectionSettings) -> None:
        """A connection has been accepted: serve it in a thread, if one more is afforded."""
        is_known = self._service.standing(address) is Standing.KNOWN
        connection = Connection(accepted, address=address, settings=settings, host=self, is_known=is_known)
        with self._lock:
            pending = [other for other, its in self._peers.items() if its.party is None and not other.displaced]
            afforded, leaving = displaced(connection, pending, self._places)
            afforded = afforded and self._has_room(connection, len(self._peers) - len(pending))
            afforded &= not self._stopping
            if afforded:
                self._peers[connection] = _Peer(connection)
                if leaving is not None:
                    leaving.displaced = True
        if not afforded:
            drop(accepted)
            self._refused(Refusal.CONNECTIONS, address=address)
            return
        if leaving is not None:
            if self._first_byte.forget(leaving.socket):
                self._close(leaving)
            else:
                leaving.cut()
            self._refused(Refusal.DISPLACED, address=leaving.address)
        self._first_byte.add(accepted, connection)

    def _has_room(self, connection: Connection, beyond: int) -> bool:
        """Whether there is room beyond the places: for associations, and for what has been cut and is not gone yet.

        A flood that is cut faster than its threads end must not shut out who is not part of it: an address that has
        nothing here is let in where one that has is not.
        """
        associations = self._settings.capacity.associations
        if beyond < associations + _LEAVING:
            return True
        is_new = connection.is_known or all(other.network != connection.network for other in self._peers)
        return is_new and beyond < associations + _LEAVING_AT_MOST

    def _serve(self, connection: Connection) -> None:
        """Something has come on a connection, or its end: serve it in a thread."""
        if not connection.has_spoken():
            self._close(connection)
            return
        # A peer that hangs must not keep the process from ending.
        thread = threading.Thread(target=connection.run, name="dicom-connection", daemon=True)
        with self._lock:
            self._peers[connection].thread = thread
        try:
            thread.start()
        except RuntimeError:  # no more threads
            _log.error("connection failed", kind="RuntimeError")
            self._close(connection)

    def _give_up(self, connection: Connection) -> None:
        """Nothing has come in time."""
        self._close(connection)
        self.gave_up(connection)

    def _close(self, connection: Connection) -> None:
        """Close a connection that no thread serves."""
        drop(connection.socket)
        self.closed(connection)

    def handshake_failed(self, connection: Connection, error: OSError) -> None:
        """There is no TLS with this peer."""
        if not connection.displaced:
            self._refused(handshake_failure(error), address=connection.address)

    def gave_up(self, connection: Connection) -> None:
        """No whole request has come in time."""
        self._refused(Refusal.TIMEOUT, address=connection.address)

    def violated(self, connection: Connection, reason: str) -> None:
        """The peer has broken the protocol."""
        withheld = self._withheld(reason, connection.address)
        if withheld is not None:
            _log.warning("association aborted", reason=reason, peer=connection.address, withheld=withheld or None)

    def closed(self, connection: Connection) -> None:
        """The connection is closed."""
        with self._lock:
            peer = self._peers.pop(connection)
        self._free(peer)

    # Associations ----------------------------------------------------------------------------------------------------

    def consider(self, connection: Connection, request: AssociationRequest) -> Sequence[AnsweredContext] | Refusal:
        """An A-ASSOCIATE-RQ: accept what is supported, or reject (PS3.8 9.3.4)."""
        calling_ae, called_ae = _printable(request.calling_ae), _printable(request.called_ae)
        try:
            admission = self._admit(connection, request, calling_ae=calling_ae, called_ae=called_ae)
            answer: Sequence[AnsweredContext] = ()
            if not isinstance(admission, Refusal):
                answer = self._service.negotiate(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody is let in
            _log.error("association request failed", kind=type(error).__name__)
            admission = Refusal.CONGESTION
        if isinstance(admission, Refusal):
            self._refused(admission, calling_ae=calling_ae, address=connection.address)
            return admission
        _log.info("association accepted", association=admission.association, source=admission.source,
                  calling_ae=calling_ae, called_ae=called_ae, peer=connection.address)  # fmt: skip
        return answer

    def _admit(
        self, connection: Connection, request: AssociationRequest, *, calling_ae: str, called_ae: str
    ) -> Caller | Refusal:
        """Who calls, with a place reserved, or why not."""
        if not request.is_version_1:
            return Refusal.PROTOCOL_VERSION
        if request.application_context != APPLICATION_CONTEXT:
            return Refusal.APPLICATION_CONTEXT
        if not calling_ae:
            return Refusal.CALLING_AE
        if not called_ae:
            return Refusal.CALLED_AE
        party = self._service.admit(
            calling_ae=calling_ae,
            called_ae=called_ae,
            address=connection.address,
            certificate=peer_certificate(connection.socket),
        )
        if isinstance(party, Refusal):
            return party
        caller = Caller(
            source=party.name,
            calling_ae=calling_ae,
            called_ae=called_ae,
            address=connection.address,
            association=self._numbers.next(),
        )
        refusal = self._reserve(connection, party, caller)
        if refusal is not None:
            return refusal
        self._observer.associated(party.name)
        return caller

    def _reserve(self, connection: Connection, party: Party, caller: Caller) -> Refusal | None:
        """Give the association one of the places, if there is one."""
        with self._lock:
            if self._stopping:
                return Refusal.CONGESTION
            if connection.displaced:
                return Refusal.DISPLACED
            taken = [peer for peer in self._peers.values() if peer.party is not None and not peer.yielding]
            refusal, among = self._limit(party, connection.address, taken)
            leaving = _useless(among)
            if leaving is not None and leaving.transfer is not None:
                leaving.yielding, refusal = True, None
                leaving.transfer.stop(End.DISPLACED)
            if refusal is None:
                peer = self._peers[connection]
                peer.party, peer.caller = party, caller
        if leaving is not None:
            self._refused(Refusal.DISPLACED, address=leaving.connection.address)
        return refusal

    def _limit(self, party: Party, address: str, taken: Sequence[_Peer]) -> tuple[Refusal | None, Sequence[_Peer]]:
        """Which limit is reached, and among whom somebody may give way for that."""
        capacity = self._settings.capacity
        strangers = [peer for peer in taken if peer.party is not None and not peer.party.is_known]
        of_party = Counter(peer.party.name for peer in taken if peer.party is not None)[party.name]
        if party.max_associations is not None and of_party >= party.max_associations:
            return Refusal.SOURCE_ASSOCIATIONS, ()
        if len(taken) >= capacity.associations:
            return Refusal.ASSOCIATIONS, strangers if strangers or not party.is_known else taken
        if party.is_known:
            return None, ()
        if len(strangers) >= capacity.associations - capacity.reserved:
            return Refusal.ASSOCIATIONS, strangers
        network = network_of(address)
        same = [peer for peer in strangers if peer.connection.network == network]
        if len(same) >= capacity.per_address:
            return Refusal.ADDRESS_ASSOCIATIONS, same
        return None, ()

    def begin_transfer(
        self, connection: Connection, request: AssociationRequest, contexts: Sequence[AnsweredContext]
    ) -> DataTransfer:
        """The data transfer of an association that has been accepted."""
        with self._lock:
            peer = self._peers[connection]
        assert peer.caller is not None
        transfer = DataTransfer(
            connection.socket,
            contexts={
                context.context_id: AcceptedContext(context.abstract_syntax, context.transfer_syntax)
                for context in contexts
                if context.result is ContextResult.ACCEPTANCE
            },
            operations=self._service.operations(peer.caller),
            settings=self._settings.transfer,
            peer_max_pdu_bytes=request.max_pdu_bytes,
        )
        with self._lock:
            peer.transfer = transfer
            stopping = self._stopping
        if stopping:
            transfer.stop()
        return transfer

    def end_transfer(self, connection: Connection, outcome: str) -> None:
        """Data transfer is over: the place is free, though the connection has yet to be closed."""
        with self._lock:
            peer = self._peers[connection]
        self._free(peer)
        if peer.caller is not None and peer.transfer is not None:
            _log.info(
                "association closed",
                association=peer.caller.association,
                source=peer.caller.source,
                calling_ae=peer.caller.calling_ae,
                peer=connection.address,
                outcome=outcome,
                stored=peer.transfer.succeeded,
                failed=peer.transfer.failed,
                seconds=round(time.monotonic() - connection.opened, 3),
            )

    def _free(self, peer: _Peer) -> None:
        """Give the place of an association back, if it has one."""
        with self._lock:
            party, peer.party = peer.party, None
        if party is not None:
            self._observer.closed(party.name)

    # Telling ---------------------------------------------------------------------------------------------------------

    def _refused(self, refusal: Refusal | str, *, address: str, calling_ae: str = "") -> None:
        reason = refusal.code if isinstance(refusal, Refusal) else refusal
        self._observer.refused(reason)
        withheld = self._withheld(reason, address)
        if withheld is not None:
            _log.warning("association refused", reason=reason, calling_ae=calling_ae, peer=address,
                         withheld=withheld or None)  # fmt: skip

    def _withheld(self, reason: str, address: str) -> int | None:
        """How many entries of the kind were withheld; None if this one is to be, too."""
        of_address = self._logged_by_address.withheld(f"{reason} {network_of(address)}")
        if of_address is None:
            return None
        of_all = self._logged.withheld(reason)
        return None if of_all is None else of_address + of_all


def _printable(title: str) -> str:
    """An AE title as it may be logged and stored: what is not printable ASCII becomes a question mark."""
    return "".join(char if " " <= char <= "~" else "?" for char in title.strip(" \0"))


def _useless(peers: Sequence[_Peer]) -> _Peer | None:
    """Whose association has been of no use for longest, of the address that has most of those; None if none has."""
    idle = {
        peer: peer.transfer.idle_seconds
        for peer in peers
        if peer.transfer is not None and peer.transfer.idle_seconds > _USELESS_SECONDS
    }
    crowds = Counter(peer.connection.network for peer in idle)
    return max(idle, key=lambda peer: (crowds[peer.connection.network], idle[peer]), default=None)


def _await_end(peers: Sequence[_Peer], seconds: float) -> list[_Peer]:
    """Wait for connections to end; those that did not in time."""
    deadline = time.monotonic() + seconds
    for peer in peers:
        if peer.thread is not None and peer.thread.ident is not None:
            peer.thread.join(max(deadline - time.monotonic(), 0))
    return [peer for peer in peers if peer.thread is not None and peer.thread.is_alive()]
