"""The crosswalk: sealed, found in both directions, bound to its place; its look-ups on the record."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.custody.crosswalk_key import Correspondence, CrosswalkKey, CrosswalkKind, opened
from gateway.errors import CrosswalkUnreadable, LedgerUnavailable, ReasonNamesPatient
from gateway.ledger import InstanceState, Ledger
from gateway.ledger.audit_trail import AuditTrail
from gateway.ledger.crosswalk_row import CrosswalkRow
from gateway.treatment.correspondence import LookUp, look_up
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.build import bring, deidentified, finish, one

SECRET = b"a secret of the lungs project, 32 bytes at least"
KEY = CrosswalkKey(SECRET, "lungs")
PATIENT = Correspondence(
    kind=CrosswalkKind.PATIENT,
    original={"PatientID": "HC-4711", "PatientName": "GARCIA^MARÍA", "IssuerOfPatientID": "WARD7"},
    replacement="SUBJECT-1",
)
STUDY = Correspondence(
    kind=CrosswalkKind.STUDY, original={"StudyInstanceUID": "1.2.3", "PatientID": "HC-4711"}, replacement="2.25.1"
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path / "ledger.sqlite3") as opened_ledger:
        yield opened_ledger


def keep(ledger: Ledger, *found: Correspondence, key: CrosswalkKey = KEY, number: int = 1) -> None:
    finish(ledger, deidentified(one(ledger, number), crosswalk=tuple(map(key.seal, found))))


def ask(value: str, **changes: str) -> LookUp:
    values = {
        "project": "lungs",
        "value": value,
        "side": "replacement",
        "actor": "dpo",
        "because": "incidental finding",
    }
    return LookUp(**(values | changes))  # type: ignore[arg-type]


def last_entry(ledger: Ledger) -> dict[str, object]:
    return dict(json.loads(list(ledger.audit.trail())[-1].document))


def test_what_is_sealed_opens_again() -> None:
    row = KEY.seal(PATIENT)
    assert KEY.open(row) == PATIENT
    # Sealed twice it looks different, and is recognised as the same.
    again = KEY.seal(PATIENT)
    assert (again.entry, again.original) == (row.entry, row.original)
    assert again.sealed != row.sealed


def test_p9_nothing_of_a_row_tells_what_is_in_it() -> None:
    row = KEY.seal(PATIENT)
    told = f"{dataclasses.replace(row, sealed=b'')} {row.sealed!r} {PATIENT!r} {KEY!r}"
    assert not any(word in told for word in ("4711", "GARCIA", "WARD7", SECRET.decode()))


@pytest.mark.parametrize(
    "changes",
    [
        # another project's row
        {"project": "bones"},
        # moved to another kind, another entry, another look-up value
        {"kind": "study"}, {"entry": "e"}, {"original": "o"}, {"replacement": "r"},
        # a bit of the content, the nonce
        {"sealed": "content"}, {"sealed": "nonce"},
        # cut off
        {"sealed": "short"},
        # of another key
        {"key_id": "k"},
    ],
)  # fmt: skip
def test_a_row_opens_where_it_belongs_and_unchanged_only(changes: dict[str, str]) -> None:
    row = KEY.seal(PATIENT)
    whole = bytearray(row.sealed)
    match changes.get("sealed"):
        case "content":
            whole[20] ^= 1
        case "nonce":
            whole[0] ^= 1
        case "short":
            del whole[5:]
    key = CrosswalkKey(SECRET, changes.get("project", "lungs"))
    fields = {name: value for name, value in changes.items() if name != "sealed"}
    with pytest.raises(CrosswalkUnreadable):
        key.open(dataclasses.replace(row, **fields, sealed=bytes(whole)))


def test_projects_with_one_secret_do_not_share_tokens() -> None:
    other = CrosswalkKey(SECRET, "bones")
    assert KEY.original_token("HC-4711") != other.original_token("HC-4711")
    assert KEY.original_token("x") != KEY.replacement_token("x")
    assert KEY.id != other.id


def test_rows_of_earlier_secrets_open_with_them() -> None:
    new = CrosswalkKey(b"another secret of the lungs project, 32 bytes", "lungs")
    assert opened([new, KEY], KEY.seal(PATIENT)) == PATIENT
    with pytest.raises(CrosswalkUnreadable, match="none of the project's keys"):
        opened([new], KEY.seal(PATIENT))


@pytest.mark.parametrize(
    ("value", "side", "expected"),
    [
        ("SUBJECT-1", "replacement", [PATIENT]),
        ("HC-4711", "original", [PATIENT]),
        ("2.25.1", "replacement", [STUDY]),
        ("1.2.3", "original", [STUDY]),
        # the wrong side
        ("HC-4711", "replacement", []),
        ("SUBJECT-1", "original", []),
    ],
)
def test_it_is_found_in_both_directions(ledger: Ledger, value: str, side: str, expected: list[Correspondence]) -> None:
    keep(ledger, PATIENT, STUDY)
    assert look_up(ledger, [KEY], ask(value, side=side)) == expected


def test_the_same_content_is_kept_once(ledger: Ledger) -> None:
    keep(ledger, PATIENT, STUDY)
    keep(ledger, STUDY, PATIENT, number=2)
    assert len(ledger.crosswalk.rows("lungs", original=[KEY.original_token("HC-4711")])) == 1


def test_another_spelling_of_the_name_is_another_row(ledger: Ledger) -> None:
    other = dataclasses.replace(PATIENT, original={**PATIENT.original, "PatientName": "GARCIA^M"})
    keep(ledger, PATIENT)
    keep(ledger, other, number=2)
    assert look_up(ledger, [KEY], ask("SUBJECT-1")) == [PATIENT, other]


def test_only_what_goes_out_is_kept(ledger: Ledger) -> None:
    rows = (KEY.seal(PATIENT),)
    first = bring(ledger, InstanceState.DEIDENTIFIED, 1)
    second = one(ledger, 2)
    # The same content again: a duplicate.
    finish(ledger, deidentified(second, sop_key=f"sop-{first}", crosswalk=rows))
    assert ledger.crosswalk.rows("lungs", original=[rows[0].original]) == []
    # A result whose lease was lost.
    third = one(ledger, 3)
    ledger.instances.finish("somebody else", [deidentified(third, crosswalk=rows)])
    assert ledger.crosswalk.rows("lungs", original=[rows[0].original]) == []


def test_other_projects_are_not_answered(ledger: Ledger) -> None:
    keep(ledger, PATIENT)
    assert look_up(ledger, [KEY], ask("SUBJECT-1", project="bones")) == []


def test_every_look_up_is_audited_found_or_not(ledger: Ledger) -> None:
    keep(ledger, PATIENT)
    look_up(ledger, [KEY], ask("SUBJECT-1"))
    entry = last_entry(ledger)
    assert (entry["actor"], entry["subject"], entry["because"]) == ("dpo", "SUBJECT-1", "incidental finding")
    assert entry["facts"] == {"project": "lungs", "asked": "replacement", "found": 1, "answered": True}
    look_up(ledger, [KEY], ask("HC-4711"))
    # What was typed may be an original: it is not written down.
    assert "HC-4711" not in str(last_entry(ledger))
    assert str(last_entry(ledger)["subject"]).startswith("token ")
    look_up(ledger, [KEY], ask("HC-4711", side="original"))
    assert "HC-4711" not in str(last_entry(ledger))
    assert last_entry(ledger)["subject"] == "SUBJECT-1"


def test_what_cannot_be_audited_is_not_answered(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(ledger, PATIENT)

    def fail(*_: object, **__: object) -> int:
        raise LedgerUnavailable(operation="write the audit trail", reason="full")

    monkeypatch.setattr(AuditTrail, "write", fail)
    with pytest.raises(LedgerUnavailable):
        look_up(ledger, [KEY], ask("SUBJECT-1"))


@pytest.mark.parametrize(
    ("because", "refused"),
    [
        ("the hospital asks for hc-4711", True),
        ("finding of Garcia", True),
        ("finding, see ticket 12", False),
        # the pseudonym may be named
        ("subject-1 has a finding", False),
    ],
)
def test_a_reason_with_identity_is_not_written_down(ledger: Ledger, because: str, refused: bool) -> None:
    keep(ledger, PATIENT)
    if not refused:
        assert look_up(ledger, [KEY], ask("SUBJECT-1", because=because)) == [PATIENT]
        return
    with pytest.raises(ReasonNamesPatient):
        look_up(ledger, [KEY], ask("SUBJECT-1", because=because))
    entry = last_entry(ledger)
    assert entry["because"] == ""
    assert entry["facts"] == {"project": "lungs", "asked": "replacement", "found": 1, "answered": False}


def test_a_row_is_what_the_table_keeps(ledger: Ledger) -> None:
    row = KEY.seal(PATIENT)
    finish(ledger, deidentified(one(ledger), crosswalk=(row,)))
    (kept,) = ledger.crosswalk.rows("lungs", replacement=[row.replacement])
    assert isinstance(kept, CrosswalkRow)
    assert kept == row
