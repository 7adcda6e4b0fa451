"""The spool, the ledger and the destinations of a configuration, opened the same way by every process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from gateway.ledger import Ledger
from gateway.settings.configuration import Settings

if TYPE_CHECKING:
    from gateway.spool import Spool


def open_spool(settings: Settings) -> Spool:
    """The spool below the data directory."""
    # Most commands read the ledger alone, and start in half the time without the encoding of DICOM.
    from gateway.spool import Durability, Spool

    return Spool(
        settings.data / "spool",
        durability=Durability(settings.storage.durability),
        reserve_bytes=settings.storage.reserve_bytes,
    )


def open_ledger(
    settings: Settings,
    *,
    synchronous: Literal["normal", "full"] = "normal",
    failed: Callable[[], object] | None = None,
) -> Ledger:
    """The ledger, migrated to the current schema; what a person does is flushed (``full``) before it is answered."""
    told = (settings.notifications or {}).values()
    wanted = {event.value for one in told for event in one.events}
    return Ledger.open(settings.ledger_url, synchronous=synchronous, wanted=wanted, failed=failed)
