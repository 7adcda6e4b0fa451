"""The names under which XNAT files instances, by which their arrival is verified.

XNAT keeps the name that an instance came with, if it may. Instances that come without one (by STOW-RS, by C-STORE, or
where a site renames) are named by the site's ``dicomFileNameTemplate``; as XNAT comes, that is
``{StudyInstanceUID}-{SeriesNumber}-{InstanceNumber}-{hash}.dcm``, whose hash is made from SOP Class UID and SOP
Instance UID. The hash has 32 bits: that a lost instance is taken for another of the same study has a probability of one
in four million, for a study of a thousand instances. A name that holds neither the SOP Instance UID nor the hash tells
nothing; then only the digest of the file does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.deliver.base import Parcel

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_BITS: Final = 0xFFFFFFFF
#: A part of a name that may be a UID, or the hash: what stands between the characters that a template may hold.
_PART: Final = re.compile(r"[0-9a-z]+(?:\.[0-9]+)*", re.ASCII)
_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+", re.ASCII)


def file_name(sop_uid: str) -> str:
    """The name that the gateway gives an instance."""
    return f"{sop_uid}.dcm"


def instance_hash(sop_class_uid: str, sop_uid: str) -> str:
    """The hash in a name of XNAT's own: that of a Java list of two strings, in base 36."""
    total = 1
    for text in (sop_class_uid, sop_uid):
        code = 0
        for character in text:
            code = (31 * code + ord(character)) & _BITS
        total = (31 * total + code) & _BITS
    digits = ""
    while total:
        total, digit = divmod(total, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file as XNAT lists it: bytes, and the MD5 of its content in hexadecimal, or empty."""

    size: int
    digest: str = ""


class Holdings:
    """Which instances a set of files holds; empty files hold none."""

    def __init__(self) -> None:
        self._files: dict[str, ListedFile] = {}
        #: SOP Instance UID, or study (empty where a name has no UID) and hash, by the names that a template made.
        self._told: dict[tuple[str, str], ListedFile] = {}

    def add(self, files: Mapping[str, int], digests: Mapping[str, str] | None = None) -> None:
        """Take up files: names with their sizes in bytes, and with their digests where these are listed."""
        for name, size in files.items():
            if size > 0:
                self._add(name, ListedFile(size, (digests or {}).get(name, "")))

    def update(self, other: Holdings) -> None:
        """Take up what another set holds."""
        self._files |= other._files
        self._told |= other._told

    def file_of(self, parcel: Parcel) -> ListedFile | None:
        """The file of an instance by its name; None if there is none."""
        file = self._files.get(file_name(parcel.sop_uid))
        if file is not None or not self._told:
            return file
        hashed = instance_hash(parcel.sop_class_uid, parcel.sop_uid)
        keys = (("", parcel.sop_uid), (parcel.study_uid, hashed), ("", hashed))
        return next((listed for key in keys if (listed := self._told.get(key))), None)

    def hold(self, parcel: Parcel) -> bool:
        """Whether a file has the instance's name, whatever its content."""
        return self.file_of(parcel) is not None

    @property
    def digests(self) -> dict[str, int]:
        """How many files there are of each digest that is listed."""
        return Counter(file.digest for file in self._files.values() if file.digest)

    def __len__(self) -> int:
        return len(self._files)

    def _add(self, name: str, file: ListedFile) -> None:
        self._files[name] = file
        stem = name.removesuffix(".dcm")
        if name != stem and _UID.fullmatch(stem):
            return
        parts = _PART.findall(stem)
        uids = [part for part in parts if _UID.fullmatch(part)]
        self._told |= dict.fromkeys((("", uid) for uid in uids), file)
        for part in parts:
            self._told |= dict.fromkeys(((uid, part) for uid in uids or [""]), file)
