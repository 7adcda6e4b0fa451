"""``gateway held``: what it refuses, and which boxes a reviewer decides on."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest

from gateway.cli.app import main
from gateway.errors import BurnedInTextSuspected, HeldByPixelRule, HeldByRule, LeakSuspected, PixelsUnreadable
from gateway.ledger import HeldInstance, HeldResult, Received
from gateway.pixels.description import PixelDescription
from gateway.review.held_instance import Box, HeldImage, is_about_pixels
from tests.fixtures.ledgers import new_ledger

Run = Callable[..., tuple[int, str]]

IMAGE = PixelDescription(
    rows=40, columns=60, samples_per_pixel=1, photometric_interpretation="MONOCHROME2", bits_allocated=8,
    bits_stored=8, high_bit=7, pixel_representation=0, planar_configuration=0, frames=1,
    transfer_syntax="1.2.840.10008.1.2.1", encapsulated=False,
)  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data of a gateway that holds one instance for its pixels (1) and one for a leak (2)."""
    folder = tmp_path / "data"
    (folder / "spool").mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    with new_ledger(folder / "ledger.sqlite3") as ledger:
        names = ("2026-01-01/one.dcm", "2026-01-01/two.dcm")
        ledger.instances.record(
            [Received(spool_name=name, received_at=datetime.now(UTC), size=1, crc32=1) for name in names]
        )
        ledger.instances.claim("worker", limit=9, lease_seconds=60)
        codes = (BurnedInTextSuspected.code, LeakSuspected.code)
        ledger.instances.finish(
            "worker",
            [HeldResult(instance_id=number, project="default", code=code) for number, code in enumerate(codes, 1)],
        )
    return folder


@pytest.fixture
def run(data: Path) -> Run:
    """Runs ``gateway held`` in this process: exit code and what it prints."""

    def ask(*arguments: str) -> tuple[int, str]:
        printed, status = io.StringIO(), 0
        with (
            redirect_stdout(printed),
            redirect_stderr(printed),
            patch.object(sys, "argv", ["gateway", "held", *arguments]),
            patch.dict(os.environ, {"GATEWAY_DATA": str(data), "PATH": os.environ["PATH"]}, clear=True),
        ):
            try:
                main()
            except SystemExit as ended:
                status = int(ended.code or 0)
        return status, printed.getvalue()

    return ask


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        # a decision without a reason
        (("release", "1", "--because", " "), "needs a reason"),
        (("reject", "1", "--because", ""), "needs a reason"),
        (("mask", "1", "--box", "0,0,1,1", "--because", " "), "needs a reason"),
        # what is no box
        (("mask", "1", "--box", "1,2,3", "--because", "x"), "is not x,y,width,height"),
        (("mask", "1", "--box", "-1,2,3,4", "--because", "x"), "is not x,y,width,height"),
        # nobody is held under that number
        (("release", "7", "--because", "x"), "instance 7 is not held"),
        (("reject", "1", "7", "--because", "x"), "instance 7 is not held"),
        (("show", "7"), "instance 7 is not held"),
        (("retry", "7", "--because", "x"), "instance 7 is not held"),
        # a person's word about what the person has not seen
        (("release", "1", "--because", "x"), "instance 1 was not shown to you"),
        # nobody is meant
        (("retry", "--because", "x"), "say which instances"),
        (("reject", "--because", "x"), "say which instances"),
        (("retry", "--code", "no-route", "--because", "x"), "nothing that is held is meant"),
        (("retry", "--since", "yesterday", "--because", "x"), "is no time"),
        (("retry", "--size", "640", "--because", "x"), "is not COLUMNSxROWS"),
        (("retry", "--sop-class", "ultrasound", "--because", "x"), "may be one of several"),
        (("retry", "--sop-class", "nonsense", "--because", "x"), "no SOP class is called so"),
        (("retry", "--study", "1.2.x", "--because", "x"), "neither the number of a held instance nor"),
        (("retry", "--study", "1", "--because", "x"), "the study of instance 1 is not known"),
        (("retry", "--series", "1", "--because", "x"), "the series of instance 1 is not known"),
        (("retry", "--like", "1", "--because", "x"), "no image is known"),
        (("keep-region", "2", "--box", "0,0,1,1", "--because", "x"), "is held by leak-suspected"),
        (("rule", "2", "--because", "x"), "a pixel rule does not settle that"),
        # boxes do not settle a leak
        (("mask", "2", "--box", "0,0,1,1", "--because", "x"), "is held by leak-suspected"),
        # the bytes are gone: nothing can be blackened that nobody can see
        (("mask", "1", "--box", "0,0,1,1", "--because", "x"), "cannot be read"),
    ],
)
def test_refused(run: Run, data: Path, arguments: tuple[str, ...], told: str) -> None:
    status, printed = run(*arguments)
    assert (status, told in printed) == (2, True), printed
    with new_ledger(data / "ledger.sqlite3") as ledger:
        assert [one.instance_id for one in ledger.holds.instances()] == [1, 2]
        assert list(ledger.audit.trail()) == []


def test_no_picture_is_written_where_one_is(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "there.png"
    target.write_bytes(b"mine")
    assert run("image", "1", "-o", str(target))[0] == 2
    assert target.read_bytes() == b"mine"


def test_release_decides_about_pixels_and_tries_the_others_again(run: Run, data: Path) -> None:
    """A leak is not settled by a look at the picture: the instance has no review, and every check applies."""
    assert run("show", "1")[0] == 0
    status, printed = run("release", "1", "2", "--because", "seen")
    assert status == 0
    assert "instance 1: released" in printed
    assert "instance 2: tried again" in printed
    with new_ledger(data / "ledger.sqlite3") as ledger:
        assert ledger.holds.instances() == []
        assert {number: one.decision for number, one in ledger.reviews.of([1, 2]).items()} == {1: "release"}


def test_reject(run: Run, data: Path) -> None:
    assert run("reject", "1", "2", "--because", "not ours")[0] == 0
    with new_ledger(data / "ledger.sqlite3") as ledger:
        assert ledger.holds.instances() == []
        assert ledger.accounts.draw().balanced


@pytest.mark.parametrize(
    ("code", "pixels"),
    [
        (BurnedInTextSuspected.code, True),
        (HeldByPixelRule.code, True),
        (PixelsUnreadable.code, True),
        # an accept rule is changed in the profile
        (HeldByRule.code, False),
        (LeakSuspected.code, False),
        ("worker-died", False),
    ],
)
def test_what_a_look_at_the_picture_settles(code: str, pixels: bool) -> None:
    assert is_about_pixels(code) is pixels


def held_image(*found: Box, description: PixelDescription | None = IMAGE) -> HeldImage:
    now = datetime.now(UTC)
    one = HeldInstance(
        instance_id=1, project="default", spool_name="one.dcm", source="", calling_ae="", called_ae="",
        sop_class_uid="", size=1, code=BurnedInTextSuspected.code, detail="", attempts=1, received_at=now, held_at=now,
    )  # fmt: skip
    return HeldImage(one, "", "", description, (), (), found)


FOUND = (Box(0, 0, 10, 5), Box(20, 5, 30, 5))


@pytest.mark.parametrize(
    ("added", "without", "boxes"),
    [
        ((), (), FOUND),
        ((), (1,), FOUND[1:]),
        ((Box(1, 1, 2, 2),), (1, 2), (Box(1, 1, 2, 2),)),
        # the same once
        ((FOUND[0],), (), FOUND),
        # up to the edges
        ((Box(0, 0, 60, 40),), (1, 2), (Box(0, 0, 60, 40),)),
    ],
)
def test_boxes(added: tuple[Box, ...], without: tuple[int, ...], boxes: tuple[Box, ...]) -> None:
    assert held_image(*FOUND).boxes(added=added, without=without) == boxes


@pytest.mark.parametrize(
    ("image", "added", "without", "told"),
    [
        (held_image(*FOUND), (), (3,), "there is no box 3: 2 were found"),
        (held_image(*FOUND), (), (0,), "there is no box 0"),
        (held_image(*FOUND), (), (1, 2), "no box is left"),
        (held_image(), (Box(0, 0, 0, 5),), (), "is none"),
        (held_image(), (Box(55, 0, 6, 5),), (), "ends outside the image of 60 columns and 40 rows"),
        (held_image(), (Box(0, 40, 6, 5),), (), "ends outside"),
        (held_image(description=None), (Box(0, 0, 1, 1),), (), "cannot be read"),
    ],
)
def test_wrong_boxes(image: HeldImage, added: tuple[Box, ...], without: tuple[int, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        image.boxes(added=added, without=without)
