"""The DICOM receiver: Storage SCP and Verification SCP."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.errors import ConfigurationError
from gateway.ledger.records import KnownBy, Received
from gateway.receive.access import AccessRules, Refusal, Source
from gateway.receive.association_pdu import APPLICATION_CONTEXT, AnsweredContext, AssociationRequest, ContextResult
from gateway.receive.connection import Connection, ConnectionSettings
from gateway.receive.contexts import negotiate
from gateway.receive.listener import Listener
from gateway.receive.observer import NullObserver, ReceiveObserver
from gateway.receive.store import AcceptedContext, Caller, StoreService
from gateway.receive.transfer import DataTransfer
from gateway.spool import Spool, SpoolRecord
from gateway.tls import handshake_failure, peer_certificate

_log = structlog.get_logger(__name__)

#: Connections beyond the associations allowed: those that are just opening, closing or being rejected.
_SPARE_CONNECTIONS: Final = 32
_LAST_WORD_SECONDS: Final = 5.0
#: An AE title (PS3.5 6.2): default repertoire without backslash and control characters, not only spaces.
_AE_TITLE: Final = re.compile(r"(?! *$)[ -\[\]-~]{1,16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSettings:
    """How the receiver listens.

    Attributes:
        ae_title: title that the gateway goes by; which titles it answers to is the sources' business
        host: address to listen on
        port: of DICOM without TLS, 0 for a free one, None for none
        tls_port: of DICOM over TLS, 0 for a free one
        tls: of DICOM over TLS; None for none
        max_associations: at the same time
        max_pdu_bytes: announced maximum length of a P-DATA-TF PDU, 0 for no limit
        max_instance_bytes: longest data set
        network_timeout_seconds: longest silence of a peer, also for requesting an association
        accept_unknown: take unknown and private SOP classes and transfer syntaxes
    """

    ae_title: str = "GATEWAY"
    host: str = "0.0.0.0"  # noqa: S104 - a PACS is another host
    port: int | None = 11112
    tls_port: int = 2762
    tls: ssl.SSLContext | None = None
    max_associations: int = 64
    max_pdu_bytes: int = 131072
    max_instance_bytes: int = 8 << 30
    network_timeout_seconds: float = 60.0
    accept_unknown: bool = True


@dataclass(slots=True, eq=False)
class _Peer:
    """A connection and what is known of its peer so far.

    Attributes:
        connection: the connection
        thread: that serves it
        source: whose place its association takes; None before and after that
        caller: who sends, once that is known
        transfer: data transfer, once it has begun
    """

    connection: Connection
    thread: threading.Thread
    source: Source | None = None
    caller: Caller | None = None
    transfer: DataTransfer | None = None


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


class Receiver:
    """Receives instances into a spool and has them recorded.

    Args:
        settings: how to listen
        spool: where instances go
        record: takes what is on stable storage into the ledger's care, or raises; called from many threads
        observer: counts; nobody by default
        sources: who may send; everybody if there are none
        known_by: makes the tokens by which an instance is found again; None for none
    """

    def __init__(
        self,
        settings: ReceiverSettings,
        *,
        spool: Spool,
        record: Callable[[Received], object],
        observer: ReceiveObserver | None = None,
        sources: Sequence[Source] = (),
        known_by: Callable[[SpoolRecord], KnownBy | None] | None = None,
    ) -> None:
        self._settings = settings
        self._observer = observer or NullObserver()
        self._service = StoreService(
            spool=spool,
            record=record,
            observer=self._observer,
            max_instance_bytes=settings.max_instance_bytes,
            accept_unknown=settings.accept_unknown,
            known_by=known_by,
        )
        self._access = AccessRules(sources)
        self._lock = threading.Lock()
        self._peers: dict[Connection, _Peer] = {}
        self._stopping = False
        self._doors: dict[str, Listener] = {}
        self._numbers = _Numbers()

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
            message = f"the receiver does not listen: {door}"
            raise RuntimeError(message)
        return self._doors[door].port

    @property
    def associations(self) -> int:
        """Accepted associations at this moment."""
        with self._lock:
            return sum(peer.source is not None for peer in self._peers.values())

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the address cannot be listened on, or the AE title is not valid
        """
        settings = self._settings
        if not _AE_TITLE.fullmatch(settings.ae_title):
            raise ConfigurationError(
                place="dicom", problem="the AE title is not valid: 1 to 16 printable ASCII characters without backslash"
            )
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
        for door, listener in self._doors.items():
            listener.start()
            _log.info("receiver started", host=settings.host, port=listener.port, ae_title=settings.ae_title,
                      tls=door == "tls")  # fmt: skip

    def _listen(self, port: int, context: ssl.SSLContext | None) -> Listener:
        settings = ConnectionSettings(
            tls=context,
            max_pdu_bytes=self._settings.max_pdu_bytes,
            timeout_seconds=self._settings.network_timeout_seconds,
        )

        def connected(accepted: socket.socket, address: str) -> None:
            self._connected(accepted, address, settings)

        return Listener(self._settings.host, port, connected=connected)

    def stop(self, grace_seconds: float = 30.0) -> None:
        """Accept no more, let messages under way come to their answer, end all associations.

        Associations without a message under way are aborted (A-ABORT) at once, the others after their answer, and
        those that need more than ``grace_seconds`` are cut: what was not answered is not kept.
        """
        if not self._doors:
            return
        with self._lock:
            self._stopping = True
        for listener in self._doors.values():
            listener.stop()
        with self._lock:
            peers = list(self._peers.values())
        for peer in peers:
            if peer.transfer is not None:
                peer.transfer.stop()
            else:
                # Just accepted, or not yet: its data transfer will find that it is to stop.
                peer.connection.cut(socket.SHUT_RD)
        late = _await_end(peers, grace_seconds)
        for peer in late:
            peer.connection.cut()
        _await_end(late, _LAST_WORD_SECONDS)
        self._doors.clear()
        _log.info("receiver stopped", cut=len(late))

    def _connected(self, accepted: socket.socket, address: str, settings: ConnectionSettings) -> None:
        """A connection has been accepted: serve it in a thread, if one more is afforded."""
        address = _normalised(address)
        connection = Connection(accepted, address=address, settings=settings, host=self)
        # A peer that hangs must not keep the process from ending.
        peer = _Peer(connection, threading.Thread(target=connection.run, name="dicom-connection", daemon=True))
        with self._lock:
            afforded = len(self._peers) < self._settings.max_associations + _SPARE_CONNECTIONS and not self._stopping
            if afforded:
                self._peers[connection] = peer
        if not afforded:
            accepted.close()
            self._refused(Refusal.CONNECTIONS, calling_ae="", address=address)
            return
        try:
            peer.thread.start()
        except RuntimeError:  # no more threads
            self.closed(connection)
            raise

    def consider(self, connection: Connection, request: AssociationRequest) -> Sequence[AnsweredContext] | Refusal:
        """An A-ASSOCIATE-RQ: accept what is supported, or reject (PS3.8 9.3.4)."""
        calling_ae, called_ae = _printable(request.calling_ae), _printable(request.called_ae)
        try:
            found = self._admit(connection, request, calling_ae=calling_ae, called_ae=called_ae)
            answer: Sequence[AnsweredContext] = ()
            if not isinstance(found, Refusal):
                answer = negotiate(request.contexts, accept_unknown=self._settings.accept_unknown)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody is let in
            _log.error("association request failed", kind=type(error).__name__)
            found = Refusal.CONGESTION
        if isinstance(found, Refusal):
            self._refused(found, calling_ae=calling_ae, address=connection.address)
            return found
        _log.info("association accepted", association=found.association, source=found.source, calling_ae=calling_ae,
                  called_ae=called_ae, peer=connection.address)  # fmt: skip
        return answer

    def _admit(
        self, connection: Connection, request: AssociationRequest, *, calling_ae: str, called_ae: str
    ) -> Caller | Refusal:
        """Who sends, with a place reserved, or why not."""
        if not request.is_version_1:
            return Refusal.PROTOCOL_VERSION
        if request.application_context != APPLICATION_CONTEXT:
            return Refusal.APPLICATION_CONTEXT
        if not calling_ae:
            return Refusal.CALLING_AE
        if not called_ae:
            return Refusal.CALLED_AE
        found = self._access.match(
            calling_ae=calling_ae,
            called_ae=called_ae,
            address=connection.address,
            certificate=peer_certificate(connection.socket),
        )
        if isinstance(found, Refusal):
            return found
        caller = Caller(
            source=found.name,
            calling_ae=calling_ae,
            called_ae=called_ae,
            address=connection.address,
            association=self._numbers.next(),
        )
        refusal = self._reserve(connection, found, caller)
        if refusal is not None:
            return refusal
        self._observer.associated(found.name)
        return caller

    def _reserve(self, connection: Connection, source: Source, caller: Caller) -> Refusal | None:
        """Give the association one of the places, if there is one."""
        with self._lock:
            if self._stopping:
                return Refusal.CONGESTION
            taken = [peer.source.name for peer in self._peers.values() if peer.source is not None]
            limit = source.max_associations
            if len(taken) >= self._settings.max_associations or (
                limit is not None and taken.count(source.name) >= limit
            ):
                return Refusal.ASSOCIATIONS
            peer = self._peers[connection]
            peer.source, peer.caller = source, caller
        return None

    def begin_transfer(
        self, connection: Connection, request: AssociationRequest, contexts: Sequence[AnsweredContext]
    ) -> DataTransfer:
        """The data transfer of an association that has been accepted."""
        with self._lock:
            peer = self._peers[connection]
        assert peer.caller is not None
        transfer = DataTransfer(
            connection.socket,
            caller=peer.caller,
            contexts={
                context.context_id: AcceptedContext(context.abstract_syntax, context.transfer_syntax)
                for context in contexts
                if context.result is ContextResult.ACCEPTANCE
            },
            service=self._service,
            max_pdu_bytes=self._settings.max_pdu_bytes,
            peer_max_pdu_bytes=request.max_pdu_bytes,
            timeout_seconds=self._settings.network_timeout_seconds,
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
                stored=peer.transfer.stored,
                failed=peer.transfer.failed,
                seconds=round(time.monotonic() - connection.opened, 3),
            )

    def handshake_failed(self, connection: Connection, error: OSError) -> None:
        """There is no TLS with this peer."""
        self._refused(handshake_failure(error), calling_ae="", address=connection.address)

    def closed(self, connection: Connection) -> None:
        """The connection is closed."""
        with self._lock:
            peer = self._peers.pop(connection)
        self._free(peer)

    def _free(self, peer: _Peer) -> None:
        """Give the place of an association back, if it has one."""
        with self._lock:
            source, peer.source = peer.source, None
        if source is not None:
            self._observer.closed(source.name)

    def _refused(self, refusal: Refusal | str, *, calling_ae: str, address: str) -> None:
        reason = refusal.name.lower().replace("_", "-") if isinstance(refusal, Refusal) else refusal
        self._observer.refused(reason)
        _log.warning("association refused", reason=reason, calling_ae=calling_ae, peer=address)


def _printable(title: str) -> str:
    """An AE title as it may be logged and stored: what is not printable ASCII becomes a question mark."""
    return "".join(char if " " <= char <= "~" else "?" for char in title.strip(" \0"))


def _normalised(address: str) -> str:
    return address.partition("%")[0].removeprefix("::ffff:")


def _await_end(peers: Sequence[_Peer], seconds: float) -> list[_Peer]:
    """Wait for connections to end; those that did not in time."""
    deadline = time.monotonic() + seconds
    for peer in peers:
        if peer.thread.ident is not None:
            peer.thread.join(max(deadline - time.monotonic(), 0))
    return [peer for peer in peers if peer.thread.is_alive()]
