"""The spool, the ledger and the destinations of a configuration, opened the same way by every process."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from gateway.config import Settings
from gateway.dicom.encoded import Limits
from gateway.ledger import Ledger
from gateway.pipeline.treatment import OpeningRules
from gateway.spool import Durability, Spool


def open_spool(settings: Settings) -> Spool:
    """The spool below the data directory."""
    return Spool(
        settings.data / "spool",
        durability=Durability(settings.storage.durability),
        reserve_bytes=settings.storage.reserve_bytes,
    )


def open_ledger(settings: Settings, *, synchronous: Literal["normal", "full"] = "normal") -> Ledger:
    """The ledger, migrated to the current schema; what a person does is flushed (``full``) before it is answered."""
    return Ledger.open(settings.ledger_url, synchronous=synchronous)


def opening_rules(settings: Settings, work: Path) -> OpeningRules:
    """How instances are opened under these settings."""
    return OpeningRules(
        work=work,
        limits=Limits(depth=settings.limits.depth, elements=settings.limits.elements),
        max_reencode_bytes=settings.limits.reencode_bytes,
    )
