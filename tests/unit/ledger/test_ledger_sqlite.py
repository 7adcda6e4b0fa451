from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import sqlalchemy as sa

from gateway.errors import ConfigurationError, LedgerUnavailable
from gateway.ledger import Ledger
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.archive_contract import ArchiveContract
from tests.unit.ledger.build import received
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
from tests.unit.ledger.plans import analyze, fill, full_scans_sqlite, hot, statements
from tests.unit.ledger.races_contract import RacesContract
from tests.unit.ledger.redo_contract import RedoContract
from tests.unit.ledger.reviews_contract import ReviewsContract
from tests.unit.ledger.sampling_contract import SamplingContract
from tests.unit.ledger.seals_contract import SealsContract


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path / "ledger.sqlite3") as opened:
        yield opened


class TestSqlite(
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
    """The contract on SQLite."""


@pytest.mark.parametrize("analyzed", [False, True])
def test_no_hot_statement_walks_what_grows_for_ever(ledger: Ledger, analyzed: bool) -> None:
    fill(ledger, 2000)
    if analyzed:
        analyze(ledger)
    with statements(ledger) as seen:
        hot(ledger)
    assert len(seen) > 30
    assert full_scans_sqlite(ledger, seen) == []


def test_the_plan_check_finds_a_full_scan(ledger: Ledger) -> None:
    assert full_scans_sqlite(ledger, {"SELECT id FROM instances WHERE source = ?": ("x",)}) != []


@pytest.mark.parametrize(("choice", "level"), [("normal", 1), ("full", 2)])
def test_every_connection_is_set_up(tmp_path: Path, choice: Literal["normal", "full"], level: int) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3", synchronous=choice) as ledger:
        expected = {"journal_mode": "wal", "synchronous": level, "foreign_keys": 1, "busy_timeout": 30_000}
        reader = ledger._database.engine.execution_options(ledger_writes=False)
        with reader.connect() as first, reader.connect() as second:
            for connection in (first, second):
                found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in expected}
                assert found == expected


def test_p9_its_files_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "made" / "for it"
    with Ledger.open(f"sqlite:///{directory}/ledger.sqlite3") as ledger:
        ledger.instances.record([received(1)])
        files = sorted(directory.iterdir())
        assert [path.name.removeprefix("ledger.sqlite3") for path in files] == ["", "-shm", "-wal"]
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
        assert directory.stat().st_mode & 0o777 == 0o700


def test_p9_a_file_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    Ledger.open(f"sqlite:///{path}").close()
    path.chmod(0o644)
    Ledger.open(f"sqlite:///{path}").close()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "url",
    [
        "not a url",
        "mysql://user:hunter2@host/ledger",
        "sqlite://",  # in memory: nothing would be durable
        "sqlite:///:memory:",
        "sqlite:////tmp/x.sqlite3?mode=ro",
    ],
)
def test_an_unusable_url_is_a_configuration_error_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Ledger.open(url)
    assert "storage.ledger" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"this is no database at all, but long enough to look at" * 20, b"SQLite format 3\0"]
)
def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(content)
    with pytest.raises(LedgerUnavailable):
        Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3")


def test_a_place_where_nothing_can_be_created_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnavailable):
        Ledger.open(f"sqlite:///{tmp_path}/file/ledger.sqlite3")


def test_a_full_disk_is_unavailable_and_nothing_is_recorded(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3") as ledger:
        pages = 0

        @sa.event.listens_for(ledger._database.engine, "begin")
        def limit(connection: sa.Connection) -> None:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        ledger.instances.record([received(1)])
        with ledger._database.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        with pytest.raises(LedgerUnavailable, match="SQLITE_FULL"):
            ledger.instances.record([received(number) for number in range(2, 900)])
        pages = 10_000
        assert len(list(ledger.instances.known_spool_names())) == 1
        assert len(ledger.instances.record([received(number) for number in range(2, 900)])) == 898


def test_a_ledger_is_not_used_across_a_fork(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(LedgerUnavailable, match="another process"):
        ledger.figures.status()


@pytest.mark.parametrize(
    "is_there",
    [
        False,  # the link was laid before the first start
        True,
    ],
)
def test_p5_a_link_leads_to_the_disk_where_the_file_is(tmp_path: Path, *, is_there: bool) -> None:
    disk, link = tmp_path / "disk", tmp_path / "ledger.sqlite3"
    path = disk / "books.sqlite3"
    if is_there:
        disk.mkdir()
        new_ledger(path).close()
    link.symlink_to(path)
    with Ledger.open(f"sqlite:///{link}") as opened:
        assert opened.directory == disk
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_that_leads_to_itself_is_no_ledger(tmp_path: Path) -> None:
    link = tmp_path / "ledger.sqlite3"
    link.symlink_to(link)
    with pytest.raises(LedgerUnavailable):
        Ledger.open(f"sqlite:///{link}")
