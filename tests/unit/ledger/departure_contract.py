"""Whole instances of long ago leave: the account balances, chains hold, a study is still found. On any database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.custody.history_archive import archive_history, archive_instances, archived_history, departed_history
from gateway.errors import LedgerUnavailable
from gateway.ledger import InstanceState, Ledger, Selection, StudyFilter
from gateway.ledger.audit_trail import verify_trail
from gateway.treatment.receipt_chain import verify_chains
from tests.unit.ledger.build import START, at, bring, claim, deidentified, finish, outcome, received, rejected, take
from tests.unit.ledger.finding_contract import known
from tests.unit.ledger.seals_contract import delivered, run


class DepartureContract:
    """Every test takes the fixture ``ledger``: an open, empty ledger."""

    def test_p3_the_account_is_the_same_after_they_left(self, ledger: Ledger, tmp_path: Path) -> None:
        folder = tmp_path / "history"
        delivered(ledger, 4)
        ledger.retention.purge(at(5), 3, now=at(10))
        waiting = bring(ledger, InstanceState.HELD, 5)
        out = bring(ledger, InstanceState.REJECTED, 6)
        ledger.retention.purge(at(1), 1, now=at(10))
        bring(ledger, InstanceState.DELIVERED, 7)
        before, history = ledger.accounts.draw(), ledger.history.of(1)
        receipts = list(ledger.receipts.read())
        assert before.problems == ()
        # Of some the history has gone before.
        assert archive_history(ledger, folder, keep_seconds=0, now=at(11)) == 4
        assert archive_instances(ledger, folder, keep_seconds=60, now=at(60)) == 0
        assert archive_instances(ledger, folder, keep_seconds=60, now=at(71)) == 4
        assert archive_instances(ledger, folder, keep_seconds=60, now=at(99)) == 0
        assert ledger.accounts.draw() == before
        # The rows are gone, and what is not purged is here.
        assert {(one.state.value, one.count) for one in ledger.figures.status().instances} == {
            ("held", 1),
            ("delivered", 2),
        }
        assert ledger.history.of(waiting)
        assert ledger.history.of(1) == ledger.history.of(out) == []
        assert ledger.departures.archives_of(waiting) == ledger.departures.archives_of(99) == []
        assert departed_history(folder, ledger, 1) == history
        # Receipts stay: they are the chain.
        assert list(ledger.receipts.read()) == receipts
        assert list(verify_chains(receipts, ledger.receipts.chains())) == []
        assert list(verify_trail(ledger.audit.trail(), ledger.audit.end())) == []
        assert [one.text("action") for one in ledger.audit.trail()] == ["history-archived", "instances-archived"]
        # What is alike is added to what left before.
        ledger.retention.purge(at(5), 9, now=at(100))
        before = ledger.accounts.draw()
        assert archive_instances(ledger, folder, keep_seconds=0, now=at(200)) == 1
        assert ledger.accounts.draw() == before
        assert departed_history(folder, ledger, 4)
        assert sorted(path.name for path in folder.iterdir()) == [
            "history-00000001.jsonl.gz", "instances-00000002.jsonl.gz", "instances-00000003.jsonl.gz",
        ]  # fmt: skip

    def test_p3_a_delivery_that_is_taken_away_besides_is_noticed(self, ledger: Ledger, tmp_path: Path) -> None:
        delivered(ledger, 3)
        ledger.retention.purge(at(5), 2, now=at(10))
        archive_instances(ledger, tmp_path, keep_seconds=0, now=at(11))
        assert ledger.accounts.draw().problems == ()
        run(ledger, "DELETE FROM history", "DELETE FROM deliveries")
        assert "project lungs: 3 receipts are of deliveries that are not in the ledger, but 2 of them left for an" in (
            " ".join(ledger.accounts.draw().problems)
        )

    def test_p14_a_study_that_left_is_found(self, ledger: Ledger, tmp_path: Path) -> None:
        ledger.instances.record(
            [received(n, known_by=known("a", n)) for n in (1, 2)] + [received(3, known_by=known("b", 3))], now=at(0)
        )
        claim(ledger)
        finish(
            ledger,
            deidentified(1, study="2.25.10"),
            deidentified(2, study="2.25.10"),
            rejected(3),
        )
        results = [outcome(one.delivery_id) for one in take(ledger)]
        ledger.deliveries.record("deliverer", results, now=at(5))
        # The newest stays.
        bring(ledger, InstanceState.DELIVERED, 4, study="2.25.11", patient_id="SUBJECT-4")
        # The rejected one, and one of the two.
        ledger.retention.purge(at(9), 2, now=at(10))
        archive_instances(ledger, tmp_path, keep_seconds=0, now=at(11))
        assert len(ledger.retention.purge(at(9), 5, now=at(12))) == 2
        before = [ledger.studies.find({"accession": [f"accession-{study}"]}) for study in "ab"]
        archive_instances(ledger, tmp_path, keep_seconds=0, now=at(13))
        after = [ledger.studies.find({"accession": [f"accession-{study}"]}) for study in "ab"]
        for (matched, (was,)), (still, (is_now,)) in zip(before, after, strict=True):
            assert still == matched
            facts = ("number", "received", "study_uids", "patient_ids", "first_received", "last_received", "last_event")
            assert [getattr(is_now, name) for name in facts] == [getattr(was, name) for name in facts]
            assert is_now.arrived() == was.arrived()
            assert is_now.codes(InstanceState.REJECTED) == was.codes(InstanceState.REJECTED)
        reports = [report for _, (report,) in after]
        assert [report.left for report in reports] == [
            {"instances-00000002.jsonl.gz": 2}, {"instances-00000001.jsonl.gz": 1},
        ]  # fmt: skip
        # By what the gateway named it, where it came from, and in the list, too; by a single instance no more.
        assert ledger.studies.report_on(Selection(study_uid="2.25.10")) == ledger.studies.report_on(
            Selection(patient_id="SUBJECT-1")
        )
        assert ledger.studies.report_on(Selection(study_uid="2.25.10")) == [reports[0]]
        assert len(ledger.studies.report_on(Selection(source="ct-scanner", since=at(0), destination="archive"))) == 2
        assert (
            ledger.studies.report_on(Selection(since=at(50)))
            == ledger.studies.report_on(Selection(sop_uid="2.25.91"))
            == []
        )
        assert {one.number for one in ledger.studies.reports(StudyFilter(), limit=9)} >= {reports[1].number, 1}
        assert ledger.studies.find({"instance": [1]}) == ({}, [])

    def test_p6_a_copy_of_what_left_is_treated_anew(self, ledger: Ledger, tmp_path: Path) -> None:
        bring(ledger, InstanceState.PURGED, 1)
        bring(ledger, InstanceState.DELIVERED, 9)
        archive_instances(ledger, tmp_path, keep_seconds=0, now=at(1))
        ledger.instances.record([received(2)], now=START)
        (claimed,) = claim(ledger)
        (done,) = finish(ledger, deidentified(claimed.instance_id, sop_key="sop-1"))
        assert done.duplicate_of is None
        assert ledger.accounts.draw().problems == ()

    def test_what_a_row_speaks_of_stays_with_it(self, ledger: Ledger, tmp_path: Path) -> None:
        first = bring(ledger, InstanceState.PURGED, 1)
        # Another version of it; and a copy, which came later and is kept longer.
        newer = bring(ledger, InstanceState.PURGED, 2, sop_key="sop-1", content_key="content-2")
        ledger.instances.record([received(3)], now=START)
        (copy,) = claim(ledger)
        (done,) = finish(ledger, deidentified(copy.instance_id, sop_key="sop-1"))
        assert done.duplicate_of == first
        assert archive_instances(ledger, tmp_path, keep_seconds=0, now=at(1)) == 0
        ledger.retention.purge(at(9), 9, now=at(30))
        bring(ledger, InstanceState.DELIVERED, 9)
        assert archive_instances(ledger, tmp_path, keep_seconds=25, now=at(50)) == 0
        assert ledger.history.of(newer)
        # All at once.
        before = ledger.accounts.draw()
        assert archive_instances(ledger, tmp_path, keep_seconds=0, now=at(50)) == 3
        assert ledger.accounts.draw() == before
        assert before.problems == ()

    def test_those_that_stay_keep_nobody_behind_them(self, ledger: Ledger) -> None:
        bring(ledger, InstanceState.PURGED, 1)
        bring(ledger, InstanceState.PURGED, 2)
        ledger.instances.record([received(3)], now=START)
        (copy,) = claim(ledger)
        finish(ledger, deidentified(copy.instance_id, sop_key="sop-1"))
        bring(ledger, InstanceState.DELIVERED, 9)
        written: list[int] = []

        def write(number: int, documents: object) -> object:
            written.append(number)
            raise LedgerUnavailable(operation="x", reason="y")

        step = ledger.departures.depart(at(9), 1, write, now=at(9))  # type: ignore[arg-type]
        assert (step.count, step.until is not None, written) == (0, True, [])
        with pytest.raises(LedgerUnavailable):
            ledger.departures.depart(at(9), 1, write, after=step.until, now=at(9))  # type: ignore[arg-type]
        # What could not be written is here.
        assert ledger.history.of(2)
        assert ledger.accounts.draw().problems == ()

    def test_whose_a_study_is_is_remembered(self, ledger: Ledger, tmp_path: Path) -> None:
        claims = (("study", "study-token", "patient-1"),)
        bring(ledger, InstanceState.PURGED, 1, identities=claims)  # type: ignore[arg-type]
        ledger.instances.record([received(2)], now=START)
        (second,) = claim(ledger)
        finish(ledger, rejected(second.instance_id))
        ledger.retention.purge(at(1), 9, now=START)
        archive_instances(ledger, tmp_path, keep_seconds=0, now=at(1))
        ledger.instances.record([received(3)], now=START)
        (third,) = claim(ledger)
        (done,) = finish(
            ledger, deidentified(third.instance_id, identities=(("study", "study-token", "patient-2"),))
        )  # fmt: skip
        assert done.state is InstanceState.HELD

    def test_no_number_is_given_twice(self, ledger: Ledger, tmp_path: Path) -> None:
        """Receipts and history name instances and deliveries by their numbers."""
        delivered(ledger, 3)
        rejected_last = bring(ledger, InstanceState.REJECTED, 4)
        ledger.retention.purge(at(5), 9, now=at(10))
        # Everything that is there is of long ago.
        assert archive_instances(ledger, tmp_path, keep_seconds=0, now=at(11)) == 2
        assert ledger.departures.archives_of(3) == ledger.departures.archives_of(rejected_last) == []
        taken = {one.delivery_id for one in ledger.receipts.read()}
        (new,) = ledger.instances.record([received(5)], now=at(12))
        assert new > rejected_last
        (claimed,) = claim(ledger)
        finish(ledger, deidentified(claimed.instance_id, sop_key="sop-5"))
        (sent,) = take(ledger)
        assert sent.delivery_id not in taken
        ledger.deliveries.record("deliverer", [outcome(sent.delivery_id)], now=at(13))
        assert ledger.accounts.draw().problems == ()

    def test_a_file_of_instances_that_was_changed_is_not_believed(self, ledger: Ledger, tmp_path: Path) -> None:
        bring(ledger, InstanceState.PURGED, 1)
        bring(ledger, InstanceState.DELIVERED, 2)
        archive_history(ledger, tmp_path, keep_seconds=0, now=at(1))
        archive_instances(ledger, tmp_path, keep_seconds=0, now=at(1) + timedelta(seconds=1))
        (archive,) = ledger.departures.archives_of(1)
        assert archived_history(tmp_path, archive, 1) == []  # it is in the file before
        assert len(departed_history(tmp_path, ledger, 1)) == 6
        path = tmp_path / archive.file
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(LedgerUnavailable, match="is not what was written"):
            departed_history(tmp_path, ledger, 1)
