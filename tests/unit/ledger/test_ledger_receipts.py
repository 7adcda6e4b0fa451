"""Receipts in the ledger: chained, complete, and their absence or change is found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.ledger import DeliveryResult, InstanceState, Ledger, Whole
from gateway.treatment.receipt_chain import compare_export, read_export, verify_chains
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.build import START, at, bring, claim, deidentified, finish, one, received, take


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path / "ledger.sqlite3") as opened:
        yield opened


def confirm(ledger: Ledger, count: int, *, project: str = "lungs") -> None:
    """Deliver ``count`` instances of a project, each with a receipt."""
    first = sum(row.received for row in ledger.accounts.draw().projects) + 1
    ledger.instances.record([received(first + number) for number in range(count)], now=START)
    finish(ledger, *(deidentified(each.instance_id, project=project) for each in claim(ledger)))
    taken = take(ledger)
    assert len(taken) == count
    results = [
        DeliveryResult(
            delivery_id=each.delivery_id,
            state="confirmed",
            code="stored",
            receipt={"project": project, "instance": each.instance_id, "delivery": each.delivery_id},
        )
        for each in taken
    ]
    ledger.deliveries.record("deliverer", results, now=START)


def problems(ledger: Ledger) -> list[tuple[int, str]]:
    return [(flaw.number, flaw.problem) for flaw in verify_chains(ledger.receipts.read(), ledger.receipts.chains())]


def test_receipts_form_a_chain_for_each_project(ledger: Ledger) -> None:
    confirm(ledger, 3)
    confirm(ledger, 2, project="bones")
    confirm(ledger, 1)
    found = list(ledger.receipts.read())
    expected = [("bones", 1), ("bones", 2), *(("lungs", number) for number in (1, 2, 3, 4))]
    assert [(one.project, one.number) for one in found] == expected
    for before, after in pairwise(found):
        if before.project == after.project:
            assert json.loads(after.document)["previous"] == before.digest
    assert [(end.project, end.number) for end in ledger.receipts.chains()] == [("bones", 2), ("lungs", 4)]
    assert problems(ledger) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # a value in a document
        ("UPDATE receipts SET document = replace(document, '\"instance\":2', '\"instance\":9') WHERE number = 2",
         {(2, "was changed: its digest is another")}),
        # and its digest made to fit: the next one names another
        ("UPDATE receipts SET digest = 'd' WHERE number = 2",
         {(2, "was changed: its digest is another"), (3, "names another receipt before it than is there")}),
        # one taken out of the middle
        ("DELETE FROM receipts WHERE number = 2", {(3, "follows receipt 1: those between are missing")}),
        # the first
        ("DELETE FROM receipts WHERE number = 1", {(2, "follows receipt 0: those between are missing")}),
        # the last
        ("DELETE FROM receipts WHERE number = 3", {(3, "1 receipts are missing at the end of the chain")}),
        # all of them
        ("DELETE FROM receipts", {(3, "3 receipts are missing at the end of the chain")}),
        # the last, and the end set back without its digest
        ("DELETE FROM receipts WHERE number = 3; UPDATE receipt_chains SET number = 2",
         {(2, "is not the receipt that the end of the chain names")}),
        # the end of the chain put forward
        ("UPDATE receipt_chains SET number = 2", {(3, "there are more receipts than the end of the chain knows of")}),
        # moved to another project
        ("UPDATE receipts SET project = 'bones', number = 1 WHERE number = 3",
         {(1, "stands in another place than it says"), (1, "names another receipt before it than is there"),
          (3, "1 receipts are missing at the end of the chain"), (1, "the end of the chain is missing")}),
    ],
)  # fmt: skip
def test_what_was_done_to_receipts_is_found(ledger: Ledger, change: str, expected: set[tuple[int, str]]) -> None:
    confirm(ledger, 3)
    with ledger._database.engine.begin() as connection:
        for statement in change.split("; "):
            connection.exec_driver_sql(statement)
    assert set(problems(ledger)) == expected


def test_a_chain_made_anew_is_found_with_an_export(ledger: Ledger, tmp_path: Path) -> None:
    confirm(ledger, 3)
    lines = [one.document for one in ledger.receipts.read()]
    assert list(compare_export(read_export(lines), ledger.receipts.read())) == []
    with new_ledger(tmp_path / "forged.sqlite3") as forged:
        confirm(forged, 1)
        confirm(forged, 1, project="bones")
        confirm(forged, 1)
        assert problems(forged) == []
        found = [(flaw.number, flaw.problem) for flaw in compare_export(read_export(lines), forged.receipts.read())]
    assert found == [(2, "was exported with another content"), (3, "was exported and is missing")]


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"project": "a", "number": "1", "delivery": 2}', "no json"])
def test_an_export_is_of_receipts_only(line: str) -> None:
    with pytest.raises(ValueError, match="line 1 is no receipt"):
        list(read_export([line]))


def test_a_lost_lease_leaves_no_receipt(ledger: Ledger) -> None:
    bring(ledger, InstanceState.DEIDENTIFIED)
    (taken,) = take(ledger)
    ledger.deliveries.release("deliverer", now=START)
    result = DeliveryResult(delivery_id=taken.delivery_id, state="confirmed", receipt={"project": "lungs"})
    assert ledger.deliveries.record("deliverer", [result], now=START).lost == (taken.delivery_id,)
    assert list(ledger.receipts.read()) == []


def test_only_a_confirmation_has_a_receipt() -> None:
    with pytest.raises(ValueError, match="confirmed"):
        DeliveryResult(delivery_id=1, state="dead", receipt={"project": "lungs"})


def test_a_claim_has_what_its_receipt_says_of_the_output(ledger: Ledger) -> None:
    bring(ledger, InstanceState.DEIDENTIFIED)
    (found,) = take(ledger)
    assert (found.project, found.profile, found.content_key) == ("lungs", "basic", "content-1")
    assert found.actions == {"remove": 12, "hash-uid": 5}


# Whole studies and priorities ----------------------------------------------------------------------------------------


def whole(ledger: Ledger, seconds: float, *, quiet: float = 60, expected: int | None = None) -> int:
    taken = ledger.deliveries.claim(
        "archive", "deliverer", max_count=1000, max_bytes=1 << 40, lease_seconds=9999,
        whole=Whole(quiet_seconds=quiet, expected=expected), now=at(seconds),
    )  # fmt: skip
    return sum(len(batch) for batch in taken)


def arrive(ledger: Ledger, number: int, seconds: float) -> int:
    """An instance that is received and claimed by a worker at a moment."""
    ledger.instances.record([replace(received(number), received_at=at(seconds))], now=at(seconds))
    (claimed,) = claim(ledger, seconds=seconds)
    return claimed.instance_id


def done(ledger: Ledger, instance_id: int, seconds: float, **changes: object) -> None:
    ledger.instances.finish("worker", [deidentified(instance_id, **changes)], now=at(seconds))  # type: ignore[arg-type]


def test_a_study_is_whole_after_a_quiet_time(ledger: Ledger) -> None:
    done(ledger, arrive(ledger, 1, 0), 1)
    assert whole(ledger, 30) == 0
    done(ledger, arrive(ledger, 2, 50), 51)
    assert whole(ledger, 61) == 0  # quiet since 50 only
    assert whole(ledger, 109) == 0
    assert whole(ledger, 110) == 2


def test_quiet_is_told_by_reception_not_by_the_workers(ledger: Ledger) -> None:
    done(ledger, arrive(ledger, 1, 0), 1)
    slow = arrive(ledger, 2, 10)
    assert whole(ledger, 65) == 0  # what a worker has may be of this study
    done(ledger, slow, 66)
    assert whole(ledger, 69) == 0
    assert whole(ledger, 70) == 2


def test_what_came_after_the_quiet_time_does_not_matter(ledger: Ledger) -> None:
    done(ledger, arrive(ledger, 1, 0), 1)
    arrive(ledger, 2, 61)
    assert whole(ledger, 62) == 1


def test_a_study_with_all_that_was_expected_is_whole_at_once(ledger: Ledger) -> None:
    done(ledger, arrive(ledger, 1, 0), 0)
    assert whole(ledger, 1, expected=2) == 0
    done(ledger, arrive(ledger, 2, 1), 1)
    assert whole(ledger, 2, expected=2) == 2
    # What comes later belongs to a study that is whole.
    done(ledger, arrive(ledger, 3, 3), 3)
    assert whole(ledger, 4, expected=2) == 1


def test_a_study_with_less_than_was_expected_goes_after_the_quiet_time(ledger: Ledger) -> None:
    done(ledger, arrive(ledger, 1, 0), 0)
    assert whole(ledger, 59, expected=2) == 0
    assert whole(ledger, 60, expected=2) == 1


def test_another_study_is_not_kept_waiting(ledger: Ledger) -> None:
    done(ledger, arrive(ledger, 1, 0), 0, study="2.25.1")
    done(ledger, arrive(ledger, 2, 50), 50, study="2.25.2")
    assert whole(ledger, 61) == 1
    assert whole(ledger, 61) == 0
    assert whole(ledger, 110) == 1


def test_studies_of_a_higher_priority_go_first(ledger: Ledger) -> None:
    for number, (study, priority) in enumerate([("2.25.1", 0), ("2.25.2", 5), ("2.25.3", 9), ("2.25.4", 5)], 1):
        done(ledger, one(ledger, number), number, study=study, priority=priority)
    order = [take(ledger, seconds=10)[0].study_uid for _ in range(4)]
    assert order == ["2.25.3", "2.25.2", "2.25.4", "2.25.1"]


@pytest.mark.parametrize("together", [False, True])
def test_a_study_that_waits_takes_the_highest_priority_of_its_instances(ledger: Ledger, together: bool) -> None:
    """Another instance of it may be urgent; one that is not makes it no less so."""
    done(ledger, one(ledger, 1), 1, study="2.25.1")
    urgent = [
        deidentified(one(ledger, number), study="2.25.2", priority=priority)
        for number, priority in ((2, 0), (3, 9), (4, 0))
    ]
    for results in [urgent] if together else [[result] for result in urgent]:
        ledger.instances.finish("worker", results, now=at(2))
    done(ledger, one(ledger, 5), 2, study="2.25.3", priority=5)
    order = [take(ledger, seconds=10)[0].study_uid for _ in range(3)]
    assert order == ["2.25.2", "2.25.3", "2.25.1"]


def test_a_failing_study_of_high_priority_does_not_block(ledger: Ledger) -> None:
    done(ledger, one(ledger, 1), 0, study="2.25.1", priority=9)
    done(ledger, one(ledger, 2), 0, study="2.25.2")
    (failing,) = take(ledger, seconds=1)
    result = DeliveryResult(delivery_id=failing.delivery_id, state="failed", next_attempt_at=at(100))
    ledger.deliveries.record("deliverer", [result], now=at(1))
    assert [each.study_uid for each in take(ledger, seconds=2)] == ["2.25.2"]
    assert [each.study_uid for each in take(ledger, seconds=100)] == ["2.25.1"]


def test_asking_is_no_attempt(ledger: Ledger) -> None:
    bring(ledger, InstanceState.DEIDENTIFIED)
    attempts: list[int] = []
    for second, state in enumerate(["failed", "sent", "sent", "sent", "failed", "sent"]):
        (taken,) = take(ledger, seconds=second)
        attempts.append(taken.attempts)
        result = DeliveryResult(delivery_id=taken.delivery_id, state=state, next_attempt_at=at(second + 1))  # type: ignore[arg-type]
        ledger.deliveries.record("deliverer", [result], now=at(second))
    assert attempts == [1, 2, 2, 2, 2, 3]
    # What is given back unasked does not count either way.
    take(ledger, seconds=10)
    ledger.deliveries.release("deliverer", now=at(10))
    assert ledger.deliveries.entries()[0].attempts == 3


#: Tables of versions after that of the receipts, which the migrations make.
LATER = (
    "face_masks",
    "face_series",
    "originals",
    "chain_seals",
    "archives",
    "archived_history",
    "departed_deliveries",
    "aliases",
    "departed",
    "labels",
    "identities",
    "holds",
    "viewings",
    "series_reviews",
    "sampled",
    "text_series",
    "word_sightings",
    "site_words",
)
LATER_INDEXES = (
    "instances_without_bytes",
    "instances_duplicates",
    "outputs_replacing",
    "instances_unarchived",
    "instances_without_tokens",
    "instances_token",
    "instances_association",
    "instances_original",
    "outputs_study",
    "outputs_patient",
)
LATER_COLUMNS = ("original_id", "instance_token", "association", "archived_in")


def test_p12_a_queue_survives_the_migration(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    with Ledger.open(url) as ledger:
        bring(ledger, InstanceState.DEIDENTIFIED, 1)
        with ledger._database.engine.begin() as connection:
            # As the schema before receipts left it.
            for statement in (
                *(f"DROP TABLE {name}" for name in LATER),
                *(f"DROP INDEX {name}" for name in LATER_INDEXES),
                *(f"ALTER TABLE instances DROP COLUMN {name}" for name in LATER_COLUMNS),
                "DROP TABLE reviews", "DROP TABLE crosswalk", "DROP TABLE project_keys", "DROP TABLE audit",
                "DROP TABLE audit_chain",
                "DROP TABLE receipts", "DROP TABLE receipt_chains", "DROP TABLE turns", "DROP INDEX deliveries_study",
                "CREATE TABLE turns (destination TEXT, study_uid TEXT, turn_at BIGINT)",
                "CREATE INDEX turns_next ON turns (destination, turn_at)",
                "UPDATE alembic_version SET version_num = '0002'",
            ):  # fmt: skip
                connection.execute(sa.text(statement))
    with Ledger.open(url) as ledger:
        assert len(take(ledger, seconds=1)) == 1
        assert ledger.accounts.draw().balanced
