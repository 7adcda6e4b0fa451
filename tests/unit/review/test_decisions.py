"""What people decide about held instances, and what is written of it; the commands are thin above this."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import ConfigurationError, FeaturesSuspected
from gateway.ledger import HeldAbout, HeldResult, Ledger, Received
from gateway.review import decisions
from gateway.review.contact_sheet import once_for_each_series
from gateway.review.decisions import Selection
from gateway.review.held_instance import Box
from gateway.review.rule_writing import add_to_profile
from gateway.settings.configuration import Settings
from tests.fixtures.ledgers import new_ledger
from tests.unit.ledger.build import START

FACE = FeaturesSuspected.code
TEXT = "burned-in-text-suspected"
US = "1.2.840.10008.5.1.4.1.1.6.1"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"data": tmp_path})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """1 and 2: alike, of one series, one with boxes. 3: another size. 4 to 6: two series held for faces. 7: a leak."""
    rows = [
        (TEXT, {"rows": 40, "columns": 60, "series_key": "a", "boxes": ((1, 2, 3, 4),), "left": ((9, 9, 2, 2),)}),
        (TEXT, {"rows": 40, "columns": 60, "series_key": "a"}),
        (TEXT, {"rows": 50, "columns": 60, "series_key": "b"}),
        (FACE, {"rows": 8, "columns": 8, "series_key": "head"}),
        (FACE, {"rows": 8, "columns": 8, "series_key": "head"}),
        (FACE, {"rows": 8, "columns": 8, "series_key": "neck"}),
        ("leak-suspected", {"rows": 40, "columns": 60, "series_key": "a"}),
    ]
    with new_ledger(tmp_path / "ledger.sqlite3") as opened:
        opened.instances.record(
            [
                Received(spool_name=f"2026-01-01/{n:03}.dcm", received_at=START, size=1, crc32=1, sop_class_uid=US)
                for n in range(1, len(rows) + 1)
            ]
        )
        opened.instances.claim("worker", limit=99, lease_seconds=60)
        opened.instances.finish(
            "worker",
            [
                HeldResult(
                    instance_id=number, project="default", code=code,
                    about=HeldAbout(**{"maker": "ACME", "model": "Sono 3", **about}),  # type: ignore[arg-type]
                )
                for number, (code, about) in enumerate(rows, 1)
            ],
        )  # fmt: skip
        yield opened


def chosen(ledger: Ledger, settings: Settings, **choice: object) -> list[int]:
    found = decisions.choose(ledger, settings, Selection(**choice))  # type: ignore[arg-type]
    return [one.instance_id for one in found]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"numbers": (1, 7)}, [1, 7]),
        ({"like": 1}, [1, 2, 7]),
        ({"like": 3}, [3]),
        ({"series": 2}, [1, 2, 7]),
        ({"code": FACE}, [4, 5, 6]),
        ({"device": "sono"}, [1, 2, 3, 4, 5, 6, 7]),
        ({"size": "60x40"}, [1, 2, 7]),
        ({"size": "60X50", "code": TEXT}, [3]),
        ({"sop_class": US}, [1, 2, 3, 4, 5, 6, 7]),
        ({"sop_class": "Ultrasound Image"}, [1, 2, 3, 4, 5, 6, 7]),
        ({"everything": True}, [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_which_are_meant(ledger: Ledger, settings: Settings, choice: dict[str, object], expected: list[int]) -> None:
    assert chosen(ledger, settings, **choice) == expected


def test_a_release_needs_a_look(ledger: Ledger, settings: Settings) -> None:
    held = decisions.choose(ledger, settings, Selection(like=1))
    ledger.holds.view([1], by="other")
    with pytest.raises(ConfigurationError, match="instances 1, 2 were not shown to you"):
        decisions.release(ledger, held, actor="dpo", because="nothing there")
    assert len(ledger.holds.instances()) == 7
    ledger.holds.view([1, 2], by="dpo")
    done = decisions.release(ledger, held, actor="dpo", because="nothing there")
    # A leak is no matter of looking.
    assert (done.text, done.features, done.retried) == ((1, 2), (), (7,))
    assert {number: (one.text, one.features) for number, one in ledger.reviews.of([1, 2, 7]).items()} == {
        1: (True, False), 2: (True, False),
    }  # fmt: skip


def test_a_face_is_decided_about_once_for_its_series(ledger: Ledger, settings: Settings) -> None:
    shown = once_for_each_series(ledger.holds.instances(limit=None))
    assert [(one.instance_id, members) for one, members in shown] == [(1, 1), (2, 1), (3, 1), (4, 2), (6, 1), (7, 1)]
    ledger.holds.view([5], by="dpo")
    # One slice was seen, and the word counts for the others, and for those that come.
    done = decisions.release(
        ledger, decisions.choose(ledger, settings, Selection(numbers=(4,))), actor="dpo", because="a knee"
    )
    assert done.features == (4, 5)
    assert {one.instance_id for one in ledger.holds.instances()} == {1, 2, 3, 6, 7}
    assert ledger.holds.series_settled("default", "head")
    assert not ledger.holds.series_settled("default", "neck")


def test_masks_of_many(ledger: Ledger, settings: Settings) -> None:
    held = decisions.choose(ledger, settings, Selection(numbers=(1, 2)))
    # What both looks found when it was held, and what the person adds; of the second one nothing was found.
    done = decisions.mask(ledger, held, added=[Box(0, 0, 60, 5)], actor="dpo", because="the top")
    assert {number: [box.numbers for box in boxes] for number, boxes in done.items()} == {
        1: [(1, 2, 3, 4), (9, 9, 2, 2), (0, 0, 60, 5)],
        2: [(0, 0, 60, 5)],
    }
    assert ledger.reviews.of([1])[1].boxes == ((1, 2, 3, 4), (9, 9, 2, 2), (0, 0, 60, 5))


@pytest.mark.parametrize(
    ("numbers", "box", "problem"),
    [
        # one has no box: nothing is changed for the other either
        ((1, 2), (), "instance 2: no text was found when it was held"),
        ((1, 3), ((0, 45, 5, 5),), "instance 1: the box 0,45,5,5 ends outside"),
        ((7,), ((0, 0, 1, 1),), "held by leak-suspected"),
    ],
)
def test_masks_that_are_none(
    ledger: Ledger,
    settings: Settings,
    numbers: tuple[int, ...],
    box: tuple[tuple[int, int, int, int], ...],
    problem: str,
) -> None:
    held = decisions.choose(ledger, settings, Selection(numbers=numbers))
    with pytest.raises(ConfigurationError, match=problem):
        decisions.mask(ledger, held, added=[Box(*one) for one in box], actor="dpo", because="x")
    assert len(ledger.holds.instances()) == 7
    assert list(ledger.audit.trail()) == []


def test_regions_that_stay(ledger: Ledger, settings: Settings) -> None:
    held = decisions.choose(ledger, settings, Selection(numbers=(2,)))
    done = decisions.keep_region(ledger, held, regions=[Box(10, 0, 40, 30)], actor="dpo", because="the sector")
    assert [box.numbers for box in done[2]] == [(0, 0, 10, 30), (50, 0, 10, 30), (0, 30, 60, 10)]
    with pytest.raises(ConfigurationError, match="all of the image"):
        decisions.keep_region(
            ledger, decisions.choose(ledger, settings, Selection(numbers=(1,))),
            regions=[Box(0, 0, 60, 40)], actor="dpo", because="x",
        )  # fmt: skip


PROFILE = "profile: mine\nuse: [basic]\n"
AFTER = "# how it is tested\ntests:\n  - given: {Modality: CT}\n    never: [NOBODY]\n"
ADDED = "  - mask: [[0, 0, 9, 9]]\n    when: Rows == 9\n    because: 'x'\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # no rules yet
        (PROFILE, f"{PROFILE}\npixels:\n{ADDED}"),
        # at the end of those that are there, before what follows
        (
            f"{PROFILE}pixels:\n  - encode: rle   # small\n\n{AFTER}",
            f"{PROFILE}pixels:\n  - encode: rle   # small\n{ADDED}\n{AFTER}",
        ),
        (f"{PROFILE}pixels:\n- encode: rle\n", f"{PROFILE}pixels:\n- encode: rle\n{ADDED.replace('  -', '-')}"),
    ],
)
def test_a_rule_is_added_to_a_profile(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(before)
    add_to_profile(path, ADDED)
    assert path.read_text().replace("\n    ", "\n  ") == after.replace("\n    ", "\n  ")


@pytest.mark.parametrize(
    ("before", "problem"),
    [
        (f"{PROFILE}pixels: [{{encode: rle}}]\n", "mine.yaml:3: write the rules below each other"),
        (f"{PROFILE}pixels:\n  - nonsense: 1\n", "the rule does not fit in"),
    ],
)
def test_a_profile_stays_as_it_is_if_a_rule_does_not_fit(tmp_path: Path, before: str, problem: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(before)
    with pytest.raises(ConfigurationError, match=problem):
        add_to_profile(path, ADDED)
    assert path.read_text() == before
