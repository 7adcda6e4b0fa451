"""The database of every instance, delivery and decision; the only source of truth for state.

SQLite or PostgreSQL by the same code. It holds no identity: keyed hashes and new values only (promise P9).
"""

from gateway.ledger.ledger import Ledger
from gateway.ledger.records import (
    DUPLICATE,
    Account,
    ClaimedInstance,
    DeidentifiedResult,
    DeliveryClaim,
    DeliveryDepth,
    DeliveryEntry,
    DeliveryResult,
    DestinationCount,
    Finished,
    HeldInstance,
    HeldResult,
    HistoryEntry,
    ProjectAccount,
    Provenance,
    Purgeable,
    QueueFigures,
    ReasonCount,
    Received,
    Recorded,
    RejectedResult,
    Result,
    StateCount,
    Status,
)
from gateway.ledger.states import DeliveryState, InstanceState
from gateway.ledger.writer import LedgerWriter

__all__ = [
    "DUPLICATE",
    "Account",
    "ClaimedInstance",
    "DeidentifiedResult",
    "DeliveryClaim",
    "DeliveryDepth",
    "DeliveryEntry",
    "DeliveryResult",
    "DeliveryState",
    "DestinationCount",
    "Finished",
    "HeldInstance",
    "HeldResult",
    "HistoryEntry",
    "InstanceState",
    "Ledger",
    "LedgerWriter",
    "ProjectAccount",
    "Provenance",
    "Purgeable",
    "QueueFigures",
    "ReasonCount",
    "Received",
    "Recorded",
    "RejectedResult",
    "Result",
    "StateCount",
    "Status",
]
