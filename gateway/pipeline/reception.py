"""The receiving process: Storage SCP into the spool, and only then success; rows into the ledger."""

from __future__ import annotations

from functools import partial

import structlog

from gateway.config import Settings
from gateway.ledger import LedgerWriter
from gateway.metrics import ReceiveMetrics
from gateway.pipeline.originals import Originals
from gateway.pipeline.patience import ledger_of, patiently
from gateway.pipeline.process import Child
from gateway.pipeline.recovery import record_newest
from gateway.pipeline.resources import open_spool
from gateway.receive import CertificateRule, Receiver, ReceiverSettings, Source
from gateway.secret import GATEWAY, project_secret

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
    writer = LedgerWriter(ledger)
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
    ConfigurationError: a file of ``dicom.tls`` cannot be used
    """
    dicom = settings.dicom
    return ReceiverSettings(
        ae_title=dicom.ae_title,
        host=dicom.host,
        port=dicom.port if dicom.accepts_plain else None,
        tls_port=0 if dicom.tls is None else dicom.tls.port,
        tls=None if dicom.tls is None else dicom.tls.context(place="dicom.tls"),
        max_associations=dicom.max_associations,
        max_pdu_bytes=dicom.max_pdu_bytes,
        max_instance_bytes=settings.limits.instance_bytes,
        network_timeout_seconds=dicom.network_timeout_seconds,
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
        )
        for name, source in (settings.sources or {}).items()
    ]
