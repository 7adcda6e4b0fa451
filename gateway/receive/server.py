"""The DICOM receiver: Storage SCP and Verification SCP."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from pydicom.uid import UID
from pynetdicom import _config as pynetdicom_config
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from gateway.dicom.file_meta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from gateway.errors import ConfigurationError
from gateway.ledger.records import Received
from gateway.receive.access import AccessRules, Refusal, Source
from gateway.receive.contexts import VERIFICATION, supported
from gateway.receive.observer import NullObserver, ReceiveObserver
from gateway.receive.store import AcceptedContext, Caller, StoreService
from gateway.receive.transfer import DataTransfer
from gateway.receive.upper_layer import ConnectionHandler, ConnectionServer, PduReader
from gateway.spool import Spool
from gateway.tls import handshake_failure, peer_certificate

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

_log = structlog.get_logger(__name__)

_APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
#: Connections beyond the associations allowed: those that are just opening, closing or being rejected.
_SPARE_CONNECTIONS: Final = 32
_POLL_SECONDS: Final = 0.1
_LAST_WORD_SECONDS: Final = 5.0


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
class _Connection:
    """A connection and what is known of it so far."""

    association: Association
    socket: socket.socket
    address: str
    opened: float
    source: Source | None = None
    caller: Caller | None = None
    transfer: DataTransfer | None = None


class Receiver:
    """Receives instances into a spool and has them recorded.

    Args:
        settings: how to listen
        spool: where instances go
        record: takes what is on stable storage into the ledger's care, or raises; called from many threads
        observer: counts; nobody by default
        sources: who may send; everybody if there are none
    """

    def __init__(
        self,
        settings: ReceiverSettings,
        *,
        spool: Spool,
        record: Callable[[Received], object],
        observer: ReceiveObserver | None = None,
        sources: Sequence[Source] = (),
    ) -> None:
        self._settings = settings
        self._observer = observer or NullObserver()
        self._service = StoreService(
            spool=spool,
            record=record,
            observer=self._observer,
            max_instance_bytes=settings.max_instance_bytes,
            accept_unknown=settings.accept_unknown,
        )
        self._access = AccessRules(sources)
        self._lock = threading.Lock()
        self._connections: dict[Association, _Connection] = {}
        self._stopping = False
        self._servers: dict[str, ConnectionServer] = {}
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        """The port that is listened on without TLS; after ``start``."""
        return self._port_of("plain")

    @property
    def tls_port(self) -> int:
        """The port that is listened on with TLS; after ``start``."""
        return self._port_of("tls")

    def _port_of(self, door: str) -> int:
        if door not in self._servers:
            message = f"the receiver does not listen: {door}"
            raise RuntimeError(message)
        return int(self._servers[door].server_address[1])

    @property
    def associations(self) -> int:
        """Accepted associations at this moment."""
        with self._lock:
            return sum(connection.source is not None for connection in self._connections.values())

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the address cannot be listened on, or the AE title is not valid
        """
        # pynetdicom's messages quote PDUs, and with them UIDs and names (promise P9); the receiver logs for itself.
        pynetdicom_config.LOG_HANDLER_LEVEL = "none"
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
        settings = self._settings
        doors: list[tuple[str, int, ssl.SSLContext | None]] = []
        if settings.port is not None:
            doors.append(("plain", settings.port, None))
        if settings.tls is not None:
            doors.append(("tls", settings.tls_port, settings.tls))
        try:
            for door, port, context in doors:
                self._servers[door] = self._listen(port, context)
        except ConfigurationError:
            for server in self._servers.values():
                server.server_close()
            self._servers.clear()
            raise
        for door, server in self._servers.items():
            thread = threading.Thread(
                target=server.serve_forever, args=(_POLL_SECONDS,), name=f"dicom-listener-{door}", daemon=True
            )
            thread.start()
            self._threads.append(thread)
            _log.info("receiver started", host=settings.host, port=self._port_of(door), ae_title=settings.ae_title,
                      tls=door == "tls")  # fmt: skip

    def _listen(self, port: int, context: ssl.SSLContext | None) -> ConnectionServer:
        settings = self._settings
        try:
            entity = ApplicationEntity(settings.ae_title)
            entity.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
            entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
            entity.maximum_pdu_size = settings.max_pdu_bytes
            entity.acse_timeout = settings.network_timeout_seconds
            # Silence is timed on the socket; associations are counted here.
            entity.network_timeout = None
            entity.maximum_associations = settings.max_associations + _SPARE_CONNECTIONS
            entity.add_supported_context(VERIFICATION)
            server = entity.make_server(
                (settings.host, port),
                ssl_context=context,
                evt_handlers=[(evt.EVT_REQUESTED, self._requested), (evt.EVT_CONN_CLOSE, self._closed)],
                server_class=ConnectionServer,
                request_handler=ConnectionHandler,
            )
        except (OSError, ValueError, TypeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "the AE title is not valid"
            problem = f"cannot listen on {settings.host} port {port}: {reason}"
            raise ConfigurationError(place="dicom", problem=problem) from error
        assert isinstance(server, ConnectionServer)
        server.admits = self._admits
        server.opened = self._opened
        return server

    def stop(self, grace_seconds: float = 30.0) -> None:
        """Accept no more, let messages under way come to their answer, end all associations.

        Associations without a message under way are aborted (A-ABORT) at once, the others after their answer, and
        those that need more than ``grace_seconds`` are cut: what was not answered is not kept.
        """
        if not self._servers:
            return
        with self._lock:
            self._stopping = True
        for server in self._servers.values():
            server.shutdown()
        for thread in self._threads:
            thread.join()
        with self._lock:
            connections = list(self._connections.values())
        for connection in connections:
            if connection.transfer is not None:
                connection.transfer.stop()
            else:
                # Just accepted, or not yet: its data transfer will find that it is to stop.
                _cut(connection.socket, socket.SHUT_RD)
        late = _await_end(connections, grace_seconds)
        for connection in late:
            _cut(connection.socket)
        _await_end(late, _LAST_WORD_SECONDS)
        with self._lock:
            self._forget_dead()
        self._servers.clear()
        self._threads.clear()
        _log.info("receiver stopped", cut=len(late))

    def _admits(self, address: str) -> bool:
        with self._lock:
            self._forget_dead()
            if len(self._connections) < self._settings.max_associations + _SPARE_CONNECTIONS:
                return True
        self._refused(_reason(Refusal.CONNECTIONS), calling_ae="", address=address)
        return False

    def _opened(self, association: Association, connection: socket.socket) -> None:
        """A connection has been accepted; called before its threads start."""
        entry = _Connection(association, connection, _normalised(str(association.requestor.address)), time.monotonic())
        with self._lock:
            self._connections[association] = entry

        def transfer() -> DataTransfer:
            return self._begin_transfer(entry)

        def ended(outcome: str) -> None:
            self._end_transfer(entry, outcome)

        def failed(error: OSError) -> None:
            self._refused(handshake_failure(error), calling_ae="", address=entry.address)

        PduReader(
            association.dul,
            negotiation_seconds=self._settings.network_timeout_seconds,
            transfer=transfer,
            ended=ended,
            failed=failed,
        )

    def _requested(self, event: Event) -> None:
        """An A-ASSOCIATE-RQ: accept what is supported, or reject (PS3.8 9.3.4)."""
        association = event.assoc
        try:
            refusal = self._consider(association)
        except Exception as error:  # noqa: BLE001 - pynetdicom would log it and accept
            _log.error("association request failed", kind=type(error).__name__)
            refusal = Refusal.CONGESTION
        if refusal is not None:
            association.acse.send_reject(*refusal.value)
            # Returns when the rejection has been sent and the connection closed.
            association.kill()

    def _consider(self, association: Association) -> Refusal | None:
        request = association.requestor.primitive
        assert request is not None
        calling_ae = _printable(request.calling_ae_title)
        called_ae = _printable(request.called_ae_title)
        with self._lock:
            entry = self._connections[association]
        found: Source | Refusal
        if str(request.application_context_name) != _APPLICATION_CONTEXT:
            found = Refusal.APPLICATION_CONTEXT
        else:
            found = self._access.match(
                calling_ae=calling_ae,
                called_ae=called_ae,
                address=entry.address,
                certificate=peer_certificate(entry.socket),
            )
        if isinstance(found, Source):
            found = self._reserve(entry, found)
        if isinstance(found, Refusal):
            self._refused(_reason(found), calling_ae=calling_ae, address=entry.address)
            return found
        entry.caller = Caller(source=found.name, calling_ae=calling_ae, called_ae=called_ae, address=entry.address)
        association.acceptor.supported_contexts = supported(
            request.presentation_context_definition_list, accept_unknown=self._settings.accept_unknown
        )
        self._observer.associated(found.name)
        _log.info("association accepted", source=found.name, calling_ae=calling_ae, called_ae=called_ae,
                  peer=entry.address)  # fmt: skip
        return None

    def _reserve(self, entry: _Connection, source: Source) -> Source | Refusal:
        """Give the association one of the places, if there is one."""
        with self._lock:
            if self._stopping:
                return Refusal.CONGESTION
            self._forget_dead()
            taken = [other.source.name for other in self._connections.values() if other.source is not None]
            limit = source.max_associations
            if len(taken) >= self._settings.max_associations or (
                limit is not None and taken.count(source.name) >= limit
            ):
                return Refusal.ASSOCIATIONS
            entry.source = source
        return source

    def _begin_transfer(self, entry: _Connection) -> DataTransfer:
        association = entry.association
        assert entry.caller is not None
        contexts = {
            int(context.context_id or 0): AcceptedContext(str(context.abstract_syntax), str(context.transfer_syntax[0]))
            for context in association.accepted_contexts
        }
        transfer = DataTransfer(
            entry.socket,
            caller=entry.caller,
            contexts=contexts,
            service=self._service,
            max_pdu_bytes=self._settings.max_pdu_bytes,
            peer_max_pdu_bytes=int(association.requestor.maximum_length or 0),
            timeout_seconds=self._settings.network_timeout_seconds,
        )
        with self._lock:
            entry.transfer = transfer
            stopping = self._stopping
        if stopping:
            transfer.stop()
        return transfer

    def _end_transfer(self, entry: _Connection, outcome: str) -> None:
        """Data transfer is over: the place is free, though the connection has yet to be closed."""
        self._forget(entry)
        if entry.caller is not None and entry.transfer is not None:
            _log.info(
                "association closed",
                source=entry.caller.source,
                calling_ae=entry.caller.calling_ae,
                peer=entry.address,
                outcome=outcome,
                stored=entry.transfer.stored,
                failed=entry.transfer.failed,
                seconds=round(time.monotonic() - entry.opened, 3),
            )

    def _closed(self, event: Event) -> None:
        with self._lock:
            entry = self._connections.get(event.assoc)
        if entry is not None:
            self._forget(entry)

    def _forget(self, entry: _Connection) -> None:
        with self._lock:
            known = self._connections.pop(entry.association, None)
        if known is not None and known.source is not None:
            self._observer.closed(known.source.name)

    def _forget_dead(self) -> None:
        """Drop connections whose threads have ended without a word; called with the lock held."""
        for association, entry in list(self._connections.items()):
            if association.ident is not None and not association.is_alive() and not association.dul.is_alive():
                del self._connections[association]
                if entry.source is not None:
                    self._observer.closed(entry.source.name)

    def _refused(self, reason: str, *, calling_ae: str, address: str) -> None:
        self._observer.refused(reason)
        _log.warning("association refused", reason=reason, calling_ae=calling_ae, peer=_normalised(address))


def _reason(refusal: Refusal) -> str:
    return refusal.name.lower().replace("_", "-")


def _printable(title: object) -> str:
    """An AE title as it may be logged and stored: what is not printable ASCII becomes a question mark."""
    return "".join(char if " " <= char <= "~" else "?" for char in str(title).strip(" \0"))


def _normalised(address: str) -> str:
    return address.partition("%")[0].removeprefix("::ffff:")


def _await_end(connections: Sequence[_Connection], seconds: float) -> list[_Connection]:
    """Wait for associations to end; those that did not in time."""
    deadline = time.monotonic() + seconds
    late = []
    for connection in connections:
        for thread in (connection.association.dul, connection.association):
            with suppress(RuntimeError):  # not started yet
                thread.join(max(deadline - time.monotonic(), 0))
        if connection.association.dul.is_alive():
            late.append(connection)
    return late


def _cut(connection: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    with suppress(OSError):
        socket.socket.shutdown(connection, how)
