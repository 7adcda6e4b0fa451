"""Where nodes report on Storage Commitment: an SCU of the Push Model that waits for associations (PS3.4 J.3.3).

Only the node itself is heard: its addresses, its AE title, and a certificate of its authority where TLS is used.
Others are dropped before anything is read. What a report says counts only for a transaction that was asked for.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

import structlog

from gateway.association.acceptor import Acceptor, AcceptorSettings, Caller, Capacity, Party, Standing
from gateway.association.command_set import N_EVENT_REPORT_RQ, Command, EventStatus
from gateway.association.listener import normal_address
from gateway.association.pdu import AnsweredContext, AssociationRequest, ContextResult, ProposedContext
from gateway.association.refusal import Refusal
from gateway.association.requestor import Node
from gateway.association.tls import PeerCertificate
from gateway.association.transfer import AcceptedContext, TransferSettings
from gateway.deliver.dicom_node.commitment import PUSH_MODEL
from gateway.errors import ConfigurationError

_log = structlog.get_logger(__name__)

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
#: Takes event type and data set of a report, and whether that is in implicit VR; returns the status of the answer.
Report: TypeAlias = Callable[..., int]

_IMPLICIT: Final = "1.2.840.10008.1.2"
_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_VERIFICATION: Final = "1.2.840.10008.1.1"
#: Reports are rare: what one node needs, and no more.
_CAPACITY: Final = Capacity(associations=8, per_address=8, pending=16, pending_per_address=4)
_TRANSFER: Final = TransferSettings(max_pdu_bytes=65536, timeout_seconds=30.0, idle_seconds=30.0)
#: A thousand instances, and then some.
_LONGEST_REPORT: Final = 16 << 20
_RESOLVED_SECONDS: Final = 60.0


class CommitmentListener:
    """Listens for the reports of one node.

    Parameters
    ----------
    node
        who reports, and by which title the gateway asked
    host
        address to listen on; None for the one from which this machine reaches the node
    port
        port to listen on; 0 takes a free one
    networks
        where reports may come from; none for the addresses of the node's host
    report
        takes the reports
    context
        TLS, or None

    Raises
    ------
    DeliveryFailed
        the address cannot be listened on
    """

    def __init__(
        self,
        node: Node,
        *,
        host: str | None,
        port: int,
        report: Report,
        networks: Sequence[Network] = (),
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._service = _Node(node, networks=networks, report=report)
        self._tls = context is not None
        settings = AcceptorSettings(
            place=f"destinations.{node.destination}.commitment",
            host=host or _own_address(node),
            port=None if self._tls else port,
            tls_port=port,
            tls=context,
            capacity=_CAPACITY,
            transfer=_TRANSFER,
            # The node is the SCP and asks for the association: with role selection, and often without.
            roles=frozenset({PUSH_MODEL}),
        )
        self._acceptor = Acceptor(settings, service=self._service, observer=_Uncounted())
        try:
            self._acceptor.start()
        except ConfigurationError as error:
            reason = f"the port for its reports: {error.facts['problem']}"
            raise node.failed("commitment-port", reason) from None
        _log.info("listening for storage commitment", destination=node.destination, host=settings.host, port=self.port)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._acceptor.tls_port if self._tls else self._acceptor.port

    def resolve(self) -> None:
        """Ask again for the addresses of the node, if that was a while ago; may wait for the name service."""
        self._service.resolve()

    def close(self) -> None:
        """Listen no more."""
        self._acceptor.stop(grace_seconds=5.0)


class _Uncounted:
    """Associations with nodes that report are in the log only."""

    def associated(self, source: str) -> None:
        """The node has an association."""

    def closed(self, source: str) -> None:
        """It has ended."""

    def refused(self, reason: str) -> None:
        """Somebody was refused."""


class _Node:
    """Whom the listener hears."""

    def __init__(self, node: Node, *, networks: Sequence[Network], report: Report) -> None:
        self._node = node
        self._networks = tuple(networks)
        self._report = report
        self._addresses: frozenset[str] = frozenset()
        self._resolved = 0.0
        self.resolve()

    def resolve(self) -> None:
        """Find the addresses of the node; those known before stay while it has no others."""
        now = time.monotonic()
        if self._networks or (self._addresses and now - self._resolved < _RESOLVED_SECONDS):
            return
        self._resolved = now
        with suppress(OSError, UnicodeError):
            addresses = socket.getaddrinfo(self._node.host, self._node.port, type=socket.SOCK_STREAM)
            self._addresses = frozenset(normal_address(str(address[0])) for *_, address in addresses)

    def standing(self, address: str) -> Standing:
        """Whether it is an address of the node."""
        known = (
            any(ipaddress.ip_address(address) in network for network in self._networks)
            if self._networks
            else address in self._addresses
        )
        return Standing.KNOWN if known else Standing.UNEXPECTED

    def admit(
        self,
        *,
        calling_ae: str,
        called_ae: str,
        address: str,  # noqa: ARG002 - was looked at when it connected
        certificate: PeerCertificate | None,  # noqa: ARG002 - was verified in the handshake
    ) -> Party | Refusal:
        """The node, by the titles of the association that asked."""
        if calling_ae != self._node.called_ae:
            return Refusal.CALLING_AE
        if called_ae != self._node.calling_ae:
            return Refusal.CALLED_AE
        return Party(name=self._node.destination, is_known=True)

    def negotiate(self, request: AssociationRequest) -> Sequence[AnsweredContext]:
        """The Push Model, whose SCP asks for this association, and verification."""
        return [_answer(context) for context in request.contexts]

    def operations(self, caller: Caller) -> Reports:  # noqa: ARG002 - there is only one
        """Reports."""
        return Reports(self._report)


class Reports:
    """What an association with the node is for: its reports.

    Parameters
    ----------
    report
        takes them
    """

    def __init__(self, report: Report) -> None:
        self._report = report

    def begin(self, command: Command, context: AcceptedContext) -> _EventReport | None:
        """A request has come; only N-EVENT-REPORT is supported."""
        if command.field != N_EVENT_REPORT_RQ or context.abstract_syntax != PUSH_MODEL:
            return None
        return _EventReport(self._report, command.event_type, implicit=context.transfer_syntax == _IMPLICIT)

    def echoed(self) -> None:
        """A C-ECHO is answered."""


class _EventReport:
    """One N-EVENT-REPORT operation (PS3.7 10.1.1)."""

    def __init__(self, report: Report, event_type: int, *, implicit: bool) -> None:
        self._report = report
        self._event_type = event_type
        self._implicit = implicit
        self._data = bytearray()
        self._excessive = False

    def write(self, spans: Sequence[memoryview]) -> None:
        """The next bytes of the report."""
        for span in spans:
            self._excessive |= len(self._data) + len(span) > _LONGEST_REPORT
            if not self._excessive:
                self._data += span

    def finish(self) -> tuple[int, str]:
        """The report is complete."""
        if self._excessive:
            return EventStatus.PROCESSING_FAILURE, "the report is longer than the gateway accepts"
        try:
            return self._report(self._event_type, bytes(self._data), implicit=self._implicit), ""
        except Exception as error:  # noqa: BLE001 - the answer must come, and the error may quote what was sent
            _log.warning("report not read", kind=type(error).__name__)
            return EventStatus.PROCESSING_FAILURE, ""

    def abandon(self) -> None:
        """The association has ended in the middle: nothing was reported."""


def _answer(context: ProposedContext) -> AnsweredContext:
    result = ContextResult.ACCEPTANCE
    chosen = next((one for one in context.transfer_syntaxes if one in (_IMPLICIT, _EXPLICIT)), _IMPLICIT)
    if context.abstract_syntax not in (PUSH_MODEL, _VERIFICATION):
        result = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    elif chosen not in context.transfer_syntaxes:
        result = ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    return AnsweredContext(context.context_id, result, context.abstract_syntax, chosen)


def _own_address(node: Node) -> str:
    """The address from which this machine reaches the node; no packet is sent.

    Raises
    ------
    DeliveryFailed
        it does not reach it
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(node.host, node.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except (OSError, UnicodeError):
        raise node.failed(
            "commitment-port", "the port for its reports: the node's host cannot be resolved or reached; set host there"
        ) from None
