"""The Basic Profile of PS3.15 once more, slow and obvious: a walk over pydicom data sets.

It knows the options for dates as well, and ``times``, for the elements that hold a date or a time.

It shares with the engine under test only what is no decision: the key, the dummies, the Types of the IODs. It reads
Table E.1-1 itself and resolves the compound codes itself. ``tests/unit/deid/test_differential.py`` compares the two.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import date, timedelta
from importlib.resources import files
from typing import Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

from gateway.deid import ProjectKey
from gateway.deid.dummies import dummy_document, dummy_sequence, dummy_value
from gateway.deid.technical import is_technical
from gateway.dicom.dictionary import is_known, keyword_of, vr_of
from gateway.dicom.iod import element_type
from gateway.profile import Identity, Program
from gateway.version import SOFTWARE
from tests.scorer.table import action, ruling

_REGISTERED: Final = "1.2.840.10008."
#: Code of the table -> what is done for Type 3 or an attribute outside the IOD, for Type 2, and for Type 1.
_BY_TYPE: Final = {
    "Z/D": ("Z", "Z", "D"),
    "X/Z": ("X", "Z", "Z"),
    "X/D": ("X", "Z", "D"),
    "X/Z/D": ("X", "Z", "D"),
    "X/Z/U*": ("X", "U", "U"),
}

#: Says what the instance is.
_OWN_CLASS: Final = 0x00080016


def _elsewhere() -> frozenset[str]:
    """UIDs that others than DICOM register: coding schemes, and classes of makers."""
    text = (files("gateway.dicom") / "data" / "registered-uids.yaml").read_text(encoding="ascii")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return frozenset(word for line in lines for word in line.split() if word[0].isdecimal())


_ELSEWHERE: Final = _elsewhere()

#: ``Program.dates`` -> the option of the table.
_DATES: Final = {
    "REMOVED": (),
    "UNMODIFIED": ("retain-longitudinal-full-dates",),
    "MODIFIED": ("retain-longitudinal-modified-dates",),
}
#: Dates of machines, which are not shifted.
_OF_MACHINES: Final = frozenset(
    (
        "CalibrationDate", "CalibrationTime", "CalibrationDateTime", "DateOfInstallation", "DateOfLastCalibration",
        "DateOfLastDetectorCalibration", "DateOfManufacture", "DateTimeOfLastCalibration", "TimeOfLastCalibration",
        "TimeOfLastDetectorCalibration", "DateOfGainCalibration", "TimeOfGainCalibration",
    )
)  # fmt: skip
_HOURS: Final = r"(?P<clock>(?:[01]\d|2[0-3])(?::?[0-5]\d(?::?(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?)"
_DAY: Final = re.compile(r"(?P<day>\d{4}\.?\d\d\.?\d\d)")
_CLOCK: Final = re.compile(_HOURS)
_MOMENT: Final = re.compile(rf"(?P<day>\d{{4}}(?:\d\d(?:\d\d)?)?)(?:(?<=\d{{8}}){_HOURS})?(?P<zone>[+-]\d{{4}})?")

#: Verb of the layer for unlisted attributes -> code of the table; other verbs leave something to look at.
_VERBS: Final = {"remove": "X", "remove-or-empty": "X/Z", "remove-or-empty-or-dummy": "X/Z/D"}


def _unlisted() -> dict[str, str]:
    """Keyword -> code of the attributes that the table does not list and that go all the same."""
    folder = files("gateway.profile") / "data"
    groups = csv.DictReader((folder / "unlisted-groups.csv").read_text(encoding="utf-8").splitlines())
    code = {row["group"]: _VERBS[row["verb"]] for row in groups if row["verb"] in _VERBS}
    rows = csv.DictReader((folder / "unlisted.csv").read_text(encoding="utf-8").splitlines())
    return {row["keyword"]: code[row["group"]] for row in rows if row["group"] in code}


_UNLISTED: Final = _unlisted()
#: Repeating groups that no image has any more: (group, first byte of the element or None for all).
_GIVEN_UP: Final = ((0x0020, 0x31), (0x0028, 0x04), (0x0028, 0x08))


def deidentify(dataset: Dataset, key: ProjectKey, program: Program) -> Dataset:
    """A de-identified copy of ``dataset`` by the Basic Profile.

    Parameters
    ----------
    dataset: read with ``pydicom.dcmread``; little endian
    key: the project's key
    program: only its name, version, digest and codes are used, for the stamp, and what it says of dates and times
    """
    walker = _Walker(
        key,
        program,
        _patient(dataset),
        str(dataset.get("SOPClassUID", "")) or str(dataset.file_meta.get("MediaStorageSOPClassUID", "")),
        lists_references=(
            "ReferencedSeriesSequence" in dataset or "StudiesContainingOtherReferencedInstancesSequence" in dataset
        ),
    )
    found = walker.level(dataset, ())
    pseudonym = Identity().patient_pseudonym(key.digest("patient", *_patient(dataset)))
    sop_class = str(dataset.get("SOPClassUID", "")) or str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    for keyword, tag in (("PatientName", 0x00100010), ("PatientID", 0x00100020)):
        # Of Type 2 (PS3.3 C.7.1.1): written where it is absent, too.
        if keyword in dataset or element_type(sop_class, (), tag) in ("1", "2"):
            setattr(found, keyword, pseudonym)
    if "EncapsulatedDocument" in dataset:
        document = dummy_document(str(dataset.get("MIMETypeOfEncapsulatedDocument", "")))
        found.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
        found.EncapsulatedDocumentLength = len(document)
    _stamp(found, dataset, program)
    return found


def _patient(dataset: Dataset) -> tuple[str, ...]:
    """What tells the patient from others: the identifier, the name and birth date, or the study."""

    def text(keyword: str) -> str:
        value = dataset.get(keyword)
        texts = value if isinstance(value, list) else [value]
        return "" if value is None else "\\".join(str(one) for one in texts).strip("\0 ")

    if text("PatientID"):
        return ("id", text("PatientID"), "")
    if text("PatientName").strip("^= "):
        return ("name", text("PatientName"), text("PatientBirthDate"))
    if text("StudyInstanceUID"):
        return ("study", text("StudyInstanceUID"))
    return ("instance", text("SOPInstanceUID") or str(dataset.file_meta.get("MediaStorageSOPInstanceUID", "")))


def _stamp(found: Dataset, dataset: Dataset, program: Program) -> None:
    earlier = dataset.get("DeidentificationMethod") or []
    texts = [SOFTWARE, f"Profile {program.profile} {program.version}", f"Digest {program.digest[:32]}"]
    before = [earlier] if isinstance(earlier, str) else earlier
    texts = [text for one in before if (text := str(one)) not in texts and is_technical(text)] + texts
    codes = [str(item.get("CodeValue", "")) for item in dataset.get("DeidentificationMethodCodeSequence") or []]
    found.PatientIdentityRemoved = "YES"
    found.DeidentificationMethod = texts
    found.LongitudinalTemporalInformationModified = program.longitudinal
    kept = [dict(_codes())[code] for code in codes if code in dict(_codes()) and code != "113100"]
    found.DeidentificationMethodCodeSequence = Sequence([*kept, dict(_codes())["113100"]])


def _codes() -> list[tuple[str, Dataset]]:
    """The methods that the tests meet (PS3.16 CID 7050)."""
    meanings = {
        "113100": "Basic Application Confidentiality Profile",
        "113101": "Clean Pixel Data Option",
        "113105": "Clean Descriptors Option",
        "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
        "113108": "Retain Patient Characteristics Option",
        "113109": "Retain Device Identity Option",
        "113111": "Retain Safe Private Option",
    }
    found = []
    for code, meaning in meanings.items():
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
        found.append((code, item))
    return found


class _Walker:
    def __init__(
        self, key: ProjectKey, program: Program, patient: tuple[str, ...], sop_class: str, *, lists_references: bool
    ) -> None:
        self._key = key
        self._options = frozenset(("basic", *_DATES[program.dates]))
        self._times = program.times
        self._days = 0
        if program.shift is not None:
            number = int.from_bytes(key.digest("date-shift", *patient), "big") % program.shift.choices
            before = number < -program.shift.first
            self._days = program.shift.first + number if before else program.shift.first + number + 1
        self._lists_references = lists_references
        self._sop_class = sop_class

    def level(self, dataset: Dataset, path: tuple[int, ...]) -> Dataset:
        found = Dataset()
        for tag in sorted(dataset.keys()):
            if self._is_foreign(tag):
                continue
            raw: object = dataset.get_item(tag)
            original = (raw.value or b"") if isinstance(raw, RawDataElement) else b""
            code = self._code(path, tag)
            element = dataset[tag]
            if code in (None, "U") and element.VR == "SQ":
                found[tag] = element.__class__(
                    tag, "SQ", Sequence(self.level(item, (*path, int(tag))) for item in element.value)
                )
            elif code is None:
                found._dict[tag] = raw if isinstance(raw, RawDataElement) else element
            elif code == "X":
                continue
            elif code == "Z":
                self._put(found, tag, b"")
            elif code == "D":
                self._dummy(found, tag, original, sequence=element.VR == "SQ")
            elif code in ("K", "C"):
                self._dated(found, tag, path, original, moved=code == "C")
            elif code == "U":
                self._put(found, tag, self._uids(element.value).encode())
        return found

    def _is_foreign(self, tag: BaseTag) -> bool:
        """Private, unknown to the standard, a group length, or of an overlay, which is invalid without its data."""
        known = dictionary_has_tag(tag) or is_known(tag)
        overlay = 0x6000 <= tag.group <= 0x60FE
        given_up = any(tag.group == group and tag.element >> 8 == byte for group, byte in _GIVEN_UP)
        return tag.is_private or tag.element == 0 or not known or overlay or given_up or tag.group in (0x1000, 0x1010)

    def _code(self, path: tuple[int, ...], tag: BaseTag) -> str | None:
        said = ruling(int(tag), self._options)
        moved = said is not None and said.code == "C" and keyword_of(int(tag)) not in _OF_MACHINES
        if said is not None and (moved or said.code == "K") and vr_of(int(tag)) in (b"DA", b"DT", b"TM", b"SH"):
            return said.code
        # What the table does not list of a kind that it lists everywhere.
        dated = said is None and vr_of(int(tag)) in (b"DA", b"DT", b"TM") and len(self._options) > 1
        if dated and (not self._days or keyword_of(int(tag)) not in _OF_MACHINES):
            return "C" if self._days else "K"
        code = action(int(tag)) or self._unlisted(tag)
        if code == "X/Z/U*" and self._lists_references:
            return "U"
        if code not in _BY_TYPE:
            return code
        # The strictest Type where the IOD is not known; a Type that has a condition counts: the attribute is there.
        choice = {"1": 2, "2": 1, "3": 0}[(element_type(self._sop_class, path, int(tag)) or "1")[0]]
        return _BY_TYPE[code][choice]

    def _dated(self, found: Dataset, tag: BaseTag, path: tuple[int, ...], original: bytes, *, moved: bool) -> None:
        """Put what stays of a date or a time; what is none goes as its Type allows."""
        vr = vr_of(int(tag)).decode()
        parts = [part.strip("\0 ") for part in original.decode("latin-1").split("\\")]
        changed = [self._moment(vr, part, moved=moved) if part else "" for part in parts]
        if vr == "SH" and self._times != "remove":
            self._put(found, tag, original.strip(b"\0 "))
        elif None not in changed and (any(changed) or (not any(parts) and (vr, self._times) != ("TM", "remove"))):
            self._put(found, tag, "\\".join(one or "" for one in changed).encode())
        else:
            code = {"1": "D", "2": "Z", "3": "X"}[(element_type(self._sop_class, path, int(tag)) or "1")[0]]
            if code == "D":
                self._dummy(found, tag, original, sequence=False)
            elif code == "Z":
                self._put(found, tag, b"")

    def _moment(self, vr: str, text: str, *, moved: bool) -> str | None:
        """One value with its date moved, and its time of day as coarse as the profile says."""
        form = {"DA": _DAY, "TM": _CLOCK, "DT": _MOMENT}.get(vr)
        match = None if form is None else form.fullmatch(text)
        if match is None:
            return None
        parts = match.groupdict()
        day, clock, zone = (parts.get(name) or "" for name in ("day", "clock", "zone"))
        if moved and day:
            first = f"{day.replace('.', '')}0101"[:8] if len(day) < 8 else day.replace(".", "")
            try:
                new = date(int(first[:4]), int(first[4:6]), int(first[6:])) + timedelta(days=self._days)
            except ValueError:
                return None
            day = f"{new.year:04}{new.month:02}{new.day:02}"[: len(day.replace(".", ""))]
        clock = {"keep": clock, "hour": clock[:2], "remove": ""}[self._times]
        return day + clock + ("" if self._times == "remove" else zone)

    def _unlisted(self, tag: BaseTag) -> str | None:
        """What the table does not list but is of a kind that it lists everywhere: instances, persons, times."""
        vr = vr_of(int(tag)).decode()
        if vr == "UI" and tag.group > 0x0004 and int(tag) != _OWN_CLASS:
            return "U"
        return "X/Z/D" if vr in ("PN", "DA", "DT", "TM") else _UNLISTED.get(keyword_of(int(tag)))

    def _put(self, found: Dataset, tag: BaseTag, value: bytes) -> None:
        vr = dictionary_VR(tag) if dictionary_has_tag(tag) else vr_of(tag).decode()
        padded = value + (b"\0" if vr in ("UI", "OB", "UN") else b" ") * (len(value) % 2)
        if vr == "SQ":
            found.add_new(tag, vr, Sequence())
        else:
            found._dict[tag] = RawDataElement(Tag(tag), vr, len(padded), padded, 0, False, True)

    def _dummy(self, found: Dataset, tag: BaseTag, original: bytes, *, sequence: bool) -> None:
        if sequence or vr_of(tag) == b"SQ":
            encoded = dummy_sequence(int(tag), implicit=False)
            found.update(read_dataset(io.BytesIO(encoded), is_implicit_VR=False, is_little_endian=True))
        else:
            self._put(found, tag, dummy_value(int(tag), vr_of(int(tag)), original, self._key))

    def _uids(self, value: object) -> str:
        uids = value if isinstance(value, list) else [] if value is None else str(value).split("\\")
        return "\\".join(self._uid(str(uid).strip("\0 ")) for uid in uids)

    def _uid(self, uid: str) -> str:
        return uid if not uid or uid.startswith(_REGISTERED) or uid in _ELSEWHERE else self._key.uid(uid)
