"""The database of every instance, delivery and decision; the only source of truth for state.

SQLite or PostgreSQL by the same code. It holds no identity: keyed hashes and new values only (promise P9).
"""

from gateway.ledger.audit import AuditEnd, AuditRecord
from gateway.ledger.finding import DeliveryGroup, InstanceGroup, StudyFilter, StudyReport, Tokens
from gateway.ledger.keys import KeyVersion
from gateway.ledger.ledger import Ledger
from gateway.ledger.moving import PIXEL_CODES
from gateway.ledger.records import (
    DUPLICATE,
    Account,
    Blamed,
    ClaimedInstance,
    DeidentifiedResult,
    DeliveryClaim,
    DeliveryDepth,
    DeliveryEntry,
    DeliveryResult,
    DestinationCount,
    Finished,
    HeldAbout,
    HeldFilter,
    HeldGroup,
    HeldInstance,
    HeldResult,
    HistoryEntry,
    KnownBy,
    ProjectAccount,
    Provenance,
    Purged,
    QueueFigures,
    ReasonCount,
    Receipt,
    ReceiptChain,
    Received,
    Recorded,
    RejectedResult,
    Result,
    ReviewRecord,
    StateCount,
    Status,
    Whole,
)
from gateway.ledger.redo import Redone, Remaking, Resent
from gateway.ledger.schema import SCHEMA_VERSION
from gateway.ledger.selection import Selection
from gateway.ledger.sole_use import LedgerInUse, SoleUse
from gateway.ledger.states import DeliveryState, InstanceState
from gateway.ledger.writer import MOST_WAITING, LedgerWriter

__all__ = [
    "DUPLICATE",
    "MOST_WAITING",
    "PIXEL_CODES",
    "SCHEMA_VERSION",
    "Account",
    "AuditEnd",
    "AuditRecord",
    "Blamed",
    "ClaimedInstance",
    "DeidentifiedResult",
    "DeliveryClaim",
    "DeliveryDepth",
    "DeliveryEntry",
    "DeliveryGroup",
    "DeliveryResult",
    "DeliveryState",
    "DestinationCount",
    "Finished",
    "HeldAbout",
    "HeldFilter",
    "HeldGroup",
    "HeldInstance",
    "HeldResult",
    "HistoryEntry",
    "InstanceGroup",
    "InstanceState",
    "KeyVersion",
    "KnownBy",
    "Ledger",
    "LedgerInUse",
    "LedgerWriter",
    "ProjectAccount",
    "Provenance",
    "Purged",
    "QueueFigures",
    "ReasonCount",
    "Receipt",
    "ReceiptChain",
    "Received",
    "Recorded",
    "Redone",
    "RejectedResult",
    "Remaking",
    "Resent",
    "Result",
    "ReviewRecord",
    "Selection",
    "SoleUse",
    "StateCount",
    "Status",
    "StudyFilter",
    "StudyReport",
    "Tokens",
    "Whole",
]
