"""The receiving process: Storage SCP into the spool, and only then success; rows into the ledger."""

from __future__ import annotations

from functools import partial

import structlog

from gateway.association.acceptor import Capacity
from gateway.association.transfer import TransferSettings
from gateway.custody.original_tokens import Originals
from gateway.custody.secret import GATEWAY, project_secret
from gateway.ledger import LedgerWriter
from gateway.metrics import ReceiveMetrics
from gateway.receive import CertificateRule, Receiver, ReceiverSettings, Source
from gateway.service.patience import ledger_of, patiently
from gateway.service.process import Child
from gateway.service.recovery import record_newest
from gateway.settings.configuration import Settings
from gateway.treatment.resources import open_spool

log = structlog.get_logger(__name__)


def receive(child: Child) -> None:
    """The job of the receiving process."""
    settings = child.settings
    ledger = ledger_of(child)
    if ledger is None:
        return
    spool = open_spool(settings)
    originals = Originals(spool, ledger, project_secret(settings, GATEWAY, create=False))
    if child.cautious:
        # The receiver before this one died: what it had acknowledged may not have come to its row.
        patiently(partial(record_newest, spool, originals), wait=child.stopping.wait, always=True)
    writer = LedgerWriter(ledger.instances)
    receiver = Receiver(
        receiver_settings(settings),
        spool=spool,
        record=writer.record,
        observer=ReceiveMetrics(child.metrics),
        sources=sources(settings),
        known_by=originals.known_by,
    )
    try:
        receiver.start()
        child.is_ready()
        child.stopping.wait()
    finally:
        receiver.stop(settings.workers.stop_seconds)
        left = writer.stop()
        if left:
            log.warning("rows left to the next start", count=len(left))
        ledger.close()


def receiver_settings(settings: Settings) -> ReceiverSettings:
    """The receiver's part of the configuration.

    Raises
    ------
    ConfigurationError
        a file of ``dicom.tls`` cannot be used
    """
    dicom = settings.dicom
    return ReceiverSettings(
        ae_title=dicom.ae_title,
        host=dicom.host,
        port=dicom.port if dicom.accepts_plain else None,
        tls_port=0 if dicom.tls is None else dicom.tls.port,
        tls=None if dicom.tls is None else dicom.tls.context(place="dicom.tls"),
        capacity=Capacity(
            associations=dicom.max_associations,
            reserved=dicom.associations_reserved if any(one.is_told_apart for one in sources(settings)) else 0,
            per_address=dicom.associations_per_address,
            pending=dicom.max_pending,
            pending_per_address=dicom.max_pending_per_address,
        ),
        max_instance_bytes=settings.limits.instance_bytes,
        request_seconds=dicom.association_timeout_seconds,
        transfer=TransferSettings(
            max_pdu_bytes=dicom.max_pdu_bytes,
            timeout_seconds=dicom.network_timeout_seconds,
            idle_seconds=dicom.idle_timeout_seconds,
            least_bytes_per_second=dicom.min_bytes_per_second,
        ),
        accept_unknown=dicom.accept_unknown_sop_classes,
    )


def sources(settings: Settings) -> list[Source]:
    """The configured sources in their order; none means that everybody may send."""
    return [
        Source(
            name=name,
            calling_ae=frozenset(source.calling_ae),
            called_ae=frozenset(source.called_ae),
            addresses=tuple(source.addresses),
            certificate=None
            if source.certificate is None
            else CertificateRule(
                subjects=frozenset(source.certificate.subject),
                names=frozenset(source.certificate.name),
                fingerprints=frozenset(source.certificate.fingerprint),
            ),
            max_associations=source.max_associations,
        )
        for name, source in (settings.sources or {}).items()
    ]
