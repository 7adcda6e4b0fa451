"""gateway.profile.action and gateway.profile.rules: what rules may say, and of which elements."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.profile import (
    Bins,
    Mapping_,
    Options,
    Prefix,
    Pseudonym,
    Rounding,
    Substitution,
    Truncation,
    Verb,
    load_profile,
)
from gateway.profile.expression import Expression
from tests.unit.profile.writing import attributes, load, write

DATES = "dates: {shift: per-patient, days: -10..-1}\n"


@pytest.mark.parametrize(
    ("rule", "tag", "verb", "options"),
    [
        ("{truncate-date: [StudyDate], to: year}", 0x00080020, Verb.TRUNCATE_DATE, Truncation("year")),
        (
            '{pseudonymise: [AccessionNumber], format: "A{base32:12}"}',
            0x00080050,
            Verb.PSEUDONYMISE,
            Pseudonym("keyed", "A{base32:12}"),
        ),
        (
            '{pseudonymise: [AccessionNumber], sequential: "N{number:06}"}',
            0x00080050,
            Verb.PSEUDONYMISE,
            Pseudonym("sequential", "N{number:06}"),
        ),
        # without otherwise a value that the map lacks holds the instance
        (
            "map: {PatientSex: {M: F, ' F ': M, O: ''}}",
            0x00100040,
            Verb.MAP,
            Mapping_((("M", "F"), ("F", "M"), ("O", "")), "hold"),
        ),
        ("{map: {PatientSex: {M: F}}, otherwise: keep}", 0x00100040, Verb.MAP, Mapping_((("M", "F"),), "keep")),
        ("generalise: {PatientAge: {bins: 5Y, top: 090Y}}", 0x00101010, Verb.GENERALISE, Bins(5, 90)),
        ("generalise: {PatientAge: {bins: 10Y}}", 0x00101010, Verb.GENERALISE, Bins(10)),
        ("generalise: {PatientAge: {top: 90Y}}", 0x00101010, Verb.GENERALISE, Bins(1, 90)),
        ("generalise: {PatientSize: {round: 0.05}}", 0x00101020, Verb.GENERALISE, Rounding(Decimal("0.05"))),
        ("generalise: {NumberOfFrames: {round: 10}}", 0x00280008, Verb.GENERALISE, Rounding(Decimal(10))),
        ("generalise: {PatientAddress: {first: 3}}", 0x00101040, Verb.GENERALISE, Prefix(3)),
        # without otherwise a value in which nothing matches goes
        (
            "regex: {StudyDescription: {pattern: '^([A-Z]+) .*', replacement: '\\1'}}",
            0x00081030,
            Verb.REGEX,
            Substitution(Expression("^([A-Z]+) .*"), "\\1", "remove"),
        ),
    ],
)
def test_options(tmp_path: Path, rule: str, tag: int, verb: Verb, options: Options) -> None:
    action = load(tmp_path, attributes(rule)).action(tag)
    assert (action.verb, action.options) == (verb, options)


def test_pseudonyms_from_a_table(tmp_path: Path) -> None:
    (tmp_path / "rooms.csv").write_text("value,pseudonym\nRoom 5,R1\n", encoding="utf-8")
    rule = "{pseudonymise: [StationName], table: rooms.csv, missing: empty}"
    program = load(tmp_path, attributes(rule))
    options = program.action(0x00081010).options
    assert isinstance(options, Pseudonym)
    assert options.table is not None
    assert (options.kind, options.missing, options.table.find(" Room 5 "), options.table.find("Room 6")) == (
        "table", "empty", "R1", None,
    )  # fmt: skip
    # A row more is another profile.
    (tmp_path / "rooms.csv").write_text("value,pseudonym\nRoom 5,R1\nRoom 6,R2\n", encoding="utf-8")
    assert load(tmp_path, attributes(rule)).digest != program.digest


@pytest.mark.parametrize(
    ("rule", "place", "words"),
    [
        # a key that belongs to another verb
        ("{keep: [Rows], to: year}", "4:24", '"to" belongs to truncate-date, and this rule says keep'),
        ("{keep: [Rows], otherwise: hold}", "4:31", '"otherwise" belongs to map'),
        ("{keep: [Rows], format: x}", "4:28", '"format" belongs to pseudonymise'),
        # conditions
        ("{keep: [Rows], when: Modalty == 1}", "4:26", 'did you mean "Modality"'),
        ("{keep: [Rows], when: 'Modality = 1'}", "4:26", "equality is written =="),
        ("{keep: [Rows], when: PixelData == 1}", "4:26", "has no values to compare: use present"),
        # dates
        ("{truncate-date: [StudyDate]}", "4:21", 'needs "to: year" or "to: month"'),
        ("{truncate-date: [StudyDate], to: day}", "4:38", '"day" is not allowed'),
        ("{truncate-date: [StudyTime], to: year}", "4:22", "StudyTime has VR TM"),
        ("shift-date: [PatientName]", "4:18", "shift-date shifts dates and times, and PatientName has VR PN"),
        # pseudonyms
        ("{pseudonymise: [StationName]}", "4:20", "exactly one of format, table and sequential"),
        ("{pseudonymise: [StationName], format: 'A', sequential: 'B'}", "4:20", "exactly one of format"),
        ("{pseudonymise: [StationName], format: '{digits:3}'}", "4:43", "40 to 192 are needed"),
        (
            "{pseudonymise: [StationName], format: '{base32:20}'}",
            "4:21",
            "grow to 20 characters, and StationName, VR SH",
        ),
        ("{pseudonymise: [Modality], format: '{hex:12}'}", "4:21", "is no valid value for Modality, VR CS"),
        ("{pseudonymise: [StationName], sequential: 'N'}", "4:47", "a sequential pseudonym has one placeholder"),
        ("{pseudonymise: [StationName], sequential: 'STATION-{number}'}", "4:21", "grow to 17 characters"),
        ("{pseudonymise: [StudyDate], format: '{digits:13}'}", "4:21", "pseudonymise writes text, and StudyDate"),
        ("{pseudonymise: [StationName], table: none.csv}", "4:42", "none.csv cannot be read"),
        ("{pseudonymise: [StationName], format: 'A{base32:12}', missing: hold}", "4:68", "only a table can lack"),
        # values
        ("map: {PatientSex: {M: Man}}", "4:23", '"Man" is no valid value for PatientSex, VR CS'),
        ("map: {PatientSex: {M: 1}}", "4:27", "write it in quotes"),
        ("map: {PatientSex: {M: F, 'M ': O}}", "4:36", '"M" is mapped twice'),
        ("map: {PixelData: {M: F}}", "4:22", "map writes text, and PixelData has VR OB or OW"),
        ("generalise: {PatientAge: {}}", "4:30", "say one of bins and top, round or first"),
        ("generalise: {PatientAge: {bins: 5Y, first: 1}}", "4:30", "say one of bins and top, round or first"),
        ("generalise: {PatientAge: {bins: 5Y, top: 91Y}}", "4:46", "a multiple of the bins of 5 years"),
        ("generalise: {PatientAge: {bins: 5}}", "4:37", "years are written with a Y: 5Y"),
        ("generalise: {PatientSize: {bins: 5Y}}", "4:31", "bins are for ages, and PatientSize has VR DS"),
        ("generalise: {PatientName: {round: 5}}", "4:31", "round is for numbers"),
        ("generalise: {NumberOfFrames: {round: 0.5}}", "4:34", "holds whole numbers: round to whole ones"),
        ("generalise: {PatientSize: {round: 0}}", "4:39", "greater than 0"),
        ("generalise: {PatientSize: {first: 2}}", "4:31", "first is for text"),
        ("generalise: {PatientSize: {frist: 2}}", "4:32", 'did you mean "first"'),
        ("regex: {StudyDescription: {pattern: '(', replacement: ''}}", "4:41", "the pattern is wrong: missing )"),
        ("regex: {StudyDescription: {pattern: 'A', replacement: '\\1'}}", "4:59", "the replacement is wrong"),
        (r"regex: {StudyDescription: {pattern: '(A)\1', replacement: ''}}", "4:41", r"at character 4: \1 refers to"),
        ("regex: {StudyDescription: {pattern: 'A'}}", "4:31", 'the key "replacement" is missing'),
        ("regex: {Rows: {pattern: 'A', replacement: ''}}", "4:19", "regex works on text, and Rows has VR US"),
        ("clean: [StudyDate]", "4:13", "clean works on text, sequences and graphics, and StudyDate has VR DA"),
        # the top level
        ("insert: {SOPClassUID: '1.2'}", "4:27", "SOPClassUID can only be kept"),
        ("insert: {StudyInstanceUID: '1.2'}", "4:32", "can only be kept or replaced by hash-uid"),
        ("insert: {'*/StationName': A}", "4:31", "insert writes one element of the standard at the top level"),
        ("insert: {'(0019,xx10) ACME': A}", "4:34", "insert writes one element of the standard"),
        ("insert: {StationName: ''}", "4:27", "the value is empty"),
        ("insert: {SourceApplicationEntityTitle: A}", "4:44", "has no place in a data set"),
        ("copy: {StationName: Modalty}", "4:25", 'did you mean "Modality"'),
        ("copy: {StationName: PixelData}", "4:25", "holds no text that could be copied"),
        ("copy: {StudyDate: Modality}", "4:23", "cannot take values of Modality, VR CS"),
        ("copy: {PixelData: Modality}", "4:23", "PixelData has VR OB or OW, which no rule can write"),
        # places and private elements
        ("remove: ['/SOPInstanceUID']", "4:14", "can only be kept or replaced"),
        ("remove: ['*/SpecificCharacterSet']", "4:14", "can only be kept"),
        ("hash-uid: ['(0019,xx0C) SIEMENS MR HEADER']", "4:16", "the private element with VR IS has VR IS"),
        ("replace: {'(0019,xx10) ACME': A}", "4:35", "does not know the VR of this private element"),
        ("dummy: ['(0019,xxxx) ACME']", "4:13", "all elements of a creator, which differ in VR"),
        ("hash-uid: ['VR:PN']", "4:16", "an element of VR PN has VR PN"),
        ("empty: [safe-private]", "4:13", 'for "safe-private" this version knows keep or remove'),
    ],
)
def test_errors(tmp_path: Path, rule: str, place: str, words: str) -> None:
    path = write(tmp_path, attributes(rule))
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    assert words in str(caught.value)
    assert caught.value.facts["place"] == f"{path}:{place}"


def test_shift_date_takes_times_and_the_vr(tmp_path: Path) -> None:
    text = attributes("shift-date: ['VR:DA', 'VR:DT', 'VR:TM', '(0040,0002)']").replace(
        "attributes", DATES + "attributes"
    )
    program = load(tmp_path, text)
    assert {program.action(tag).verb for tag in (0x00080020, 0x00080030, 0x0008002A)} == {Verb.SHIFT_DATE}
