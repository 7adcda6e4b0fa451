"""gateway.profile.check_mosaic: a profile under which volumes change their shape says so when it is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.profile import check_profile
from gateway.profile.check_mosaic import lost_slices
from tests.unit.profile.writing import write

SAFE = "profile: mine\nuse: [basic, retain-safe-private]\n"


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        # keeps private elements, but not the number of slices
        (SAFE, True),
        (SAFE + "attributes: [{keep: ['(0019,xx0C) SIEMENS MR HEADER'], because: needed}]\n", True),
        # the layer, the element itself, or the header that has it
        ("profile: mine\nuse: [basic, retain-safe-private, retain-acquisition-private]\n", False),
        (SAFE + "attributes: [{keep: ['(0019,xx0A) SIEMENS MR HEADER'], only: numeric, because: needed}]\n", False),
        (SAFE + "attributes: [{keep: ['(0029,xx10) SIEMENS CSA HEADER'], because: looked through}]\n", False),
        (SAFE + "attributes: [{keep: ['(0019,xxxx) SIEMENS MR HEADER'], because: looked through}]\n", False),
        # meant, and said so; without a reason it is not
        (SAFE + "attributes: [{remove: ['(0019,xx0A) SIEMENS MR HEADER'], because: no volumes}]\n", False),
        (SAFE + "attributes: [{remove: ['(0019,xx0A) SIEMENS MR HEADER']}]\n", True),
        # mosaics do not go on
        (SAFE + "accept: [{hold: '\"MOSAIC\" in ImageType', because: a person looks}]\n", False),
        (SAFE + 'accept: [{reject: \'!(Modality in ["CR", "DX"])\', because: radiographs}]\n', False),
        (SAFE + "accept: [{reject: 'Manufacturer == \"SIEMENS\"', because: others only}]\n", False),
        # other images do not
        (SAFE + "accept: [{reject: 'Modality == \"CT\"', because: no CT}]\n", True),
    ],
)
def test_a_profile_that_keeps_private_elements(tmp_path: Path, text: str, lost: bool) -> None:
    path = write(tmp_path, text)
    report = check_profile(path)
    found = [warning for warning in report.warnings if warning.text.startswith("mosaics")]
    assert report.program is not None
    assert len(found) == lost
    assert [(one.file, one.line) for one in found] == [(str(path), 1)] * lost
    assert bool(lost_slices(report.program)) == lost


def test_a_profile_without_private_elements_has_no_warning(tmp_path: Path) -> None:
    """The command line notes it: tests/unit/cli/test_profile.py."""
    report = check_profile(write(tmp_path, "profile: mine\nuse: [basic]\n"))
    assert report.program is not None
    assert (report.warnings, bool(lost_slices(report.program))) == ((), True)
