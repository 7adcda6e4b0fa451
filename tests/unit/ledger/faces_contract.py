"""Series out of which faces are taken: when one is complete, who has it, and what goes on. On whatever database."""

from __future__ import annotations

from typing import Any

from gateway.errors import BurnedInTextSuspected, FeaturesSuspected, WaitsForSeries
from gateway.ledger import ClaimedSeries, FaceRecord, HeldAbout, Ledger
from tests.unit.ledger.build import at, claim, deidentified, finish, held, received, state_of

QUIET = 60.0
BLANK = FaceRecord(verdict="blank", reason="found", mask=b"m")


def wait(
    ledger: Ledger, *numbers: int, series: str = "s", seconds: float = 0, code: str = WaitsForSeries.code
) -> list[int]:
    """Slices of a series that were received after so many seconds, and wait for it; their row ids."""
    ledger.instances.record([received(number, received_at=at(seconds)) for number in numbers])
    ids = [one.instance_id for one in claim(ledger, seconds=seconds)]
    finish(ledger, *(waiting(number, series, code) for number in ids))
    return ids


def waiting(number: int, series: str = "s", code: str = WaitsForSeries.code) -> Any:
    about = HeldAbout(series_key=series)
    return held(number, code=code, about=about, sop_key=f"sop-{number}", content_key="c")


def take(ledger: Ledger, seconds: float, owner: str = "w", projects: Any = ("lungs",)) -> ClaimedSeries | None:
    return ledger.faces.claim(owner, projects, quiet_seconds=QUIET, lease_seconds=100, now=at(seconds))


def found(ledger: Ledger, claimed: ClaimedSeries | None, face: FaceRecord = BLANK, *, seconds: float = 70) -> bool:
    assert claimed is not None
    faces = {one.instance_id: face for one in claimed.members}
    return ledger.faces.record("w", claimed, faces, now=at(seconds))


class FacesContract:
    """Every test takes the fixture ``ledger``: an open, empty ledger."""

    def test_a_series_is_complete_when_it_was_quiet(self, ledger: Ledger) -> None:
        first, second = wait(ledger, 1, 2)
        assert ledger.faces.of(first) is None
        assert take(ledger, 59) is None
        assert take(ledger, 70, projects=("other",)) is None
        claimed = take(ledger, 70)
        assert claimed is not None
        assert ([one.instance_id for one in claimed.members], claimed.gone, claimed.attempts) == ([first, second], 0, 1)
        # Nobody else gets it meanwhile.
        assert take(ledger, 71, "other") is None
        assert found(ledger, claimed)
        assert (state_of(ledger, first), state_of(ledger, second)) == ("received", "received")
        assert ledger.faces.of(first) == BLANK
        finish(ledger, *(deidentified(one.instance_id, sop_key=f"sop-{one.instance_id}", content_key="c")
                         for one in claim(ledger, seconds=80)))  # fmt: skip
        assert take(ledger, 1000) is None
        assert ledger.accounts.draw().balanced

    def test_a_queue_is_not_quiet(self, ledger: Ledger) -> None:
        """What was received in the quiet time and waits for a worker may be of the series."""
        wait(ledger, 1)
        ledger.instances.record([received(2, received_at=at(30))])
        assert take(ledger, 100) is None
        (other,) = claim(ledger, seconds=100)
        assert take(ledger, 101) is None
        finish(ledger, deidentified(other.instance_id, sop_key="o", content_key="c"))
        assert take(ledger, 103) is not None

    def test_what_comes_late_makes_all_be_done_again(self, ledger: Ledger) -> None:
        (first,) = wait(ledger, 1)
        found(ledger, take(ledger, 70))
        claim(ledger, seconds=75)
        finish(ledger, deidentified(first, sop_key=f"sop-{first}", content_key="c"))
        (late,) = wait(ledger, 2, seconds=80)
        assert take(ledger, 139) is None
        claimed = take(ledger, 141)
        assert claimed is not None
        assert [one.instance_id for one in claimed.members] == [first, late]
        # Where nothing else is found, what went out stays.
        found(ledger, claimed, seconds=142)
        assert (state_of(ledger, first), state_of(ledger, late)) == ("deidentified", "received")
        claim(ledger, seconds=143)
        finish(ledger, deidentified(late, sop_key=f"sop-{late}", content_key="c"))
        wait(ledger, 3, seconds=150)
        found(ledger, take(ledger, 211), FaceRecord(verdict="blank", mask=b"other"), seconds=212)
        assert {state_of(ledger, number) for number in (first, late)} == {"received"}
        assert ledger.accounts.draw().balanced

    def test_a_worker_that_dies_leaves_the_series(self, ledger: Ledger) -> None:
        wait(ledger, 1)
        assert take(ledger, 70) is not None
        ledger.deliveries.release("w", crashed=True, now=at(71))
        again = take(ledger, 72)
        assert again is not None
        assert again.attempts == 2
        # So does one of which nobody heard again: its lease ends, and what it says then is late.
        third = take(ledger, 173, "other")
        assert third is not None
        assert third.attempts == 3
        assert not found(ledger, again, seconds=174)
        # Who gives it back has not tried.
        ledger.faces.give_back("other")
        fourth = take(ledger, 175)
        assert fourth is not None
        assert fourth.attempts == 3

    def test_what_is_held_for_its_face_goes_on_with_it(self, ledger: Ledger) -> None:
        (first,) = wait(ledger, 1, code=FeaturesSuspected.code)
        (text,) = wait(ledger, 2, code=BurnedInTextSuspected.code)
        # A person decides about those: nothing waits for the series.
        assert take(ledger, 100) is None
        (late,) = wait(ledger, 3, seconds=100)
        claimed = take(ledger, 161)
        assert claimed is not None
        assert len(claimed.members) == 3
        found(ledger, claimed, seconds=162)
        assert [state_of(ledger, number) for number in (first, text, late)] == ["received", "held", "received"]

    def test_retrying_looks_anew(self, ledger: Ledger) -> None:
        (first,) = wait(ledger, 1)
        found(ledger, take(ledger, 70), FaceRecord(verdict="doubt"))
        claim(ledger, seconds=75)
        finish(ledger, waiting(first, code=FeaturesSuspected.code))
        ledger.reviews.resume([first], by="dpo", because="another command", now=at(80))
        assert ledger.faces.of(first) is None

    def test_a_person_accepts_what_was_found(self, ledger: Ledger) -> None:
        first, second = wait(ledger, 1, 2)
        claimed = take(ledger, 70)
        assert claimed is not None
        nothing = FaceRecord(verdict="doubt", reason="unsure")
        ledger.faces.record("w", claimed, {first: FaceRecord(verdict="doubt", mask=b"m"), second: nothing}, now=at(71))
        claim(ledger, seconds=75)
        finish(ledger, *(waiting(number, code=FeaturesSuspected.code) for number in (first, second)))
        assert ledger.faces.accept("lungs", "other", actor="dpo", because="seen", now=at(80)) == 0
        assert ledger.faces.accept("lungs", "s", actor="dpo", because="seen", now=at(80)) == 1
        assert {state_of(ledger, number) for number in (first, second)} == {"received"}
        face = ledger.faces.of(first)
        assert face is not None
        assert (face.verdict, face.mask) == ("blank", b"m")

    def test_what_began_to_wait_meanwhile_goes_on(self, ledger: Ledger) -> None:
        (first,) = wait(ledger, 1)
        found(ledger, take(ledger, 70))
        # A worker that had asked before holds it all the same.
        claim(ledger, seconds=75)
        finish(ledger, waiting(first))
        assert take(ledger, 76) is None
        assert state_of(ledger, first) == "received"
