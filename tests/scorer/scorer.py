"""Scores one de-identified output against its input: what the Basic Profile demands and did not get.

Independent of the engine: pydicom reads both files, ``table`` reads the standard's table, and nothing of
``gateway`` is imported.
"""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag
from pydicom.datadict import repeater_has_tag as is_repeater
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from tests.scorer import table
from tests.scorer.reading import Leaf, leaves, read
from tests.scorer.validity import is_valid

_PIXELS: Final = (0x7FE00008, 0x7FE00009, 0x7FE00010)
#: UI elements that name kinds of things and not things; Table E.1-1 lists none of them.
CLASS_UIDS: Final = frozenset({
    0x00020002, 0x00020010, 0x00020012, 0x00041510, 0x00041512, 0x0004151A, 0x00080016, 0x0008001A, 0x0008001B,
    0x0008010C, 0x0008010D, 0x00080117, 0x00080118, 0x00081150, 0x0008115A, 0x00083002, 0x00089123, 0x04000010,
    0x04000510,
})  # fmt: skip
_META_ALLOWED: Final = frozenset({0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013})
#: VRs whose values say who, when or where; a code value or number may well come back in a dummy.
_TELLING_VRS: Final = frozenset({"PN", "DA", "TM", "DT", "UT", "LT", "ST", "UI", "AS"})
#: Values that say nothing: a dummy may be equal to them.
NEUTRAL: Final = frozenset({
    "", "0", "1", "19000101", "000000", "000000.000000", "00000000", "19000101000000", "19000101000000.000000", "000Y",
    "O", "ANONYMOUS", "ANONYMIZED", "UNKNOWN", "REMOVED", "NONE", "NO",
})  # fmt: skip


class Kind(StrEnum):
    """What is wrong."""

    NOT_REMOVED = "an element that must go is present"
    NOT_REPLACED = "an original value is present where a dummy or nothing must be"
    LOST = "an element that must be there, empty or with a dummy, is not"
    EMPTIED = "an element that must have a dummy is empty"
    PRIVATE = "a private element is present"
    UNKNOWN = "an element that no dictionary knows is present"
    GROUP_LENGTH = "a group length is present"
    UID_KEPT = "an original UID is present"
    UID_INVALID = "a UID is not valid"
    UID_INCONSISTENT = "one UID became two, or two became one"
    IDENTITY = "a planted identity is present"
    PREAMBLE = "the preamble is not zero"
    META = "the file meta information has what it must not have, or lacks what it must"
    STAMP = "a stamp of de-identification is missing or wrong"
    INVALID = "a value is not valid for its VR, and is not the original's"
    PIXELS = "pixel data is not the original's"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong at one place of the output."""

    kind: Kind
    place: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.kind.value}{': ' if self.detail else ''}{self.detail}"


@dataclass(slots=True)
class Scorer:
    """Scores outputs one after another and remembers how UIDs were mapped (PS3.15 E.3.9).

    ``options`` names the profile and options that were applied: the Basic Profile alone. ``neutral`` holds values
    that say nothing, which an original and a dummy may share. One scorer is for outputs of one project key.
    """

    options: frozenset[str] = frozenset({"basic"})
    neutral: frozenset[str] = NEUTRAL
    _new: dict[str, str] = field(default_factory=dict)
    _old: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.options != {"basic"}:
            raise ValueError(f"only the Basic Profile is scored, not {sorted(self.options)}")

    def score(self, original: Path, output: Path, *, identities: Iterable[str] = ()) -> list[Violation]:
        """The violations of one output; ``identities`` are values planted in the original."""
        with warnings.catch_warnings():
            # Broken originals are part of the corpus; what pydicom thinks of them does not matter here.
            warnings.simplefilter("ignore")
            before, after = read(original), read(output)
            old, new = list(leaves(before)), list(leaves(after))
            content = _without_pixels(output.read_bytes(), after)
            return [
                *_meta(before, after, output.read_bytes()),
                *_elements(old, new, self.neutral),
                *_lost(old, new),
                *self._uids([*leaves(getattr(before, "file_meta", Dataset())), *old], new, content),
                *_identities(identities, content),
                *_stamps(after),
                *_validity(old, new),
                *_pixels(before, after),
            ]

    def _uids(self, old: Sequence[Leaf], new: Sequence[Leaf], content: bytes) -> Iterator[Violation]:
        originals = {uid for leaf in old for uid in _instance_uids(leaf)}
        for uid in sorted(originals):
            if re.search(rb"(?<![0-9.])" + re.escape(uid.encode("ascii", "replace")) + rb"(?![0-9.])", content):
                places = [leaf.place for leaf in new if uid in leaf.text.split("\\")]
                yield Violation(Kind.UID_KEPT, ", ".join(places) or "in no element")
        by_place = {(leaf.path, leaf.tag): leaf for leaf in old}
        for leaf in new:
            before = by_place.get((leaf.path, leaf.tag))
            if before is None or leaf.vr != "UI" or not _instance_uids(before) or _was_dummied(leaf):
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


def _elements(old: Sequence[Leaf], new: Sequence[Leaf], neutral: frozenset[str]) -> Iterator[Violation]:
    by_place = {(leaf.path, leaf.tag): leaf for leaf in old}
    for leaf in new:
        before = by_place.get((leaf.path, leaf.tag))
        if leaf.tag >> 16 & 1:
            yield Violation(Kind.PRIVATE, leaf.place)
        elif not leaf.tag & 0xFFFF:
            yield Violation(Kind.GROUP_LENGTH, leaf.place)
        else:
            code = table.action(leaf.tag)
            if code is None:
                if not (dictionary_has_tag(leaf.tag) or is_repeater(leaf.tag)):
                    yield Violation(Kind.UNKNOWN, leaf.place)
            elif leaf.tag not in _STAMPS:
                yield from _element(code, leaf, before, neutral)


def _element(code: str, leaf: Leaf, before: Leaf | None, neutral: frozenset[str]) -> Iterator[Violation]:
    if code == "X":
        yield Violation(Kind.NOT_REMOVED, leaf.place)
    elif code == "U":
        if leaf.empty and before is not None and not before.empty:
            yield Violation(Kind.EMPTIED, leaf.place)
        yield from (Violation(Kind.UID_INVALID, leaf.place) for uid in leaf.text.split("\\") if not _is_uid(uid))
    elif code == "D" and leaf.empty and before is not None and not before.empty:
        yield Violation(Kind.EMPTIED, leaf.place)
    elif code == "X/Z/U*":
        return
    elif before is not None and not before.empty and not leaf.empty and _same(leaf, before, neutral):
        yield Violation(Kind.NOT_REPLACED, leaf.place, code)


def _same(leaf: Leaf, before: Leaf, neutral: frozenset[str]) -> bool:
    if leaf.items is None or before.items is None:
        if isinstance(leaf.value, bytes):
            return leaf.value == before.value and bool(leaf.value.strip(b"\0"))
        return leaf.text == before.text and leaf.text.strip().upper() not in neutral
    originals = {below.text for item in before.items for below in leaves(item) if below.vr in _TELLING_VRS}
    telling = {text for text in originals - neutral if not text.startswith("1.2.840.10008.")}
    return any(below.text in telling for item in leaf.items for below in leaves(item) if below.vr in _TELLING_VRS)


def _lost(old: Sequence[Leaf], new: Sequence[Leaf]) -> Iterator[Violation]:
    """Z, D, Z/D and U never remove (PS3.15 E.1.1); below a sequence only where that is still there."""
    present = {(leaf.path, leaf.tag) for leaf in new}
    for leaf in old:
        if table.action(leaf.tag) not in ("Z", "D", "Z/D", "U") or leaf.tag >> 16 in (0x0000, 0x0002, 0x0004):
            continue
        levels = [leaf.path[: depth + 1] for depth in range(len(leaf.path))]
        kept = all((level[:-1], level[-1][0]) in present for level in levels)
        replaced = any(table.action(tag) is not None for tag, _ in leaf.path)
        if kept and not replaced and (leaf.path, leaf.tag) not in present:
            yield Violation(Kind.LOST, leaf.place)


def _instance_uids(leaf: Leaf) -> list[str]:
    if leaf.vr != "UI" or leaf.tag in CLASS_UIDS:
        return []
    return [uid for uid in leaf.text.split("\\") if len(uid) > 6 and not uid.startswith("1.2.840.10008.")]


def _was_dummied(leaf: Leaf) -> bool:
    """Whether an enclosing sequence was to be replaced by a dummy, whose items are not the original's."""
    return any((table.action(tag) or "X/Z/U*") != "X/Z/U*" for tag, _ in leaf.path)


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


def _identities(identities: Iterable[str], content: bytes) -> Iterator[Violation]:
    lowered = content.lower()
    for number, identity in enumerate(identities):
        forms = {identity.lower().encode(encoding, "ignore") for encoding in ("utf-8", "latin-1", "utf-16-le")}
        if any(len(form) >= 4 and form in lowered for form in forms):
            yield Violation(Kind.IDENTITY, f"identity {number}")


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


_STAMPS: Final = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})


def _stamps(after: Dataset) -> Iterator[Violation]:
    if after.get("PatientIdentityRemoved") != "YES":
        yield Violation(Kind.STAMP, "PatientIdentityRemoved")
    codes = after.get("DeidentificationMethodCodeSequence") or []
    if ("113100", "DCM") not in {(item.get("CodeValue"), item.get("CodingSchemeDesignator")) for item in codes}:
        yield Violation(Kind.STAMP, "DeidentificationMethodCodeSequence")
    if not after.get("DeidentificationMethod"):
        yield Violation(Kind.STAMP, "DeidentificationMethod")
    if after.get("LongitudinalTemporalInformationModified") != "REMOVED":
        yield Violation(Kind.STAMP, "LongitudinalTemporalInformationModified")


def _validity(old: Sequence[Leaf], new: Sequence[Leaf]) -> Iterator[Violation]:
    originals = {(leaf.path, leaf.tag): leaf.text for leaf in old}
    for leaf in new:
        if (
            leaf.items is None
            and not is_valid(leaf.vr, leaf.text)
            and originals.get((leaf.path, leaf.tag)) != leaf.text
        ):
            yield Violation(Kind.INVALID, leaf.place, leaf.vr)


def _pixels(before: Dataset, after: Dataset) -> Iterator[Violation]:
    for tag in _PIXELS:
        if (tag in before) != (tag in after):
            yield Violation(Kind.PIXELS, f"({tag >> 16:04X},{tag & 0xFFFF:04X})", "present in one only")
        elif tag in before and not _same_pixels(before, after, tag):
            yield Violation(Kind.PIXELS, f"({tag >> 16:04X},{tag & 0xFFFF:04X})")


def _same_pixels(before: Dataset, after: Dataset, tag: int) -> bool:
    one, two = before.get_item(tag).value, after.get_item(tag).value
    if one == two:
        return True
    if getattr(before.file_meta, "TransferSyntaxUID", "") != ExplicitVRBigEndian:
        return False
    if not isinstance(one, bytes) or not isinstance(two, bytes) or len(one) != len(two):
        return False
    try:
        return bool((before.pixel_array == after.pixel_array).all())
    except Exception:  # noqa: BLE001 - not an image: words of two bytes are all that can be compared
        return one[0::2] == two[1::2] and one[1::2] == two[0::2]
