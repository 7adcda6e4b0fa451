"""The audit trail: written with what it tells of, chained, and kept by the database itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.audit import AuditAction, AuditEntry, acting_person
from gateway.errors import LedgerUnavailable
from gateway.ledger import DeliveryResult, InstanceState, Ledger
from gateway.ledger.audit_trail import AuditRecord, append, compare_trail, read_trail, verify_trail
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.build import START, bring, take


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path / "ledger.sqlite3") as opened:
        yield opened


def entry(subject: str = "lungs", **changes: object) -> AuditEntry:
    values: dict[str, object] = {"actor": "dpo", "action": AuditAction.PROFILE_ACTIVATED, "subject": subject}
    return AuditEntry(**(values | changes))  # type: ignore[arg-type]


def write(ledger: Ledger, count: int) -> None:
    for number in range(count):
        ledger.audit.write(entry(f"project-{number}"), now=START)


def problems(ledger: Ledger) -> set[tuple[int, str]]:
    return {(flaw.number, flaw.problem) for flaw in verify_trail(ledger.audit.trail(), ledger.audit.end())}


def change(ledger: Ledger, *statements: str) -> None:
    """What somebody does who may write to the database and takes its protection away first."""
    with ledger._database.engine.begin() as connection:
        for statement in (
            "DROP TRIGGER audit_keeps_rows",
            "DROP TRIGGER audit_keeps_values",
            "DROP TRIGGER audit_keeps_places",
            *statements,
        ):
            connection.exec_driver_sql(statement)


def test_an_entry_is_kept_as_it_was_written(ledger: Ledger) -> None:
    facts = {"digest": "d" * 64, "count": 3, "boxes": ("0,0,10,20", "5,5,1,1")}
    number = ledger.audit.write(entry(because="DPO decision 14", facts=facts), now=START)
    (found,) = ledger.audit.trail()
    assert number == found.number == 1
    assert json.loads(found.document) == {
        "form": 1,
        "at": "2026-01-01T12:00:00.000+00:00",
        "actor": "dpo",
        "action": "profile-activated",
        "subject": "lungs",
        "because": "DPO decision 14",
        "facts": {"digest": "d" * 64, "count": 3, "boxes": ["0,0,10,20", "5,5,1,1"]},
        "number": 1,
        "previous": "",
    }
    assert (found.text("because"), found.facts["boxes"]) == ("DPO decision 14", "0,0,10,20, 5,5,1,1")


def test_what_a_terminal_would_obey_is_not_kept(ledger: Ledger) -> None:
    ledger.audit.write(entry(subject="a\x1b[2Jb", because="c\x00d"))
    (found,) = ledger.audit.trail()
    assert (found.text("subject"), found.text("because")) == ("a\ufffd[2Jb", "c\ufffdd")


@pytest.mark.parametrize("changes", [{"actor": ""}, {"because": "x" * 1001}])
def test_an_entry_names_who_and_is_short(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"who acts|at most 1000"):
        entry(**changes)


def test_entries_are_read_from_either_end(ledger: Ledger) -> None:
    assert (list(ledger.audit.trail()), list(ledger.audit.trail(newest=5)), ledger.audit.end()) == ([], [], None)
    write(ledger, 5)
    assert [one.number for one in ledger.audit.trail(after=3)] == [4, 5]
    assert [one.number for one in ledger.audit.trail(newest=2)] == [4, 5]
    assert [one.number for one in ledger.audit.trail(newest=9)] == [1, 2, 3, 4, 5]
    assert problems(ledger) == set()


def test_pages(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ledger.audit_trail._AT_ONCE", 2)
    write(ledger, 5)
    assert [one.number for one in ledger.audit.trail()] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET document = '{}' WHERE number = 1",
        "DELETE FROM audit WHERE number = 1",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit VALUES (1, 'd', '{}')",
    ],
)
def test_the_database_refuses_to_change_the_trail(ledger: Ledger, statement: str) -> None:
    write(ledger, 2)
    before = list(ledger.audit.trail())
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), ledger._database.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert list(ledger.audit.trail()) == before


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        # a value in a document
        ("UPDATE audit SET document = replace(document, 'project-1', 'project-9') WHERE number = 2",
         {(2, "was changed: its digest is another")}),
        # one out of the middle
        ("DELETE FROM audit WHERE number = 2", {(3, "follows entry 1: those between are missing")}),
        # the last
        ("DELETE FROM audit WHERE number = 3", {(3, "1 entries are missing at the end of the chain")}),
        # all of them
        ("DELETE FROM audit", {(3, "3 entries are missing at the end of the chain")}),
        # the end
        ("DELETE FROM audit_chain", {(3, "the end of the chain is missing")}),
        # one more, as if it had always been there
        ("INSERT INTO audit SELECT 4, digest, document FROM audit WHERE number = 3",
         {(4, "stands in another place than it says"), (4, "names another entry before it than is there"),
          (4, "there are more entries than the end of the chain knows of")}),
    ],
)  # fmt: skip
def test_a_change_past_the_database_is_found(ledger: Ledger, statement: str, expected: set[tuple[int, str]]) -> None:
    write(ledger, 3)
    change(ledger, statement)
    assert problems(ledger) == expected


def test_a_trail_made_anew_is_found_with_an_export(ledger: Ledger, tmp_path: Path) -> None:
    write(ledger, 3)
    lines = [one.document for one in ledger.audit.trail()]
    assert list(compare_trail(read_trail(lines), ledger.audit.trail())) == []
    with new_ledger(tmp_path / "forged.sqlite3") as forged:
        forged.audit.write(entry("project-0"), now=START)
        forged.audit.write(entry("other"), now=START)
        assert problems(forged) == set()
        found = [(flaw.number, flaw.problem) for flaw in compare_trail(read_trail(lines), forged.audit.trail())]
    assert found == [(2, "was exported with another content"), (3, "was exported and is missing")]


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"action": "x", "number": "1"}', "no json"])
def test_an_export_is_of_entries_only(line: str) -> None:
    with pytest.raises(ValueError, match="line 1 is no entry"):
        list(read_trail([line]))


def test_what_is_no_json_has_no_texts() -> None:
    record = AuditRecord(number=1, digest="d", document="{")
    assert (record.text("actor"), record.facts) == ("", {})


def test_an_entry_lives_and_dies_with_its_transaction(ledger: Ledger) -> None:
    def work(connection: sa.Connection) -> None:
        append(connection, entry(), at=START)
        raise sa.exc.OperationalError("", {}, Exception("disk I/O error"))

    with pytest.raises(LedgerUnavailable):
        ledger._database.write("fail", work)
    assert (list(ledger.audit.trail()), ledger.audit.end()) == ([], None)


def test_forcing_deliveries_is_audited_with_what_it_did(ledger: Ledger) -> None:
    bring(ledger, InstanceState.DEIDENTIFIED)
    (taken,) = take(ledger)
    ledger.deliveries.record("deliverer", [DeliveryResult(delivery_id=taken.delivery_id, state="dead")], now=START)
    forced = entry(action=AuditAction.DELIVERY_FORCED, subject="archive")
    assert ledger.deliveries.retry(audit=forced, by="dpo") == 1
    assert ledger.deliveries.retry(audit=forced, by="dpo") == 0
    (found,) = ledger.audit.trail()
    assert (found.text("action"), found.facts) == ("delivery-forced", {"deliveries": "1"})


ALICE, NOBODY = 54_321_001, (1 << 32) - 1


@pytest.mark.parametrize(
    ("login", "user", "sudo", "actor"),
    [
        # The kernel knows who logged in; what the environment says does not count.
        (ALICE, ALICE, None, "uid 54321001"),
        (ALICE, 0, None, "uid 54321001 (as root)"),
        (ALICE, 0, "mallory", "uid 54321001 (as root)"),
        (ALICE, 54_321_987, "mallory", "uid 54321001 (as uid 54321987)"),
        (0, 0, "mallory", "root"),
        # A service, a container: nobody logged in, or the kernel does not tell.
        (NOBODY, 0, None, "root"),
        (NOBODY, 54_321_987, None, "uid 54321987"),
        (None, 0, None, "root"),
        ("", 0, None, "root"),
        ("x", 0, None, "root"),
        # Then sudo's word is a hint, if it is a name.
        (NOBODY, 0, "alice", "root (sudo says alice)"),
        (NOBODY, 0, "CLINIC\\alice", "root (sudo says CLINIC\\alice)"),
        (NOBODY, 0, "root", "root"),
        (NOBODY, 0, "alice (as root)", "root"),
        (NOBODY, 0, "alice\x1b[2K", "root"),
        (NOBODY, 0, "a" * 100, "root"),
        (NOBODY, 0, "", "root"),
    ],
)
def test_the_acting_person(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    login: int | str | None,
    user: int,
    sudo: str | None,
    actor: str,
) -> None:
    place = tmp_path / "loginuid"
    if login is not None:
        place.write_text(str(login))
    monkeypatch.setattr("gateway.audit._LOGIN", place)
    monkeypatch.setattr("os.getuid", lambda: user)
    if sudo is None:
        monkeypatch.delenv("SUDO_USER", raising=False)
    else:
        monkeypatch.setenv("SUDO_USER", sudo)
    assert acting_person() == actor
