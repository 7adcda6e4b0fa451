"""Records for the ledger's tests, all invented."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from gateway.ledger import (
    ClaimedInstance,
    DeidentifiedResult,
    DeliveryClaim,
    DeliveryResult,
    Finished,
    HeldResult,
    InstanceState,
    Ledger,
    Received,
    RejectedResult,
)

#: The moment at which all tests begin.
START: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def received(number: int, **changes: object) -> Received:
    values: dict[str, object] = {
        "spool_name": f"2026-01-01/{number:06d}.dcm",
        "received_at": at(number / 1000),
        "size": 1000 + number,
        "crc32": number,
        "source": "ct-scanner",
        "calling_ae": "CT1",
        "called_ae": "GATEWAY",
        "peer_address": "192.0.2.7",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "transfer_syntax": "1.2.840.10008.1.2.1",
    }
    return Received(**(values | changes))  # type: ignore[arg-type]


def deidentified(
    instance_id: int, *, study: str = "2.25.1", destinations: Sequence[str] = ("archive",), **changes: object
) -> DeidentifiedResult:
    values: dict[str, object] = {
        "instance_id": instance_id,
        "project": "lungs",
        "profile": "basic",
        "profile_digest": "d" * 64,
        "output_size": 500,
        "patient_id": "SUBJECT-1",
        "study_uid": study,
        "series_uid": "2.25.2",
        "sop_uid": f"2.25.9{instance_id}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "sop_key": f"sop-{instance_id}",
        "content_key": "content-1",
        "actions": {"remove": 12, "hash-uid": 5},
        "destinations": tuple(destinations),
    }
    return DeidentifiedResult(**(values | changes))  # type: ignore[arg-type]


def held(instance_id: int, **changes: object) -> HeldResult:
    values: dict[str, object] = {"instance_id": instance_id, "project": "lungs", "code": "rule-failed", "detail": "why"}
    return HeldResult(**(values | changes))  # type: ignore[arg-type]


def rejected(instance_id: int, **changes: object) -> RejectedResult:
    values: dict[str, object] = {
        "instance_id": instance_id,
        "project": "lungs",
        "rule": "no-reports",
        "because": "no images",
    }
    return RejectedResult(**(values | changes))  # type: ignore[arg-type]


def claim(ledger: Ledger, limit: int = 1000, owner: str = "worker", seconds: float = 0) -> list[ClaimedInstance]:
    return ledger.instances.claim(owner, limit=limit, lease_seconds=60, now=at(seconds))


def take(
    ledger: Ledger,
    destination: str = "archive",
    *,
    owner: str = "deliverer",
    seconds: float = 0,
    max_count: int = 1000,
    max_bytes: int = 1 << 40,
) -> list[DeliveryClaim]:
    batches = ledger.deliveries.claim(
        destination, owner, max_count=max_count, max_bytes=max_bytes, lease_seconds=60, now=at(seconds)
    )
    return [claim for batch in batches for claim in batch]


def outcome(
    delivery_id: int, state: Literal["sent", "confirmed", "failed", "dead"] = "confirmed", *, due: float = 100
) -> DeliveryResult:
    return DeliveryResult(
        delivery_id=delivery_id,
        state=state,
        code="" if state == "confirmed" else "http-503",
        detail="" if state == "confirmed" else "busy",
        next_attempt_at=at(due) if state in {"sent", "failed"} else None,
    )


def one(ledger: Ledger, number: int = 1) -> int:
    """Record one instance and claim it as ``worker``; nothing else may be waiting."""
    ledger.instances.record([received(number)], now=START)
    (claimed,) = claim(ledger)
    return claimed.instance_id


def finish(ledger: Ledger, *results: DeidentifiedResult | HeldResult | RejectedResult) -> list[Finished]:
    return ledger.instances.finish("worker", results, now=START)


def bring(ledger: Ledger, state: InstanceState, number: int = 1, **keys: str) -> int:
    """Record an instance and bring it to ``state``; return its row id."""
    if state is InstanceState.RECEIVED:
        return ledger.instances.record([received(number)], now=START)[0]
    instance_id = one(ledger, number)
    if state is InstanceState.HELD:
        finish(ledger, held(instance_id, **keys))
    elif state is InstanceState.REJECTED:
        finish(ledger, rejected(instance_id))
    else:
        finish(ledger, deidentified(instance_id, **dict[str, Any](keys)))
    if state in {InstanceState.DELIVERED, InstanceState.PURGED}:
        (taken,) = take(ledger)
        ledger.deliveries.record("deliverer", [outcome(taken.delivery_id)], now=START)
    if state is InstanceState.PURGED:
        assert [one.instance_id for one in ledger.retention.purge(at(1), 10, now=START)] == [instance_id]
    return instance_id


def bring_each(ledger: Ledger) -> dict[InstanceState, int]:
    """One instance in every state but received; the waiting delivery is last, lest it be taken for another's."""
    order = ("purged", "rejected", "held", "delivered", "deidentified")
    return {InstanceState(state): bring(ledger, InstanceState(state), n) for n, state in enumerate(order, 1)}


def state_of(ledger: Ledger, instance_id: int) -> str:
    return [entry.after for entry in ledger.history.of(instance_id) if entry.delivery_id is None][-1]
