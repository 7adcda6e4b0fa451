"""Scores one de-identified output against its input: what profile and options demand and did not get.

Independent of the engine: pydicom reads both files, ``table`` and ``content`` read the standard's tables, and nothing
of ``gateway`` is imported.
"""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag
from pydicom.datadict import repeater_has_tag as is_repeater
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from tests.scorer import content, table
from tests.scorer import identities as own
from tests.scorer.case import Case, Original
from tests.scorer.dates import Pair, Shifts, is_date
from tests.scorer.reading import Leaf, leaves, read
from tests.scorer.table import Ruling
from tests.scorer.validity import is_valid
from tests.scorer.violation import Kind, Violation

__all__ = ["CLASS_UIDS", "NEUTRAL", "Kind", "Original", "Scorer", "Violation"]

_PIXELS: Final = (0x7FE00008, 0x7FE00009, 0x7FE00010)
#: UI elements that say what a file and an instance are: they stay whoever made the class up.
CLASS_UIDS: Final = frozenset({0x00020002, 0x00020010, 0x00020012, 0x00041510, 0x00041512, 0x0004151A, 0x00080016})
#: What others register, as far as the tests' files have it: coding schemes (PS3.16 Table 8-1), classes of makers.
REGISTERED: Final = frozenset({
    "2.16.840.1.113883.6.1", "2.16.840.1.113883.6.8", "2.16.840.1.113883.6.96", "2.16.840.1.113883.6.256",
    "1.3.12.2.1107.5.9.1",
})  # fmt: skip
_META_ALLOWED: Final = frozenset({0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013})
_STAMPS: Final = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
#: Option -> what Longitudinal Temporal Information Modified says (PS3.3 C.12.1).
_DATES: Final = {content.FULL: "UNMODIFIED", content.MODIFIED: "MODIFIED"}
#: VRs whose values say who, when or where; a code value or number may well come back in a dummy.
_TELLING_VRS: Final = frozenset({"PN", "DA", "TM", "DT", "UT", "LT", "ST", "UI", "AS"})
#: Values that say nothing: a dummy may be equal to them.
NEUTRAL: Final = frozenset({
    "", "0", "1", "19000101", "000000", "000000.000000", "00000000", "19000101000000", "19000101000000.000000", "000Y",
    "O", "ANONYMOUS", "ANONYMIZED", "UNKNOWN", "REMOVED", "NONE", "NO",
})  # fmt: skip


@dataclass(slots=True)
class Scorer:
    """Scores outputs one after another and remembers how UIDs were mapped and dates shifted (PS3.15 E.3.9, E.3.6).

    ``options`` names the options that were applied on top of the Basic Profile, as the shipped layers are called.
    ``unjudged`` are tags that the profile treats by rules of its own: what the table says of them does not count.
    ``neutral`` holds values that say nothing, which an original and a dummy may share. One scorer is for outputs of
    one project key.
    """

    options: frozenset[str] = frozenset({"basic"})
    unjudged: frozenset[int] = frozenset()
    neutral: frozenset[str] = NEUTRAL
    shifts: Shifts = field(default_factory=Shifts)
    _new: dict[str, str] = field(default_factory=dict)
    _old: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = self.options - table.METHODS.keys()
        if unknown:
            raise ValueError(f"no such option: {', '.join(sorted(unknown))}")
        if {content.FULL, content.MODIFIED} <= self.options:
            raise ValueError("full and modified dates contradict each other")

    def score(self, original: Path | Original, output: Path, *, identities: Iterable[str] = ()) -> list[Violation]:
        """The violations of one output; ``identities`` are values planted in the original."""
        with warnings.catch_warnings():
            # Broken originals are part of the corpus; what pydicom thinks of them does not matter here.
            warnings.simplefilter("ignore")
            before = Original.of(read(original)) if isinstance(original, Path) else original
            after = read(output)
            case = Case.of(before, after, options=self.options, unjudged=self.unjudged, neutral=self.neutral)
            whole = output.read_bytes()
            rest = _without_pixels(whole, after)
            return [
                *_meta(before.dataset, after, whole),
                *_elements(case),
                *_lost(case),
                *_not_kept(case),
                *content.judge(case),
                *self.shifts.judge(before.patient, _date_pairs(case), self.neutral),
                *self._uids(case, rest),
                *own.planted(identities, rest),
                *own.judge(case),
                *_stamps(case),
                *_validity(case),
                *_pixels(before.dataset, after),
            ]

    def _uids(self, case: Case, rest: bytes) -> Iterator[Violation]:
        meta = leaves(getattr(case.original.dataset, "file_meta", Dataset()))
        new_meta = leaves(getattr(case.output, "file_meta", Dataset()))
        old = [*meta, *case.original.leaves]
        kept = {uid for leaf in (*new_meta, *case.leaves) if _keeps_uid(case, leaf) for uid in _instance_uids(leaf)}
        originals = {uid for leaf in old for uid in _instance_uids(leaf)} - kept
        for uid in sorted(originals):
            if re.search(rb"(?<![0-9.])" + re.escape(uid.encode("ascii", "replace")) + rb"(?![0-9.])", rest):
                places = [leaf.place for leaf in case.leaves if uid in leaf.text.split("\\")]
                yield Violation(Kind.UID_KEPT, ", ".join(places) or "in no element")
        for leaf in case.leaves:
            before = case.before(leaf)
            if before is None or leaf.vr != "UI" or not _instance_uids(before) or case.is_dummy(leaf.path):
                continue
            ruling = case.ruling(leaf)
            if ruling is not None and ruling.code == "K" and "retain-uids" not in ruling.options:
                # The UID of a device stays here, and only here.
                continue
            one, two = before.text.split("\\"), leaf.text.split("\\")
            if len(one) != len(two):
                yield Violation(Kind.UID_INCONSISTENT, leaf.place, f"{len(one)} values became {len(two)}")
                continue
            for was, became in zip(one, two, strict=True):
                if was.startswith("1.2.840.10008.") or not was or not became:
                    continue
                if self._new.setdefault(was, became) != became or self._old.setdefault(became, was) != was:
                    yield Violation(Kind.UID_INCONSISTENT, leaf.place)


def _keeps_uid(case: Case, leaf: Leaf) -> bool:
    """Whether an option retains the UIDs of an element, or of a content item."""
    if content.is_value(case, leaf):
        return content.keeps(case, leaf)
    ruling = case.ruling(leaf)
    if ruling is None:
        # Attributes that the table does not list refer to the same instances.
        return "retain-uids" in case.options and leaf.vr == "UI" and not leaf.tag >> 16 & 1
    return ruling.code == "K"


def _elements(case: Case) -> Iterator[Violation]:
    for leaf in case.leaves:
        if leaf.tag >> 16 & 1:
            yield from _private(case, leaf)
        elif not leaf.tag & 0xFFFF:
            yield Violation(Kind.GROUP_LENGTH, leaf.place)
        else:
            ruling = case.ruling(leaf)
            if ruling is None:
                if not (dictionary_has_tag(leaf.tag) or is_repeater(leaf.tag)):
                    yield Violation(Kind.UNKNOWN, leaf.place)
            elif leaf.tag not in _STAMPS and case.is_judged(leaf) and not content.is_value(case, leaf):
                yield from _element(case, ruling, leaf)


def _element(case: Case, ruling: Ruling, leaf: Leaf) -> Iterator[Violation]:
    code, before = ruling.code, case.before(leaf)
    had_value = before is not None and not before.empty
    if code == "X":
        yield Violation(Kind.NOT_REMOVED, leaf.place)
    elif code == "U":
        if leaf.empty and had_value:
            yield Violation(Kind.EMPTIED, leaf.place)
        yield from (Violation(Kind.UID_INVALID, leaf.place) for uid in leaf.text.split("\\") if not _is_uid(uid))
    elif code == "D" and leaf.empty and had_value:
        yield Violation(Kind.EMPTIED, leaf.place)
    elif code == "K":
        if before is not None and not case.is_dummy(leaf.path) and not _is_kept(case, leaf, before):
            yield Violation(Kind.NOT_KEPT, leaf.place)
    elif code == "C":
        # A time of day stays, and every other date is judged with all dates of the patient.
        if leaf.vr in ("OB", "UN") and before is not None and had_value and leaf.value == before.value:
            yield Violation(Kind.NOT_REPLACED, leaf.place, code)
    elif code != "X/Z/U*" and before is not None and had_value and not leaf.empty and _same(leaf, before, case.neutral):
        yield Violation(Kind.NOT_REPLACED, leaf.place, code)


def _private(case: Case, leaf: Leaf) -> Iterator[Violation]:
    """Private elements stay only where they are known to be safe, and creators only with one of those."""
    if "retain-safe-private" not in case.options:
        yield Violation(Kind.PRIVATE, leaf.place)
    elif leaf.tag & 0xFFFF < 0x1000:
        block = (leaf.tag & 0xFFFF0000) | (leaf.tag & 0xFF) << 8
        used = any((leaf.path, tag) in case.by_place for tag in range(block, block + 0x100))
        if leaf.tag & 0xFFFF < 0x0010 or not used:
            yield Violation(Kind.PRIVATE, leaf.place, "it reserves nothing")
    elif leaf.tag in case.unjudged:
        return
    elif case.original.safe.treats(leaf):
        before = case.before(leaf)
        if before is not None and not before.empty and _same(leaf, before, case.neutral):
            yield Violation(Kind.NOT_REPLACED, leaf.place, "it is declared to be identifying")
    elif leaf not in case.original.safe:
        yield Violation(Kind.PRIVATE, leaf.place, leaf.creator and "of a block that is reserved")


def _is_kept(case: Case, leaf: Leaf, before: Leaf) -> bool:
    if leaf.items is not None and before.items is not None:
        return len(leaf.items) == len(before.items)
    if leaf.vr == before.vr == "UI":
        one, two = (other.text.rstrip(" \0").split("\\") for other in (before, leaf))
        return len(one) == len(two) and all(
            became == was or (became.startswith("2.25.") and _must_go(was.strip(" \0"), case.options))
            for was, became in zip(one, two, strict=True)
        )
    if isinstance(leaf.value, bytes) and isinstance(before.value, bytes):
        return leaf.value.rstrip(b"\0 ") == before.value.rstrip(b"\0 ") or _is_big_endian(case.original.dataset)
    # An element that pydicom could read in one of the two only.
    return leaf.text.rstrip(" \0") == before.text.rstrip(" \0") or isinstance(before.value, bytes)


def _must_go(uid: str, options: frozenset[str]) -> bool:
    """Whether a UID that an option retains has to be replaced: it is none, or holds a date where dates do not stay."""
    if not re.fullmatch(r"[0-2](\.[0-9]+)*", uid):
        return True
    components = uid.split(".")
    days = [one[:8] for one in components] + [f"20{one[6:12]}" for one in components if one.startswith("300000")]
    days += [
        "".join(one.zfill(2) for one in three)
        for three in zip(components, components[1:], components[2:], strict=False)
        if [len(one) for one in three] in ([4, 1, 1], [4, 1, 2], [4, 2, 1], [4, 2, 2])
    ]
    return content.FULL not in options and any(is_date(one) and one[:2] in ("18", "19", "20") for one in days)


def _same(leaf: Leaf, before: Leaf, neutral: frozenset[str]) -> bool:
    if leaf.items is None or before.items is None:
        if isinstance(leaf.value, bytes):
            return leaf.value == before.value and bool(leaf.value.strip(b"\0"))
        return leaf.text == before.text and leaf.text.strip().upper() not in neutral
    originals = {below.text for item in before.items for below in leaves(item) if below.vr in _TELLING_VRS}
    telling = {text for text in originals - neutral if not text.startswith("1.2.840.10008.")}
    return any(below.text in telling for item in leaf.items for below in leaves(item) if below.vr in _TELLING_VRS)


def _lost(case: Case) -> Iterator[Violation]:
    """Z, D, Z/D and U never remove (PS3.15 E.1.1); below a sequence only where that is still there."""
    for leaf in case.original.leaves:
        if leaf.tag >> 16 in (0x0000, 0x0002, 0x0004) or not case.is_judged(leaf):
            continue
        ruling, after = case.ruling(leaf), case.after(leaf)
        if ruling is None:
            if after is not None and len(after.items or ()) < len(leaf.items or ()) and case.reaches(leaf):
                yield Violation(Kind.LOST, leaf.place, "an item")
            continue
        # A date that cannot be shifted becomes what the Basic Profile makes of it. A text of which nothing is left goes
        # where its Type lets it: whether it did is for a validator to say.
        code = ruling.basic if content.MODIFIED in ruling.options else ruling.code
        if code in ("Z", "D", "Z/D", "U") and after is None and case.reaches(leaf):
            yield Violation(Kind.LOST, leaf.place)


def _not_kept(case: Case) -> Iterator[Violation]:
    """What options retain, unchanged or shifted, is there; below a sequence only where that is still there."""
    for leaf in case.original.leaves:
        if leaf.tag >> 16 in (0x0000, 0x0002, 0x0004) or not case.is_judged(leaf) or case.after(leaf) is not None:
            continue
        ruling = case.ruling(leaf)
        if ruling is None or not case.reaches(leaf) or content.is_value(case, leaf):
            continue
        if leaf.tag >> 16 & 1:
            retained = ruling.code == "C" and leaf in case.original.safe
        elif ruling.code == "C":
            retained = content.MODIFIED in ruling.options and leaf.vr in ("DA", "DT") and _is_dated(case, leaf)
        else:
            retained = ruling.code == "K"
        if retained:
            yield Violation(Kind.NOT_KEPT, leaf.place)


def _is_dated(case: Case, leaf: Leaf) -> bool:
    values = leaf.text.split("\\")
    return all(is_date(one.strip()) for one in values) and not case.neutral.issuperset(values)


def _date_pairs(case: Case) -> Iterator[Pair]:
    """Every date that must be shifted, of elements and of content items: original and output."""
    if content.MODIFIED not in case.options:
        return
    for leaf in case.leaves:
        before, ruling = case.before(leaf), case.ruling(leaf)
        if before is None or ruling is None or ruling.code != "C" or content.MODIFIED not in ruling.options:
            continue
        judged = case.is_judged(leaf) and not case.is_dummy(leaf.path) and not content.is_value(case, leaf)
        if leaf.vr in ("DA", "DT") and judged:
            yield before, leaf
    yield from content.date_pairs(case)


def _instance_uids(leaf: Leaf) -> list[str]:
    if leaf.vr != "UI" or leaf.tag in CLASS_UIDS:
        return []
    uids = [uid for uid in leaf.text.split("\\") if len(uid) > 6 and uid not in REGISTERED]
    return [uid for uid in uids if not uid.startswith("1.2.840.10008.")]


def _is_uid(uid: str) -> bool:
    return not uid or (len(uid) <= 64 and UID(uid).is_valid)


def _without_pixels(content: bytes, dataset: Dataset) -> bytes:
    """The file's bytes without pixel data, which holds any byte sequence by chance, inflated if it is deflated."""
    if getattr(dataset.file_meta, "TransferSyntaxUID", "") == DeflatedExplicitVRLittleEndian:
        start = 144 + dataset.file_meta.FileMetaInformationGroupLength
        content = content[:start] + zlib.decompress(content[start:], -zlib.MAX_WBITS)
    for tag in _PIXELS:
        raw = dataset.get_item(tag) if tag in dataset else None
        value = getattr(raw, "value", None)
        if isinstance(value, bytes) and len(value) > 64:
            content = content.replace(value, b"")
    return content


def _meta(before: Dataset, after: Dataset, content: bytes) -> Iterator[Violation]:
    if content[128:132] != b"DICM":
        yield Violation(Kind.META, "the prefix DICM")
    elif any(content[:128]):
        yield Violation(Kind.PREAMBLE, "the preamble")
    meta = after.file_meta
    for tag in meta.keys():  # noqa: SIM118 - a data set iterates over elements
        if int(tag) not in _META_ALLOWED:
            yield Violation(Kind.META, f"({tag.group:04X},{tag.element:04X})")
    pairs = (("MediaStorageSOPClassUID", "SOPClassUID"), ("MediaStorageSOPInstanceUID", "SOPInstanceUID"))
    for inside, outside in pairs:
        # An original without these leaves nothing to compare with.
        if (outside in before or outside in after) and meta.get(inside) != after.get(outside):
            yield Violation(Kind.META, inside, f"is not {outside}")
    for keyword in ("ImplementationClassUID", "TransferSyntaxUID"):
        if not meta.get(keyword):
            yield Violation(Kind.META, keyword, "is missing")
    theirs = getattr(before, "file_meta", Dataset()).get("ImplementationVersionName")
    if theirs and meta.get("ImplementationVersionName") == theirs:
        yield Violation(Kind.META, "ImplementationVersionName", "is the sender's")


def _stamps(case: Case) -> Iterator[Violation]:
    after = case.output
    if after.get("PatientIdentityRemoved") != "YES":
        yield Violation(Kind.STAMP, "PatientIdentityRemoved")
    expected = {table.METHODS[option] for option in case.options | {"basic"}}
    earlier = _method_codes(case.original.dataset)
    # Nothing is claimed that was not done; what an earlier de-identification claims stays.
    if not expected <= _method_codes(after) <= expected | earlier:
        yield Violation(Kind.STAMP, "DeidentificationMethodCodeSequence")
    if not after.get("DeidentificationMethod"):
        yield Violation(Kind.STAMP, "DeidentificationMethod")
    dates = next((word for option, word in _DATES.items() if option in case.options), "REMOVED")
    if after.get("LongitudinalTemporalInformationModified") != dates:
        yield Violation(Kind.STAMP, "LongitudinalTemporalInformationModified")


def _method_codes(dataset: Dataset) -> set[str]:
    items = dataset.get("DeidentificationMethodCodeSequence") or []
    return {str(item.get("CodeValue")) for item in items if item.get("CodingSchemeDesignator") == "DCM"}


def _validity(case: Case) -> Iterator[Violation]:
    for leaf in case.leaves:
        if leaf.items is not None or is_valid(leaf.vr, leaf.text):
            continue
        # Where items before it went, an item has another place.
        if leaf.text not in {one.text for one in case.original.leaves if one.tag == leaf.tag}:
            yield Violation(Kind.INVALID, leaf.place, leaf.vr)


def _pixels(before: Dataset, after: Dataset) -> Iterator[Violation]:
    for tag in _PIXELS:
        if (tag in before) != (tag in after):
            yield Violation(Kind.PIXELS, f"({tag >> 16:04X},{tag & 0xFFFF:04X})", "present in one only")
        elif tag in before and not _same_pixels(before, after, tag):
            yield Violation(Kind.PIXELS, f"({tag >> 16:04X},{tag & 0xFFFF:04X})")


#: What stands beside pixels (comments, padding, bytes behind the end) is little.
_MOST_BESIDE: Final = 64 * 1024


def _is_less_of(less: bytes, whole: bytes) -> bool:
    """Whether ``less`` is ``whole`` without something: what is no pixel may go, and nothing may come or change."""
    if not 0 <= len(whole) - len(less) <= _MOST_BESIDE:
        return False
    rest = iter(_without_lengths(whole))
    return all(byte in rest for byte in _without_lengths(less))


def _without_lengths(value: bytes) -> bytes:
    """The fragments of an encapsulated value one after the other; others as they are.

    Without the table before them, and without the byte that makes their length even.
    """
    if not value.startswith(b"\xfe\xff\x00\xe0"):
        return value
    fragments, at = [], 0
    while value[at : at + 4] == b"\xfe\xff\x00\xe0":
        length = int.from_bytes(value[at + 4 : at + 8], "little")
        fragments.append(value[at + 8 : at + 8 + length].removesuffix(b"\0"))
        at += 8 + length
    return b"".join(fragments[1:])


def _same_pixels(before: Dataset, after: Dataset, tag: int) -> bool:
    one, two = before.get_item(tag).value, after.get_item(tag).value
    if one == two:
        return True
    if not _is_big_endian(before):
        return isinstance(one, bytes) and isinstance(two, bytes) and _is_less_of(two, one)
    if not isinstance(one, bytes) or not isinstance(two, bytes) or len(one) != len(two):
        return False
    try:
        return bool((before.pixel_array == after.pixel_array).all())
    except Exception:  # noqa: BLE001 - not an image: words of two bytes are all that can be compared
        return one[0::2] == two[1::2] and one[1::2] == two[0::2]


def _is_big_endian(dataset: Dataset) -> bool:
    return bool(getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID") == ExplicitVRBigEndian)
