"""The Storage Service Class as SCP (PS3.4 B): from a C-STORE-RQ to a durable instance and its status."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

import structlog

from gateway.association.acceptor import Caller
from gateway.association.command_set import C_STORE_RQ, Command, Status
from gateway.association.transfer import AcceptedContext
from gateway.dicom.file_meta import FileMeta
from gateway.dicom.identifiers import WINDOW
from gateway.dicom.transfer_syntax import transfer_syntax
from gateway.errors import GatewayError, InstanceError, InstanceUnusable, LimitExceeded, SpoolFull, TransientError
from gateway.ledger.records import KnownBy, Received
from gateway.receive.contexts import is_storage, is_uid
from gateway.receive.head import HEAD_LENGTH, check_head
from gateway.receive.observer import ReceiveObserver
from gateway.spool import Incoming, Spool, SpoolRecord

_log = structlog.get_logger(__name__)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: Makes the tokens of an instance, of its record and the first bytes of its data set.
KnownByMaker: TypeAlias = Callable[[SpoolRecord, bytes], KnownBy | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreService:
    """What every C-STORE needs.

    Attributes
    ----------
    spool
        where instances go
    record
        takes what is on stable storage into the ledger's care, or raises
    observer
        counts
    max_instance_bytes
        longest data set
    accept_unknown
        take SOP classes that the gateway does not know
    known_by
        makes the tokens by which an instance is found again, of its record and the first bytes of its data
        set; None for none
    """

    spool: Spool
    record: Callable[[Received], object]
    observer: ReceiveObserver
    max_instance_bytes: int
    accept_unknown: bool
    known_by: KnownByMaker | None = None


class Reception:
    """What an association with a sender is for: its C-STORE operations.

    Parameters
    ----------
    service
        shared by all
    caller
        who sends
    """

    def __init__(self, service: StoreService, caller: Caller) -> None:
        self._service = service
        self._caller = caller

    def begin(self, command: Command, context: AcceptedContext) -> Store | None:
        """A request has come; only C-STORE is supported."""
        if command.field != C_STORE_RQ:
            return None
        return Store(self._service, caller=self._caller, context=context, command=command)

    def echoed(self) -> None:
        """A C-ECHO is answered."""
        self._service.observer.echoed(self._caller.source)


def received_of(record: SpoolRecord, known_by: KnownBy | None = None) -> Received:
    """The ledger's row for a spool file: the same at reception and when it is made again from the file."""
    return Received(
        spool_name=record.name,
        received_at=_EPOCH + timedelta(microseconds=record.received_at_ns // 1000),
        size=record.size,
        crc32=record.crc32,
        source=record.source,
        calling_ae=record.meta.source_ae,
        called_ae=record.meta.receiving_ae,
        peer_address=record.peer_address,
        sop_class_uid=record.meta.sop_class_uid,
        transfer_syntax=record.meta.transfer_syntax,
        association=record.association,
        known_by=known_by,
    )


class Store:
    """One C-STORE operation.

    A failure is kept until the data set has passed: the status is the answer to the whole message.

    Parameters
    ----------
    service
        shared by all
    caller
        who sends
    context
        presentation context of the command
    command
        the C-STORE-RQ
    """

    def __init__(self, service: StoreService, *, caller: Caller, context: AcceptedContext, command: Command) -> None:
        self._service = service
        self._caller = caller
        self._syntax = context.transfer_syntax
        self._class_uid = command.sop_class_uid.rstrip(b"\0 ")
        self._instance_uid = command.sop_instance_uid.rstrip(b"\0 ")
        self._begun = time.perf_counter()
        self._head = bytearray()
        self._length = 0
        self._checked = False
        self._incoming: Incoming | None = None
        self._error: GatewayError | None = None
        self._guard(lambda: self._begin(context))

    def write(self, spans: Sequence[memoryview]) -> None:
        """Take the next bytes of the data set; they may be reused afterwards."""
        if self._error is None:
            self._guard(lambda: self._write(spans))

    def finish(self) -> tuple[int, str]:
        """The data set is complete: make it durable.

        Returns
        -------
        Status and Error Comment of the C-STORE-RSP. The status is 0x0000 only if the bytes are durable, with all
        that the ledger must know about them.
        """
        size = 0
        if self._error is None:
            size = self._guard(self._finish) or 0
        if self._error is None:
            self._service.observer.stored(self._caller.source, size, time.perf_counter() - self._begun)
            return Status.SUCCESS, ""
        status, comment = _answer(self._error)
        self._service.observer.failed(self._caller.source, status, self._error.code)
        _log.warning("instance refused", source=self._caller.source, association=self._caller.association,
                     status=f"0x{status:04X}", code=self._error.code,
                     reason=comment)  # fmt: skip
        return status, comment

    def abandon(self) -> None:
        """The association has ended in the middle: nothing stays."""
        self._drop()
        self._service.observer.failed(self._caller.source, 0, "association-ended")

    def _guard(self, step: Callable[[], int]) -> int:
        """Run a step; what goes wrong is kept as the reason to refuse, and the partial file is removed."""
        try:
            return step()
        except GatewayError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer must not be success
            _log.error("receiving failed", source=self._caller.source, kind=type(error).__name__)
            self._error = TransientError()
        self._drop()
        return 0

    def _begin(self, context: AcceptedContext) -> int:
        # Whatever the bytes are, they become text; what is not a UID is no storage class.
        class_uid, instance_uid = self._class_uid.decode("latin-1"), self._instance_uid.decode("latin-1")
        accept_unknown = self._service.accept_unknown
        if not is_storage(class_uid, accept_unknown=accept_unknown) or not is_storage(
            context.abstract_syntax, accept_unknown=accept_unknown
        ):
            raise InstanceUnusable(status=int(Status.SOP_CLASS_NOT_SUPPORTED), reason="the SOP class is not supported")
        if not is_uid(instance_uid):
            raise InstanceUnusable(status=int(Status.INVALID_SOP_INSTANCE), reason="the SOP Instance UID is not valid")
        meta = FileMeta(
            transfer_syntax=self._syntax,
            sop_class_uid=class_uid,
            sop_instance_uid=instance_uid,
            source_ae=self._caller.calling_ae,
            receiving_ae=self._caller.called_ae,
        )
        self._incoming = self._service.spool.incoming(meta)
        return 0

    def _write(self, spans: Sequence[memoryview]) -> int:
        self._length += sum(map(len, spans))
        if self._length > self._service.max_instance_bytes:
            raise LimitExceeded(limit=self._service.max_instance_bytes, unit="bytes", where="its end")
        if len(self._head) < WINDOW:
            for span in spans:
                self._head += span[: WINDOW - len(self._head)]
            if not self._checked and len(self._head) >= HEAD_LENGTH:
                self._check_head(whole=False)
        assert self._incoming is not None
        self._incoming.write(spans)
        return 0

    def _finish(self) -> int:
        if not self._checked:
            self._check_head(whole=True)
        assert self._incoming is not None
        stored = self._incoming.commit(
            source=self._caller.source, peer_address=self._caller.address, association=self._caller.association
        )
        try:
            make = self._service.known_by
            self._service.record(received_of(stored, None if make is None else make(stored, bytes(self._head))))
        except BaseException:
            # Nothing that was refused may be processed. Should the file survive this, the next start finds it, and
            # the sender's next try is its duplicate: accepted, delivered once.
            self._service.spool.remove(stored.name)
            raise
        return stored.size

    def _check_head(self, *, whole: bool) -> None:
        self._checked = True
        check_head(
            bytes(self._head[:HEAD_LENGTH]),
            whole=whole,
            syntax=transfer_syntax(self._syntax),
            sop_class_uid=self._class_uid,
            sop_instance_uid=self._instance_uid,
        )

    def _drop(self) -> None:
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.abort()


def _answer(error: GatewayError) -> tuple[int, str]:
    """Status and Error Comment for what went wrong (PS3.4 B.2.3)."""
    if isinstance(error, InstanceUnusable):
        status = error.facts["status"]
        assert isinstance(status, int)
        return status, str(error.facts["reason"])
    if isinstance(error, LimitExceeded):
        return Status.OUT_OF_RESOURCES, "the instance is larger than the gateway accepts"
    if isinstance(error, SpoolFull):
        return Status.OUT_OF_RESOURCES, "the gateway's disk is full"
    if isinstance(error, InstanceError):
        return Status.CANNOT_UNDERSTAND, "the instance cannot be written as a file"
    return Status.OUT_OF_RESOURCES, "the gateway cannot store instances at present"
