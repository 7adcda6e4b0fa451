"""Troubles at any call of a delivery to XNAT, and in its last batch: what comes of them comes right by itself.

Each run goes on as the gateway does: what has failed is sent again, what was sent is asked about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest

from gateway.deliver.base import Parcel
from gateway.deliver.books import MemoryBooks
from gateway.deliver.xnat.destination import XnatDestination
from tests.fixtures.xnat import XnatDouble, xnat_server
from tests.fixtures.xnat.server import CUT, Answer
from tests.unit.deliver.peers import CT
from tests.unit.deliver.test_xnat import contents, destination, instance, said, stored
from tests.unit.deliver.test_xnat_as_it_answers import PT, Gathering, of_class

LOGIN = b"\n<html><body>Please log in</body></html>"
OVER = {"confirmed", "dead"}


@pytest.fixture
def xnat(tmp_path: Path) -> Iterator[XnatDouble]:
    with xnat_server(tmp_path / "xnat") as double:
        yield double
        # Whatever happens: nothing is ever sent into a row that XNAT is at work on.
        assert double.store.collisions == []


@pytest.fixture
def pet_ct(tmp_path: Path) -> list[Parcel]:
    """Five CT and three PT: in batches of five, the last one makes the session's type."""
    parcels = [of_class(tmp_path, number, CT, series=1) for number in range(5)]
    return parcels + [
        instance(tmp_path, number, sop_class=PT, modality="PT", series=2, size=60_000) for number in range(5, 8)
    ]


class Gateway(MemoryBooks):
    """A gateway that sends one study until everything is over; its books say what is to be sent yet."""

    def __init__(self, parcels: Sequence[Parcel]) -> None:
        super().__init__()
        self.parcels = parcels
        self.states = {parcel.delivery_id: "pending" for parcel in parcels}
        self.told: list[list[tuple[str, str]]] = []

    def awaits(self, study_uid: str, besides: Collection[int]) -> float | None:
        waits = {one for one, state in self.states.items() if state in {"pending", "failed"}}
        return 7.0 if waits - set(besides) else None

    def turn(self, made: XnatDestination) -> None:
        """Send what is to be sent, and ask about what was sent before."""
        by_state = {one: [p for p in self.parcels if self.states[p.delivery_id] == one] for one in self.states.values()}
        outcomes = made.confirm(by_state.get("sent", [])) + made.send(
            by_state.get("pending", []) + by_state.get("failed", [])
        )
        self.states |= {one.delivery_id: one.state for one in outcomes}
        self.told.append(said(outcomes))

    def run(self, made: XnatDestination, *, turns: int = 8) -> list[list[tuple[str, str]]]:
        """Take turns until everything is over; what was said in each."""
        for _ in range(turns):
            self.turn(made)
            if set(self.states.values()) <= OVER:
                break
        return self.told


def is_pet_ct(xnat: XnatDouble, gateway: Gateway) -> None:
    assert set(gateway.states.values()) == {"confirmed"}, gateway.told
    assert [one.type for one in xnat.store.projects["CHEST"].experiments.values()] == ["petSessionData"]
    assert stored(xnat) == contents(gateway.parcels)
    assert xnat.store.rows == []


# The last batch -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["zip", "gradual"])
@pytest.mark.parametrize(
    ("fault", "times"),
    [
        ("too-large", 9),  # a proxy takes no more than one PT
        ("full", 1),
        ("disk-full", 9),  # 400 for each of the PT, until XNAT's disk has space again
        ("error-before-storing", 9),
        ("error-before-archiving", 1),
        ("archive-error", 1),
        ("busy", 1),
        ("concurrent", 1),
        ("proxy", 1),
        ("proxy-archiving", 1),
        ("proxy-gone", 1),
        ("cut-archiving", 1),
        ("reset", 1),
        ("redirect", 1),
        ("locked", 1),
    ],
)
def test_nothing_is_archived_without_what_failed(
    xnat: XnatDouble, pet_ct: list[Parcel], mode: str, fault: str, times: int
) -> None:
    """The CT alone would make a session that takes no PT any more."""
    after = 0 if fault in {"too-large", "archive-error", "locked", "proxy", "error-before-archiving"} else 1
    # One by one, and for the disk, occasions are instances.
    after *= 5 if mode == "gradual" or fault == "disk-full" else 1
    if mode == "zip" and fault in {"locked", "proxy", "error-before-archiving"}:
        after = 1
    xnat.faults.set(fault, times=times, after=after)
    gateway = Gateway(pet_ct)
    made = destination(xnat, books=gateway, mode=mode, max_instances=5)
    gateway.turn(made)
    xnat.go_on()
    xnat.store.settle()
    gateway.run(made)
    made.close()
    is_pet_ct(xnat, gateway)


@pytest.mark.parametrize("mode", ["zip", "gradual", "stow"])
def test_stored_bytes_that_come_back(xnat: XnatDouble, pet_ct: list[Parcel], mode: str) -> None:
    """The gateway's own disk does not give the only PT for a while."""
    path = pet_ct[5].parts[0].path
    kept = path.read_bytes()
    path.unlink()
    gateway = Gateway(pet_ct[:6])
    made = destination(xnat, books=gateway, mode=mode)
    gateway.turn(made)
    assert gateway.states[5] == "failed"
    path.write_bytes(kept)
    gateway.run(made)
    made.close()
    is_pet_ct(xnat, gateway)


@pytest.mark.parametrize("mode", ["zip", "gradual", "stow"])
@pytest.mark.parametrize("fault", ["", "full", "disk-full"])
def test_what_gathers_is_not_archived_by_the_rebuilder(
    xnat: XnatDouble, pet_ct: list[Parcel], mode: str, fault: str
) -> None:
    """The project archives by itself what is left receiving for five minutes; the PT come later than that."""
    gateway = Gateway(pet_ct)
    made = destination(xnat, books=gateway, mode=mode, max_instances=5)
    if fault:
        xnat.faults.set(fault, times=99, after=5 if mode == "gradual" or fault == "disk-full" else 1)
        gateway.turn(made)
        xnat.faults.set(fault, times=0)
    else:
        gateway.states |= {one.delivery_id: one.state for one in made.send(pet_ct[:5])}
    assert xnat.store.archived("CHEST") == {}
    xnat.wait(400)
    gateway.run(made)
    made.close()
    is_pet_ct(xnat, gateway)


# Any call -----------------------------------------------------------------------------------------------------------


class Trouble:
    """Something else than XNAT's answer at the ``at``-th request; ``until_login`` also to all that follow."""

    def __init__(self, xnat: XnatDouble, answer: Answer, at: int, *, until_login: bool) -> None:
        self.xnat, self.answer, self.at, self.until_login = xnat, answer, at, until_login
        self.met = ""

    def __call__(self, method: str, path: str) -> Answer | None:
        self.at -= 1
        if self.at == -1:
            self.met = f"{method} {path}"
            if self.until_login:
                self.xnat.expire()
        ended = self.until_login and self.at < 0 and not self.xnat.sessions
        return self.answer if self.at == -1 or ended else None


#: What stands at the place of XNAT's answer, and whether it stands there until the gateway logs in again.
TROUBLES = {
    "400": (Answer(400), False),
    "404": (Answer(404), False),
    "500": (Answer(500), False),
    "504": (Answer(504, b"<html>", "text/html"), False),
    "cut": (Answer(CUT), False),
    "no table": (Answer(200, b'{"ResultSet": {"Title": "x"}}'), False),
    "half a table": (Answer(200, b'{"ResultSet": {"Result": [{'), False),
    "page": (Answer(200, LOGIN, "text/html"), False),
    # To a session that has ended, instead of 401.
    "login by 302": (Answer(302, LOGIN, "text/html", {"Location": "/app/template/Login.vm"}), True),
    "login page": (Answer(200, LOGIN, "text/html"), True),
}


@pytest.mark.parametrize(
    ("kind", "mode"), [*((kind, "zip") for kind in TROUBLES), ("504", "gradual"), ("no table", "gradual")]
)
def test_a_trouble_at_any_call(tmp_path: Path, kind: str, mode: str) -> None:
    """At each request of a delivery in turn; a corrected instance is there already in its old version."""
    answer, until_login = TROUBLES[kind]
    parcels = [instance(tmp_path, number) for number in (1, 0)]
    (tmp_path / "old").mkdir()
    old = instance(tmp_path / "old", 0, size=100)
    met: list[str] = []
    orders = 1 if mode == "zip" else 2
    with xnat_server(tmp_path / "xnat") as xnat:
        project = xnat.store.projects["CHEST"]
        made = destination(xnat, mode=mode)
        while len(met) < 99:
            for label in list(project.experiments):
                xnat.store.delete_experiment("CHEST", label)
            assert said(made.send([old])) == [("confirmed", "archived")]
            parcels.reverse()
            trouble = xnat.instead = Trouble(xnat, answer, len(met) // orders, until_login=until_login)
            gateway = Gateway(parcels)
            told = gateway.run(made)
            assert set(gateway.states.values()) == {"confirmed"}, (trouble.met, told)
            assert len(project.experiments) == 1
            assert stored(xnat) == contents(parcels), (trouble.met, told)
            xnat.instead = lambda _method, _path: None
            met.append(trouble.met)
            # One by one in each order of the two; an archive holds both.
            if not trouble.met and not met[-orders]:
                break
        made.close()
        assert xnat.store.collisions == []
    assert len(met) >= 8 * orders
    assert any("/services/import" in one for one in met)
    assert any(one.endswith("/prearchive/projects/CHEST") for one in met)


def test_a_connection_that_is_cut_while_xnat_goes_on(xnat: XnatDouble, tmp_path: Path) -> None:
    """It was kept open since the last request: what it carried is not sent again on another one before a look."""
    parcels = [instance(tmp_path, number) for number in range(4)]
    made = destination(xnat)
    xnat.faults.set("cut-archiving")
    assert said(made.send(parcels)) == [("sent", "processing")] * 4
    assert len(xnat.made("POST", "/data/services/import")) == 1
    xnat.go_on()
    assert said(made.confirm(parcels)) == [("confirmed", "archived")] * 4
    made.close()


# What is not told is not taken for good -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/subjects", "/experiments", "/prearchive/projects/CHEST"])
@pytest.mark.parametrize("what", ["guest", "part"])
def test_labels_that_are_not_listed_are_not_free(xnat: XnatDouble, tmp_path: Path, path: str, what: str) -> None:
    """A session ends before labels are listed, and a guest is shown nothing; or the list is not whole."""
    xnat.store.projects["CHEST"].subjects.append("Subject-1")

    def instead(_method: str, asked: str) -> Answer | None:
        if not asked.endswith(path):
            return None
        xnat.instead = lambda _method, _path: None
        if what == "part":
            return Answer(200, b'{"ResultSet": {"Result": [], "totalRecords": "1"}}')
        xnat.guests = True
        xnat.expire()
        return None

    xnat.instead = instead
    made = destination(xnat)
    parcels = [instance(tmp_path, 0)]
    told = [said(made.send(parcels)) for _ in range(3)]
    made.close()
    assert told[-1] == [("dead", "label-collision")]
    assert xnat.store.archived("CHEST") == {}


@pytest.mark.parametrize("answer", [LOGIN, b"", b"7", 403, 500])
def test_a_prearchive_setting_that_is_not_told(xnat: XnatDouble, tmp_path: Path, answer: bytes | int) -> None:
    """Nobody knows then whether a person archives."""
    told = Answer(answer, b"x") if isinstance(answer, int) else Answer(200, answer)
    xnat.instead = lambda _method, path: told if path.endswith("/prearchive_code") else None
    parcels = [instance(tmp_path, 0)]
    made = destination(xnat, into="prearchive")
    [outcome] = made.send(parcels)
    made.close()
    assert outcome.state == "failed"
    assert "allow_auto_archive" in outcome.detail
    assert xnat.made("POST", "/data/services/import") == []
    made = destination(xnat, into="prearchive", allow_auto_archive=True)
    assert said(made.send(parcels)) == [("confirmed", "prearchived")]
    made.close()


# What waits for a person --------------------------------------------------------------------------------------------


def test_a_quarantine_that_comes_while_more_gathers(xnat: XnatDouble, tmp_path: Path) -> None:
    """Other studies of the call are not held up, what gathered is kept, and goes by itself when it is over."""
    xnat.rights["gateway"]["CHEST"] = "edit"
    parcels = [instance(tmp_path, number) for number in range(2)]
    other = instance(tmp_path, 9, study="2.25.9")
    books = Gathering()
    made = destination(xnat, books=books)
    books.more = None
    assert said(made.send(parcels[:1])) == [("confirmed", "archived")]
    books.more = 7.0
    assert said(made.send([parcels[1], other])) == [("sent", "processing")] * 2
    [session] = xnat.store.projects["CHEST"].experiments.values()
    session.quarantined = True
    books.more = None
    outcomes = made.confirm([parcels[1], other])
    assert said(outcomes) == [("sent", "waits-for-a-person"), ("confirmed", "archived")]
    assert "activate" in outcomes[0].detail
    session.quarantined = False
    assert said(made.confirm(parcels)) == [("confirmed", "archived")] * 2
    made.close()


@pytest.mark.parametrize(
    ("label", "sop_class"),
    [
        ("{session}_late", "1.2.840.10008.5.1.4.1.1.88.11"),  # SR, where a PR has made that session
        ("{session}_{modality}", "1.2.840.10008.5.1.4.1.1.88.59"),  # KO: the gateway does not know its type
    ],
)
def test_a_remedy_that_is_none_is_not_told(xnat: XnatDouble, tmp_path: Path, label: str, sop_class: str) -> None:
    """``other_modality_session`` is set, and yet XNAT refuses the merge: to set it helps nobody."""
    made = destination(xnat, other_modality_session=label)
    assert said(made.send([instance(tmp_path, 0)])) == [("confirmed", "archived")]
    presentation = instance(tmp_path, 1, sop_class="1.2.840.10008.5.1.4.1.1.11.1", modality="PR", series=2)
    assert said(made.send([presentation])) == [("confirmed", "archived")]
    late = [instance(tmp_path, 2, sop_class=sop_class, modality="SR", series=3)]
    [outcome] = made.send(late)
    assert (outcome.state, outcome.code) == ("dead", "waits-for-a-person")
    assert "or set other_modality_session" not in outcome.detail
    # What it says helps.
    xnat.store.merges_modalities = True
    assert said(made.send(late)) == [("confirmed", "archived")]
    made.close()


def test_a_session_that_waits_in_the_prearchive_in_another_case(xnat: XnatDouble, tmp_path: Path) -> None:
    xnat.store.projects["CHEST"].code = 0
    parcels = [instance(tmp_path, 0)]
    first = destination(xnat, into="prearchive", session="a-{study}")
    second = destination(xnat, session="A-{study}")
    assert said(first.send(parcels)) == [("confirmed", "prearchived")]
    assert said(second.send(parcels)) == [("dead", "label-collision")]
    first.close()
    second.close()


@pytest.mark.parametrize("first", ["7", "11.1", "66.4"])  # SC, PR, SEG: of no type of their own
def test_images_that_come_after_what_has_no_type(xnat: XnatDouble, tmp_path: Path, first: str) -> None:
    made = destination(xnat, other_modality_session="{session}_{modality}")
    parcels = [instance(tmp_path, 0, sop_class=f"1.2.840.10008.5.1.4.1.1.{first}", modality="OT")]
    assert said(made.send(parcels)) == [("confirmed", "archived")]
    parcels.append(instance(tmp_path, 1, series=2))
    assert said(made.send(parcels[1:])) == [("confirmed", "archived")]
    assert said(made.confirm(parcels)) == [("confirmed", "archived")] * 2
    assert [one.type for one in xnat.store.projects["CHEST"].experiments.values()][1:] == ["ctSessionData"]
    made.close()
