"""Every attribute that somebody can type into is in Table E.1-1 or in the list of those that it lacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gateway.dicom.dictionary import VR_OF, entry
from gateway.profile import Technical, Verb, load_profile, unlisted
from gateway.profile.element import ElementName
from gateway.profile.explain import explain
from gateway.profile.table import row_of

ROOT = Path(__file__).parents[3]


def test_p13_every_text_attribute_of_the_standard_was_thought_of() -> None:
    basic, forgotten = load_profile("basic"), []
    for tag in VR_OF:
        row = entry(tag)
        if row is None or not row.keyword or row.vr not in unlisted.VRS or tag >> 16 in (0x0000, 0x0002, 0x0004):
            continue
        if row_of(tag) is None and tag not in unlisted.rows():
            forgotten.append(row.keyword)
        # Only what something else looks at may have no rule.
        if tag not in basic.actions and row_of(tag) is None and unlisted.groups()[unlisted.rows()[tag]].kind != "code":
            forgotten.append(row.keyword)
    assert forgotten == []


def test_the_list_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "generate-unlisted"), "--check"]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == 0


def test_every_group_has_its_reason() -> None:
    assert {*unlisted.rows().values()} == {*unlisted.groups()}
    assert all(group.because for group in unlisted.groups().values())
    # What is technical stays, and nothing else does.
    assert all((group.verb is Verb.KEEP) is (group.kind in ("technical", "code", "encoding"))
               for group in unlisted.groups().values())  # fmt: skip


def test_a_reason_of_its_own_in_explanations() -> None:
    basic = load_profile("basic")
    ours, theirs = explain(basic, ElementName((), 0x00180024)), explain(basic, ElementName((), 0x00081030))
    assert (ours.reasons[0].layer, ours.reasons[0].clause) == ("unlisted-attributes", "")
    assert ours.reasons[0].because == "the machine writes how it measured"
    assert "stays if it is technical" in ours.reasons[0].words
    assert (theirs.reasons[0].layer, theirs.reasons[0].clause) == ("basic", "PS3.15 Table E.1-1")
    assert basic.action(0x00180024).options == Technical()
