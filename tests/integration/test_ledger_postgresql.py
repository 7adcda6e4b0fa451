from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa

from gateway.audit import AuditAction, AuditEntry
from gateway.errors import ConfigurationError, LedgerUnavailable
from gateway.ledger import DeliveryResult, Ledger
from gateway.ledger.audit_trail import verify_trail
from gateway.treatment.receipt_chain import verify_chains
from tests.integration.postgresql import Cluster, postgresql_cluster, postgresql_url  # noqa: F401 - fixtures
from tests.unit.ledger.archive_contract import ArchiveContract
from tests.unit.ledger.build import claim, deidentified, finish, outcome, received, take
from tests.unit.ledger.claims_contract import ClaimsContract
from tests.unit.ledger.contract import LedgerContract
from tests.unit.ledger.corrections_contract import CorrectionsContract
from tests.unit.ledger.crash_contract import CrashContract
from tests.unit.ledger.departure_contract import DepartureContract
from tests.unit.ledger.faces_contract import FacesContract
from tests.unit.ledger.finding_contract import FindingContract
from tests.unit.ledger.holds_contract import HoldsContract
from tests.unit.ledger.keys_contract import KeysContract
from tests.unit.ledger.notices_contract import NoticesContract
from tests.unit.ledger.plans import analyze, fill, full_scans_postgresql, hot, statements
from tests.unit.ledger.processes import claims_survive_a_killed_process, several_may_open_at_once
from tests.unit.ledger.races_contract import RacesContract
from tests.unit.ledger.redo_contract import RedoContract
from tests.unit.ledger.reviews_contract import ReviewsContract
from tests.unit.ledger.sampling_contract import SamplingContract
from tests.unit.ledger.seals_contract import SealsContract
from tests.unit.ledger.versions import differences, pretend_newer


@pytest.fixture(scope="module")
def migrated(postgresql_cluster: Cluster) -> str:  # noqa: F811 - a fixture by its name
    """An empty ledger to copy: the migrations of each test's own would take longer than the test."""
    url = postgresql_cluster.create_database()
    Ledger.open(url).close()
    return url


@pytest.fixture
def ledger(postgresql_cluster: Cluster, migrated: str) -> Iterator[Ledger]:  # noqa: F811
    with Ledger.open(postgresql_cluster.create_database(like=migrated)) as opened:
        yield opened


class TestPostgresql(
    LedgerContract,
    ArchiveContract,
    ClaimsContract,
    CorrectionsContract,
    CrashContract,
    DepartureContract,
    FindingContract,
    FacesContract,
    HoldsContract,
    KeysContract,
    NoticesContract,
    RacesContract,
    RedoContract,
    ReviewsContract,
    SamplingContract,
    SealsContract,
):
    """The contract on PostgreSQL."""


def test_no_hot_statement_walks_what_grows_for_ever(ledger: Ledger) -> None:
    fill(ledger, 3000)
    analyze(ledger)
    with statements(ledger) as seen:
        hot(ledger)
    assert len(seen) > 30
    assert full_scans_postgresql(ledger, seen) == []


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET document = '{}'", "DELETE FROM audit WHERE number = 1", "DELETE FROM audit", "TRUNCATE audit"],
)
def test_the_database_refuses_to_change_the_audit_trail(ledger: Ledger, statement: str) -> None:
    ledger.audit.write(AuditEntry(actor="dpo", action=AuditAction.PROFILE_ACTIVATED, subject="lungs"))
    before = list(ledger.audit.trail())
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), ledger._database.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert list(ledger.audit.trail()) == before


def test_entries_written_at_once_are_one_chain(ledger: Ledger) -> None:
    start = Barrier(4)

    def write(subject: int) -> None:
        start.wait()
        for _ in range(10):
            ledger.audit.write(AuditEntry(actor="dpo", action=AuditAction.PROFILE_ACTIVATED, subject=str(subject)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(list(ledger.audit.trail())) == 40
    assert list(verify_trail(ledger.audit.trail(), ledger.audit.end())) == []


def test_the_plan_check_finds_a_full_scan(ledger: Ledger) -> None:
    assert full_scans_postgresql(ledger, {"SELECT id FROM instances WHERE source = %(x)s": {"x": "x"}}) != []


def test_p2_claims_survive_a_killed_process(postgresql_url: str, tmp_path: Path) -> None:  # noqa: F811
    claims_survive_a_killed_process(postgresql_url, tmp_path)


def test_p12_several_processes_may_migrate_at_once(postgresql_url: str) -> None:  # noqa: F811
    several_may_open_at_once(postgresql_url)


def test_deliverers_at_once_take_different_studies_and_no_delivery_twice(ledger: Ledger) -> None:
    ledger.instances.record([received(number) for number in range(800)])
    finish(ledger, *(deidentified(each.instance_id, study=f"2.25.{each.instance_id % 16}") for each in claim(ledger)))
    owners = [f"deliverer-{number}" for number in range(8)]
    start = Barrier(len(owners))

    def work(owner: str) -> list[int]:
        start.wait()
        taken: list[int] = []
        while batch := take(ledger, owner=owner, seconds=1, max_count=7):
            assert len({each.study_uid for each in batch}) == 1
            taken += [each.delivery_id for each in batch]
            ledger.deliveries.record(owner, [outcome(each.delivery_id) for each in batch])
        return taken

    with ThreadPoolExecutor(len(owners)) as pool:
        taken = [number for batch in pool.map(work, owners) for number in batch]
    assert len(set(taken)) == len(taken)
    # Who finds every study locked goes away empty-handed and comes again; so does this thread.
    taken += work_off(ledger)
    assert sorted(taken) == [each.delivery_id for each in ledger.deliveries.entries(limit=1000)]
    assert ledger.accounts.draw().balanced


def work_off(ledger: Ledger) -> list[int]:
    taken = []
    while batch := take(ledger, seconds=2):
        taken += [each.delivery_id for each in batch]
        ledger.deliveries.record("deliverer", [outcome(each.delivery_id) for each in batch])
    return taken


def test_the_schema_is_what_the_code_expects(ledger: Ledger) -> None:
    assert differences(ledger) == []


def test_p12_a_newer_schema_is_refused(postgresql_url: str) -> None:  # noqa: F811
    with Ledger.open(postgresql_url) as ledger:
        pretend_newer(ledger)
    with pytest.raises(ConfigurationError, match="version 9999"):
        Ledger.open(postgresql_url)


def test_an_unreachable_server_is_unavailable_and_its_password_stays_secret(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable) as caught:
        Ledger.open(f"postgresql://gateway:hunter2@/ledger?host={tmp_path}")
    assert "hunter2" not in str(caught.value)


def test_a_restarted_server_is_found_again(ledger: Ledger) -> None:
    ledger.instances.record([received(1)])
    killer = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    other = sa.create_engine(ledger._database.engine.url)
    with other.connect() as connection:
        assert list(connection.scalars(killer)) == [True]
    other.dispose()
    assert len(ledger.instances.record([received(2)])) == 1


def test_receipts_of_deliverers_at_once_form_one_chain(ledger: Ledger) -> None:
    ledger.instances.record([received(number) for number in range(200)])
    finish(ledger, *(deidentified(each.instance_id, study=f"2.25.{each.instance_id % 16}") for each in claim(ledger)))
    owners = [f"deliverer-{number}" for number in range(4)]
    start = Barrier(len(owners))

    def work(owner: str) -> None:
        start.wait()
        while taken := take(ledger, owner=owner, max_count=5):
            results = [
                DeliveryResult(delivery_id=each.delivery_id, state="confirmed", receipt={"project": "lungs"})
                for each in taken
            ]
            assert ledger.deliveries.record(owner, results).lost == ()

    with ThreadPoolExecutor(len(owners)) as pool:
        list(pool.map(work, owners))
    (end,) = ledger.receipts.chains()
    assert end.number == 200
    assert list(verify_chains(ledger.receipts.read(), [end])) == []
    assert ledger.accounts.draw().balanced
