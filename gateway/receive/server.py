"""The DICOM receiver: Storage SCP and Verification SCP."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from gateway.association.acceptor import Acceptor, AcceptorSettings, Caller, Capacity, Party, Standing
from gateway.association.pdu import AnsweredContext, AssociationRequest
from gateway.association.refusal import Refusal
from gateway.association.tls import PeerCertificate
from gateway.association.transfer import Operations, TransferSettings
from gateway.errors import ConfigurationError
from gateway.ledger.records import Received
from gateway.receive.access import AccessRules, Source
from gateway.receive.contexts import negotiate
from gateway.receive.observer import NullObserver, ReceiveObserver
from gateway.receive.store import KnownByMaker, Reception, StoreService
from gateway.spool import Spool

_log = structlog.get_logger(__name__)

#: An AE title (PS3.5 6.2): default repertoire without backslash and control characters, not only spaces.
_AE_TITLE: Final = re.compile(r"(?! *$)[ -\[\]-~]{1,16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSettings:
    """How the receiver listens.

    Attributes
    ----------
    ae_title
        title that the gateway goes by; which titles it answers to is the sources' business
    host
        address to listen on
    port
        of DICOM without TLS, 0 for a free one, None for none
    tls_port
        of DICOM over TLS, 0 for a free one
    tls
        of DICOM over TLS; None for none
    capacity
        how many connections and associations there may be; what is reserved is so for sources that are
        told by address or certificate
    max_instance_bytes
        longest data set
    request_seconds
        how long a peer may take for the TLS handshake and its whole request for an association
    transfer
        what it may take from then on
    accept_unknown
        take unknown and private SOP classes and transfer syntaxes
    """

    ae_title: str = "GATEWAY"
    host: str = "0.0.0.0"  # noqa: S104 - a PACS is another host
    port: int | None = 11112
    tls_port: int = 2762
    tls: ssl.SSLContext | None = None
    capacity: Capacity = field(default_factory=Capacity)
    max_instance_bytes: int = 8 << 30
    request_seconds: float = 10.0
    transfer: TransferSettings = field(default_factory=TransferSettings)
    accept_unknown: bool = True


class _Service:
    """Whom the receiver accepts associations of, and what for."""

    def __init__(self, access: AccessRules, store: StoreService) -> None:
        self._access = access
        self._store = store

    def standing(self, address: str) -> Standing:
        """What an address tells about the source."""
        return self._access.standing(address)

    def admit(
        self, *, calling_ae: str, called_ae: str, address: str, certificate: PeerCertificate | None
    ) -> Party | Refusal:
        """The source of an association."""
        source = self._access.match(
            calling_ae=calling_ae, called_ae=called_ae, address=address, certificate=certificate
        )
        if isinstance(source, Refusal):
            return source
        return Party(name=source.name, is_known=source.is_told_apart, max_associations=source.max_associations)

    def negotiate(self, request: AssociationRequest) -> Sequence[AnsweredContext]:
        """Storage and verification."""
        return negotiate(request.contexts, accept_unknown=self._store.accept_unknown)

    def operations(self, caller: Caller) -> Operations:
        """C-STORE into the spool."""
        return Reception(self._store, caller)


class Receiver:
    """Receives instances into a spool and has them recorded.

    Parameters
    ----------
    settings
        how to listen
    spool
        where instances go
    record
        takes what is on stable storage into the ledger's care, or raises; called from many threads
    observer
        counts; nobody by default
    sources
        who may send; everybody if there are none
    known_by
        makes the tokens by which an instance is found again, see ``StoreService``; None for none
    """

    def __init__(
        self,
        settings: ReceiverSettings,
        *,
        spool: Spool,
        record: Callable[[Received], object],
        observer: ReceiveObserver | None = None,
        sources: Sequence[Source] = (),
        known_by: KnownByMaker | None = None,
    ) -> None:
        self._settings = settings
        observer = observer or NullObserver()
        store = StoreService(
            spool=spool,
            record=record,
            observer=observer,
            max_instance_bytes=settings.max_instance_bytes,
            accept_unknown=settings.accept_unknown,
            known_by=known_by,
        )
        self._acceptor = Acceptor(
            AcceptorSettings(
                place="dicom",
                host=settings.host,
                port=settings.port,
                tls_port=settings.tls_port,
                tls=settings.tls,
                capacity=settings.capacity,
                request_seconds=settings.request_seconds,
                transfer=settings.transfer,
            ),
            service=_Service(AccessRules(sources), store),
            observer=observer,
        )
        self._started = False

    @property
    def port(self) -> int:
        """The port that is listened on without TLS; after ``start``."""
        return self._acceptor.port

    @property
    def tls_port(self) -> int:
        """The port that is listened on with TLS; after ``start``."""
        return self._acceptor.tls_port

    @property
    def associations(self) -> int:
        """Accepted associations at this moment."""
        return self._acceptor.associations

    def start(self) -> None:
        """Listen.

        Raises
        ------
        ConfigurationError
            the address cannot be listened on, or the AE title is not valid
        """
        settings = self._settings
        if not _AE_TITLE.fullmatch(settings.ae_title):
            raise ConfigurationError(
                place="dicom", problem="the AE title is not valid: 1 to 16 printable ASCII characters without backslash"
            )
        self._acceptor.start()
        self._started = True
        ports = {False: self.port} if settings.port is not None else {}
        ports |= {True: self.tls_port} if settings.tls is not None else {}
        for tls, port in ports.items():
            _log.info("receiver started", host=settings.host, port=port, ae_title=settings.ae_title, tls=tls)

    def stop(self, grace_seconds: float = 30.0) -> None:
        """Accept no more, let messages under way come to their answer, end all associations.

        Associations without a message under way are aborted (A-ABORT) at once, the others after their answer, and
        those that need more than ``grace_seconds`` are cut: what was not answered is not kept.
        """
        if self._started:
            self._started = False
            _log.info("receiver stopped", cut=self._acceptor.stop(grace_seconds))
