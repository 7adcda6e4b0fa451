"""Where nodes report on Storage Commitment: an SCU of the Push Model that waits for associations (PS3.4 J.3.3).

Reports are rare and short, so this is pynetdicom as it is, with one presentation context, few associations and one
permitted peer.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import _config as pynetdicom_config
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.transport import AssociationServer, ThreadedAssociationServer

from gateway.deliver.commitment import PUSH_MODEL
from gateway.errors import DeliveryFailed

if TYPE_CHECKING:
    from pynetdicom.events import Event

_log = structlog.get_logger(__name__)

_ASSOCIATIONS: Final = 8
_SECONDS: Final = 30.0
_HANDSHAKE_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.1
_PROCESSING_FAILURE: Final = 0x0110


class _Server(ThreadedAssociationServer):
    """Accepts connections; one that does not finish its TLS handshake in time holds up the others no longer."""

    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection; an OSError makes the caller go on with the next."""
        assert self.socket is not None
        connection, address = self.socket.accept()
        try:
            if self.ssl_context is not None:
                connection.settimeout(_HANDSHAKE_SECONDS)
                connection = self.ssl_context.wrap_socket(connection, server_side=True)
            connection.settimeout(_SECONDS)
        except BaseException:
            connection.close()
            raise
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as inherited
        """An exception while an association was made; the base class prints it with its values."""
        _log.error("connection failed")

    def shutdown(self) -> None:
        """Stop accepting and close the listening socket."""
        # AssociationServer.shutdown also removes itself from a list that only AE.start_server fills.
        super(AssociationServer, self).shutdown()
        self.server_close()


class CommitmentListener:
    """Listens for the reports of one node.

    Parameters
    ----------
    destination: name of the node's destination
    host, port: address to listen on; port 0 takes a free one
    ae_title: title that the gateway calls itself when it asks
    peer_ae_title: the node's; others are rejected
    report: takes event type and data set of a report, returns the status of the answer
    context: TLS, or None

    Raises
    ------
    DeliveryFailed: the address cannot be listened on
    """

    def __init__(
        self,
        destination: str,
        *,
        host: str,
        port: int,
        ae_title: str,
        peer_ae_title: str,
        report: Callable[[int, Dataset], int],
        context: ssl.SSLContext | None = None,
    ) -> None:
        # pynetdicom's messages quote data sets (promise P9).
        pynetdicom_config.LOG_HANDLER_LEVEL = "none"
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
        self._report = report
        entity = ApplicationEntity(ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = [peer_ae_title]
        entity.maximum_associations = _ASSOCIATIONS
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _SECONDS
        # The node is the SCP and asks for the association: with role selection, and often without.
        entity.add_supported_context(
            PUSH_MODEL, [ImplicitVRLittleEndian, ExplicitVRLittleEndian], scu_role=True, scp_role=True
        )
        try:
            server = entity.make_server(
                (host, port),
                ssl_context=context,
                evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._event)],
                server_class=_Server,
            )
        except OSError as error:
            reason = f"the port for its reports, {port}, cannot be listened on: {error.strerror}"
            raise DeliveryFailed(destination=destination, reason=reason, code="commitment-port") from None
        self._server = server
        self._thread = Thread(
            target=server.serve_forever, args=(_POLL_SECONDS,), name=f"{destination}-reports", daemon=True
        )
        self._thread.start()
        _log.info("listening for storage commitment", destination=destination, port=self.port)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join()

    def _event(self, event: Event) -> tuple[int, None]:
        try:
            return self._report(int(event.event_type or 0), event.event_information), None
        except Exception as error:  # noqa: BLE001 - pynetdicom would log it with what it quotes
            _log.warning("report not read", kind=type(error).__name__)
            return _PROCESSING_FAILURE, None
