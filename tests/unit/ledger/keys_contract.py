"""The record of projects' keys: one key per version, whoever is first, and the audit entry with it. On any database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from gateway.audit import AuditAction, AuditEntry
from gateway.ledger import KeyVersion, Ledger
from tests.unit.ledger.build import at

ENTRY = AuditEntry(actor="gateway", action=AuditAction.KEY_CHANGED, subject="chest")


class KeysContract:
    """Every test takes the fixture ``ledger``: an open, empty ledger."""

    def test_versions_of_a_projects_key(self, ledger: Ledger) -> None:
        ledger.keys.record("chest", 2, "bb", now=at(2))
        ledger.keys.record("chest", 1, "aa", now=at(1))
        ledger.keys.record("head", 1, "cc", now=at(3))
        assert ledger.keys.versions("chest") == (
            KeyVersion(version=1, key_id="aa", recorded_at=at(1)),
            KeyVersion(version=2, key_id="bb", recorded_at=at(2)),
        )
        assert ledger.keys.versions("nobody") == ()

    def test_the_first_record_of_a_version_stays_and_is_audited_once(self, ledger: Ledger) -> None:
        first = ledger.keys.record("chest", 1, "aa", now=at(1), entry=ENTRY)
        assert ledger.keys.record("chest", 1, "bb", now=at(2), entry=ENTRY) == first
        assert [record.text("action") for record in ledger.audit.trail()] == ["key-changed"]

    def test_of_several_at_once_one_is_first(self, ledger: Ledger) -> None:
        with ThreadPoolExecutor(8) as pool:
            found = set(pool.map(lambda n: ledger.keys.record("chest", 1, f"{n}", now=at(n), entry=ENTRY), range(16)))
        assert len(found) == 1
        assert ledger.keys.versions("chest") == tuple(found)
        assert len(list(ledger.audit.trail())) == 1
