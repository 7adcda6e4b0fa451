"""XNAT as its source says that it answers: what a kinder double would let pass.

Every test is a row of what went wrong at hospitals' servers; the double is held to XNAT's source, see tests/README.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gateway.deliver.base import Outcome, Parcel
from gateway.deliver.books import Holder, MemoryBooks
from gateway.deliver.xnat.destination import XnatDestination
from tests.fixtures.xnat import XnatDouble, xnat_server
from tests.fixtures.xnat.store import Parameters
from tests.unit.deliver.peers import CT
from tests.unit.deliver.test_xnat import STUDY, contents, destination, instance, said, send, stored

PT = "1.2.840.10008.5.1.4.1.1.128"
SR = "1.2.840.10008.5.1.4.1.1.88.11"
PR = "1.2.840.10008.5.1.4.1.1.11.1"
ARCHIVED = ("confirmed", "archived")
PERSON = ("dead", "waits-for-a-person")


@pytest.fixture
def xnat(tmp_path: Path) -> Iterator[XnatDouble]:
    with xnat_server(tmp_path / "xnat") as double:
        yield double
        # Whatever happens: nothing is ever sent into a row that XNAT is at work on.
        assert double.store.collisions == []


@pytest.fixture
def parcels(tmp_path: Path) -> list[Parcel]:
    return [instance(tmp_path, number, series=1 + number % 2) for number in range(4)]


@pytest.fixture
def made(xnat: XnatDouble) -> Iterator[XnatDestination]:
    made = destination(xnat)
    yield made
    made.close()


def of_class(folder: Path, number: int, sop_class: str, *, series: int) -> Parcel:
    modality = {CT: "CT", PT: "PT", SR: "SR", PR: "PR"}[sop_class]
    return instance(folder, number, sop_class=sop_class, modality=modality, series=series)


# Labels -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subjects", "patient"),
    [
        (["PAT-A"], "pat-a"),  # by a look-up table
        (["Pat-A"], "PAT-A"),  # made by hand
        (["PAT-A", "pat-a"], "pat-a"),  # both are there: XNAT may take either
        (["PÄT"], "pät"),  # rewritten labels stay apart, so this is no collision
    ],
)
def test_subjects_that_differ_by_case(xnat: XnatDouble, tmp_path: Path, subjects: list[str], patient: str) -> None:
    xnat.store.projects["CHEST"].subjects += subjects
    done = send(xnat, [instance(tmp_path, 0, patient=patient)])
    if patient == "pät":
        assert done == [ARCHIVED]
        return
    assert done == [("dead", "label-collision")]
    assert xnat.made("POST", "/data/services/import") == []


def test_both_names_are_told(xnat: XnatDouble, made: XnatDestination, tmp_path: Path) -> None:
    assert said(made.send([instance(tmp_path, 0, patient="PAT-A")])) == [ARCHIVED]
    [outcome] = made.send([instance(tmp_path, 1, study="2.25.8", patient="pat-a")])
    assert (outcome.state, outcome.code) == ("dead", "label-collision")
    assert "PAT-A" in outcome.detail
    assert "pat-a" in outcome.detail
    assert [one.subject for one in xnat.store.projects["CHEST"].experiments.values()] == ["PAT-A"]


def test_a_label_that_is_taken_in_the_prearchive_only(xnat: XnatDouble, tmp_path: Path) -> None:
    """The first patient's study still waits: the project lists no subject yet."""
    xnat.store.projects["CHEST"].code = 0
    assert send(xnat, [instance(tmp_path, 0, patient="PAT-A")], into="prearchive") == [("confirmed", "prearchived")]
    second = instance(tmp_path, 1, study="2.25.8", patient="pat-a")
    assert send(xnat, [second]) == [("dead", "label-collision")]


class SharedBooks(MemoryBooks):
    """Books in which somebody else has entered a label."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.hold("subject", label, label)


def test_a_label_that_another_node_has_given(xnat: XnatDouble, tmp_path: Path) -> None:
    made = destination(xnat, books=SharedBooks("PAT-A"))
    assert said(made.send([instance(tmp_path, 0, patient="pat-a")])) == [("dead", "label-collision")]
    assert said(made.send([instance(tmp_path, 1, patient="PAT-A")])) == [ARCHIVED]
    made.close()


def test_a_label_is_given_once() -> None:
    books = MemoryBooks()
    assert books.hold("subject", "A", "one") == Holder("A", "one")
    assert books.hold("subject", "a", "other") == Holder("A", "one")
    assert books.hold("session", "a", "other") == Holder("a", "other")


@pytest.mark.parametrize(
    ("label", "subject"),
    [
        (str.swapcase, "SUBJECT-1"),  # the session's label in another case
        (str, "SOMEBODY"),  # the same label under another subject
    ],
)
def test_a_session_label_of_somebody_else(
    xnat: XnatDouble, parcels: list[Parcel], label: type[str], subject: str
) -> None:
    send(xnat, parcels[:1])
    project = xnat.store.projects["CHEST"]
    [(name, session)] = project.experiments.items()
    session.label, session.subject = label(name), subject
    project.experiments = {session.label: session}
    project.subjects = [subject]
    assert send(xnat, parcels[1:]) == [("dead", "label-collision")] * 3
    assert len(xnat.made("POST", "/data/services/import")) == 1


def test_labels_are_listed_before_their_first_use_only(
    xnat: XnatDouble, made: XnatDestination, parcels: list[Parcel]
) -> None:
    for parcel in parcels:
        assert said(made.send([parcel])) == [ARCHIVED]
    assert len(xnat.made("GET", "/data/projects/CHEST/subjects?")) == 1
    assert len(xnat.made("GET", "/data/projects/CHEST/experiments?")) == 1


# One session, one archive -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["zip", "gradual", "stow"])
def test_two_modalities_over_several_batches(xnat: XnatDouble, tmp_path: Path, mode: str) -> None:
    """CT first and PT in the last batch: XNAT would refuse the second part of a session that it has archived."""
    parcels = [of_class(tmp_path, number, CT, series=1) for number in range(5)]
    parcels += [of_class(tmp_path, number, PT, series=2) for number in range(5, 7)]
    assert send(xnat, parcels, mode=mode, max_instances=5) == [ARCHIVED] * 7
    [session] = xnat.store.projects["CHEST"].experiments.values()
    assert session.type == "petSessionData"
    assert xnat.store.rows == []
    assert stored(xnat) == contents(parcels)


class Gathering(MemoryBooks):
    """Books that say what is still on its way."""

    def __init__(self) -> None:
        super().__init__()
        self.more: float | None = 7.0

    def awaits(self, study_uid: str, besides: object) -> float | None:
        return self.more


@pytest.mark.parametrize("mode", ["zip", "gradual", "stow"])
def test_parts_of_several_calls_are_archived_once(xnat: XnatDouble, tmp_path: Path, mode: str) -> None:
    books = Gathering()
    made = destination(xnat, books=books, mode=mode)
    first = [of_class(tmp_path, number, CT, series=1) for number in range(3)]
    late = [of_class(tmp_path, number, PT, series=2) for number in range(3, 5)]
    outcomes = made.send(first)
    assert said(outcomes) == [("sent", "processing")] * 3
    assert {outcome.retry_after for outcome in outcomes} == {7.0}
    asked = len(xnat.requests)
    assert said(made.confirm(first)) == [("sent", "processing")] * 3
    assert len(xnat.requests) == asked  # nothing to ask as long as more is on its way
    books.more = None
    assert said(made.send(late)) == [ARCHIVED] * 2
    assert said(made.confirm(first)) == [ARCHIVED] * 3
    assert [one.type for one in xnat.store.projects["CHEST"].experiments.values()] == ["petSessionData"]
    made.close()


def test_a_study_whose_rest_never_comes_is_archived_when_asked_for(xnat: XnatDouble, tmp_path: Path) -> None:
    books = Gathering()
    made = destination(xnat, books=books)
    first = [of_class(tmp_path, number, CT, series=1) for number in range(3)]
    assert said(made.send(first)) == [("sent", "processing")] * 3
    books.more = None
    assert said(made.confirm(first)) == [ARCHIVED] * 3
    assert len(xnat.made("POST", "/data/services/import")) == 1
    made.close()


@pytest.mark.parametrize(
    ("there", "late"),
    [(CT, SR), (CT, PR), (CT, PT), (PT, CT)],
)
@pytest.mark.parametrize("merges", [False, True])
def test_what_comes_late_of_another_modality(
    xnat: XnatDouble, tmp_path: Path, there: str, late: str, merges: bool
) -> None:
    xnat.store.merges_modalities = merges
    first = [of_class(tmp_path, number, there, series=1) for number in range(3)]
    assert send(xnat, first[:2]) == [ARCHIVED] * 2
    # What belongs to the session is not dragged along by what does not.
    done = send(xnat, [of_class(tmp_path, 5, late, series=2), first[2]])
    assert done == [ARCHIVED if merges else PERSON, ARCHIVED]
    if merges:
        return
    made = destination(xnat)
    [outcome] = made.send([of_class(tmp_path, 5, late, series=2)])
    assert "preventCrossModalityMerge" in outcome.detail
    assert "other_modality_session" in outcome.detail
    # A person has changed the preference: it goes where it belongs.
    xnat.store.merges_modalities = True
    assert said(made.send([of_class(tmp_path, 5, late, series=2)])) == [ARCHIVED]
    made.close()


def test_what_comes_late_in_a_session_of_its_own(xnat: XnatDouble, tmp_path: Path) -> None:
    options = {"other_modality_session": "{session}_{modality}"}
    first = [of_class(tmp_path, number, CT, series=1) for number in range(2)]
    late = [of_class(tmp_path, 5, SR, series=2), of_class(tmp_path, 6, CT, series=1)]
    assert send(xnat, first, **options) == [ARCHIVED] * 2
    made = destination(xnat, **options)
    assert said(made.send(late)) == [ARCHIVED] * 2
    assert said(made.confirm([*first, *late])) == [ARCHIVED] * 4
    made.close()
    sessions = xnat.store.projects["CHEST"].experiments
    main, beside = sorted(sessions, key=len)
    assert beside == f"{main}_SR"
    assert {one.subject for one in sessions.values()} == {"SUBJECT-1"}
    assert stored(xnat) == contents([*first, *late])


# Transient or final -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["zip", "gradual", "stow"])
@pytest.mark.parametrize("count", [1, 4, 16])
def test_a_full_disk_is_no_instances_fault(xnat: XnatDouble, tmp_path: Path, mode: str, count: int) -> None:
    parcels = [instance(tmp_path, number) for number in range(count)]
    xnat.store.disk_full = True
    made = destination(xnat, mode=mode)
    assert said(made.send(parcels)) == [("failed", "server-error")] * count
    xnat.store.disk_full = False
    assert said(made.send(parcels)) == [ARCHIVED] * count
    assert stored(xnat) == contents(parcels)
    made.close()


def full_between(xnat: XnatDouble, begin: int, end: int) -> None:
    """The server's disk is full from its ``begin``-th object on, until it has refused or taken ``end`` of them."""
    receive, seen = partial(type(xnat.store).receive, xnat.store), [0]

    def counted(*arguments: object, **options: object) -> object:
        xnat.store.disk_full = begin <= seen[0] < end
        seen[0] += 1
        try:
            return receive(*arguments, **options)  # type: ignore[arg-type]
        finally:
            xnat.store.disk_full = False

    xnat.store.receive = counted  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("mode", ["zip", "gradual"])
@pytest.mark.parametrize(("begin", "end"), [(0, 1), (0, 5), (0, 9), (2, 4), (3, 12), (5, 7), (7, 8), (4, 99)])
def test_a_disk_that_is_full_for_a_while(xnat: XnatDouble, tmp_path: Path, mode: str, begin: int, end: int) -> None:
    """Some are taken, some are refused, and others taken again: what is refused is not at fault for that."""
    parcels = [instance(tmp_path, number) for number in range(8)]
    made = destination(xnat, max_instances=4, mode=mode)
    full_between(xnat, begin, end)
    outcomes = made.send(parcels)
    assert {one.state for one in outcomes} <= {"confirmed", "sent", "failed"}
    full_between(xnat, 0, 0)
    again = [parcel for parcel, one in zip(parcels, outcomes, strict=True) if one.state == "failed"]
    assert said(made.send(again)) == [ARCHIVED] * len(again)
    assert said(made.confirm(parcels)) == [ARCHIVED] * 8
    assert stored(xnat) == contents(parcels)
    made.close()


@pytest.mark.parametrize("mode", ["zip", "gradual"])
@pytest.mark.parametrize("wrong", [{2}, {0, 5}])
def test_nothing_is_archived_before_its_time(xnat: XnatDouble, tmp_path: Path, mode: str, wrong: set[int]) -> None:
    """While more of the study is on its way, also when it is tried out which instance is at fault."""
    parcels = [bad(tmp_path, number) if number in wrong else instance(tmp_path, number) for number in range(6)]
    made = destination(xnat, books=Gathering(), mode=mode)
    expected = [("dead", "rejected") if number in wrong else ("sent", "processing") for number in range(6)]
    assert said(made.send(parcels)) == expected
    assert xnat.store.projects["CHEST"].experiments == {}
    made.close()


def bad(folder: Path, number: int) -> Parcel:
    """An instance that XNAT cannot read."""
    parcel = instance(folder, number)
    path = parcel.parts[0].path
    path.write_bytes(b"\0" * path.stat().st_size)
    return parcel


@pytest.mark.parametrize("mode", ["zip", "gradual"])
@pytest.mark.parametrize(
    "places",
    [
        {0}, {7}, {3},
        {0, 7},  # the first and the last
        {0, 1, 2},  # a whole beginning
        {5, 6, 7},
    ],
)  # fmt: skip
def test_an_instance_that_cannot_be_read_is_found(
    xnat: XnatDouble, tmp_path: Path, mode: str, places: set[int]
) -> None:
    parcels = [bad(tmp_path, number) if number in places else instance(tmp_path, number) for number in range(8)]
    done = send(xnat, parcels, mode=mode)
    assert done == [("dead", "rejected") if number in places else ARCHIVED for number in range(8)]
    assert len(stored(xnat)) == 8 - len(places)


def test_a_row_in_error_is_sent_again(xnat: XnatDouble, made: XnatDestination, parcels: list[Parcel]) -> None:
    xnat.faults.set("archive-error")
    assert said(made.send(parcels)) == [("failed", "server-error")] * 4
    assert [row.status for row in xnat.store.rows] == ["ERROR"]
    assert said(made.send(parcels)) == [ARCHIVED] * 4
    assert xnat.store.rows == []


@pytest.mark.parametrize("mode", ["zip", "gradual"])
def test_a_workflow_that_is_open(xnat: XnatDouble, parcels: list[Parcel], mode: str) -> None:
    made = destination(xnat, mode=mode)
    assert said(made.send(parcels[:2])) == [ARCHIVED] * 2
    [session] = xnat.store.projects["CHEST"].experiments.values()
    session.workflows = 1
    outcomes = made.send(parcels[2:])
    if mode == "zip":
        assert said(outcomes) == [("failed", "workflow")] * 2
        assert not any(outcome.counts for outcome in outcomes)
        session.workflows = 0
        assert said(made.send(parcels[2:])) == [ARCHIVED] * 2
    else:
        # The archive service overrides that.
        assert said(outcomes) == [ARCHIVED] * 2
    made.close()


def test_an_auto_run_after_every_batch(xnat: XnatDouble, made: XnatDestination, parcels: list[Parcel]) -> None:
    xnat.store.auto_run = True
    assert said(made.send(parcels[:2])) == [ARCHIVED] * 2
    for parcel in parcels[2:]:
        assert said(made.send([parcel])) == [("failed", "workflow")]
        for session in xnat.store.projects["CHEST"].experiments.values():
            session.workflows = 0
        assert said(made.send([parcel])) == [ARCHIVED]


def test_a_workflow_that_is_open_when_the_rest_of_a_study_is_archived(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    """What came late was gathered: it is not added while the workflow runs, and by itself afterwards."""
    send(xnat, parcels[:1])
    [session] = xnat.store.projects["CHEST"].experiments.values()
    books = Gathering()
    made = destination(xnat, books=books)
    assert said(made.send(parcels[1:])) == [("sent", "processing")] * 3
    books.more = None
    session.workflows = 1
    assert said(made.confirm(parcels[1:])) == [("failed", "workflow")] * 3
    assert len(xnat.store.archived("CHEST")) == 1
    session.workflows = 0
    assert said(made.send(parcels[1:])) == [ARCHIVED] * 3
    assert stored(xnat) == contents(parcels)
    made.close()


# Answers that say nothing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["proxy", "proxy-archiving"])
def test_a_proxy_that_gives_up_while_xnat_goes_on(
    xnat: XnatDouble, made: XnatDestination, parcels: list[Parcel], fault: str
) -> None:
    xnat.faults.set(fault)
    assert said(made.send(parcels)) == [("sent", "processing")] * 4
    first = made.confirm(parcels)
    assert said(first) == [("sent", "processing")] * 4
    # Whatever comes of the same study now waits, and uses up no attempt.
    waiting = made.send(parcels[:1])
    assert said(waiting) == [("failed", "processing")]
    assert not waiting[0].counts
    xnat.go_on()
    assert said(made.confirm(parcels)) == [ARCHIVED] * 4
    assert len(xnat.made("POST", "/data/services/import")) == 1
    assert stored(xnat) == contents(parcels)


def test_questions_become_rarer(xnat: XnatDouble, made: XnatDestination, parcels: list[Parcel]) -> None:
    xnat.faults.set("proxy-archiving")
    made.send(parcels)
    pauses = [made.send(parcels[:1])[0].retry_after for _ in range(8)]
    assert pauses == sorted(pauses)  # type: ignore[type-var]
    assert pauses[0] == 15.0
    assert pauses[-1] == 240.0
    xnat.go_on()


def test_xnat_that_died_behind_a_proxy(xnat: XnatDouble, made: XnatDestination, parcels: list[Parcel]) -> None:
    """What is left is a row that nobody writes into any more: sent again when it has not changed for a while."""
    xnat.faults.set("proxy")
    assert said(made.send(parcels)) == [("sent", "processing")] * 4
    xnat.behind.clear()
    for row in xnat.store.rows:
        row.in_use = False
    made.confirm(parcels)
    outcomes = made.confirm(parcels)
    again = [parcel for parcel, one in zip(parcels, outcomes, strict=True) if one.state == "failed"]
    assert len(again) == 3
    assert said(made.send(again)) == [ARCHIVED] * 3
    assert said(made.confirm(parcels)) == [ARCHIVED] * 4
    assert stored(xnat) == contents(parcels)


def test_a_gateway_that_died_while_it_sent(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    """The next process finds a row that it did not make, and waits until it rests."""
    xnat.faults.set("proxy")
    assert send(xnat, parcels) == [("sent", "processing")] * 4
    made = destination(xnat)
    assert said(made.send(parcels)) == [("failed", "processing")] * 4
    xnat.behind.clear()
    for row in xnat.store.rows:
        row.in_use = False
    assert said(made.send(parcels)) == [ARCHIVED] * 4
    made.close()


@pytest.mark.parametrize(
    ("fault", "code", "options"),
    [
        ("proxy-gone", "proxy", {}),
        ("silence", "timeout", {"timeout_seconds": 0.5}),
    ],
)
def test_no_answer_and_nothing_there(
    xnat: XnatDouble, parcels: list[Parcel], fault: str, code: str, options: dict[str, object]
) -> None:
    """Nothing is sent again in the same call, nor in halves."""
    xnat.faults.set(fault)
    assert send(xnat, parcels, **options) == [("failed", code)] * 4
    assert len(xnat.made("POST", "/data/services/import")) == 1
    assert send(xnat, parcels) == [ARCHIVED] * 4


def test_locked_without_a_word(xnat: XnatDouble, made: XnatDestination, parcels: list[Parcel]) -> None:
    """200 without a URI, and everything waits in a row that is locked: no filter has dropped it."""
    xnat.faults.set("locked")
    assert said(made.send(parcels)) == [("sent", "processing")] * 4
    assert said(made.confirm(parcels)) == [("sent", "processing")] * 4
    xnat.store.settle()
    assert said(made.confirm(parcels)) == [ARCHIVED] * 4
    assert len(xnat.made("POST", "/data/services/import")) == 1


@pytest.mark.parametrize("status", ["BUILDING", "ARCHIVING", "MOVING", "SEPARATING", "QUEUED_BUILDING", "_RECEIVING"])
def test_nothing_is_sent_into_a_row_at_work(
    xnat: XnatDouble, made: XnatDestination, parcels: list[Parcel], status: str
) -> None:
    xnat.store.projects["CHEST"].code = 0
    assert send(xnat, parcels[:1], into="prearchive") == [("confirmed", "prearchived")]
    xnat.store.rows[0].status = status
    assert said(made.send(parcels[1:])) == [("failed", "processing")] * 3
    assert len(xnat.made("POST", "/data/services/import")) == 1
    xnat.store.rows[0].status = "READY"
    assert said(made.send(parcels[1:])) == [ARCHIVED] * 3


@pytest.mark.parametrize("mode", ["gradual", "stow"])
@pytest.mark.parametrize("code", [0, 4, 5])
def test_an_archive_service_that_redirects(xnat: XnatDouble, parcels: list[Parcel], mode: str, code: int) -> None:
    xnat.store.projects["CHEST"].code = code
    assert send(xnat, parcels, mode=mode) == [ARCHIVED] * 4


@pytest.mark.parametrize("mode", ["gradual", "stow"])
def test_an_archive_service_that_says_500_for_a_conflict(
    xnat: XnatDouble, parcels: list[Parcel], mode: str, tmp_path: Path
) -> None:
    xnat.faults.set("conflict")
    made = destination(xnat, mode=mode)
    other = instance(tmp_path, 50, study="2.25.50")
    # Other studies of the same call are not held up by it.
    assert said(made.send([*parcels, other])) == [*[("dead", "conflict")] * 4, ARCHIVED]
    made.close()


def test_a_proxy_that_gives_up_while_the_session_is_archived(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    made = destination(xnat, mode="gradual")
    xnat.faults.set("archive-503")
    assert said(made.send(parcels)) == [("sent", "processing")] * 4
    assert said(made.confirm(parcels)) == [ARCHIVED] * 4
    made.close()


# Scripts that change UIDs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["site", "project"])
@pytest.mark.parametrize("mode", ["zip", "gradual"])
def test_a_script_that_changes_study_uids(xnat: XnatDouble, parcels: list[Parcel], whose: str, mode: str) -> None:
    """What comes late is recognised: every call is a new process, so by what is to be seen at XNAT."""
    xnat.store.changes_uids = whose  # type: ignore[assignment]
    assert send(xnat, parcels[:2], mode=mode) == [ARCHIVED] * 2
    assert send(xnat, parcels[2:3], mode=mode) == [ARCHIVED]
    assert send(xnat, parcels[3:], mode=mode) == [ARCHIVED]
    assert send(xnat, parcels, mode=mode) == [ARCHIVED] * 4  # the same again
    [session] = xnat.store.projects["CHEST"].experiments.values()
    assert session.study_uid != STUDY
    assert len(xnat.store.archived("CHEST")) == 4


def test_another_study_under_our_label_is_not_merged(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    """Nothing of the gateway's is with that session: it is somebody's."""
    for mode in ("zip", "gradual"):
        xnat.store.projects["CHEST"].experiments.clear()
        send(xnat, parcels[:1], mode=mode)
        [session] = xnat.store.projects["CHEST"].experiments.values()
        session.study_uid = "2.25.7"
        assert send(xnat, parcels[2:], mode=mode) == [("dead", "label-collision")] * 2
        assert len(xnat.store.archived("CHEST")) == 1


# The prearchive -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [4, 5])
def test_a_prearchive_without_a_person(xnat: XnatDouble, parcels: list[Parcel], code: int) -> None:
    xnat.store.projects["CHEST"].code = code
    assert send(xnat, parcels, into="prearchive") == [("failed", "auto-archive")] * 4
    assert xnat.made("POST", "/data/services/import") == []
    told = send(xnat, parcels, into="prearchive", allow_auto_archive=True)
    assert told == [("confirmed", "prearchived")] * 4


def test_the_rebuilder_archives_what_was_left_receiving(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    """The double's own: an import without a commit in a project that archives by itself."""
    xnat.store.receive("a.dcm", contents(parcels)[0], Parameters(project="CHEST"), {"CHEST"})
    xnat.wait(299)
    assert [row.status for row in xnat.store.rows] == ["RECEIVING"]
    xnat.wait(1)
    assert xnat.store.rows == []
    assert len(xnat.store.archived("CHEST")) == 1


# Proof --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "into"), [("truncated", "archive"), ("foreign", "archive"), ("truncated", "prearchive")]
)
def test_a_file_that_is_not_what_was_sent(xnat: XnatDouble, tmp_path: Path, fault: str, into: str) -> None:
    xnat.store.projects["CHEST"].code = 0
    parcels = [instance(tmp_path, number) for number in range(4)]
    xnat.faults.set(fault)
    done = send(xnat, parcels, into=into)
    assert done.count(("failed", "altered")) == 1
    arrived = ("confirmed", "archived" if into == "archive" else "prearchived")
    assert done.count(arrived) == 3
    assert send(xnat, parcels, into=into) == [arrived] * 4


def test_a_truncated_file_alone(xnat: XnatDouble, tmp_path: Path) -> None:
    parcel = instance(tmp_path, 0, size=100_000)
    xnat.faults.set("truncated")
    assert send(xnat, [parcel]) == [("failed", "altered")]
    assert send(xnat, [parcel]) == [ARCHIVED]


@pytest.mark.parametrize(
    ("compare", "expected"),
    [
        ("detect", ARCHIVED),  # a script changes every file: names and sizes are what is left
        ("name", ARCHIVED),
        ("digest", ("failed", "altered")),  # the operator says that nothing is changed
    ],
)
def test_a_site_that_changes_every_file(
    xnat: XnatDouble, parcels: list[Parcel], compare: str, expected: tuple[str, str]
) -> None:
    xnat.store.anonymizes = True
    assert send(xnat, parcels, compare=compare) == [expected] * 4


def test_what_is_there_is_not_sent_again(xnat: XnatDouble, tmp_path: Path) -> None:
    """A gateway that died before it noted that everything was archived: alone, the CT would make another session."""
    parcels = [of_class(tmp_path, number, CT, series=1) for number in range(3)]
    parcels += [of_class(tmp_path, number, PT, series=2) for number in range(3, 5)]
    send(xnat, parcels)
    assert send(xnat, parcels[:2]) == [ARCHIVED] * 2
    assert send(xnat, parcels) == [ARCHIVED] * 5
    assert len(xnat.made("POST", "/data/services/import")) == 1
    assert stored(xnat) == contents(parcels)


def test_a_new_version_is_sent_and_proven_by_its_digest(
    xnat: XnatDouble, parcels: list[Parcel], tmp_path: Path
) -> None:
    """The old one was listed under the same name before: the content tells that the new one has arrived."""
    send(xnat, parcels)
    (tmp_path / "newer").mkdir()
    newer = [instance(tmp_path / "newer", number, series=1 + number % 2, size=300) for number in range(4)]
    xnat.faults.set("error-after-storing")
    assert send(xnat, newer) == [ARCHIVED] * 4
    assert len(xnat.made("POST", "/data/services/import")) == 2
    assert stored(xnat) == contents(newer)


# What XNAT does not show --------------------------------------------------------------------------------------------


def test_quarantine_for_a_member(xnat: XnatDouble, made: XnatDestination, parcels: list[Parcel]) -> None:
    xnat.rights["gateway"]["CHEST"] = "edit"
    xnat.store.quarantines = True
    outcomes = made.send(parcels[:2])
    assert said(outcomes) == [("sent", "waits-for-a-person")] * 2
    assert said(made.send(parcels[2:])) == [("failed", "waits-for-a-person")] * 2
    for session in xnat.store.projects["CHEST"].experiments.values():
        session.quarantined = False
    assert said(made.confirm(parcels[:2])) == [ARCHIVED] * 2
    assert said(made.send(parcels[2:])) == [ARCHIVED] * 2


def test_under_no_project_as_an_ordinary_user(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    """Nothing is to be seen of it; the answer to an import into the archive tells."""
    xnat.faults.set("unassigned", times=4)
    made = destination(xnat)
    outcomes = made.send(parcels)
    made.close()
    assert said(outcomes) == [("dead", "misrouted")] * 4
    assert "Unassigned" in outcomes[0].detail
    assert len(xnat.made("POST", "/data/services/import")) == 1


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("${StudyInstanceUID}-${SeriesNumber}-${InstanceNumber}-${HashSOPClassUIDWithSOPInstanceUID}", ARCHIVED),
        ("${SOPInstanceUID}", ARCHIVED),
        ("${HashSOPClassUIDWithSOPInstanceUID}", ARCHIVED),
        ("${Modality}_${SOPInstanceUID}", ARCHIVED),
        ("${SeriesNumber}-${InstanceNumber}", ARCHIVED),  # the name tells nothing, the digest does
    ],
)
def test_a_template_of_the_sites(
    xnat: XnatDouble, parcels: list[Parcel], template: str, expected: tuple[str, str]
) -> None:
    xnat.store.template = template
    assert send(xnat, parcels, mode="stow") == [expected] * 4


def test_a_template_and_a_script_leave_nothing_to_recognise(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    xnat.store.template = "${SeriesNumber}-${InstanceNumber}"
    xnat.store.anonymizes = True
    made = destination(xnat, mode="stow")
    outcomes = made.send(parcels)
    made.close()
    assert said(outcomes) == [("dead", "unrecognised")] * 4
    assert "dicomFileNameTemplate" in outcomes[0].detail


# Trying it out ------------------------------------------------------------------------------------------------------


def probed(double: XnatDouble, parcel: Parcel | None, **options: object) -> list[tuple[bool, str]]:
    made = destination(double, **options)
    found = [(check.ok, check.text) for check in made.probe(parcel)]
    made.close()
    return found


@pytest.mark.parametrize("into", ["archive", "prearchive", "project"])
def test_a_member_leaves_nothing_behind(xnat: XnatDouble, parcels: list[Parcel], into: str) -> None:
    xnat.rights["gateway"]["CHEST"] = "edit"
    xnat.store.projects["CHEST"].code = 0 if into == "prearchive" else 4
    found = probed(xnat, parcels[0], into=into)
    assert all(ok for ok, _ in found)
    assert "may not delete" in found[1][1]
    assert ("archiving was not tried" in found[2][1]) == (into != "prearchive")
    assert xnat.store.rows == []
    assert xnat.store.archived("CHEST") == {}
    assert xnat.store.projects["CHEST"].subjects == []


@pytest.mark.parametrize(
    ("setup", "options", "words"),
    [
        ({"changes_uids": "site"}, {}, "site's anonymization script"),
        ({"changes_uids": "project"}, {}, "project's anonymization script"),
        ({"code": 4}, {"into": "prearchive"}, "archives by itself"),
        ({"code": 4}, {"mode": "stow"}, "takes no labels"),
        ({"code": 0, "template": "${InstanceNumber}"}, {"mode": "stow"}, "dicomFileNameTemplate"),
    ],
)
def test_a_probe_finds_what_is_to_be_mended(
    xnat: XnatDouble, setup: dict[str, object], options: dict[str, object], words: str
) -> None:
    xnat.data_admins.add("gateway")
    for name, value in setup.items():
        setattr(xnat.store.projects["CHEST"] if name == "code" else xnat.store, name, value)
    found = probed(xnat, None, **options)
    assert not found[-1][0]
    assert words in found[-1][1]
    assert xnat.made("POST", "/data/services/import") == []


def test_a_probe_tells_what_it_has_looked_at(xnat: XnatDouble) -> None:
    xnat.store.rejects = {PT}
    [_, (ok, text)] = probed(xnat, None)
    assert ok
    for words in (
        "prearchive setting is auto-archive",
        "owner",
        "series import filter",
        "proxy",
        "preventCrossModality",
    ):
        assert words in text


def test_a_member_is_told_when_the_session_cannot_be_removed(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    """Rights that change between the look and the removal."""
    made = destination(xnat)
    found: list[tuple[bool, str]] = []
    for check in made.probe(parcels[0]):
        found.append((check.ok, check.text))
        if "test instance archived" in check.text:
            xnat.rights["gateway"]["CHEST"] = "edit"
    made.close()
    assert not found[-1][0]
    assert "may not delete" in found[-1][1]
    assert "SUBJECT-1" in found[-1][1]


def test_outcomes_that_put_off_count_no_attempt() -> None:
    assert Outcome(1, "failed", "x").counts
    assert replace(Outcome(1, "failed", "x"), counts=False) != Outcome(1, "failed", "x")
