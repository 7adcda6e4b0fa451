"""Storage Commitment, Push Model, as its SCU (PS3.4 J.3): asking a node to keep instances, and reading its report.

The report comes when the node likes, on the association that asked or on one that the node opens. It counts only for a
transaction that was asked for here: its UID is a random one that nobody else knows. What was asked is kept in memory;
after a restart it is asked again, which the standard allows at any time.
"""

from __future__ import annotations

import csv
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from io import BytesIO
from struct import Struct
from threading import Lock
from typing import Final, Literal, TypeAlias, cast

from pydicom.filereader import read_dataset

from gateway.association.command_set import EventStatus
from gateway.deliver.base import Parcel

#: Storage Commitment Push Model SOP Class, and its one instance (PS3.4 J.3.5).
PUSH_MODEL: Final = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
#: N-ACTION: Request Storage Commitment (PS3.4 J.3.2).
REQUEST_COMMITMENT: Final = 1
#: N-EVENT-REPORT: all committed, or failures exist (PS3.4 J.3.3).
_EVENTS: Final = (1, 2)

_ELEMENT: Final = Struct("<HHI")

FailureDecision: TypeAlias = Literal["resend", "refuse", "ask"]


@dataclass(frozen=True, slots=True)
class Failure:
    """What a Failure Reason (0008,1197) of a report means: a row of ``data/commitment-failures.csv``."""

    decision: FailureDecision
    meaning: str


def _failures() -> Mapping[int, Failure]:
    text = (files("gateway.deliver") / "data" / "commitment-failures.csv").read_text(encoding="utf-8")
    return {
        int(row["value"], 16): Failure(cast(FailureDecision, row["decision"]), row["meaning"])
        for row in csv.DictReader(text.splitlines())
    }


_FAILURES: Final = _failures()
_UNNAMED: Final = Failure("resend", "no reason known to the gateway")


def failure_of(reason: int | None) -> Failure:
    """What a Failure Reason means; with an unknown or absent one the instance is sent again."""
    return _UNNAMED if reason is None else _FAILURES.get(reason, _UNNAMED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of the commitment for one delivery.

    Attributes
    ----------
    state
        ``unasked``, ``waiting`` for the report, ``committed`` or ``failed``
    waited_seconds
        since it was first asked for
    reason
        Failure Reason of the report, or None
    """

    state: Literal["unasked", "waiting", "committed", "failed"]
    waited_seconds: float = 0.0
    reason: int | None = None


@dataclass(slots=True)
class _Delivery:
    asked_at: float
    transaction: str | None = None
    verdict: Literal["committed", "failed"] | None = None
    reason: int | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """A request for commitment: its UID and its data set, in implicit VR little endian."""

    uid: str
    data_set: bytes = field(repr=False)


class Commitments:
    """The commitments asked of one node. Safe for use from several threads.

    Parameters
    ----------
    clock
        monotonic seconds
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._deliveries: dict[int, _Delivery] = {}
        #: Transaction UID -> SOP Instance UID -> delivery.
        self._transactions: dict[str, dict[str, int]] = {}

    def begin(self, parcels: Sequence[Parcel]) -> Transaction:
        """A new transaction for the parcels; no two of one SOP Instance UID. Earlier ones for them are void."""
        uid = f"2.25.{secrets.randbits(128)}"
        with self._lock:
            self._transactions[uid] = {parcel.sop_uid: parcel.delivery_id for parcel in parcels}
            for parcel in parcels:
                known = self._deliveries.get(parcel.delivery_id)
                asked_at = self._clock() if known is None else known.asked_at
                self._leave(known, parcel.sop_uid)
                self._deliveries[parcel.delivery_id] = _Delivery(asked_at, uid)
        return Transaction(uid, _request(uid, parcels))

    def refused(self, transaction: Transaction) -> None:
        """The node did not take the request: its instances are to be asked for again."""
        with self._lock:
            for delivery_id in self._transactions.pop(transaction.uid, {}).values():
                self._deliveries[delivery_id].transaction = None

    def verdict(self, delivery_id: int) -> Verdict:
        """What is known for a delivery."""
        with self._lock:
            known = self._deliveries.get(delivery_id)
            if known is None:
                return Verdict("unasked")
            waited = self._clock() - known.asked_at
            if known.verdict is not None:
                return Verdict(known.verdict, waited, known.reason)
            return Verdict("unasked" if known.transaction is None else "waiting", waited)

    def forget(self, parcel: Parcel) -> None:
        """The delivery is decided; a report that comes later says nothing any more."""
        with self._lock:
            self._leave(self._deliveries.pop(parcel.delivery_id, None), parcel.sop_uid)

    def waits(self) -> bool:
        """Whether a report is still to come."""
        with self._lock:
            return bool(self._transactions)

    def report(self, event_type: int, data_set: bytes, *, implicit: bool = True) -> int:
        """Take in a report; returns the status of the answer.

        What the report does not list of its transaction has failed: the node has ended the transaction.

        Parameters
        ----------
        event_type
            Event Type ID (0000,1002)
        data_set
            the report
        implicit
            whether that is in implicit VR little endian, otherwise in explicit VR little endian
        """
        if event_type not in _EVENTS:
            return EventStatus.NO_SUCH_EVENT_TYPE
        try:
            decoded = read_dataset(BytesIO(data_set), is_implicit_VR=implicit, is_little_endian=True)
            transaction = str(decoded.get("TransactionUID", ""))
            committed = {str(item.ReferencedSOPInstanceUID) for item in decoded.get("ReferencedSOPSequence") or ()}
            failed = {
                str(item.ReferencedSOPInstanceUID): _number(item.get("FailureReason"))
                for item in decoded.get("FailedSOPSequence") or ()
            }
        except Exception:  # noqa: BLE001 - a decoder of bytes from outside, which raises what it likes
            return EventStatus.PROCESSING_FAILURE
        with self._lock:
            waiting = self._transactions.pop(transaction, None)
            if waiting is None:
                return EventStatus.PROCESSING_FAILURE
            for sop_uid, delivery_id in waiting.items():
                delivery = self._deliveries[delivery_id]
                if sop_uid in committed and sop_uid not in failed:
                    delivery.verdict = "committed"
                else:
                    delivery.verdict, delivery.reason = "failed", failed.get(sop_uid)
        return EventStatus.SUCCESS

    def _leave(self, known: _Delivery | None, sop_uid: str) -> None:
        """Take a delivery out of its transaction; called with the lock held."""
        members = self._transactions.get(known.transaction) if known is not None and known.transaction else None
        if known is not None and members is not None:
            members.pop(sop_uid, None)
            if not members and known.transaction:
                del self._transactions[known.transaction]


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _request(transaction_uid: str, parcels: Iterable[Parcel]) -> bytes:
    """Transaction UID (0008,1195) and Referenced SOP Sequence (0008,1199) of the N-ACTION (PS3.4 J.3.2.1.1)."""
    items = []
    for parcel in parcels:
        item = _element(0x1150, _uid(parcel.sop_class_uid)) + _element(0x1155, _uid(parcel.sop_uid))
        items.append(_ELEMENT.pack(0xFFFE, 0xE000, len(item)) + item)
    return _element(0x1195, _uid(transaction_uid)) + _element(0x1199, b"".join(items))


def _element(number: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0x0008, number, len(value)) + value


def _uid(value: str) -> bytes:
    encoded = value.encode("ascii")
    return encoded + b"\0" if len(encoded) & 1 else encoded
