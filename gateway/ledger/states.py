"""The states of instances and deliveries, and who may move them (promises P2, P3)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class InstanceState(StrEnum):
    """Where an instance stands; it is in exactly one state."""

    RECEIVED = "received"
    REJECTED = "rejected"
    HELD = "held"
    DEIDENTIFIED = "deidentified"
    DELIVERED = "delivered"
    PURGED = "purged"


class DeliveryState(StrEnum):
    """Where the delivery of one instance to one destination stands."""

    PENDING = "pending"
    SENT = "sent"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    DEAD = "dead"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class Mover(StrEnum):
    """Who makes a transition."""

    RECEIVER = "receiver"
    WORKER = "worker"
    DELIVERER = "deliverer"
    RETENTION = "retention"
    OPERATOR = "operator"


#: Allowed changes of an instance's state: (from, to) -> who makes it. None is "not in the ledger yet".
INSTANCE_TRANSITIONS: Final[Mapping[tuple[InstanceState | None, InstanceState], Mover]] = {
    (None, InstanceState.RECEIVED): Mover.RECEIVER,
    (InstanceState.RECEIVED, InstanceState.REJECTED): Mover.WORKER,
    (InstanceState.RECEIVED, InstanceState.HELD): Mover.WORKER,
    (InstanceState.RECEIVED, InstanceState.DEIDENTIFIED): Mover.WORKER,
    (InstanceState.DEIDENTIFIED, InstanceState.DELIVERED): Mover.DELIVERER,
    (InstanceState.DELIVERED, InstanceState.PURGED): Mover.RETENTION,
    (InstanceState.HELD, InstanceState.RECEIVED): Mover.OPERATOR,
    (InstanceState.HELD, InstanceState.REJECTED): Mover.OPERATOR,
    # Made anew from the original: a person wants it, its output is lost, or is of a profile that is active no more.
    (InstanceState.DEIDENTIFIED, InstanceState.RECEIVED): Mover.OPERATOR,
    (InstanceState.DELIVERED, InstanceState.RECEIVED): Mover.OPERATOR,
    (InstanceState.REJECTED, InstanceState.RECEIVED): Mover.OPERATOR,
    (InstanceState.DEIDENTIFIED, InstanceState.HELD): Mover.OPERATOR,
    # Delivered again, or asked for, as a person wants or because the sender has sent it again.
    (InstanceState.DELIVERED, InstanceState.DEIDENTIFIED): Mover.OPERATOR,
    # A rejected instance stays rejected when its bytes go: the rule that kept it out is its fate.
    (InstanceState.REJECTED, InstanceState.REJECTED): Mover.RETENTION,
}

#: Allowed changes of a delivery's state: (from, to) -> who makes it.
DELIVERY_TRANSITIONS: Final[Mapping[tuple[DeliveryState | None, DeliveryState], Mover]] = {
    (None, DeliveryState.PENDING): Mover.WORKER,
    (DeliveryState.PENDING, DeliveryState.SENT): Mover.DELIVERER,
    (DeliveryState.PENDING, DeliveryState.CONFIRMED): Mover.DELIVERER,
    (DeliveryState.PENDING, DeliveryState.FAILED): Mover.DELIVERER,
    (DeliveryState.PENDING, DeliveryState.DEAD): Mover.DELIVERER,
    (DeliveryState.SENT, DeliveryState.SENT): Mover.DELIVERER,
    (DeliveryState.SENT, DeliveryState.CONFIRMED): Mover.DELIVERER,
    (DeliveryState.SENT, DeliveryState.FAILED): Mover.DELIVERER,
    (DeliveryState.SENT, DeliveryState.DEAD): Mover.DELIVERER,
    (DeliveryState.FAILED, DeliveryState.SENT): Mover.DELIVERER,
    (DeliveryState.FAILED, DeliveryState.CONFIRMED): Mover.DELIVERER,
    (DeliveryState.FAILED, DeliveryState.FAILED): Mover.DELIVERER,
    (DeliveryState.FAILED, DeliveryState.DEAD): Mover.DELIVERER,
    (DeliveryState.FAILED, DeliveryState.PENDING): Mover.OPERATOR,
    (DeliveryState.DEAD, DeliveryState.PENDING): Mover.OPERATOR,
    # Delivered again, or asked for.
    (None, DeliveryState.SENT): Mover.WORKER,
    (DeliveryState.CONFIRMED, DeliveryState.PENDING): Mover.OPERATOR,
    (DeliveryState.CONFIRMED, DeliveryState.SENT): Mover.OPERATOR,
    # Nobody wants it any more, or its output is made anew.
    (DeliveryState.PENDING, DeliveryState.CANCELLED): Mover.OPERATOR,
    (DeliveryState.SENT, DeliveryState.CANCELLED): Mover.OPERATOR,
    (DeliveryState.FAILED, DeliveryState.CANCELLED): Mover.OPERATOR,
    (DeliveryState.DEAD, DeliveryState.CANCELLED): Mover.OPERATOR,
    (DeliveryState.CONFIRMED, DeliveryState.CANCELLED): Mover.OPERATOR,
    (DeliveryState.SUPERSEDED, DeliveryState.CANCELLED): Mover.OPERATOR,
    (DeliveryState.CANCELLED, DeliveryState.PENDING): Mover.WORKER,
    # Only the newest version of an instance goes out.
    (DeliveryState.PENDING, DeliveryState.SUPERSEDED): Mover.WORKER,
    (DeliveryState.SENT, DeliveryState.SUPERSEDED): Mover.WORKER,
    (DeliveryState.FAILED, DeliveryState.SUPERSEDED): Mover.WORKER,
    (DeliveryState.DEAD, DeliveryState.SUPERSEDED): Mover.WORKER,
}

#: Instances that stand for their content: another copy of the same content is a duplicate of them (promise P6).
STANDING: Final = (
    InstanceState.HELD,
    InstanceState.DEIDENTIFIED,
    InstanceState.DELIVERED,
    InstanceState.PURGED,
)

#: Deliveries that a deliverer takes when they are due.
OPEN: Final = (DeliveryState.PENDING, DeliveryState.SENT, DeliveryState.FAILED)

#: Deliveries that have not arrived as far as the ledger knows.
UNCONFIRMED: Final = (*OPEN, DeliveryState.DEAD)

#: Deliveries of which nothing more will come: an instance with no other is delivered.
SETTLED: Final = (DeliveryState.CONFIRMED, DeliveryState.SUPERSEDED, DeliveryState.CANCELLED)
