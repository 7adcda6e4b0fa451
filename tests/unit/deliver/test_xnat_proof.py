"""What of a listed file proves an instance, which type a session has, and what a study's memory is good for."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.deliver.base import Outcome, Parcel
from gateway.deliver.xnat.file_names import Holdings, file_name, instance_hash
from gateway.deliver.xnat.labels import session_beside
from gateway.deliver.xnat.listing import PrearchiveRow
from gateway.deliver.xnat.memory import Memory, likeness
from gateway.deliver.xnat.proof import Proof
from gateway.deliver.xnat.session_type import is_of, lead_of, modality_of
from gateway.deliver.xnat.site import _ASSIGNS_UID
from tests.unit.deliver.peers import CT, content_of, make_parcel

PT = "1.2.840.10008.5.1.4.1.1.128"
SR = "1.2.840.10008.5.1.4.1.1.88.11"
PR = "1.2.840.10008.5.1.4.1.1.11.1"
UNKNOWN = "1.2.840.10008.5.1.4.1.1.999"


def md5(parcel: Parcel) -> str:
    return hashlib.md5(content_of(parcel), usedforsecurity=False).hexdigest()


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Parcel, Parcel]:
    """Two instances of a series, of 200 000 bytes each."""
    one, other = (make_parcel(tmp_path, number, content=bytes([number]) * 200_000, pieces=1) for number in (1, 2))
    return one, other


SENT = 200_000


@pytest.mark.parametrize(
    ("sizes", "digests", "expected"),
    [
        # (of the first, of the second): sizes; digests, ``=`` for that of what was sent; whether each is held
        ((SENT, SENT), ("=", "="), (True, True)),
        ((SENT, SENT), ("", ""), (True, True)),  # a site without checksums
        ((SENT, SENT), ("=", "x"), (True, False)),  # XNAT keeps what is sent, so the other is something else
        ((SENT, SENT), ("x", "y"), (True, True)),  # a script changes every file
        ((SENT, SENT), ("x", "x"), (False, False)),  # one file under two names
        ((SENT, SENT - 1), ("", ""), (True, False)),  # sizes stay in this series, so the other is cut short
        ((SENT, SENT + 90), ("", ""), (True, True)),  # longer: a script has added something
        ((SENT - 900, SENT - 1200), ("x", "y"), (True, True)),  # a script takes elements away
        ((SENT - 900, SENT // 2), ("x", "y"), (True, False)),  # nothing takes half of an image away
        ((SENT - 900, SENT - 80_000), ("x", "y"), (True, False)),  # nor 80 kB of its header
        ((SENT, 0), ("=", ""), (True, False)),  # an empty file is none
        ((SENT, None), ("=", ""), (True, False)),  # not listed
    ],
)
def test_what_listed_files_prove(
    pair: tuple[Parcel, Parcel],
    sizes: tuple[int | None, int | None],
    digests: tuple[str, str],
    expected: tuple[bool, bool],
) -> None:
    holdings = Holdings()
    for parcel, size, digest in zip(pair, sizes, digests, strict=True):
        if size is not None:
            name = file_name(parcel.sop_uid)
            holdings.add({name: size}, {name: md5(parcel) if digest == "=" else digest})
    proof = Proof(holdings, pair, compare="detect")
    assert (proof.holds(pair[0]), proof.holds(pair[1])) == expected
    assert [proof.is_same(parcel) for parcel in pair] == [digest == "=" for digest in digests]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, False),
        ({"series_uid": "2.25.5"}, True),  # what XNAT does with one series says nothing of another
        ({"sop_class_uid": SR}, True),
        ({"transfer_syntax": "1.2.840.10008.1.2.4.80"}, True),
    ],
)
def test_one_kind_says_nothing_of_another(pair: tuple[Parcel, Parcel], change: dict[str, str], expected: bool) -> None:
    one, other = pair[0], replace(pair[1], **change)  # type: ignore[arg-type]
    holdings = Holdings()
    for parcel, digest in ((one, md5(one)), (other, "x")):
        holdings.add({file_name(parcel.sop_uid): SENT}, {file_name(parcel.sop_uid): digest})
    assert Proof(holdings, [one, other], compare="detect").holds(other) == expected


def test_a_name_that_tells_nothing(pair: tuple[Parcel, Parcel]) -> None:
    holdings = Holdings()
    holdings.add({"1-1.dcm": SENT, "1-2.dcm": SENT}, {"1-1.dcm": md5(pair[0]), "1-2.dcm": "x"})
    proof = Proof(holdings, pair, compare="detect")
    assert [proof.holds(parcel) for parcel in pair] == [True, False]
    assert not Proof(holdings, pair, compare="name").holds(pair[0])


def test_stored_bytes_that_are_gone_prove_nothing(pair: tuple[Parcel, Parcel]) -> None:
    holdings = Holdings()
    holdings.add({file_name(pair[0].sop_uid): SENT}, {file_name(pair[0].sop_uid): ""})
    pair[0].parts[0].path.unlink()
    assert not Proof(holdings, pair, compare="detect").is_same(pair[0])


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("{sop}.dcm", True),
        ("{sop}", True),
        ("CT_{sop}.dcm", True),
        ("{study}-1-1-{hash}.dcm", True),
        ("{hash}.dcm", True),
        ("2.25.77-1-1-{hash}.dcm", False),  # of another study
        ("{study}-1-1-zzz.dcm", False),
        ("1-1.dcm", False),
    ],
)
def test_names_of_a_sites_own(tmp_path: Path, name: str, held: bool) -> None:
    parcel = make_parcel(tmp_path, 1)
    hashed = instance_hash(parcel.sop_class_uid, parcel.sop_uid)
    holdings = Holdings()
    holdings.add({name.format(sop=parcel.sop_uid, study=parcel.study_uid, hash=hashed): 9})
    assert holdings.hold(parcel) == held


@pytest.mark.parametrize(
    ("classes", "lead"),
    [
        ([CT], "CT"),
        ([CT, PT], "PT"),  # a PET leads before a CT
        ([SR, CT], "CT"),
        ([SR], "SR"),
        ([CT, UNKNOWN], ""),  # what is not known is not guessed
        ([], ""),
    ],
)
def test_what_leads(classes: list[str], lead: str) -> None:
    assert lead_of(classes) == lead


@pytest.mark.parametrize(
    ("sop_class", "session", "same"),
    [
        (CT, "xnat:ctSessionData", True),
        (PT, "xnat:petSessionData", True),
        (SR, "xnat:ctSessionData", False),
        (CT, "xnat:petSessionData", False),
        (CT, "xnat:otherDicomSessionData", False),  # made by a secondary capture that came first, say
        (PR, "xnat:otherDicomSessionData", True),
        (UNKNOWN, "xnat:otherDicomSessionData", True),
        # XNAT decides.
        (UNKNOWN, "xnat:ctSessionData", True),
        (CT, "", True),
        (CT, "xnat:petmrSessionData", True),
        (CT, "site:ownSessionData", True),
    ],
)
def test_which_instances_a_session_takes(sop_class: str, session: str, same: bool) -> None:
    assert is_of(modality_of(sop_class), session) == same


def test_a_session_beside_has_a_label_that_xnat_leaves_alone() -> None:
    assert session_beside("{session}_{modality}", "P-1-ABC", "SR") == "P-1-ABC_SR"
    long = session_beside("{session}_{modality}", "x" * 64, "SR")
    assert len(long) <= 64
    assert long != session_beside("{session}_{modality}", "x" * 64, "PR")


@pytest.mark.parametrize(
    ("script", "assigns"),
    [
        ("(0020,000D) := hashUID[(0020,000D)]", True),
        ('  (0020,000d) ?= "1.2"', True),
        ("(0008,0018) := newUID[]", True),
        ("isPresent[(0010,0010)] ? (0020,000E) := hashUID[(0020,000E)]", True),
        ("// (0020,000D) := hashUID[(0020,000D)]", False),
        ('(0010,0010) := "x"', False),
        ("- (0020,000D)", False),
    ],
)
def test_scripts_that_change_uids(script: str, assigns: bool) -> None:
    assert bool(_ASSIGNS_UID.search(f'version "6.6"\n{script}\n')) == assigns


def test_a_study_has_rested_when_it_looks_the_same_twice() -> None:
    memory = Memory()
    rows = [PrearchiveRow("P", "T", "F", "L", "RECEIVING", changed="1")]
    assert not memory.has_rested("2.25.1", likeness(rows, 3))
    assert not memory.has_rested("2.25.1", likeness(rows, 4))
    assert memory.has_rested("2.25.1", likeness(rows, 4))
    memory.answered("2.25.1", clear=False)
    assert not memory.has_rested("2.25.1", likeness(rows, 4))


def test_pauses_grow_while_nothing_changes() -> None:
    memory = Memory()
    pauses = []
    for count in (1, 1, 1, 1, 1, 1, 2):
        memory.has_rested("2.25.1", count)
        pauses.append(memory.pause("2.25.1", ask_seconds=1.0))
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 1.0]


def test_what_is_to_be_sent_again_is_not_taken() -> None:
    memory = Memory()
    memory.ended("2.25.1", [Outcome(1, "sent", "processing"), Outcome(2, "failed", "x"), Outcome(3, "confirmed", "x")])
    assert memory.taken("2.25.1") == {1, 3}
    memory.ended("2.25.1", [Outcome(1, "failed", "partial")])
    assert memory.taken("2.25.1") == {3}
    assert memory.taken("2.25.2") == frozenset()
