"""What a destination is told out of the ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from gateway.deliver.books import Books, Holder
from gateway.ledger import Ledger
from gateway.service.archive_books import LedgerBooks
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.build import deidentified, received


def books(ledger: Ledger, *, quiet_seconds: float | None) -> Books:
    return LedgerBooks(ledger, "archive", quiet_seconds=quiet_seconds)


def test_what_is_still_on_its_way(tmp_path: Path) -> None:
    with new_ledger(tmp_path / "ledger.sqlite3") as ledger:
        now = datetime.now(UTC)
        numbers = ledger.instances.record([received(number, received_at=now) for number in range(2)], now=now)
        ledger.instances.claim("worker", limit=9, lease_seconds=60, now=now)
        ledger.instances.finish("worker", [deidentified(number, study="2.25.1") for number in numbers], now=now)
        ids = {entry.delivery_id for entry in ledger.deliveries.entries()}
        whole, quiet = books(ledger, quiet_seconds=None), books(ledger, quiet_seconds=60.0)
        assert whole.awaits("2.25.1", ids) is None
        assert whole.awaits("2.25.1", set(list(ids)[:1])) is not None
        waits = quiet.awaits("2.25.1", ids)
        assert waits is not None
        assert 0 < waits <= 60
        assert quiet.awaits("2.25.2", set()) is None


def test_labels_are_the_ledgers(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    with Ledger.open(url) as ledger:
        assert books(ledger, quiet_seconds=None).hold("subject", "PAT-A", "PAT-A") == Holder("PAT-A", "PAT-A")
    with Ledger.open(url) as ledger:
        assert books(ledger, quiet_seconds=None).hold("subject", "pat-a", "pat-a") == Holder("PAT-A", "PAT-A")
