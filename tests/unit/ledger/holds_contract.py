"""Held instances: found by what is known of them, shown to people, and opened again. On whatever database."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import BurnedInTextSuspected, FeaturesSuspected
from gateway.ledger import HeldAbout, HeldFilter, InstanceState, Ledger, ReviewRecord
from tests.unit.ledger.build import at, bring, claim, deidentified, finish, held, received, state_of

KEYS = {"sop_key": "sop-a", "content_key": "content-a"}
TEXT, FACE = BurnedInTextSuspected.code, FeaturesSuspected.code


def hold(ledger: Ledger, number: int, code: str = TEXT, **known: Any) -> int:
    """Hold a new instance of which something is known; its row id."""
    values = {"maker": "ACME", "model": "Sono 3", "rows": 480, "columns": 640, "study_key": "s", "series_key": "r"}
    ledger.instances.record([received(number)])
    (claimed,) = claim(ledger)
    result = held(
        claimed.instance_id, code=code, sop_key=f"sop-{number}", content_key="c", about=HeldAbout(**{**values, **known})
    )
    finish(ledger, result)
    return claimed.instance_id


def audited(ledger: Ledger) -> list[dict[str, Any]]:
    return [json.loads(record.document) for record in ledger.audit.trail()]


def released(number: int, **about: Any) -> ReviewRecord:
    return ReviewRecord(instance_id=number, decision="release", boxes=(), actor="dpo", because="seen", **about)


class HoldsContract:
    """Every test takes the fixture ``ledger``: an open, empty ledger."""

    def test_what_is_known_is_kept(self, ledger: Ledger) -> None:
        about = HeldAbout(
            study_key="s", series_key="r", maker="ACME", model="Sono 3", modality="US", rows=4, columns=5, frames=2,
            boxes=((0, 1, 2, 3),), left=((1, 1, 1, 1), (2, 2, 2, 2)),
        )  # fmt: skip
        number = hold(ledger, 1, **{name: getattr(about, name) for name in HeldAbout.__slots__})
        one = ledger.holds.instance(number)
        assert one is not None
        assert one.about == about
        # Nothing is known of what was held by an earlier version, or could not be read.
        plain = bring(ledger, InstanceState.HELD, 2)
        (other,) = ledger.holds.instances(after=number)
        assert (other.instance_id, other.about) == (plain, HeldAbout())

    def test_filters(self, ledger: Ledger) -> None:
        first = hold(ledger, 1)
        second = hold(ledger, 2, FACE, maker="Omega 100%", model="X_1", rows=600, study_key="t", series_key="q")
        third = bring(ledger, InstanceState.HELD, 3)
        rows: tuple[tuple[dict[str, Any], list[int]], ...] = (
            ({}, [first, second, third]),
            ({"numbers": (first, third)}, [first, third]),
            ({"numbers": ()}, []),
            ({"code": FACE}, [second]),
            ({"device": "sono"}, [first]),
            ({"device": "ACME S"}, [first]),
            # signs of patterns stand for themselves
            ({"device": "100%"}, [second]),
            ({"device": "x_1"}, [second]),
            ({"device": "%"}, [second]),
            ({"maker": "ACME", "rows": 480, "columns": 640}, [first]),
            ({"maker": "acme"}, []),
            ({"study": (("lungs", "t"), ("other", "s"))}, [second]),
            ({"series": (("lungs", "r"),)}, [first]),
            ({"series": ()}, []),
            ({"since": at(0)}, [first, second, third]),
            ({"since": at(10**6)}, []),
        )
        for which, expected in rows:
            found = [one.instance_id for one in ledger.holds.instances(which=HeldFilter(**which), limit=None)]
            assert found == expected, which
            assert ledger.holds.count(HeldFilter(**which)) == len(expected)

    def test_groups(self, ledger: Ledger) -> None:
        numbers = [hold(ledger, number, series_key=f"r{number // 2}") for number in range(1, 5)]
        hold(ledger, 5, rows=600)
        bring(ledger, InstanceState.HELD, 6)
        groups = ledger.holds.groups()
        assert [(one.instances, one.series, one.maker, one.rows) for one in groups] == [
            (4, 3, "ACME", 480), (1, 1, "ACME", 600), (1, 1, "", 0),
        ]  # fmt: skip
        assert groups[0].first == numbers[0]
        assert [one.instances for one in ledger.holds.groups(HeldFilter(rows=600))] == [1]

    def test_who_was_shown_what(self, ledger: Ledger) -> None:
        number = hold(ledger, 1)
        ledger.holds.view([number], by="dpo", facts={"frame": 2})
        ledger.holds.view([number], by="other", audited=False)
        assert ledger.holds.viewed([number, 4711], by="dpo") == {number}
        assert ledger.holds.viewed([number], by="nobody") == frozenset()
        (entry,) = audited(ledger)
        assert (entry["action"], entry["actor"], entry["facts"]) == ("held-viewed", "dpo", {"frame": 2})

    def test_a_duplicate_opens_what_is_held(self, ledger: Ledger) -> None:
        original = bring(ledger, InstanceState.HELD, 1, **KEYS)
        ledger.instances.record([received(2)])
        (again,) = claim(ledger, seconds=1)
        (done,) = finish(ledger, deidentified(again.instance_id, **KEYS))
        assert (done.state, done.duplicate_of) == (InstanceState.REJECTED, original)
        assert state_of(ledger, original) == "received"
        (taken,) = claim(ledger, seconds=2)
        assert (taken.instance_id, taken.attempts) == (original, 1)
        (through,) = finish(ledger, deidentified(original, **KEYS))
        assert through.state is InstanceState.DEIDENTIFIED
        assert ledger.accounts.draw().balanced

    def test_copies_that_are_held_together_open_nothing(self, ledger: Ledger) -> None:
        """The one of them that stands for the others was judged just now."""
        ledger.instances.record([received(number) for number in (1, 2, 3)])
        taken = [one.instance_id for one in claim(ledger)]
        finish(ledger, *(held(number, **KEYS) for number in taken))
        assert [state_of(ledger, number) for number in taken] == ["held", "rejected", "rejected"]

    def test_a_retry_forgets_what_was_decided_about_pixels(self, ledger: Ledger) -> None:
        number = hold(ledger, 1)
        ledger.reviews.record(released(number), now=at(1))
        claim(ledger, seconds=1)
        finish(ledger, held(number, code=TEXT))
        ledger.reviews.resume([number], by="admin", because="a rule is there", now=at(2))
        assert ledger.reviews.of([number]) == {}
        claim(ledger, seconds=2)
        # but not what has nothing to do with the cause
        other = hold(ledger, 2)
        ledger.reviews.record(released(other), now=at(3))
        claim(ledger, seconds=3)
        finish(ledger, held(other, code="leak-suspected"))
        ledger.reviews.resume([other], by="admin", because="the word is kept out", now=at(4))
        assert set(ledger.reviews.of([other])) == {other}

    @pytest.mark.parametrize("face_first", [True, False])
    def test_decisions_about_text_and_faces_add_up(self, ledger: Ledger, face_first: bool) -> None:
        number = hold(ledger, 1)
        box = ((0, 0, 9, 9),)
        text = ReviewRecord(
            instance_id=number, decision="mask", boxes=box, actor="dpo", because="a name", features=False
        )
        face = released(number, text=False)
        for decided in (face, text) if face_first else (text, face):
            ledger.reviews.record(decided, now=at(1))
            claim(ledger, seconds=1)
            finish(ledger, held(number, code=TEXT))
        found = ledger.reviews.of([number])[number]
        assert (found.decision, found.boxes, found.text, found.features) == ("mask", box, True, True)

    def test_a_word_about_faces_is_one_about_the_series(self, ledger: Ledger) -> None:
        number = hold(ledger, 1, FACE, series_key="head")
        assert not ledger.holds.series_settled("lungs", "head")
        ledger.reviews.record(released(number, text=False), now=at(1))
        assert ledger.holds.series_settled("lungs", "head")
        assert not ledger.holds.series_settled("other", "head")
        (entry,) = audited(ledger)
        assert entry["facts"] == {"pixels": True, "about": "features"}
