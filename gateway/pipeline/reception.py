"""The receiving process: Storage SCP into the spool, rows into the ledger, and only then success."""

from __future__ import annotations

from gateway.config import Settings
from gateway.ledger import LedgerWriter, Received
from gateway.metrics import ReceiveMetrics
from gateway.pipeline.process import Child
from gateway.pipeline.resources import open_ledger, open_spool
from gateway.receive import Receiver, ReceiverSettings, Source


def receive(child: Child) -> None:
    """The job of the receiving process."""
    settings = child.settings
    ledger = open_ledger(settings)
    writer = LedgerWriter(ledger)

    def record(received: Received) -> None:
        writer.submit(received).result()

    receiver = Receiver(
        receiver_settings(settings),
        spool=open_spool(settings),
        record=record,
        observer=ReceiveMetrics(child.metrics),
        sources=sources(settings),
    )
    try:
        receiver.start()
        child.is_ready()
        child.stopping.wait()
    finally:
        receiver.stop(settings.workers.stop_seconds)
        writer.stop()
        ledger.close()


def receiver_settings(settings: Settings) -> ReceiverSettings:
    """The receiver's part of the configuration."""
    dicom = settings.dicom
    return ReceiverSettings(
        ae_title=dicom.ae_title,
        host=dicom.host,
        port=dicom.port,
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
        )
        for name, source in (settings.sources or {}).items()
    ]
