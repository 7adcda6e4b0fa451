"""History of long ago goes into files: the account balances, and what happened can still be told. On any database."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.custody.history_archive import archive_history, archived_history
from gateway.errors import LedgerUnavailable
from gateway.ledger import AUDIT, InstanceState, Ledger
from gateway.ledger.audit_trail import verify_trail
from tests.unit.ledger.build import START, at, bring, claim, deidentified, finish, received
from tests.unit.ledger.seals_contract import delivered


class ArchiveContract:
    """Every test takes the fixture ``ledger``: an open, empty ledger."""

    def test_p3_the_account_balances_over_what_was_archived(self, ledger: Ledger, tmp_path: Path) -> None:
        folder = tmp_path / "history"
        delivered(ledger, 3)
        ledger.retention.purge(at(5), 2, now=at(10))
        waiting = bring(ledger, InstanceState.HELD, 4)
        before, history = ledger.accounts.draw(), ledger.history.of(1)
        assert before.problems == ()
        # Not yet; then all but what is not purged.
        assert archive_history(ledger, folder, keep_seconds=60, now=at(60)) == 0
        assert archive_history(ledger, folder, keep_seconds=60, now=at(71)) == 2
        assert archive_history(ledger, folder, keep_seconds=60, now=at(99)) == 0
        assert ledger.accounts.draw() == before
        assert ledger.history.of(1) == []
        assert ledger.history.of(3)
        assert ledger.history.of(waiting)
        archive = ledger.archives.of(1)
        assert archive is not None
        assert archived_history(folder, archive, 1) == history
        assert ledger.archives.of(3) is None
        # Later ones go into another file, and the sums add up.
        ledger.retention.purge(at(5), 9, now=at(100))
        assert archive_history(ledger, folder, keep_seconds=60, now=at(200)) == 1
        assert ledger.accounts.draw().problems == ()
        assert sorted(path.name for path in folder.iterdir()) == [
            "history-00000001.jsonl.gz", "history-00000002.jsonl.gz",
        ]  # fmt: skip
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
        assert [one.text("action") for one in ledger.audit.trail()] == ["history-archived"] * 2
        assert list(verify_trail(ledger.audit.trail(), ledger.audit.end())) == []
        assert ledger.seals.chain_ends()[0].chain == AUDIT

    def test_p6_a_copy_of_what_was_archived_is_a_duplicate(self, ledger: Ledger, tmp_path: Path) -> None:
        folder = tmp_path / "history"
        bring(ledger, InstanceState.PURGED, 1)
        archive_history(ledger, folder, keep_seconds=0, now=at(1))
        ledger.instances.record([received(2)], now=START)
        claim(ledger)
        (done,) = finish(ledger, deidentified(2, sop_key="sop-1"))
        assert done.duplicate_of == 1

    def test_a_file_that_cannot_be_written_leaves_everything(self, ledger: Ledger, tmp_path: Path) -> None:
        folder = tmp_path / "history"
        bring(ledger, InstanceState.PURGED, 1)
        history = ledger.history.of(1)
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(LedgerUnavailable):
            archive_history(ledger, tmp_path / "file" / "folder", keep_seconds=0, now=at(1))
        assert ledger.history.of(1) == history
        assert ledger.accounts.draw().problems == ()
        # Afterwards it goes by itself.
        assert archive_history(ledger, folder, keep_seconds=0, now=at(1)) == 1

    def test_a_file_that_was_changed_is_not_believed(self, ledger: Ledger, tmp_path: Path) -> None:
        folder = tmp_path / "history"
        bring(ledger, InstanceState.PURGED, 1)
        archive_history(ledger, folder, keep_seconds=0, now=at(1))
        archive = ledger.archives.of(1)
        assert archive is not None
        path = folder / archive.file
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(LedgerUnavailable, match="is not what was written"):
            archived_history(folder, archive, 1)
        path.unlink()
        with pytest.raises(LedgerUnavailable):
            archived_history(folder, archive, 1)
