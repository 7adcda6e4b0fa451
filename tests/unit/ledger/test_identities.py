"""A study has one patient: instances that say otherwise wait for a person, whichever came first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ledger import InstanceState, Ledger
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.build import claim, deidentified, received

STUDY, OTHER_STUDY = "2.25.11", "2.25.12"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path / "ledger.sqlite3") as found:
        yield found


def bring(ledger: Ledger, *said: tuple[str, str, str], first: int = 1) -> list[int]:
    """Instances that say these things, one after the other, each finished alone."""
    ledger.instances.record([received(first + number) for number in range(len(said))])
    ids = [one.instance_id for one in claim(ledger)]
    for number, one in zip(ids, said, strict=True):
        ledger.instances.finish("worker", [deidentified(number, identities=(one,))])
    return ids


def code(ledger: Ledger, instance: int) -> str:
    """The code of a held instance; empty if it is not held."""
    found = ledger.holds.instance(instance)
    return "" if found is None else found.code


@pytest.mark.parametrize("order", [("ann", "bea"), ("bea", "ann")])
def test_two_patients_in_one_study(ledger: Ledger, order: tuple[str, str]) -> None:
    one, other = order
    said = [("study", STUDY, one), ("study", STUDY, one), ("study", STUDY, other), ("study", STUDY, one)]
    ids = bring(ledger, *said)
    # What came before the second patient was known has gone on; then everything waits.
    conflict = "two-patients-in-study"
    assert [code(ledger, number) for number in ids] == ["", "", conflict, conflict]
    assert ledger.accounts.draw().balanced


def test_two_patients_in_one_batch(ledger: Ledger) -> None:
    ledger.instances.record([received(1), received(2)])
    ids = [one.instance_id for one in claim(ledger)]
    said = [(("study", STUDY, "ann"),), (("study", STUDY, "bea"),)]
    ledger.instances.finish(
        "worker", [deidentified(number, identities=one) for number, one in zip(ids, said, strict=True)]
    )
    assert [code(ledger, number) for number in ids] == ["", "two-patients-in-study"]


def test_what_is_no_conflict(ledger: Ledger) -> None:
    ids = bring(
        ledger,
        ("study", STUDY, "ann"),
        ("study", OTHER_STUDY, "bea"),  # another study
        ("patient-id", STUDY, "bea"),  # another kind
        ("patient-id", "ann", "hospital"),
        ("patient-id", "ann", "hospital"),
    )
    assert [code(ledger, number) for number in ids] == [""] * 5


def test_two_issuers_of_one_patient_id(ledger: Ledger) -> None:
    ids = bring(ledger, ("patient-id", "ann", "one hospital"), ("patient-id", "ann", "another"))
    assert [code(ledger, number) for number in ids] == ["", "two-issuers-of-patient-id"]


def test_who_lets_it_go_on_is_believed(ledger: Ledger) -> None:
    _, held = bring(ledger, ("study", STUDY, "ann"), ("study", STUDY, "bea"))
    ledger.reviews.resume([held], by="dpo", because="the same person under two numbers")
    (claimed,) = claim(ledger)
    ledger.instances.finish("worker", [deidentified(claimed.instance_id, identities=(("study", STUDY, "bea"),))])
    assert code(ledger, held) == ""
    assert ledger.accounts.draw().balanced


def test_a_rejected_stranger_is_forgotten(ledger: Ledger) -> None:
    _, held = bring(ledger, ("study", STUDY, "ann"), ("study", STUDY, "bea"))
    ledger.reviews.reject([held], by="dpo", because="not of this study")
    (later,) = bring(ledger, ("study", STUDY, "ann"), first=10)
    assert code(ledger, later) == ""
    # And comes back as a conflict.
    (again,) = bring(ledger, ("study", STUDY, "bea"), first=20)
    assert code(ledger, again) == "two-patients-in-study"
    assert ledger.figures.status().instance_count(InstanceState.HELD) == 1
