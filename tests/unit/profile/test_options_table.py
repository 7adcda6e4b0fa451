"""The shipped layers against Table E.1-1, row by row; the table is read here independently."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

import pytest

from gateway.dicom.dictionary import entry
from gateway.profile import Action, Program, Pseudonym, Verb, load_profile, shipped_profiles
from tests.unit.profile.writing import load

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "tests" / "scorer" / "data" / "ps3.15-e.1-1.csv"
TABLE = list(csv.DictReader(SOURCE.read_text(encoding="utf-8").splitlines()))

#: Layer -> column of the table, code of PS3.16 CID 7050, number of cells K and C.
OPTIONS: Final = {
    "retain-safe-private": ("retain_safe_private", "113111", 0, 1),
    "retain-uids": ("retain_uids", "113110", 60, 0),
    "retain-device-identity": ("retain_device", "113109", 48, 11),
    "retain-institution-identity": ("retain_institution", "113112", 10, 0),
    "retain-patient-characteristics": ("retain_patient_chars", "113108", 14, 5),
    "retain-longitudinal-full-dates": ("retain_long_full_dates", "113106", 169, 0),
    "retain-longitudinal-modified-dates": ("retain_long_modified_dates", "113107", 0, 169),
    "clean-descriptors": ("clean_descriptors", "113105", 0, 141),
    "clean-structured-content": ("clean_structured_content", "113104", 0, 4),
    "clean-graphics": ("clean_graphics", "113103", 0, 4),
}
#: The verb of basic for the cells C whose values nothing similar could stand for.
AS_IN_BASIC: Final = {
    "TimezoneOffsetFromUTC": Verb.REMOVE,
    "CertifiedTimestamp": Verb.REMOVE,
    "FrameOriginTimestamp": Verb.DUMMY,
    "MakerNote": Verb.REMOVE,
    "DeviceSettingDescription": Verb.REMOVE,
}
#: Dates of machines, which no layer that shifts dates keeps: with two patients' shifts they would tell both.
OF_MACHINES: Final = {
    "CalibrationDate", "CalibrationDateTime", "CalibrationTime", "DateOfInstallation", "DateOfLastCalibration",
    "DateOfLastDetectorCalibration", "DateOfManufacture", "DateTimeOfLastCalibration", "TimeOfLastCalibration",
    "TimeOfLastDetectorCalibration",
}  # fmt: skip


def tags_of(text: str) -> list[int]:
    group, element = text.strip("()").split(",")
    groups = [group.replace("xx", f"{number:02X}") for number in (0x00, 0x02, 0x1E)] if "x" in group else [group]
    elements = ["0005", "0010", "2500"] if element == "xxxx" else [element]
    return [int(one + two, 16) for one in groups for two in elements]


def verb_of(row: dict[str, str], code: str, tag: int) -> Verb:
    """What a cell asks for: K keeps; C shifts dates but those of machines, gives AE titles a pseudonym and cleans
    everything else."""
    if code == "K":
        return Verb.KEEP
    if row["keyword"] in OF_MACHINES:
        # The table lets one of them never be removed.
        return Verb.EMPTY if row["keyword"] == "CalibrationDateTime" else Verb.REMOVE_OR_EMPTY_OR_DUMMY
    if row["keyword"] in AS_IN_BASIC:
        return AS_IN_BASIC[row["keyword"]]
    known = entry(tag)
    assert known is not None
    return {"DA": Verb.SHIFT_DATE, "DT": Verb.SHIFT_DATE, "TM": Verb.SHIFT_DATE, "AE": Verb.PSEUDONYMISE}.get(
        known.vr, Verb.CLEAN
    )


@pytest.fixture(scope="module")
def basic() -> Program:
    return load_profile("basic")


@pytest.mark.parametrize("option", [name for name in OPTIONS if name != "retain-safe-private"])
def test_a_layer_says_what_its_column_says(option: str, tmp_path: Path, basic: Program) -> None:
    column, code, kept, cleaned = OPTIONS[option]
    program = load(tmp_path, f"profile: mine\nuse: [basic, {option}]\n")
    cells = [row[column] for row in TABLE if row[column]]
    assert (cells.count("K"), cells.count("C"), len(cells)) == (kept, cleaned, kept + cleaned)
    wrong = []
    for row in TABLE:
        if row["tag"].startswith("(gggg"):
            continue
        for tag in tags_of(row["tag"]):
            action = program.action(tag)
            if row[column]:
                expected = verb_of(row, row[column], tag)
                if (action.verb, action.origin.layer, action.when) != (expected, option, None):
                    wrong.append((f"{tag:08X}", row["keyword"], row[column], action))
            elif same(action, basic.action(tag)) is False and not beyond(action, option):
                wrong.append((f"{tag:08X}", row["keyword"], "", action))
    assert wrong == []
    assert [one.value for one in program.codes] == ["113100", code]
    assert program.private == basic.private


def same(one: Action, other: Action) -> bool:
    return (one.verb, one.value, one.options) == (other.verb, other.value, other.options)


def beyond(action: Action, option: str) -> bool:
    """Geometry and texts of overlays, which are in a row of the table only as part of their plane."""
    return option == "clean-graphics" and action.origin.layer == option and action.origin.clause == "PS3.3 C.9.2"


def test_private_elements_known_to_be_safe(tmp_path: Path, basic: Program) -> None:
    program = load(tmp_path, "profile: mine\nuse: [basic, retain-safe-private]\n")
    assert [row["retain_safe_private"] for row in TABLE if row["retain_safe_private"]] == ["C"]
    assert program.safe is not None
    assert (program.safe.verb, program.safe.origin.layer) == (Verb.KEEP, "retain-safe-private")
    # Those that nobody knows still go.
    assert program.private == basic.private
    assert not basic.safe_private
    assert [one.value for one in program.codes] == ["113100", "113111"]
    assert [tag for tag, action in program.actions.items() if not same(action, basic.action(tag))] == []


@pytest.mark.parametrize("option", OPTIONS)
def test_what_a_layer_says_beyond_the_table(option: str, tmp_path: Path, basic: Program) -> None:
    """Only what basic treats beyond the table as well, so that references and dates stay consistent."""
    program = load(tmp_path, f"profile: mine\nuse: [basic, {option}]\n")
    listed = {tag for row in TABLE if "g" not in row["tag"] and "x" not in row["tag"] for tag in tags_of(row["tag"])}
    added = {
        tag: action for tag, action in program.actions.items() if tag not in listed and action.origin.layer == option
    }
    counters = {0x00187010, 0x00187011} & set(added)
    assert bool(counters) is (option == "retain-longitudinal-modified-dates")
    assert all(added.pop(tag).verb is Verb.REMOVE_OR_EMPTY_OR_DUMMY for tag in counters)
    vrs = {(entry(tag) or pytest.fail("unknown")).vr for tag in added}
    allowed = {
        "retain-uids": {"UI"},
        "retain-longitudinal-full-dates": {"DA", "DT", "TM"},
        "retain-longitudinal-modified-dates": {"DA", "DT", "TM"},
        # Machines and organisations that the layer for unlisted attributes takes away.
        "retain-device-identity": {"LO", "SH", "ST"},
        "retain-institution-identity": {"LO", "ST"},
    }
    assert vrs == allowed.get(option, set())
    assert all(action.because and basic.action(tag).verb is not Verb.KEEP for tag, action in added.items())


def test_dates_say_what_is_done(tmp_path: Path) -> None:
    full = load(tmp_path, "profile: mine\nuse: [basic, retain-longitudinal-full-dates]\n")
    assert (full.dates, full.shift) == ("UNMODIFIED", None)
    modified = load(tmp_path, "profile: mine\nuse: [basic, retain-longitudinal-modified-dates]\n")
    assert modified.dates == "MODIFIED"
    assert modified.shift is not None
    assert (modified.shift.first, modified.shift.last) == (-730, -1)


def test_titles_of_machines_get_a_pseudonym(tmp_path: Path) -> None:
    program = load(tmp_path, "profile: mine\nuse: [basic, retain-device-identity]\n")
    assert program.action(0x00080055).options == Pseudonym("keyed", "AE{base32:12}")


def test_layers_are_readable() -> None:
    for name in OPTIONS:
        text = (shipped_profiles() / f"{name}.yaml").read_text(encoding="utf-8")
        assert max(len(line) for line in text.splitlines()) <= 120, name
        assert text.startswith("# "), name
        assert f"profile: {name}\n" in text
