"""Mistakes that people make who write their first profile: each has a message that says how it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.rehearsal.trial import check_by_trial
from tests.unit.profile.writing import BASE, write

RULES = BASE + "attributes:\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            BASE + 'accept:\n- reject: !(Modality in ["CR", "DX"])\n  because: x\n',
            'stands in quotes: write \'!(Modality in ["CR", "DX"])\'',
        ),  # YAML reads ! as a tag
        ("profile: Mi Perfil\nuse: [basic]\n", 'write "mi-perfil"'),  # a name with blanks
        (RULES + '- generalise: {PatientAge: {bins: "5"}}\n', "5Y"),  # a number without its unit
        (RULES + "- generalise: {PatientAge: {bins: 5}}\n", "5Y"),  # the same without quotes
        (RULES + "- generalise: {PatientAge: 5Y}\n", "keys with values stand here: bins"),  # no key for the bins
        (RULES + "- keep: PatientSex\n", "write [PatientSex]"),  # no brackets
        (RULES + "- keep: PatientSex, PatientAge\n", "write [PatientSex, PatientAge]"),  # several without brackets
        (RULES + "- keep [PatientSex]\n", 'is a colon missing behind "keep"?'),  # no colon
        (RULES + "- keep\n", 'is a colon missing behind "keep"?'),  # nothing but the key
        (RULES + "- keep: [“PatientSex”]\n", "quotes are straight"),  # quotes of a word processor
        (RULES + "- keep: [PatientSex]\n  when: Modality == “CR”\n", "quotes are straight"),  # in a condition
        (RULES + "- keep: [PatientSex]\n  when: Modality == ‘CR’\n", "quotes are straight"),  # single ones
        ("perfil: mine\nusar: [basic]\natributos:\n- mantener: [PatientSex]\n", 'the key is "use"'),  # Spanish keys
        (
            RULES + '- mantener: [PatientSex]\n  porque: x\n  cuando: Modality == "CR"\n',
            'the key is "when"',
        ),  # Spanish keys of a rule
        (RULES + "- conservar: [PatientSex]\n", 'the key is "keep"'),  # another word in Spanish
        (RULES + "- keep: [(0010,0040)]\n", "in quotes inside a list"),  # a tag without quotes
        (RULES + "- keep: [0010,0040]\n", "write it in quotes"),  # a tag as numbers
        (RULES + "- keep: [Patient Sex]\n", 'did you mean "PatientSex"?'),  # a keyword with a blank
        (RULES + "- Keep: [PatientSex]\n", 'did you mean "keep"?'),  # capital letters
        (RULES + "- delete: [PatientSex]\n", 'the key is "remove"'),  # another word in English
        (RULES + "- keep: [PatientSex]\n  because:\n", "there is no value"),  # nothing behind a key
        (
            RULES + '- keep: [PatientSex]\n  because: "a" b\n',
            "the quotes end before the text does",
        ),  # quotes around a part
        (
            RULES + "- keep: [PatientSex]\n  because: decision: 12\n",
            "put text that holds a colon in quotes",
        ),  # a colon in a text
        (RULES + "- keep: []\n", "name something, or leave it out"),  # an empty list
        (RULES + "- keep: [PatientSex,]\n  remove: [PatientAge]\n", "a rule has one action"),  # two actions
        (
            RULES + "- replace: {Modality: Computed Tomography}\n",
            "is no valid value for Modality, VR CS",
        ),  # a value that the VR does not have
        (RULES + "- replace: [InstitutionName, X]\n", "write {Name: value}"),  # a list where values are needed
        (RULES + "- replace: {InstitutionName: 12}\n", "write it in quotes"),  # a number where text is needed
        (
            RULES + "- hash-uid: [PatientID]\n",
            "hash-uid replaces UIDs, and PatientID has VR LO",
        ),  # an action that the VR does not take
        (RULES + "- truncate-date: [PatientBirthDate]\n", 'needs "to: year" or "to: month"'),  # no precision
        (RULES + "- shift-date: [StudyDate]\n", 'no layer says by how many days: "dates:'),  # no range of the shift
        (RULES + '- keep: [PatientSex]\n  when: Modality = "CR"\n', "equality is written =="),  # one equals sign
        (
            RULES + '- keep: [PatientSex]\n  when: Modality == "CR" and Rows == 5\n',
            "CEL writes && for and",
        ),  # and in words
        (
            RULES + "- keep: [PatientSex]\n  when: Modality in [CR, DX]\n",
            'text stands in quotes: "CR"',
        ),  # text without quotes
        (
            RULES + "- keep: [PatientSex]\n  when: Modality == CR\n",
            'text stands in quotes: "CR"',
        ),  # one word without quotes
        (RULES + '- keep: [PatientSex]\n  when: Rows > "512"\n', "write Rows > 512"),  # a number in quotes
        (RULES + "- keep: [PatientSex]\n  when: PatientAge < 18\n", "write age_years() < 18"),  # an age as a number
        (
            RULES + '- keep: [PatientSex]\n  when: Modality == "CR" &&\n',
            "it ends too early",
        ),  # a condition that ends too early
        (
            RULES + "- keep: [PatientSex]\n  when: Manufacturer.contains(GE)\n",
            'text stands in quotes: "GE"',
        ),  # an argument without quotes
        (RULES + "- keep: [PatientName]\n", "names the patient"),  # a direct identifier
        (RULES + '- keep: ["(0019,1010)"]\n', "is named with its creator"),  # a private element without its creator
        (RULES + '- keep: ["DeviceSequence.Manufacturer"]\n', "a path is written with slashes"),  # a path with dots
        ("use: [basic]\n", 'the key "profile" is missing'),  # no name
        ("profile: mine\nuse: basic\n", "write [basic]"),  # a layer without brackets
        ("profile: mine\nuse: [Basic]\n", 'write "basic"'),  # a layer in capital letters
        ("profile: mine\nuse: [retain-dates]\n", "there is no profile"),  # a layer that there is not
        (RULES + "  keep: [PatientSex]\n", "each entry begins with a hyphen"),  # no hyphen
        (
            BASE + 'accept:\n  reject: Modality == "SR"\n  because: x\n',
            "each entry begins with a hyphen",
        ),  # no hyphen before a decision
        (
            BASE + 'accept:\n- Modality == "SR"\n',
            "keys with values stand here: accept, reject, hold",
        ),  # a decision without its key
        (
            BASE + 'identity: {patient: {format: "X-{base32}"}}\n',
            "write {base32:N}",
        ),  # a placeholder without its length
        (BASE + "dates: shift\n", "dates are one of removed, unmodified"),  # half of a setting
        (BASE + "dates: {shift: per-patient, days: 30}\n", "a range such as -730..-1"),  # one number for a range
        (BASE + "dates: {shift: per-patient, days: 30..-30}\n", "write -30..30"),  # a range the wrong way round
        (BASE + "pixels:\n- mask: [0, 0, 100, 60]\n", "write [[...]]"),  # one pair of brackets
        (BASE + "pixels:\n- mask: [[0, 0, 100%, 60]]\n", '"100%" is not allowed'),  # percents
        (BASE + "pixels:\n- pass: true\n", "needs because"),  # no reason
        (BASE + "pixels:\n- crop: 150\n", "keys with values stand here: top"),  # a crop without its edge
        (
            BASE + 'tests:\n- given: {PatientNme: X}\n  expect: {PatientName: "{patient}"}\n',
            'did you mean "PatientName"?',
        ),  # a misspelt element in a test
        (BASE + "tests:\n- given: {PatientName: X}\n", "the test expects nothing"),  # a test that cannot fail
        (
            BASE + "tests:\n- given: {PatientName: X}\n  expected: {PatientName: X}\n",
            'the key is "expect"',
        ),  # another word for a key of a test
        (RULES + "\t- keep: [PatientSex]\n", "by spaces, not by tabs"),  # a tab
        (RULES + "- keep: [PatientSex]\n   because: x\n", "check its indentation against line 4"),  # a blank too many
        (RULES + "- keep: [PatientSex\n- remove: [PatientAge]\n", "is a ] missing?"),  # no closing bracket
        (RULES + "- keep: [PatientSex]\n  keep: [PatientAge]\n", "stands here a second time"),  # the same key twice
        ("profile: mine\nattributes:\n- remove: [PatientSex]\n", 'use "basic"'),  # no layers at all
        (
            RULES + '- keep: [PatientSex]\n  when: SOPClassUID == "CT"\n',
            'did you mean "CTImageStorage"?',
        ),  # half of a SOP class
        (
            RULES + '- keep: [PatientSex]\n  when: ImageType == "DERIVED"\n',
            'write "DERIVED" in ImageType',
        ),  # a list compared with a text
        (RULES + '- keep: [PatientSex]\n  when: Modality == "ct"\n', 'did you mean "CT"?'),  # small letters
        (RULES + '- insert: {PatientIdentityRemoved: "NO"}\n', "the gateway's own stamp"),  # a stamp of the gateway's
    ],
)
def test_a_mistake(tmp_path: Path, text: str, words: str) -> None:
    report = check_by_trial(write(tmp_path, text))
    # None of them is called correct without a word, and what is only warned of does not hold everything.
    assert any(words in one.text for one in (*report.errors, *report.warnings))
    assert report.errors or report.program is not None
