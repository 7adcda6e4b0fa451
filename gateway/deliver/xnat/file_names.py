"""The names under which XNAT files instances, by which their arrival is verified.

XNAT keeps the name that an instance came with, if it may. Instances that come without one (by STOW-RS, by C-STORE, or
where a site renames) get ``{StudyInstanceUID}-{SeriesNumber}-{InstanceNumber}-{hash}.dcm``, whose hash is made from SOP
Class UID and SOP Instance UID. The hash has 32 bits: that a lost instance is taken for another of the same study has a
probability of one in four million, for a study of a thousand instances.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gateway.deliver.base import Parcel

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_BITS: Final = 0xFFFFFFFF
_RENAMED: Final = re.compile(r"(?P<study>[0-9.]+)-[^/]*-(?P<hash>[0-9a-z]+)\.dcm", re.ASCII)


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


class Holdings:
    """Which instances a set of files holds; empty files hold none."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._renamed: set[tuple[str, str]] = set()

    def add(self, files: Mapping[str, int]) -> None:
        """Take up files: names with their sizes in bytes."""
        for name, size in files.items():
            if size > 0:
                self._names.add(name)
                if match := _RENAMED.fullmatch(name):
                    self._renamed.add((match["study"], match["hash"]))

    def update(self, other: Holdings) -> None:
        """Take up what another set holds."""
        self._names |= other._names
        self._renamed |= other._renamed

    def hold(self, parcel: Parcel) -> bool:
        """Whether the instance is among them."""
        if file_name(parcel.sop_uid) in self._names:
            return True
        return (parcel.study_uid, instance_hash(parcel.sop_class_uid, parcel.sop_uid)) in self._renamed
