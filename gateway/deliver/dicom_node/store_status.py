"""What the statuses of C-STORE mean for a delivery: ``data/store-statuses.csv``."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Literal, TypeAlias, cast

StoreDecision: TypeAlias = Literal["stored", "warning", "duplicate", "retry", "refuse"]


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """A row of the table: statuses whose bits under ``mask`` are ``value``, and what is done about them."""

    value: int
    mask: int
    decision: StoreDecision
    meaning: str


def _statuses() -> tuple[StoreStatus, ...]:
    text = (files("gateway.deliver") / "data" / "store-statuses.csv").read_text(encoding="utf-8")
    rows = [
        StoreStatus(int(row["value"], 16), int(row["mask"], 16), cast(StoreDecision, row["decision"]), row["meaning"])
        for row in csv.DictReader(text.splitlines())
    ]
    return tuple(sorted(rows, key=lambda status: -status.mask.bit_count()))


#: The most exact first.
STORE_STATUSES: Final = _statuses()
_UNKNOWN: Final = StoreStatus(0, 0, "retry", "a status that the gateway does not know")


def status_of(number: int) -> StoreStatus:
    """What a status (0000,0900) means; unknown ones are worth another try."""
    return next((status for status in STORE_STATUSES if number & status.mask == status.value), _UNKNOWN)
